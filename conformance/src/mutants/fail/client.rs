//! The store over the small server, sound or with one flaw.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use holdover_api::{
    Capabilities, CheapReads, Clock, Delta, Error, ErrorKind, Expiry, Freshness, InstallAnswer, Loaded, On,
    Operation, SaveAnswer, SessionKey, SessionStore, Stamp, Standing, Stored, Survives, Timestamp, Write,
    Writes, pause, within,
};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

use super::server::{receive, send};
use super::state::{Answer, Call, Reply, Request, Shared};
use crate::mutants::MAX_BYTES;

const TIMEOUT: Duration = Duration::from_millis(500);
const LOCK_DELAY: Duration = Duration::from_millis(5);

/// What is wrong with the store's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientFlaw {
    None,
    /// Answers something harmless where this operation failed.
    Hides(Operation),
    /// Every error swears that there was no effect.
    SwearsNoEffect,
    /// Waits for an answer as long as it takes.
    NoDeadline,
    /// The deadline runs only once an operation has the connection.
    QueuesWithoutDeadline,
    /// A connection stays in use whatever happened to the operation on it, and the next answer is taken for one's own.
    KeepsConnection,
    /// A connection that broke is not replaced.
    NeverReconnects,
    /// Calls a script by the number that it had when the store was opened.
    KeepsScript,
    /// A save holds a lock that nothing ends but its holder.
    Locks,
    /// A merge reaches the server one attribute at a time.
    SavesInParts,
    /// Tries a save again by itself, as a new write.
    RestampsRetry,
    /// Answers what it loaded last where a load failed.
    ServesStale,
}

/// A connection, or what is left of it.
enum Link {
    None,
    Open(TcpStream),
    /// For [`ClientFlaw::NeverReconnects`].
    Broken,
}

/// One node's handle.
pub(super) struct WireStore {
    pub(super) address: SocketAddr,
    pub(super) shared: Arc<Shared>,
    pub(super) place: String,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) flaw: ClientFlaw,
    pub(super) claims: Survives,
    script: Option<usize>,
    link: Mutex<Link>,
    /// For [`ClientFlaw::ServesStale`].
    loaded: Mutex<Option<Loaded>>,
}

impl WireStore {
    pub(super) fn new(
        address: SocketAddr,
        shared: Arc<Shared>,
        node: crate::harness::Node,
        flaw: ClientFlaw,
        claims: Survives,
    ) -> Self {
        let script = (flaw == ClientFlaw::KeepsScript).then(|| shared.starts());
        let link = Mutex::new(Link::None);
        let (place, clock) = (node.place, node.clock);
        Self { address, shared, place, clock, flaw, claims, script, link, loaded: Mutex::new(None) }
    }

    /// Asks, within the time-out.
    async fn ask(&self, operation: Operation, call: Call) -> Reply {
        let sent = AtomicBool::new(false);
        let attempt = self.attempt(&call, &sent);
        let ended = match self.flaw {
            ClientFlaw::NoDeadline | ClientFlaw::QueuesWithoutDeadline => Some(attempt.await),
            _ => within(TIMEOUT, attempt).await,
        };
        match ended {
            Some(Ok(reply)) => reply,
            Some(Err(_)) | None => Err(self.failure(operation, sent.load(Ordering::SeqCst))),
        }
    }

    fn failure(&self, operation: Operation, sent: bool) -> Error {
        let error = Error::new(ErrorKind::Unavailable, operation, "wire", "no answer");
        if !sent || self.flaw == ClientFlaw::SwearsNoEffect { error.without_effect() } else { error }
    }

    async fn attempt(&self, call: &Call, sent: &AtomicBool) -> io::Result<Reply> {
        let mut link = self.link.lock().await;
        if self.flaw == ClientFlaw::KeepsConnection {
            return self.attempt_in_place(&mut link, call, sent).await;
        }
        // Taken out for the time of the exchange: if this future is dropped, the connection goes with it.
        let mut stream = match std::mem::replace(&mut *link, Link::None) {
            Link::Open(stream) => stream,
            Link::None => TcpStream::connect(self.address).await?,
            Link::Broken => {
                *link = Link::Broken;
                return Err(io::ErrorKind::NotConnected.into());
            }
        };
        let exchange = self.exchange(&mut stream, call, sent);
        let exchanged = match self.flaw {
            ClientFlaw::QueuesWithoutDeadline => within(TIMEOUT, exchange).await,
            _ => Some(exchange.await),
        };
        match exchanged {
            Some(Ok(reply)) => {
                *link = Link::Open(stream);
                Ok(reply)
            }
            failed => {
                if self.flaw == ClientFlaw::NeverReconnects {
                    *link = Link::Broken;
                }
                failed.unwrap_or_else(|| Err(io::ErrorKind::TimedOut.into()))
            }
        }
    }

    async fn attempt_in_place(&self, link: &mut Link, call: &Call, sent: &AtomicBool) -> io::Result<Reply> {
        if !matches!(link, Link::Open(_)) {
            *link = Link::Open(TcpStream::connect(self.address).await?);
        }
        let Link::Open(stream) = link else { return Err(io::ErrorKind::NotConnected.into()) };
        let exchanged = self.exchange(stream, call, sent).await;
        if exchanged.is_err() {
            *link = Link::None;
        }
        exchanged
    }

