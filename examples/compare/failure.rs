//! A server is killed, or hangs, while it is in use; afterwards everything that was acknowledged is looked for.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use holdover::api::{CookieChange, Stopwatch, pause};
use holdover::{SessionError, SessionId, SessionPolicy};
use holdover_conformance::{Random, ServerControl};
use tokio::task::JoinSet;

use crate::result::Fault;
use crate::stacks::{Fallible, Stack, Stand};

const CLIENTS: usize = 16;
const SESSIONS: usize = 200;
const THINKING: Duration = Duration::from_millis(1);
const TOKENS: &str = "tokens";
/// Load before the fault, and how much of it the page shows.
const STEADY: Duration = Duration::from_secs(1);
const SHOWN_BEFORE: Duration = Duration::from_millis(500);
/// Without an answer for so long, the store is out.
const OUTAGE: Duration = Duration::from_millis(100);
/// An outage that begins later than so long after a fault is not its doing.
const SOON: Duration = Duration::from_millis(250);
const PIECE: Duration = Duration::from_millis(50);
/// Somebody notices that a server without a second copy is dead, and starts it again.
const UNTIL_RESTART: Duration = Duration::from_millis(500);
const LOOKS: usize = 20;
const BETWEEN_LOOKS: Duration = Duration::from_millis(250);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Killed,
    Hung,
}

/// A session, and the writes to it that were acknowledged.
struct Ledger {
    id: SessionId,
    acknowledged: Mutex<Vec<u64>>,
}

#[derive(Clone, Copy, Debug)]
struct Done {
    began: Duration,
    ended: Duration,
    served: bool,
}

struct World {
    policy: SessionPolicy,
    watch: Stopwatch,
    slots: Vec<Mutex<Arc<Ledger>>>,
    every: Mutex<Vec<Arc<Ledger>>>,
    log: Mutex<Vec<Done>>,
    over: AtomicBool,
    next_token: AtomicU64,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    async fn new(policy: SessionPolicy) -> Fallible<Self> {
        let (mut slots, mut every) = (Vec::new(), Vec::new());
        for _ in 0..SESSIONS {
            let ledger = Arc::new(created(&policy).await?);
            slots.push(Mutex::new(Arc::clone(&ledger)));
            every.push(ledger);
        }
        Ok(Self {
            policy,
            watch: Stopwatch::start(),
            slots,
            every: Mutex::new(every),
            log: Mutex::default(),
            over: AtomicBool::default(),
            next_token: AtomicU64::new(1),
        })
    }

    /// Runs one request and writes down how it went. Whoever finds no session is told so: that is an answer.
    async fn request<T>(&self, work: impl Future<Output = Result<T, SessionError>>) -> Option<T> {
        let began = self.watch.elapsed();
        let outcome = work.await;
        let served = matches!(&outcome, Ok(_) | Err(SessionError::Gone));
        locked(&self.log).push(Done { began, ended: self.watch.elapsed(), served });
        outcome.ok()
    }

    async fn tokens(&self, ledger: &Ledger) -> Result<Option<Vec<u64>>, SessionError> {
        self.policy.open(Some(ledger.id.clone())).get(TOKENS).await
    }

    /// Answers whether the session was there.
    async fn modify(&self, ledger: &Ledger) -> Result<bool, SessionError> {
        let token = self.next_token.fetch_add(1, Ordering::Relaxed);
        let session = self.policy.open(Some(ledger.id.clone()));
        if session.get::<Vec<u64>>(TOKENS).await?.is_none() {
            return Ok(false);
        }
        let add = |tokens: Option<Vec<u64>>| {
            let mut tokens = tokens.unwrap_or_default();
            tokens.push(token);
            tokens
        };
        session.update(TOKENS, add).await?;
        session.commit().await?;
        locked(&ledger.acknowledged).push(token);
        Ok(true)
    }

