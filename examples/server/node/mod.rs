//! One node of the demonstration application, over any store.
//!
//! | request | answer |
//! |---|---|
//! | `GET /` | a page to try it all |
//! | `GET /api/session` | 200 `{"new": bool, "attributes": {name: value}}`; creates nothing |
//! | `GET /api/session/attributes/{name}` | 200 the value, or 404 |
//! | `PUT /api/session/attributes/{name}` with a JSON value | 204; with `?hold_ms=N` it loads the session, waits so long, at most a minute, and then sets |
//! | `DELETE /api/session/attributes/{name}` | 204, whether it was there or not |
//! | `POST /api/session/attributes/{name}/increment` | 200 the new number, atomically; 422 if it is not a number |
//! | `POST /api/session/attributes/{name}/append` with a JSON value | 200 `{"length": n}`, atomically; 422 if it is not an array |
//! | `POST /api/login` `{"user": "…"}` | 200 `{"user": "…"}`; renews the id, keeps the attributes, sets the attribute `user` |
//! | `POST /api/logout` | 204; destroys the session |
//! | `GET /api/plain` | 200 `{"node": "…", "store": "…"}`; never touches the session |
//! | `GET /healthz` | 200 `{"status": "ok"}`: this process answers, whatever the store does |
//! | `GET /metrics` | 200 counts and durations of store operations, as Prometheus text |
//!
//! A name is percent-encoded, a slash in it as `%2F`, and is not empty. A body is read as JSON whatever its
//! `Content-Type`. Every failure is a 4xx or 5xx with `{"error": "…"}`: 400 malformed JSON or parameters, 404 and 405
//! no such address or method, 409 the session was destroyed or renewed meanwhile (and nothing is recreated), 413 the
//! value does not fit into the session, 503 the store is down. Every answer names its node in `X-Served-By`.

mod api;
mod body;
mod metrics;
mod problem;

use std::sync::Arc;

use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router, middleware};
use holdover::{ConfigError, SessionLayer, SessionLayerBuilder, SessionStore};
use serde_json::json;

use metrics::{Measured, Metrics};
use problem::Problem;

const SERVED_BY: HeaderName = HeaderName::from_static("x-served-by");

/// The page talks to its own node and to nobody else.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
     img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Which node this is, and on what.
#[derive(Clone, Debug)]
struct Place {
    node: Arc<str>,
    store: Arc<str>,
}

/// The application as the node `name` over `store`, with the session settings that `configure` makes.
pub(crate) fn app(
    name: &str,
    store: Arc<dyn SessionStore>,
    configure: impl FnOnce(SessionLayerBuilder) -> SessionLayerBuilder,
) -> Result<Router, ConfigError> {
    let place = Place { node: name.into(), store: store.to_string().into() };
    let metrics = Arc::new(Metrics::new());
    let measured = Arc::new(Measured::new(store, Arc::clone(&metrics)));
    let sessions = configure(SessionLayer::builder(measured)).build()?;
    let served_by = HeaderValue::from_str(name).unwrap_or(HeaderValue::from_static("unknown"));

    // What a session holds is for nobody else, and changes.
    let uncached = middleware::map_response(|response| {
        with_header(response, header::CACHE_CONTROL, HeaderValue::from_static("no-store"))
    });

    let app = Router::new()
        .merge(api::routes().layer(uncached).layer(sessions))
        .route("/", get(page))
        .route("/healthz", get(healthz))
        .route("/metrics", get(metrics::show))
        .fallback(nowhere)
        .layer(Extension(place))
        .layer(Extension(metrics))
        .layer(middleware::from_fn(problem::as_json))
        .layer(middleware::map_response(move |response| with_header(response, SERVED_BY, served_by.clone())));
    Ok(app)
}

async fn with_header(mut response: Response, name: HeaderName, value: HeaderValue) -> Response {
    response.headers_mut().insert(name, value);
    response
}

async fn page() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_SECURITY_POLICY, PAGE_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, Html(include_str!("page.html")))
}

async fn healthz() -> impl IntoResponse {
    Json(json!({"status": "ok"}))
}

async fn nowhere() -> Problem {
    Problem::not_found("there is nothing at this address")
}
