//! A pair as it is often built (memcached-session-manager is the best known): the primary counts, the backup gets a copy
//! after the answer and is asked where the primary is silent, a logout deletes what can be reached.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use holdover_api::{
    Capabilities, Clock, Error, ErrorKind, Freshness, InstallAnswer, Loaded, SaveAnswer, SessionKey,
    SessionStore, Standing, Stored, Timestamp, Write,
};
use holdover_conformance::{Copies, Noticed, Seated};

use crate::Broken;
use crate::rig::Pairs;
use crate::rig::stores::Members;

pub(crate) fn all() -> Vec<Broken> {
    vec![Broken {
        id: "naive",
        defect: "the primary counts, the backup is written after the answer and asked where the primary is silent",
        harness: Pairs::over("naive", Copies::PAIR, naive),
        killed_by: &[
            "FAIL-14", "FAIL-15", "FAIL-16", "FAIL-17", "FAIL-19", "FAIL-20", "FAIL-21", "FAIL-22",
            "FAIL-24", "FAIL-42", "FAIL-45", "FAIL-50", "FAIL-52", "FAIL-57",
        ],
    }]
}

fn naive(members: Members, _: Arc<dyn Clock>) -> Seated {
    let mut stores = members.into_iter().map(|(_, store)| store);
    let (Some(primary), Some(backup)) = (stores.next(), stores.next()) else {
        panic!("a pair is made over two servers");
    };
    Seated { store: Arc::new(Naive { primary, backup }), noticed: Arc::new(Noticed::default) }
}

#[derive(Clone, Debug)]
struct Naive {
    primary: Arc<dyn SessionStore>,
    backup: Arc<dyn SessionStore>,
}

/// Whether the primary is silent, so that the backup is asked.
fn is_silent<T>(answer: &Result<T, Error>) -> bool {
    matches!(answer, Err(error) if error.kind() == ErrorKind::Unavailable)
}

impl Naive {
    async fn copy(self, key: SessionKey) {
        let Ok(Some(new)) = self.primary.inspect(&key).await else { return };
        let Ok(old) = self.backup.inspect(&key).await else { return };
        let _ = self.backup.install(&key, old.map(|old| old.standing()), &new).await;
    }
}

impl fmt::Display for Naive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("naive")
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl SessionStore for Naive {
    fn capabilities(&self) -> Capabilities {
        self.primary.capabilities()
    }

    async fn load(&self, key: &SessionKey, freshness: Freshness) -> Result<Option<Loaded>, Error> {
        let loaded = self.primary.load(key, freshness).await;
        if is_silent(&loaded) { self.backup.load(key, freshness).await } else { loaded }
    }

    async fn save(&self, key: &SessionKey, write: &Write) -> Result<SaveAnswer, Error> {
        let saved = self.primary.save(key, write).await;
        if is_silent(&saved) {
            return self.backup.save(key, write).await;
        }
        tokio::spawn(self.clone().copy(*key));
        saved
    }

    async fn touch(&self, key: &SessionKey, deadline: Timestamp) -> Result<bool, Error> {
        let touched = self.primary.touch(key, deadline).await;
        if is_silent(&touched) { self.backup.touch(key, deadline).await } else { touched }
    }

    async fn delete(&self, key: &SessionKey) -> Result<(), Error> {
        let deleted = self.primary.delete(key).await;
        // Not critical: it will be evicted automatically.
        let backup = self.backup.delete(key).await;
        if is_silent(&deleted) { backup } else { deleted }
    }

    async fn inspect(&self, key: &SessionKey) -> Result<Option<Stored>, Error> {
        let stored = self.primary.inspect(key).await;
        if is_silent(&stored) { self.backup.inspect(key).await } else { stored }
    }

    async fn install(
        &self,
        key: &SessionKey,
        over: Option<Standing>,
        new: &Stored,
    ) -> Result<InstallAnswer, Error> {
        let installed = self.primary.install(key, over, new).await;
        if is_silent(&installed) { self.backup.install(key, over, new).await } else { installed }
    }
}
