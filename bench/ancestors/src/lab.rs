//! Servers of their own, proxies in front of them, and the application nodes that are compared.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use holdover_api::SystemClock;
use holdover_conformance::proxy::{Behaviour, Direction, DynamodbFaults, Proxy};
use holdover_conformance::servers::{self, Recipe, Server};

use crate::background::Background;
use crate::dsm::{Dsm, Times};
use crate::job::{Failure, IDLE, Manager};
use crate::memcached::commands;
use crate::msm::{Locking, Msm, Settings};
use crate::ours::Ours;
use crate::upsert::Upsert;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum System {
    Msm(Locking, bool),
    Upsert,
    Background,
    OursMemcached,
    OursPair,
    OursMongodb,
    Dsm,
    OursDynamodb,
}

impl System {
    pub(crate) const ALL: [Self; 11] = [
        Self::Msm(Locking::None, false),
        Self::Msm(Locking::None, true),
        Self::Msm(Locking::All, false),
        Self::Msm(Locking::All, true),
        Self::OursPair,
        Self::Background,
        Self::OursMemcached,
        Self::Upsert,
        Self::OursMongodb,
        Self::Dsm,
        Self::OursDynamodb,
    ];

    pub(crate) fn name(self) -> String {
        match self {
            Self::Msm(locking, sync) => {
                let locking = match locking {
                    Locking::None => "none",
                    Locking::All => "all",
                    Locking::Auto => "auto",
                    Locking::Uri(_) => "uriPattern",
                };
                format!("m-s-m, {}, lock {locking}", if sync { "sync" } else { "async" })
            }
            Self::Upsert => "upsert at the end".to_owned(),
            Self::Background => "background save".to_owned(),
            Self::OursMemcached => "**ours**, one Memcached".to_owned(),
            Self::OursPair => "**ours**, a pair of Memcached".to_owned(),
            Self::OursMongodb => "**ours**, MongoDB".to_owned(),
            Self::Dsm => "d-s-m 2015".to_owned(),
            Self::OursDynamodb => "**ours**, DynamoDB with rotating tables".to_owned(),
        }
    }

    /// Whether it keeps two copies.
    pub(crate) const fn has_two_copies(self) -> bool {
        matches!(self, Self::Msm(..) | Self::OursPair)
    }

    const fn is_on_dynamodb(self) -> bool {
        matches!(self, Self::Dsm | Self::OursDynamodb)
    }

    fn recipe(self) -> Recipe {
        match self {
            Self::Upsert | Self::OursMongodb => servers::mongodb(),
            Self::Dsm | Self::OursDynamodb => servers::dynamodb(),
            _ => servers::memcached(),
        }
    }
}

/// Servers, and a proxy in front of each.
pub(crate) struct Lab {
    pub(crate) servers: Vec<Server>,
    pub(crate) proxies: Vec<Proxy>,
    /// Between the proxies and a server that does not count what it is asked.
    counters: Vec<DynamodbFaults>,
    system: System,
}

/// A table for each hour: none of the claims but the one about rotation looks at a boundary.
const PERIOD: Duration = Duration::from_secs(3600);

/// The background stand-in's times, a hundredth of thirty seconds and of a minute.
pub(crate) const SAVED_WHEN_IDLE: Duration = Duration::from_millis(300);
pub(crate) const PASS: Duration = Duration::from_millis(600);

impl Lab {
    pub(crate) async fn of(system: System) -> Result<Self, Failure> {
        let count = if system.has_two_copies() { 2 } else { 1 };
        let (mut servers, mut proxies, mut counters) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..count {
            let server = Server::start(&system.recipe()).await?;
            let mut address = server.address();
            if system.is_on_dynamodb() {
                let counter = DynamodbFaults::start(address).await?;
                address = counter.address();
                counters.push(counter);
            }
            proxies.push(Proxy::start(address).await?);
            servers.push(server);
        }
        Ok(Self { servers, proxies, counters, system })
    }

