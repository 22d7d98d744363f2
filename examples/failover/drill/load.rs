//! The load: clients in a closed loop over shared sessions, and visitors who come whatever happens.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use holdover::api::{CookieChange, Stopwatch, pause};
use holdover::{SessionError, SessionId};
use holdover_layers::failover::FailoverCounts;
use tokio::task::JoinSet;

use super::record::{Done, Log, name_of};
use crate::nodes::Node;

const TOKENS: &str = "tokens";
/// What a client does not do between two requests. It leaves the machine some air.
const THINKING: Duration = Duration::from_millis(2);
/// On each application node so often somebody new comes.
const BETWEEN_VISITORS: Duration = Duration::from_millis(10);

/// A session that the clients share, and what they were promised of it.
pub(crate) struct Ledger {
    pub(crate) id: SessionId,
    acknowledged: Mutex<Vec<u64>>,
}

impl Ledger {
    pub(crate) fn acknowledged(&self) -> MutexGuard<'_, Vec<u64>> {
        self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the load has seen that must not be.
#[derive(Default)]
pub(crate) struct Broken {
    /// Reads that lacked a write that had been acknowledged before they began.
    pub(crate) lost: AtomicU64,
    /// Live sessions that were not found.
    pub(crate) vanished: AtomicU64,
    /// Sessions that were seen, or changed, after their log-out had been acknowledged.
    pub(crate) resurrected: AtomicU64,
}

/// Everything that the tasks of the load share.
pub(crate) struct World {
    pub(crate) watch: Stopwatch,
    pub(crate) nodes: [Node; 2],
    pub(crate) sessions: Vec<Ledger>,
    /// The sessions from here on are being logged out.
    pub(crate) live: AtomicUsize,
    logged_out: Mutex<Vec<SessionId>>,
    pub(crate) log: Log,
    pub(crate) broken: Broken,
    pub(crate) over: AtomicBool,
    next_token: AtomicU64,
}

impl World {
    pub(crate) async fn new(nodes: [Node; 2], sessions: usize) -> Result<Self, SessionError> {
        let mut ledgers = Vec::new();
        for number in 0..sessions {
            let session = nodes[number % 2].policy.open(None);
            session.insert(TOKENS, Vec::<u64>::new()).await?;
            if let CookieChange::Set { id, .. } = session.commit().await?.cookie {
                ledgers.push(Ledger { id, acknowledged: Mutex::default() });
            }
        }
        Ok(Self {
            watch: Stopwatch::start(),
            nodes,
            live: AtomicUsize::new(ledgers.len()),
            sessions: ledgers,
            logged_out: Mutex::default(),
            log: Log::default(),
            broken: Broken::default(),
            over: AtomicBool::default(),
            next_token: AtomicU64::new(1),
        })
    }

    /// Runs one request of an application node and writes down how it went.
    async fn request<T>(
        &self,
        node: usize,
        work: impl Future<Output = Result<T, SessionError>>,
    ) -> Result<T, SessionError> {
        let copies = &self.nodes[node].copies;
        let openings_before = copies.counts().breaker_openings;
        let began = self.watch.elapsed();
        let outcome = work.await;
        let ended = self.watch.elapsed();
        let half_copies_after = copies.counts().half_copies;
        let error = outcome.as_ref().err().map(name_of);
        self.log.push(Done { node, began, ended, error, openings_before, half_copies_after });
        outcome
    }

    /// Reads the tokens of a session; nothing if it is not there.
    pub(crate) async fn tokens(&self, node: usize, id: &SessionId) -> Result<Option<Vec<u64>>, SessionError> {
        self.nodes[node].policy.open(Some(id.clone())).get(TOKENS).await
    }

    /// Reads a session that has to be there, with everything that had been acknowledged before.
    async fn read(&self, node: usize, ledger: &Ledger) -> Result<(), SessionError> {
        let promised = ledger.acknowledged().clone();
        let tokens = self.tokens(node, &ledger.id).await?;
        self.check(ledger, &promised, tokens.as_deref());
        Ok(())
    }

    /// Reads a session and adds a token to it, as one request.
    async fn modify(&self, node: usize, ledger: &Ledger) -> Result<(), SessionError> {
        let token = self.next_token.fetch_add(1, Ordering::Relaxed);
        let promised = ledger.acknowledged().clone();
        let session = self.nodes[node].policy.open(Some(ledger.id.clone()));
        let tokens: Option<Vec<u64>> = session.get(TOKENS).await?;
        self.check(ledger, &promised, tokens.as_deref());
        if tokens.is_none() {
            return Err(SessionError::Gone);
        }
        let add = |tokens: Option<Vec<u64>>| {
            let mut tokens = tokens.unwrap_or_default();
            tokens.push(token);
            tokens
        };
        session.update(TOKENS, add).await?;
        ledger.acknowledged().push(token);
        Ok(())
    }

