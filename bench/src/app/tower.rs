//! tower-sessions over tower-sessions-redis-store, set up as the store's README does it.

use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::{get, post};
use serde_json::Value;
use tower_sessions::{Expiry, Session, SessionManagerLayer};
use tower_sessions_redis_store::RedisStore;
use tower_sessions_redis_store::fred::prelude::{ClientLike, Config, Pool, ReconnectPolicy};

use crate::Failure;
use crate::shape::{COUNTER, LIFETIME_SECONDS, RaceResult, TEXTS, race_attribute, text};

/// How many connections the README's pool has.
pub(super) const DOCUMENTED_POOL: usize = 6;

/// When sessions are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Save {
    /// By default.
    OnChange,
    /// Rolling expiry, as its documentation says it is done.
    Always,
}

pub(super) async fn router(redis: &str, save: Save, connections: usize) -> Result<Router, Failure> {
    // The README gives no policy of reconnecting; nobody runs without one.
    let pool =
        Pool::new(Config::from_url(redis)?, None, None, Some(ReconnectPolicy::default()), connections)?;
    pool.connect();
    pool.wait_for_connect().await?;
    let lifetime = time::Duration::seconds(LIFETIME_SECONDS.into());
    let layer = SessionManagerLayer::new(RedisStore::new(pool))
        .with_expiry(Expiry::OnInactivity(lifetime))
        .with_always_save(save == Save::Always);
    let router = Router::new()
        .route("/seed", post(seed))
        .route("/untouched", get(|| async { "0" }))
        .route("/read", get(read))
        .route("/rolling", get(read))
        .route("/modify", post(modify))
        .route("/race/set/{number}/{hold}", post(race_set))
        .route("/race/count/{hold}", post(race_count))
        .route("/race/result/{attributes}", get(race_result));
    Ok(router.layer(layer))
}

fn failed(_: tower_sessions::session::Error) -> StatusCode {
    StatusCode::INTERNAL_SERVER_ERROR
}

async fn seed(session: Session) -> Result<(), StatusCode> {
    session.insert(COUNTER, 0_u64).await.map_err(failed)?;
    for name in TEXTS {
        session.insert(name, text(name)).await.map_err(failed)?;
    }
    Ok(())
}

async fn counter(session: &Session) -> Result<u64, StatusCode> {
    Ok(session.get(COUNTER).await.map_err(failed)?.unwrap_or_default())
}

async fn read(session: Session) -> Result<String, StatusCode> {
    Ok(counter(&session).await?.to_string())
}

async fn modify(session: Session) -> Result<String, StatusCode> {
    let next = counter(&session).await? + 1;
    session.insert(COUNTER, next).await.map_err(failed)?;
    Ok(next.to_string())
}

async fn race_set(session: Session, Path((number, hold)): Path<(usize, u64)>) -> Result<(), StatusCode> {
    counter(&session).await?;
    super::hold(hold).await;
    session.insert(&race_attribute(number), number).await.map_err(failed)
}

async fn race_count(session: Session, Path(hold): Path<u64>) -> Result<(), StatusCode> {
    let next = counter(&session).await? + 1;
    super::hold(hold).await;
    session.insert(COUNTER, next).await.map_err(failed)
}

async fn race_result(session: Session, Path(number): Path<usize>) -> Result<String, StatusCode> {
    let mut attributes = 0;
    for number in 0..number {
        let value = session.get::<Value>(&race_attribute(number)).await.map_err(failed)?;
        attributes += usize::from(value.is_some());
    }
    let result = RaceResult { attributes, counter: counter(&session).await? };
    serde_json::to_string(&result).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}
