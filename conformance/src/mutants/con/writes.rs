//! Stores that take a write for something else than it says.

use async_trait::async_trait;
use holdover_api::{
    Attributes, Error, Lineage, On, Operation, Record, SaveAnswer, SessionKey, Stamp, Stored, Timestamp,
    Verdict, Write, judge,
};

use crate::mutants::shapes::IgnoresHead;
use crate::mutants::{Flaw, Flawed, Mutant};

pub(super) fn mutants() -> Vec<Mutant> {
    vec![
        mutant!(
            "con-m02",
            IgnoresHead,
            "a write on a head does not compare it",
            ["CON-10", "CON-11", "CON-38", "CON-39", "CON-36"]
        ),
        mutant!(
            "con-m38",
            CountsWrites,
            "the version is the number of writes, which starts again after a deletion",
            ["CON-11", "CON-36"]
        ),
        mutant!("con-m09", HeadStands, "a merge does not move the head", ["CON-09"]),
        mutant!("con-m03", Replaces, "a merge replaces the whole record", ["CON-37", "CON-20"]),
        mutant!("con-m03b", BelievesBase, "a merge is made on the base that the writer has read", ["CON-38"]),
        mutant!(
            "con-m10",
            LeavesHalf,
            "a refused write has stored its attributes already",
            ["CON-10", "CON-39", "CON-06"]
        ),
        mutant!("con-m10d", LeavesDeadline, "a refused write has moved the deadline already", ["CON-39"]),
        mutant!(
            "con-m11",
            TwoSteps,
            "a write removes the old record before it stores the new one",
            ["CON-35"]
        ),
        mutant!("con-m11a", OneByOne, "a write stores one attribute at a time", ["CON-35"]),
        mutant!(
            "con-m13",
            RetryConflicts,
            "a write that has happened before conflicts with itself",
            ["CON-44", "CON-45", "CON-46", "CON-47"]
        ),
        mutant!(
            "con-m13h",
            KnowsOnlyHead,
            "only the newest write is recognised when it comes again",
            ["CON-44", "CON-45", "CON-46"]
        ),
        mutant!(
            "con-m13d",
            RetryExtends,
            "a write that has happened before moves the deadline again",
            ["CON-47"]
        ),
    ]
}

/// `write`, standing on something else.
fn standing_on(write: &Write, on: On) -> Write {
    Write { on, ..write.clone() }
}

/// Loads answer a head that tells how many writes there were, as a counter would.
struct CountsWrites;

fn counter(lineage: &Lineage) -> Stamp {
    let mut bytes = [0; 16];
    bytes[15] = u8::try_from(lineage.stamps().len()).unwrap_or(u8::MAX);
    Stamp::from_bytes(bytes)
}

impl Flaw for CountsWrites {
    fn judge(&self, now: Timestamp, stored: Option<&Stored>, write: &Write) -> Verdict {
        let live = stored.and_then(|stored| stored.as_live(now));
        match (write.on, live) {
            (On::Head(expected), Some(record)) if expected == counter(&record.lineage) => {
                judge(now, stored, &standing_on(write, On::Live))
            }
            _ => judge(now, stored, write),
        }
    }

    fn read(&self, now: Timestamp, stored: Stored) -> Option<Record> {
        let mut record = stored.into_live(now)?;
        record.lineage = Lineage::new(counter(&record.lineage));
        Some(record)
    }
}

struct HeadStands;

impl Flaw for HeadStands {
    fn judge(&self, now: Timestamp, stored: Option<&Stored>, write: &Write) -> Verdict {
        match judge(now, stored, write) {
            Verdict::Apply { mut record, previous } => {
                if let (On::Live, Some(before)) = (write.on, stored) {
                    record.lineage = before.lineage().clone();
                }
                Verdict::Apply { record, previous }
            }
            verdict => verdict,
        }
    }
}

struct Replaces;

