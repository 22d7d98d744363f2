//! The layer in an axum application.

use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use holdover_api::{ErrorKind, FailurePolicy, Operation, Session, SessionError};
use holdover_http::SessionLayer;
use http::StatusCode;
use http::header::COOKIE;
use http_body_util::BodyExt;
use tower::{Layer, Service, ServiceExt};

use crate::support::{App, Browser, Log, header, only_cookie};

async fn visit(session: Session) -> Result<String, SessionError> {
    let visits = session.update("visits", |visits: Option<u32>| visits.unwrap_or(0) + 1).await?;
    Ok(visits.to_string())
}

async fn login(session: Session) -> Result<(), SessionError> {
    session.cycle_id().await?;
    session.insert("user", "ada").await
}

async fn logout(session: Session) -> Result<(), SessionError> {
    session.flush().await
}

async fn who(session: Session) -> Result<String, SessionError> {
    let user: Option<String> = session.get("user").await?;
    Ok(user.unwrap_or_else(|| "nobody".to_owned()))
}

fn router(layer: SessionLayer) -> Router {
    Router::new()
        .route("/visit", get(visit))
        .route("/login", post(login))
        .route("/logout", post(logout))
        .route("/who", get(who))
        .route("/plain", get(async || "plain"))
        .layer(layer)
}

async fn send(
    router: &Router,
    browser: &mut Browser,
    method: &str,
    path: &str,
) -> (StatusCode, String, Response) {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(cookie) = &browser.cookie {
        request = request.header(COOKIE, cookie);
    }
    let response = router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    browser.follow(&response);
    let (parts, body) = response.into_parts();
    let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    (parts.status, text, Response::from_parts(parts, Body::empty()))
}

#[tokio::test]
async fn a_visit_a_login_and_a_logout() {
    let app = App::new();
    let router = router(app.layer.clone());
    let mut browser = Browser::default();
    for expected in ["1", "2", "3"] {
        let (status, text, _) = send(&router, &mut browser, "GET", "/visit").await;
        assert_eq!((status, text.as_str()), (StatusCode::OK, expected));
    }
    let mut thief = browser.clone();
    send(&router, &mut browser, "POST", "/login").await;
    assert_eq!(send(&router, &mut browser, "GET", "/who").await.1, "ada");
    assert_eq!(send(&router, &mut thief, "GET", "/who").await.1, "nobody");
    assert_eq!(send(&router, &mut browser, "GET", "/visit").await.1, "4", "the attributes have moved along");
    send(&router, &mut browser, "POST", "/logout").await;
    assert_eq!(browser.cookie, None);
    assert_eq!(app.probe.live().await, []);
}

#[tokio::test]
async fn a_plain_route_is_left_alone() {
    let app = App::new();
    let router = router(app.layer.clone());
    let (_, _, response) = send(&router, &mut app.visitor("theme").await, "GET", "/plain").await;
    assert_eq!(app.probe.calls(), []);
    let names: Vec<_> = response.headers().keys().map(http::HeaderName::as_str).collect();
    assert_eq!(names, ["content-type", "content-length"]);
}

#[tokio::test]
async fn a_route_without_the_layer_says_what_is_missing() {
    let bare = Router::new().route("/who", get(who));
    let (status, text, _) = send(&bare, &mut Browser::default(), "GET", "/who").await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(text.contains("SessionLayer"), "{text}");
}

#[tokio::test]
async fn a_store_that_is_down_is_503_through_axum() {
    let app = App::new();
    let router = router(app.layer.clone());
    let mut browser = app.visitor("user").await;
    app.probe.fail(Operation::Load, ErrorKind::Unavailable);
    for path in ["/who", "/visit"] {
        let (status, text, response) = send(&router, &mut browser, "GET", path).await;
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(header(&response, "retry-after").as_deref(), Some("1"));
        assert_eq!(header(&response, "cache-control").as_deref(), Some("no-store"));
        assert_eq!(text, "the session store is not available; try again shortly");
    }
    assert_eq!(send(&router, &mut browser, "GET", "/plain").await.0, StatusCode::OK);
}

#[tokio::test]
async fn an_outer_middleware_can_say_it_in_its_own_way() {
    async fn in_json(request: Request, next: Next) -> Response {
        let response = next.run(request).await;
        let Some(error) = response.extensions().get::<Arc<SessionError>>() else { return response };
        let status = StatusCode::from_u16(error.status()).unwrap();
        (status, Json(vec![error.client_message()])).into_response()
    }
    let app = App::new();
    let router = router(app.layer.clone()).layer(from_fn(in_json));
    app.probe.fail(Operation::Save, ErrorKind::Unavailable);
    let (status, text, _) = send(&router, &mut Browser::default(), "POST", "/login").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(text, "[\"the session store is not available; try again shortly\"]");
}

#[tokio::test]
async fn routes_side_by_side_have_policies_of_their_own() {
    async fn greet(session: Session) -> Result<String, SessionError> {
        Ok(format!("hello {}", session.get::<String>("user").await?.unwrap_or_default()))
    }
    let app = App::new();
    let lenient = App::with(|builder| builder.with_failure_policy(FailurePolicy::Anonymous));
    let news = Router::new().route("/news", get(greet)).layer(lenient.layer.clone());
    let router = router(app.layer.clone()).merge(news);
    let mut browser = app.visitor("user").await;
    for probe in [&app.probe, &lenient.probe] {
        probe.fail(Operation::Load, ErrorKind::Unavailable);
    }
    assert_eq!(send(&router, &mut browser, "GET", "/who").await.0, StatusCode::SERVICE_UNAVAILABLE);
    let (status, text, response) = send(&router, &mut browser, "GET", "/news").await;
    assert_eq!((status, text.as_str()), (StatusCode::OK, "hello "));
    assert_eq!(only_cookie(&response), None);
}

#[tokio::test]
async fn an_update_that_fails_is_logged_and_marked_although_nothing_is_left_to_commit() {
    let app = App::new();
    let router = router(app.layer.clone());
    let mut browser = app.visitor("user").await;
    app.probe.fail(Operation::Save, ErrorKind::Unavailable);
    let log = Log::open();
    let (status, _, response) = send(&router, &mut browser, "GET", "/visit").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(header(&response, "retry-after").as_deref(), Some("1"));
    assert_eq!(header(&response, "cache-control").as_deref(), Some("no-store"));
    assert!(response.extensions().get::<Arc<SessionError>>().is_some());
    assert_eq!(log.of_level("WARN").len(), 1, "{:?}", log.lines());
}

/// Ready only after it was asked, and only itself: a clone has to be asked again.
struct AskFirst {
    is_ready: bool,
}

impl Clone for AskFirst {
    fn clone(&self) -> Self {
        Self { is_ready: false }
    }
}

impl Service<Request> for AskFirst {
    type Response = Response;
    type Error = std::convert::Infallible;
    type Future = std::future::Ready<Result<Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.is_ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request) -> Self::Future {
        assert!(self.is_ready, "a service was called that nobody has asked whether it is ready");
        std::future::ready(Ok(().into_response()))
    }
}

#[tokio::test]
async fn the_service_that_is_ready_is_the_one_that_is_called() {
    let layer = App::new().layer;
    let mut service = layer.layer(AskFirst { is_ready: false });
    for _ in 0..2 {
        let ready = service.ready().await.unwrap();
        assert_eq!(ready.call(Request::new(Body::empty())).await.unwrap().status(), StatusCode::OK);
    }
}
