//! What the suite needs to know of a store: how to make handles on it, and what may be done to the server below.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use holdover_api::{Clock, Error, SessionKey, SessionStore, Timestamp};

/// One application node, as the suite asks a [`Harness`] for it.
#[derive(Clone, Debug)]
pub struct Node {
    /// A namespace, such as a key prefix. Nodes with the same place share sessions, others see nothing of each other.
    /// At most 40 characters of `a-z`, `0-9` and `-`.
    pub place: String,
    /// The node's clock.
    pub clock: Arc<dyn Clock>,
    /// Where to reach the server instead of at its own address: the suite's fault proxy.
    pub via: Option<SocketAddr>,
}

/// Makes the stores that are examined. Implement it for your store and hand it to [`main`](crate::main).
///
/// Two calls of [`open`](Self::open) are two nodes of one application: handles with their own connections.
#[async_trait]
pub trait Harness: Send + Sync + 'static {
    /// The name of what is examined, with the server's version: `redis 7.0.15`.
    fn name(&self) -> String;

    /// Opens a handle.
    async fn open(&self, node: Node) -> Result<Arc<dyn SessionStore>, Error>;

    /// Access below the store, where there is any: cases on stored bytes and raw time-outs need it.
    fn raw(&self) -> Option<Arc<dyn Raw>> {
        None
    }

    /// The address of the server, for the fault proxy to stand in front of.
    fn address(&self) -> Option<SocketAddr> {
        None
    }

    /// A server of its own that a case may kill, pause and restart, where there is any.
    async fn private_server(&self) -> Option<Result<PrivateServer, String>> {
        None
    }
}

/// A server that one case has for itself.
pub struct PrivateServer {
    /// Makes handles on it.
    pub harness: Arc<dyn Harness>,
    /// Controls it.
    pub control: Arc<dyn ServerControl>,
}

impl fmt::Debug for PrivateServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateServer({})", self.harness.name())
    }
}

/// Control over a server process.
#[async_trait]
pub trait ServerControl: Send + Sync + 'static {
    /// `SIGKILL`; returns when the process is gone.
    async fn kill(&self) -> Result<(), String>;
    /// Starts it again on the same port with the same data directory; returns when it answers.
    async fn restart(&self) -> Result<(), String>;
    /// `SIGSTOP`: connections are accepted by the kernel, nothing answers.
    async fn pause(&self) -> Result<(), String>;
    /// `SIGCONT`.
    async fn resume(&self) -> Result<(), String>;
}

/// Access to what a store keeps, below the store.
#[async_trait]
pub trait Raw: Send + Sync + 'static {
    /// Replaces the stored bytes of a session, keeping the native time-out.
    async fn overwrite(&self, place: &str, key: &SessionKey, bytes: &[u8]) -> Result<(), String>;
    /// The stored bytes.
    async fn read(&self, place: &str, key: &SessionKey) -> Result<Option<Vec<u8>>, String>;
    /// When the server itself will remove the session: outer nothing if the session is absent, inner nothing if never.
    async fn native_deadline(
        &self,
        place: &str,
        key: &SessionKey,
    ) -> Result<Option<Option<Timestamp>>, String>;
    /// How many sessions are stored at a place, whatever their state.
    async fn count(&self, place: &str) -> Result<usize, String>;
}
