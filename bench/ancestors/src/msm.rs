//! A stand-in for memcached-session-manager, not sticky, as of 2018: two nodes, a primary and a secondary copy, validity
//! records, pings by `add`, locks by `add`.
//!
//! Left out: the sharing of one session object by the requests of one process (each request that overlaps another one is
//! put to a node of its own here), caches of missing sessions, failover nodes, ignored addresses (which cost nothing),
//! serialisation, filters, and forms that log in.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::Mutex as Gate;
use tokio::task::JoinSet;

use crate::attributes::Attributes;
use crate::cache::Cache;
use crate::job::{Answer, Failure, IDLE, Job, Manager, Work, random};

/// What a node that was asked is taken for, for so long.
const HEALTH: Duration = Duration::from_secs(1);
const FIRST_BACK_OFF: Duration = Duration::from_millis(10);
const LONGEST_BACK_OFF: Duration = Duration::from_millis(500);

/// Which requests take the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Locking {
    None,
    All,
    /// Those that were not seen to change nothing, by the whole address.
    Auto,
    /// Those whose address begins so.
    Uri(&'static str),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) locking: Locking,
    /// Whether the primary copy is written before the answer.
    pub(crate) sync: bool,
    pub(crate) operation_timeout: Duration,
    pub(crate) lock_expiration: u64,
}

impl Settings {
    /// The defaults, but for the lock.
    pub(crate) const fn new(locking: Locking, sync: bool) -> Self {
        Self { locking, sync, operation_timeout: Duration::from_secs(1), lock_expiration: 5 }
    }
}

#[derive(Debug)]
struct Shared {
    nodes: Vec<Cache>,
    settings: Settings,
    health: Gate<HashMap<usize, (Instant, bool)>>,
    health_checks: AtomicU64,
    /// Addresses that changed nothing, and those that once did.
    learned: Mutex<(HashSet<String>, HashSet<String>)>,
    lock_asks: AtomicU64,
}

/// An application node over two Memcached servers.
#[derive(Debug)]
pub(crate) struct Msm {
    shared: Arc<Shared>,
    behind: Gate<JoinSet<()>>,
}

/// What a request has of its session.
struct Loaded {
    attributes: Attributes,
    /// The node of the primary copy, and the id that the client has to have.
    node: usize,
    id: String,
    moved: bool,
}

impl Msm {
    pub(crate) fn new(nodes: &[SocketAddr], settings: Settings) -> Self {
        let nodes = nodes.iter().map(|node| Cache::new(*node, settings.operation_timeout)).collect();
        let shared = Shared {
            nodes,
            settings,
            health: Gate::default(),
            health_checks: AtomicU64::default(),
            learned: Mutex::default(),
            lock_asks: AtomicU64::default(),
        };
        Self { shared: Arc::new(shared), behind: Gate::default() }
    }

    /// How often it has asked for a lock.
    pub(crate) fn lock_asks(&self) -> u64 {
        self.shared.lock_asks.load(Ordering::Relaxed)
    }

    async fn behind(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.behind.lock().await.spawn(work);
    }
}

fn node_of(id: &str) -> Option<usize> {
    id.rsplit_once("-n")?.1.parse().ok()
}

/// The longest idle time, the last access and this one.
const VALIDITY: &[u8; 20] = &[b'v'; 20];

impl Shared {
    /// The other node holds the copy.
    const fn other(&self, node: usize) -> usize {
        (node + 1) % self.nodes.len()
    }

    async fn is_available(&self, node: usize) -> bool {
        let mut health = self.health.lock().await;
        if let Some((since, is_up)) = health.get(&node)
            && since.elapsed() < HEALTH
        {
            return *is_up;
        }
        self.health_checks.fetch_add(1, Ordering::Relaxed);
        let is_up = self.nodes[node].get(&format!("ping-{node}")).await.is_ok();
        health.insert(node, (Instant::now(), is_up));
        is_up
    }

