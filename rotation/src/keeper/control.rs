//! What a keeper asks of the store that has the tables.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use holdover_api::{ErrorKind, Timestamp};

use crate::schedule::TableState;

/// The store's operations on whole tables. Backends implement it over their client.
///
/// Every one of them may be repeated, and several nodes call them at once: what is there already, or gone already, is an
/// answer and no failure.
#[async_trait]
pub trait ControlPlane: fmt::Debug + Send + Sync + 'static {
    /// One page of the names of all tables, ours or not, after the name at which the last page ended.
    async fn list(&self, after: Option<&str>) -> Result<Page, ControlError>;

    /// A table's state; nothing if there is no such table.
    async fn describe(&self, name: &str) -> Result<Option<Description>, ControlError>;

    /// Asks for a table, and does not wait until it is ready.
    async fn create(&self, name: &str) -> Result<Created, ControlError>;

    /// Asks for the end of a table, and does not wait for it.
    async fn drop_table(&self, name: &str) -> Result<Dropped, ControlError>;

    /// What time it is by the server's clock, as an answer to a call that is made now; nothing if the server does not tell.
    async fn time(&self) -> Result<Option<ServerTime>, ControlError>;
}

/// Some of the tables' names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The names.
    pub names: Vec<String>,
    /// Where the next page begins, if there is one.
    pub next: Option<String>,
}

/// What the store says of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Description {
    /// What it can be used for.
    pub state: TableState,
    /// When it was asked for, by the server's clock.
    pub created: Timestamp,
}

/// How a request for a table ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// It is being created.
    Begun,
    /// It was there: another node was faster.
    WasThere,
}

/// How a request for a table's end ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// It is being dropped.
    Begun,
    /// It was gone, or going: another node was faster.
    WasGone,
    /// It cannot be dropped now, since it is being created or changed.
    Busy,
}

/// A server's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerTime {
    /// What it shows, cut down to a multiple of the resolution.
    pub at: Timestamp,
    /// How exactly it is told: one second for the header `Date`.
    pub resolution: Duration,
}

/// Why an operation on tables failed.
///
/// ```
/// use holdover_api::ErrorKind;
/// use holdover_rotation::ControlError;
///
/// let error = ControlError::new(ErrorKind::Denied, "the role may not list tables");
/// assert_eq!(error.to_string(), "the role may not list tables (denied)");
/// ```
#[derive(Debug)]
pub struct ControlError {
    kind: ErrorKind,
    message: Cow<'static, str>,
    retry_after: Option<Duration>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl ControlError {
    /// A failure of this kind. The message is lower case, and holds no name, address or secret.
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, message: message.into(), retry_after: None, source: None }
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

    /// What happened and what to do.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// When the store suggests to try again.
    pub const fn suggested_delay(&self) -> Option<Duration> {
        self.retry_after
    }
}

impl fmt::Display for ControlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.kind.name())
    }
}

impl StdError for ControlError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}
