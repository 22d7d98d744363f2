//! Counts and measures operations.

pub mod names;
pub(crate) mod outcome;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use holdover_api::{
    Capabilities, Delta, Error, Freshness, InstallAnswer, Loaded, Operation, SaveAnswer, SessionKey,
    SessionStore, Standing, Stopwatch, Stored, Timestamp, Write, frame,
};
use metrics::{SharedString, counter, histogram};
use serde::{Deserialize, Serialize};

use self::outcome::{DROPPED, Outcome};
use crate::layer::Layer;

/// Counts and measures operations through the `metrics` facade: `metrics(redis)`.
///
/// Install a recorder of your choice, such as a Prometheus exporter. The metrics are listed in [`names`]: operations by
/// outcome, how long they took, bytes, conflicts, and prevented resurrections.
///
/// ```
/// use std::sync::Arc;
/// use holdover_api::{Memory, SessionStore};
/// use holdover_layers::{Layer, Metrics};
///
/// let metrics = Metrics { store: Some("sessions".to_owned()) };
/// let store = metrics.layer(Arc::new(Memory::new()));
/// assert_eq!(store.to_string(), "metrics(memory)");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Metrics {
    /// The label `store`. By default the inner store as it prints itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,
}

impl Layer for Metrics {
    fn layer(&self, inner: Arc<dyn SessionStore>) -> Arc<dyn SessionStore> {
        let label = self.store.clone().unwrap_or_else(|| inner.to_string());
        Arc::new(Measured { inner, label: SharedString::from(Arc::<str>::from(label)) })
    }
}

#[derive(Debug)]
struct Measured {
    inner: Arc<dyn SessionStore>,
    label: SharedString,
}

impl Measured {
    async fn run<T: Outcome>(
        &self,
        operation: Operation,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let mut running = Running { store: self, operation, begun: Stopwatch::start(), outcome: DROPPED };
        let answer = work.await;
        running.outcome = answer.outcome();
        drop(running);
        if let Some(bytes) = answer.bytes() {
            self.measure_bytes(operation, bytes);
        }
        match answer.outcome() {
            "conflict" => self.count(names::CONFLICTS, operation),
            // A save or a touch: of these words they alone have this one. A create is told so by a tombstone only.
            "gone" => self.count(names::PREVENTED_RESURRECTIONS, operation),
            _ => {}
        }
        answer
    }

    fn count(&self, name: &'static str, operation: Operation) {
        counter!(name, "store" => self.label.clone(), "operation" => operation.name()).increment(1);
    }

    fn measure_bytes(&self, operation: Operation, bytes: usize) {
        // Exact up to 4 GiB: beyond what any store holds.
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        histogram!(names::OPERATION_BYTES, "store" => self.label.clone(), "operation" => operation.name())
            .record(bytes);
    }
}

/// An operation that has begun. It is counted however it ends, also if its caller drops it: otherwise an outage, in
/// which callers give up waiting, would look like silence.
struct Running<'a> {
    store: &'a Measured,
    operation: Operation,
    begun: Stopwatch,
    outcome: &'static str,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let label = || self.store.label.clone();
        let operation = self.operation.name();
        counter!(names::OPERATIONS, "store" => label(), "operation" => operation, "outcome" => self.outcome)
            .increment(1);
        histogram!(names::OPERATION_SECONDS, "store" => label(), "operation" => operation)
            .record(self.begun.elapsed());
    }
}

/// How many bytes a change has, as they count towards a record's size.
fn size_of(delta: &Delta) -> usize {
    let set: usize =
        delta.sets().iter().map(|(name, value)| frame::attribute_size(name.len(), value.len())).sum();
    set + delta.removes().iter().map(String::len).sum::<usize>()
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "metrics({})", self.inner)
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl SessionStore for Measured {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn load(&self, key: &SessionKey, freshness: Freshness) -> Result<Option<Loaded>, Error> {
        self.run(Operation::Load, self.inner.load(key, freshness)).await
    }

    async fn save(&self, key: &SessionKey, write: &Write) -> Result<SaveAnswer, Error> {
        self.measure_bytes(Operation::Save, size_of(&write.delta));
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
