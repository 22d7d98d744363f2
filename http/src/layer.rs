//! The layer, the service, and which of two layers a request belongs to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use holdover_api::{Session, SessionPolicy, SessionStore};
use http::{Extensions, Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use crate::config::SessionLayerBuilder;
use crate::cookie::{Cookie, CookieSettings, Presented};
use crate::future::ResponseFuture;
use crate::headers;

/// Gives each request its [`Session`] and commits it before the response head leaves.
///
/// Cheap to clone. The handler finds the session in the request's extensions (with the feature `axum`: as an
/// extractor). Work that is lazy stays lazy: the layer itself never calls the store.
///
/// # More than one layer
///
/// One request has one session for each cookie name. Layers with different names do not know of each other; the
/// handler finds the session of the innermost one. Of layers with one name the outermost opens and commits the
/// session; the others stand aside, so that a response never sets two cookies of one name and a request never begins
/// two sessions. That settings of a layer that stands aside do not apply is logged once as a warning. To give some
/// routes other settings, such as another failure policy, put the layers side by side:
///
/// ```
/// # use std::sync::Arc;
/// # use axum::{Router, routing::get};
/// # use holdover_api::{FailurePolicy, Memory};
/// # use holdover_http::SessionLayer;
/// # async fn handler() {}
/// # let store = Arc::new(Memory::new());
/// let lenient = SessionLayer::builder(store.clone()).with_failure_policy(FailurePolicy::Anonymous).build()?;
/// let news = Router::new().route("/news", get(handler)).layer(lenient);
/// let account = Router::new().route("/account", get(handler)).layer(SessionLayer::new(store));
/// let app: Router = news.merge(account);
/// # Ok::<(), holdover_http::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct SessionLayer(Arc<Shared>);

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) policy: SessionPolicy,
    pub(crate) cookie: Cookie,
    has_warned: AtomicBool,
}

impl SessionLayer {
    /// A layer that is safe in production as it is.
    ///
    /// The cookie is `__Host-id`, `HttpOnly`, `Secure`, `SameSite=Lax` and ends with the browser; sessions end after 30
    /// minutes without use and after 24 hours; a store that cannot answer makes those requests fail that need it.
    /// Over plain HTTP browsers drop the cookie: see
    /// [`insecure_development_cookies`](SessionLayerBuilder::insecure_development_cookies).
    pub fn new(store: Arc<dyn SessionStore>) -> Self {
        let cookie =
            Cookie::new(&CookieSettings::default()).expect("the default cookie is valid, as a test shows");
        Self::from_parts(SessionPolicy::new(store), cookie)
    }

    /// Settings for a layer over `store`.
    pub fn builder(store: Arc<dyn SessionStore>) -> SessionLayerBuilder {
        SessionLayerBuilder::new(store)
    }

    pub(crate) fn from_parts(policy: SessionPolicy, cookie: Cookie) -> Self {
        Self(Arc::new(Shared { policy, cookie, has_warned: AtomicBool::new(false) }))
    }

    /// The name of the cookie.
    pub fn cookie_name(&self) -> &str {
        self.0.cookie.name()
    }

    /// The policy that opens and commits the sessions.
    pub fn policy(&self) -> &SessionPolicy {
        &self.0.policy
    }
}

impl<S> Layer<S> for SessionLayer {
    type Service = SessionService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        SessionService { shared: Arc::clone(&self.0), inner }
    }
}

/// A service whose requests have a [`Session`]; made by [`SessionLayer`].
///
/// It must run inside a tokio runtime, which finishes the commits of clients that hang up. The response body has to be
/// `From<&'static str>`, which `axum::body::Body`, `Full<Bytes>` and `String` are: a response whose session could not
/// be committed is replaced by a short generic text. A layer that changes the body's type, such as compression, goes
/// outside this one (axum's `Router::layer` makes every body its own again, so that there any order will do).
#[derive(Clone, Debug)]
pub struct SessionService<S> {
    shared: Arc<Shared>,
    inner: S,
}

impl<S, RequestBody, ResponseBody> Service<Request<RequestBody>> for SessionService<S>
where
    S: Service<Request<RequestBody>, Response = Response<ResponseBody>>,
    ResponseBody: From<&'static str> + Send + 'static,
{
    type Response = Response<ResponseBody>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, ResponseBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<RequestBody>) -> Self::Future {
        let opened = Opened::in_request(&self.shared, &mut request);
        // The inner service that is ready is called at once, so that no clone of it, which may not be ready, is needed.
        let handler = self.inner.call(request);
        match opened {
            Some(session) => ResponseFuture::new(Arc::clone(&self.shared), session, handler),
            None => ResponseFuture::standing_aside(handler),
        }
    }
}

/// The note of a layer in the request's extensions: whose session it is, and what layers stand further out.
#[derive(Clone)]
struct Opened {
    shared: Arc<Shared>,
    session: Session,
    outer: Option<Arc<Self>>,
}

impl Opened {
    /// Opens the session, unless a layer further out has opened one for a cookie of the same name.
    fn in_request<B>(shared: &Arc<Shared>, request: &mut Request<B>) -> Option<Session> {
        let outer = request.extensions_mut().remove::<Self>();
        if let Some(session) = outer.as_ref().and_then(|outer| outer.session_named(shared.cookie.name())) {
            let session = session.clone();
            shared.stand_aside(outer.as_ref());
            put(request.extensions_mut(), session, outer);
            return None;
        }
        let session = shared.open(request);
        let note = Self { shared: Arc::clone(shared), session: session.clone(), outer: outer.map(Arc::new) };
        put(request.extensions_mut(), session.clone(), Some(note));
        Some(session)
    }

    fn layers(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |opened| opened.outer.as_deref())
    }

    fn session_named(&self, cookie_name: &str) -> Option<&Session> {
        let same_name = |opened: &&Self| opened.shared.cookie.name() == cookie_name;
        self.layers().find(same_name).map(|opened| &opened.session)
    }
}

fn put(extensions: &mut Extensions, session: Session, note: Option<Opened>) {
    extensions.insert(session);
    if let Some(note) = note {
        extensions.insert(note);
    }
}

impl Shared {
    fn open<B>(&self, request: &mut Request<B>) -> Session {
        let presented = self.cookie.read(request.headers());
        let id = match presented {
            Presented::Nothing => return self.policy.open(None),
            Presented::Id(id) => Some(id),
            Presented::Malformed => ignored("it is malformed"),
            Presented::Several => ignored("there is more than one"),
            Presented::Oversized => ignored("the request has too many cookies"),
        };
        headers::hide_cookies(request.headers_mut());
        self.policy.open(id)
    }

    /// Applying the very same layer twice is harmless; other settings would be ignored, which must not be silent.
    fn stand_aside(&self, outer: Option<&Opened>) {
        let is_same = |opened: &Opened| std::ptr::eq(&raw const *opened.shared, self);
        if outer.is_some_and(|outer| outer.layers().any(is_same)) {
            return;
        }
        if !self.has_warned.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                cookie = self.cookie.name(),
                "a session layer stands inside another one with the same cookie name: its settings do not apply; \
                 put the layers side by side or choose another name"
            );
        }
    }
}

fn ignored<T>(reason: &'static str) -> Option<T> {
    tracing::debug!(reason, "a session cookie was ignored");
    None
}
