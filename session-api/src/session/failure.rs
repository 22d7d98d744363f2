//! What can go wrong for an application that uses a session.

use std::fmt;
use std::sync::Arc;

use crate::codec::CodecError;
use crate::entropy::EntropyError;
use crate::error::{Error, ErrorKind};

/// A session could not be read or changed.
///
/// `Display` is safe for logs: no id and no value. It is not meant for clients: with the feature `axum` the error is
/// a response with a generic text and the [`status`](Self::status) below.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum SessionError {
    /// The store failed. A failed load is never "no session".
    Store(Arc<Error>),
    /// The session was destroyed, renewed or has expired since this request looked at it. Nothing was brought back.
    Gone,
    /// An atomic update lost the race for the record too many times in a row.
    Contention {
        /// How often it was tried.
        attempts: u32,
    },
    /// The session would be larger than the policy allows. Nothing was sent.
    TooLarge {
        /// The size that it would have, in bytes.
        size: usize,
        /// The limit, in bytes.
        limit: usize,
    },
    /// A value could not be encoded or decoded.
    Codec(CodecError),
    /// The source of randomness failed: no weak id is ever made.
    Entropy(EntropyError),
}

impl SessionError {
    /// The HTTP status that says the same: 503 when the store cannot answer, 409 when the session is gone or
    /// contended, 413 when it is too large, 500 otherwise.
    pub fn status(&self) -> u16 {
        match self {
            Self::Store(error) => match error.kind() {
                ErrorKind::Unavailable | ErrorKind::Throttled => 503,
                ErrorKind::TooLarge => 413,
                _ => 500,
            },
            Self::Gone | Self::Contention { .. } => 409,
            Self::TooLarge { .. } => 413,
            Self::Codec(_) | Self::Entropy(_) => 500,
        }
    }

    /// A text for clients: what happened to them, and nothing about the store.
    pub fn client_message(&self) -> &'static str {
        match self.status() {
            503 => "the session store is not available; try again shortly",
            409 => "the session has ended or changed meanwhile; reload and try again",
            413 => "the session is too large",
            _ => "the session could not be used",
        }
    }

    /// Whether the store could not answer, which [`FailurePolicy`](crate::FailurePolicy) is about.
    pub fn is_outage(&self) -> bool {
        self.status() == 503
    }
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => write!(f, "session store: {error}"),
            Self::Gone => {
                f.write_str("the session was destroyed, renewed or has expired meanwhile: start a new one")
            }
            Self::Contention { attempts } => {
                write!(
                    f,
                    "updating the session lost {attempts} races in a row: try again, or spread the writes"
                )
            }
            Self::TooLarge { size, limit } => {
                write!(
                    f,
                    "the session would have {size} bytes and the limit is {limit}: keep large values elsewhere"
                )
            }
            Self::Codec(error) => write!(f, "session attribute: {error}"),
            Self::Entropy(error) => write!(f, "session id: {error}"),
        }
    }
}

impl std::error::Error for SessionError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Store(error) => Some(&**error),
            Self::Codec(error) => Some(error),
            Self::Entropy(error) => Some(error),
            Self::Gone | Self::Contention { .. } | Self::TooLarge { .. } => None,
        }
    }
}

impl From<Error> for SessionError {
    fn from(error: Error) -> Self {
        Self::Store(Arc::new(error))
    }
}

impl From<CodecError> for SessionError {
    fn from(error: CodecError) -> Self {
        Self::Codec(error)
    }
}

impl From<EntropyError> for SessionError {
    fn from(error: EntropyError) -> Self {
        Self::Entropy(error)
    }
}
