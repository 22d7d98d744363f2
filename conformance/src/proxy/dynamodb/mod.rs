//! A fault proxy that knows DynamoDB's protocol: what the emulators do not do by themselves.
//!
//! None of them throttles, lags, or fails to create a table. It stands in front of one, in this process, and tells the
//! operations apart by their header. It signs nothing anew: in front of a server that checks signatures only the faults
//! that leave requests as they are can be used, which is all but [`lag`](DynamodbFaults::lag).

mod bucket;
mod date;
mod lag;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use holdover_api::{Clock, pause};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::rotation::{Call, Gates};
use bucket::Bucket;
use date::Told;
use lag::Lag;

const TARGET: &str = "x-amz-target";
const JSON: &str = "application/x-amz-json-1.0";

/// What happens to a request. Where nothing happens to it, it passes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It never reaches the server, and is answered with this error of DynamoDB's, such as `ThrottlingException`, and
    /// this status.
    Refuse(u16, &'static str),
    /// The server does it, and the answer is this error all the same: 500, `InternalServerError`.
    FailAfterwards,
    /// The server does it, and the connection ends without an answer.
    LoseAnswer,
    /// It is passed on so much later.
    Delay(Duration),
}

/// How often each operation has been seen and how often a fault struck it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Requests that came.
    pub requests: usize,
    /// Requests that a fault of [`strike`](DynamodbFaults::strike) struck.
    pub struck: usize,
    /// Requests that were refused because the bucket was empty.
    pub throttled: usize,
    /// Eventually consistent reads that were answered with what was there before.
    pub stale: usize,
}

/// A DynamoDB that misbehaves: give its address to the store as `endpoint=`.
///
/// ```no_run
/// # async fn example(emulator: std::net::SocketAddr) -> std::io::Result<()> {
/// use holdover_conformance::proxy::{DynamodbFaults, Fault};
///
/// let faults = DynamodbFaults::start(emulator).await?;
/// faults.strike("CreateTable", Fault::Refuse(400, "LimitExceededException"), 3);
/// faults.strike("UpdateItem", Fault::LoseAnswer, 1);
/// println!("endpoint=http://{}", faults.address());
/// # Ok(())
/// # }
/// ```
pub struct DynamodbFaults {
    address: SocketAddr,
    state: Arc<State>,
    serving: JoinHandle<()>,
}

struct State {
    upstream: SocketAddr,
    /// Faults that wait for a request of an operation.
    waiting: Mutex<Vec<Waiting>>,
    bucket: Mutex<Option<Bucket>>,
    lag: Mutex<Option<Lag>>,
    told: Mutex<Option<Told>>,
    seen: Mutex<BTreeMap<String, Seen>>,
    gates: Arc<Gates>,
}

struct Waiting {
    operation: &'static str,
    /// The only table at which it strikes, if it is one.
    table: Option<String>,
    fault: Fault,
    times: usize,
}

