//! Clients that never stop while servers come and go.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use holdover_api::{
    Effect, Error, ErrorKind, On, SaveAnswer, SessionKey, SessionStoreExt, Write, pause, within,
};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::ledger::{Fate, Kind, LIST, Ledger, listed};
use super::{Drill, PATIENCE, settle};
use crate::case::Ending;
use crate::random::Random;
use crate::trial::{LIFETIME, Subject};

/// Clients on each application node.
const CLIENTS: usize = 2;
/// Sessions that are in use at a time; clients share them.
const SESSIONS: usize = 5;
/// A session that has been asked for so much is left to the audit, and another one takes its place.
const FULL: usize = 14;
/// How often one write is tried.
const TRIES: usize = 3;
/// Between the operations of a client: it is the faults that are examined, not how much a machine can do.
const BREATH: Duration = Duration::from_millis(2);
/// How much is acknowledged before a load counts as begun.
const BEGUN: usize = 30;

/// How long an operation may take on a store that waits until its servers have chosen a primary.
const LONG_PATIENCE: Duration = Duration::from_secs(30);

/// What a load does, and what it puts up with.
#[derive(Clone, Copy)]
struct Terms {
    touches: bool,
    /// Whether a server that is away may be the reason of an error.
    errors: bool,
    patience: Duration,
}

const USUAL: Terms = Terms { touches: true, errors: true, patience: PATIENCE };

/// A running load. Dropping it stops it.
pub(crate) struct Load {
    ledger: Arc<Ledger>,
    terms: Terms,
    stop: watch::Sender<bool>,
    clients: JoinSet<()>,
}

impl Load {
    /// Starts clients on every node and waits until they are at work.
    pub(crate) async fn start(drill: &Drill) -> Result<Self, Ending> {
        Self::start_on(drill, Arc::default()).await
    }

    /// As [`start`](Self::start), writing to a ledger that is there already.
    pub(crate) async fn start_on(drill: &Drill, ledger: Arc<Ledger>) -> Result<Self, Ending> {
        Self::begin(&drill.subjects(), ledger, USUAL).await
    }

    /// As [`start_on`](Self::start_on) without touches. They leave no mark by which a writer could learn of them, so that
    /// nodes which write the copies in different orders, because they are configured with different servers, may undo
    /// one: the session then ends as early as if nobody had extended it.
    pub(crate) async fn start_untouched(drill: &Drill, ledger: Arc<Ledger>) -> Result<Self, Ending> {
        Self::begin(&drill.subjects(), ledger, Terms { touches: false, ..USUAL }).await
    }

    /// As [`start`](Self::start), on these nodes; any error that reaches a client breaks a promise.
    pub(crate) async fn without_error(nodes: &[Subject]) -> Result<Self, Ending> {
        let terms = Terms { errors: false, patience: LONG_PATIENCE, ..USUAL };
        Self::begin(nodes, Arc::default(), terms).await
    }

    async fn begin(nodes: &[Subject], ledger: Arc<Ledger>, terms: Terms) -> Result<Self, Ending> {
        let (stop, stopped) = watch::channel(false);
        let slots = Arc::new(Slots(Mutex::new([None; SESSIONS])));
        let mut clients = JoinSet::new();
        for (number, node) in nodes.iter().cycle().take(CLIENTS * nodes.len()).enumerate() {
            let client = Client {
                subject: node.clone(),
                ledger: Arc::clone(&ledger),
                slots: Arc::clone(&slots),
                random: Random::new(node.trial().seed().wrapping_add(number as u64)),
                next: (number as u64) << 32,
                terms,
            };
            clients.spawn(client.run(stopped.clone()));
        }
        let load = Self { ledger, terms, stop, clients };
        load.presses_on(BEGUN).await?;
        Ok(load)
    }

    /// Waits until so much more has been acknowledged; a promise that was broken meanwhile ends the case.
    pub(crate) async fn goes_on(&self, more: usize) -> Result<(), Ending> {
        let wanted = self.ledger.progress().acknowledged + more;
        let reached = self.ledger.until(|now| now.acknowledged >= wanted || now.findings > 0);
        let reached = within(self.terms.patience, reached).await;
        self.ledger.sound()?;
        reached.ok_or_else(|| self.standstill())
    }

    /// Waits until so much more has been acknowledged, whatever else was found.
    pub(crate) async fn presses_on(&self, more: usize) -> Result<(), Ending> {
        let wanted = self.ledger.progress().acknowledged + more;
        let reached = within(self.terms.patience, self.ledger.until(|now| now.acknowledged >= wanted));
        reached.await.ok_or_else(|| self.standstill())
    }

