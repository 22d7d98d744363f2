//! The connection to the server: one, multiplexed, and replaced when it is of no use any more.
//!
//! Why not the library's own `ConnectionManager`: it does not ask Sentinel again, it keeps a connection that has gone
//! silent, and it never leaves a failure of the handshake (a server that is still loading). Here an operation that
//! finds no connection makes one, so that the first operation after the server's return succeeds; operations that
//! arrive meanwhile wait for the same attempt and share its outcome. Nothing runs in the background, and nothing
//! waits longer than the two time-outs.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use holdover_api::within;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::sentinel::SentinelClient;
use redis::{AsyncConnectionConfig, Client, Cmd, RedisError, RedisFuture, Value};

use super::error::{Failure, Phase};

/// How many operations are under way on one connection at most; more wait, within their time-outs.
const MAX_UNDER_WAY: usize = 4096;

/// How many commands are handed to the connection's task at a time.
const HANDED_OVER: usize = 256;

/// Where connections come from.
pub(super) enum Source {
    /// One server.
    Server(Box<Client>),
    /// The master that sentinels name.
    Sentinel(Box<tokio::sync::Mutex<SentinelClient>>),
    /// The nodes of a cluster. Its client replaces the connections to single nodes by itself.
    Cluster(Box<ClusterClient>),
}

#[derive(Clone)]
enum Connection {
    Node(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// The connection in use, and which one it is.
#[derive(Clone)]
struct Held {
    number: u64,
    connection: Connection,
}

/// A connection that is replaced when it is of no use any more.
pub(super) struct Link {
    source: Source,
    connect_timeout: Duration,
    response_timeout: Duration,
    held: Mutex<Option<Held>>,
    /// Held by whoever connects; inside, how the last attempt ended.
    connecting: tokio::sync::Mutex<Option<RedisError>>,
    /// How many attempts to connect have ended.
    attempts: AtomicU64,
}

impl Link {
    pub(super) fn new(source: Source, connect_timeout: Duration, response_timeout: Duration) -> Self {
        Self {
            source,
            connect_timeout,
            response_timeout,
            held: Mutex::default(),
            connecting: tokio::sync::Mutex::default(),
            attempts: AtomicU64::new(0),
        }
    }

    /// Connects now, if there is no connection.
    pub(super) async fn connect(&self) -> Result<(), Failure> {
        self.connection().await.map(drop)
    }

    /// Sends one command and waits for its answer: at most `connect_timeout` for a connection and `response_timeout`
    /// for the rest.
    pub(super) async fn query(&self, cmd: &Cmd) -> Result<Value, Failure> {
        let mut held = self.connection().await?;
        let phase = held.connection.phase();
        let answer = within(self.response_timeout, held.connection.send(cmd)).await;
        let failure = match answer {
            Some(Ok(Value::ServerError(error))) => Failure::sent(phase, error.into()),
            Some(Ok(value)) => return Ok(value),
            Some(Err(error)) => Failure::sent(phase, error),
            None => Failure::late(phase),
        };
        if failure.spoils_connection() && held.connection.is_replaced_as_a_whole() {
            self.give_up(held.number);
        }
        Err(failure)
    }

    async fn connection(&self) -> Result<Held, Failure> {
        if let Some(held) = self.current() {
            return Ok(held);
        }
        let connected = within(self.connect_timeout, self.connect_once()).await;
        connected.unwrap_or_else(|| Err(Failure::late(Phase::Connecting)))
    }

    async fn connect_once(&self) -> Result<Held, Failure> {
        let attempts_before = self.attempts.load(Ordering::Acquire);
        let mut last_failure = self.connecting.lock().await;
        if let Some(held) = self.current() {
            return Ok(held);
        }
        let attempts = self.attempts.load(Ordering::Acquire);
        if let (true, Some(error)) = (attempts != attempts_before, last_failure.clone()) {
            return Err(Failure::connecting(error));
        }
        let outcome = self.source.open(self.connect_timeout).await;
        self.attempts.store(attempts + 1, Ordering::Release);
        match outcome {
            Ok(connection) => {
                let held = Held { number: attempts + 1, connection };
                *last_failure = None;
                *self.lock() = Some(held.clone());
                Ok(held)
            }
            Err(error) => {
                *last_failure = Some(error.clone());
                Err(Failure::connecting(error))
            }
        }
    }

    fn current(&self) -> Option<Held> {
        self.lock().clone()
    }

    /// Lets go of a connection, unless another has replaced it already.
    fn give_up(&self, number: u64) {
        let mut held = self.lock();
        if held.as_ref().is_some_and(|held| held.number == number) {
            *held = None;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Held>> {
        // Only whole values are put in and taken out, so that a panic elsewhere leaves nothing half done.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("connected", &self.current().is_some())
            .field("connect_timeout", &self.connect_timeout)
            .field("response_timeout", &self.response_timeout)
            .finish_non_exhaustive()
    }
}

impl Source {
    async fn open(&self, connect_timeout: Duration) -> Result<Connection, RedisError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(connect_timeout))
            // `query` has a time-out of its own, which also knows what to do with the connection then.
            .set_response_timeout(None)
            .set_pipeline_buffer_size(HANDED_OVER)
            .set_concurrency_limit(MAX_UNDER_WAY);
        match self {
            Self::Server(client) => {
                let connection = client.get_multiplexed_async_connection_with_config(&config).await?;
                Ok(Connection::Node(connection))
            }
            Self::Sentinel(client) => {
                // Sentinels are asked each time: the master may have changed, and a wrong one answers, too.
                let mut client = client.lock().await;
                let connection = client.get_async_connection_with_config(&config).await?;
                Ok(Connection::Node(connection))
            }
            Self::Cluster(client) => Ok(Connection::Cluster(client.get_async_connection().await?)),
        }
    }
}

impl Connection {
    fn send<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Node(connection) => connection.req_packed_command(cmd),
            Self::Cluster(connection) => connection.req_packed_command(cmd),
        }
    }

    const fn phase(&self) -> Phase {
        match self {
            Self::Node(_) => Phase::Sent,
            Self::Cluster(_) => Phase::SentRepeatedly,
        }
    }

    /// A cluster's client replaces the connections of its nodes one by one.
    const fn is_replaced_as_a_whole(&self) -> bool {
        matches!(self, Self::Node(_))
    }
}
