//! Failures of a store. A lost race or a missing session is an answer, not a failure, and is not in here.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

/// What kind of failure: how a caller should react.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The store did not answer, or not in time. Trying again later may help.
    Unavailable,
    /// The store asks for less: too many requests, or no room for more.
    Throttled,
    /// The store refuses this user or this operation.
    Denied,
    /// The configuration cannot work: an unknown URL parameter, a missing feature, a wrong server version.
    Misconfigured,
    /// The record, or the change to it, is larger than the store or the configured limit allows. Nothing was changed.
    TooLarge,
    /// What is stored cannot be read, or was written by a newer version.
    Corrupt,
    /// Anything else: a defect, here or in the store.
    Unexpected,
}

impl ErrorKind {
    /// The lower-case name, as in errors, logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::Throttled => "throttled",
            Self::Denied => "denied",
            Self::Misconfigured => "misconfigured",
            Self::TooLarge => "too large",
            Self::Corrupt => "corrupt",
            Self::Unexpected => "unexpected",
        }
    }
}

impl Effect {
    /// The lower-case name, as in errors, logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "no effect",
            Self::Unknown => "effect unknown",
        }
    }
}

/// Whether the failed operation may have taken effect all the same.
///
/// Every operation may be tried again, whatever the effect: they are idempotent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// It certainly did nothing.
    None,
    /// It may or may not have happened, or may still happen.
    Unknown,
}

/// Which operation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// Building a store from its configuration.
    Connect,
    /// [`SessionStore::load`](crate::SessionStore::load).
    Load,
    /// [`SessionStore::save`](crate::SessionStore::save).
    Save,
    /// [`SessionStore::touch`](crate::SessionStore::touch).
    Touch,
    /// [`SessionStore::delete`](crate::SessionStore::delete).
    Delete,
    /// [`SessionStore::inspect`](crate::SessionStore::inspect).
    Inspect,
    /// [`SessionStore::install`](crate::SessionStore::install).
    Install,
}

impl Operation {
    /// The lower-case name, as in logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Load => "load",
            Self::Save => "save",
            Self::Touch => "touch",
            Self::Delete => "delete",
            Self::Inspect => "inspect",
            Self::Install => "install",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A failure of a store: kind, effect, operation, store, a message, and where it came from.
///
/// The message is lower case, says what was attempted and what to do, and never holds an id, a value or a password.
/// `Display` is one line; the source is reached through [`std::error::Error::source`].
///
/// ```
/// use holdover_api::{Effect, Error, ErrorKind, Operation};
///
/// let error = Error::new(ErrorKind::Unavailable, Operation::Save, "redis", "no answer within 1 s");
/// assert_eq!(error.effect(), Effect::Unknown);
/// assert_eq!(error.to_string(), "redis: save failed: no answer within 1 s (unavailable, effect unknown)");
/// ```
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    effect: Effect,
    operation: Operation,
    store: Cow<'static, str>,
    message: Cow<'static, str>,
    retry_after: Option<Duration>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// A failure whose effect is unknown, which is what it is until the mapping proves otherwise.
    pub fn new(
        kind: ErrorKind,
        operation: Operation,
        store: impl Into<Cow<'static, str>>,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            kind,
            effect: Effect::Unknown,
            operation,
            store: store.into(),
            message: message.into(),
            retry_after: None,
            source: None,
        }
    }

    /// Says that the operation certainly did nothing.
    #[must_use]
    pub fn without_effect(mut self) -> Self {
        self.effect = Effect::None;
        self
    }

    /// Says that the operation may have happened all the same, for instance in an attempt before the one that failed so.
    #[must_use]
    pub fn with_unknown_effect(mut self) -> Self {
        self.effect = Effect::Unknown;
        self
    }

    /// Says when to try again.
    #[must_use]
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }

    /// Keeps the error underneath.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What kind of failure it is.
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether it may have happened all the same.
    pub const fn effect(&self) -> Effect {
        self.effect
    }

    /// What was attempted.
    pub const fn operation(&self) -> Operation {
        self.operation
    }

    /// The store, as it prints itself.
    pub fn store(&self) -> &str {
        &self.store
    }

    /// What happened and what to do.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// When the store suggests to try again.
    pub const fn suggested_delay(&self) -> Option<Duration> {
        self.retry_after
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, effect) = (self.kind.name(), self.effect.name());
        write!(f, "{}: {} failed: {} ({kind}, {effect})", self.store, self.operation, self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}
