//! Flaws that take several steps, or a node's own memory.
//!
//! Between two steps each yields, so that whoever races with it gets in between for certain.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use holdover_api::{
    Error, ErrorKind, Freshness, Loaded, On, Operation, Record, SaveAnswer, SessionKey, Stamp, Stored,
    Timestamp, Verdict, Write, judge,
};
use tokio::task::yield_now;

use crate::mutants::Mutant;
use crate::mutants::base::{Flaw, Flawed};
use crate::mutants::shapes::TouchCreates;

pub(super) fn mutants() -> Vec<Mutant> {
    vec![
        mutant!(
            "race-m05",
            TouchCarries::default(),
            "a touch writes back what was loaded",
            ["RACE-10", "RACE-11"]
        ),
        mutant!("race-m06", TouchCreates, "a touch creates what is not there", ["RACE-06", "EXP-13"]),
        mutant!("race-m07", LooksThenStores, "a create looks first and stores then", ["RACE-12", "RACE-13"]),
        mutant!(
            "race-m10",
            RefusedLeaks,
            "a refused write leaves its attributes behind",
            ["RACE-04", "RACE-17", "RACE-19", "RACE-21"]
        ),
        mutant!("race-m11", TwoSteps, "the content is stored first and the deadline then", ["RACE-18"]),
        mutant!("race-m12", TouchBumps, "a touch counts as a write", ["RACE-10", "RACE-11"]),
        mutant!(
            "race-m09",
            DeletesFirst::default(),
            "a renewal deletes the old session before it creates the new one",
            ["RACE-16"]
        ),
        mutant!(
            "race-m09c",
            RenewalForgotten,
            "the create of a session that began earlier is acknowledged and stored nowhere",
            ["RACE-16"]
        ),
        mutant!(
            "race-m41",
            NodeCache::default(),
            "each node has a cache that nobody invalidates",
            ["RACE-20", "RACE-22", "RACE-23", "RACE-31"]
        ),
        mutant!("race-m54", LoadPutsBack, "a load puts back what it has read", ["RACE-07"]),
        mutant!("race-m55", DeleteInsists, "deleting what is not there is an error", ["RACE-08"]),
        mutant!(
            "race-m56",
            StaleConflict,
            "a conflict carries the record that its writer already had",
            ["RACE-02", "RACE-03", "RACE-37"]
        ),
    ]
}

/// What one node remembers.
#[derive(Default)]
struct Remembered(Mutex<HashMap<SessionKey, Record>>);

impl Remembered {
    fn lock(&self) -> MutexGuard<'_, HashMap<SessionKey, Record>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, key: &SessionKey) -> Option<Record> {
        self.lock().get(key).cloned()
    }

    fn put(&self, key: &SessionKey, loaded: Option<&Loaded>) {
        let mut remembered = self.lock();
        match loaded {
            Some(loaded) => remembered.insert(*key, loaded.record.as_ref().clone()),
            None => remembered.remove(key),
        };
    }
}

#[derive(Default)]
struct TouchCarries(Remembered);

#[async_trait]
impl Flaw for TouchCarries {
    async fn load(&self, store: &Flawed, key: &SessionKey, _: Freshness) -> Result<Option<Loaded>, Error> {
        let loaded = store.sound_load(key)?;
        self.0.put(key, loaded.as_ref());
        Ok(loaded)
    }

    async fn touch(&self, store: &Flawed, key: &SessionKey, deadline: Timestamp) -> Result<bool, Error> {
        if !store.sound_touch(key, deadline)? {
            return Ok(false);
        }
        if let Some(loaded) = self.0.get(key) {
            let deadline = loaded.deadline.max(deadline);
            store.put(key, Some(&Stored::Record(Record { deadline, ..loaded })));
        }
        Ok(true)
    }
}

struct LooksThenStores;

#[async_trait]
impl Flaw for LooksThenStores {
    async fn save(&self, store: &Flawed, key: &SessionKey, write: &Write) -> Result<SaveAnswer, Error> {
        if !matches!(write.on, On::Absent { .. }) {
            return store.sound_save(key, write);
        }
        let verdict = judge(store.now(), store.get(key, Operation::Save)?.as_ref(), write);
        yield_now().await;
        let Verdict::Apply { record, previous } = verdict else {
            return store.sound_save(key, write);
        };
        store.put(key, Some(&Stored::Record(record)));
        Ok(SaveAnswer::Saved { previous })
    }
}

struct RefusedLeaks;

#[async_trait]
impl Flaw for RefusedLeaks {
    async fn save(&self, store: &Flawed, key: &SessionKey, write: &Write) -> Result<SaveAnswer, Error> {
        let answer = store.sound_save(key, write)?;
        if !matches!(answer, SaveAnswer::Conflict { .. }) {
            return Ok(answer);
        }
        if let Some(Stored::Record(mut record)) = store.get(key, Operation::Save)? {
            write.delta.apply(&mut record.attributes);
            store.put(key, Some(&Stored::Record(record)));
        }
        Ok(answer)
    }
}

