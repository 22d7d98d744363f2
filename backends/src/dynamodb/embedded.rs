//! A DynamoDB inside this process: what the SDK would send over the network is handed to dynoxide as it is.
//!
//! No port, no task: an operation runs to its end on the thread that asks. For examples and quick tests.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_sdk_dynamodb::config::SharedHttpClient;
use aws_sdk_dynamodb::config::http::{HttpRequest, HttpResponse};
use aws_sdk_dynamodb::primitives::{DateTime, DateTimeFormat};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use dynoxide::Database;
use dynoxide::errors::DynoxideError;
use holdover_api::{Clock, Error, ErrorKind, Operation};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::NAME;

const TARGET_PREFIX: &str = "DynamoDB_20120810.";

/// How many requests pass before what has expired is removed: nothing runs in the background.
const BETWEEN_SWEEPS: u64 = 4096;

/// A transport to a database of its own, which ends with it.
pub(super) fn transport(clock: &Arc<dyn Clock>) -> Result<SharedHttpClient, Error> {
    let follows = Arc::new(Follows(Arc::clone(clock)));
    let database = Database::memory_with_clock(follows).map_err(|_| {
        let message = "the embedded dynamodb could not be opened";
        Error::new(ErrorKind::Unavailable, Operation::Connect, NAME, message).without_effect()
    })?;
    let inside = Inside { database, clock: Arc::clone(clock), requests: AtomicU64::new(0) };
    let connector = SharedHttpConnector::new(Embedded(Arc::new(inside)));
    Ok(http_client_fn(move |_, _| connector.clone()))
}

/// The database has the store's clock: it is a server whose clock is right.
struct Follows(Arc<dyn Clock>);

impl dynoxide::storage_backend::Clock for Follows {
    fn now_unix_secs(&self) -> u64 {
        self.0.now().as_millis() / 1000
    }

    fn now_unix_secs_f64(&self) -> f64 {
        Duration::from_millis(self.0.now().as_millis()).as_secs_f64()
    }
}

struct Inside {
    database: Database,
    clock: Arc<dyn Clock>,
    requests: AtomicU64,
}

struct Embedded(Arc<Inside>);

impl fmt::Debug for Embedded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Embedded")
    }
}

impl HttpConnector for Embedded {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let inside = Arc::clone(&self.0);
        // Inside the future: a request that is dropped before it is polled does nothing.
        HttpConnectorFuture::new(async move { Ok(inside.answer(&request)) })
    }
}

impl Inside {
    fn answer(&self, request: &HttpRequest) -> HttpResponse {
        if self.requests.fetch_add(1, Ordering::Relaxed) % BETWEEN_SWEEPS == BETWEEN_SWEEPS - 1 {
            // What cannot be swept now is swept the next time, and is never read meanwhile.
            let _ = self.database.sweep_ttl();
        }
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.strip_prefix(TARGET_PREFIX).unwrap_or_default();
        let body = request.body().bytes().and_then(|body| std::str::from_utf8(body).ok()).unwrap_or_default();
        let (status, answer) = match self.run(operation, body) {
            Ok(answer) => (200, answer),
            Err(error) => (error.status_code(), error.to_json()),
        };
        let status = StatusCode::try_from(status).unwrap_or_else(|_| internal());
        let mut response = HttpResponse::new(status, SdkBody::from(answer));
        response.headers_mut().insert("content-type", "application/x-amz-json-1.0");
        let seconds = i64::try_from(self.clock.now().as_millis() / 1000).unwrap_or(i64::MAX);
        if let Ok(date) = DateTime::from_secs(seconds).fmt(DateTimeFormat::HttpDate) {
            response.headers_mut().insert("date", date);
        }
        response
    }

    fn run(&self, operation: &str, body: &str) -> Result<String, DynoxideError> {
        let database = &self.database;
        match operation {
            "GetItem" => with(body, |request| database.get_item(request)),
            "PutItem" => with(body, |request| database.put_item(request)),
            "UpdateItem" => with(body, |request| database.update_item(request)),
            "DeleteItem" => with(body, |request| database.delete_item(request)),
            "Scan" => with(body, |request| database.scan(request)),
            "ListTables" => with(body, |request| database.list_tables(request)),
            "DescribeTable" => with(body, |request| database.describe_table(request)),
            "CreateTable" => with(body, |request| database.create_table(request)),
            "DeleteTable" => with(body, |request| database.delete_table(request)),
            "DescribeTimeToLive" => with(body, |request| database.describe_time_to_live(request)),
            "UpdateTimeToLive" => with(body, |request| database.update_time_to_live(request)),
            _ => Err(failed("the embedded dynamodb is asked only what the store asks")),
        }
    }
}

/// Reads a request, runs it, and writes the answer.
fn with<Q: DeserializeOwned, A: Serialize>(
    body: &str,
    run: impl FnOnce(Q) -> Result<A, DynoxideError>,
) -> Result<String, DynoxideError> {
    let request = serde_json::from_str(body).map_err(|_| failed("the request could not be read"))?;
    serde_json::to_string(&run(request)?).map_err(|_| failed("the answer could not be written"))
}

fn failed(message: &str) -> DynoxideError {
    DynoxideError::InternalServerError(message.to_owned())
}

fn internal() -> StatusCode {
    StatusCode::try_from(500).expect("500 is a status")
}
