//! Servers of their own, proxies in front of them, and the application nodes that are compared.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use holdover_conformance::proxy::{Behaviour, Direction, Proxy};
use holdover_conformance::servers::{self, Server};

use crate::background::Background;
use crate::job::{Failure, Manager};
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
}

impl System {
    pub(crate) const ALL: [Self; 9] = [
        Self::Msm(Locking::None, false),
        Self::Msm(Locking::None, true),
        Self::Msm(Locking::All, false),
        Self::Msm(Locking::All, true),
        Self::OursPair,
        Self::Background,
        Self::OursMemcached,
        Self::Upsert,
        Self::OursMongodb,
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
        }
    }

    /// Whether it keeps two copies.
    pub(crate) const fn has_two_copies(self) -> bool {
        matches!(self, Self::Msm(..) | Self::OursPair)
    }
}

/// Servers, and a proxy in front of each.
pub(crate) struct Lab {
    pub(crate) servers: Vec<Server>,
    pub(crate) proxies: Vec<Proxy>,
    system: System,
}

/// The background stand-in's times, a hundredth of thirty seconds and of a minute.
pub(crate) const SAVED_WHEN_IDLE: Duration = Duration::from_millis(300);
pub(crate) const PASS: Duration = Duration::from_millis(600);

impl Lab {
    pub(crate) async fn of(system: System) -> Result<Self, Failure> {
        let recipe = match system {
            System::Upsert | System::OursMongodb => servers::mongodb(),
            _ => servers::memcached(),
        };
        let count = if system.has_two_copies() { 2 } else { 1 };
        let (mut servers, mut proxies) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let server = Server::start(&recipe).await?;
            proxies.push(Proxy::start(server.address()).await?);
            servers.push(server);
        }
        Ok(Self { servers, proxies, system })
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
        })
    }

    /// Calls up to now, as the servers count them.
    pub(crate) async fn calls(&self) -> Result<u64, Failure> {
        let mut total = 0;
        for server in &self.servers {
            total += match self.system {
                System::Upsert | System::OursMongodb => operations(server.url()).await?,
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
