//! The connection in use: made when an operation needs one, replaced when it is of no use any more.
//!
//! An operation that finds no connection makes one, so that the first operation after the server's return succeeds;
//! operations that arrive meanwhile wait for the same attempt and share its outcome. Nothing waits longer than the two
//! time-outs. An operation keeps to the connection that it began on: compare tokens mean nothing on another.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use holdover_api::within;

use super::connection::{Address, Connection};
use super::error::{Cause, Failure};
use super::memo::Memo;
use super::wire::{Command, Reply};

/// The connection in use, and which one it is.
#[derive(Clone)]
struct Held {
    number: u64,
    connection: Arc<Connection>,
}

/// A connection that is replaced when it is of no use any more.
pub(super) struct Link {
    address: Address,
    connect_timeout: Duration,
    response_timeout: Duration,
    held: Mutex<Option<Held>>,
    /// Held by whoever connects; inside, how the last attempt ended.
    connecting: tokio::sync::Mutex<Option<Failure>>,
    /// How many attempts to connect have ended.
    attempts: AtomicU64,
}

impl Link {
    pub(super) fn new(address: Address, connect_timeout: Duration, response_timeout: Duration) -> Self {
        Self {
            address,
            connect_timeout,
            response_timeout,
            held: Mutex::default(),
            connecting: tokio::sync::Mutex::default(),
            attempts: AtomicU64::new(0),
        }
    }

    /// Begins an operation: on the connection in use, or on a new one.
    pub(super) async fn line(&self) -> Result<Line<'_>, Failure> {
        if let Some(held) = self.current() {
            return Ok(Line { link: self, held });
        }
        let connected = within(self.connect_timeout, self.connect_once()).await;
        let held = connected.unwrap_or(Err(Failure::unsent(Cause::Late)))?;
        Ok(Line { link: self, held })
    }

    async fn connect_once(&self) -> Result<Held, Failure> {
        let attempts_before = self.attempts.load(Ordering::Acquire);
        let mut last_failure = self.connecting.lock().await;
        if let Some(held) = self.current() {
            return Ok(held);
        }
        let attempts = self.attempts.load(Ordering::Acquire);
        if let (true, Some(failure)) = (attempts != attempts_before, *last_failure) {
            return Err(failure);
        }
        let outcome = within(self.connect_timeout, Connection::open(&self.address)).await;
        let outcome = outcome.unwrap_or(Err(Failure::unsent(Cause::Late)));
        self.attempts.store(attempts + 1, Ordering::Release);
        // Whatever was said while connecting, the operation that waits for it has not begun.
        let outcome = outcome.map_err(Failure::of_a_read);
        *last_failure = outcome.as_ref().err().copied();
        let held = Held { number: attempts + 1, connection: Arc::new(outcome?) };
        *self.lock() = Some(held.clone());
        Ok(held)
    }

    fn current(&self) -> Option<Held> {
        self.lock().as_ref().filter(|held| !held.connection.is_closed()).cloned()
    }

    /// Lets go of a connection, unless another has replaced it already.
    fn give_up(&self, number: u64) {
        let mut held = self.lock();
        if held.as_ref().is_some_and(|held| held.number == number) {
            *held = None;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Held>> {
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

/// The connection that one operation keeps to.
pub(super) struct Line<'a> {
    link: &'a Link,
    held: Held,
}

impl Line<'_> {
    /// Sends a command and waits for its reply: at most `response_timeout`.
    pub(super) async fn ask(&self, command: &Command<'_>) -> Result<Reply, Failure> {
        let handed_over = AtomicBool::default();
        let reply = within(self.link.response_timeout, self.held.connection.ask(command, &handed_over)).await;
        let failure = match reply {
            Some(Ok(Reply::Refused(refusal))) => Failure::sent(Cause::Refused(refusal)),
            Some(Ok(reply)) => return Ok(reply),
            Some(Err(failure)) => failure,
            None if handed_over.into_inner() => Failure::sent(Cause::Late),
            None => Failure::unsent(Cause::Late),
        };
        if failure.spoils_connection() {
            self.link.give_up(self.held.number);
        }
        Err(failure)
    }

    /// A reply came that the command does not have: the connection is not trusted any more.
    pub(super) fn out_of_step(&self) -> Failure {
        self.link.give_up(self.held.number);
        Failure::sent(Cause::OutOfStep)
    }

    /// For how long an operation may go on trying against other writers.
    pub(super) fn patience(&self) -> Duration {
        self.link.response_timeout.saturating_mul(2)
    }

    /// What is remembered of this connection.
    pub(super) fn memo(&self) -> &Memo {
        &self.held.connection.memo
    }

    /// The largest value that the server takes.
    pub(super) fn largest_value(&self) -> usize {
        self.held.connection.largest_value
    }
}
