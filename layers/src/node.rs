//! One node of a pair or a ring: its store, whether it is worth asking, and since when it has been up.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use holdover_api::{
    Attributes, Clock, Entropy, Error, ErrorKind, InstallAnswer, Lineage, OsEntropy, Record, SessionKey,
    SessionStore, Stamp, Stopwatch, Stored, Timestamp, within,
};
use tokio::sync::Notify;

use crate::failover::Counts;

/// Under which a node of a pair keeps since when it has been up: no session, and no id hashes to it. Tools that count or
/// list sessions below the store leave it out.
pub const NODE_BIRTH: SessionKey = SessionKey::from_bytes(*b"holdover: since when a node runs");

/// For longer than any node runs.
const FOREVER: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// For so long after its return a node is expected to lack writes that nobody is about to bring.
const STEADY_AFTER: Duration = Duration::from_secs(600);

/// How long a known birth is taken for the current one where no answer depends on it: for a counter, and at the start,
/// when a ring meets each node in two pairs.
const BIRTH_KNOWN_FOR: Duration = Duration::from_secs(1);

/// When a node is given up, and when it is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Patience {
    /// The longest that one call may take.
    pub(crate) limit: Duration,
    /// The pause before a node that failed is tried again; doubled each time that fails.
    pub(crate) first_pause: Duration,
    /// No pause is longer.
    pub(crate) max_pause: Duration,
}

/// A node. All pairs of a ring that it belongs to share this one.
pub(crate) struct Node {
    store: Arc<dyn SessionStore>,
    clock: Arc<dyn Clock>,
    patience: Patience,
    health: Mutex<Health>,
    /// Told when it is given up: whoever waits for it then waits no longer.
    given_up: Notify,
    birth: Mutex<Option<(Timestamp, Stopwatch)>>,
    counts: Arc<Counts>,
}

/// Whether a node is asked. It is the breaker of this application node: other application nodes judge for themselves.
#[derive(Clone, Copy, Debug)]
enum Health {
    Up {
        /// When it was last believed again, if it ever was given up.
        again: Option<Stopwatch>,
    },
    /// Given up until a probe succeeds. Requests neither wait for it nor are used as probes.
    Down { since: Stopwatch, pause: Duration, probing: bool },
}

/// Why a node gave no answer.
#[derive(Debug)]
pub(crate) enum Miss {
    /// It was not asked, or did not answer.
    Unreachable,
    /// It answered with a failure of another kind.
    Failed(Error),
}

impl Node {
    pub(crate) fn new(
        store: Arc<dyn SessionStore>,
        clock: Arc<dyn Clock>,
        patience: Patience,
        counts: Arc<Counts>,
    ) -> Self {
        let (health, birth) = (Mutex::new(Health::Up { again: None }), Mutex::new(None));
        Self { store, clock, patience, health, given_up: Notify::new(), birth, counts }
    }

    pub(crate) fn store(&self) -> &Arc<dyn SessionStore> {
        &self.store
    }

    /// Whether it is asked at the moment. If it is due for a probe, one begins.
    pub(crate) fn is_up(self: &Arc<Self>) -> bool {
        let mut health = self.health();
        let Health::Down { since, pause, probing } = &mut *health else {
            return true;
        };
        if !*probing && since.elapsed() >= *pause {
            *probing = true;
            tokio::spawn(Arc::clone(self).probe());
        }
        false
    }

    /// Whether it has been there all the time lately, so that it lacks nothing but what is on its way.
    pub(crate) fn is_steady(&self) -> bool {
        match *self.health() {
            Health::Up { again: None } => true,
            Health::Up { again: Some(again) } => again.elapsed() >= STEADY_AFTER,
            Health::Down { .. } => false,
        }
    }

