//! Servers, and application nodes over them, each with its own connections.

use std::error::Error;
use std::sync::Arc;

use clap::ValueEnum;
use holdover::api::{Clock, SystemClock};
use holdover::{SessionPolicy, SessionStore};
use holdover_conformance::servers::{self, Recipe, Server};
use holdover_layers::failover::{Failover, FailoverCounts, FailoverSettings};
use holdover_layers::ring::{Ring, RingNode, RingSettings};

/// What the servers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    Memcached,
    Redis,
}

impl Kind {
    pub(crate) fn recipe(self) -> Recipe {
        match self {
            Self::Memcached => servers::memcached(),
            Self::Redis => servers::redis(),
        }
    }
}

/// Two copies of each session: on a pair, or on two nodes of a ring.
#[derive(Clone)]
pub(crate) enum Copies {
    Pair(Arc<Failover>),
    Ring(Arc<Ring>),
}

impl Copies {
    fn store(&self) -> Arc<dyn SessionStore> {
        match self {
            Self::Pair(pair) => Arc::clone(pair) as Arc<dyn SessionStore>,
            Self::Ring(ring) => Arc::clone(ring) as Arc<dyn SessionStore>,
        }
    }

    pub(crate) fn counts(&self) -> FailoverCounts {
        match self {
            Self::Pair(pair) => pair.counts(),
            Self::Ring(ring) => ring.counts(),
        }
    }
}

/// A process of the application, as far as the servers can tell.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) policy: SessionPolicy,
    pub(crate) copies: Copies,
}

/// The servers and the two application nodes.
pub(crate) struct Stage {
    pub(crate) servers: Vec<Server>,
    pub(crate) nodes: [Node; 2],
}

impl Stage {
    pub(crate) async fn set(kind: Kind, number: usize) -> Result<Self, Box<dyn Error>> {
        let mut started = Vec::new();
        for _ in 0..number {
            started.push(Server::start(&kind.recipe()).await?);
        }
        let nodes = [node_over(&started).await?, node_over(&started).await?];
        Ok(Self { servers: started, nodes })
    }

    /// New connections to each server, to look at what it holds.
    pub(crate) async fn each_server(&self) -> Result<Vec<Arc<dyn SessionStore>>, Box<dyn Error>> {
        stores(&self.servers).await
    }
}

async fn stores(servers: &[Server]) -> Result<Vec<Arc<dyn SessionStore>>, Box<dyn Error>> {
    let mut stores = Vec::new();
    for server in servers {
        stores.push(holdover::connect(server.url()).await?);
    }
    Ok(stores)
}

async fn node_over(servers: &[Server]) -> Result<Node, Box<dyn Error>> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let stores = stores(servers).await?;
    let copies = if let [head, tail] = &stores[..] {
        let settings = FailoverSettings::default();
        let pair = Failover::new(Arc::clone(head), Arc::clone(tail), settings, clock);
        pair.prepare().await?;
        Copies::Pair(Arc::new(pair))
    } else {
        let named = |(number, store)| RingNode { name: format!("node-{number}"), store };
        let nodes = stores.into_iter().enumerate().map(named).collect();
        let ring = Ring::new(nodes, &RingSettings::default(), &clock)?;
        ring.prepare().await?;
        Copies::Ring(Arc::new(ring))
    };
    Ok(Node { policy: SessionPolicy::new(copies.store()), copies })
}
