//! What a running case has in its hands: nodes, keys, stamps, random numbers from a printed seed.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use holdover_api::{
    Capabilities, Clock, Deadline, Delta, Entropy, Error, Expiry, Freshness, Loaded, ManualClock, On,
    OsEntropy, SaveAnswer, SessionKey, SessionStore, SessionStoreExt, Stamp, SystemClock, Timestamp, Write,
};

use crate::case::Ending;
use crate::harness::{Harness, Node};
use crate::random::Random;

/// One run of one case. Cheap to clone; clones share the place and the random numbers.
#[derive(Clone)]
pub struct Trial {
    harness: Arc<dyn Harness>,
    place: String,
    seed: u64,
    random: Arc<Mutex<Random>>,
    clock: Arc<ManualClock>,
}

impl Trial {
    /// A run of a case with its own place and a clock that starts at the system's time and moves when told.
    ///
    /// The place does not follow from the seed: a repeated run must not find the sessions of the run that it repeats.
    pub fn new(harness: Arc<dyn Harness>, case_id: &str, seed: u64) -> Result<Self, Ending> {
        let mut fresh = [0; 8];
        OsEntropy
            .fill(&mut fresh)
            .map_err(|error| Ending::Error(format!("no place could be drawn: {error}")))?;
        let place = format!("{}-{:016x}", case_id.to_ascii_lowercase(), u64::from_le_bytes(fresh));
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        Ok(Self { harness, place, seed, random: Arc::new(Mutex::new(Random::new(seed))), clock })
    }

    /// The same run at another place of the same server: what is there is none of this place's business.
    #[must_use]
    pub fn elsewhere(&self) -> Self {
        Self { place: format!("{}-b", self.place), ..self.clone() }
    }

    /// Random bytes.
    pub fn bytes(&self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.random.lock().unwrap_or_else(PoisonError::into_inner).fill(&mut bytes);
        bytes
    }

    /// The same run against another harness, such as a private server.
    #[must_use]
    pub fn on(&self, harness: Arc<dyn Harness>) -> Self {
        Self { harness, ..self.clone() }
    }

    /// The harness.
    pub fn harness(&self) -> &Arc<dyn Harness> {
        &self.harness
    }

    /// The place of this run.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// The seed that repeats this run.
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// The trial's clock, which every node has unless it is given another. It starts at the system's time.
    pub fn clock(&self) -> &Arc<ManualClock> {
        &self.clock
    }

    /// The trial's time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A number below `bound`.
    pub fn below(&self, bound: usize) -> usize {
        self.random.lock().unwrap_or_else(PoisonError::into_inner).below(bound)
    }

    /// A key that nobody else has.
    pub fn key(&self) -> SessionKey {
        let mut bytes = [0; 32];
        self.random.lock().unwrap_or_else(PoisonError::into_inner).fill(&mut bytes);
        SessionKey::from_bytes(bytes)
    }

    /// A stamp that nobody else has.
    pub fn stamp(&self) -> Stamp {
        let mut bytes = [0; 16];
        self.random.lock().unwrap_or_else(PoisonError::into_inner).fill(&mut bytes);
        Stamp::from_bytes(bytes)
    }

    /// A node with the trial's clock.
    pub async fn node(&self) -> Result<Subject, Ending> {
        self.open(Arc::clone(&self.clock) as Arc<dyn Clock>, None).await
    }

    /// A node with a clock of its own.
    pub async fn node_with_clock(&self, clock: Arc<dyn Clock>) -> Result<Subject, Ending> {
        self.open(clock, None).await
    }

    /// A node that reaches the server through a proxy.
    pub async fn node_via(&self, address: SocketAddr) -> Result<Subject, Ending> {
        self.open(Arc::clone(&self.clock) as Arc<dyn Clock>, Some(address)).await
    }

    async fn open(&self, clock: Arc<dyn Clock>, via: Option<SocketAddr>) -> Result<Subject, Ending> {
        let node = Node { place: self.place.clone(), clock: Arc::clone(&clock), via };
        let store = self.harness.open(node).await.map_err(|error| Ending::Error(format!("open: {error}")))?;
        Ok(self.subject(store, clock))
    }

