//! The sound store with something around it that spoils it.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use holdover_api::{
    Capabilities, Clock, Error, ErrorKind, Freshness, InstallAnswer, Loaded, ManualClock, SaveAnswer,
    SessionKey, SessionStore, Stamp, Standing, Stored, Timestamp, Write, within,
};

/// What is done besides, or instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Habit {
    /// Acknowledges a write of which nobody has said that it failed.
    Hopes,
    /// Serves whoever knows a write from any copy that has the first one.
    AnyCopy,
    /// Serves the latest from any copy that has what this node has seen.
    OwnWrites,
    /// Believes a copy nearby that a session is over.
    Trusts,
    /// Reads from the server that was the primary when it was opened, as long as that answers.
    Faithful,
}

/// Which write of each session all nodes together have seen first.
#[derive(Debug, Default)]
pub(crate) struct Knowledge(Mutex<HashMap<SessionKey, Stamp>>);

impl Knowledge {
    fn get(&self, key: &SessionKey) -> Option<Stamp> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).copied()
    }

    fn note_first(&self, key: &SessionKey, stamp: Stamp) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(*key).or_insert(stamp);
    }

    fn note(&self, key: &SessionKey, stamp: Stamp) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(*key, stamp);
    }
}

/// For how long a server is asked that does not answer any more.
const FAITH: Duration = Duration::from_millis(200);

#[derive(Debug)]
struct Twisted {
    inner: Arc<dyn SessionStore>,
    /// The same store, but of the time when it was opened: to it nothing is over, and that server is the primary.
    of_old: Arc<dyn SessionStore>,
    clock: Arc<dyn Clock>,
    habit: Habit,
    births: Arc<Knowledge>,
    /// What this node has seen last.
    seen: Knowledge,
}

pub(crate) async fn twisted(
    habit: Habit,
    url: &str,
    url_of_old: &str,
    clock: Arc<dyn Clock>,
    births: &Arc<Knowledge>,
) -> Result<Arc<dyn SessionStore>, Error> {
    let inner = holdover_backends::connect_with_clock(url, Arc::clone(&clock)).await?;
    let of_old = match habit {
        Habit::Faithful => holdover_backends::connect_with_clock(url_of_old, Arc::clone(&clock)).await?,
        _ => holdover_backends::connect_with_clock(url, Arc::new(ManualClock::at(clock.now()))).await?,
    };
    let (births, seen) = (Arc::clone(births), Knowledge::default());
    Ok(Arc::new(Twisted { inner, of_old, clock, habit, births, seen }))
}

impl Twisted {
    /// How new the answer really is.
    fn weakened(&self, key: &SessionKey, asked: Freshness) -> Freshness {
        let instead = match (self.habit, asked) {
            (Habit::AnyCopy, Freshness::AtLeast(_)) => self.births.get(key),
            (Habit::OwnWrites, Freshness::Latest) => self.seen.get(key),
            _ => None,
        };
        instead.map_or(asked, Freshness::AtLeast)
    }

    /// Whether a copy nearby is over by its own deadline.
    async fn is_over_nearby(&self, key: &SessionKey) -> Result<bool, Error> {
        let Some(birth) = self.births.get(key) else {
            return Ok(false);
        };
        let copy = self.of_old.load(key, Freshness::AtLeast(birth)).await?;
        Ok(copy.is_some_and(|copy| !copy.record.is_live(self.clock.now())))
    }
}

impl fmt::Display for Twisted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("twisted")
    }
}

/// What was done, or may have been.
fn hoped<T>(result: Result<T, Error>, done: T) -> Result<T, Error> {
    match result {
        Err(error) if error.kind() == ErrorKind::Unavailable => Ok(done),
        result => result,
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl SessionStore for Twisted {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn load(&self, key: &SessionKey, freshness: Freshness) -> Result<Option<Loaded>, Error> {
        if self.habit == Habit::Faithful
            && let Some(Ok(loaded)) = within(FAITH, self.of_old.load(key, freshness)).await
        {
            return Ok(loaded);
        }
        let asks_a_copy = matches!(freshness, Freshness::AtLeast(_)) && self.habit == Habit::Trusts;
        if asks_a_copy && self.is_over_nearby(key).await? {
            return Ok(None);
        }
        let loaded = self.inner.load(key, self.weakened(key, freshness)).await?;
        if let Some(loaded) = &loaded {
            self.seen.note(key, loaded.record.head());
        }
        Ok(loaded)
    }

    async fn save(&self, key: &SessionKey, write: &Write) -> Result<SaveAnswer, Error> {
        self.births.note_first(key, write.stamp);
        let saved = self.inner.save(key, write).await;
        if matches!(saved, Ok(SaveAnswer::Saved { .. })) {
            self.seen.note(key, write.stamp);
        }
        if self.habit == Habit::Hopes { hoped(saved, SaveAnswer::Saved { previous: None }) } else { saved }
    }

    async fn touch(&self, key: &SessionKey, deadline: Timestamp) -> Result<bool, Error> {
        self.inner.touch(key, deadline).await
    }

    async fn delete(&self, key: &SessionKey) -> Result<(), Error> {
        let deleted = self.inner.delete(key).await;
        if self.habit == Habit::Hopes { hoped(deleted, ()) } else { deleted }
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
        self.inner.install(key, over, new).await
    }
}