    /// Runs one call of its store, unless it is given up at the moment. No answer in time gives it up, and with that ends
    /// all calls that are under way: together they have cost one time-out, and not each its own.
    pub(crate) async fn call<T>(
        self: &Arc<Self>,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Miss> {
        // Begun before the look at its health, so that nothing slips through in between.
        let given_up = self.given_up.notified();
        if !self.is_up() {
            return Err(Miss::Unreachable);
        }
        let answer = tokio::select! {
            biased;
            answer = within(self.patience.limit, work) => answer,
            () = given_up => return Err(Miss::Unreachable),
        };
        match answer {
            Some(Ok(answer)) => Ok(answer),
            Some(Err(error)) if error.kind() != ErrorKind::Unavailable => Err(Miss::Failed(error)),
            Some(Err(_)) | None => {
                self.give_up();
                Err(Miss::Unreachable)
            }
        }
    }

    /// Since when it has been up, by the clock of whoever asked it first after its start. A node that has forgotten it
    /// has forgotten everything: it begins now.
    pub(crate) async fn birth(self: &Arc<Self>) -> Result<Timestamp, Miss> {
        let birth = self.call(self.read_birth()).await?;
        *self.known_birth() = Some((birth, Stopwatch::start()));
        Ok(birth)
    }

    /// As [`birth`](Self::birth), but asked at most once a second.
    pub(crate) async fn recent_birth(self: &Arc<Self>) -> Result<Timestamp, Miss> {
        let known = *self.known_birth();
        match known {
            Some((birth, asked)) if asked.elapsed() < BIRTH_KNOWN_FOR => Ok(birth),
            _ => self.birth().await,
        }
    }

    async fn read_birth(&self) -> Result<Timestamp, Error> {
        if let Some(stored) = self.store.inspect(&NODE_BIRTH).await? {
            return Ok(created(&stored));
        }
        let now = self.clock.now();
        let mut random = [0; 16];
        // Two nodes that draw the same stamp write the same record: no randomness is needed for safety here.
        let _ = OsEntropy.fill(&mut random);
        let lineage = Lineage::new(Stamp::from_bytes(random));
        let record = Record { attributes: Attributes::new(), lineage, created: now, deadline: now + FOREVER };
        match self.store.install(&NODE_BIRTH, None, &Stored::Record(record)).await? {
            InstallAnswer::Refused { stored: Some(stored) } => Ok(created(&stored)),
            InstallAnswer::Installed | InstallAnswer::Refused { stored: None } => Ok(now),
        }
    }

    fn give_up(&self) {
        let mut health = self.health();
        if matches!(*health, Health::Down { .. }) {
            return;
        }
        let pause = jittered(self.patience.first_pause);
        *health = Health::Down { since: Stopwatch::start(), pause, probing: false };
        drop(health);
        self.given_up.notify_waiters();
        self.counts.breaker_opened(&self.store.to_string());
        tracing::warn!(store = %self.store, "a node does not answer and is given up for a while");
    }

    /// Asks a node that was given up for its birth, which is also how a restart is noticed.
    async fn probe(self: Arc<Self>) {
        let answer = within(self.patience.limit, self.read_birth()).await;
        if let Some(Ok(birth)) = answer {
            *self.known_birth() = Some((birth, Stopwatch::start()));
            *self.health() = Health::Up { again: Some(Stopwatch::start()) };
            tracing::info!(store = %self.store, "a node answers again");
            return;
        }
        let mut health = self.health();
        if let Health::Down { since, pause, probing } = &mut *health {
            *since = Stopwatch::start();
            *pause = jittered((*pause * 2).min(self.patience.max_pause));
            *probing = false;
        }
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        // Only whole values are put in, so that a panic elsewhere leaves nothing half done.
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known_birth(&self) -> MutexGuard<'_, Option<(Timestamp, Stopwatch)>> {
        self.birth.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("store", &self.store)
            .field("health", &*self.health())
            .finish_non_exhaustive()
    }
}

/// Application nodes that gave a node up together do not come back together.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(0.75 + fastrand::f64() / 4.0)
}

const fn created(stored: &Stored) -> Timestamp {
    match stored {
        Stored::Record(record) => record.created,
        Stored::Tombstone(tombstone) => tombstone.deadline,
    }
}
