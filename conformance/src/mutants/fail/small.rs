//! The small server for everybody: a sound one, as a member of a cluster.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use holdover_api::{SessionStore, Survives};

use super::SOUND;
use super::client::{ClientFlaw, WireStore};
use super::server::WireServer;
use super::state::Plan;
use crate::harness::{Node, Raw, ServerControl};

/// A small sound server with real sockets inside this process, for clusters that have to start and die within
/// milliseconds. What it held is lost when it is killed. It ends when it is dropped.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// use std::sync::Arc;
/// use holdover_api::SystemClock;
/// use holdover_conformance::mutants::SmallServer;
/// use holdover_conformance::{Node, ServerControl};
///
/// let server = SmallServer::start()?;
/// let store = server.store(Node { place: "p".into(), clock: Arc::new(SystemClock), via: None });
/// assert_eq!(store.to_string(), "wire");
/// server.kill().await?;
/// server.restart().await?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SmallServer(WireServer);

impl SmallServer {
    /// Starts one.
    ///
    /// # Errors
    ///
    /// No port is free, or no thread can be started.
    pub fn start() -> Result<Self, String> {
        let plan = Plan { keeps: Survives::Nothing, ..SOUND };
        WireServer::start(plan).map(Self).map_err(|error| format!("start the small server: {error}"))
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// A store on it, as one application node has it.
    pub fn store(&self, node: Node) -> Arc<dyn SessionStore> {
        let address = node.via.unwrap_or(self.0.address);
        let shared = Arc::clone(&self.0.shared);
        Arc::new(WireStore::new(address, shared, node, ClientFlaw::None, Survives::Nothing))
    }

    /// What it keeps, past the wire.
    pub fn raw(&self) -> Option<Arc<dyn Raw>> {
        self.0.shared.raw()
    }
}

impl fmt::Debug for SmallServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SmallServer({})", self.0.address)
    }
}

#[async_trait]
impl ServerControl for SmallServer {
    async fn kill(&self) -> Result<(), String> {
        self.0.kill().await
    }

    async fn restart(&self) -> Result<(), String> {
        self.0.restart().await
    }

    async fn pause(&self) -> Result<(), String> {
        self.0.pause().await
    }

    async fn resume(&self) -> Result<(), String> {
        self.0.resume().await
    }
}
