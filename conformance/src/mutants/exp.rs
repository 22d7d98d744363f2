//! Broken stores that the EXP cases have to catch.

use std::time::Duration;

use async_trait::async_trait;
use holdover_api::{
    Clock, Deadline, Error, Freshness, InstallAnswer, Loaded, Operation, Record, SaveAnswer, SessionKey,
    Standing, Stored, SystemClock, Timestamp, Tombstone, Verdict, Write, judge, judge_touch,
};
use tokio::task::yield_now;

use super::Mutant;
use super::base::{Flaw, Flawed};
use crate::trial::LIFETIME;

const THIRTY_DAYS: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The mutants of this suite.
pub(super) fn mutants() -> Vec<Mutant> {
    let mut mutants = granted();
    mutants.extend(kept());
    mutants
}

/// What is granted is wrong.
fn granted() -> Vec<Mutant> {
    vec![
        mutant!(
            "exp-m17",
            Regrants(a_fifth_short),
            "a lifetime is a fifth too short",
            ["EXP-01", "EXP-06", "EXP-26"]
        ),
        mutant!(
            "exp-m20",
            Regrants(as_a_date),
            "a lifetime of more than thirty days is read as a date",
            ["EXP-10"]
        ),
        mutant!("exp-m20i", Regrants(in_32_bits), "a lifetime is counted in 32 bits of seconds", ["EXP-10"]),
        mutant!("exp-m20s", Regrants(in_seconds), "a lifetime is cut to whole seconds", ["EXP-10"]),
        mutant!("exp-m20z", Regrants(past_is_for_ever), "a deadline in the past means for ever", ["EXP-11"]),
        mutant!("exp-m57", Regrants(one_for_all), "all sessions have one lifetime", ["EXP-07", "EXP-08"]),
        mutant!("exp-m24", BeginsAnew, "every write begins the session anew", ["EXP-09"]),
        mutant!("exp-m58", RetryExtends, "a retry counts its lifetime from its own now", ["EXP-06"]),
        mutant!("exp-m59", NeverShortens, "a write that says exactly does not shorten", ["EXP-08", "EXP-11"]),
        mutant!(
            "exp-m21",
            LastDeadlineStays,
            "the last writer's deadline stays",
            ["EXP-08", "EXP-15", "EXP-17"]
        ),
    ]
}

/// What was granted is not kept.
fn kept() -> Vec<Mutant> {
    vec![
        mutant!("exp-m04t", ShortTombstone, "a tombstone is forgotten half way", ["EXP-25"]),
        mutant!(
            "exp-m16",
            ReadsTheDead,
            "a read does not look at the deadline",
            ["EXP-02", "EXP-03", "EXP-04", "EXP-13", "EXP-14", "EXP-26"]
        ),
        mutant!(
            "exp-m18",
            DropsNative,
            "a save drops the server's own time-out",
            ["EXP-10", "EXP-12", "EXP-22", "EXP-23", "RACE-18"]
        ),
        mutant!(
            "exp-m18r",
            RelativeNative,
            "the server's time-out is counted from the node's now",
            ["EXP-21"]
        ),
        mutant!("exp-m19", TouchForgotten, "a touch is acknowledged and not stored", ["EXP-04"]),
        mutant!("exp-m19l", LoadExtends, "a load extends", ["EXP-05"]),
        mutant!(
            "exp-m22e",
            RevivesTheExpired,
            "a save revives what has expired",
            ["EXP-13", "EXP-14", "EXP-26"]
        ),
        mutant!(
            "exp-m23",
            Reaps,
            "a node removes what its own clock calls expired",
            ["EXP-16", "EXP-18", "EXP-19", "EXP-20"]
        ),
    ]
}

/// Changes the deadline that a save grants, given what was granted and the time now.
struct Regrants(fn(Timestamp, Timestamp) -> Timestamp);

impl Flaw for Regrants {
    fn judge(&self, now: Timestamp, stored: Option<&Stored>, write: &Write) -> Verdict {
        changed(judge(now, stored, write), |record| record.deadline = (self.0)(record.deadline, now))
    }
}

fn changed(verdict: Verdict, change: impl FnOnce(&mut Record)) -> Verdict {
    match verdict {
        Verdict::Apply { mut record, previous } => {
            change(&mut record);
            Verdict::Apply { record, previous }
        }
        other => other,
    }
}

fn a_fifth_short(deadline: Timestamp, now: Timestamp) -> Timestamp {
    now + deadline.since(now).mul_f64(0.8)
}

fn as_a_date(deadline: Timestamp, now: Timestamp) -> Timestamp {
    let lifetime = deadline.since(now);
    if lifetime > THIRTY_DAYS { Timestamp::default() + lifetime } else { deadline }
}

fn in_32_bits(deadline: Timestamp, now: Timestamp) -> Timestamp {
    let lifetime = deadline.since(now);
    // What overflows is negative, and dead at once.
    if i32::try_from(lifetime.as_secs()).is_ok() { deadline } else { now }
}

fn in_seconds(deadline: Timestamp, now: Timestamp) -> Timestamp {
    now + Duration::from_secs(deadline.since(now).as_secs())
}

fn past_is_for_ever(deadline: Timestamp, now: Timestamp) -> Timestamp {
    if deadline <= now { Timestamp::MAX } else { deadline }
}

