//! Stores that create too much, keep too much, or forget.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use holdover_api::{
    Error, Freshness, Lineage, Loaded, On, Record, SaveAnswer, SessionKey, Stamp, Stored, Timestamp, Verdict,
    Write, judge,
};

use crate::mutants::shapes::{DeleteOfNothingFails, SaveUpserts};
use crate::mutants::{Flaw, Flawed, Mutant};
use crate::trial::LIFETIME;

pub(super) fn mutants() -> Vec<Mutant> {
    vec![
        mutant!(
            "con-m01",
            StoresNothing,
            "a create is acknowledged and stores nothing",
            ["CON-01", "CON-14", "CON-15", "CON-16", "CON-35"]
        ),
        mutant!("con-m08-load", LoadCreates, "a load of an unknown key creates an empty session", ["CON-02"]),
        mutant!(
            "con-m04",
            SaveUpserts,
            "a save of what is not there creates it",
            ["CON-03", "CON-07", "CON-08", "CON-31", "CON-36"]
        ),
        mutant!(
            "con-m15",
            GoneIsSaved,
            "a write to what is not there is acknowledged and dropped",
            ["CON-03", "CON-07", "CON-08", "CON-43"]
        ),
        mutant!(
            "con-m06",
            TouchCreates,
            "a touch of what is not there leaves a husk",
            ["CON-04", "CON-07", "CON-48"]
        ),
        mutant!(
            "con-m14",
            DeleteOfNothingFails,
            "a deletion of nothing is an error",
            ["CON-05", "CON-08", "CON-48"]
        ),
        mutant!(
            "con-m07",
            CreateOverwrites,
            "a second create replaces the first session",
            ["CON-06", "CON-39", "CON-25"]
        ),
        mutant!(
            "con-m04d",
            DeleteKeeps,
            "a deletion is acknowledged and does nothing",
            ["CON-07", "CON-08", "CON-32", "CON-35", "CON-48"]
        ),
        mutant!("con-m36", DeletesEverywhere, "a deletion reaches every place", ["CON-31"]),
        mutant!("con-m31", PlacesShared, "the prefix is not part of the name", ["CON-31"]),
        mutant!("con-m17", ShortNames, "a key is shortened to its first eight bytes", ["CON-18"]),
        mutant!("con-m41", OneNodeAlone::new(), "each node keeps its own sessions", ["CON-32", "CON-12"]),
        mutant!(
            "con-m41c",
            Cache::default(),
            "a node keeps what it has loaded and never looks again",
            ["CON-09", "CON-32", "CON-40"]
        ),
        mutant!("con-m16", ReadsTheExpired, "a load does not look at the deadline", ["CON-42", "CON-43"]),
    ]
}

struct StoresNothing;

#[async_trait]
impl Flaw for StoresNothing {
    async fn save(&self, store: &Flawed, key: &SessionKey, write: &Write) -> Result<SaveAnswer, Error> {
        if matches!(write.on, On::Absent { .. }) {
            return Ok(SaveAnswer::Saved { previous: None });
        }
        store.sound_save(key, write)
    }
}

fn husk(now: Timestamp) -> Stored {
    Stored::Record(Record {
        attributes: BTreeMap::default(),
        lineage: Lineage::new(Stamp::from_bytes([0; 16])),
        created: now,
        deadline: now + LIFETIME,
    })
}

struct LoadCreates;

#[async_trait]
impl Flaw for LoadCreates {
    async fn load(&self, store: &Flawed, key: &SessionKey, _: Freshness) -> Result<Option<Loaded>, Error> {
        let found = store.sound_load(key)?;
        if found.is_none() {
            store.put(key, Some(&husk(store.now())));
        }
        Ok(found)
    }
}

struct GoneIsSaved;

impl Flaw for GoneIsSaved {
    fn judge(&self, now: Timestamp, stored: Option<&Stored>, write: &Write) -> Verdict {
        match judge(now, stored, write) {
            Verdict::Gone => Verdict::Repeated { previous: None },
            verdict => verdict,
        }
    }
}

struct TouchCreates;

#[async_trait]
impl Flaw for TouchCreates {
    async fn touch(&self, store: &Flawed, key: &SessionKey, deadline: Timestamp) -> Result<bool, Error> {
        if store.sound_load(key)?.is_none() {
            store.put(key, Some(&husk(store.now())));
        }
        store.sound_touch(key, deadline)
    }
}

struct CreateOverwrites;

impl Flaw for CreateOverwrites {
    fn judge(&self, now: Timestamp, stored: Option<&Stored>, write: &Write) -> Verdict {
        match judge(now, stored, write) {
            Verdict::Conflict if matches!(write.on, On::Absent { .. }) => judge(now, None, write),
            verdict => verdict,
        }
    }
}

struct DeleteKeeps;

#[async_trait]
impl Flaw for DeleteKeeps {
    async fn delete(&self, _: &Flawed, _: &SessionKey) -> Result<(), Error> {
        Ok(())
    }
}

struct DeletesEverywhere;

#[async_trait]
impl Flaw for DeletesEverywhere {
    async fn delete(&self, store: &Flawed, key: &SessionKey) -> Result<(), Error> {
        let suffix = format!(":{key}");
        store.shelf().cells().retain(|name, _| !name.ends_with(&suffix));
        Ok(())
    }
}

struct PlacesShared;

impl Flaw for PlacesShared {
    fn name(&self, _: &str, key: &SessionKey) -> String {
        format!("everywhere:{key}")
    }
}

struct ShortNames;

impl Flaw for ShortNames {
    fn name(&self, place: &str, key: &SessionKey) -> String {
        let text = key.to_string();
        format!("{place}:{}", &text[..16])
    }
}

/// Sessions of one node, by a number that no other node has.
struct OneNodeAlone(u64);

impl OneNodeAlone {
    fn new() -> Self {
        static NODES: AtomicU64 = AtomicU64::new(0);
        Self(NODES.fetch_add(1, Ordering::Relaxed))
    }
}

impl Flaw for OneNodeAlone {
    fn name(&self, place: &str, key: &SessionKey) -> String {
        format!("{place}:{}:{key}", self.0)
    }
}

#[derive(Default)]
struct Cache(Mutex<BTreeMap<SessionKey, Loaded>>);

#[async_trait]
impl Flaw for Cache {
    async fn load(&self, store: &Flawed, key: &SessionKey, _: Freshness) -> Result<Option<Loaded>, Error> {
        let mut cached = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(loaded) = cached.get(key) {
            return Ok(Some(loaded.clone()));
        }
        let found = store.sound_load(key)?;
        if let Some(loaded) = &found {
            cached.insert(*key, loaded.clone());
        }
        Ok(found)
    }
}

struct ReadsTheExpired;

impl Flaw for ReadsTheExpired {
    fn read(&self, _: Timestamp, stored: Stored) -> Option<Record> {
        match stored {
            Stored::Record(record) => Some(record),
            Stored::Tombstone(_) => None,
        }
    }

    fn native_deadline(&self, stored: &Stored) -> Option<Timestamp> {
        Some(stored.deadline() + LIFETIME)
    }
}
