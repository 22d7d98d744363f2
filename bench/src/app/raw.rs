//! No library at all: the handler sends GET and SET EX itself. What the others are compared with.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{AppendHeaders, IntoResponse};
use axum::routing::{get, post};
use redis::AsyncCommands;
use redis::aio::ConnectionManager;
use serde_json::{Map, Value};

use crate::Failure;
use crate::shape::{Attributes, LIFETIME_SECONDS, RaceResult, race_attribute};

/// One multiplexed connection that reconnects, as the redis crate sets it up by default.
#[derive(Clone)]
pub(super) struct Raw(ConnectionManager);

impl Raw {
    pub(super) async fn connect(url: &str) -> Result<Self, Failure> {
        Ok(Self(ConnectionManager::new(redis::Client::open(url)?).await?))
    }

    /// GET.
    pub(super) async fn load<A: Attributes>(&self, key: &str) -> Result<A, RawError> {
        let stored: Vec<u8> = self.0.clone().get(key).await?;
        Ok(serde_json::from_slice(&stored)?)
    }

    /// GETEX: reads and extends in one command.
    pub(super) async fn load_and_extend<A: Attributes>(&self, key: &str) -> Result<A, RawError> {
        let lifetime = redis::Expiry::EX(LIFETIME_SECONDS.into());
        let stored: Vec<u8> = self.0.clone().get_ex(key, lifetime).await?;
        Ok(serde_json::from_slice(&stored)?)
    }

    /// SET EX.
    pub(super) async fn save<A: Attributes>(&self, key: &str, attributes: &A) -> Result<(), RawError> {
        let stored = serde_json::to_vec(attributes)?;
        let _: () = self.0.clone().set_ex(key, stored, LIFETIME_SECONDS.into()).await?;
        Ok(())
    }

    /// Begins a session; answers its cookie. The ids are counted: this is a measurement, not an example.
    pub(super) async fn begin<A: Attributes>(&self) -> Result<String, RawError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let id = format!("{:032x}", NEXT.fetch_add(1, Ordering::Relaxed));
        self.save(&format!("session:{id}"), &A::fresh()).await?;
        Ok(format!("id={id}; Path=/; HttpOnly; Secure; SameSite=Lax"))
    }
}

/// The key of the session that a Cookie header names.
pub(super) fn key_in(header: Option<&[u8]>) -> Result<String, RawError> {
    let header = header.and_then(|value| std::str::from_utf8(value).ok()).ok_or(RawError)?;
    let id = header.split("; ").find_map(|pair| pair.strip_prefix("id=")).ok_or(RawError)?;
    Ok(format!("session:{id}"))
}

/// Whatever it was: no request of a measurement may fail.
#[derive(Debug)]
pub(super) struct RawError;

impl From<redis::RedisError> for RawError {
    fn from(_: redis::RedisError) -> Self {
        Self
    }
}

impl From<serde_json::Error> for RawError {
    fn from(_: serde_json::Error) -> Self {
        Self
    }
}

impl IntoResponse for RawError {
    fn into_response(self) -> axum::response::Response {
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    }
}

fn key(headers: &HeaderMap) -> Result<String, RawError> {
    key_in(headers.get(COOKIE).map(HeaderValue::as_bytes))
}

pub(super) async fn router<A: Attributes + 'static>(redis: &str) -> Result<Router, Failure> {
    let raw = Raw::connect(redis).await?;
    let router = Router::new()
        .route("/seed", post(seed::<A>))
        .route("/untouched", get(|| async { "0" }))
        .route("/read", get(read::<A>))
        .route("/rolling", get(read_and_extend::<A>))
        .route("/modify", post(modify::<A>))
        .route("/race/set/{number}/{hold}", post(race_set))
        .route("/race/count/{hold}", post(race_count))
        .route("/race/result/{attributes}", get(race_result));
    Ok(router.with_state(raw))
}

async fn seed<A: Attributes>(State(raw): State<Raw>) -> Result<impl IntoResponse, RawError> {
    Ok(AppendHeaders([(SET_COOKIE, raw.begin::<A>().await?)]))
}

async fn read<A: Attributes>(State(raw): State<Raw>, headers: HeaderMap) -> Result<String, RawError> {
    let attributes: A = raw.load(&key(&headers)?).await?;
    Ok(attributes.counter().to_string())
}

async fn read_and_extend<A: Attributes>(
    State(raw): State<Raw>,
    headers: HeaderMap,
) -> Result<String, RawError> {
    let attributes: A = raw.load_and_extend(&key(&headers)?).await?;
    Ok(attributes.counter().to_string())
}

async fn modify<A: Attributes>(State(raw): State<Raw>, headers: HeaderMap) -> Result<String, RawError> {
    let key = key(&headers)?;
    let mut attributes: A = raw.load(&key).await?;
    let counter = attributes.counter() + 1;
    attributes.set_counter(counter);
    raw.save(&key, &attributes).await?;
    Ok(counter.to_string())
}

type AnyAttributes = Map<String, Value>;

async fn race_set(
    State(raw): State<Raw>,
    Path((number, hold)): Path<(usize, u64)>,
    headers: HeaderMap,
) -> Result<(), RawError> {
    let key = key(&headers)?;
    let mut attributes: AnyAttributes = raw.load(&key).await?;
    super::hold(hold).await;
    attributes.insert(race_attribute(number), number.into());
    raw.save(&key, &attributes).await
}

async fn race_count(
    State(raw): State<Raw>,
    Path(hold): Path<u64>,
    headers: HeaderMap,
) -> Result<(), RawError> {
    let key = key(&headers)?;
    let mut attributes: AnyAttributes = raw.load(&key).await?;
    super::hold(hold).await;
    let counter = attributes.counter() + 1;
    attributes.set_counter(counter);
    raw.save(&key, &attributes).await
}

async fn race_result(
    State(raw): State<Raw>,
    Path(number): Path<usize>,
    headers: HeaderMap,
) -> Result<String, RawError> {
    let attributes: AnyAttributes = raw.load(&key(&headers)?).await?;
    let present = (0..number).filter(|number| attributes.contains_key(&race_attribute(*number))).count();
    Ok(serde_json::to_string(&RaceResult { attributes: present, counter: attributes.counter() })?)
}