fn one_for_all(_deadline: Timestamp, now: Timestamp) -> Timestamp {
    now + LIFETIME
}

struct BeginsAnew;

impl Flaw for BeginsAnew {
    fn judge(&self, now: Timestamp, stored: Option<&Stored>, write: &Write) -> Verdict {
        changed(judge(now, stored, write), |record| record.created = now)
    }
}

struct RetryExtends;

impl Flaw for RetryExtends {
    fn judge(&self, now: Timestamp, stored: Option<&Stored>, write: &Write) -> Verdict {
        let verdict = judge(now, stored, write);
        let (Verdict::Repeated { previous }, Some(Stored::Record(record))) = (&verdict, stored) else {
            return verdict;
        };
        let deadline = record.deadline.max(now + LIFETIME);
        Verdict::Apply { record: Record { deadline, ..record.clone() }, previous: *previous }
    }
}

struct NeverShortens;

impl Flaw for NeverShortens {
    fn judge(&self, now: Timestamp, stored: Option<&Stored>, write: &Write) -> Verdict {
        let deadline = Deadline::AtLeast(write.deadline.moment());
        judge(now, stored, &Write { deadline, ..write.clone() })
    }
}

struct LastDeadlineStays;

impl Flaw for LastDeadlineStays {
    fn judge(&self, now: Timestamp, stored: Option<&Stored>, write: &Write) -> Verdict {
        let deadline = Deadline::Exactly(write.deadline.moment());
        judge(now, stored, &Write { deadline, ..write.clone() })
    }

    fn judge_touch(&self, now: Timestamp, stored: Option<&Stored>, deadline: Timestamp) -> Option<Timestamp> {
        judge_touch(now, stored, deadline).map(|_| deadline)
    }
}

struct ShortTombstone;

#[async_trait]
impl Flaw for ShortTombstone {
    async fn install(
        &self,
        store: &Flawed,
        key: &SessionKey,
        over: Option<Standing>,
        new: &Stored,
    ) -> Result<InstallAnswer, Error> {
        let Stored::Tombstone(tombstone) = new else {
            return store.sound_install(key, over, new);
        };
        let now = store.now();
        let deadline = now + tombstone.deadline.since(now) / 2;
        let lineage = tombstone.lineage.clone();
        store.sound_install(key, over, &Stored::Tombstone(Tombstone { lineage, deadline }))
    }
}

struct ReadsTheDead;

impl Flaw for ReadsTheDead {
    fn read(&self, _now: Timestamp, stored: Stored) -> Option<Record> {
        match stored {
            Stored::Record(record) => Some(record),
            Stored::Tombstone(_) => None,
        }
    }
}

struct DropsNative;

impl Flaw for DropsNative {
    fn native_deadline(&self, stored: &Stored) -> Option<Timestamp> {
        let only_created = stored.lineage().stamps().len() == 1;
        only_created.then(|| stored.deadline())
    }
}

struct RelativeNative;

impl RelativeNative {
    fn recount(&self, store: &Flawed, key: &SessionKey) {
        let name = self.name(store.place(), key);
        let Ok(Some(stored)) = store.get(key, Operation::Inspect) else {
            return;
        };
        let lifetime = stored.deadline().since(store.now());
        if let Some(cell) = store.shelf().cells().get_mut(&name) {
            cell.native_deadline = Some(SystemClock.now() + lifetime);
        }
    }
}

#[async_trait]
impl Flaw for RelativeNative {
    async fn save(&self, store: &Flawed, key: &SessionKey, write: &Write) -> Result<SaveAnswer, Error> {
        let answer = store.sound_save(key, write)?;
        self.recount(store, key);
        Ok(answer)
    }

    async fn touch(&self, store: &Flawed, key: &SessionKey, deadline: Timestamp) -> Result<bool, Error> {
        let touched = store.sound_touch(key, deadline)?;
        self.recount(store, key);
        Ok(touched)
    }
}

struct TouchForgotten;

impl Flaw for TouchForgotten {
    fn judge_touch(
        &self,
        now: Timestamp,
        stored: Option<&Stored>,
        _deadline: Timestamp,
    ) -> Option<Timestamp> {
        judge_touch(now, stored, Timestamp::default())
    }
}

struct LoadExtends;

#[async_trait]
impl Flaw for LoadExtends {
    async fn load(&self, store: &Flawed, key: &SessionKey, _: Freshness) -> Result<Option<Loaded>, Error> {
        store.sound_touch(key, store.now() + LIFETIME)?;
        store.sound_load(key)
    }
}

struct RevivesTheExpired;

impl Flaw for RevivesTheExpired {
    fn judge(&self, now: Timestamp, stored: Option<&Stored>, write: &Write) -> Verdict {
        let verdict = judge(now, stored, write);
        if verdict != Verdict::Gone {
            return verdict;
        }
        judge(Timestamp::default(), stored, write)
    }
}

struct Reaps;

#[async_trait]
impl Flaw for Reaps {
    async fn load(&self, store: &Flawed, key: &SessionKey, _: Freshness) -> Result<Option<Loaded>, Error> {
        let read = store.get(key, Operation::Load)?;
        if read.is_some_and(|stored| stored.is_over(store.now())) {
            yield_now().await;
            store.put(key, None);
            return Ok(None);
        }
        store.sound_load(key)
    }
}
