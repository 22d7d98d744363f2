//! A server of tables in memory: its clock moves by hand, and it is asked what a store and a keeper ask.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use holdover_api::{Clock, Error, ErrorKind, ManualClock, SessionKey, Timestamp};
use holdover_conformance::rotation::{Call, Gates, Kept, Rotation, Tend, Terms, World};
use holdover_rotation::carry::{Answer, Ask, Held, perform};
use holdover_rotation::{
    ControlError, ControlPlane, Created, Description, Dropped, Keeper, Names, Page, Rules, Schedule,
    ServerTime, TableState,
};

use crate::flaws::Flaw;
use crate::store::Store;

pub(crate) const BASE: &str = "sessions";
/// The most names that one list has.
pub(crate) const PAGE: usize = 100;

/// An hour for each table, and leases of three quarters of it.
pub(crate) fn schedule() -> Schedule {
    let hour = Duration::from_secs(3600);
    Schedule::new(Rules::new(hour, hour / 4 * 3)).expect("the rules agree")
}

/// What the tables of every world are called.
pub(crate) fn names() -> Names {
    Names::new(BASE, &schedule()).expect("the base is allowed")
}

/// The rules as the suite wants to know them.
pub(crate) fn terms() -> Terms {
    let rules = *schedule().rules();
    Terms {
        period: rules.period,
        max_lease: rules.max_lease,
        max_skew: rules.max_skew,
        refresh: rules.refresh,
        lead: rules.lead,
        settle: rules.settle,
        grace: rules.grace,
    }
}

/// What the tables of a world are for: the stores of its nodes, and what their tables hold.
#[async_trait]
pub(crate) trait Kind: Copy + fmt::Debug + Send + Sync + 'static {
    /// What a table holds of one session.
    type Row: Send + Sync + 'static;

    /// An application node.
    /// Whether its requests come by the gates, and know of tables that are not ready.
    const STOPS: bool = false;

    async fn node(self, server: Arc<Server<Self::Row>>, clock: Arc<dyn Clock>) -> Result<Kept, Error>;
}

/// Makes worlds of one kind.
pub(crate) struct Worlds<K>(pub(crate) K);

#[async_trait]
impl<K: Kind> Rotation for Worlds<K> {
    fn terms(&self) -> Terms {
        terms()
    }

    async fn world(&self, now: Timestamp) -> Result<Arc<dyn World>, String> {
        Ok(Arc::new(InMemory { server: Arc::new(Server::at(now)), kind: self.0 }))
    }
}

struct InMemory<K: Kind> {
    server: Arc<Server<K::Row>>,
    kind: K,
}

pub(crate) struct Server<Row = Held> {
    pub(crate) clock: Arc<ManualClock>,
    state: Mutex<State<Row>>,
    gates: Arc<Gates>,
}

struct State<Row> {
    tables: BTreeMap<String, Table<Row>>,
    refusals: BTreeMap<Call, usize>,
    asked: BTreeMap<Call, usize>,
    /// How long tables take until they are ready.
    takes: Duration,
}

struct Table<Row> {
    created: Timestamp,
    ready: Timestamp,
    held: HashMap<SessionKey, Row>,
}

/// What a server does not do.
pub(crate) enum Refusal {
    NoTable,
    Refused,
}

impl<Row> fmt::Debug for Server<Row> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Server")
    }
}

/// What the server is asked by an access.
const fn call_of(ask: &Ask) -> Call {
    match ask {
        Ask::Read { .. } | Ask::Refresh => Call::Read,
        Ask::Put { .. } | Ask::Raze { .. } => Call::Put,
        Ask::Change { .. } | Ask::Seal { .. } => Call::Change,
    }
}

impl<Row> Server<Row> {
    /// A server without tables.
    pub(crate) fn at(now: Timestamp) -> Self {
        let (tables, refusals, asked) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let state = Mutex::new(State { tables, refusals, asked, takes: Duration::ZERO });
        Self { clock: Arc::new(ManualClock::at(now)), state, gates: Arc::default() }
    }

