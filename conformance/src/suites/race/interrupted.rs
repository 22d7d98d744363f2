//! A store whose caller is stopped in the middle of what it does, to let others in or never to go on.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use holdover_api::{
    Capabilities, Error, Freshness, InstallAnswer, Loaded, On, SaveAnswer, SessionKey, SessionStore,
    Standing, Stored, Timestamp, Write,
};
use tokio::sync::Semaphore;

/// A step of a renewal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The new record is about to be created.
    BeforeCreate,
    /// The new record has been created.
    AfterCreate,
    /// The old record is about to be buried.
    BeforeBurial,
    /// The old record has been buried.
    AfterBurial,
}

/// Stops its caller the first time that it reaches a step, until it is let go.
pub(super) struct Interrupted {
    inner: Arc<dyn SessionStore>,
    at: Step,
    reached: Semaphore,
    released: Semaphore,
    created: Mutex<Vec<SessionKey>>,
}

impl Interrupted {
    pub(super) fn new(inner: Arc<dyn SessionStore>, at: Step) -> Arc<Self> {
        let (reached, released) = (Semaphore::new(0), Semaphore::new(0));
        Arc::new(Self { inner, at, reached, released, created: Mutex::default() })
    }

    /// Returns when the caller has been stopped.
    pub(super) async fn reached(&self) {
        // The semaphores are never closed.
        let _ = self.reached.acquire().await;
    }

    /// Lets the caller go on, and stops it no more.
    pub(super) fn release(&self) {
        self.released.add_permits(Semaphore::MAX_PERMITS);
    }

    /// The keys of what was created through here.
    pub(super) fn created(&self) -> Vec<SessionKey> {
        self.created.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn stop_at(&self, step: Step) {
        if step != self.at {
            return;
        }
        self.reached.add_permits(1);
        let _ = self.released.acquire().await;
    }
}

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "interrupted({})", self.inner)
    }
}

impl fmt::Debug for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Interrupted({:?} at {:?})", self.inner, self.at)
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl SessionStore for Interrupted {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn load(&self, key: &SessionKey, freshness: Freshness) -> Result<Option<Loaded>, Error> {
        self.inner.load(key, freshness).await
    }

    async fn save(&self, key: &SessionKey, write: &Write) -> Result<SaveAnswer, Error> {
        if !matches!(write.on, On::Absent { .. }) {
            return self.inner.save(key, write).await;
        }
        self.stop_at(Step::BeforeCreate).await;
        let answer = self.inner.save(key, write).await;
        self.created.lock().unwrap_or_else(PoisonError::into_inner).push(*key);
        self.stop_at(Step::AfterCreate).await;
        answer
    }

    async fn touch(&self, key: &SessionKey, deadline: Timestamp) -> Result<bool, Error> {
        self.inner.touch(key, deadline).await
    }

    async fn delete(&self, key: &SessionKey) -> Result<(), Error> {
        self.inner.delete(key).await
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
        self.stop_at(Step::BeforeBurial).await;
        let answer = self.inner.install(key, over, new).await;
        self.stop_at(Step::AfterBurial).await;
        answer
    }
}
