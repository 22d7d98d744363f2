//! Sessions in this process's memory: the executable specification, and a store for development and tests.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::capabilities::{Capabilities, CheapReads, Expiry, Survives, Writes};
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::error::{Error, ErrorKind, Operation};
use crate::frame;
use crate::id::SessionKey;
use crate::judge::{InstallVerdict, Verdict, judge, judge_install, judge_touch};
use crate::record::{Record, Standing, Stored};
use crate::store::{Freshness, InstallAnswer, SaveAnswer, SessionStore};
use crate::write::{Loaded, Write};

/// How many sessions a [`Memory`] holds unless told otherwise.
pub const DEFAULT_MAX_SESSIONS: usize = 100_000;

/// The largest record that a [`Memory`] holds unless told otherwise, in bytes: 1 MiB.
pub const DEFAULT_MAX_BYTES: usize = 1024 * 1024;

/// Sessions in this process's memory.
///
/// It is the executable specification of [`SessionStore`]: [`judge`] under a lock. Use it in development and tests;
/// its sessions end with the process and no other process sees them. It is bounded: when it is full it refuses new
/// sessions with [`ErrorKind::Throttled`], and never evicts a live one. Clones share the same sessions.
///
/// ```
/// use holdover_api::Memory;
///
/// let store = Memory::new().with_max_sessions(10_000);
/// assert_eq!(store.to_string(), "memory");
/// ```
#[derive(Clone)]
pub struct Memory {
    sessions: Arc<Mutex<Sessions>>,
    clock: Arc<dyn Clock>,
    max_sessions: usize,
    max_bytes: usize,
}

#[derive(Default)]
struct Sessions {
    by_key: HashMap<SessionKey, Stored>,
    /// Before this moment nothing in the map can have expired, so that a full store does not search in vain.
    next_sweep: Timestamp,
}

impl Memory {
    /// An empty store with the default limits.
    pub fn new() -> Self {
        Self {
            sessions: Arc::default(),
            clock: Arc::new(SystemClock),
            max_sessions: DEFAULT_MAX_SESSIONS,
            max_bytes: DEFAULT_MAX_BYTES,
        }
    }

    /// Holds at most so many sessions, tombstones included.
    #[must_use]
    pub fn with_max_sessions(mut self, max_sessions: usize) -> Self {
        self.max_sessions = max_sessions;
        self
    }

    /// Holds records of at most so many bytes.
    #[must_use]
    pub fn with_max_bytes(mut self, max_bytes: usize) -> Self {
        self.max_bytes = max_bytes;
        self
    }

