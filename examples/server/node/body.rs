//! JSON bodies.

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use bytes::BytesMut;
use http_body_util::BodyExt;
use serde_json::Value;

use super::problem::Problem;

/// The largest body that is kept, in bytes: more than a session can hold, so that it is the session that refuses.
const LARGEST_KEPT: usize = 1024 * 1024;

/// How much of a body that is too large is read to its end, in bytes. A client that is still sending would otherwise
/// see its connection reset instead of the answer.
const LARGEST_READ: usize = 64 * 1024 * 1024;

/// A JSON value, whatever the `Content-Type` says.
pub(super) struct JsonBody(pub(super) Value);

impl<S: Sync> FromRequest<S> for JsonBody {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Self::Rejection> {
        let bytes = read(request.into_body()).await?;
        let value = serde_json::from_slice(&bytes).map_err(|error| {
            let place = format!("line {}, column {}", error.line(), error.column());
            Problem::bad_request(format!("the body is not JSON: see {place}"))
        })?;
        Ok(Self(value))
    }
}

async fn read(mut body: Body) -> Result<BytesMut, Problem> {
    let mut kept = BytesMut::new();
    let mut length = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::bad_request("the body broke off"))?;
        let Ok(part) = frame.into_data() else { continue };
        length += part.len();
        if length <= LARGEST_KEPT {
            kept.extend_from_slice(&part);
        } else if length > LARGEST_READ {
            break;
        }
    }
    if length > LARGEST_KEPT {
        return Err(Problem::too_large("the body is larger than any session"));
    }
    Ok(kept)
}
