//! What the server's refusals and the driver's failures mean: one table.
//!
//! Texts of the server and of the driver may name a host, a key or a value, so none of them is repeated: messages are
//! ours, and all that is kept of the cause is the kind of an I/O error, or the code of a refusal that this table does
//! not know.

use std::io;

use holdover_api::{Effect, Error, ErrorKind, Operation};
use mongodb::error::{Error as DriverError, ErrorKind as Cause, NO_WRITES_PERFORMED, WriteFailure};

use super::NAME;
use super::document::Unreadable;
use crate::row::{Row, refused, unclear};

/// A key that is there already.
const DUPLICATE_KEY: i32 = 11000;

/// A failure of one attempt.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// What the driver says.
    Driver(DriverError),
    /// What is stored cannot be read.
    Unreadable(Unreadable),
    /// The record would be larger than this many bytes.
    TooLarge(usize),
    /// What was found wrong before or between commands, in our words.
    Unfit(ErrorKind, String),
    /// Our own limit: no answer in time.
    Late,
}

impl From<DriverError> for Failure {
    fn from(error: DriverError) -> Self {
        Self::Driver(error)
    }
}

impl From<Unreadable> for Failure {
    fn from(unreadable: Unreadable) -> Self {
        Self::Unreadable(unreadable)
    }
}

impl Failure {
    /// Whether somebody else's document stood in the way of an insertion.
    pub(super) fn is_duplicate(&self) -> bool {
        matches!(self, Self::Driver(error) if code_of(error) == Some(DUPLICATE_KEY))
    }

    /// Whether a server has said so, rather than nobody having said anything.
    pub(super) fn is_answer(&self) -> bool {
        match self {
            Self::Driver(error) => code_of(error).is_some(),
            Self::Late => false,
            Self::Unreadable(_) | Self::TooLarge(_) | Self::Unfit(..) => true,
        }
    }

    /// Whether the same may succeed in a moment: an election, a connection that broke.
    ///
    /// Not a failure to find a server: the driver has waited for one already.
    pub(super) fn is_passing(&self) -> bool {
        let Self::Driver(error) = self else {
            return false;
        };
        match (&*error.kind, code_of(error)) {
            (_, Some(code)) => Refusal::of(code).is_passing(),
            (Cause::Io(_) | Cause::ConnectionPoolCleared { .. }, None) => true,
            _ => false,
        }
    }

    pub(super) fn effect(&self) -> Effect {
        match self {
            Self::Driver(error) if error.contains_label(NO_WRITES_PERFORMED) => Effect::None,
            Self::Driver(error) => row(error).effect,
            Self::Late => Effect::Unknown,
            Self::Unreadable(_) | Self::TooLarge(_) | Self::Unfit(..) => Effect::None,
        }
    }

    /// The failure as callers see it. Whether it had an effect is for whoever knows all attempts to say.
    pub(super) fn into_error(self, operation: Operation) -> Error {
        match self {
            Self::Driver(error) => of_driver(operation, &error),
            Self::Unreadable(unreadable) => {
                Error::new(ErrorKind::Corrupt, operation, NAME, unreadable.message())
            }
            Self::TooLarge(limit) => {
                let message = format!("the session would be larger than the limit of {limit} bytes");
                Error::new(ErrorKind::TooLarge, operation, NAME, message)
            }
            Self::Unfit(kind, message) => Error::new(kind, operation, NAME, message),
            Self::Late => Error::new(LATE.kind, operation, NAME, LATE.message)
                .caused_by(io::Error::from(io::ErrorKind::TimedOut)),
        }
    }
}

fn of_driver(operation: Operation, error: &DriverError) -> Error {
    let row = row(error);
    let mapped = match (row.kind, code_of(error)) {
        (ErrorKind::Unexpected, Some(code)) => {
            Error::new(row.kind, operation, NAME, format!("{}; its code is {code}", row.message))
        }
        _ => Error::new(row.kind, operation, NAME, row.message),
    };
    match &*error.kind {
        Cause::Io(cause) => mapped.caused_by(io::Error::from(cause.kind())),
        _ => mapped,
    }
}

const LATE: Row = unclear(
    ErrorKind::Unavailable,
    "the server did not answer in time; is it reachable, is an election under way, and is response_timeout long enough?",
);

/// The server's code, wherever the driver keeps it.
fn code_of(error: &DriverError) -> Option<i32> {
    match &*error.kind {
        Cause::Command(refusal) => Some(refusal.code),
        Cause::Write(WriteFailure::WriteError(refusal)) => Some(refusal.code),
        Cause::Write(WriteFailure::WriteConcernError(refusal)) => Some(refusal.code),
        _ => None,
    }
}

