//! Keeps loaded records at hand.

mod cached;
mod flights;

use std::sync::Arc;
use std::time::Duration;

use holdover_api::{Clock, SessionStore, SystemClock};
use serde::{Deserialize, Serialize};

use self::cached::Cached;
use crate::duration;
use crate::layer::Layer;

/// Keeps loaded records in this process, for readers that accept a copy: `near_cache(redis)`.
///
/// [`Freshness::Latest`](holdover_api::Freshness::Latest) always goes to the store, and so does every write, so that
/// nothing that was acknowledged is missed unless a reader says that it accepts that:
///
/// - `Within(d)` is answered from a copy that was the latest at most the shorter of `d` and `max_age` ago, counted from
///   before the store was asked (I7), and never from one that has reached its deadline by the clock (I4).
/// - `AtLeast(stamp)` is answered from a copy that holds this stamp, within `max_age`.
///
/// Everything else refreshes the copy. What another process does is therefore seen after `d` at the latest, and what goes
/// through this handle at once: a save, touch, delete or installation drops the copy before it begins and after it has
/// ended, however it ends, and a load that was on its way meanwhile puts nothing back. After a save or a touch that
/// succeeded on exactly the copy that was there the changed copy takes its place, no younger than before. Absence is never
/// kept.
///
/// A write that was made from a copy costs one conflict if that was outdated, never a lost update.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use holdover_api::{Memory, SessionPolicy};
/// use holdover_layers::{Layer, NearCache};
///
/// let cache = NearCache { max_age: Duration::from_secs(2), ..NearCache::default() };
/// let store = cache.layer(Arc::new(Memory::new()));
/// assert_eq!(store.to_string(), "near_cache(memory)");
/// // Without this, every request reads the latest.
/// let policy = SessionPolicy::new(store).with_read_staleness(Duration::from_secs(1));
/// assert!(policy.validate().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NearCache {
    /// A copy that was the latest longer ago is never served, whatever a reader accepts. By default 5 s.
    #[serde(with = "duration::positive")]
    pub max_age: Duration,
    /// How much memory the copies may take, in bytes; the least used ones make room. By default 64 MiB.
    pub max_bytes: u64,
}

impl Default for NearCache {
    fn default() -> Self {
        Self { max_age: Duration::from_secs(5), max_bytes: 64 * 1024 * 1024 }
    }
}

impl NearCache {
    /// Puts this layer around `inner`, with a clock that tells when a copy has reached its deadline. It should be the
    /// store's.
    pub fn layer_with_clock(
        &self,
        inner: Arc<dyn SessionStore>,
        clock: Arc<dyn Clock>,
    ) -> Arc<dyn SessionStore> {
        Arc::new(Cached::new(inner, self, clock))
    }
}

impl Layer for NearCache {
    fn layer(&self, inner: Arc<dyn SessionStore>) -> Arc<dyn SessionStore> {
        self.layer_with_clock(inner, Arc::new(SystemClock))
    }
}
