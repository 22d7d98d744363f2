//! Worlds for the cases on rotation: a stand-in for DynamoDB of a case's own, served to real clients, with a clock that
//! moves by hand.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::TableStatus;
use dynoxide::Database;
use holdover_api::{Clock, Error, ManualClock, Timestamp, pause};
use holdover_backends::dynamodb::DynamoDb;
use holdover_conformance::proxy::{DynamodbFaults, Fault};
use holdover_conformance::rotation::{Call, Gates, Kept, Rotation, Tend, Terms, Ticked, World};
use holdover_conformance::servers::{self, Server};
use holdover_rotation::{Keeper, Names, Rules, Schedule};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::pair::PATIENCE;
use crate::raw::connected;

const BASE: &str = "sessions";
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

/// An hour for each table, and leases of three quarters of it.
fn schedule() -> Schedule {
    let hour = Duration::from_secs(3600);
    Schedule::new(Rules::new(hour, hour / 4 * 3)).expect("the rules agree")
}

fn names() -> Names {
    Names::new(BASE, &schedule()).expect("the base is allowed")
}

/// Which stand-in the worlds are of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Worlds {
    Embedded,
    /// A process for each world, behind the proxy's clock: it has no time to live that would need the world's.
    #[allow(dead_code, reason = "compare alone makes worlds on one")]
    Dynalite,
}

impl Worlds {
    async fn below(self, clock: &Arc<ManualClock>) -> Result<Below, String> {
        match self {
            Self::Embedded => {
                let follows = Arc::new(Follows(Arc::clone(clock)));
                let database = Database::memory_with_clock(follows).map_err(|error| error.to_string())?;
                let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|error| error.to_string())?;
                let address = listener.local_addr().map_err(|error| error.to_string())?;
                let serving = tokio::spawn(dynoxide::server::serve_on(listener, database));
                Ok(Below::Embedded(address, serving))
            }
            Self::Dynalite => {
                let server = Server::start(&servers::dynamodb()).await;
                Ok(Below::Dynalite(Box::new(server.map_err(|error| error.to_string())?)))
            }
        }
    }
}

/// What is below a world, and ends with it.
enum Below {
    Embedded(SocketAddr, JoinHandle<()>),
    Dynalite(Box<Server>),
}

impl Below {
    fn address(&self) -> SocketAddr {
        match self {
            Self::Embedded(address, _) => *address,
            Self::Dynalite(server) => server.address(),
        }
    }
}

impl Drop for Below {
    fn drop(&mut self) {
        if let Self::Embedded(_, serving) = self {
            serving.abort();
        }
    }
}

#[async_trait]
impl Rotation for Worlds {
    fn terms(&self) -> Terms {
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

    async fn world(&self, now: Timestamp) -> Result<Arc<dyn World>, String> {
        let clock = Arc::new(ManualClock::at(now));
        let below = self.below(&clock).await?;
        let faults = DynamodbFaults::start(below.address()).await.map_err(|error| error.to_string())?;
        faults.tell_time(Some(Arc::clone(&clock) as Arc<dyn Clock>));
        // What the suite does by hand is not counted, and not refused.
        let client = connected(&url_at(&below.address().to_string(), BASE, "expiry=none")).await;
        Ok(Arc::new(Served { clock, faults, client, below }))
    }
}

fn url_at(address: &str, table: &str, expiry: &str) -> String {
    format!("dynamodb://test:test@us-east-1/{table}?{expiry}&create=true&endpoint=http://{address}{PATIENCE}")
}

/// The database has the world's clock.
struct Follows(Arc<ManualClock>);

impl dynoxide::storage_backend::Clock for Follows {
    fn now_unix_secs(&self) -> u64 {
        self.0.now().as_millis() / 1000
    }

    fn now_unix_secs_f64(&self) -> f64 {
        Duration::from_millis(self.0.now().as_millis()).as_secs_f64()
    }
}

struct Served {
    clock: Arc<ManualClock>,
    faults: DynamodbFaults,
    client: Client,
    below: Below,
}

const fn operation(call: Call) -> &'static str {
    match call {
        Call::Read => "GetItem",
        Call::Put => "PutItem",
        Call::Change => "UpdateItem",
        Call::List => "ListTables",
        Call::Create => "CreateTable",
        Call::Drop => "DeleteTable",
    }
}

