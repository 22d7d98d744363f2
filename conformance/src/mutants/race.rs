//! Broken stores that the RACE cases have to catch.

mod copies;
mod steps;

use holdover_api::{On, Record, Stamp, Stored, Timestamp, Verdict, Write, judge};

use super::Mutant;
use super::base::Flaw;
use super::shapes::{IgnoresHead, InstallsAlways, SaveUpserts};

/// The mutants of this suite.
pub(super) fn mutants() -> Vec<Mutant> {
    let mut mutants = rules();
    mutants.extend(copies::mutants());
    mutants.extend(steps::mutants());
    mutants
}

fn rules() -> Vec<Mutant> {
    vec![
        mutant!(
            "race-m02",
            LastWriterWins,
            "the head is ignored, and the writer's whole record wins",
            ["RACE-01", "RACE-02", "RACE-03", "RACE-04", "RACE-19", "RACE-21", "RACE-24", "RACE-37"]
        ),
        mutant!(
            "race-m03",
            IgnoresHead,
            "a write on a head merges without comparing",
            ["RACE-01", "RACE-02", "RACE-03", "RACE-04", "RACE-19", "RACE-21", "RACE-37"]
        ),
        mutant!(
            "race-m04",
            SaveUpserts,
            "a save creates what is not there",
            ["RACE-05", "RACE-09", "RACE-14", "RACE-21", "EXP-02", "EXP-14"]
        ),
        mutant!(
            "race-m09i",
            InstallsAlways,
            "an installation does not look at what it replaces",
            ["RACE-15"]
        ),
        mutant!(
            "race-m13v",
            VersionOnly,
            "a retry is recognised only while its write is the newest",
            ["RACE-02", "RACE-21"]
        ),
    ]
}

fn live(stored: Option<&Stored>, now: Timestamp) -> Option<&Record> {
    stored.and_then(|stored| stored.as_live(now))
}

struct LastWriterWins;

impl Flaw for LastWriterWins {
    fn judge(&self, now: Timestamp, stored: Option<&Stored>, write: &Write) -> Verdict {
        let (Some(record), On::Live | On::Head(_)) = (live(stored, now), write.on) else {
            return judge(now, stored, write);
        };
        let read = write.base.as_ref().map_or(record, |base| &base.record);
        let mut attributes = read.attributes.clone();
        write.delta.apply(&mut attributes);
        let deadline = write.deadline.over(record.deadline);
        let lineage = record.lineage.pushed(write.stamp);
        let previous = Some(record.head());
        Verdict::Apply { record: Record { attributes, lineage, deadline, created: record.created }, previous }
    }
}

struct VersionOnly;

impl Flaw for VersionOnly {
    fn judge(&self, now: Timestamp, stored: Option<&Stored>, write: &Write) -> Verdict {
        let Some(record) = live(stored, now) else {
            return judge(now, stored, write);
        };
        if record.head() == write.stamp || !record.lineage.contains(write.stamp) {
            return judge(now, stored, write);
        }
        // A stamp that the rules do not know makes them take the retry for a new write.
        let mut unknown = *write.stamp.as_bytes();
        unknown.reverse();
        judge(now, stored, &Write { stamp: Stamp::from_bytes(unknown), ..write.clone() })
    }
}