struct TwoSteps;

#[async_trait]
impl Flaw for TwoSteps {
    async fn save(&self, store: &Flawed, key: &SessionKey, write: &Write) -> Result<SaveAnswer, Error> {
        let stored = store.get(key, Operation::Save)?;
        let Verdict::Apply { record, previous } = judge(store.now(), stored.as_ref(), write) else {
            return store.sound_save(key, write);
        };
        if let Some(stored) = stored {
            let content = Record { deadline: stored.deadline(), ..record.clone() };
            store.put(key, Some(&Stored::Record(content)));
            yield_now().await;
        }
        store.put(key, Some(&Stored::Record(record)));
        Ok(SaveAnswer::Saved { previous })
    }
}

struct TouchBumps;

#[async_trait]
impl Flaw for TouchBumps {
    async fn touch(&self, store: &Flawed, key: &SessionKey, deadline: Timestamp) -> Result<bool, Error> {
        if !store.sound_touch(key, deadline)? {
            return Ok(false);
        }
        if let Some(Stored::Record(mut record)) = store.get(key, Operation::Touch)? {
            record.lineage = record.lineage.pushed(Stamp::from_bytes([12; 16]));
            store.put(key, Some(&Stored::Record(record)));
        }
        Ok(true)
    }
}

struct RenewalForgotten;

#[async_trait]
impl Flaw for RenewalForgotten {
    async fn save(&self, store: &Flawed, key: &SessionKey, write: &Write) -> Result<SaveAnswer, Error> {
        let answer = store.sound_save(key, write)?;
        if matches!(write.on, On::Absent { created } if created < store.now()) {
            store.put(key, None);
        }
        Ok(answer)
    }
}

/// The session that this node loaded last is the one that is renewed.
#[derive(Default)]
struct DeletesFirst(Mutex<Option<SessionKey>>);

#[async_trait]
impl Flaw for DeletesFirst {
    async fn load(&self, store: &Flawed, key: &SessionKey, _: Freshness) -> Result<Option<Loaded>, Error> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(*key);
        store.sound_load(key)
    }

    async fn save(&self, store: &Flawed, key: &SessionKey, write: &Write) -> Result<SaveAnswer, Error> {
        let old = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let (On::Absent { created }, Some(old)) = (write.on, old)
            && created < store.now()
        {
            store.put(&old, None);
        }
        store.sound_save(key, write)
    }
}

#[derive(Default)]
struct NodeCache(Remembered);

#[async_trait]
impl Flaw for NodeCache {
    async fn load(&self, store: &Flawed, key: &SessionKey, _: Freshness) -> Result<Option<Loaded>, Error> {
        if let Some(cached) = self.0.get(key).filter(|record| record.is_live(store.now())) {
            return Ok(Some(Loaded::from(cached)));
        }
        let loaded = store.sound_load(key)?;
        self.0.put(key, loaded.as_ref());
        Ok(loaded)
    }

    async fn save(&self, store: &Flawed, key: &SessionKey, write: &Write) -> Result<SaveAnswer, Error> {
        let answer = store.sound_save(key, write)?;
        self.0.put(key, store.sound_load(key)?.as_ref());
        Ok(answer)
    }

    async fn delete(&self, store: &Flawed, key: &SessionKey) -> Result<(), Error> {
        self.0.put(key, None);
        store.put(key, None);
        Ok(())
    }
}

struct LoadPutsBack;

#[async_trait]
impl Flaw for LoadPutsBack {
    async fn load(&self, store: &Flawed, key: &SessionKey, _: Freshness) -> Result<Option<Loaded>, Error> {
        let read = store.get(key, Operation::Load)?;
        let loaded = store.sound_load(key)?;
        if loaded.is_some() {
            yield_now().await;
            store.put(key, read.as_ref());
        }
        Ok(loaded)
    }
}

struct DeleteInsists;

#[async_trait]
impl Flaw for DeleteInsists {
    async fn delete(&self, store: &Flawed, key: &SessionKey) -> Result<(), Error> {
        if store.get(key, Operation::Delete)?.is_none() {
            return Err(store.error(ErrorKind::Unexpected, Operation::Delete));
        }
        store.put(key, None);
        Ok(())
    }
}

struct StaleConflict;

#[async_trait]
impl Flaw for StaleConflict {
    async fn save(&self, store: &Flawed, key: &SessionKey, write: &Write) -> Result<SaveAnswer, Error> {
        let answer = store.sound_save(key, write)?;
        Ok(match answer {
            SaveAnswer::Conflict { .. } => SaveAnswer::Conflict { current: write.base.clone() },
            answer => answer,
        })
    }
}
