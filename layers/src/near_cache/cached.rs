//! The store around the store.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use holdover_api::{
    Capabilities, CheapReads, Clock, Error, Freshness, InstallAnswer, Loaded, Record, SaveAnswer, SessionKey,
    SessionStore, Standing, Stopwatch, Stored, Timestamp, Write, frame,
};
use metrics::{SharedString, counter};
use moka::future::Cache;
use moka::ops::compute::Op;

use super::NearCache;
use super::flights::{Flight, Flights, Validity};
use crate::metrics::names;

/// What a copy takes besides its record's bytes: key, pointers and the cache's own bookkeeping, on the generous side.
const OVERHEAD: usize = 512;

/// A record as the store had it, or as a change made it.
#[derive(Clone, Debug)]
struct Copy {
    loaded: Loaded,
    /// Since before the store was asked: the copy was the latest no longer ago than this says.
    asked: Stopwatch,
    validity: Validity,
}

pub(super) struct Cached {
    inner: Arc<dyn SessionStore>,
    /// Whether the inner store answers every load with the latest.
    inner_is_latest: bool,
    clock: Arc<dyn Clock>,
    label: SharedString,
    max_age: Duration,
    copies: Cache<SessionKey, Copy>,
    flights: Flights,
}

impl Cached {
    pub(super) fn new(inner: Arc<dyn SessionStore>, settings: &NearCache, clock: Arc<dyn Clock>) -> Self {
        let weight = |_: &SessionKey, copy: &Copy| {
            u32::try_from(frame::size(&copy.loaded.record) + OVERHEAD).unwrap_or(u32::MAX)
        };
        let copies = Cache::builder()
            .max_capacity(settings.max_bytes)
            .weigher(weight)
            // Makes room only: what may be served is decided by the copy's own age.
            .time_to_live(settings.max_age)
            .build();
        let label = SharedString::from(Arc::<str>::from(inner.to_string()));
        let inner_is_latest = inner.capabilities().cheap_reads == CheapReads::None;
        let max_age = settings.max_age;
        Self { inner, inner_is_latest, clock, label, max_age, copies, flights: Flights::default() }
    }

    /// The copy, if this reader accepts it.
    async fn copy_for(&self, key: &SessionKey, freshness: Freshness) -> Option<Loaded> {
        let copy = self.copies.get(key).await?;
        let accepted = match freshness {
            Freshness::Latest => return None,
            Freshness::Within(bound) => copy.asked.elapsed() <= bound.min(self.max_age),
            Freshness::AtLeast(stamp) => {
                copy.asked.elapsed() <= self.max_age && copy.loaded.record.lineage.contains(stamp)
            }
        };
        let live = copy.loaded.record.is_live(self.clock.now());
        (accepted && live && copy.validity.holds()).then_some(copy.loaded)
    }

    /// Loads the latest and keeps it.
    async fn refresh(&self, key: &SessionKey) -> Result<Option<Loaded>, Error> {
        let flight = self.flights.board(key);
        let asked = Stopwatch::start();
        let answer = self.inner.load(key, Freshness::Latest).await?;
        match &answer {
            Some(loaded) => self.keep(key, &flight, asked, loaded.clone()).await,
            None => self.drop_copies(key, &flight).await,
        }
        Ok(answer)
    }

    /// Puts a copy in, unless a change has overtaken it or a younger copy is there.
    async fn keep(&self, key: &SessionKey, flight: &Flight<'_>, asked: Stopwatch, loaded: Loaded) {
        let copy = Copy { loaded, asked, validity: flight.validity().clone() };
        let slot = self.copies.entry(*key);
        slot.and_compute_with(|present| async {
            let younger = present.map(moka::Entry::into_value).is_some_and(|present| {
                present.validity.holds() && present.asked.elapsed() < copy.asked.elapsed()
            });
            if younger || !copy.validity.holds() { Op::Nop } else { Op::Put(copy) }
        })
        .await;
    }

    /// The copy, whatever its age, unless something has made it outdated.
    async fn valid_copy(&self, key: &SessionKey) -> Option<Copy> {
        self.copies.get(key).await.filter(|copy| copy.validity.holds())
    }

    /// Drops the copy, and voids those that others are making.
    async fn drop_copies(&self, key: &SessionKey, own: &Flight<'_>) {
        self.flights.void_others(key, own);
        self.copies.invalidate(key).await;
    }

    /// Makes a change, and replaces the copy with what `changed` makes of the answer and the copy from before; if that is
    /// nothing, the copy stays dropped.
    ///
    /// The changed copy is no younger than the one it was made from: the store may have recognised an earlier attempt,
    /// after which others wrote. But not before that copy was read, which does not hold the change.
    async fn change<T>(
        &self,
        key: &SessionKey,
        work: impl Future<Output = Result<T, Error>>,
        changed: impl FnOnce(&T, &Record) -> Option<Record>,
    ) -> Result<T, Error> {
        // Aboard from before the copy is read until the changed one is in place: a change that overtakes this one voids it.
        let flight = self.flights.board(key);
        let before = self.valid_copy(key).await;
        self.drop_copies(key, &flight).await;
        let answer = work.await;
        // Somebody may have loaded meanwhile, before the change took effect or after.
        let before = self.valid_copy(key).await.or(before);
        self.drop_copies(key, &flight).await;
        if let (Ok(answer), Some(before)) = (&answer, before)
            && let Some(record) = changed(answer, &before.loaded.record)
        {
            self.keep(key, &flight, before.asked, Loaded::from(record)).await;
        }
        answer
    }

