//! What the tests share: an application, a browser, a handler that runs once, and a store that can be watched.

mod log;
mod probe;

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use holdover_api::{Clock, ManualClock, Memory, Session, SessionId, SessionKey, SessionStore, Timestamp};
use holdover_http::{SessionLayer, SessionLayerBuilder};
use http::header::{COOKIE, SET_COOKIE};
use http::{Request, Response, StatusCode};
use tower::{Layer, Service};

pub(crate) use log::Log;
pub(crate) use probe::{Call, Probe, STORE_TEXT};

/// An application on a memory store that is watched, with a clock that stands still.
#[derive(Clone)]
pub(crate) struct App {
    pub(crate) layer: SessionLayer,
    pub(crate) probe: Arc<Probe>,
    pub(crate) clock: Arc<ManualClock>,
}

impl App {
    pub(crate) fn new() -> Self {
        Self::with(|builder| builder)
    }

    pub(crate) fn with(change: impl FnOnce(SessionLayerBuilder) -> SessionLayerBuilder) -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_700_000_000_000)));
        let memory = Memory::new().with_clock(Arc::clone(&clock) as Arc<dyn Clock>);
        let probe = Arc::new(Probe::over(memory));
        let builder = SessionLayer::builder(Arc::clone(&probe) as Arc<dyn SessionStore>)
            .with_clock(Arc::clone(&clock) as Arc<dyn Clock>);
        let layer = change(builder).build().unwrap();
        Self { layer, probe, clock }
    }

    pub(crate) fn clock_millis(&self) -> u64 {
        self.clock.now().as_millis()
    }

    /// One request with this `Cookie` header, if any, to a handler that gets its session.
    pub(crate) async fn call<F, R>(&self, cookie: Option<&str>, handler: F) -> Response<String>
    where
        F: FnOnce(Session) -> R,
        R: Future<Output = Response<String>>,
    {
        let mut service = self.layer.layer(Once(Some(handler)));
        let answer = service.call(request(cookie)).await;
        answer.unwrap_or_else(|impossible| match impossible {})
    }

    /// A browser whose session has the attribute `name`, and a store that has forgotten its calls.
    pub(crate) async fn visitor(&self, name: &str) -> Browser {
        let mut browser = Browser::default();
        let response = browser
            .visit(self, async |session| {
                session.insert(name, "1").await.unwrap();
                ok()
            })
            .await;
        assert_eq!(response.status(), StatusCode::OK);
        assert!(browser.cookie.is_some());
        self.probe.forget_calls();
        browser
    }
}

/// Keeps the one cookie that it was given.
#[derive(Clone, Debug, Default)]
pub(crate) struct Browser {
    pub(crate) cookie: Option<String>,
}

impl Browser {
    pub(crate) async fn visit<F, R>(&mut self, app: &App, handler: F) -> Response<String>
    where
        F: FnOnce(Session) -> R,
        R: Future<Output = Response<String>>,
    {
        let response = app.call(self.cookie.as_deref(), handler).await;
        self.follow(&response);
        response
    }

    /// Does what the response says of the cookie.
    pub(crate) fn follow<B>(&mut self, response: &Response<B>) {
        let Some(set_cookie) = only_cookie(response) else { return };
        let pair = set_cookie.split(';').next().unwrap();
        let is_cleared = set_cookie.ends_with("; Max-Age=0");
        self.cookie = (!is_cleared).then(|| pair.to_owned());
    }

    pub(crate) fn key(&self) -> SessionKey {
        let (_, value) = self.cookie.as_deref().unwrap().split_once('=').unwrap();
        SessionId::parse(value).unwrap().key()
    }
}

/// The one `Set-Cookie` of a response, if there is any; two would be a defect.
pub(crate) fn only_cookie<B>(response: &Response<B>) -> Option<String> {
    let cookies: Vec<_> = response.headers().get_all(SET_COOKIE).iter().collect();
    assert!(cookies.len() <= 1, "more than one cookie was set: {}", cookies.len());
    cookies.first().map(|value| value.to_str().unwrap().to_owned())
}

pub(crate) fn header<B>(response: &Response<B>, name: &str) -> Option<String> {
    response.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
}

pub(crate) fn request(cookie: Option<&str>) -> Request<()> {
    let mut request = Request::new(());
    if let Some(cookie) = cookie {
        request.headers_mut().insert(COOKIE, cookie.parse().unwrap());
    }
    request
}

pub(crate) fn ok() -> Response<String> {
    Response::new("ok".to_owned())
}

pub(crate) fn answer(status: u16) -> Response<String> {
    let mut response = Response::new("the handler's own words".to_owned());
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    response
}

/// Waits until every task that was spawned has ended, such as the commits of dropped requests.
pub(crate) async fn spawned_tasks_have_ended() {
    let metrics = tokio::runtime::Handle::current().metrics();
    while metrics.num_alive_tasks() > 0 {
        tokio::task::yield_now().await;
    }
}

/// A service for one request.
#[derive(Clone)]
pub(crate) struct Once<F>(pub(crate) Option<F>);

impl<F, R> Service<Request<()>> for Once<F>
where
    F: FnOnce(Session) -> R,
    R: Future<Output = Response<String>>,
{
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Infallibly<R>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        let session = request.extensions().get::<Session>().expect("the layer gives a session").clone();
        let handler = self.0.take().expect("one request");
        Infallibly(Box::pin(handler(session)))
    }
}

/// The handler's future, which never fails as a service.
pub(crate) struct Infallibly<R>(std::pin::Pin<Box<R>>);

impl<R: Future<Output = Response<String>>> Future for Infallibly<R> {
    type Output = Result<Response<String>, Infallible>;

    fn poll(mut self: std::pin::Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx).map(Ok)
    }
}

/// The headers of a request as they are inside the layer.
pub(crate) async fn headers_seen_inside(app: &App, request: Request<()>) -> http::HeaderMap {
    let inside = tower::service_fn(async |request: Request<()>| {
        let mut response = ok();
        *response.headers_mut() = request.headers().clone();
        Ok::<_, Infallible>(response)
    });
    let answer = app.layer.layer(inside).call(request).await;
    let Ok(response) = answer;
    response.into_parts().0.headers
}
