//! What DynamoDB's refusals and the client's failures mean: one table.
//!
//! A refusal's text may name a table, an account or a role, so none of it is repeated: messages are ours, and all that
//! is kept of the cause is the kind of an I/O error, or the name of a refusal that this table does not know.

use std::error::Error as StdError;
use std::io;
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use holdover_api::{Effect, Error, ErrorKind, Operation};

use super::NAME;
use super::layout::Unreadable;
use crate::row::{Row, refused, unclear};

/// When to try again where DynamoDB asks for less: its buckets refill every second, and a burst is over sooner.
const THROTTLED_DELAY: Duration = Duration::from_millis(50);

/// Whether the request that failed may have reached DynamoDB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// No: it certainly did nothing. Also of a request that changes nothing.
    Unsent,
    /// Yes.
    Sent,
}

/// A failure of one operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) phase: Phase,
    pub(super) cause: Cause,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// What the socket says.
    Io(io::ErrorKind),
    /// A time limit of the client's.
    Late,
    /// Our own limit: other writers were faster, all the time.
    Outrun,
    /// The provider of credentials has none, or fails.
    NoCredentials,
    /// What came is not an answer of DynamoDB.
    Garbled,
    /// The request could not be made.
    Unmade,
    /// What is stored is not a session of this format.
    Unreadable(Unreadable),
    /// The session would be larger than the limit.
    TooLarge,
    /// DynamoDB will not: the name of its refusal, the status, and what the text is about.
    Refused { code: String, status: u16, about: About },
}

/// What a refusal of the kind "validation" is about. It has only its text to say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    /// The result would be larger than DynamoDB takes.
    Size,
    /// What is stored does not have the form that the change expects.
    Form,
    /// Anything else.
    Else,
}

impl About {
    fn of(text: &str) -> Self {
        let has = |part: &str| text.contains(part);
        if has("tem size") && has("exceeded") {
            Self::Size
        } else if has("document path") || has("incorrect data type") || has("does not exist in the item") {
            Self::Form
        } else {
            Self::Else
        }
    }
}

