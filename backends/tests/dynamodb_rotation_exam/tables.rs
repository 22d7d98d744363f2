//! Two tables that follow each other, and what is below a store on them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use holdover_api::{Clock, Error, SessionKey, SystemClock, Timestamp};
use holdover_conformance::Raw;
use holdover_rotation::{Generation, Names};
use tokio::sync::OnceCell;

use crate::pair::early;
use crate::raw::RawDynamoDb;

/// A session may be so much behind the system's time: its clock still shows the period of the newer table.
const BEHIND: Duration = Duration::from_secs(60 * 60);

/// The urls of the old table and of the new one, each as that of a table by itself.
pub(crate) struct TwoTables {
    old: String,
    new: String,
    made: OnceCell<()>,
}

impl TwoTables {
    /// Of a store with tables that follow each other, at this url.
    pub(crate) fn of(url: &str) -> Self {
        let schedule = early();
        let names = Names::new("holdover-test", &schedule).expect("the base is allowed");
        let new = schedule.generation(SystemClock.now() - BEHIND);
        let old = new.previous().expect("1970 is over");
        let single = url.replace("expiry=rotation&period=30d&keeper=off", "expiry=none");
        let single = single.replace("create=false", "create=true");
        let table = |generation: Generation| {
            single.replace("/holdover-test?", &format!("/{}?", names.name(generation)))
        };
        Self { old: table(old), new: table(new), made: OnceCell::new() }
    }

    /// Makes them, the older one first: one that is made after a newer one is not used.
    pub(crate) async fn are_there(&self) -> Result<(), Error> {
        let made = self.made.get_or_try_init(|| async {
            for table in [&self.old, &self.new] {
                holdover_backends::connect(table).await?;
            }
            Ok(())
        });
        made.await.copied()
    }
}

/// Below both: a session is in the newest table that has it unsealed.
pub(crate) struct RawInTurn {
    tables: [Arc<RawDynamoDb>; 2],
}

impl RawInTurn {
    pub(crate) fn new(tables: &TwoTables, prefix: &str) -> Self {
        Self { tables: [&tables.new, &tables.old].map(|url| Arc::new(RawDynamoDb::new(url, prefix))) }
    }

    async fn home(&self, place: &str, key: &SessionKey) -> Result<Option<&Arc<RawDynamoDb>>, String> {
        for table in &self.tables {
            match table.read(place, key).await? {
                Some(item) if !is_sealed(&item) => return Ok(Some(table)),
                _ => {}
            }
        }
        Ok(None)
    }
}

/// Whether the text of an item says that it was carried on.
fn is_sealed(item: &[u8]) -> bool {
    item.split(|byte| *byte == b'\n').any(|line| line.starts_with(b"m N "))
}

#[async_trait]
impl Raw for RawInTurn {
    async fn overwrite(&self, place: &str, key: &SessionKey, bytes: &[u8]) -> Result<(), String> {
        match self.home(place, key).await? {
            Some(home) => home.overwrite(place, key, bytes).await,
            None => Err("nothing is stored that could be overwritten".to_owned()),
        }
    }

    async fn read(&self, place: &str, key: &SessionKey) -> Result<Option<Vec<u8>>, String> {
        match self.home(place, key).await? {
            Some(home) => home.read(place, key).await,
            None => Ok(None),
        }
    }

    async fn native_deadline(
        &self,
        place: &str,
        key: &SessionKey,
    ) -> Result<Option<Option<Timestamp>>, String> {
        match self.home(place, key).await? {
            Some(home) => home.native_deadline(place, key).await,
            None => Ok(None),
        }
    }

    async fn count(&self, place: &str) -> Result<usize, String> {
        let mut keys = BTreeSet::new();
        for table in &self.tables {
            keys.extend(table.keys_of(place).await?);
        }
        Ok(keys.len())
    }

    fn keeps_frames(&self) -> bool {
        false
    }

    fn made_newer(&self, stored: &[u8]) -> Vec<Vec<u8>> {
        self.tables[0].made_newer(stored)
    }
}
