//! Stores that keep two copies, over small real servers in this process, as the suite wants them.

pub(crate) mod stores;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use holdover_api::{Clock, Error, SessionStore};
use holdover_conformance::mutants::SmallServer;
use holdover_conformance::{
    Cluster, ClusterServer, Copies, Harness, Node, PrivateCluster, Raw, RawCopies, Seat, Seated,
    ServerControl,
};
use holdover_layers::failover::NODE_BIRTH;

/// Makes the store under examination.
pub(crate) type Make = Arc<dyn Fn(stores::Members, Arc<dyn Clock>) -> Seated + Send + Sync>;

/// A harness over a store that keeps two copies.
pub(crate) struct Pairs {
    name: &'static str,
    copies: Copies,
    make: Make,
    /// The servers that most cases share.
    servers: Vec<Arc<SmallServer>>,
}

impl Pairs {
    /// Starts the servers that most cases share.
    pub(crate) fn over(
        name: &'static str,
        copies: Copies,
        make: impl Fn(stores::Members, Arc<dyn Clock>) -> Seated + Send + Sync + 'static,
    ) -> Arc<dyn Harness> {
        let servers = start(copies.count + usize::from(copies.ring)).expect("small servers start");
        Arc::new(Self { name, copies, make: Arc::new(make), servers })
    }
}

fn start(count: usize) -> Result<Vec<Arc<SmallServer>>, String> {
    (0..count).map(|_| SmallServer::start().map(Arc::new)).collect()
}

impl fmt::Debug for Pairs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

#[async_trait]
impl Harness for Pairs {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    async fn open(&self, node: Node) -> Result<Arc<dyn SessionStore>, Error> {
        let stores = self.servers.iter().map(|server| server.store(node.clone())).enumerate().collect();
        Ok((self.make)(stores, node.clock).store)
    }

    fn raw(&self) -> Option<Arc<dyn Raw>> {
        let servers = self.servers.iter().map(|server| server.raw()).collect::<Option<Vec<_>>>()?;
        Some(Arc::new(RawCopies::new(servers, self.copies.count, vec![NODE_BIRTH])))
    }

    fn copies(&self) -> Copies {
        self.copies
    }

    async fn private_cluster(&self, servers: usize) -> Option<Result<PrivateCluster, String>> {
        if servers > self.copies.count && !self.copies.ring {
            return None;
        }
        Some(start(servers).map(|servers| {
            let listed = servers.iter().map(|server| ClusterServer {
                address: server.address(),
                control: Arc::clone(server) as Arc<dyn ServerControl>,
            });
            let listed = listed.collect();
            PrivateCluster {
                servers: listed,
                stores: Arc::new(Small { servers, make: Arc::clone(&self.make) }),
            }
        }))
    }
}

struct Small {
    servers: Vec<Arc<SmallServer>>,
    make: Make,
}

#[async_trait]
impl Cluster for Small {
    async fn open(&self, seat: Seat) -> Result<Seated, Error> {
        let store = |(server, via): &(usize, SocketAddr)| {
            let (place, clock) = (seat.place.clone(), Arc::clone(&seat.clock));
            (*server, self.servers[*server].store(Node { place, clock, via: Some(*via) }))
        };
        let stores = seat.members.iter().map(store).collect();
        Ok((self.make)(stores, Arc::clone(&seat.clock)))
    }

    async fn copy(&self, server: usize, node: Node) -> Result<Arc<dyn SessionStore>, Error> {
        Ok(self.servers[server].store(node))
    }
}