    fn state(&self) -> MutexGuard<'_, State<Row>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a call; whether it is refused.
    pub(crate) fn called(&self, call: Call) -> Result<(), Refusal> {
        let mut state = self.state();
        *state.asked.entry(call).or_default() += 1;
        match state.refusals.get_mut(&call) {
            Some(left) if *left > 0 => {
                *left -= 1;
                Err(Refusal::Refused)
            }
            _ => Ok(()),
        }
    }

    fn is_creating(&self, table: &str) -> bool {
        let now = self.clock.now();
        self.state().tables.get(table).is_some_and(|table| table.ready > now)
    }

    /// Changes what a table holds; nothing if there is no such table.
    pub(crate) fn with<T>(
        &self,
        table: &str,
        key: &SessionKey,
        change: impl FnOnce(Option<Row>) -> (Option<Row>, T),
    ) -> Option<T> {
        let now = self.clock.now();
        let mut state = self.state();
        let table = state.tables.get_mut(table).filter(|table| table.ready <= now)?;
        let (held, answer) = change(table.held.remove(key));
        if let Some(held) = held {
            table.held.insert(*key, held);
        }
        Some(answer)
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.state().tables.keys().cloned().collect()
    }

    pub(crate) fn drop_table(&self, name: &str) -> bool {
        self.state().tables.remove(name).is_some()
    }

    pub(crate) fn create(&self, name: &str) -> bool {
        let created = self.clock.now();
        let mut state = self.state();
        if state.tables.contains_key(name) {
            return false;
        }
        let ready = created + state.takes;
        state.tables.insert(name.to_owned(), Table { created, ready, held: HashMap::new() });
        true
    }
}

impl Server {
    /// Comes by the gates with an access.
    pub(crate) async fn arrive(&self, names: &Names, ask: &Ask) {
        if let Some(generation) = ask.table() {
            self.gates.pass(call_of(ask), &names.name(generation)).await;
        }
    }

    /// One access to a table, under the lock.
    pub(crate) fn access(
        &self,
        names: &Names,
        key: &SessionKey,
        now: Timestamp,
        ask: &Ask,
    ) -> Result<Answer, Refusal> {
        self.called(call_of(ask))?;
        let Some(generation) = ask.table() else {
            return Err(Refusal::NoTable);
        };
        let name = names.name(generation);
        if matches!(ask, Ask::Read { .. }) && self.is_creating(&name) {
            return Ok(Answer::Found(None));
        }
        self.with(&name, key, |held| perform(now, held, ask)).ok_or(Refusal::NoTable)
    }
}

#[async_trait]
impl<K: Kind> World for InMemory<K> {
    fn clock(&self) -> Arc<ManualClock> {
        Arc::clone(&self.server.clock)
    }

    async fn node(&self, clock: Arc<dyn Clock>) -> Result<Kept, Error> {
        self.kind.node(Arc::clone(&self.server), clock).await
    }

    fn name(&self, begins: Timestamp) -> String {
        let names = names();
        names.name(schedule().generation(begins))
    }

    fn base(&self) -> String {
        BASE.to_owned()
    }

    async fn tables(&self) -> Result<Vec<String>, String> {
        Ok(self.server.names())
    }

    async fn create_by_hand(&self, name: &str) -> Result<(), String> {
        self.server.create(name);
        Ok(())
    }

    async fn drop_by_hand(&self, name: &str) -> Result<(), String> {
        let was_there = self.server.drop_table(name);
        if was_there { Ok(()) } else { Err("there is no such table".to_owned()) }
    }

    fn refuse(&self, call: Call, times: usize) {
        self.server.state().refusals.insert(call, times);
    }

    fn heal(&self) {
        self.server.state().refusals.clear();
    }

    fn asked(&self, call: Call) -> usize {
        self.server.state().asked.get(&call).copied().unwrap_or_default()
    }

    fn gates(&self) -> Option<Arc<Gates>> {
        K::STOPS.then(|| Arc::clone(&self.server.gates))
    }

    fn tables_take(&self, length: Duration) -> bool {
        self.server.state().takes = length;
        K::STOPS
    }
}

#[async_trait]
impl Kind for Flaw {
    type Row = Held;
    const STOPS: bool = true;

