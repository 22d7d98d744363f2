//! A store that counts how often it is asked, and is the store below otherwise.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use holdover::api::{
    Capabilities, Error, Freshness, InstallAnswer, Loaded, SaveAnswer, SessionKey, Standing, Stored, Write,
};
use holdover::{SessionStore, Timestamp};

#[derive(Debug)]
pub(crate) struct Counted {
    below: Arc<dyn SessionStore>,
    calls: AtomicU64,
}

impl Counted {
    pub(crate) fn over(below: Arc<dyn SessionStore>) -> Arc<Self> {
        Arc::new(Self { below, calls: AtomicU64::default() })
    }

    pub(crate) fn calls(&self) -> u64 {
        self.calls.load(Ordering::SeqCst)
    }

    fn count(&self) {
        self.calls.fetch_add(1, Ordering::SeqCst);
    }
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "counted({})", self.below)
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl SessionStore for Counted {
    fn capabilities(&self) -> Capabilities {
        self.below.capabilities()
    }

    async fn load(&self, key: &SessionKey, freshness: Freshness) -> Result<Option<Loaded>, Error> {
        self.count();
        self.below.load(key, freshness).await
    }

    async fn save(&self, key: &SessionKey, write: &Write) -> Result<SaveAnswer, Error> {
        self.count();
        self.below.save(key, write).await
    }

    async fn touch(&self, key: &SessionKey, deadline: Timestamp) -> Result<bool, Error> {
        self.count();
        self.below.touch(key, deadline).await
    }

    async fn delete(&self, key: &SessionKey) -> Result<(), Error> {
        self.count();
        self.below.delete(key).await
    }

    async fn inspect(&self, key: &SessionKey) -> Result<Option<Stored>, Error> {
        self.count();
        self.below.inspect(key).await
    }

    async fn install(
        &self,
        key: &SessionKey,
        over: Option<Standing>,
        new: &Stored,
    ) -> Result<InstallAnswer, Error> {
        self.count();
        self.below.install(key, over, new).await
    }
}