    /// A node over a store that was opened elsewhere.
    pub(crate) fn subject(&self, store: Arc<dyn SessionStore>, clock: Arc<dyn Clock>) -> Subject {
        Subject { store, clock, trial: self.clone() }
    }
}

impl fmt::Debug for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Trial({}, seed {:#x})", self.place, self.seed)
    }
}

/// A node under examination: the store with shorthands that turn an unexpected failure into the end of the case.
#[derive(Clone, Debug)]
pub struct Subject {
    /// The store itself, for calls whose failure is part of the question.
    pub store: Arc<dyn SessionStore>,
    clock: Arc<dyn Clock>,
    trial: Trial,
}

/// The lifetime that cases give a session unless time is the question.
pub const LIFETIME: Duration = Duration::from_secs(600);

impl Subject {
    /// The trial that this node belongs to.
    pub const fn trial(&self) -> &Trial {
        &self.trial
    }

    /// What the store claims.
    pub fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }

    /// Whether nothing on the server tells when it will remove one session: nobody does, or all go with their table.
    pub(crate) fn has_no_native_deadlines(&self) -> bool {
        let on_demand = self.capabilities().expiry == Expiry::OnDemand;
        on_demand || self.trial.harness().longest_lease().is_some()
    }

    /// The node's time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A write with a new stamp and a deadline of [`LIFETIME`] from now.
    pub fn write(&self, on: On, set: &[(&str, &[u8])]) -> Write {
        let mut delta = Delta::default();
        for (name, value) in set {
            delta.set(*name, value.to_vec());
        }
        let deadline = Deadline::AtLeast(self.now() + LIFETIME);
        Write { on, delta, stamp: self.trial.stamp(), deadline, base: None }
    }

    /// A creating write.
    pub fn creation(&self, set: &[(&str, &[u8])]) -> Write {
        self.write(On::Absent { created: self.now() }, set)
    }

    /// Creates a session under a new key and answers the key.
    pub async fn create(&self, set: &[(&str, &[u8])]) -> Result<SessionKey, Ending> {
        let key = self.trial.key();
        match self.save(&key, &self.creation(set)).await? {
            SaveAnswer::Saved { .. } => Ok(key),
            answer => Err(Ending::Failed(format!("a create under a new key answered {answer:?}"))),
        }
    }

    /// Loads the latest.
    pub async fn load(&self, key: &SessionKey) -> Result<Option<Loaded>, Ending> {
        self.store.load_latest(key).await.map_err(failed("load"))
    }

    /// Loads what was the latest at most so long ago.
    pub async fn load_within(&self, key: &SessionKey, bound: Duration) -> Result<Option<Loaded>, Ending> {
        self.store.load(key, Freshness::Within(bound)).await.map_err(failed("load"))
    }

    /// Loads what has to be there.
    pub async fn load_live(&self, key: &SessionKey) -> Result<Loaded, Ending> {
        let loaded = self.load(key).await?;
        loaded.ok_or_else(|| Ending::Failed("load found nothing where a live session has to be".into()))
    }

    /// Saves.
    pub async fn save(&self, key: &SessionKey, write: &Write) -> Result<SaveAnswer, Ending> {
        self.store.save(key, write).await.map_err(failed("save"))
    }

    /// Merges attributes into a live session, which has to succeed.
    pub async fn merge(&self, key: &SessionKey, set: &[(&str, &[u8])]) -> Result<(), Ending> {
        match self.save(key, &self.write(On::Live, set)).await? {
            SaveAnswer::Saved { .. } => Ok(()),
            answer => Err(Ending::Failed(format!("a merge into a live session answered {answer:?}"))),
        }
    }

    /// Touches.
    pub async fn touch(&self, key: &SessionKey, deadline: Timestamp) -> Result<bool, Ending> {
        self.store.touch(key, deadline).await.map_err(failed("touch"))
    }

    /// Deletes.
    pub async fn delete(&self, key: &SessionKey) -> Result<(), Ending> {
        self.store.delete(key).await.map_err(failed("delete"))
    }
}

fn failed(operation: &'static str) -> impl Fn(Error) -> Ending {
    move |error| Ending::Failed(format!("{operation} failed where it has to succeed: {error}"))
}
