//! A control plane in memory: tables that take their time, pages, refusals, and a clock of its own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use holdover_api::{Clock, ErrorKind, ManualClock, Timestamp};
use holdover_rotation::{
    ControlError, ControlPlane, Created, Description, Dropped, Keeper, Names, Page, ServerTime, TableState,
};
use tokio::sync::Semaphore;

use super::{dawn, hourly, secs};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Call {
    List,
    Describe,
    Create,
    Drop,
    Time,
}

/// What a call meets instead of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    Refused,
    /// Refused, and asked not to come back for so long.
    Busy(Duration),
    /// It never ends.
    Silent,
}

#[derive(Debug, Default)]
pub(crate) struct Store {
    /// Names, and when each was asked for.
    pub(crate) tables: BTreeMap<String, Timestamp>,
    pub(crate) trouble: BTreeMap<Call, Trouble>,
    pub(crate) calls: Vec<Call>,
    /// How long a table takes to be ready.
    pub(crate) slow: Duration,
    /// Tables that the list has and the description does not.
    pub(crate) undescribed: Vec<String>,
    pub(crate) tells_no_time: bool,
}

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) clock: Arc<ManualClock>,
    store: Mutex<Store>,
    /// A list is seen at once, and needs a permit to be answered.
    pub(crate) gate: Option<Semaphore>,
}

const PAGE: usize = 100;

impl Server {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut Store) -> T) -> T {
        look(&mut self.store.lock().expect("nobody panics with it"))
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.with(|store| store.tables.keys().cloned().collect())
    }

    pub(crate) fn count(&self, call: Call) -> usize {
        self.with(|store| store.calls.iter().filter(|made| **made == call).count())
    }

    pub(crate) fn trouble(&self, call: Call, trouble: Trouble) {
        self.with(|store| store.trouble.insert(call, trouble));
    }

    pub(crate) fn heal(&self) {
        self.with(|store| store.trouble.clear());
    }

    /// A node's keeper, whose clock is the server's.
    pub(crate) fn keeper(self: &Arc<Self>) -> Keeper {
        let clock: Arc<ManualClock> = Arc::clone(&self.clock);
        self.keeper_with(clock)
    }

    pub(crate) fn keeper_with(self: &Arc<Self>, clock: Arc<ManualClock>) -> Keeper {
        let control: Arc<Self> = Arc::clone(self);
        Keeper::new(hourly(), names(), control, clock)
    }

    async fn called(&self, call: Call) -> Result<(), ControlError> {
        let trouble = self.with(|store| {
            store.calls.push(call);
            store.trouble.get(&call).copied()
        });
        match trouble {
            None => Ok(()),
            Some(Trouble::Refused) => Err(ControlError::new(ErrorKind::Denied, "not allowed")),
            Some(Trouble::Busy(delay)) => {
                Err(ControlError::new(ErrorKind::Throttled, "too many requests").retry_after(delay))
            }
            Some(Trouble::Silent) => std::future::pending().await,
        }
    }
}

impl Default for Server {
    fn default() -> Self {
        Self { clock: Arc::new(ManualClock::at(dawn() + secs(5))), store: Mutex::default(), gate: None }
    }
}

pub(crate) fn names() -> Names {
    Names::new("sessions", &hourly()).expect("a base that tables can have")
}

#[async_trait]
impl ControlPlane for Server {
    async fn list(&self, after: Option<&str>) -> Result<Page, ControlError> {
        self.called(Call::List).await?;
        let page = self.with(|store| {
            let later = store.tables.keys().filter(|name| after.is_none_or(|after| name.as_str() > after));
            let mut names: Vec<String> = later.take(PAGE + 1).cloned().collect();
            let next = (names.len() > PAGE).then(|| names[PAGE - 1].clone());
            names.truncate(PAGE);
            Page { names, next }
        });
        if let Some(gate) = &self.gate {
            gate.acquire().await.expect("it stays open").forget();
        }
        Ok(page)
    }

    async fn describe(&self, name: &str) -> Result<Option<Description>, ControlError> {
        self.called(Call::Describe).await?;
        let now = self.clock.now();
        Ok(self.with(|store| {
            let created = store.tables.get(name).copied()?;
            if store.undescribed.iter().any(|undescribed| undescribed == name) {
                return None;
            }
            let is_ready = now >= created + store.slow;
            let state = if is_ready { TableState::Active } else { TableState::Creating };
            Some(Description { state, created })
        }))
    }

    async fn create(&self, name: &str) -> Result<Created, ControlError> {
        self.called(Call::Create).await?;
        let now = self.clock.now();
        Ok(self.with(|store| {
            if store.tables.contains_key(name) {
                return Created::WasThere;
            }
            store.tables.insert(name.to_owned(), now);
            Created::Begun
        }))
    }

    async fn drop_table(&self, name: &str) -> Result<Dropped, ControlError> {
        self.called(Call::Drop).await?;
        Ok(self.with(|store| match store.tables.remove(name) {
            Some(_) => Dropped::Begun,
            None => Dropped::WasGone,
        }))
    }

    async fn time(&self) -> Result<Option<ServerTime>, ControlError> {
        self.called(Call::Time).await?;
        if self.with(|store| store.tells_no_time) {
            return Ok(None);
        }
        let at = Timestamp::from_millis(self.clock.now().as_millis() / 1_000 * 1_000);
        Ok(Some(ServerTime { at, resolution: secs(1) }))
    }
}