    async fn visit(&self, slot: usize, changes: bool) {
        let ledger = Arc::clone(&locked(&self.slots[slot]));
        let found = if changes {
            self.request(self.modify(&ledger)).await
        } else {
            self.request(self.tokens(&ledger)).await.map(|tokens| tokens.is_some())
        };
        if found != Some(false) {
            return;
        }
        // Their session is lost: they come anew, as the first who noticed it for this session.
        let Some(new) = self.request(created(&self.policy)).await.map(Arc::new) else { return };
        let mut current = locked(&self.slots[slot]);
        if Arc::ptr_eq(&current, &ledger) {
            locked(&self.every).push(Arc::clone(&new));
            *current = new;
        }
    }
}

async fn created(policy: &SessionPolicy) -> Result<Ledger, SessionError> {
    let session = policy.open(None);
    session.insert(TOKENS, Vec::<u64>::new()).await?;
    match session.commit().await?.cookie {
        CookieChange::Set { id, .. } => Ok(Ledger { id, acknowledged: Mutex::default() }),
        _ => Err(SessionError::Gone),
    }
}

async fn be_a_client(world: Arc<World>, seed: u64) {
    let mut random = Random::new(seed);
    while !world.over.load(Ordering::Relaxed) {
        world.visit(random.below(SESSIONS), random.below(4) != 0).await;
        pause(THINKING).await;
    }
}

/// A kill and a hang of the server that holds the first copy; nothing for a stack without a server of its own.
pub(crate) async fn measure(stack: &Stack, seed: u64, length: Duration) -> Fallible<Vec<Fault>> {
    let mut faults = Vec::new();
    if stack.programs.is_empty() {
        return Ok(faults);
    }
    for what in [What::Killed, What::Hung] {
        let stand = Stand::start(stack).await??;
        faults.push(strike(&stand, what, seed, length).await?);
    }
    Ok(faults)
}