impl Failure {
    /// What the client says.
    pub(super) fn of<E>(error: &SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + StdError + 'static,
    {
        match error {
            // What is no answer at all is taken for a refusal, too.
            SdkError::ServiceError(refusal) if refusal.raw().status().is_success() => {
                Self::sent(Cause::Garbled)
            }
            SdkError::ServiceError(refusal) => Self::sent(Cause::Refused {
                code: refusal.err().code().unwrap_or_default().to_owned(),
                status: refusal.raw().status().as_u16(),
                about: About::of(refusal.err().message().unwrap_or_default()),
            }),
            SdkError::TimeoutError(_) => Self::sent(Cause::Late),
            SdkError::ConstructionFailure(_) => Self::unsent(Cause::Unmade),
            SdkError::ResponseError(_) => Self::sent(Cause::Garbled),
            SdkError::DispatchFailure(failure) => Self::of_dispatch(failure.as_connector_error()),
            _ => Self::sent(Cause::Garbled),
        }
    }

    fn of_dispatch(error: Option<&(impl StdError + 'static)>) -> Self {
        let error = error.map(|error| error as &(dyn StdError + 'static));
        let chain = || std::iter::successors(error, beneath);
        if chain().any(<dyn StdError>::is::<CredentialsError>) {
            return Self::unsent(Cause::NoCredentials);
        }
        let io_kind = chain().find_map(|error| error.downcast_ref::<io::Error>()).map(io::Error::kind);
        let texts = || chain().map(ToString::to_string);
        let cause = match io_kind {
            Some(kind) => Cause::Io(kind),
            None if texts().any(|text| text.contains("timeout")) => Cause::Late,
            None => Cause::Io(io::ErrorKind::BrokenPipe),
        };
        // The HTTP library says so of connections that were never made; its type is not in our reach.
        if texts().any(|text| text.contains("(Connect)")) { Self::unsent(cause) } else { Self::sent(cause) }
    }

    pub(super) const fn unsent(cause: Cause) -> Self {
        Self { phase: Phase::Unsent, cause }
    }

    pub(super) const fn sent(cause: Cause) -> Self {
        Self { phase: Phase::Sent, cause }
    }

    /// The same failure of a request that changes nothing, whether it arrived or not.
    pub(super) fn of_a_read(self) -> Self {
        Self { phase: Phase::Unsent, cause: self.cause }
    }

    /// Whether the request may have taken effect, or still may.
    pub(super) fn is_lost(&self) -> bool {
        self.phase == Phase::Sent && row(&self.cause).effect == Effect::Unknown
    }

    /// The name of the refusal, if it is one.
    pub(super) fn code(&self) -> Option<&str> {
        match &self.cause {
            Cause::Refused { code, .. } => Some(code),
            _ => None,
        }
    }

    /// The failure as callers see it.
    pub(super) fn into_error(self, operation: Operation) -> Error {
        let row = row(&self.cause);
        let mut message = row.message.to_owned();
        if let (Some(code), ErrorKind::Unexpected) = (self.code(), row.kind)
            && is_plain(code)
        {
            message = format!("{message}; it calls this {code}");
        }
        let mut error = Error::new(row.kind, operation, NAME, message);
        if self.phase == Phase::Unsent || row.effect == Effect::None {
            error = error.without_effect();
        }
        if row.kind == ErrorKind::Throttled {
            error = error.retry_after(THROTTLED_DELAY);
        }
        match self.cause {
            Cause::Io(kind) => error.caused_by(io::Error::from(kind)),
            Cause::Late => error.caused_by(io::Error::from(io::ErrorKind::TimedOut)),
            _ => error,
        }
    }
}

// The shape that `successors` takes.
fn beneath<'e>(error: &&'e (dyn StdError + 'static)) -> Option<&'e (dyn StdError + 'static)> {
    let error: &'e (dyn StdError + 'static) = *error;
    error.source()
}

fn row(cause: &Cause) -> Row {
    match cause {
        Cause::Io(io::ErrorKind::ConnectionRefused) => {
            refused(ErrorKind::Unavailable, "the endpoint refused the connection; is it running there?")
        }
        Cause::Io(_) => unclear(
            ErrorKind::Unavailable,
            "the connection to dynamodb failed; are the region and the endpoint of the url right?",
        ),
        Cause::Late => unclear(
            ErrorKind::Unavailable,
            "dynamodb did not answer in time; is it reachable, and are connect_timeout and response_timeout long \
             enough?",
        ),
        Cause::Outrun => unclear(
            ErrorKind::Unavailable,
            "other writers of the session were faster for as long as response_timeout allows; try again",
        ),
        Cause::NoCredentials => refused(
            ErrorKind::Denied,
            "there are no credentials; set them for the aws sdk (environment, profile, role) or in the url",
        ),
        Cause::Garbled => {
            unclear(ErrorKind::Unavailable, "the answer broke off, or is not dynamodb's; is it dynamodb?")
        }
        Cause::Unmade => refused(ErrorKind::Unexpected, "the client could not make the request"),
        Cause::Unreadable(Unreadable::Newer) => refused(
            ErrorKind::Corrupt,
            "what is stored was written by a newer version of this library; upgrade this one",
        ),
        Cause::Unreadable(Unreadable::Malformed) => refused(
            ErrorKind::Corrupt,
            "what is stored is not a session; give sessions a table, or a prefix, of their own",
        ),
        Cause::TooLarge => {
            refused(ErrorKind::TooLarge, "the session would be larger than the limit (see max_bytes)")
        }
        Cause::Refused { code, status, about } => refusal_row(code, *status, *about),
    }
}

/// What DynamoDB said. It refuses before it writes, unless it failed itself.
fn refusal_row(code: &str, status: u16, about: About) -> Row {
    match code {
        "ProvisionedThroughputExceededException" => refused(
            ErrorKind::Throttled,
            "the table, or the place of this session in it, is at its throughput; give it more, or spread the load",
        ),
        "ThrottlingException" | "Throttling" | "RequestLimitExceeded" | "LimitExceededException" => refused(
            ErrorKind::Throttled,
            "the account is at a limit of dynamodb's; ask for more, or for less",
        ),
        "AccessDeniedException" => refused(
            ErrorKind::Denied,
            "the role may not do this; allow the actions that the backend's readme lists, and its key if the table \
             has one",
        ),
        "UnrecognizedClientException"
        | "InvalidSignatureException"
        | "IncompleteSignatureException"
        | "MissingAuthenticationTokenException"
        | "MissingAuthenticationToken"
        | "InvalidClientTokenId"
        | "ExpiredTokenException" => refused(
            ErrorKind::Denied,
            "dynamodb refused the credentials; are they of this account and region, not expired, and is the clock \
             of this machine right?",
        ),
        "ResourceNotFoundException" => refused(
            ErrorKind::Unavailable,
            "the table is not there, or not ready yet; was it deleted, or is it just being made?",
        ),
        "ResourceInUseException" => {
            refused(ErrorKind::Unavailable, "the table is being changed; try again when that is over")
        }
        "TransactionConflictException"
        | "TransactionInProgressException"
        | "ReplicatedWriteConflictException" => {
            refused(ErrorKind::Unavailable, "somebody else is writing to the session right now; try again")
        }
        "ItemCollectionSizeLimitExceededException" | "RequestEntityTooLarge" => TOO_LARGE,
        "ValidationException" => match about {
            About::Size => TOO_LARGE,
            About::Form => row(&Cause::Unreadable(Unreadable::Malformed)),
            About::Else => refused(ErrorKind::Unexpected, "dynamodb did not understand the operation"),
        },
        "UnknownOperationException" => refused(
            ErrorKind::Misconfigured,
            "the server does not know an operation that is needed; for one without time to live say expiry=none",
        ),
        "InternalServerError" | "InternalServerErrorException" | "ServiceUnavailable" => FAILED,
        _ if status >= 500 => FAILED,
        _ => unclear(ErrorKind::Unexpected, "dynamodb refused the operation"),
    }
}

const TOO_LARGE: Row = refused(ErrorKind::TooLarge, "the session would be larger than the 400 kb of an item");

const FAILED: Row = unclear(ErrorKind::Unavailable, "dynamodb failed; try again");

fn is_plain(code: &str) -> bool {
    (1..=64).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
#[path = "error_tests.rs"]
mod tests;
