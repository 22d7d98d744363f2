//! Failures, all of them as `{"error": "…"}`.

use std::borrow::Cow;

use axum::Json;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use holdover::SessionError;
use serde_json::json;

/// The longest text of a failure, in bytes: axum's and ours are short.
const LONGEST_TEXT: usize = 4 * 1024;

/// What a handler answers when it cannot do what it was asked.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    text: Cow<'static, str>,
}

impl Problem {
    pub(super) fn bad_request(text: impl Into<Cow<'static, str>>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, text: text.into() }
    }

    pub(super) fn not_found(text: &'static str) -> Self {
        Self { status: StatusCode::NOT_FOUND, text: text.into() }
    }

    pub(super) fn too_large(text: &'static str) -> Self {
        Self { status: StatusCode::PAYLOAD_TOO_LARGE, text: text.into() }
    }

    /// The request is well formed and cannot be done to what is there.
    pub(super) fn unfit(text: &'static str) -> Self {
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, text: text.into() }
    }
}

impl From<SessionError> for Problem {
    fn from(error: SessionError) -> Self {
        let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, text: error.client_message().into() }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.status, self.text).into_response()
    }
}

/// Turns the text of every failure into JSON, whoever made it: a handler, the session layer when a commit fails, or
/// axum. So no failure can be forgotten.
pub(super) async fn as_json(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let (mut head, body) = response.into_parts();
    let text = to_bytes(body, LONGEST_TEXT).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let reason = status.canonical_reason().unwrap_or("failed").to_lowercase();
    let message = if text.is_empty() { reason.as_str() } else { text.as_ref() };
    let json = Json(json!({"error": message})).into_response();
    // The other headers stay, such as `Allow`, `Retry-After`, and those that keep it out of caches.
    head.headers.remove(header::CONTENT_LENGTH);
    head.headers.remove(header::CONTENT_TYPE);
    head.headers.extend(json.headers().clone());
    if status == StatusCode::SERVICE_UNAVAILABLE {
        head.headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    Response::from_parts(head, json.into_body())
}
