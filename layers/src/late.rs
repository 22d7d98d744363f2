//! A node that could not be reached when the others were opened: it is opened when it is first of use.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use holdover_api::{
    Capabilities, Clock, Error, Freshness, InstallAnswer, Loaded, SaveAnswer, SessionKey, SessionStore,
    Standing, Stored, Timestamp, Write,
};
use tokio::sync::OnceCell;

use crate::url::Opener;

/// A store that is opened by the first operation that succeeds in it. An application node has to be able to start while
/// one of its store nodes is down.
pub(crate) struct Late {
    url: String,
    scheme: String,
    clock: Arc<dyn Clock>,
    opener: Opener,
    /// Those of a node that could be reached: nodes of one ring are alike.
    capabilities: Capabilities,
    store: OnceCell<Arc<dyn SessionStore>>,
}

impl Late {
    pub(crate) fn new(
        url: String,
        clock: Arc<dyn Clock>,
        opener: Opener,
        capabilities: Capabilities,
    ) -> Self {
        let scheme = url.split(':').next().unwrap_or_default().to_owned();
        Self { url, scheme, clock, opener, capabilities, store: OnceCell::new() }
    }

    async fn store(&self) -> Result<&Arc<dyn SessionStore>, Error> {
        let open = || (self.opener)(self.url.clone(), Arc::clone(&self.clock));
        self.store.get_or_try_init(open).await
    }
}

impl fmt::Display for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.store.get() {
            Some(store) => store.fmt(f),
            None => f.write_str(&self.scheme),
        }
    }
}

impl fmt::Debug for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never the URL: it may hold a password.
        f.debug_struct("Late").field("store", &self.store.get()).finish_non_exhaustive()
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl SessionStore for Late {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    async fn load(&self, key: &SessionKey, freshness: Freshness) -> Result<Option<Loaded>, Error> {
        self.store().await?.load(key, freshness).await
    }

    async fn save(&self, key: &SessionKey, write: &Write) -> Result<SaveAnswer, Error> {
        self.store().await?.save(key, write).await
    }

    async fn touch(&self, key: &SessionKey, deadline: Timestamp) -> Result<bool, Error> {
        self.store().await?.touch(key, deadline).await
    }

    async fn delete(&self, key: &SessionKey) -> Result<(), Error> {
        self.store().await?.delete(key).await
    }

    async fn inspect(&self, key: &SessionKey) -> Result<Option<Stored>, Error> {
        self.store().await?.inspect(key).await
    }

    async fn install(
        &self,
        key: &SessionKey,
        over: Option<Standing>,
        new: &Stored,
    ) -> Result<InstallAnswer, Error> {
        self.store().await?.install(key, over, new).await
    }
}