    async fn available(&self) -> Option<usize> {
        let first = usize::try_from(random().ok()? % 2).ok()? % self.nodes.len();
        for node in [first, self.other(first)] {
            if self.is_available(node).await {
                return Some(node);
            }
        }
        None
    }

    fn locks(&self, uri: &str) -> bool {
        match self.settings.locking {
            Locking::None => false,
            Locking::All => true,
            Locking::Uri(prefix) => uri.starts_with(prefix),
            Locking::Auto => {
                let learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
                !learned.0.contains(uri) || learned.1.contains(uri)
            }
        }
    }

    fn learn(&self, uri: &str, changed: bool) {
        let mut learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
        if changed {
            learned.1.insert(uri.to_owned())
        } else {
            learned.0.insert(uri.to_owned())
        };
    }

    /// Asks again and again, and goes on without the lock when it has waited for long enough.
    async fn lock(&self, node: usize, id: &str) -> bool {
        let begun = Instant::now();
        let mut back_off = FIRST_BACK_OFF;
        loop {
            self.lock_asks.fetch_add(1, Ordering::Relaxed);
            let key = format!("lock:{id}");
            let added = self.nodes[node].add(&key, b"locked", self.settings.lock_expiration).await;
            if matches!(added, Ok(true)) {
                return true;
            }
            if begun.elapsed() >= self.settings.operation_timeout {
                return false;
            }
            tokio::time::sleep(back_off).await;
            back_off = (back_off * 2).min(LONGEST_BACK_OFF);
        }
    }

    async fn load(&self, id: &str) -> Option<Loaded> {
        let node = node_of(id).filter(|node| *node < self.nodes.len())?;
        if self.is_available(node).await {
            let bytes = self.nodes[node].get(id).await.ok()??;
            let _ = self.nodes[node].get(&format!("validity:{id}")).await;
            let attributes = Attributes::decode(&bytes).ok()?;
            return Some(Loaded { attributes, node, id: id.to_owned(), moved: false });
        }
        // The copy of the other node, under a new id.
        let other = self.other(node);
        if other == node || !self.is_available(other).await {
            return None;
        }
        let _ = self.nodes[other].get(&format!("bak:validity:{id}")).await;
        let bytes = self.nodes[other].get(&format!("bak:{id}")).await.ok()??;
        let attributes = Attributes::decode(&bytes).ok()?;
        let (name, _) = id.rsplit_once("-n")?;
        Some(Loaded { attributes, node: other, id: format!("{name}-n{other}"), moved: true })
    }

    /// A write that fails is not tried again; its node counts as away.
    async fn put(&self, node: usize, id: &str, bytes: &[u8]) {
        if self.nodes[node].set(id, bytes, IDLE.as_secs() * 2).await.is_err() {
            self.health.lock().await.insert(node, (Instant::now(), false));
        }
    }

    async fn put_validity(&self, node: usize, key: String) {
        let _ = self.nodes[node].set(&key, VALIDITY, IDLE.as_secs()).await;
    }

    /// Asks by an `add` whether a copy is there. If it was not, the whole session is written again.
    async fn ping(&self, node: usize, key: &str, bytes: Option<&[u8]>) {
        let seconds = if bytes.is_some() { 5 } else { 1 };
        if let (Ok(true), Some(bytes)) = (self.nodes[node].add(key, b"p", seconds).await, bytes) {
            self.put(node, key, bytes).await;
        }
    }

    async fn delete(&self, loaded: &Loaded) {
        let Loaded { node, id, .. } = loaded;
        let other = self.other(*node);
        let _ = self.nodes[*node].delete(id).await;
        let _ = self.nodes[*node].delete(&format!("validity:{id}")).await;
        if other != *node {
            let _ = self.nodes[other].delete(&format!("bak:{id}")).await;
            let _ = self.nodes[other].delete(&format!("bak:validity:{id}")).await;
        }
    }
}

