//! Ends every operation in time.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use holdover_api::{
    Capabilities, Error, ErrorKind, Freshness, InstallAnswer, Loaded, Operation, SaveAnswer, SessionKey,
    SessionStore, Standing, Stored, Timestamp, Write, within,
};
use serde::{Deserialize, Serialize};

use crate::duration;
use crate::layer::Layer;

/// Gives each operation a limited time: `timeout(redis)`.
///
/// An operation that takes longer is dropped and answers [`ErrorKind::Unavailable`]. Whether it has happened is then
/// unknown, save for reads, which have no effect.
///
/// ```
/// use std::time::Duration;
/// use holdover_layers::Timeout;
///
/// let timeout: Timeout = serde_json::from_str(r#"{"limit": "250ms"}"#)?;
/// assert_eq!(timeout, Timeout { limit: Duration::from_millis(250) });
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timeout {
    /// The longest that one operation may take. By default 400 ms: two whole attempts and the pause between them fit
    /// into the deadline of [`Retry`](crate::Retry).
    #[serde(with = "duration::positive")]
    pub limit: Duration,
}

impl Default for Timeout {
    fn default() -> Self {
        Self { limit: Duration::from_millis(400) }
    }
}

impl Layer for Timeout {
    fn layer(&self, inner: Arc<dyn SessionStore>) -> Arc<dyn SessionStore> {
        Arc::new(Timed { inner, limit: self.limit })
    }
}

#[derive(Debug)]
struct Timed {
    inner: Arc<dyn SessionStore>,
    limit: Duration,
}

impl Timed {
    async fn run<T>(
        &self,
        operation: Operation,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let answer = within(self.limit, work).await;
        answer.unwrap_or_else(|| Err(too_late(operation, self.to_string(), self.limit)))
    }
}

/// The error of an operation that was dropped after `limit`.
pub(crate) fn too_late(operation: Operation, store: String, limit: Duration) -> Error {
    let message = format!("no answer within {}", duration::text(limit));
    let error = Error::new(ErrorKind::Unavailable, operation, store, message);
    if matches!(operation, Operation::Load | Operation::Inspect) { error.without_effect() } else { error }
}

impl fmt::Display for Timed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "timeout({})", self.inner)
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl SessionStore for Timed {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn load(&self, key: &SessionKey, freshness: Freshness) -> Result<Option<Loaded>, Error> {
        self.run(Operation::Load, self.inner.load(key, freshness)).await
    }

    async fn save(&self, key: &SessionKey, write: &Write) -> Result<SaveAnswer, Error> {
        self.run(Operation::Save, self.inner.save(key, write)).await
    }

    async fn touch(&self, key: &SessionKey, deadline: Timestamp) -> Result<bool, Error> {
        self.run(Operation::Touch, self.inner.touch(key, deadline)).await
    }

    async fn delete(&self, key: &SessionKey) -> Result<(), Error> {
        self.run(Operation::Delete, self.inner.delete(key)).await
    }

    async fn inspect(&self, key: &SessionKey) -> Result<Option<Stored>, Error> {
        self.run(Operation::Inspect, self.inner.inspect(key)).await
    }

    async fn install(
        &self,
        key: &SessionKey,
        over: Option<Standing>,
        new: &Stored,
    ) -> Result<InstallAnswer, Error> {
        self.run(Operation::Install, self.inner.install(key, over, new)).await
    }
}