    fn at(&self, through_proxies: bool) -> Vec<SocketAddr> {
        match through_proxies {
            true => self.proxies.iter().map(Proxy::address).collect(),
            false => self.servers.iter().map(Server::address).collect(),
        }
    }

    /// An application node.
    pub(crate) async fn node(&self) -> Result<Arc<dyn Manager>, Failure> {
        self.open(true).await
    }

    /// An application node past the proxies.
    pub(crate) async fn node_aside(&self) -> Result<Arc<dyn Manager>, Failure> {
        self.open(false).await
    }

    async fn open(&self, through_proxies: bool) -> Result<Arc<dyn Manager>, Failure> {
        let at = self.at(through_proxies);
        Ok(match self.system {
            System::Msm(locking, sync) => Arc::new(Msm::new(&at, Settings::new(locking, sync))),
            System::Upsert => Arc::new(Upsert::connect(&mongodb_url(at[0], &self.servers[0])).await?),
            System::Background => Arc::new(Background::start(at[0], SAVED_WHEN_IDLE, PASS)),
            System::OursMemcached => Arc::new(Ours::connect(&format!("memcached://{}", at[0])).await?),
            System::OursPair => {
                Arc::new(Ours::connect(&format!("memcached://{},{}?copies=2", at[0], at[1])).await?)
            }
            System::OursMongodb => Arc::new(Ours::connect(&mongodb_url(at[0], &self.servers[0])).await?),
            System::Dsm => {
                let (endpoint, times) = (format!("http://{}", at[0]), Times::original(PERIOD));
                Arc::new(Dsm::start(&endpoint, Arc::new(SystemClock), times, IDLE).await?)
            }
            System::OursDynamodb => Arc::new(Ours::patient(&dynamodb_url(at[0], &self.servers[0])).await?),
        })
    }

    /// Without what is asked about tables.
    fn asked_about_sessions(&self) -> Result<u64, Failure> {
        let counter = self.counters.first().ok_or("nothing counts")?;
        let operations = ["GetItem", "PutItem", "UpdateItem", "DeleteItem"];
        let asked = operations.map(|operation| counter.seen(operation).requests);
        Ok(u64::try_from(asked.iter().sum::<usize>())?)
    }

    /// Calls up to now, as the servers count them; of DynamoDB as they come by on the way through the proxies.
    pub(crate) async fn calls(&self) -> Result<u64, Failure> {
        let mut total = 0;
        for server in &self.servers {
            total += match self.system {
                System::Upsert | System::OursMongodb => operations(server.url()).await?,
                System::Dsm | System::OursDynamodb => self.asked_about_sessions()?,
                _ => commands(server.address()).await?,
            };
        }
        Ok(total)
    }

    /// Every answer takes so much longer from now on.
    pub(crate) fn delay(&self, delay: Option<Duration>) {
        for proxy in &self.proxies {
            proxy.set(Direction::Responses, delay.map_or(Behaviour::Pass, Behaviour::Delay));
        }
    }
}

/// The server's URL, with another address in it.
fn mongodb_url(address: SocketAddr, server: &Server) -> String {
    server.url().replacen(&server.address().to_string(), &address.to_string(), 1)
}

/// The server's URL, with another address in it, and tables that follow each other. A busy machine is no fault.
pub(crate) fn dynamodb_url(address: SocketAddr, server: &Server) -> String {
    let url = server.url().replace(&server.address().to_string(), &address.to_string());
    let url = url.replace("expiry=none", "expiry=rotation&period=1h&keeper=on");
    format!("{url}&connect_timeout=2s&response_timeout=4s")
}

/// Commands on documents since the server was started.
async fn operations(url: &str) -> Result<u64, Failure> {
    let client = mongodb::Client::with_uri_str(url).await?;
    let status = client.database("admin").run_command(mongodb::bson::doc! { "serverStatus": 1 }).await?;
    let commands = status.get_document("metrics")?.get_document("commands")?;
    let mut total = 0;
    for name in ["find", "insert", "update", "delete", "findAndModify"] {
        let count = commands.get_document(name)?.get_i64("total")?;
        total += u64::try_from(count)?;
    }
    Ok(total)
}
