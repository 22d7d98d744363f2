//! The end of a request: commit, then the headers that follow from it.

use std::sync::Arc;
use std::time::Duration;

use holdover_api::{Committed, CookieChange, Session, SessionError};
use http::header::{CONTENT_TYPE, RETRY_AFTER, SET_COOKIE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use tracing::Instrument;

use crate::headers;
use crate::layer::Shared;
use crate::uncut::{Panicked, Uncut};

/// In the extensions of a response: it went out although the store failed, because the
/// [`FailurePolicy`](holdover_api::FailurePolicy) allows that, or because only an extension of the lifetime failed.
///
/// What was read may be empty and what was changed may be lost. Use it to mark the response for the user or to count.
#[derive(Clone, Debug)]
pub struct SessionDegraded(pub Arc<SessionError>);

/// Commits the session and makes the response say what happened.
pub(crate) async fn finish<B>(shared: Arc<Shared>, session: Session, mut response: Response<B>) -> Response<B>
where
    B: From<&'static str>,
{
    headers::vary_on_cookie(response.headers_mut());
    if !session.needs_commit().await {
        return shown(response);
    }
    // A client that hangs up drops this future, and must not cut the commit in half.
    let commit = async move { session.commit().await }.in_current_span();
    match Uncut::new(commit).await {
        Ok(Ok(committed)) => shown(shared.follow(response, committed)),
        Ok(Err(error)) => refuse(response, error),
        Err(Panicked) => {
            tracing::error!(panicked = true, "committing a session did not end");
            replace(response, StatusCode::INTERNAL_SERVER_ERROR, "the session could not be used")
        }
    }
}

impl Shared {
    /// Lets the response out, with the cookie that the commit asks for.
    fn follow<B>(&self, mut response: Response<B>, committed: Committed) -> Response<B> {
        let set_cookie = match committed.cookie {
            CookieChange::Keep => None,
            CookieChange::Refresh { .. } if !self.cookie.is_persistent() => None,
            CookieChange::Set { id, deadline } | CookieChange::Refresh { id, deadline } => {
                let remaining = deadline.since(self.policy.clock().now());
                Some(self.cookie.hand_out(&id, remaining))
            }
            CookieChange::Clear => Some(self.cookie.clear()),
        };
        if let Some(value) = set_cookie {
            headers::put_cookie(response.headers_mut(), &self.cookie, value);
        }
        if let Some(error) = committed.degraded {
            report(&error, "a response goes out although the session store failed");
            headers::forbid_caching(response.headers_mut());
            response.extensions_mut().insert(SessionDegraded(error));
        }
        response
    }
}

/// A handler may have made a response of a `SessionError` although the commit is fine, for instance because an update
/// failed: it is logged here, for nobody else does, and treated as any other failure.
fn shown<B>(mut response: Response<B>) -> Response<B> {
    let Some(error) = response.extensions().get::<Arc<SessionError>>().cloned() else { return response };
    report(&error, "a handler could not use its session");
    mark_failed(response.headers_mut(), &error);
    response
}

/// Nothing that was not committed may look like a success.
///
/// A response that says so already, with this very status or as a server error, is the application's own way of
/// saying it and stays, without cookies.
fn refuse<B: From<&'static str>>(mut response: Response<B>, error: SessionError) -> Response<B> {
    report(&error, "a session could not be committed");
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let says_so = response.status() == status || response.status().is_server_error();
    if says_so {
        response.headers_mut().remove(SET_COOKIE);
    } else {
        response = replace(response, status, error.client_message());
    }
    mark_failed(response.headers_mut(), &error);
    response.extensions_mut().insert(Arc::new(error));
    response
}

/// Another response in the place of the handler's: none of its headers, cookies or extensions survive.
fn replace<B: From<&'static str>>(
    handlers: Response<B>,
    status: StatusCode,
    text: &'static str,
) -> Response<B> {
    drop(handlers);
    let mut response = Response::new(B::from(text));
    *response.status_mut() = status;
    let fields = response.headers_mut();
    fields.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers::forbid_caching(fields);
    headers::vary_on_cookie(fields);
    response
}

/// No cache keeps a failure, and a client that can do so tries again: after what the store suggests, or a second.
fn mark_failed(fields: &mut HeaderMap, error: &SessionError) {
    headers::forbid_caching(fields);
    if error.status() != 503 {
        return;
    }
    let suggested = match error {
        SessionError::Store(store) => store.suggested_delay().unwrap_or_default(),
        _ => Duration::ZERO,
    };
    let whole_seconds = suggested.as_secs_f64().ceil().max(1.0);
    if let Ok(value) = HeaderValue::try_from(whole_seconds.to_string()) {
        fields.entry(RETRY_AFTER).or_insert(value);
    }
}

/// Logs a failure: the application's own faults as errors, an outage or a lost race as warnings. Never an id.
fn report(error: &SessionError, message: &'static str) {
    let status = error.status();
    let (kind, operation, effect) = match error {
        SessionError::Store(store) => {
            (Some(store.kind()), Some(store.operation().name()), Some(store.effect()))
        }
        _ => (None, None, None),
    };
    let (kind, effect) = (kind.map(tracing::field::debug), effect.map(tracing::field::debug));
    if status == 500 {
        tracing::error!(status, kind, operation, effect, error = %error, "{message}");
    } else {
        tracing::warn!(status, kind, operation, effect, error = %error, "{message}");
    }
}
