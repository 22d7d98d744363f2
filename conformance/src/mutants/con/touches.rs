//! Stores that move the end of a session wrongly, touch more than that, or read what is too old.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use holdover_api::{
    Deadline, Error, Freshness, Loaded, On, Operation, SessionKey, Stamp, Stored, Timestamp, Verdict, Write,
    judge, judge_touch,
};

use crate::mutants::{Flaw, Flawed, Mutant};

pub(super) fn mutants() -> Vec<Mutant> {
    vec![
        mutant!(
            "con-m05",
            TouchWrites::default(),
            "a touch writes back what its node has loaded",
            ["CON-12"]
        ),
        mutant!("con-m12", TouchMovesHead, "a touch moves the head", ["CON-12", "CON-48"]),
        mutant!("con-m21", TouchShortens, "a touch sets the deadline, even to an earlier one", ["CON-41"]),
        mutant!("con-m21w", WriteShortens, "every deadline is taken exactly", ["CON-41"]),
        mutant!("con-m21e", NeverShortens, "no deadline is taken exactly", ["CON-42"]),
        mutant!(
            "con-m18",
            DropsTimeout,
            "a write after the first drops the server's time-out",
            ["CON-13", "CON-34"]
        ),
        mutant!("con-m17e", EndsEarly, "the server's time-out is shorter than the session", ["CON-13"]),
        mutant!("con-m43", ExpiredBlocks, "an expired session stands in the way of a new one", ["CON-43"]),
        mutant!(
            "con-m40",
            UnknownIsAbsent,
            "a load that asks for an unknown stamp answers absence",
            ["CON-40"]
        ),
    ]
}

#[derive(Default)]
struct TouchWrites(Mutex<BTreeMap<SessionKey, Loaded>>);

#[async_trait]
impl Flaw for TouchWrites {
    async fn load(&self, store: &Flawed, key: &SessionKey, _: Freshness) -> Result<Option<Loaded>, Error> {
        let found = store.sound_load(key)?;
        if let Some(loaded) = &found {
            let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            seen.insert(*key, loaded.clone());
        }
        Ok(found)
    }

    async fn touch(&self, store: &Flawed, key: &SessionKey, deadline: Timestamp) -> Result<bool, Error> {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned();
        if let (Some(seen), Some(Stored::Record(mut record))) = (seen, store.get(key, Operation::Touch)?) {
            record.attributes = seen.record.attributes.clone();
            store.put(key, Some(&Stored::Record(record)));
        }
        store.sound_touch(key, deadline)
    }
}

struct TouchMovesHead;

#[async_trait]
impl Flaw for TouchMovesHead {
    async fn touch(&self, store: &Flawed, key: &SessionKey, deadline: Timestamp) -> Result<bool, Error> {
        if let Some(Stored::Record(mut record)) = store.get(key, Operation::Touch)? {
            record.lineage = record.lineage.pushed(Stamp::from_bytes([7; 16]));
            store.put(key, Some(&Stored::Record(record)));
        }
        store.sound_touch(key, deadline)
    }
}

struct TouchShortens;

impl Flaw for TouchShortens {
    fn judge_touch(&self, now: Timestamp, stored: Option<&Stored>, deadline: Timestamp) -> Option<Timestamp> {
        judge_touch(now, stored, deadline).map(|_| deadline)
    }
}

struct WriteShortens;

impl Flaw for WriteShortens {
    fn judge(&self, now: Timestamp, stored: Option<&Stored>, write: &Write) -> Verdict {
        let deadline = Deadline::Exactly(write.deadline.moment());
        judge(now, stored, &Write { deadline, ..write.clone() })
    }
}

struct NeverShortens;

impl Flaw for NeverShortens {
    fn judge(&self, now: Timestamp, stored: Option<&Stored>, write: &Write) -> Verdict {
        let deadline = Deadline::AtLeast(write.deadline.moment());
        judge(now, stored, &Write { deadline, ..write.clone() })
    }
}

struct DropsTimeout;

impl Flaw for DropsTimeout {
    fn native_deadline(&self, stored: &Stored) -> Option<Timestamp> {
        (stored.lineage().stamps().len() == 1).then(|| stored.deadline())
    }
}

struct EndsEarly;

impl Flaw for EndsEarly {
    fn native_deadline(&self, stored: &Stored) -> Option<Timestamp> {
        Some(stored.deadline() - Duration::from_secs(60))
    }
}

struct ExpiredBlocks;

impl Flaw for ExpiredBlocks {
    fn judge(&self, now: Timestamp, stored: Option<&Stored>, write: &Write) -> Verdict {
        if stored.is_some() && matches!(write.on, On::Absent { .. }) {
            return judge(
                stored.map_or(now, |stored| stored.deadline() - Duration::from_millis(1)),
                stored,
                write,
            );
        }
        judge(now, stored, write)
    }
}

struct UnknownIsAbsent;

#[async_trait]
impl Flaw for UnknownIsAbsent {
    async fn load(
        &self,
        store: &Flawed,
        key: &SessionKey,
        freshness: Freshness,
    ) -> Result<Option<Loaded>, Error> {
        let found = store.sound_load(key)?;
        Ok(found.filter(|loaded| match freshness {
            Freshness::Latest | Freshness::Within(_) => true,
            Freshness::AtLeast(stamp) => loaded.record.lineage.contains(stamp),
        }))
    }
}
