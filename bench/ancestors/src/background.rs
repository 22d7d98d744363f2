//! A stand-in for a manager that saves in the background (Tomcat's PersistentManager, the AWS manager): sessions are in the
//! memory of the node that serves them, and a pass over them now and then saves those that have been idle for long enough.
//!
//! Left out: swapping out for room, the limit of active sessions, the store's own expiry, and a clean shutdown, which saves
//! everything. The times are the caller's: by default thirty seconds of idleness and a pass every minute.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::task::JoinHandle;

use crate::attributes::Attributes;
use crate::cache::Cache;
use crate::job::{Answer, Failure, IDLE, Job, Manager, Work, random};

#[derive(Debug)]
struct Active {
    attributes: Attributes,
    used: Instant,
    /// Whether this use has been saved.
    saved: bool,
}

#[derive(Debug)]
struct Memory {
    sessions: Mutex<HashMap<String, Active>>,
    store: Cache,
}

impl Memory {
    fn sessions(&self) -> MutexGuard<'_, HashMap<String, Active>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One pass: what has been idle for long enough and is not saved yet.
    async fn pass(&self, idle: Duration) {
        let due: Vec<(String, Vec<u8>)> = self
            .sessions()
            .iter_mut()
            .filter(|(_, active)| !active.saved && active.used.elapsed() >= idle)
            .map(|(id, active)| {
                active.saved = true;
                (id.clone(), active.attributes.encode())
            })
            .collect();
        for (id, bytes) in due {
            let _ = self.store.set(&id, &bytes, IDLE.as_secs()).await;
        }
    }
}

/// A node, which loses its memory when it is dropped.
#[derive(Debug)]
pub(crate) struct Background {
    memory: Arc<Memory>,
    passes: JoinHandle<()>,
}

impl Background {
    /// Saves what has been idle for so long, looking every so often.
    pub(crate) fn start(store: SocketAddr, idle: Duration, every: Duration) -> Self {
        let store = Cache::new(store, Duration::from_secs(1));
        let memory = Arc::new(Memory { sessions: Mutex::default(), store });
        let looked_at = Arc::clone(&memory);
        let passes = tokio::spawn(async move {
            loop {
                tokio::time::sleep(every).await;
                looked_at.pass(idle).await;
            }
        });
        Self { memory, passes }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.passes.abort();
    }
}

#[async_trait]
impl Manager for Background {
    async fn request(&self, id: Option<&str>, job: Job) -> Result<Answer, Failure> {
        let Job { work, meanwhile, .. } = job;
        if let Some(id) = id
            && !self.memory.sessions().contains_key(id)
            && work != Work::Untouched
            && let Some(bytes) = self.memory.store.get(id).await?
        {
            let active =
                Active { attributes: Attributes::decode(&bytes)?, used: Instant::now(), saved: true };
            self.memory.sessions().insert(id.to_owned(), active);
        }
        let seen = id.and_then(|id| Some(self.memory.sessions().get(id)?.attributes.answer(id)));
        meanwhile.await;
        let known = seen.as_ref().and_then(|seen| seen.id.clone());
        let id = match known {
            Some(id) => id,
            None if matches!(work, Work::Set(..) | Work::Count) => format!("{:016x}", random()?),
            None => return Ok(Answer::default()),
        };
        if work == Work::LogOut {
            self.memory.sessions().remove(&id);
            self.memory.store.delete(&id).await?;
            return Ok(Answer { found: true, ..Answer::default() });
        }
        let mut sessions = self.memory.sessions();
        if seen.is_none() {
            let new = Active { attributes: Attributes::default(), used: Instant::now(), saved: false };
            sessions.insert(id.clone(), new);
        }
        // A session that was ended meanwhile is an error to the request that still holds it, and stays away.
        let active = sessions.get_mut(&id).ok_or("the session was ended")?;
        // The requests of one node share the object.
        active.attributes.change(work);
        active.used = Instant::now();
        active.saved = false;
        Ok(seen.unwrap_or(Answer { found: false, ..active.attributes.answer(&id) }))
    }
}
