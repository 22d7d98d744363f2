//! Counts and durations of store operations.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use axum::Extension;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use holdover::api::{
    Capabilities, Freshness, InstallAnswer, Loaded, Operation, SaveAnswer, SessionKey, Standing, Stored,
    Write,
};
use holdover::{Error, SessionStore, Timestamp};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Counted {
    store: String,
    operation: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Timed {
    store: String,
    operation: &'static str,
}

/// What a node has asked of its store.
#[derive(Debug)]
pub(super) struct Metrics {
    registry: Registry,
    operations: Family<Counted, Counter>,
    durations: Family<Timed, Histogram, fn() -> Histogram>,
}

impl Metrics {
    pub(super) fn new() -> Self {
        let operations = Family::default();
        let durations = Family::new_with_constructor(buckets as fn() -> Histogram);
        let mut registry = Registry::default();
        // The encoder adds `_total` to the name of a counter.
        registry.register("holdover_store_operations", "Operations on the session store", operations.clone());
        registry.register(
            "holdover_store_operation_duration_seconds",
            "How long operations on the session store took",
            durations.clone(),
        );
        Self { registry, operations, durations }
    }
}

/// From 0.1 ms to 1.6 s; a call is given up after 1 s.
fn buckets() -> Histogram {
    Histogram::new(exponential_buckets(0.000_1, 2.0, 15))
}

/// `GET /metrics`: OpenMetrics for those who ask for it, as Prometheus does, else the same as plain text.
pub(super) async fn show(Extension(metrics): Extension<Arc<Metrics>>, headers: HeaderMap) -> Response {
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let wants_open_metrics = accepted.contains("application/openmetrics-text");
    let mut text = String::new();
    let mut encoded = encode_registry(&mut text, &metrics.registry);
    if wants_open_metrics {
        encoded = encoded.and_then(|()| encode_eof(&mut text));
    }
    if encoded.is_err() {
        return (StatusCode::INTERNAL_SERVER_ERROR, "the metrics could not be written").into_response();
    }
    let content_type = if wants_open_metrics { OPEN_METRICS } else { PROMETHEUS_TEXT };
    ([(header::CONTENT_TYPE, content_type)], text).into_response()
}

/// A store whose operations are counted and timed.
#[derive(Debug)]
pub(super) struct Measured {
    store: Arc<dyn SessionStore>,
    metrics: Arc<Metrics>,
}

impl Measured {
    pub(super) fn new(store: Arc<dyn SessionStore>, metrics: Arc<Metrics>) -> Self {
        Self { store, metrics }
    }

    #[allow(clippy::disallowed_methods, reason = "a duration is measured, and decides nothing")]
    fn begin(&self, operation: Operation) -> Running<'_> {
        Running { measured: self, operation, outcome: "abandoned", started: Instant::now() }
    }
}

/// One operation under way. It is counted when it is dropped, so that those are, too, that were given up.
struct Running<'m> {
    measured: &'m Measured,
    operation: Operation,
    outcome: &'static str,
    started: Instant,
}

impl Running<'_> {
    fn end<T>(
        mut self,
        answer: Result<T, Error>,
        outcome: impl FnOnce(&T) -> &'static str,
    ) -> Result<T, Error> {
        self.outcome = answer.as_ref().map_or("error", outcome);
        answer
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let store = self.measured.store.to_string();
        let operation = self.operation.name();
        let metrics = &self.measured.metrics;
        let timed = Timed { store: store.clone(), operation };
        metrics.durations.get_or_create(&timed).observe(self.started.elapsed().as_secs_f64());
        let counted = Counted { store, operation, outcome: self.outcome };
        metrics.operations.get_or_create(&counted).inc();
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "metrics({})", self.store)
    }
}

fn hit_or_miss<T>(found: &Option<T>) -> &'static str {
    if found.is_some() { "hit" } else { "miss" }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl SessionStore for Measured {
    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }

    async fn load(&self, key: &SessionKey, freshness: Freshness) -> Result<Option<Loaded>, Error> {
        let running = self.begin(Operation::Load);
        running.end(self.store.load(key, freshness).await, hit_or_miss)
    }

    async fn save(&self, key: &SessionKey, write: &Write) -> Result<SaveAnswer, Error> {
        let running = self.begin(Operation::Save);
        running.end(self.store.save(key, write).await, |answer| match answer {
            SaveAnswer::Saved { .. } => "saved",
            SaveAnswer::Conflict { .. } => "conflict",
            SaveAnswer::Gone => "gone",
        })
    }

    async fn touch(&self, key: &SessionKey, deadline: Timestamp) -> Result<bool, Error> {
        let running = self.begin(Operation::Touch);
        running.end(self.store.touch(key, deadline).await, |live| if *live { "touched" } else { "gone" })
    }

    async fn delete(&self, key: &SessionKey) -> Result<(), Error> {
        let running = self.begin(Operation::Delete);
        running.end(self.store.delete(key).await, |()| "deleted")
    }

    async fn inspect(&self, key: &SessionKey) -> Result<Option<Stored>, Error> {
        let running = self.begin(Operation::Inspect);
        running.end(self.store.inspect(key).await, hit_or_miss)
    }

    async fn install(
        &self,
        key: &SessionKey,
        over: Option<Standing>,
        new: &Stored,
    ) -> Result<InstallAnswer, Error> {
        let running = self.begin(Operation::Install);
        running.end(self.store.install(key, over, new).await, |answer| match answer {
            InstallAnswer::Installed => "installed",
            InstallAnswer::Refused { .. } => "refused",
        })
    }
}