    /// Lets a fault strike. Where writes are answered before every copy is written, the newest are missing wherever the
    /// server that has them cannot be reached: then the load rests until the copies are equal.
    pub(crate) async fn strike(
        self,
        drill: &Drill,
        fault: impl Future<Output = Result<(), Ending>>,
    ) -> Result<Self, Ending> {
        if drill.copies.before_the_answer {
            fault.await?;
            return Ok(self);
        }
        let ledger = self.end().await?;
        let keys: Vec<SessionKey> = ledger.all().iter().map(|session| session.key).collect();
        settle(drill, &keys).await?;
        fault.await?;
        Self::start_on(drill, ledger).await
    }

    /// Lets a fault end. Where writes are answered before every copy is written, nodes that do not agree on which
    /// servers are there read past each other: then the load rests until every node uses every server again.
    pub(crate) async fn relieve(
        self,
        drill: &Drill,
        healing: impl Future<Output = Result<(), Ending>>,
    ) -> Result<Self, Ending> {
        if drill.copies.before_the_answer {
            healing.await?;
            return Ok(self);
        }
        let ledger = self.end().await?;
        healing.await?;
        drill.whole().await?;
        Self::start_on(drill, ledger).await
    }

    /// Stops the clients after the operations that they are in, and answers what they know.
    pub(crate) async fn end(mut self) -> Result<Arc<Ledger>, Ending> {
        self.stop.send_replace(true);
        let ended = async { while self.clients.join_next().await.is_some() {} };
        if within(self.terms.patience, ended).await.is_none() {
            return Err(Ending::Failed("operations of the load have not ended in time".into()));
        }
        Ok(Arc::clone(&self.ledger))
    }

    fn standstill(&self) -> Ending {
        let limit = self.terms.patience.as_secs();
        Ending::Failed(format!("the service stands still: hardly anything was acknowledged within {limit} s"))
    }
}

impl Ledger {
    /// Ends the case if a promise was broken.
    pub(crate) fn sound(&self) -> Result<(), Ending> {
        match self.findings().first() {
            None => Ok(()),
            Some(first) => {
                let number = self.findings().len();
                Err(Ending::Failed(format!("under load: {first} (and {} more)", number - 1)))
            }
        }
    }
}

/// The sessions that are in use now, by their numbers in the ledger.
struct Slots(Mutex<[Option<usize>; SESSIONS]>);

impl Slots {
    fn get(&self, slot: usize) -> Option<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)[slot]
    }

    fn set(&self, slot: usize, session: Option<usize>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)[slot] = session;
    }
}

struct Client {
    subject: Subject,
    ledger: Arc<Ledger>,
    slots: Arc<Slots>,
    random: Random,
    /// Numbers that no other client has.
    next: u64,
    terms: Terms,
}

