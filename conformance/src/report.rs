//! What a run found: a table, two numbers, and one word for the whole.

use std::fmt::{self, Write as _};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::case::{Case, Verdict};
use crate::transcript::Grade;

/// One case and what came of it.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The case.
    pub case: Case,
    /// Its verdict.
    pub verdict: Verdict,
    /// How long it took.
    pub took: Duration,
}

/// A run in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Everything that can be asked of the store passed.
    Conformant,
    /// The store broke a promise.
    NonConformant,
    /// Nothing failed, but something was not run, never happened, or stayed undecided.
    Incomplete,
    /// The bench itself broke: nothing can be said.
    HarnessError,
}

impl Status {
    /// What weighs most comes first: a broken promise, then a broken bench, then whatever was left open.
    const BY_WEIGHT: [Self; 4] =
        [Self::NonConformant, Self::HarnessError, Self::Incomplete, Self::Conformant];

    /// A run in one word, from its verdicts. A run of nothing is incomplete.
    pub fn of(grades: impl IntoIterator<Item = Grade>) -> Self {
        let (mut passed, mut worst) = (false, Self::Conformant);
        for grade in grades {
            passed |= grade == Grade::Pass;
            worst = worst.worse(match grade {
                Grade::Fail => Self::NonConformant,
                Grade::Error => Self::HarnessError,
                Grade::Vacuous | Grade::Unknown | Grade::NotRun => Self::Incomplete,
                Grade::Pass | Grade::NotApplicable => Self::Conformant,
            });
        }
        if passed { worst } else { worst.worse(Self::Incomplete) }
    }

    /// The one of two that weighs more.
    #[must_use]
    pub fn worse(self, other: Self) -> Self {
        let either = |status: &Self| *status == self || *status == other;
        Self::BY_WEIGHT.into_iter().find(either).unwrap_or(self)
    }

    /// The exit code of the command: 0, 1, 2, 3.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Conformant => 0,
            Self::NonConformant => 1,
            Self::Incomplete => 2,
            Self::HarnessError => 3,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Conformant => "conformant",
            Self::NonConformant => "non-conformant",
            Self::Incomplete => "incomplete",
            Self::HarnessError => "harness error",
        })
    }
}

/// All outcomes of a run.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The outcomes, in the order of the catalogue.
    pub outcomes: Vec<Outcome>,
}

impl Report {
    /// A broken promise weighs most, then a broken bench, then whatever was left open. A run of nothing is incomplete.
    pub fn status(&self) -> Status {
        Status::of(self.outcomes.iter().map(|outcome| Grade::from(&outcome.verdict)))
    }

    fn count(&self, word: &str) -> usize {
        self.outcomes.iter().filter(|outcome| outcome.verdict.word() == word).count()
    }

    /// One line a case: id, title, verdict, milliseconds, and what there is to say below it.
    pub fn table(&self) -> String {
        let width = self.outcomes.iter().map(|outcome| outcome.case.title.len()).max().unwrap_or_default();
        let mut table = String::new();
        for Outcome { case, verdict, took } in &self.outcomes {
            let title = case.title.replace('_', " ");
            let millis = took.as_millis();
            // Writing to a string cannot fail.
            let _ = writeln!(table, "{:<8} {title:<width$} {:>8} {millis:>6} ms", case.id, verdict.word());
            if let Verdict::Ended(ending) = verdict {
                let _ = writeln!(table, "         {}", ending.text());
                let _ = writeln!(table, "         what it means: {}", case.explain);
            }
        }
        table
    }

    /// How much passed of what was decided, how much was decided of what can be asked, and why the rest was not.
    pub fn summary(&self) -> String {
        let (passed, failed) = (self.count(Verdict::Pass.word()), self.count("FAIL"));
        let decided = passed + failed;
        let inapplicable = self.count("n/a");
        let askable = self.outcomes.len() - inapplicable;
        let mut summary = format!(
            "passed {passed} of {decided} decided; decided {decided} of {askable} that apply; {inapplicable} do not apply\n"
        );
        for outcome in &self.outcomes {
            if let Verdict::NotApplicable(reason) | Verdict::NotRun(reason) = &outcome.verdict {
                let _ = writeln!(summary, "  {} {}: {reason}", outcome.case.id, outcome.verdict.word());
            }
        }
        let _ = write!(summary, "{}", self.status());
        summary
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::Ending;
    use crate::suites;

    fn report(verdicts: Vec<Verdict>) -> Report {
        let outcome = |(case, verdict)| Outcome { case, verdict, took: Duration::from_millis(3) };
        Report { outcomes: suites::all().into_iter().zip(verdicts).map(outcome).collect() }
    }

    #[test]
    fn only_passes_and_what_cannot_be_asked_are_conformant() {
        let inapplicable = Verdict::NotApplicable("no such thing".into());
        let ended = |ending| Verdict::Ended(ending);
        assert_eq!(report(vec![Verdict::Pass, inapplicable.clone()]).status(), Status::Conformant);
        for open in [
            Verdict::NotRun("no hook".into()),
            ended(Ending::Vacuous("never raced".into())),
            ended(Ending::Unknown("out of time".into())),
        ] {
            assert_eq!(report(vec![Verdict::Pass, open]).status(), Status::Incomplete);
        }
        let error = ended(Ending::Error("no server".into()));
        let failed = ended(Ending::Failed("lost".into()));
        assert_eq!(report(vec![Verdict::Pass, error.clone()]).status(), Status::HarnessError);
        assert_eq!(report(vec![error, failed]).status(), Status::NonConformant);
        assert_eq!(report(vec![inapplicable]).status(), Status::Incomplete, "nothing was shown");
        assert_eq!(report(vec![]).status(), Status::Incomplete, "nothing was asked");
    }

    #[test]
    fn the_summary_tells_both_numbers_and_every_reason() {
        let failed = Verdict::Ended(Ending::Failed("lost".into()));
        let not_run = Verdict::NotRun("no kill hook".into());
        let inapplicable = Verdict::NotApplicable("no bytes".into());
        let report = report(vec![Verdict::Pass, failed, not_run, inapplicable]);
        let summary = report.summary();
        assert!(
            summary.starts_with("passed 1 of 2 decided; decided 2 of 3 that apply; 1 do not apply\n"),
            "{summary}"
        );
        assert!(summary.contains("not run: no kill hook") && summary.contains("n/a: no bytes"), "{summary}");
        assert!(summary.ends_with("non-conformant"), "{summary}");
        assert!(report.table().contains("lost"));
    }
}