#[async_trait]
impl World for Served {
    fn clock(&self) -> Arc<ManualClock> {
        Arc::clone(&self.clock)
    }

    async fn node(&self, clock: Arc<dyn Clock>) -> Result<Kept, Error> {
        let url = url_at(&self.faults.address().to_string(), BASE, "expiry=rotation&period=1h&keeper=off");
        let store = DynamoDb::connect_by(&url, clock, schedule()).await?;
        let keeper = store.keeper().expect("its tables follow each other");
        // The embedded server's tables are there and gone at once.
        let settles = matches!(self.below, Below::Dynalite(_)).then(|| self.client.clone());
        Ok(Kept { store, keeper: Arc::new(InHand { keeper, settles }) })
    }

    fn name(&self, begins: Timestamp) -> String {
        names().name(schedule().generation(begins))
    }

    fn base(&self) -> String {
        BASE.to_owned()
    }

    async fn tables(&self) -> Result<Vec<String>, String> {
        let mut pages = self.client.list_tables().into_paginator().items().send();
        let mut names = Vec::new();
        while let Some(name) = pages.next().await {
            names.push(name.map_err(|error| error.to_string())?);
        }
        Ok(names)
    }

    async fn create_by_hand(&self, name: &str) -> Result<(), String> {
        let url = url_at(&self.below.address().to_string(), name, "expiry=none");
        holdover_backends::connect(&url).await.map(drop).map_err(|error| error.to_string())
    }

    async fn drop_by_hand(&self, name: &str) -> Result<(), String> {
        let dropped = self.client.delete_table().table_name(name).send().await;
        dropped.map_err(|error| error.to_string())?;
        // A Dynalite still lists it for a moment.
        while self.tables().await?.iter().any(|table| table == name) {
            pause(BETWEEN_LOOKS).await;
        }
        Ok(())
    }

    /// As if the credentials had run out: the SDK does not try that again. (A denial it does, where the server tells another
    /// time than this machine.)
    fn refuse(&self, call: Call, times: usize) {
        self.faults.strike(operation(call), Fault::Refuse(400, "ExpiredTokenException"), times);
    }

    fn heal(&self) {
        self.faults.heal();
    }

    fn asked(&self, call: Call) -> usize {
        self.faults.seen(operation(call)).requests
    }

    fn gates(&self) -> Option<Arc<Gates>> {
        Some(self.faults.gates())
    }

    fn tables_take(&self, length: Duration) -> bool {
        self.faults.tables_take(length)
    }
}

struct InHand {
    keeper: Arc<Keeper>,
    /// By which to see that tables have come and gone, where that takes real time.
    settles: Option<Client>,
}

/// Waits until no table is on its way to be there or to be gone: the clock that moves by hand passes over what takes real
/// time, and a case that wants slow tables asks the fault server for them.
async fn settled(client: &Client) {
    loop {
        let Ok(listed) = client.list_tables().send().await else { return };
        let mut under_way = false;
        for name in listed.table_names() {
            let described = client.describe_table().table_name(name).send().await;
            let status = described.ok().and_then(|answer| answer.table).and_then(|table| table.table_status);
            under_way |= status != Some(TableStatus::Active);
        }
        if !under_way {
            return;
        }
        pause(BETWEEN_LOOKS).await;
    }
}

#[async_trait]
impl Tend for InHand {
    async fn tick(&self) -> Ticked {
        let report = self.keeper.tick().await;
        let changed = report.created.is_some() || !report.dropped.is_empty();
        if let Some(client) = self.settles.as_ref().filter(|_| changed) {
            settled(client).await;
        }
        let failures = report.failures.iter();
        Ticked {
            created: report.created.is_some(),
            dropped: report.dropped.len(),
            held: report.held.map(|held| held.name().to_owned()),
            failures: failures
                .map(|failure| format!("{}: {}", failure.attempt.name(), failure.error))
                .collect(),
        }
    }
}