impl Flaw for Replaces {
    fn judge(&self, now: Timestamp, stored: Option<&Stored>, write: &Write) -> Verdict {
        match judge(now, stored, write) {
            Verdict::Apply { mut record, previous } => {
                record.attributes = Attributes::new();
                write.delta.apply(&mut record.attributes);
                Verdict::Apply { record, previous }
            }
            verdict => verdict,
        }
    }
}

struct BelievesBase;

impl Flaw for BelievesBase {
    fn judge(&self, now: Timestamp, stored: Option<&Stored>, write: &Write) -> Verdict {
        match (judge(now, stored, write), &write.base) {
            (Verdict::Apply { mut record, previous }, Some(base)) => {
                record.attributes = base.record.attributes.clone();
                write.delta.apply(&mut record.attributes);
                Verdict::Apply { record, previous }
            }
            (verdict, _) => verdict,
        }
    }
}

struct LeavesHalf;

#[async_trait]
impl Flaw for LeavesHalf {
    async fn save(&self, store: &Flawed, key: &SessionKey, write: &Write) -> Result<SaveAnswer, Error> {
        let answer = store.sound_save(key, write)?;
        if let (SaveAnswer::Conflict { .. }, Some(Stored::Record(mut record))) =
            (&answer, store.get(key, Operation::Save)?)
        {
            write.delta.apply(&mut record.attributes);
            store.put(key, Some(&Stored::Record(record)));
        }
        Ok(answer)
    }
}

struct LeavesDeadline;

#[async_trait]
impl Flaw for LeavesDeadline {
    async fn save(&self, store: &Flawed, key: &SessionKey, write: &Write) -> Result<SaveAnswer, Error> {
        let answer = store.sound_save(key, write)?;
        if matches!(answer, SaveAnswer::Conflict { .. }) {
            store.sound_touch(key, write.deadline.moment())?;
        }
        Ok(answer)
    }
}

struct TwoSteps;

#[async_trait]
impl Flaw for TwoSteps {
    async fn save(&self, store: &Flawed, key: &SessionKey, write: &Write) -> Result<SaveAnswer, Error> {
        let before = store.get(key, Operation::Save)?;
        store.put(key, None);
        tokio::task::yield_now().await;
        store.put(key, before.as_ref());
        store.sound_save(key, write)
    }
}

struct OneByOne;

#[async_trait]
impl Flaw for OneByOne {
    async fn save(&self, store: &Flawed, key: &SessionKey, write: &Write) -> Result<SaveAnswer, Error> {
        let Some((name, value)) = write.delta.sets().first_key_value() else {
            return store.sound_save(key, write);
        };
        if let Some(Stored::Record(mut record)) = store.get(key, Operation::Save)? {
            record.attributes.insert(name.clone(), value.clone());
            store.put(key, Some(&Stored::Record(record)));
            tokio::task::yield_now().await;
        }
        store.sound_save(key, write)
    }
}

struct RetryConflicts;

impl Flaw for RetryConflicts {
    fn judge(&self, now: Timestamp, stored: Option<&Stored>, write: &Write) -> Verdict {
        match judge(now, stored, write) {
            Verdict::Repeated { .. } => Verdict::Conflict,
            verdict => verdict,
        }
    }
}

struct KnowsOnlyHead;

impl Flaw for KnowsOnlyHead {
    fn judge(&self, now: Timestamp, stored: Option<&Stored>, write: &Write) -> Verdict {
        let Some(Stored::Record(mut record)) = stored.cloned() else {
            return judge(now, stored, write);
        };
        record.lineage = Lineage::new(record.head());
        judge(now, Some(&Stored::Record(record)), write)
    }
}

struct RetryExtends;

impl Flaw for RetryExtends {
    fn judge(&self, now: Timestamp, stored: Option<&Stored>, write: &Write) -> Verdict {
        match (judge(now, stored, write), stored) {
            (Verdict::Repeated { previous }, Some(Stored::Record(record))) => {
                let mut record = record.clone();
                record.deadline = write.deadline.over(record.deadline);
                Verdict::Apply { record, previous }
            }
            (verdict, _) => verdict,
        }
    }
}
