//! What a soak found, as a transcript: one row for each kind of promise.

use std::time::Duration;

use super::SoakReport;
use crate::case::Ending;
use crate::transcript::{Grade, Graded, Transcript};

/// A promise, how it reads, and what it means for users.
type Promise = (&'static str, &'static str, &'static str);

const GOES_ON: Promise = (
    "SOAK-LIVE",
    "the store goes on after every fault, and settles",
    "After each fault every node uses every server again, and all copies of every session are equal, within a minute.",
);
const I1: Promise = (
    "SOAK-I1",
    "a session that was logged out stays dead",
    "Security: no session that was destroyed, and acknowledged to be, is read again on any node.",
);
const I2: Promise = (
    "SOAK-I2",
    "an acknowledged write is there",
    "Whatever the store has acknowledged is in the session after the fault: nobody loses work, or is logged out.",
);
const I3: Promise = (
    "SOAK-I3",
    "a write that was denied is not there, and none is there twice",
    "A write that was refused, or sworn to be without effect, is in no copy; one whose answer was lost happens once.",
);
const EXPLAINED: Promise = (
    "SOAK-ERRORS",
    "every error is one that the fault explains",
    "A fault may cost answers. What it may not cause is an answer that no state of the servers explains.",
);

impl Transcript {
    /// Writes down what a soak came to: the form of an exam's results, with a row for each kind of promise.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use holdover_conformance::{Grade, SoakReport, Transcript};
    ///
    /// let found = SoakReport { faults: 3, lost: 1, ..SoakReport::default() };
    /// let transcript = Transcript::of_soak("my store", 42, &Ok(found), Duration::from_secs(60));
    /// let lost = transcript.cases.iter().find(|row| row.id == "SOAK-I2");
    /// assert_eq!(lost.map(|row| row.verdict), Some(Grade::Fail));
    /// ```
    pub fn of_soak(store: &str, seed: u64, ended: &Result<SoakReport, Ending>, took: Duration) -> Self {
        let (graded, mut notes) = match ended {
            Ok(found) => (found.graded(), vec![format!("a soak: {found}")]),
            Err(ending) => {
                let graded = vec![(GOES_ON, grade_of(ending), Some(ending.text().to_owned()))];
                (graded, vec!["a soak that did not come to its end".to_owned()])
            }
        };
        notes.extend(ended.iter().flat_map(|found| found.told.iter().cloned()));
        let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let rows = graded.into_iter().map(|((id, title, explain), verdict, reason)| Graded {
            id: id.to_owned(),
            suite: "soak".to_owned(),
            title: title.to_owned(),
            verdict,
            reason,
            ms,
            explain: explain.to_owned(),
        });
        let claims = ended.as_ref().ok().and_then(|found| found.claims.as_ref());
        Self { notes, ..Self::with_cases(store, claims, seed, rows.collect()) }
    }
}

impl SoakReport {
    fn graded(&self) -> Vec<(Promise, Grade, Option<String>)> {
        let broken =
            [(I1, self.resurrected), (I2, self.lost), (I3, self.invented), (EXPLAINED, self.strange)];
        // Where nothing struck, or nobody worked, the promises were not put to the test.
        let is_vacuous = self.faults == 0 || self.acknowledged == 0;
        let grade = |times| match times {
            0 if is_vacuous => (Grade::Vacuous, Some("nothing struck, or nobody worked".to_owned())),
            0 => (Grade::Pass, None),
            times => (Grade::Fail, Some(format!("broken {times} times; the notes tell the first"))),
        };
        let rows = std::iter::once((GOES_ON, 0)).chain(broken);
        let graded = rows.map(|(promise, times)| {
            let (verdict, reason) = grade(times);
            (promise, verdict, reason)
        });
        graded.collect()
    }
}

const fn grade_of(ending: &Ending) -> Grade {
    match ending {
        Ending::Failed(_) => Grade::Fail,
        Ending::Vacuous(_) => Grade::Vacuous,
        Ending::Unknown(_) => Grade::Unknown,
        Ending::Error(_) => Grade::Error,
    }
}

#[cfg(test)]
mod tests {
    use holdover_api::{Memory, SessionStore};

    use super::*;
    use crate::report::Status;

    fn written(ended: &Result<SoakReport, Ending>) -> Transcript {
        let transcript = Transcript::of_soak("memory", 7, ended, Duration::from_secs(60));
        assert_eq!(Transcript::parse(&transcript.to_json()), Ok(transcript.clone()), "it can be read again");
        transcript
    }

    fn found(change: impl FnOnce(&mut SoakReport)) -> SoakReport {
        let claims = Some(Memory::new().capabilities());
        let mut report =
            SoakReport { claims, faults: 9, acknowledged: 900, errors: 3, ..SoakReport::default() };
        change(&mut report);
        report
    }

    #[test]
    fn a_sound_soak_passes_every_row() {
        let transcript = written(&Ok(found(|_| {})));
        assert_eq!(transcript.status, Status::Conformant);
        assert_eq!((transcript.cases.len(), &*transcript.capabilities["expiry"]), (5, "on demand"));
        assert!(transcript.notes[0].contains("903 operations"), "{}", transcript.notes[0]);
    }

    #[test]
    fn each_kind_of_broken_promise_fails_its_row_alone() {
        let broken = [
            ("SOAK-I1", found(|report| report.resurrected = 1)),
            ("SOAK-I2", found(|report| report.lost = 1)),
            ("SOAK-I3", found(|report| report.invented = 1)),
            ("SOAK-ERRORS", found(|report| report.strange = 1)),
        ];
        for (id, found) in broken {
            let transcript = written(&Ok(found));
            let failed = transcript.cases.iter().filter(|row| row.verdict == Grade::Fail);
            assert_eq!(failed.map(|row| row.id.as_str()).collect::<Vec<_>>(), [id]);
            assert_eq!(transcript.status, Status::NonConformant);
        }
    }

    #[test]
    fn a_soak_in_which_nothing_struck_is_incomplete() {
        assert_eq!(written(&Ok(found(|report| report.faults = 0))).status, Status::Incomplete);
    }

    #[test]
    fn a_soak_that_did_not_settle_says_so() {
        let transcript = written(&Err(Ending::Failed("nothing settles within 60 s".into())));
        assert_eq!(transcript.status, Status::NonConformant);
        assert_eq!(transcript.cases[0].reason.as_deref(), Some("nothing settles within 60 s"));
        assert_eq!(written(&Err(Ending::Error("no server".into()))).status, Status::HarnessError);
    }
}