    /// Takes the time from `clock`. On a clone it gives a second handle on the same sessions with a clock of its own.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// How many sessions are held, expired ones that nobody has cleared away included.
    pub fn len(&self) -> usize {
        self.lock().by_key.len()
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn lock(&self) -> MutexGuard<'_, Sessions> {
        // Every change below is one map operation, so that a panic elsewhere cannot leave a half-made one.
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn fits(&self, record: &Record, operation: Operation) -> Result<(), Error> {
        let size = frame::size(record);
        if size <= self.max_bytes {
            return Ok(());
        }
        let message = format!("the session would have {size} bytes and the limit is {}", self.max_bytes);
        Err(Error::new(ErrorKind::TooLarge, operation, "memory", message).without_effect())
    }

    fn make_room(&self, sessions: &mut Sessions, now: Timestamp, operation: Operation) -> Result<(), Error> {
        if sessions.by_key.len() < self.max_sessions {
            return Ok(());
        }
        if now >= sessions.next_sweep {
            sessions.by_key.retain(|_, stored| !stored.is_over(now));
            let earliest = sessions.by_key.values().map(Stored::deadline).min();
            sessions.next_sweep = earliest.unwrap_or_default();
        }
        if sessions.by_key.len() < self.max_sessions {
            return Ok(());
        }
        let message =
            format!("the limit of {} sessions is reached and all of them are live", self.max_sessions);
        Err(Error::new(ErrorKind::Throttled, operation, "memory", message).without_effect())
    }

    fn put(
        &self,
        sessions: &mut Sessions,
        key: &SessionKey,
        stored: Stored,
        now: Timestamp,
        operation: Operation,
    ) -> Result<(), Error> {
        if !sessions.by_key.contains_key(key) {
            self.make_room(sessions, now, operation)?;
        }
        sessions.next_sweep = sessions.next_sweep.min(stored.deadline());
        sessions.by_key.insert(*key, stored);
        Ok(())
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("memory")
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory")
            .field("sessions", &self.len())
            .field("max_sessions", &self.max_sessions)
            .field("max_bytes", &self.max_bytes)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl SessionStore for Memory {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            writes: Writes::ByAttribute,
            expiry: Expiry::OnDemand,
            cheap_reads: CheapReads::None,
            survives: Survives::Nothing,
            shared: false,
            max_bytes: self.max_bytes,
        }
    }

    async fn load(&self, key: &SessionKey, _freshness: Freshness) -> Result<Option<Loaded>, Error> {
        let now = self.clock.now();
        let live = self.lock().by_key.get(key).and_then(|stored| stored.as_live(now).cloned());
        Ok(live.map(Loaded::from))
    }

    async fn save(&self, key: &SessionKey, write: &Write) -> Result<SaveAnswer, Error> {
        let now = self.clock.now();
        let mut sessions = self.lock();
        let stored = sessions.by_key.get(key);
        match judge(now, stored, write) {
            Verdict::Apply { record, previous } => {
                self.fits(&record, Operation::Save)?;
                self.put(&mut sessions, key, Stored::Record(record), now, Operation::Save)?;
                Ok(SaveAnswer::Saved { previous })
            }
            Verdict::Repeated { previous } => Ok(SaveAnswer::Saved { previous }),
            Verdict::Conflict => {
                let current = stored.and_then(|stored| stored.as_live(now).cloned()).map(Loaded::from);
                Ok(SaveAnswer::Conflict { current })
            }
            Verdict::Gone => Ok(SaveAnswer::Gone),
        }
    }

    async fn touch(&self, key: &SessionKey, deadline: Timestamp) -> Result<bool, Error> {
        let now = self.clock.now();
        let mut sessions = self.lock();
        let Some(extended) = judge_touch(now, sessions.by_key.get(key), deadline) else {
            return Ok(false);
        };
        if let Some(Stored::Record(record)) = sessions.by_key.get_mut(key) {
            record.deadline = extended;
        }
        Ok(true)
    }

    async fn delete(&self, key: &SessionKey) -> Result<(), Error> {
        // One copy, and no write creates what is not alive: absence is proof enough, no tombstone is needed.
        self.lock().by_key.remove(key);
        Ok(())
    }

    async fn inspect(&self, key: &SessionKey) -> Result<Option<Stored>, Error> {
        Ok(self.lock().by_key.get(key).cloned())
    }

    async fn install(
        &self,
        key: &SessionKey,
        over: Option<Standing>,
        new: &Stored,
    ) -> Result<InstallAnswer, Error> {
        let now = self.clock.now();
        if let Stored::Record(record) = new {
            self.fits(record, Operation::Install)?;
        }
        let mut sessions = self.lock();
        let stored = sessions.by_key.get(key);
        match judge_install(now, stored, over, new) {
            InstallVerdict::Apply => {
                self.put(&mut sessions, key, new.clone(), now, Operation::Install)?;
                Ok(InstallAnswer::Installed)
            }
            InstallVerdict::Repeated => Ok(InstallAnswer::Installed),
            InstallVerdict::Refused => {
                let stored = stored.filter(|stored| !stored.is_over(now)).cloned();
                Ok(InstallAnswer::Refused { stored })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::ManualClock;
    use crate::stamp::Stamp;
    use crate::write::{Deadline, Delta, On};

    fn create(number: u8, now: Timestamp) -> (SessionKey, Write) {
        let on = On::Absent { created: now };
        let deadline = Deadline::AtLeast(now + Duration::from_secs(u64::from(number)));
        let stamp = Stamp::from_bytes([number; 16]);
        (
            SessionKey::from_bytes([number; 32]),
            Write { on, delta: Delta::default(), stamp, deadline, base: None },
        )
    }

    #[tokio::test]
    async fn a_full_store_refuses_new_sessions_and_keeps_the_live_ones() {
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_000)));
        let store = Memory::new().with_max_sessions(2).with_clock(Arc::clone(&clock) as Arc<dyn Clock>);
        for number in [1, 2] {
            let (key, write) = create(number, clock.now());
            assert!(matches!(store.save(&key, &write).await, Ok(SaveAnswer::Saved { previous: None })));
        }
        let (key, write) = create(3, clock.now());
        let error = store.save(&key, &write).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Throttled);
        assert_eq!(store.len(), 2);

        clock.advance(Duration::from_secs(1));
        assert!(
            matches!(store.save(&key, &write).await, Ok(SaveAnswer::Saved { .. })),
            "the first has expired"
        );
        let survivor = SessionKey::from_bytes([2; 32]);
        assert!(store.load(&survivor, Freshness::Latest).await.unwrap().is_some());
    }
}