    async fn node(self, server: Arc<Server>, clock: Arc<dyn Clock>) -> Result<Kept, Error> {
        let names = names();
        let control = Control {
            server: Arc::clone(&server),
            clock: Arc::clone(&clock),
            names: names.clone(),
            flaw: self,
        };
        let kept_by = self.schedule_of_keeper();
        let keeper = Arc::new(Keeper::new(kept_by, names, Arc::new(control), Arc::clone(&clock)));
        let node = Arc::new(Store {
            server,
            schedule: schedule(),
            keeper,
            clock,
            flaw: self,
            remembered: Mutex::default(),
        });
        // It looks, makes the first table, and looks again.
        node.tick().await;
        let _ = node.keeper.refresh().await;
        Ok(Kept { store: Arc::clone(&node) as _, keeper: node })
    }
}

/// The control plane as one node sees it.
#[derive(Debug)]
struct Control {
    server: Arc<Server>,
    clock: Arc<dyn Clock>,
    names: Names,
    flaw: Flaw,
}

impl Control {
    fn called(&self, call: Call) -> Result<(), ControlError> {
        let called = self.server.called(call);
        called.map_err(|_| ControlError::new(ErrorKind::Throttled, "the server is told to refuse this"))
    }

    /// Whether this node, with its flaw, overlooks a table.
    fn overlooks(&self, name: &str) -> bool {
        let present = schedule().generation(self.clock.now());
        let is_newer = || self.names.generation(name).is_some_and(|generation| generation > present);
        self.flaw == Flaw::TablesBelowTheNewest && is_newer()
    }
}

#[async_trait]
impl ControlPlane for Control {
    async fn list(&self, after: Option<&str>) -> Result<Page, ControlError> {
        if self.flaw == Flaw::RefusedListIsEmpty && self.called(Call::List).is_err() {
            return Ok(Page::default());
        }
        if self.flaw != Flaw::RefusedListIsEmpty {
            self.called(Call::List)?;
        }
        let all = self.server.names().into_iter();
        let mut names: Vec<String> =
            all.filter(|name| after.is_none_or(|after| name.as_str() > after)).take(PAGE + 1).collect();
        let next = (names.len() > PAGE).then(|| names[PAGE - 1].clone());
        names.truncate(PAGE);
        names.retain(|name| !self.overlooks(name));
        Ok(Page { names, next: next.filter(|_| self.flaw != Flaw::FirstPageAlone) })
    }

    async fn describe(&self, name: &str) -> Result<Option<Description>, ControlError> {
        let table = self.server.state().tables.get(name).map(|table| (table.created, table.ready));
        let Some((created, ready)) = table else {
            return Ok(None);
        };
        let nominal = self.names.generation(name).map(|generation| {
            let rules = schedule();
            rules.begins(generation) - rules.rules().lead
        });
        let punctual = self.flaw == Flaw::LatenessIgnored;
        let created = nominal.filter(|_| punctual).map_or(created, |nominal| nominal.min(created));
        let is_ready = ready <= self.server.clock.now() || self.flaw == Flaw::CreatedIsReady;
        let state = if is_ready { TableState::Active } else { TableState::Creating };
        Ok(Some(Description { state, created }))
    }

    async fn create(&self, name: &str) -> Result<Created, ControlError> {
        self.called(Call::Create)?;
        // Others may be as far.
        tokio::task::yield_now().await;
        match self.server.create(name) {
            true => Ok(Created::Begun),
            false if self.flaw == Flaw::SlowerIsFailure => {
                Err(ControlError::new(ErrorKind::Unexpected, "the table is there already"))
            }
            false => Ok(Created::WasThere),
        }
    }

    async fn drop_table(&self, name: &str) -> Result<Dropped, ControlError> {
        self.called(Call::Drop)?;
        if self.flaw == Flaw::NeverDrops {
            return Ok(Dropped::Begun);
        }
        Ok(if self.server.drop_table(name) { Dropped::Begun } else { Dropped::WasGone })
    }

    async fn time(&self) -> Result<Option<ServerTime>, ControlError> {
        let clock = if self.flaw == Flaw::NoClockGuard { self.clock.now() } else { self.server.clock.now() };
        let at = Timestamp::from_millis(clock.as_millis() / 1_000 * 1_000);
        Ok(Some(ServerTime { at, resolution: Duration::from_secs(1) }))
    }
}