impl Client {
    async fn run(mut self, stopped: watch::Receiver<bool>) {
        while !*stopped.borrow() {
            let slot = self.random.below(SESSIONS);
            match self.slots.get(slot) {
                None => self.log_in(slot).await,
                Some(session) => self.use_session(slot, session).await,
            }
            pause(BREATH).await;
        }
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    async fn log_in(&mut self, slot: usize) {
        let key = self.subject.trial().key();
        let write = self.subject.creation(&[(LIST, b"")]);
        let session = self.ledger.begin(key, write.deadline.moment());
        let (fate, _) = self.save(&key, &write, session).await;
        self.ledger.with(session, |known| known.birth = fate);
        if fate == Fate::Acknowledged {
            self.slots.set(slot, Some(session));
        }
    }

    async fn use_session(&mut self, slot: usize, session: usize) {
        let (key, asked) =
            self.ledger.with(session, |known| (known.key, known.merges.len() + known.appends.len()));
        if asked >= FULL {
            self.slots.set(slot, None);
            if self.random.below(2) == 0 {
                self.log_out(&key, session).await;
            }
            return;
        }
        match self.random.below(10) {
            0..=3 => self.merge(&key, session).await,
            4..=6 => self.append(&key, session).await,
            7 if self.terms.touches => self.touch(&key, session).await,
            _ => {
                self.read(&key, session).await;
            }
        }
    }

    async fn merge(&mut self, key: &SessionKey, session: usize) {
        let name = format!("m{}", self.number());
        let position = self.ledger.with(session, |known| {
            known.merges.push((name.clone(), Fate::Uncertain));
            known.merges.len() - 1
        });
        let write = self.subject.write(On::Live, &[(&name, b"1")]);
        let (fate, _) = self.save(key, &write, session).await;
        self.ledger.with(session, |known| known.merges[position].1 = fate);
    }

    async fn append(&mut self, key: &SessionKey, session: usize) {
        let Some(loaded) = self.read(key, session).await else { return };
        let number = self.number();
        let mut list = listed(&loaded.record);
        list.push(number);
        let list = list.iter().map(u64::to_string).collect::<Vec<_>>().join(" ");
        let position = self.ledger.with(session, |known| {
            known.appends.push((number, Fate::Uncertain));
            known.appends.len() - 1
        });
        let write = self.subject.write(On::Head(loaded.record.head()), &[(LIST, list.as_bytes())]);
        let write = Write { base: Some(loaded), ..write };
        let (fate, _) = self.save(key, &write, session).await;
        self.ledger.with(session, |known| known.appends[position].1 = fate);
    }

    /// Saves, tried again as the contract allows, and answers what became of it.
    async fn save(&self, key: &SessionKey, write: &Write, session: usize) -> (Fate, usize) {
        let dead_before = self.is_dead(session);
        let mut denied = true;
        for attempt in 1..=TRIES {
            let result = self.subject.store.save(key, write).await;
            let answer = match result {
                Ok(answer) => answer,
                Err(error) => {
                    denied &= error.effect() == Effect::None;
                    self.failed(&error).await;
                    continue;
                }
            };
            self.ledger.acknowledge();
            let refused = if denied { Fate::Denied } else { Fate::Uncertain };
            let created = matches!(write.on, On::Absent { .. });
            let fate = match answer {
                SaveAnswer::Saved { .. } => Fate::Acknowledged,
                SaveAnswer::Conflict { .. } | SaveAnswer::Gone => refused,
            };
            match answer {
                SaveAnswer::Saved { .. } if dead_before && !created => {
                    let told = "a write to a session was acknowledged after its logout (I1)";
                    self.ledger.complain(Kind::Resurrected, told);
                }
                SaveAnswer::Gone if self.ledger.with(session, |known| known.has_to_live()) => {
                    self.ledger.complain(Kind::Lost, "a write to a live session was answered Gone (I2)");
                }
                SaveAnswer::Conflict { .. } if write.on == On::Live => {
                    self.ledger.complain(Kind::Strange, "a merge was answered with a conflict (S6)");
                }
                _ => {}
            }
            return (fate, attempt);
        }
        (if denied { Fate::Denied } else { Fate::Uncertain }, TRIES)
    }

    async fn read(&self, key: &SessionKey, session: usize) -> Option<holdover_api::Loaded> {
        let before = self.ledger.with(session, |known| known.clone());
        match self.subject.store.load_latest(key).await {
            Ok(loaded) => {
                self.ledger.acknowledge();
                let mut expected = before;
                // A logout that was asked for meanwhile may have happened.
                if expected.logout == Fate::Unasked {
                    expected.logout = match self.ledger.with(session, |known| known.logout) {
                        Fate::Unasked => Fate::Unasked,
                        _ => Fate::Uncertain,
                    };
                }
                for finding in expected.judge(loaded.as_ref().map(|loaded| &*loaded.record)) {
                    self.ledger.complain(finding.kind, finding.text);
                }
                loaded
            }
            Err(error) => {
                self.failed(&error).await;
                None
            }
        }
    }

    async fn touch(&mut self, key: &SessionKey, session: usize) {
        let seconds = self.random.below(LIFETIME.as_secs().try_into().unwrap_or(usize::MAX));
        let deadline = self.subject.now() + LIFETIME + Duration::from_secs(seconds as u64);
        let dead_before = self.is_dead(session);
        match self.subject.store.touch(key, deadline).await {
            Ok(found) => {
                self.ledger.acknowledge();
                if found && dead_before {
                    self.ledger.complain(Kind::Resurrected, "a touch found a session after its logout (I1)");
                } else if found {
                    self.ledger.with(session, |known| known.deadline = known.deadline.max(deadline));
                } else if self.ledger.with(session, |known| known.has_to_live()) {
                    self.ledger.complain(Kind::Lost, "a touch did not find a live session (I2)");
                }
            }
            Err(error) => self.failed(&error).await,
        }
    }

    async fn log_out(&self, key: &SessionKey, session: usize) {
        self.ledger.with(session, |known| known.logout = Fate::Uncertain);
        for _ in 0..TRIES {
            match self.subject.store.delete(key).await {
                Ok(()) => {
                    self.ledger.with(session, |known| known.logout = Fate::Acknowledged);
                    self.ledger.acknowledge();
                    return;
                }
                Err(error) => self.failed(&error).await,
            }
        }
    }

    fn is_dead(&self, session: usize) -> bool {
        self.ledger.with(session, |known| known.logout == Fate::Acknowledged)
    }

    async fn failed(&self, error: &Error) {
        self.ledger.fail();
        if !self.terms.errors {
            self.ledger.complain(Kind::Strange, format!("an error came out: {error}"));
        } else if error.kind() != ErrorKind::Unavailable {
            let told = format!("a server was away, and the store answered: {error}");
            self.ledger.complain(Kind::Strange, told);
        }
        pause(BREATH).await;
    }
}
