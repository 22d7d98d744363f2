//! What the suite needs to know of a store: how to make handles on it, and what may be done to the server below.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use holdover_api::{Clock, Error, SessionKey, SessionStore, Stored, Timestamp, frame};

use crate::rotation::Rotation;

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

    /// For a store that keeps sessions in tables which follow each other and are dropped as a whole: how far ahead a
    /// deadline may lie, because tables are kept no longer. What is further ahead is refused as misconfigured.
    fn longest_lease(&self) -> Option<Duration> {
        None
    }

    /// How the cases on such tables are put.
    fn rotation(&self) -> Option<Arc<dyn Rotation>> {
        None
    }

    /// How the store keeps its copies, if it keeps more than one of each session.
    fn copies(&self) -> Copies {
        Copies::ONE
    }

    /// So many servers of their own, and stores that keep their copies on them: for a store that keeps several.
    async fn private_cluster(&self, servers: usize) -> Option<Result<PrivateCluster, String>> {
        let _ = servers;
        None
    }

    /// A set of servers of its own that choose among themselves which of them takes writes, and stores on all of it,
    /// where there is such a thing. The cases make them choose another one.
    ///
    /// Its stores have to wait for an answer for longer than the servers need to choose, 15 s where they need two: the
    /// cases demand that no error tells of it.
    async fn private_set(&self) -> Option<Result<PrivateSet, String>> {
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

/// How a store keeps copies of a session on several servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copies {
    /// How many servers hold each session.
    pub count: usize,
    /// Whether every copy is written before a write is answered, as long as every server answers.
    pub before_the_answer: bool,
    /// Whether the copies are kept by stores of different kinds.
    pub several_kinds: bool,
    /// Whether there may be more servers than copies, and servers come and go.
    pub ring: bool,
}

impl Copies {
    /// One copy, on one server.
    pub const ONE: Self = Self { count: 1, before_the_answer: true, several_kinds: false, ring: false };

    /// Two copies on two servers, both written before the answer.
    pub const PAIR: Self = Self { count: 2, ..Self::ONE };
}

/// Servers that one case has for itself, and the stores that keep their copies on them.
pub struct PrivateCluster {
    /// The servers, in the order in which [`Seat::members`] numbers them.
    pub servers: Vec<ClusterServer>,
    /// Opens stores over them.
    pub stores: Arc<dyn Cluster>,
}

impl fmt::Debug for PrivateCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateCluster({} servers)", self.servers.len())
    }
}

/// One server of a cluster.
#[derive(Clone)]
pub struct ClusterServer {
    /// Where it listens, for a fault proxy to stand in front of.
    pub address: SocketAddr,
    /// Controls it. What it held is lost when it is killed.
    pub control: Arc<dyn ServerControl>,
}

impl fmt::Debug for ClusterServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClusterServer({})", self.address)
    }
}

/// One application node over several servers, as the suite asks a [`Cluster`] for it.
#[derive(Clone, Debug)]
pub struct Seat {
    /// As [`Node::place`].
    pub place: String,
    /// As [`Node::clock`].
    pub clock: Arc<dyn Clock>,
    /// The servers that this node is configured with: their numbers, and where it reaches each of them.
    pub members: Vec<(usize, SocketAddr)>,
}

/// An application node that was opened.
pub struct Seated {
    /// The store as the application has it.
    pub store: Arc<dyn SessionStore>,
    /// What this node's store has noticed up to now.
    pub noticed: Arc<dyn Fn() -> Noticed + Send + Sync>,
}

impl fmt::Debug for Seated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seated({}, {:?})", self.store, (self.noticed)())
    }
}

/// What a store that keeps copies says that it has noticed, since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Noticed {
    /// Operations that did without a server.
    pub failovers: u64,
    /// Copies that were brought up to date.
    pub repairs: u64,
    /// Sessions of which each copy held a write that the other lacked.
    pub divergences: u64,
    /// Sessions that were looked for where every copy had lost its memory.
    pub losses: u64,
    /// Writes that were acknowledged though one copy could not be written.
    pub half_copies: u64,
}

/// Opens stores over the servers of a [`PrivateCluster`].
#[async_trait]
pub trait Cluster: Send + Sync + 'static {
    /// Opens the store as one application node has it.
    async fn open(&self, seat: Seat) -> Result<Seated, Error>;

    /// Opens a plain store on one server, past everything that knows of copies: the suite looks at one copy through
    /// it, and removes one.
    async fn copy(&self, server: usize, node: Node) -> Result<Arc<dyn SessionStore>, Error>;
}

/// A set of servers that one case has for itself.
pub struct PrivateSet {
    /// Makes handles on it.
    pub harness: Arc<dyn Harness>,
    /// Controls it.
    pub control: Arc<dyn SetControl>,
}

impl fmt::Debug for PrivateSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateSet({})", self.harness.name())
    }
}

/// Control over servers that choose among themselves which of them, the primary, takes writes; the others, the replicas,
/// copy from it.
///
/// What was done is undone by [`restore`](Self::restore), whatever it was.
#[async_trait]
pub trait SetControl: Send + Sync + 'static {
    /// The primary hands over in good order; returns when another server takes writes.
    async fn step_down(&self) -> Result<(), String>;
    /// `SIGKILL` for the primary; returns when its process is gone.
    async fn kill_primary(&self) -> Result<(), String>;
    /// `SIGSTOP` for the primary: connections are accepted by the kernel, nothing answers.
    async fn pause_primary(&self) -> Result<(), String>;
    /// Keeps the primary of this moment from noticing that it is replaced, so that two servers think they are it for as
    /// long as a case needs, and not for the moment that it usually takes.
    async fn keep_primary_unaware(&self) -> Result<(), String>;
    /// Returns when a server that can be reached takes writes.
    async fn elected(&self) -> Result<(), String>;
    /// `SIGCONT` for every server that is paused; returns at once.
    async fn resume(&self) -> Result<(), String>;
    /// Makes one replica lag from now on: it answers, but has nothing of what is written from now on. The others have,
    /// and they are a majority.
    async fn hold_a_replica(&self) -> Result<(), String>;
    /// Makes every replica lag from now on: what is written from now on, the primary alone has.
    async fn hold_replicas(&self) -> Result<(), String>;
    /// Lets them copy again; returns at once.
    async fn release_replicas(&self) -> Result<(), String>;
    /// Everybody is back, running and released; returns when one of them takes writes and the others have all that it has.
    async fn restore(&self) -> Result<(), String>;
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
    /// Whether stored bytes are the frames of `holdover-api`, lengths and all. Where the server itself keeps the parts of
    /// a record apart, they are not.
    fn keeps_frames(&self) -> bool {
        true
    }
    /// What later versions of the store might have stored where these bytes are. Nothing if the bytes are not
    /// understood.
    fn made_newer(&self, stored: &[u8]) -> Vec<Vec<u8>> {
        if !matches!(frame::decode(&Bytes::copy_from_slice(stored)), Ok(Stored::Record(_))) {
            return Vec::new();
        }
        let versions = [frame::VERSION + 1, u8::MAX];
        versions.map(|version| [&[version], &stored[1..]].concat()).into()
    }
}
