//! The axum side of the handle. It is here and not in the http room because of the orphan rule: trait and type would
//! both be foreign there.

use std::sync::Arc;

use axum_core::extract::FromRequestParts;
use axum_core::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;

use crate::session::failure::SessionError;
use crate::session::handle::Session;

/// The request has no session, because no `SessionLayer` is around the handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MissingSessionLayer;

impl std::fmt::Display for MissingSessionLayer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the request has no session: add `.layer(SessionLayer::new(store))` around this route")
    }
}

impl std::error::Error for MissingSessionLayer {}

impl IntoResponse for MissingSessionLayer {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, self.to_string()).into_response()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Session {
    type Rejection = MissingSessionLayer;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        parts.extensions.get::<Self>().cloned().ok_or(MissingSessionLayer)
    }
}

impl IntoResponse for SessionError {
    /// A generic text. The error itself travels in the response's extensions as `Arc<SessionError>`, for the session
    /// layer, which logs it, and for any middleware that says it in its own way.
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, self.client_message()).into_response();
        response.extensions_mut().insert(Arc::new(self));
        response
    }
}