async fn strike(stand: &Stand, what: What, seed: u64, length: Duration) -> Fallible<Fault> {
    let store = stand.open_via(&stand.addresses(), false).await?;
    let world = Arc::new(World::new(SessionPolicy::new(store)).await?);
    let mut load = JoinSet::new();
    for client in 0..CLIENTS {
        load.spawn(be_a_client(Arc::clone(&world), seed.wrapping_add(client as u64)));
    }
    pause(STEADY).await;
    let server = &stand.servers[0];
    let struck = world.watch.elapsed();
    match what {
        What::Killed => {
            server.kill().await?;
            if !stand.stack.is_pair() {
                pause(UNTIL_RESTART).await;
                server.restart().await?;
            }
        }
        What::Hung => {
            server.pause().await?;
            pause(length / 2).await;
            server.resume().await?;
        }
    }
    pause((struck + length).saturating_sub(world.watch.elapsed())).await;
    world.over.store(true, Ordering::Relaxed);
    load.join_all().await;
    let log = std::mem::take(&mut *locked(&world.log));
    let mut fault = told(what, struck, length, &log);
    audit(&world, &mut fault).await;
    Ok(fault)
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// When requests were served again. What was on its way when the fault struck may still be answered, and a server of many
/// threads stops one after the other: where nothing was served for a while soon after, its end counts, and else the first
/// request that began later.
fn served_again(struck: Duration, over: Duration, log: &[Done]) -> Option<Duration> {
    let served = || log.iter().filter(|done| done.served && done.ended >= struck);
    let mut ends: Vec<Duration> = served().map(|done| done.ended).collect();
    ends.sort();
    let mut last = struck;
    for ended in ends.into_iter().take_while(|ended| *ended < over) {
        if ended - last >= OUTAGE {
            return Some(ended);
        }
        if ended - struck >= SOON {
            return served().filter(|done| done.began >= struck).map(|done| done.ended).min();
        }
        last = ended;
    }
    None
}

/// What the requests say of a fault that struck at a moment.
fn told(what: What, struck: Duration, length: Duration, log: &[Done]) -> Fault {
    let after = |done: &&Done| done.ended >= struck;
    let first = served_again(struck, struck + length, log);
    let last_error = log.iter().filter(after).filter(|done| !done.served).map(|done| done.ended).max();
    let longest = log.iter().filter(after).map(|done| done.ended - done.began).max();
    let begin = struck.saturating_sub(SHOWN_BEFORE);
    let mut pieces = Vec::new();
    let mut from = begin;
    while from < struck + length {
        let here = log.iter().filter(|done| (from..from + PIECE).contains(&done.ended));
        let (served, failed): (Vec<&Done>, Vec<&Done>) = here.partition(|done| done.served);
        pieces.push((served.len(), failed.len()));
        from += PIECE;
    }
    Fault {
        what: if what == What::Killed { "killed" } else { "hung" }.to_owned(),
        requests: log.iter().filter(after).count(),
        errors: log.iter().filter(after).filter(|done| !done.served).count(),
        first_served_ms: first.map(|ended| millis(ended - struck)),
        last_error_ms: last_error.map(|ended| millis(ended - struck)),
        longest_ms: longest.map_or(0.0, millis),
        piece_ms: 50,
        before_ms: 500,
        pieces,
        ..Fault::default()
    }
}

/// Looks for every acknowledged write in every session that there ever was, with patience for a server that has just come
/// back.
async fn audit(world: &World, fault: &mut Fault) {
    let every = locked(&world.every).clone();
    fault.sessions = every.len();
    for ledger in every {
        let promised = locked(&ledger.acknowledged).clone();
        fault.acknowledged += promised.len();
        let Some(tokens) = look(world, &ledger).await else {
            fault.unanswered += 1;
            continue;
        };
        fault.sessions_lost += usize::from(tokens.is_none());
        fault.lost += missing(&promised, &tokens.unwrap_or_default());
    }
}

async fn look(world: &World, ledger: &Ledger) -> Option<Option<Vec<u64>>> {
    for _ in 0..LOOKS {
        if let Ok(tokens) = world.tokens(ledger).await {
            return Some(tokens);
        }
        pause(BETWEEN_LOOKS).await;
    }
    None
}

/// How many of the promised tokens are not there.
fn missing(promised: &[u64], tokens: &[u64]) -> usize {
    let there: HashSet<&u64> = tokens.iter().collect();
    promised.iter().filter(|token| !there.contains(token)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(began: u64, ended: u64, served: bool) -> Done {
        Done { began: Duration::from_millis(began), ended: Duration::from_millis(ended), served }
    }

    #[test]
    fn recovery_counts_from_requests_that_began_after_the_fault() {
        let log =
            [done(900, 1010, true), done(990, 1300, false), done(1005, 1400, true), done(1500, 1501, true)];
        let (second, half) = (Duration::from_secs(1), Duration::from_millis(500));
        let fault = told(What::Hung, second, half, &log);
        assert_eq!((fault.requests, fault.errors), (4, 1));
        assert_eq!((fault.first_served_ms, fault.last_error_ms), (Some(400.0), Some(300.0)));
        assert_eq!(fault.longest_ms, 395.0);
        assert_eq!(fault.pieces.len(), 20);
        assert_eq!((fault.pieces[10], fault.pieces[16], fault.pieces[18]), ((1, 0), (0, 1), (1, 0)));
    }

    #[test]
    fn an_answer_that_was_on_its_way_is_no_recovery() {
        let second = Duration::from_secs(1);
        let again = |log: &[Done]| served_again(second, second * 3, log);
        let outage = [done(1001, 1002, true), done(1003, 1400, true), done(1500, 1501, true)];
        assert_eq!(again(&outage), Some(Duration::from_millis(1400)));
        let never = [done(999, 1002, true), done(1003, 1004, true), done(1005, 2000, false)];
        assert_eq!(again(&never), None);
        let mut unhurt: Vec<Done> =
            (0..40).map(|number| done(1000 + number * 10, 1004 + number * 10, true)).collect();
        unhurt.push(done(1900, 2500, true));
        assert_eq!(
            again(&unhurt),
            Some(Duration::from_millis(1004)),
            "what is slow much later is something else"
        );
    }

    #[test]
    fn a_write_that_was_acknowledged_and_is_not_there_is_lost() {
        assert_eq!(missing(&[1, 2, 3], &[3, 1, 9]), 1);
        assert_eq!(missing(&[1, 2], &[]), 2);
        assert_eq!(missing(&[], &[5]), 0);
    }
}
