//! A fault proxy: stands in front of a server, in this process, and breaks what goes through on demand.
//!
//! It knows no protocol. A *request* is a run of bytes from a client that follows an answer (or nothing), a *response*
//! is a run of bytes from the server that follows a request. Clients that send ahead without waiting make longer runs,
//! so that counts are exact for one operation at a time only.
//!
//! Every fault can be switched while connections are open, and every fault shows in [`Counts`], so that a case can
//! tell a fault that was survived from one that never struck.

mod connection;
mod dynamodb;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use holdover_api::pause;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

pub use self::dynamodb::{DynamodbFaults, Fault, Seen};
use crate::servers::free_port;

const PORTS_TO_TRY: usize = 8;
const REBIND_DELAY: Duration = Duration::from_millis(5);

/// One of the two ways through the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    Requests,
    /// From the server to the client.
    Responses,
}

/// What happens to the bytes of one direction. Connections stay open whatever it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Behaviour {
    /// They pass.
    #[default]
    Pass,
    /// Each piece that arrives passes so much later.
    Delay(Duration),
    /// At most so many bytes pass in a second.
    Slow(usize),
    /// A gate: what has arrived is kept, and passes when the behaviour changes to one that lets it.
    Hold,
    /// A black hole: they never arrive. Once it ends, the next byte of such a connection meets a reset, because TCP
    /// never delivers what follows a gap.
    Swallow,
}

/// How a connection is broken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Break {
    /// In order: the client reads to the end of the stream.
    #[default]
    Close,
    /// `RST`: the client's next read or write fails.
    Reset,
}

/// What has gone through and what was done to it, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections that were accepted.
    pub connections: usize,
    /// Connections that are open now.
    pub open: usize,
    /// Requests that arrived here, whether or not they went on to the server.
    pub requests: usize,
    /// Responses that arrived here, whether or not they went on to the client.
    pub responses: usize,
    /// Bytes of requests that went on to the server.
    pub request_bytes: usize,
    /// Bytes of responses that went on to the client.
    pub response_bytes: usize,
    /// Bytes of the response that began last, as far as they went on to the client.
    pub last_response_bytes: usize,
    /// Pieces that were delayed, slowed down or kept.
    pub delayed: usize,
    /// Bytes that were swallowed.
    pub swallowed_bytes: usize,
    /// Connections broken inside or right after a response.
    pub cuts: usize,
    /// Connections broken by [`Proxy::break_connections`], or because a black hole had swallowed some of their bytes.
    pub broken: usize,
}

/// How the proxy treats everybody at the moment.
#[derive(Clone, Copy, Debug, Default)]
struct Conduct {
    refuse: bool,
    requests: Behaviour,
    responses: Behaviour,
    /// Rises when every open connection has to be broken, in this way.
    breaks: usize,
    how: Break,
}

impl Conduct {
    const fn of(&self, direction: Direction) -> Behaviour {
        match direction {
            Direction::Requests => self.requests,
            Direction::Responses => self.responses,
        }
    }
}

/// A response that will be cut off.
#[derive(Clone, Copy, Debug)]
struct Cut {
    /// How many responses begin before it.
    after_responses: usize,
    after_bytes: usize,
    how: Break,
}

/// How far the accepting task has followed.
#[derive(Clone, Copy, Debug)]
struct Acceptor {
    listening: bool,
    breaks: usize,
}

struct Shared {
    target: SocketAddr,
    conduct: watch::Sender<Conduct>,
    counts: watch::Sender<Counts>,
    acceptor: watch::Sender<Acceptor>,
    cut: Mutex<Option<Cut>>,
}

impl Shared {
    fn count(&self, change: impl FnOnce(&mut Counts)) {
        self.counts.send_modify(change);
    }

    fn cut(&self) -> MutexGuard<'_, Option<Cut>> {
        self.cut.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A fault proxy on a port of 127.0.0.1. It ends, and every connection with it, when it is dropped.
///
/// ```
/// use holdover_conformance::proxy::{Behaviour, Direction, Proxy};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let server = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// let proxy = Proxy::start(server.local_addr()?).await?;
/// proxy.set(Direction::Responses, Behaviour::Swallow);
/// let _client = tokio::net::TcpStream::connect(proxy.address()).await?;
/// proxy.until(|counts| counts.open == 1).await;
/// # Ok::<(), std::io::Error>(())
/// # })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: JoinHandle<()>,
}

