//! Caches in each node, for readers that accept a copy: a sound one, with one flaw each.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use holdover_api::{
    Error, Freshness, InstallAnswer, Loaded, Record, SaveAnswer, SessionKey, Standing, Stopwatch, Stored,
    Timestamp, Write,
};
use tokio::task::yield_now;

use crate::mutants::Mutant;
use crate::mutants::base::{Flaw, Flawed};

pub(super) fn mutants() -> Vec<Mutant> {
    vec![
        mutant!(
            "race-m41a",
            Copies::with(Defect::NeverAges),
            "a copy is served however old it is",
            ["RACE-31", "RACE-32"]
        ),
        mutant!(
            "race-m42",
            Copies::with(Defect::Refills),
            "a load puts back what it has read, whatever happened meanwhile",
            ["RACE-33"]
        ),
        mutant!(
            "race-m42o",
            Copies::with(Defect::KeepsInItsOwnOrder),
            "store and cache take writes in different orders",
            ["RACE-36"]
        ),
        mutant!(
            "race-m43",
            Copies::with(Defect::ServesTheLost),
            "what the store does not have is served from the copy",
            ["RACE-32", "RACE-34", "EXP-24"]
        ),
        mutant!(
            "race-m43d",
            Copies::with(Defect::ServesTheDead),
            "a copy is served after its deadline",
            ["EXP-24"]
        ),
        mutant!(
            "race-m43r",
            Copies::with(Defect::OutlastsRefusals),
            "a refusal leaves the copy that it shows to be outdated",
            ["RACE-34"]
        ),
        mutant!(
            "race-m60",
            Copies::with(Defect::KeepsAbsence),
            "a node remembers that there was nothing",
            ["RACE-35"]
        ),
    ]
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Defect {
    #[cfg(test)]
    None,
    NeverAges,
    Refills,
    KeepsInItsOwnOrder,
    ServesTheLost,
    ServesTheDead,
    OutlastsRefusals,
    KeepsAbsence,
}

/// One node's copies. `None` is a remembered absence.
pub(super) struct Copies {
    defect: Defect,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    by_key: HashMap<SessionKey, (Option<Record>, Stopwatch)>,
    /// How often this node has changed anything: a load that began before puts nothing in.
    changes: u64,
}

impl Copies {
    pub(super) fn with(defect: Defect) -> Self {
        Self { defect, kept: Mutex::default() }
    }

    fn has(&self, defect: Defect) -> bool {
        self.defect == defect
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget(&self, key: &SessionKey) {
        let mut kept = self.lock();
        kept.changes += 1;
        kept.by_key.remove(key);
    }

    /// What a reader is served, if it accepts a copy: a record, or (outer some, inner nothing) an absence.
    fn copy_for(&self, now: Timestamp, key: &SessionKey, freshness: Freshness) -> Option<Option<Loaded>> {
        let kept = self.lock();
        let (record, asked) = kept.by_key.get(key)?;
        let accepted = match freshness {
            Freshness::Latest => false,
            Freshness::Within(bound) => self.has(Defect::NeverAges) || asked.elapsed() <= bound,
            Freshness::AtLeast(stamp) => record.as_ref().is_some_and(|record| record.lineage.contains(stamp)),
        };
        let live =
            self.has(Defect::ServesTheDead) || record.as_ref().is_none_or(|record| record.is_live(now));
        (accepted && live).then(|| record.clone().map(Loaded::from))
    }

    fn keep(&self, key: &SessionKey, loaded: Option<&Loaded>, asked: Stopwatch, changes: u64) {
        let mut kept = self.lock();
        if kept.changes != changes && !self.has(Defect::Refills) {
            return;
        }
        let record = loaded.map(|loaded| loaded.record.as_ref().clone());
        if record.is_some() || self.has(Defect::KeepsAbsence) {
            kept.by_key.insert(*key, (record, asked));
        } else if !self.has(Defect::ServesTheLost) {
            kept.by_key.remove(key);
        }
    }

    /// Several steps aside, not as many for every write.
    async fn dawdle(write: &Write) {
        for _ in 0..write.stamp.as_bytes()[0] % 8 {
            yield_now().await;
        }
    }
}

#[async_trait]
impl Flaw for Copies {
    async fn load(
        &self,
        store: &Flawed,
        key: &SessionKey,
        freshness: Freshness,
    ) -> Result<Option<Loaded>, Error> {
        if let Some(copy) = self.copy_for(store.now(), key, freshness) {
            return Ok(copy);
        }
        let (asked, changes) = (Stopwatch::start(), self.lock().changes);
        let loaded = store.sound_load(key)?;
        if self.has(Defect::Refills) {
            yield_now().await;
        }
        self.keep(key, loaded.as_ref(), asked, changes);
        if loaded.is_none() && self.has(Defect::ServesTheLost) {
            let kept = self.lock().by_key.get(key).and_then(|(record, _)| record.clone());
            return Ok(kept.map(Loaded::from));
        }
        Ok(loaded)
    }

    async fn save(&self, store: &Flawed, key: &SessionKey, write: &Write) -> Result<SaveAnswer, Error> {
        let asked = Stopwatch::start();
        let answer = store.sound_save(key, write)?;
        let saved = matches!(answer, SaveAnswer::Saved { .. });
        if saved && self.has(Defect::KeepsInItsOwnOrder) {
            let loaded = store.sound_load(key)?;
            Self::dawdle(write).await;
            let changes = self.lock().changes;
            self.keep(key, loaded.as_ref(), asked, changes);
        } else if saved || !(self.has(Defect::OutlastsRefusals) || self.has(Defect::ServesTheLost)) {
            self.forget(key);
        }
        Ok(answer)
    }

    async fn touch(&self, store: &Flawed, key: &SessionKey, deadline: Timestamp) -> Result<bool, Error> {
        let found = store.sound_touch(key, deadline)?;
        self.forget(key);
        Ok(found)
    }

    async fn delete(&self, store: &Flawed, key: &SessionKey) -> Result<(), Error> {
        store.sound_delete(key);
        self.forget(key);
        Ok(())
    }

    async fn install(
        &self,
        store: &Flawed,
        key: &SessionKey,
        over: Option<Standing>,
        new: &Stored,
    ) -> Result<InstallAnswer, Error> {
        let answer = store.sound_install(key, over, new)?;
        self.forget(key);
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Copies, Defect};
    use crate::case::Verdict;
    use crate::mutants::MutantHarness;
    use crate::run::run_case;
    use crate::suites;

    #[tokio::test(flavor = "multi_thread")]
    async fn the_cache_without_a_defect_passes_what_its_mutants_fail() {
        let sound = MutantHarness::of("copies", || Arc::new(Copies::with(Defect::None)));
        let named: Vec<&str> = super::mutants().iter().flat_map(|mutant| mutant.killed_by).copied().collect();
        for case in suites::all().into_iter().filter(|case| named.contains(&case.id)) {
            let verdict = run_case(&sound, &case, 0x5eed).await;
            assert_eq!(verdict, Verdict::Pass, "{case:?}");
        }
    }
}
