//! What the server's refusals and the connection's failures mean: one table.
//!
//! A server's text may name a key, so none of it is repeated: messages are ours, and all that is kept of the cause is
//! the kind of an I/O error.

use std::io;

use holdover_api::{Effect, Error, ErrorKind, Operation};

use super::NAME;
use super::wire::Refusal;
use crate::row::{Row, refused, unclear};

/// Whether the command that failed may have reached the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// No: not a byte of it was handed to a socket, so it certainly did nothing.
    Unsent,
    /// Yes.
    Sent,
}

/// A failure of one exchange with the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) phase: Phase,
    pub(super) cause: Cause,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// What the socket says.
    Io(io::ErrorKind),
    /// The server closed the connection.
    Closed,
    /// Our own limit: no answer in time.
    Late,
    /// Our own limit: other writers were faster, all the time.
    Outrun,
    /// What came is not a reply of this protocol.
    Garbled,
    /// A reply of this protocol that this command does not have, or the reply to another command.
    OutOfStep,
    /// The server will not.
    Refused(Refusal),
    /// A new connection: the server does not know the meta protocol.
    TooOld,
}

impl Failure {
    pub(super) const fn unsent(cause: Cause) -> Self {
        Self { phase: Phase::Unsent, cause }
    }

    pub(super) const fn sent(cause: Cause) -> Self {
        Self { phase: Phase::Sent, cause }
    }

    pub(super) fn io(phase: Phase, error: &io::Error) -> Self {
        Self { phase, cause: Cause::Io(error.kind()) }
    }

    /// The same failure of a command that changes nothing, whether it arrived or not.
    pub(super) const fn of_a_read(self) -> Self {
        Self { phase: Phase::Unsent, cause: self.cause }
    }

    /// Whether the connection is of no use any more: broken, silent, or possibly out of step.
    pub(super) const fn spoils_connection(&self) -> bool {
        match self.cause {
            Cause::Refused(refusal) => !refusal.is_in_step(),
            Cause::Outrun => false,
            _ => true,
        }
    }

    /// The failure as callers see it.
    pub(super) fn into_error(self, operation: Operation) -> Error {
        let row = row(self.cause);
        let mut error = Error::new(row.kind, operation, NAME, row.message);
        if self.phase == Phase::Unsent || row.effect == Effect::None {
            error = error.without_effect();
        }
        match self.cause {
            Cause::Io(kind) => error.caused_by(io::Error::from(kind)),
            Cause::Late => error.caused_by(io::Error::from(io::ErrorKind::TimedOut)),
            Cause::Closed => error.caused_by(io::Error::from(io::ErrorKind::UnexpectedEof)),
            _ => error,
        }
    }
}

fn row(cause: Cause) -> Row {
    match cause {
        Cause::Io(io::ErrorKind::ConnectionRefused) => refused(
            ErrorKind::Unavailable,
            "the server refused the connection; is it running at this address?",
        ),
        Cause::Io(io::ErrorKind::NotFound) => {
            refused(ErrorKind::Unavailable, "the server's socket is not there; is the server running?")
        }
        Cause::Io(io::ErrorKind::PermissionDenied) => refused(
            ErrorKind::Denied,
            "this program may not open the server's socket; see the server's option -a",
        ),
        Cause::Io(_) | Cause::Closed => unclear(
            ErrorKind::Unavailable,
            "the connection to the server failed; is it running, and is the host of the url right?",
        ),
        Cause::Late => unclear(
            ErrorKind::Unavailable,
            "the server did not answer in time; is it running and reachable, and is response_timeout long enough?",
        ),
        Cause::Outrun => unclear(
            ErrorKind::Unavailable,
            "other writers of the session were faster for as long as response_timeout allows; try again",
        ),
        Cause::Garbled => unclear(
            ErrorKind::Unavailable,
            "the answer broke off, or is not memcached's text protocol; is it a memcached server?",
        ),
        Cause::OutOfStep => unclear(
            ErrorKind::Unexpected,
            "the answer is not one that this command has; is it a memcached server?",
        ),
        Cause::TooOld => refused(
            ErrorKind::Misconfigured,
            "the server does not know the meta protocol; upgrade it to memcached 1.6 or newer",
        ),
        Cause::Refused(refusal) => refusal_row(refusal),
    }
}

/// What the server said. It drops what was stored under the key when it cannot store what is to replace it, so that
/// even a refusal for want of room may have an effect.
fn refusal_row(refusal: Refusal) -> Row {
    match refusal {
        Refusal::OutOfMemory => unclear(
            ErrorKind::Throttled,
            "the server has no room and may not evict; give it more memory, or run it without -M",
        ),
        Refusal::TooLarge => unclear(
            ErrorKind::TooLarge,
            "the session is larger than the server takes; lower max_bytes, or raise the server's option -I",
        ),
        Refusal::TooManyConnections => {
            refused(ErrorKind::Throttled, "the server has as many clients as it takes; raise its option -c")
        }
        Refusal::Unauthenticated => refused(
            ErrorKind::Denied,
            "the server asks for a login, which the store does not have; run it without -Y on a private network",
        ),
        Refusal::Server => unclear(ErrorKind::Unavailable, "the server failed; look at its log"),
        Refusal::Client | Refusal::UnknownCommand => {
            unclear(ErrorKind::Unexpected, "the server did not understand the operation")
        }
    }
}

#[cfg(test)]
#[path = "error_tests.rs"]
mod tests;