impl Proxy {
    /// Starts a proxy that passes everything on to `target`.
    ///
    /// # Errors
    ///
    /// No port is free.
    pub async fn start(target: SocketAddr) -> io::Result<Self> {
        let listener = bind().await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            target,
            conduct: watch::Sender::default(),
            counts: watch::Sender::default(),
            acceptor: watch::Sender::new(Acceptor { listening: true, breaks: 0 }),
            cut: Mutex::default(),
        });
        let acceptor = tokio::spawn(accept(listener, address, Arc::clone(&shared)));
        Ok(Self { address, shared, acceptor })
    }

    /// Where clients connect.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes what happens to the bytes of one direction, those that are held at the moment included.
    pub fn set(&self, direction: Direction, behaviour: Behaviour) {
        self.shared.conduct.send_modify(|conduct| match direction {
            Direction::Requests => conduct.requests = behaviour,
            Direction::Responses => conduct.responses = behaviour,
        });
    }

    /// Lets a number of responses begin on any connections, and breaks the connection of the next one after so many
    /// bytes of it. `Counts::cuts` tells when it has happened.
    pub fn cut_response(&self, after_responses: usize, after_bytes: usize, how: Break) {
        *self.shared.cut() = Some(Cut { after_responses, after_bytes, how });
    }

    /// Breaks every open connection and returns when they are gone.
    pub async fn break_connections(&self, how: Break) {
        let mut breaks = 0;
        self.shared.conduct.send_modify(|conduct| {
            conduct.breaks += 1;
            conduct.how = how;
            breaks = conduct.breaks;
        });
        self.until_acceptor(|acceptor| acceptor.breaks >= breaks).await;
    }

    /// Refuses connections from now on; those that are open stay. Returns when the port is closed.
    pub async fn refuse(&self) {
        self.shared.conduct.send_modify(|conduct| conduct.refuse = true);
        self.until_acceptor(|acceptor| !acceptor.listening).await;
    }

    /// Accepts connections again, on the same port. Returns when the port is open.
    pub async fn accept(&self) {
        self.shared.conduct.send_modify(|conduct| conduct.refuse = false);
        self.until_acceptor(|acceptor| acceptor.listening).await;
    }

    /// Ends every fault: bytes pass, connections are accepted, a cut that has not happened is called off.
    pub async fn heal(&self) {
        *self.shared.cut() = None;
        self.set(Direction::Requests, Behaviour::Pass);
        self.set(Direction::Responses, Behaviour::Pass);
        self.accept().await;
    }

    /// What has gone through and what was done to it.
    pub fn counts(&self) -> Counts {
        *self.shared.counts.borrow()
    }

    /// Waits until the counts are as wanted.
    pub async fn until(&self, wanted: impl FnMut(&Counts) -> bool) -> Counts {
        let mut counts = self.shared.counts.subscribe();
        let reached = counts.wait_for(wanted).await;
        // The sender lives as long as this value.
        reached.map_or_else(|_| self.counts(), |counts| *counts)
    }

    async fn until_acceptor(&self, wanted: impl FnMut(&Acceptor) -> bool) {
        let mut acceptor = self.shared.acceptor.subscribe();
        // The sender lives as long as this value.
        let _ = acceptor.wait_for(wanted).await;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.acceptor.abort();
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({} to {})", self.address, self.shared.target)
    }
}

/// A port below the ephemeral range, because it has to stay free while connections are refused.
async fn bind() -> io::Result<TcpListener> {
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..PORTS_TO_TRY {
        let Some(port) = free_port() else { break };
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
            Ok(listener) => return Ok(listener),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Accepts, and closes and opens the port. Connections are tasks of its own set: they end with it.
async fn accept(listener: TcpListener, address: SocketAddr, shared: Arc<Shared>) {
    let mut conduct = shared.conduct.subscribe();
    let mut connections = JoinSet::new();
    let mut listener = Some(listener);
    let mut breaks = 0;
    loop {
        let wanted = *conduct.borrow_and_update();
        if wanted.refuse {
            listener = None;
        } else if listener.is_none() {
            listener = TcpListener::bind(address).await.ok();
            if listener.is_none() {
                pause(REBIND_DELAY).await;
                continue;
            }
        }
        if wanted.breaks > breaks {
            // Those that are open see the number that they began with exceeded, and end.
            while connections.join_next().await.is_some() {}
            breaks = wanted.breaks;
        }
        let listening = listener.is_some();
        shared.acceptor.send_replace(Acceptor { listening, breaks });
        tokio::select! {
            changed = conduct.changed() => if changed.is_err() { return },
            client = next(listener.as_ref()) => if let Ok(client) = client {
                let served = connection::serve(client, Arc::clone(&shared), breaks);
                connections.spawn(served);
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn next(listener: Option<&TcpListener>) -> io::Result<TcpStream> {
    match listener {
        Some(listener) => Ok(listener.accept().await?.0),
        None => std::future::pending().await,
    }
}
