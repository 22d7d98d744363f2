//! The JSON interface to the session.

use std::time::Duration;

use axum::extract::{Path, Query};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use holdover::Session;
use serde::Deserialize;
use serde_json::{Number, Value, json};

use super::Place;
use super::body::JsonBody;
use super::problem::Problem;

/// The longest that a request may be held, in milliseconds.
const LONGEST_HOLD: u64 = 60_000;

/// The longest name of a user, in bytes.
const LONGEST_USER: usize = 256;

pub(super) fn routes() -> Router {
    Router::new()
        .route("/api/session", get(show))
        .route("/api/session/attributes/{name}", get(read).put(write).delete(remove))
        .route("/api/session/attributes/{name}/increment", post(increment))
        .route("/api/session/attributes/{name}/append", post(append))
        .route("/api/login", post(log_in))
        .route("/api/logout", post(log_out))
        .route("/api/plain", get(plain))
}

async fn show(session: Session) -> Result<Json<Value>, Problem> {
    let attributes = session.attributes::<Value>().await?;
    Ok(Json(json!({"new": session.is_new().await?, "attributes": attributes})))
}

async fn read(session: Session, Path(name): Path<String>) -> Result<Json<Value>, Problem> {
    let value = session.get::<Value>(&name).await?;
    value.map(Json).ok_or(Problem::not_found("the session has no attribute of this name"))
}

#[derive(Deserialize)]
struct Hold {
    hold_ms: Option<u64>,
}

async fn write(
    session: Session,
    Path(name): Path<String>,
    Query(hold): Query<Hold>,
    JsonBody(value): JsonBody,
) -> Result<StatusCode, Problem> {
    if let Some(millis) = hold.hold_ms {
        if millis > LONGEST_HOLD {
            return Err(Problem::bad_request("hold_ms is at most 60000"));
        }
        session.is_new().await?;
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
    session.insert(&name, value).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn remove(session: Session, Path(name): Path<String>) -> Result<StatusCode, Problem> {
    session.unset(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn increment(session: Session, Path(name): Path<String>) -> Result<Json<Value>, Problem> {
    let mut refusal = None;
    let number = session
        .update(&name, |old: Option<Value>| {
            let old = old.unwrap_or(json!(0));
            match next(&old) {
                Ok(new) => {
                    refusal = None;
                    new
                }
                Err(why) => {
                    refusal = Some(why);
                    old
                }
            }
        })
        .await?;
    match refusal {
        Some(why) => Err(Problem::unfit(why)),
        None => Ok(Json(number)),
    }
}

/// One more. Beyond what a number can count exactly there is no next one.
fn next(value: &Value) -> Result<Value, &'static str> {
    const TOO_LARGE: &str = "the number is too large to count on";
    let Value::Number(number) = value else {
        return Err("the attribute is not a number");
    };
    if let Some(more) = number.as_i64().and_then(|integer| integer.checked_add(1)) {
        return Ok(more.into());
    }
    if let Some(integer) = number.as_u64() {
        return integer.checked_add(1).map(Value::from).ok_or(TOO_LARGE);
    }
    let fraction = number.as_f64().ok_or(TOO_LARGE)?;
    let more = fraction + 1.0;
    if more <= fraction {
        return Err(TOO_LARGE);
    }
    Number::from_f64(more).map(Value::Number).ok_or(TOO_LARGE)
}

async fn append(
    session: Session,
    Path(name): Path<String>,
    JsonBody(value): JsonBody,
) -> Result<Json<Value>, Problem> {
    let mut length = None;
    session
        .update(&name, |old: Option<Value>| match old.unwrap_or(json!([])) {
            Value::Array(mut values) => {
                values.push(value.clone());
                length = Some(values.len());
                Value::Array(values)
            }
            other => {
                length = None;
                other
            }
        })
        .await?;
    match length {
        Some(length) => Ok(Json(json!({"length": length}))),
        None => Err(Problem::unfit("the attribute is not an array")),
    }
}

async fn log_in(session: Session, JsonBody(body): JsonBody) -> Result<Json<Value>, Problem> {
    let Some(user) = body.get("user").and_then(Value::as_str) else {
        return Err(Problem::bad_request("say who logs in: {\"user\": \"…\"}"));
    };
    if user.is_empty() || user.len() > LONGEST_USER {
        return Err(Problem::bad_request("a user's name has 1 to 256 bytes"));
    }
    session.cycle_id().await?;
    session.insert("user", user).await?;
    Ok(Json(json!({"user": user})))
}

async fn log_out(session: Session) -> Result<StatusCode, Problem> {
    session.flush().await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn plain(Extension(place): Extension<Place>) -> Json<Value> {
    Json(json!({"node": &*place.node, "store": &*place.store}))
}
