//! Conveniences over any store.

use async_trait::async_trait;

use crate::error::Error;
use crate::id::SessionKey;
use crate::record::{Stored, Tombstone};
use crate::stamp::Stamp;
use crate::store::{Freshness, InstallAnswer, SessionStore};
use crate::write::Loaded;

/// Conveniences over any [`SessionStore`]; not to be implemented.
#[async_trait]
pub trait SessionStoreExt: SessionStore {
    /// Loads the latest record.
    async fn load_latest(&self, key: &SessionKey) -> Result<Option<Loaded>, Error> {
        self.load(key, Freshness::Latest).await
    }

    /// Buries exactly the record that was loaded: puts a tombstone in its place that stands until its deadline.
    ///
    /// Refused if the record has changed meanwhile, or is gone. `stamp` makes a retry safe.
    async fn bury(&self, key: &SessionKey, loaded: &Loaded, stamp: Stamp) -> Result<InstallAnswer, Error> {
        let record = &loaded.record;
        let lineage = record.lineage.pushed(stamp);
        let tombstone = Stored::Tombstone(Tombstone { lineage, deadline: record.deadline });
        self.install(key, Some(record.standing()), &tombstone).await
    }
}

impl<S: SessionStore + ?Sized> SessionStoreExt for S {}
