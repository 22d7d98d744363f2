//! Stores on which the handle of applications cannot keep its promises.

use std::time::Duration;

use bytes::Bytes;
use holdover_api::{InstallVerdict, On, Record, Standing, Stored, Timestamp, Verdict, Write, judge};

use crate::mutants::{Flaw, Mutant};

pub(super) fn mutants() -> Vec<Mutant> {
    vec![
        mutant!(
            "con-m14v",
            ValuesDecide,
            "a write that brings no new value is taken for no change",
            ["CON-21"]
        ),
        mutant!(
            "con-m22v",
            FirstValueStays,
            "an attribute that is there already keeps its value",
            ["CON-22"]
        ),
        mutant!("con-m23s", EndsSoon, "a load answers a deadline that is too early", ["CON-23", "CON-01"]),
        mutant!("con-m09b", BuriesNothing, "a burial is acknowledged and not made", ["CON-24"]),
        mutant!("con-m24", BeginsAgain, "a create begins now, whatever it says", ["CON-24", "CON-01"]),
    ]
}

struct ValuesDecide;

impl Flaw for ValuesDecide {
    fn judge(&self, now: Timestamp, stored: Option<&Stored>, write: &Write) -> Verdict {
        let live = stored.and_then(|stored| stored.as_live(now));
        let known =
            |value: &Bytes| live.is_some_and(|record| record.attributes.values().any(|old| old == value));
        let changes = write.delta.sets();
        match judge(now, stored, write) {
            Verdict::Apply { previous, .. } if !changes.is_empty() && changes.values().all(known) => {
                Verdict::Repeated { previous }
            }
            verdict => verdict,
        }
    }
}

struct FirstValueStays;

impl Flaw for FirstValueStays {
    fn judge(&self, now: Timestamp, stored: Option<&Stored>, write: &Write) -> Verdict {
        let before = stored.and_then(|stored| stored.as_live(now));
        match (judge(now, stored, write), before) {
            (Verdict::Apply { mut record, previous }, Some(before)) => {
                for (name, value) in &before.attributes {
                    record.attributes.insert(name.clone(), value.clone());
                }
                Verdict::Apply { record, previous }
            }
            (verdict, _) => verdict,
        }
    }
}

struct EndsSoon;

impl Flaw for EndsSoon {
    fn read(&self, now: Timestamp, stored: Stored) -> Option<Record> {
        let mut record = stored.into_live(now)?;
        record.deadline = record.deadline.min(now + Duration::from_secs(9));
        Some(record)
    }
}

struct BuriesNothing;

impl Flaw for BuriesNothing {
    fn judge_install(
        &self,
        now: Timestamp,
        stored: Option<&Stored>,
        over: Option<Standing>,
        new: &Stored,
    ) -> InstallVerdict {
        match new {
            Stored::Tombstone(_) => InstallVerdict::Repeated,
            Stored::Record(_) => holdover_api::judge_install(now, stored, over, new),
        }
    }
}

struct BeginsAgain;

impl Flaw for BeginsAgain {
    fn judge(&self, now: Timestamp, stored: Option<&Stored>, write: &Write) -> Verdict {
        let on = match write.on {
            On::Absent { .. } => On::Absent { created: now },
            on => on,
        };
        judge(now, stored, &Write { on, ..write.clone() })
    }
}
