//! Tells what happens to whoever listens.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use holdover_api::{
    Capabilities, Error, Freshness, InstallAnswer, Loaded, Operation, SaveAnswer, SessionKey, SessionStore,
    Standing, Stored, Timestamp, Write,
};
use serde::{Deserialize, Serialize};
use tracing::field::Empty;
use tracing::{Instrument, debug_span, warn};

use crate::layer::Layer;
use crate::metrics::outcome::Outcome;

/// A `tracing` span for each operation, and an event for each failure: `trace(redis)`.
///
/// The span `session_store` (level debug) has the fields `operation`, `store`, `key` (eight hexadecimal digits of the
/// key, which is a hash: enough to follow one session, never the id) and, once there is one, `outcome`: the words of
/// [`names`](crate::names). A failure is an event of level warn within that span.
///
/// ```
/// use std::sync::Arc;
/// use holdover_api::{Memory, SessionStore};
/// use holdover_layers::{Layer, Trace};
///
/// let store = Trace {}.layer(Arc::new(Memory::new()));
/// assert_eq!(store.to_string(), "trace(memory)");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Trace {}

impl Layer for Trace {
    fn layer(&self, inner: Arc<dyn SessionStore>) -> Arc<dyn SessionStore> {
        let name = inner.to_string();
        Arc::new(Traced { inner, name })
    }
}

#[derive(Debug)]
struct Traced {
    inner: Arc<dyn SessionStore>,
    /// The inner store's, printed once.
    name: String,
}

impl Traced {
    async fn run<T: Outcome>(
        &self,
        operation: Operation,
        key: &SessionKey,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let key = Digits(key);
        let span = debug_span!("session_store", operation = operation.name(), store = self.name, %key, outcome = Empty);
        // Not the current span: where nobody listens to this one, that is a stranger's.
        let own = span.clone();
        let told = async move {
            let answer = work.await;
            own.record("outcome", answer.outcome());
            if let Err(error) = &answer {
                warn!(
                    operation = operation.name(),
                    store = self.name,
                    %key,
                    effect = error.effect().name(),
                    error = %error,
                    "an operation on a session failed"
                );
            }
            answer
        };
        told.instrument(span).await
    }
}

/// The first eight hexadecimal digits of a key.
struct Digits<'a>(&'a SessionKey);

impl fmt::Display for Digits<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_bytes()[..4].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Display for Traced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "trace({})", self.inner)
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl SessionStore for Traced {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn load(&self, key: &SessionKey, freshness: Freshness) -> Result<Option<Loaded>, Error> {
        self.run(Operation::Load, key, self.inner.load(key, freshness)).await
    }

    async fn save(&self, key: &SessionKey, write: &Write) -> Result<SaveAnswer, Error> {
        self.run(Operation::Save, key, self.inner.save(key, write)).await
    }

    async fn touch(&self, key: &SessionKey, deadline: Timestamp) -> Result<bool, Error> {
        self.run(Operation::Touch, key, self.inner.touch(key, deadline)).await
    }

    async fn delete(&self, key: &SessionKey) -> Result<(), Error> {
        self.run(Operation::Delete, key, self.inner.delete(key)).await
    }

    async fn inspect(&self, key: &SessionKey) -> Result<Option<Stored>, Error> {
        self.run(Operation::Inspect, key, self.inner.inspect(key)).await
    }

    async fn install(
        &self,
        key: &SessionKey,
        over: Option<Standing>,
        new: &Stored,
    ) -> Result<InstallAnswer, Error> {
        self.run(Operation::Install, key, self.inner.install(key, over, new)).await
    }
}
