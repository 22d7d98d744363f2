//! Stores that keep two copies, over servers that a case may break.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use holdover_api::{Clock, Error, SessionStore};
use holdover_conformance::servers::{self, Recipe, Server, ServerError};
use holdover_conformance::{
    Cluster, ClusterServer, Copies, Node, Noticed, PrivateCluster, Seat, Seated, ServerControl,
};
use holdover_layers::failover::{Backup, Failover, FailoverCounts, FailoverSettings};
use holdover_layers::ring::{Ring, RingNode, RingSettings};

/// Of the plain stores. A pair gives a server up sooner.
const PATIENCE: &str = "connect_timeout=1s&response_timeout=1s";

/// A kind of server that can be started on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Memcached,
    Redis,
}

impl Kind {
    /// The kind that the scheme of a URL names.
    pub(crate) fn of(url: &str) -> Option<Self> {
        match url.split(':').next()? {
            "memcached" => Some(Self::Memcached),
            "redis" => Some(Self::Redis),
            _ => None,
        }
    }

    /// Servers that have lost everything when they come back: what is kept then is kept by the copies.
    fn recipe(self) -> Recipe {
        match self {
            Self::Memcached => servers::memcached(),
            Self::Redis => servers::redis(),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memcached => "memcached",
            Self::Redis => "redis",
        })
    }
}

/// How a store keeps two copies.
#[derive(Clone, Debug)]
pub(crate) enum Form {
    /// On a head and a tail.
    Pair(Kind, Kind),
    /// On two of several servers of one kind.
    Ring(Kind),
}

/// A store that keeps two copies, wherever its servers are.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub(crate) form: Form,
    pub(crate) backup: Backup,
    /// What the keys of this run begin with.
    pub(crate) prefix: String,
}

impl Shape {
    pub(crate) fn copies(&self) -> Copies {
        Copies {
            count: 2,
            before_the_answer: self.backup == Backup::Before,
            several_kinds: matches!(self.form, Form::Pair(head, tail) if head != tail),
            ring: matches!(self.form, Form::Ring(_)),
        }
    }

    /// Starts so many servers; nothing if the form or this machine has no place for them.
    pub(crate) async fn start(&self, count: usize) -> Option<Result<Started, String>> {
        let kinds = match self.form {
            Form::Pair(head, tail) => vec![head, tail],
            Form::Ring(kind) => vec![kind; count],
        };
        if kinds.len() != count {
            return None;
        }
        let mut servers = Vec::new();
        for kind in kinds {
            match Server::start(&kind.recipe()).await {
                Ok(server) => servers.push((kind, Arc::new(server))),
                Err(ServerError::NotFound(_)) => return None,
                Err(ServerError::Failed(why)) => return Some(Err(why)),
            }
        }
        Some(Ok(Started { shape: self.clone(), servers }))
    }

    /// The settings with patience for a busy machine: the exam is about answers.
    fn settings(&self) -> FailoverSettings {
        let (node_timeout, limit) = (Duration::from_millis(400), Duration::from_secs(5));
        FailoverSettings { backup: self.backup, node_timeout, limit, ..FailoverSettings::default() }
    }

    /// The store over plain ones, which are known by the numbers of their servers: where a session lives must not depend
    /// on the proxy that stands before a server.
    fn over(
        &self,
        mut stores: Vec<(usize, Arc<dyn SessionStore>)>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Seated, Error> {
        if let (Form::Pair(..), [(_, head), (_, tail)]) = (&self.form, &mut stores[..]) {
            let pair = Failover::new(Arc::clone(head), Arc::clone(tail), self.settings(), Arc::clone(clock));
            let counted = pair.copies();
            let noticed = Arc::new(move || noticed(counted.counts()));
            return Ok(Seated { store: Arc::new(pair), noticed });
        }
        let node = |(number, store): (usize, _)| RingNode { name: format!("server-{number}"), store };
        let settings = RingSettings { copies: 2, failover: self.settings() };
        let ring = Ring::new(stores.into_iter().map(node).collect(), &settings, clock)?;
        let counted = ring.copies();
        Ok(Seated { store: Arc::new(ring), noticed: Arc::new(move || noticed(counted.counts())) })
    }
}

fn noticed(counts: FailoverCounts) -> Noticed {
    Noticed {
        failovers: counts.failovers,
        repairs: counts.repairs,
        divergences: counts.divergences,
        losses: counts.losses,
        half_copies: counts.half_copies,
    }
}

/// Running servers, and the stores over them.
pub(crate) struct Started {
    shape: Shape,
    pub(crate) servers: Vec<(Kind, Arc<Server>)>,
}

impl Started {
    /// What a case gets.
    pub(crate) fn into_cluster(self) -> PrivateCluster {
        let server = |(_, server): &(Kind, Arc<Server>)| ClusterServer {
            address: server.address(),
            control: Arc::clone(server) as Arc<dyn ServerControl>,
        };
        let servers = self.servers.iter().map(server).collect();
        PrivateCluster { servers, stores: Arc::new(self) }
    }

    async fn plain(
        &self,
        number: usize,
        place: &str,
        clock: &Arc<dyn Clock>,
        via: SocketAddr,
    ) -> Result<Arc<dyn SessionStore>, Error> {
        let (_, server) = &self.servers[number];
        let url = server.url().replace(&server.address().to_string(), &via.to_string());
        let url = format!("{url}?prefix={}:{place}:&{PATIENCE}", self.shape.prefix);
        holdover_backends::connect_with_clock(&url, Arc::clone(clock)).await
    }
}

#[async_trait]
impl Cluster for Started {
    async fn open(&self, seat: Seat) -> Result<Seated, Error> {
        let mut stores = Vec::new();
        for (number, via) in &seat.members {
            stores.push((*number, self.plain(*number, &seat.place, &seat.clock, *via).await?));
        }
        self.shape.over(stores, &seat.clock)
    }

    async fn copy(&self, server: usize, node: Node) -> Result<Arc<dyn SessionStore>, Error> {
        self.plain(server, &node.place, &node.clock, self.servers[server].1.address()).await
    }
}
