//! Holdover on Redis.

use axum::Router;
use axum::extract::Path;
use axum::routing::{get, post};
use holdover::{Session, SessionError, SessionLayer};
use serde_json::Value;

use crate::Failure;
use crate::shape::{COUNTER, RaceResult, TEXTS, race_attribute, text};

/// When a session that is only read is extended.
#[derive(Clone, Copy, Debug)]
pub(super) enum Touch {
    /// When a tenth of the idle time-out has passed, as by default.
    Default,
    /// On every request, with a cookie that is sent again each time, as tower-sessions does with `always_save`.
    Every,
}

pub(super) async fn router(redis: &str, touch: Touch) -> Result<Router, Failure> {
    let store = holdover::connect(redis).await?;
    let layer = match touch {
        Touch::Default => SessionLayer::new(store),
        Touch::Every => {
            SessionLayer::builder(store).with_touch_share(0.0).with_persistent_cookie().build()?
        }
    };
    let router = Router::new()
        .route("/seed", post(seed))
        .route("/untouched", get(|| async { "0" }))
        .route("/read", get(read))
        .route("/rolling", get(read))
        .route("/modify", post(modify))
        .route("/update", post(update))
        .route("/race/set/{number}/{hold}", post(race_set))
        .route("/race/count/{hold}", post(race_count))
        .route("/race/update/{hold}", post(race_update))
        .route("/race/result/{attributes}", get(race_result));
    Ok(router.layer(layer))
}

async fn seed(session: Session) -> Result<(), SessionError> {
    session.insert(COUNTER, 0_u64).await?;
    for name in TEXTS {
        session.insert(name, text(name)).await?;
    }
    Ok(())
}

async fn counter(session: &Session) -> Result<u64, SessionError> {
    Ok(session.get(COUNTER).await?.unwrap_or_default())
}

async fn read(session: Session) -> Result<String, SessionError> {
    Ok(counter(&session).await?.to_string())
}

async fn modify(session: Session) -> Result<String, SessionError> {
    let next = counter(&session).await? + 1;
    session.insert(COUNTER, next).await?;
    Ok(next.to_string())
}

fn next(counter: Option<u64>) -> u64 {
    counter.unwrap_or_default() + 1
}

async fn update(session: Session) -> Result<String, SessionError> {
    Ok(session.update(COUNTER, next).await?.to_string())
}

async fn race_set(session: Session, Path((number, hold)): Path<(usize, u64)>) -> Result<(), SessionError> {
    counter(&session).await?;
    super::hold(hold).await;
    session.insert(&race_attribute(number), number).await
}

async fn race_count(session: Session, Path(hold): Path<u64>) -> Result<(), SessionError> {
    let next = counter(&session).await? + 1;
    super::hold(hold).await;
    session.insert(COUNTER, next).await
}

async fn race_update(session: Session, Path(hold): Path<u64>) -> Result<(), SessionError> {
    counter(&session).await?;
    super::hold(hold).await;
    session.update(COUNTER, next).await.map(drop)
}

async fn race_result(session: Session, Path(number): Path<usize>) -> Result<String, SessionError> {
    let mut attributes = 0;
    for number in 0..number {
        attributes += usize::from(session.get::<Value>(&race_attribute(number)).await?.is_some());
    }
    let result = RaceResult { attributes, counter: counter(&session).await? };
    Ok(serde_json::to_string(&result).unwrap_or_default())
}