    fn check(&self, ledger: &Ledger, promised: &[u64], tokens: Option<&[u64]>) {
        let Some(tokens) = tokens else {
            let is_live = self.live().any(|live| live.id == ledger.id);
            self.broken.vanished.fetch_add(u64::from(is_live), Ordering::Relaxed);
            return;
        };
        let missing = missing(promised, tokens);
        self.broken.lost.fetch_add(missing as u64, Ordering::Relaxed);
    }

    /// What each application node has noticed so far.
    pub(crate) fn counts(&self) -> [FailoverCounts; 2] {
        self.nodes.each_ref().map(|node| node.copies.counts())
    }

    /// Those whose log-out was acknowledged.
    pub(crate) fn logged_out(&self) -> Vec<SessionId> {
        self.logged_out.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn live(&self) -> impl Iterator<Item = &Ledger> {
        self.sessions.iter().take(self.live.load(Ordering::SeqCst))
    }

    /// Somebody comes, changes something and logs out, on the other application node, while a slow request that has
    /// loaded the session is still under way.
    async fn visit(&self, node: usize) -> Result<(), SessionError> {
        let created = self.request(node, async {
            let session = self.nodes[node].policy.open(None);
            session.insert(TOKENS, vec![0]).await?;
            session.commit().await
        });
        let CookieChange::Set { id, .. } = created.await?.cookie else {
            return Ok(());
        };
        self.log_out(1 - node, &id).await
    }

    /// Logs a session out; a slow request on the other application node must not bring it back.
    pub(crate) async fn log_out(&self, node: usize, id: &SessionId) -> Result<(), SessionError> {
        let slow = self.nodes[1 - node].policy.open(Some(id.clone()));
        self.request(1 - node, slow.get::<Vec<u64>>(TOKENS)).await?;
        let out = self.request(node, async {
            let session = self.nodes[node].policy.open(Some(id.clone()));
            session.flush().await?;
            session.commit().await
        });
        out.await?;
        self.logged_out.lock().unwrap_or_else(PoisonError::into_inner).push(id.clone());
        // It knows the session as it was, and writes.
        slow.insert("late", true).await?;
        let wrote = slow.commit().await.is_ok();
        let seen = self.tokens(1 - node, id).await.is_ok_and(|tokens| tokens.is_some());
        self.broken.resurrected.fetch_add(u64::from(wrote || seen), Ordering::Relaxed);
        Ok(())
    }
}

/// How many of the promised tokens are not there.
pub(crate) fn missing(promised: &[u64], tokens: &[u64]) -> usize {
    let there: HashSet<&u64> = tokens.iter().collect();
    promised.iter().filter(|token| !there.contains(token)).count()
}

/// Starts the load.
pub(crate) fn start(world: &Arc<World>, clients: usize) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for client in 0..clients {
        tasks.spawn(be_a_client(Arc::clone(world), client));
    }
    for node in [0, 1] {
        tasks.spawn(receive_visitors(Arc::clone(world), node));
    }
    tasks
}

async fn be_a_client(world: Arc<World>, client: usize) {
    let mut random = client as u64 + 1;
    while !world.over.load(Ordering::Relaxed) {
        random = scramble(random);
        let live = world.live.load(Ordering::SeqCst) as u64;
        let Some(ledger) = usize::try_from(random % live).ok().and_then(|index| world.sessions.get(index))
        else {
            return;
        };
        let node = client % 2;
        // How it ended is written down.
        let _ = if (random >> 32).is_multiple_of(4) {
            world.request(node, world.read(node, ledger)).await
        } else {
            world.request(node, world.modify(node, ledger)).await
        };
        pause(THINKING).await;
    }
}

/// They do not wait for each other: a server that hangs meets requests that begin while it does.
async fn receive_visitors(world: Arc<World>, node: usize) {
    let mut visitors = JoinSet::new();
    while !world.over.load(Ordering::Relaxed) {
        let visiting = Arc::clone(&world);
        visitors.spawn(async move {
            let _ = visiting.visit(node).await;
        });
        pause(BETWEEN_VISITORS).await;
        while visitors.try_join_next().is_some() {}
    }
    while visitors.join_next().await.is_some() {}
}

/// Any order will do, as long as it is the same next time: the step of SplitMix64.
const fn scramble(state: u64) -> u64 {
    let state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}