impl DynamodbFaults {
    /// Begins to listen on a port of 127.0.0.1. Dropping it ends it and every connection through it.
    ///
    /// # Errors
    ///
    /// No port can be had.
    pub async fn start(upstream: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(State {
            upstream,
            waiting: Mutex::default(),
            bucket: Mutex::default(),
            lag: Mutex::default(),
            told: Mutex::default(),
            seen: Mutex::default(),
            gates: Arc::default(),
        });
        let serving = tokio::spawn(serve(listener, Arc::clone(&state)));
        Ok(Self { address, state, serving })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next `times` requests of this operation (`UpdateItem`, or `*` for any) meet this fault. What was asked for
    /// earlier comes first.
    pub fn strike(&self, operation: &'static str, fault: Fault, times: usize) {
        lock(&self.state.waiting).push(Waiting { operation, table: None, fault, times });
    }

    /// The same, of requests about this table.
    pub fn strike_at(&self, table: &str, operation: &'static str, fault: Fault, times: usize) {
        lock(&self.state.waiting).push(Waiting { operation, table: Some(table.to_owned()), fault, times });
    }

    /// From now on at most so many capacity units a second are given, and `burst` at once; what comes while there are
    /// none is refused with `ProvisionedThroughputExceededException`. Units are taken as the answers tell them, so that
    /// requests have to ask for `ReturnConsumedCapacity`. `None` lifts the limit.
    pub fn throttle(&self, limit: Option<(f64, f64)>) {
        *lock(&self.state.bucket) = limit.map(|(units, burst)| Bucket::new(units, burst));
    }

    /// From now on an eventually consistent `GetItem` is answered, for so long after a write of that item, with what
    /// was there before. `key` is the name of the tables' key attribute. `None` ends it.
    pub fn lag(&self, lag: Option<(Duration, &'static str)>) {
        *lock(&self.state.lag) = lag.map(|(length, key)| Lag::new(length, key));
    }

    /// From now on it is what this clock shows: every answer says so in the header `Date`, and tables that are created
    /// have been created then. `None` leaves it to the server.
    pub fn tell_time(&self, clock: Option<Arc<dyn Clock>>) {
        *lock(&self.state.told) = clock.map(Told::by);
    }

    /// From now on a table is ready so long after it was created, by the clock of [`tell_time`](Self::tell_time): until
    /// then it is described as being created, and knows of no item. Whether there is such a clock.
    pub fn tables_take(&self, length: Duration) -> bool {
        lock(&self.state.told).as_mut().map(|told| told.tables_take(length)).is_some()
    }

    /// The gates that requests come by, before whatever else befalls them.
    pub fn gates(&self) -> Arc<Gates> {
        Arc::clone(&self.state.gates)
    }

    /// Every fault that still waits is forgotten, and limits are lifted.
    pub fn heal(&self) {
        lock(&self.state.waiting).clear();
        self.throttle(None);
        self.lag(None);
    }

    /// What has been seen of an operation.
    pub fn seen(&self, operation: &str) -> Seen {
        lock(&self.state.seen).get(operation).copied().unwrap_or_default()
    }
}

impl Drop for DynamodbFaults {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl fmt::Debug for DynamodbFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynamodbFaults").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Only whole values are put in, so that a panic elsewhere leaves nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        connections.spawn(async move {
            let service = service_fn(move |request| dated(Arc::clone(&state), request));
            let io = TokioIo::new(stream);
            // A connection that broke is the client's to notice.
            let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, service).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

/// A request as it came, whole.
#[derive(Clone)]
struct Asked {
    operation: String,
    head: hyper::http::request::Parts,
    body: Bytes,
}

impl Asked {
    /// The table that it is about; nothing if it is about no table alone.
    fn table(&self) -> String {
        let body = parsed(&self.body);
        let table = body.as_ref().and_then(|body| body.get("TableName")?.as_str());
        table.unwrap_or_default().to_owned()
    }
}

fn call_of(operation: &str) -> Option<Call> {
    Some(match operation {
        "GetItem" => Call::Read,
        "PutItem" => Call::Put,
        "UpdateItem" => Call::Change,
        "ListTables" => Call::List,
        "CreateTable" => Call::Create,
        "DeleteTable" => Call::Drop,
        _ => return None,
    })
}

/// Why a connection ends without an answer.
#[derive(Debug)]
struct Cut;

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection is cut")
    }
}

impl std::error::Error for Cut {}

/// The answer, with the time that is to be told.
async fn dated(state: Arc<State>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Cut> {
    let mut response = answer(Arc::clone(&state), request).await?;
    let date = lock(&state.told).as_ref().map(Told::date);
    if let Some(date) = date.and_then(|date| hyper::header::HeaderValue::from_str(&date).ok()) {
        response.headers_mut().insert(hyper::header::DATE, date);
    }
    Ok(response)
}

async fn answer(state: Arc<State>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Cut> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Cut)?.to_bytes();
    let target = head.headers.get(TARGET).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
    let asked = Asked { operation, head, body };
    state.note(&asked.operation, |seen| seen.requests += 1);
    let table = asked.table();
    if let Some(call) = call_of(&asked.operation) {
        state.gates.pass(call, &table).await;
    }
    if let Some(code) = lock(&state.told).as_ref().and_then(|told| told.refuses(&asked.operation, &table)) {
        return Ok(refusal(400, code));
    }
    if state.is_exhausted() {
        state.note(&asked.operation, |seen| seen.throttled += 1);
        return Ok(refusal(400, "ProvisionedThroughputExceededException"));
    }
    let fault = state.fault_of(&asked.operation, &table);
    if fault.is_some() {
        state.note(&asked.operation, |seen| seen.struck += 1);
    }
    match fault {
        Some(Fault::Refuse(status, code)) => return Ok(refusal(status, code)),
        Some(Fault::Delay(length)) => pause(length).await,
        Some(Fault::FailAfterwards | Fault::LoseAnswer) | None => {}
    }
    if let Some(stale) = state.stale_answer(&asked).await? {
        state.note(&asked.operation, |seen| seen.stale += 1);
        return Ok(stale);
    }
    let done = state.pass_on(&asked).await?;
    match fault {
        Some(Fault::FailAfterwards) => Ok(refusal(500, "InternalServerError")),
        Some(Fault::LoseAnswer) => Err(Cut),
        _ => Ok(done),
    }
}

