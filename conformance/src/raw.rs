//! Below a store that keeps copies.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use holdover_api::{SessionKey, Timestamp, pause};

use crate::harness::Raw;

const BETWEEN_LOOKS: Duration = Duration::from_millis(5);
const LOOKS: usize = 200;

/// What several servers keep, as [`Harness::raw`](crate::Harness::raw) answers it for a store that keeps copies: what is
/// done is done to every copy, and what is asked is answered by the first server that has one.
pub struct RawCopies {
    servers: Vec<Arc<dyn Raw>>,
    copies: usize,
    aside: Vec<SessionKey>,
}

impl RawCopies {
    /// Below these servers, on which each session has so many copies. What is stored under the keys `aside` belongs to
    /// the store itself and is not counted.
    pub fn new(servers: Vec<Arc<dyn Raw>>, copies: usize, aside: Vec<SessionKey>) -> Self {
        Self { servers, copies, aside }
    }

    async fn holders(&self, place: &str, key: &SessionKey) -> Result<Vec<&Arc<dyn Raw>>, String> {
        let mut holders = Vec::new();
        for server in &self.servers {
            if server.read(place, key).await?.is_some() {
                holders.push(server);
            }
        }
        Ok(holders)
    }
}

impl fmt::Debug for RawCopies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawCopies({} copies on {} servers)", self.copies, self.servers.len())
    }
}

#[async_trait]
impl Raw for RawCopies {
    async fn overwrite(&self, place: &str, key: &SessionKey, bytes: &[u8]) -> Result<(), String> {
        for _ in 0..LOOKS {
            // A copy may still be on its way.
            let holders = self.holders(place, key).await?;
            if holders.len() < self.copies {
                pause(BETWEEN_LOOKS).await;
                continue;
            }
            for holder in holders {
                holder.overwrite(place, key, bytes).await?;
            }
            return Ok(());
        }
        Err("fewer copies are stored than there have to be".to_owned())
    }

    async fn read(&self, place: &str, key: &SessionKey) -> Result<Option<Vec<u8>>, String> {
        match self.holders(place, key).await?.first() {
            Some(holder) => holder.read(place, key).await,
            None => Ok(None),
        }
    }

    async fn native_deadline(
        &self,
        place: &str,
        key: &SessionKey,
    ) -> Result<Option<Option<Timestamp>>, String> {
        match self.holders(place, key).await?.first() {
            Some(holder) => holder.native_deadline(place, key).await,
            None => Ok(None),
        }
    }

    async fn count(&self, place: &str) -> Result<usize, String> {
        let mut stored = 0;
        for server in &self.servers {
            stored += server.count(place).await?;
            for key in &self.aside {
                stored -= usize::from(server.read(place, key).await?.is_some());
            }
        }
        Ok(stored.div_ceil(self.copies))
    }

    fn keeps_frames(&self) -> bool {
        self.servers.iter().all(|server| server.keeps_frames())
    }

    fn made_newer(&self, stored: &[u8]) -> Vec<Vec<u8>> {
        self.servers.first().map(|server| server.made_newer(stored)).unwrap_or_default()
    }
}