impl Msm {
    /// The end of a request that has looked at its session.
    async fn end(&self, loaded: Loaded, before: Option<&Attributes>, locked: bool) -> String {
        let shared = Arc::clone(&self.shared);
        let Loaded { attributes, node, id, moved } = loaded;
        let bytes = attributes.encode();
        let is_changed = moved || before != Some(&attributes);
        let (other, answer) = (shared.other(node), id.clone());
        let primary = {
            let (shared, id, bytes) = (Arc::clone(&shared), id.clone(), bytes.clone());
            async move {
                if is_changed {
                    shared.put(node, &id, &bytes).await;
                }
                if locked {
                    let _ = shared.nodes[node].delete(&format!("lock:{id}")).await;
                }
            }
        };
        if shared.settings.sync || !is_changed {
            primary.await;
        } else {
            self.behind(primary).await;
        }
        shared.put_validity(node, format!("validity:{id}")).await;
        self.behind(async move {
            if !is_changed {
                shared.ping(node, &id, Some(&bytes)).await;
            }
            if other == node || !shared.is_available(other).await {
                return;
            }
            let copy = format!("bak:{id}");
            if is_changed {
                shared.put(other, &copy, &bytes).await;
            } else {
                shared.ping(other, &copy, Some(&bytes)).await;
            }
            shared.put_validity(other, format!("bak:validity:{id}")).await;
        })
        .await;
        answer
    }

    /// A request that does not look at its session.
    async fn untouched(&self, id: &str) {
        let Some(node) = node_of(id) else { return };
        let (shared, id) = (Arc::clone(&self.shared), id.to_owned());
        let key = format!("validity:{id}");
        let _ = shared.nodes[node].get(&key).await;
        shared.put_validity(node, key).await;
        self.behind(async move {
            let other = shared.other(node);
            shared.ping(node, &id, None).await;
            shared.ping(other, &format!("bak:{id}"), None).await;
            shared.put_validity(other, format!("bak:validity:{id}")).await;
        })
        .await;
    }
}

#[async_trait]
impl Manager for Msm {
    async fn request(&self, id: Option<&str>, job: Job) -> Result<Answer, Failure> {
        let Job { uri, work, meanwhile } = job;
        if let (Some(id), Work::Untouched) = (id, work) {
            self.untouched(id).await;
            return Ok(Answer { id: Some(id.to_owned()), ..Answer::default() });
        }
        let mut locked = false;
        if let Some((id, node)) = id.and_then(|id| Some((id, node_of(id)?)))
            && self.shared.locks(&uri)
            && self.shared.is_available(node).await
        {
            locked = self.shared.lock(node, id).await;
        }
        let loaded = match id {
            Some(id) => self.shared.load(id).await,
            None => None,
        };
        let Some(mut loaded) = loaded else {
            if matches!(work, Work::Read | Work::LogOut | Work::Untouched) {
                return Ok(Answer::default());
            }
            let node = self.shared.available().await.ok_or("no node is there")?;
            let id = format!("{:016x}-n{node}", random()?);
            let mut attributes = Attributes::default();
            meanwhile.await;
            attributes.change(work);
            let answer = attributes.answer(&id);
            self.end(Loaded { attributes, node, id, moved: false }, None, false).await;
            return Ok(Answer { found: false, ..answer });
        };
        let before = loaded.attributes.clone();
        meanwhile.await;
        if work == Work::LogOut {
            self.shared.delete(&loaded).await;
            if locked {
                let _ = self.shared.nodes[loaded.node].delete(&format!("lock:{}", loaded.id)).await;
            }
            return Ok(Answer { found: true, ..Answer::default() });
        }
        loaded.attributes.change(work);
        self.shared.learn(&uri, loaded.attributes != before);
        let id = self.end(loaded, Some(&before), locked).await;
        Ok(before.answer(&id))
    }

    async fn settled(&self) {
        let mut behind = self.behind.lock().await;
        while behind.join_next().await.is_some() {}
    }

    fn health_checks(&self) -> u64 {
        self.shared.health_checks.load(Ordering::Relaxed)
    }
}