    async fn exchange(&self, stream: &mut TcpStream, call: &Call, sent: &AtomicBool) -> io::Result<Reply> {
        let length = length_of(call);
        let request = Request {
            place: self.place.clone(),
            clock: Arc::clone(&self.clock),
            call: call.clone(),
            script: self.script,
        };
        let asked = self.shared.ask(request);
        sent.store(true, Ordering::SeqCst);
        send(stream, asked, length).await?;
        let answered = receive(stream).await?;
        let own = answered == asked || self.flaw == ClientFlaw::KeepsConnection;
        let reply = self.shared.collect(answered).filter(|_| own);
        reply.ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    fn hides(&self, operation: Operation) -> bool {
        self.flaw == ClientFlaw::Hides(operation)
    }

    async fn save_once(&self, key: &SessionKey, write: &Write) -> Result<SaveAnswer, Error> {
        match self.ask(Operation::Save, Call::Save(*key, write.clone())).await? {
            Answer::Save(answer) => Ok(answer),
            _ => Err(self.failure(Operation::Save, true)),
        }
    }

    async fn save_locked(&self, key: &SessionKey, write: &Write) -> Result<SaveAnswer, Error> {
        while !matches!(self.ask(Operation::Save, Call::Lock(*key)).await?, Answer::Lock(true)) {
            pause(LOCK_DELAY).await;
        }
        let saved = self.save_once(key, write).await;
        self.ask(Operation::Save, Call::Unlock(*key)).await?;
        saved
    }

    async fn save_in_parts(&self, key: &SessionKey, write: &Write) -> Result<SaveAnswer, Error> {
        for (name, value) in write.delta.sets() {
            let mut delta = Delta::default();
            delta.set(name, value.clone());
            let stamp = Stamp::from_bytes([name.as_bytes()[0]; 16]);
            self.save_once(key, &Write { delta, stamp, ..write.clone() }).await?;
        }
        self.save_once(key, write).await
    }
}

fn length_of(call: &Call) -> usize {
    let Call::Save(_, write) = call else { return 0 };
    write.delta.sets().iter().map(|(name, value)| name.len() + value.len()).sum()
}

impl fmt::Display for WireStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("wire")
    }
}

impl fmt::Debug for WireStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WireStore({:?})", self.flaw)
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl SessionStore for WireStore {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            writes: Writes::ByAttribute,
            expiry: Expiry::Native { max_lag: Duration::from_secs(1) },
            cheap_reads: CheapReads::None,
            survives: self.claims,
            shared: true,
            max_bytes: MAX_BYTES,
        }
    }

    async fn load(&self, key: &SessionKey, _freshness: Freshness) -> Result<Option<Loaded>, Error> {
        match self.ask(Operation::Load, Call::Load(*key)).await {
            Ok(Answer::Load(loaded)) => {
                self.loaded.lock().await.clone_from(&loaded);
                Ok(loaded)
            }
            Ok(_) => Err(self.failure(Operation::Load, true)),
            Err(_) if self.hides(Operation::Load) => Ok(None),
            Err(_) if self.flaw == ClientFlaw::ServesStale => Ok(self.loaded.lock().await.clone()),
            Err(error) => Err(error),
        }
    }

    async fn save(&self, key: &SessionKey, write: &Write) -> Result<SaveAnswer, Error> {
        let saved = match self.flaw {
            ClientFlaw::Locks => self.save_locked(key, write).await,
            ClientFlaw::SavesInParts if write.on == On::Live => self.save_in_parts(key, write).await,
            _ => self.save_once(key, write).await,
        };
        match saved {
            Err(_) if self.hides(Operation::Save) => Ok(SaveAnswer::Gone),
            Err(_) if self.flaw == ClientFlaw::RestampsRetry => {
                let mut stamp = *write.stamp.as_bytes();
                stamp[0] ^= 0xFF;
                let again = Write { stamp: Stamp::from_bytes(stamp), ..write.clone() };
                self.save_once(key, &again).await
            }
            saved => saved,
        }
    }

    async fn touch(&self, key: &SessionKey, deadline: Timestamp) -> Result<bool, Error> {
        match self.ask(Operation::Touch, Call::Touch(*key, deadline)).await {
            Ok(Answer::Touch(found)) => Ok(found),
            Ok(_) => Err(self.failure(Operation::Touch, true)),
            Err(_) if self.hides(Operation::Touch) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn delete(&self, key: &SessionKey) -> Result<(), Error> {
        match self.ask(Operation::Delete, Call::Delete(*key)).await {
            Err(error) if !self.hides(Operation::Delete) => Err(error),
            _ => Ok(()),
        }
    }

    async fn inspect(&self, key: &SessionKey) -> Result<Option<Stored>, Error> {
        match self.ask(Operation::Inspect, Call::Inspect(*key)).await {
            Ok(Answer::Inspect(stored)) => Ok(stored),
            Ok(_) => Err(self.failure(Operation::Inspect, true)),
            Err(_) if self.hides(Operation::Inspect) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn install(
        &self,
        key: &SessionKey,
        over: Option<Standing>,
        new: &Stored,
    ) -> Result<InstallAnswer, Error> {
        match self.ask(Operation::Install, Call::Install(*key, over, new.clone())).await {
            Ok(Answer::Install(answer)) => Ok(answer),
            Ok(_) => Err(self.failure(Operation::Install, true)),
            Err(_) if self.hides(Operation::Install) => Ok(InstallAnswer::Refused { stored: None }),
            Err(error) => Err(error),
        }
    }
}
