//! A stand-in for dynamo-session-manager, edition of 2015: sessions in tables by time. Every request gets its session from
//! the table of the present, else from the one before, and saves it at its end: put whole into the present table if it is
//! not there, else updated, with its data if they have changed. No session stays in a node between its requests.
//!
//! Left out: serialisation and compression, capacity, metrics, ignored addresses, the choice of eventual reads, a calendar in
//! the names of tables, and pages of the list of tables. The client repeats what a server fails to do, as the original's did.

mod rows;
mod tables;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use holdover_api::Clock;
use tokio::task::JoinHandle;

use crate::attributes::Attributes;
use crate::dsm::rows::{Row, Rows};
use crate::dsm::tables::{Known, Tables};
use crate::job::{Answer, Failure, Job, Manager, Work, random};

pub(crate) use crate::dsm::tables::Times;

/// An application node.
#[derive(Debug)]
pub(crate) struct Dsm {
    shared: Arc<Shared>,
    background: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    rows: Rows,
    tables: Tables,
    clock: Arc<dyn Clock>,
    idle: Duration,
    /// What the attributes came to when a session was loaded: one field for all requests of the node, as in the original.
    baseline: AtomicU32,
}

/// What a request has of its session.
struct Loaded {
    attributes: Attributes,
    /// It was not in the present table: its end puts it there.
    is_new: bool,
}

impl Dsm {
    /// Looks for a table that can be used, or makes one, and then looks after the tables in the background.
    pub(crate) async fn start(
        endpoint: &str,
        clock: Arc<dyn Clock>,
        times: Times,
        idle: Duration,
    ) -> Result<Self, Failure> {
        let rows = Rows::at(endpoint);
        let tables = Tables::start(rows.clone(), Arc::clone(&clock), times).await?;
        let shared = Arc::new(Shared { rows, tables, clock, idle, baseline: AtomicU32::default() });
        let looked_after = Arc::clone(&shared);
        let background = tokio::spawn(async move {
            loop {
                tokio::time::sleep(times.tick).await;
                looked_after.tables.process().await;
            }
        });
        Ok(Self { shared, background })
    }
}

impl Drop for Dsm {
    fn drop(&mut self) {
        self.background.abort();
    }
}

/// By the values in the order of their names; the names are not in it.
fn hash(attributes: &Attributes) -> u32 {
    attributes.values().fold(0, |hash: u32, value| {
        // As the language of the original has it, which keeps the lower half.
        hash.wrapping_mul(31).wrapping_add((value ^ (value >> 32)) as u32)
    })
}

impl Shared {
    fn now(&self) -> u64 {
        self.clock.now().as_millis()
    }

    async fn find(&self, id: &str) -> Result<Option<(Row, bool)>, Failure> {
        let Known { current, previous } = self.tables.known();
        match self.rows.get(&current, id).await {
            Ok(Some(row)) => return Ok(Some((row, false))),
            Ok(None) => {}
            Err(refused) => {
                if refused.is_missing {
                    self.tables.process().await;
                }
                return Err(refused.into());
            }
        }
        let Some(previous) = previous else { return Ok(None) };
        match self.rows.get(&previous, id).await {
            Ok(row) => Ok(row.map(|row| (row, true))),
            // Another node has dropped it: the session is taken for one that does not exist.
            Err(refused) if refused.is_missing => Ok(None),
            Err(refused) => Err(refused.into()),
        }
    }

    async fn load(&self, id: &str) -> Result<Option<Loaded>, Failure> {
        let Some((row, is_new)) = self.find(id).await? else { return Ok(None) };
        let data = row.data.ok_or("the row has no data")?;
        let attributes = Attributes::decode(&data)?;
        if Duration::from_millis(self.now().saturating_sub(row.used)) >= self.idle {
            self.remove(id).await;
            self.remove(id).await;
            return Ok(None);
        }
        self.baseline.store(hash(&attributes), Ordering::SeqCst);
        Ok(Some(Loaded { attributes, is_new }))
    }

    /// The end of a request. The table is the present one of this moment.
    async fn save(&self, id: &str, session: &Loaded) -> Result<(), Failure> {
        let Known { current, .. } = self.tables.known();
        let (data, used) = (session.attributes.encode(), self.now());
        let saved = if session.is_new {
            self.rows.put(&current, id, data, used).await
        } else {
            let has_changed = hash(&session.attributes) != self.baseline.load(Ordering::SeqCst);
            self.rows.update(&current, id, has_changed.then_some(data), used).await
        };
        self.baseline.store(0, Ordering::SeqCst);
        Ok(saved?)
    }

    /// From both tables, if both are known. What fails went to a log.
    async fn remove(&self, id: &str) {
        let Known { current, previous } = self.tables.known();
        if self.rows.delete(&current, id).await.is_ok()
            && let Some(previous) = previous
        {
            let _ = self.rows.delete(&previous, id).await;
        }
        self.baseline.store(0, Ordering::SeqCst);
    }
}

#[async_trait]
impl Manager for Dsm {
    async fn request(&self, id: Option<&str>, job: Job) -> Result<Answer, Failure> {
        let Job { work, meanwhile, .. } = job;
        // The container looks the session up whether the application wants it or not.
        let loaded = match id {
            Some(id) => self.shared.load(id).await?,
            None => None,
        };
        let seen = loaded.as_ref().zip(id).map(|(loaded, id)| loaded.attributes.answer(id));
        meanwhile.await;
        let (id, mut session) = match (id, loaded) {
            (Some(id), Some(loaded)) => (id.to_owned(), loaded),
            _ if matches!(work, Work::Set(..) | Work::Count) => {
                let attributes = Attributes::default();
                (format!("{:016x}-{:019x}", random()?, random()?), Loaded { attributes, is_new: true })
            }
            _ => return Ok(Answer::default()),
        };
        if work == Work::LogOut {
            // The session's own end, and that of the request.
            self.shared.remove(&id).await;
            self.shared.remove(&id).await;
            return Ok(Answer { found: true, ..Answer::default() });
        }
        session.attributes.change(work);
        self.shared.save(&id, &session).await?;
        Ok(seen.unwrap_or(Answer { found: false, ..session.attributes.answer(&id) }))
    }
}