fn row(error: &DriverError) -> Row {
    if let Some(code) = code_of(error) {
        let row = Refusal::of(code).row();
        // The write itself has happened: only its acknowledgement has not.
        let concern_only = matches!(&*error.kind, Cause::Write(WriteFailure::WriteConcernError(_)));
        return if concern_only { Row { effect: Effect::Unknown, ..row } } else { row };
    }
    match &*error.kind {
        Cause::ServerSelection { .. } => refused(
            ErrorKind::Unavailable,
            "no server of the url can take this; is one running there, is a primary elected, and is the url right \
             about tls and the name of the replica set?",
        ),
        Cause::DnsResolve { .. } => refused(
            ErrorKind::Unavailable,
            "the host of the url could not be looked up; is it right, and has it the records that mongodb+srv needs?",
        ),
        Cause::Authentication { .. } => refused(
            ErrorKind::Denied,
            "the server refused the user or the password; check those of the url, and authSource",
        ),
        Cause::InvalidTlsConfig { .. } => refused(
            ErrorKind::Misconfigured,
            "the tls files of the url cannot be used; check tlsCAFile and tlsCertificateKeyFile",
        ),
        Cause::IncompatibleServer { .. } => refused(
            ErrorKind::Misconfigured,
            "the server is too old for the client library; upgrade it to mongodb 4.4 or newer",
        ),
        Cause::InvalidArgument { .. } => refused(
            ErrorKind::Misconfigured,
            "the client library refuses the url; the readme of this store lists its parameters",
        ),
        // Also on a connection that was waiting for an answer, when the driver's watch finds the server silent.
        Cause::ConnectionPoolCleared { .. } => {
            unclear(ErrorKind::Unavailable, "the connections to the server were given up; is it running?")
        }
        Cause::Io(cause) if cause.kind() == io::ErrorKind::TimedOut => LATE,
        Cause::Io(_) => unclear(
            ErrorKind::Unavailable,
            "the connection to the server failed; is it running, and is the url right about whether it speaks tls?",
        ),
        Cause::InvalidResponse { .. } | Cause::Bson(_) => unclear(
            ErrorKind::Unexpected,
            "the answer is not one that this command has; is it a mongodb server?",
        ),
        _ => unclear(ErrorKind::Unexpected, "the client library failed"),
    }
}

/// What a code of the server means. The list of codes: `src/mongo/base/error_codes.yml` of the server's source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    NotPrimary,
    Interrupted,
    TooSlow,
    NotPermitted,
    BadLogin,
    TooLarge,
    IndexDiffers,
    NoSuchConcern,
    ConcernNotMet,
    NoSuchCommand,
    NoTransactions,
    Busy,
    NoRoom,
    Unknown,
}

impl Refusal {
    const fn of(code: i32) -> Self {
        match code {
            10058 | 10107 | 13435 => Self::NotPrimary,
            91 | 189 | 11600 | 11602 | 13436 => Self::Interrupted,
            50 | 262 | 202 | 89 => Self::TooSlow,
            13 => Self::NotPermitted,
            18 | 8000 => Self::BadLogin,
            10334 | 17280 | 17419 | 17420 => Self::TooLarge,
            67 | 85 | 86 => Self::IndexDiffers,
            79 | 93 | 100 => Self::NoSuchConcern,
            64 => Self::ConcernNotMet,
            59 | 115 => Self::NoSuchCommand,
            20 => Self::NoTransactions,
            46 | 112 | 462 | 16500 => Self::Busy,
            14031 => Self::NoRoom,
            _ => Self::Unknown,
        }
    }

    const fn is_passing(self) -> bool {
        matches!(self, Self::NotPrimary | Self::Interrupted | Self::Busy)
    }

    const fn row(self) -> Row {
        match self {
            Self::NotPrimary => refused(
                ErrorKind::Unavailable,
                "the server is not the primary; an election is under way, or the url names a secondary alone",
            ),
            Self::Interrupted => unclear(
                ErrorKind::Unavailable,
                "an election or a shutdown of the server interrupted the operation",
            ),
            Self::TooSlow => unclear(
                ErrorKind::Unavailable,
                "the server gave the operation up as too slow; is it overloaded, or its disk?",
            ),
            Self::NotPermitted => refused(
                ErrorKind::Denied,
                "the user of the url may not do this; it needs readWrite on the database, and authSource names where it \
                 is kept",
            ),
            Self::BadLogin => refused(
                ErrorKind::Denied,
                "the server refused the user or the password; check those of the url, and authSource",
            ),
            Self::TooLarge => {
                refused(ErrorKind::TooLarge, "the session is larger than the 16 MB that a document may have")
            }
            Self::IndexDiffers => refused(
                ErrorKind::Misconfigured,
                "the collection has another index on `e` or of its name; drop it, or use another collection",
            ),
            Self::NoSuchConcern => unclear(
                ErrorKind::Misconfigured,
                "the deployment does not know or cannot meet the write concern or read concern of the url",
            ),
            Self::ConcernNotMet => unclear(
                ErrorKind::Unavailable,
                "too few members of the replica set confirmed the write in time; are they running?",
            ),
            Self::NoSuchCommand => refused(
                ErrorKind::Misconfigured,
                "the server lacks a command; upgrade it to mongodb 4.4 or newer",
            ),
            Self::NoTransactions => refused(
                ErrorKind::Misconfigured,
                "the server has no retryable writes; write retryWrites=false in the url, or make it a replica set",
            ),
            Self::Busy => refused(
                ErrorKind::Throttled,
                "the server is too busy with this session, or limits this client",
            ),
            Self::NoRoom => refused(ErrorKind::Unavailable, "the server's disk is full"),
            Self::Unknown => unclear(ErrorKind::Unexpected, "the server refused the operation"),
        }
    }
}

#[cfg(test)]
#[path = "error_tests.rs"]
mod tests;
