//! Layers inside layers: one session and one cookie for each cookie name, whatever the stacking.

use std::sync::Arc;

use holdover_api::{Memory, Session, SessionStore};
use holdover_http::SessionLayer;
use http::header::SET_COOKIE;
use http::{Response, StatusCode};
use tower::{Layer, Service};

use crate::support::{App, Browser, Log, Once, ok, only_cookie, request};

async fn through<S>(mut service: S, cookie: Option<&str>) -> Response<String>
where
    S: Service<http::Request<()>, Response = Response<String>, Error = std::convert::Infallible>,
{
    let Ok(response) = service.call(request(cookie)).await;
    response
}

async fn write(session: Session) -> Response<String> {
    session.insert("theme", "dark").await.unwrap();
    ok()
}

fn named(store: &Arc<dyn SessionStore>, name: &str) -> SessionLayer {
    SessionLayer::builder(Arc::clone(store)).with_name(name).build().unwrap()
}

fn names_set(response: &Response<String>) -> Vec<&str> {
    let cookies = response.headers().get_all(SET_COOKIE).iter();
    cookies.map(|value| value.to_str().unwrap().split('=').next().unwrap()).collect()
}

#[tokio::test]
async fn the_same_layer_twice_is_harmless() {
    let app = App::new();
    let log = Log::open();
    let twice = app.layer.layer(app.layer.layer(Once(Some(write))));
    let response = through(twice, None).await;
    assert!(only_cookie(&response).is_some());
    assert_eq!(app.probe.live().await.len(), 1);
    assert_eq!(log.lines(), Vec::<String>::new());
}

#[tokio::test]
async fn of_two_layers_with_one_name_the_outer_one_owns_the_session() {
    let app = App::new();
    let inner_memory = Memory::new();
    let inner = SessionLayer::new(Arc::new(inner_memory.clone()));
    let log = Log::open();
    let mut browser = Browser::default();
    for _ in 0..2 {
        let service = app.layer.layer(inner.layer(Once(Some(write))));
        let response = through(service, browser.cookie.as_deref()).await;
        assert_eq!(response.status(), StatusCode::OK);
        browser.follow(&response);
    }
    assert_eq!(app.probe.live().await.len(), 1);
    assert!(inner_memory.is_empty());
    assert_eq!(log.of_level("WARN").len(), 1, "it is said once, not in every request: {:?}", log.lines());
}

#[tokio::test]
async fn two_names_are_two_sessions_and_the_handler_sees_the_inner_one() {
    let store: Arc<dyn SessionStore> = Arc::new(Memory::new());
    let (outer, inner) = (named(&store, "outer"), named(&store, "inner"));
    let response = through(outer.layer(inner.layer(Once(Some(write)))), None).await;
    assert_eq!(names_set(&response), ["inner"]);
}

#[tokio::test]
async fn two_names_set_two_cookies_if_both_sessions_change() {
    let store: Arc<dyn SessionStore> = Arc::new(Memory::new());
    let (outer, inner) = (named(&store, "outer"), named(&store, "inner"));
    let between = tower::layer::layer_fn(|service| WritesFirst { service });
    let response = through(outer.layer(between.layer(inner.layer(Once(Some(write))))), None).await;
    assert_eq!(names_set(&response), ["inner", "outer"]);
}

#[tokio::test]
async fn a_name_that_comes_back_further_in_is_still_one_session() {
    let memory = Memory::new();
    let store: Arc<dyn SessionStore> = Arc::new(memory.clone());
    let (a, b) = (named(&store, "a"), named(&store, "b"));
    let between = tower::layer::layer_fn(|service| WritesFirst { service });
    let innermost = a.layer(Once(Some(async |session: Session| {
        let from_outside: Option<bool> = session.get("between").await.unwrap();
        assert_eq!(from_outside, Some(true), "it is the very session that the outermost layer opened");
        ok()
    })));
    let response = through(a.layer(between.layer(b.layer(innermost))), None).await;
    assert_eq!(names_set(&response), ["a"]);
    assert_eq!(memory.len(), 1);
}

/// A middleware that writes to the session before the handler runs.
#[derive(Clone)]
struct WritesFirst<S> {
    service: S,
}

impl<S> Service<http::Request<()>> for WritesFirst<S>
where
    S: Service<http::Request<()>> + Clone + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<S::Response, S::Error>>>>;

    fn poll_ready(&mut self, cx: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Self::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<()>) -> Self::Future {
        let mut service = self.service.clone();
        Box::pin(async move {
            let session = request.extensions().get::<Session>().unwrap().clone();
            session.insert("between", &true).await.unwrap();
            service.call(request).await
        })
    }
}