    /// Makes a change after which the copy stays dropped.
    async fn change_and_drop<T>(
        &self,
        key: &SessionKey,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        self.change(key, work, |_, _| None).await
    }

    fn count(&self, outcome: &'static str) {
        counter!(names::CACHE_LOADS, "store" => self.label.clone(), "outcome" => outcome).increment(1);
    }
}

impl fmt::Display for Cached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "near_cache({})", self.inner)
    }
}

impl fmt::Debug for Cached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NearCache")
            .field("inner", &self.inner)
            .field("max_age", &self.max_age)
            .field("copies", &self.copies.entry_count())
            .finish_non_exhaustive()
    }
}

/// The copy after a save, if the save is known to have been made on exactly that one.
fn after_save(answer: &SaveAnswer, write: &Write, before: &Record) -> Option<Record> {
    let made_on_it = matches!(answer, SaveAnswer::Saved { previous } if *previous == Some(before.head()));
    made_on_it.then(|| before.after(write))
}

/// The copy after a touch that found a live session. Its deadline is never later than the stored one was.
fn after_touch(found: bool, deadline: Timestamp, before: &Record) -> Option<Record> {
    found.then(|| Record { deadline: before.deadline.max(deadline), ..before.clone() })
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl SessionStore for Cached {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            cheap_reads: CheapReads::Cached { max_age: self.max_age },
            ..self.inner.capabilities()
        }
    }

    async fn load(&self, key: &SessionKey, freshness: Freshness) -> Result<Option<Loaded>, Error> {
        if freshness == Freshness::Latest {
            return self.refresh(key).await;
        }
        if let Some(loaded) = self.copy_for(key, freshness).await {
            self.count("hit");
            return Ok(Some(loaded));
        }
        self.count("miss");
        if matches!(freshness, Freshness::AtLeast(_)) && !self.inner_is_latest {
            // Cheaper, and no copy to keep: it need not be the latest.
            return self.inner.load(key, freshness).await;
        }
        self.refresh(key).await
    }

    async fn save(&self, key: &SessionKey, write: &Write) -> Result<SaveAnswer, Error> {
        let changed = |answer: &SaveAnswer, before: &Record| after_save(answer, write, before);
        self.change(key, self.inner.save(key, write), changed).await
    }

    async fn touch(&self, key: &SessionKey, deadline: Timestamp) -> Result<bool, Error> {
        let changed = |found: &bool, before: &Record| after_touch(*found, deadline, before);
        self.change(key, self.inner.touch(key, deadline), changed).await
    }

    async fn delete(&self, key: &SessionKey) -> Result<(), Error> {
        self.change_and_drop(key, self.inner.delete(key)).await
    }

    async fn inspect(&self, key: &SessionKey) -> Result<Option<Stored>, Error> {
        self.inner.inspect(key).await
    }

    async fn install(
        &self,
        key: &SessionKey,
        over: Option<Standing>,
        new: &Stored,
    ) -> Result<InstallAnswer, Error> {
        self.change_and_drop(key, self.inner.install(key, over, new)).await
    }
}

#[cfg(test)]
mod tests {
    use holdover_api::{Deadline, Delta, Memory, On, Stamp, SystemClock};

    use super::*;

    fn cached(max_bytes: u64) -> (Memory, Cached) {
        let memory = Memory::new();
        let settings = NearCache { max_bytes, ..NearCache::default() };
        let cached = Cached::new(Arc::new(memory.clone()), &settings, Arc::new(SystemClock));
        (memory, cached)
    }

    async fn create(memory: &Memory, number: u8) -> SessionKey {
        let key = SessionKey::from_bytes([number; 32]);
        let mut delta = Delta::default();
        delta.set("page", vec![0; 1024]);
        let now = SystemClock.now();
        let deadline = Deadline::AtLeast(now + Duration::from_secs(600));
        let (on, stamp) = (On::Absent { created: now }, Stamp::from_bytes([number; 16]));
        memory.save(&key, &Write { on, delta, stamp, deadline, base: None }).await.unwrap();
        key
    }

    #[tokio::test]
    async fn copies_take_no_more_room_than_they_are_given() {
        let max_bytes = 64 * 1024;
        let (memory, cached) = cached(max_bytes);
        for number in 0..100 {
            let key = create(&memory, number).await;
            assert!(cached.load(&key, Freshness::Latest).await.unwrap().is_some());
        }
        cached.copies.run_pending_tasks().await;
        assert!(cached.copies.weighted_size() <= max_bytes, "{}", cached.copies.weighted_size());
        assert!(cached.copies.entry_count() >= 20, "{} copies", cached.copies.entry_count());
        assert!(cached.flights.is_empty());
    }

    /// A maker may be overtaken between its last look at the validity and the moment its copy is in the cache.
    #[tokio::test]
    async fn a_void_copy_is_not_served_even_from_within_the_cache() {
        let (memory, cached) = cached(1024 * 1024);
        let key = create(&memory, 1).await;
        let loaded = memory.load(&key, Freshness::Latest).await.unwrap().unwrap();
        let flight = cached.flights.board(&key);
        let copy = Copy { loaded, asked: Stopwatch::start(), validity: flight.validity().clone() };
        cached.copies.insert(key, copy).await;
        let freshness = Freshness::Within(Duration::from_secs(1));
        assert!(cached.copy_for(&key, freshness).await.is_some());
        cached.flights.void_others(&key, &cached.flights.board(&key));
        assert!(cached.copy_for(&key, freshness).await.is_none());
        assert!(cached.valid_copy(&key).await.is_none());
    }
}