impl State {
    fn note(&self, operation: &str, change: impl FnOnce(&mut Seen)) {
        change(lock(&self.seen).entry(operation.to_owned()).or_default());
    }

    fn fault_of(&self, operation: &str, table: &str) -> Option<Fault> {
        let mut waiting = lock(&self.waiting);
        let at = waiting.iter().position(|waiting| {
            let is_there = waiting.table.as_deref().is_none_or(|there| there == table);
            is_there && (waiting.operation == "*" || waiting.operation == operation)
        })?;
        let fault = waiting[at].fault.clone();
        waiting[at].times = waiting[at].times.saturating_sub(1);
        if waiting[at].times == 0 {
            waiting.remove(at);
        }
        Some(fault)
    }

    fn is_exhausted(&self) -> bool {
        lock(&self.bucket).as_mut().is_some_and(Bucket::is_empty)
    }

    /// Asks the server, and takes from the bucket what it says that it has consumed.
    async fn pass_on(&self, asked: &Asked) -> Result<Response<Full<Bytes>>, Cut> {
        let answer = send(self.upstream, asked).await.ok_or(Cut)?;
        let (mut head, mut body) = answer.into_parts();
        if let Some(told) = lock(&self.told).as_mut()
            && let Some(changed) = told.table(&asked.operation, &asked.body, &body)
        {
            head.headers.remove(hyper::header::CONTENT_LENGTH);
            head.headers.remove("x-amz-crc32");
            body = changed;
        }
        if let Some(bucket) = lock(&self.bucket).as_mut() {
            bucket.take(&body);
        }
        Ok(Response::from_parts(head, Full::new(body)))
    }

    /// The answer of a replica that is behind, if this is a read that may get one. A write is remembered first.
    async fn stale_answer(&self, asked: &Asked) -> Result<Option<Response<Full<Bytes>>>, Cut> {
        let Some(look) = lock(&self.lag).as_mut().and_then(|lag| lag.look_before(asked)) else {
            return Ok(lock(&self.lag).as_mut().and_then(|lag| lag.stale(asked)).map(ok));
        };
        let before = send(self.upstream, &look.request).await.ok_or(Cut)?.into_body();
        if let Some(lag) = lock(&self.lag).as_mut() {
            lag.remember(look.item, before);
        }
        Ok(None)
    }
}

/// One exchange on a connection of its own.
async fn send(server: SocketAddr, asked: &Asked) -> Option<Response<Bytes>> {
    let stream = TcpStream::connect(server).await.ok()?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
    let driving = tokio::spawn(connection);
    let request = Request::from_parts(asked.head.clone(), Full::new(asked.body.clone()));
    let answer = sender.send_request(request).await.ok()?;
    let (head, body) = answer.into_parts();
    let body = body.collect().await.ok()?.to_bytes();
    driving.abort();
    Some(Response::from_parts(head, body))
}

fn ok(body: Bytes) -> Response<Full<Bytes>> {
    respond(StatusCode::OK, body)
}

fn refusal(status: u16, code: &str) -> Response<Full<Bytes>> {
    let body = json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": "a fault of the test" });
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    respond(status, Bytes::from(body.to_string()))
}

fn respond(status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let json = hyper::header::HeaderValue::from_static(JSON);
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, json);
    response
}

fn parsed(body: &[u8]) -> Option<Value> {
    serde_json::from_slice(body).ok()
}
