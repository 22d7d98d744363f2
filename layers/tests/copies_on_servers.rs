//! The exam for stores that keep two copies, on real servers: `cargo test -p holdover-layers --test copies_on_servers
//! [filter]`. Every case that breaks servers starts its own.

// The command reaches its servers in the same way. It cannot live in the library, which names no backend.
#[allow(dead_code, reason = "the command needs more of it")]
#[path = "../../conformance/src/bin/holdover-conformance/cluster.rs"]
mod cluster;
#[allow(dead_code, reason = "the command needs more of it")]
#[path = "../../conformance/src/bin/holdover-conformance/memcached.rs"]
mod memcached;
#[allow(dead_code, reason = "the command needs more of it")]
#[path = "../../conformance/src/bin/holdover-conformance/redis.rs"]
mod redis;

use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use cluster::{Form, Kind, Shape, Started};
use holdover_api::{Error, SessionStore};
use holdover_conformance::{Cluster, Copies, Harness, Node, PrivateCluster, Raw, RawCopies, Seat, main_of};
use holdover_layers::failover::{Backup, NODE_BIRTH};
use tokio::runtime::Runtime;

/// A store over servers that most cases share.
struct OnServers {
    name: &'static str,
    shape: Shape,
    shared: Started,
}

impl OnServers {
    async fn start(name: &'static str, form: Form) -> Result<Arc<dyn Harness>, String> {
        let prefix = format!("holdover-test-{}", std::process::id());
        let servers = 2 + usize::from(matches!(form, Form::Ring(_)));
        let shape = Shape { form, backup: Backup::Before, prefix };
        let started = shape.start(servers).await;
        let shared =
            started.unwrap_or_else(|| Err("this machine lacks a server; run scripts/servers".into()))?;
        Ok(Arc::new(Self { name, shape, shared }))
    }
}

#[async_trait]
impl Harness for OnServers {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    async fn open(&self, node: Node) -> Result<Arc<dyn SessionStore>, Error> {
        let servers = self.shared.servers.iter().enumerate();
        let members = servers.map(|(number, (_, server))| (number, server.address())).collect();
        let seat = Seat { place: node.place, clock: node.clock, members };
        Ok(self.shared.open(seat).await?.store)
    }

    fn raw(&self) -> Option<Arc<dyn Raw>> {
        let prefix = &self.shape.prefix;
        let raw = |(kind, server): &(Kind, Arc<_>)| below(*kind, server, prefix);
        let servers = self.shared.servers.iter().map(raw).collect();
        Some(Arc::new(RawCopies::new(servers, 2, vec![NODE_BIRTH])))
    }

    fn copies(&self) -> Copies {
        self.shape.copies()
    }

    async fn private_cluster(&self, servers: usize) -> Option<Result<PrivateCluster, String>> {
        Some(self.shape.start(servers).await?.map(Started::into_cluster))
    }
}

fn below(kind: Kind, server: &holdover_conformance::servers::Server, prefix: &str) -> Arc<dyn Raw> {
    match kind {
        Kind::Memcached => Arc::new(memcached::RawMemcached::new(server.url(), prefix)),
        Kind::Redis => Arc::new(redis::RawRedis::new(server.url(), prefix)),
    }
}

fn main() -> ExitCode {
    let runtime = Runtime::new().expect("a runtime starts");
    let forms = [
        ("memcached", Form::Ring(Kind::Memcached)),
        ("redis", Form::Pair(Kind::Redis, Kind::Redis)),
        ("redis and memcached", Form::Pair(Kind::Redis, Kind::Memcached)),
    ];
    let mut harnesses = Vec::new();
    for (name, form) in forms {
        match runtime.block_on(OnServers::start(name, form)) {
            Ok(harness) => harnesses.push(harness),
            Err(why) => {
                eprintln!("error: {why}");
                return ExitCode::FAILURE;
            }
        }
    }
    main_of(harnesses)
}
