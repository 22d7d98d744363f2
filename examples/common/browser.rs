//! A browser as far as sessions are concerned: it keeps one cookie.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::{HeaderMap, HeaderValue, Request, StatusCode, header};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;

use super::Node;

/// Clones share the cookie, as tabs of one browser do.
#[derive(Clone, Debug)]
pub(crate) struct Browser {
    client: Client<HttpConnector, Full<Bytes>>,
    cookie: Arc<Mutex<Option<HeaderValue>>>,
}

/// What a node answered.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    /// The body; null if it is not JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_default()
    }

    pub(crate) fn sets_cookie(&self) -> bool {
        self.headers.contains_key(header::SET_COOKIE)
    }

    /// The `name=value` of the cookie that was set.
    pub(crate) fn cookie(&self) -> Option<&str> {
        let set_cookie = self.headers.get(header::SET_COOKIE)?.to_str().ok()?;
        set_cookie.split(';').next()
    }
}

impl Browser {
    pub(crate) fn new() -> Self {
        Self { client: Client::builder(TokioExecutor::new()).build_http(), cookie: Arc::default() }
    }

    /// A browser that sends this `Cookie` header: what another one once had, or something made up.
    pub(crate) fn with_cookie(cookie: impl Into<Option<HeaderValue>>) -> Self {
        let browser = Self::new();
        browser.keep(cookie.into());
        browser
    }

    /// The `Cookie` header that it sends.
    pub(crate) fn cookie(&self) -> Option<HeaderValue> {
        self.cookie.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep(&self, cookie: Option<HeaderValue>) {
        *self.cookie.lock().unwrap_or_else(PoisonError::into_inner) = cookie;
    }

    pub(crate) async fn get(&self, node: &Node, path: &str) -> Answer {
        self.request(node, "GET", path, None).await
    }

    pub(crate) async fn put(&self, node: &Node, name: &str, value: Value) -> Answer {
        self.request(node, "PUT", &format!("/api/session/attributes/{name}"), Some(&value)).await
    }

    pub(crate) async fn post(&self, node: &Node, path: &str) -> Answer {
        self.request(node, "POST", path, None).await
    }

    pub(crate) async fn log_in(&self, node: &Node, user: &str) -> Answer {
        self.request(node, "POST", "/api/login", Some(&serde_json::json!({"user": user}))).await
    }

    pub(crate) async fn log_out(&self, node: &Node) -> Answer {
        self.post(node, "/api/logout").await
    }

    /// The attributes of the session.
    pub(crate) async fn attributes(&self, node: &Node) -> Value {
        self.get(node, "/api/session").await.json()["attributes"].take()
    }

    pub(crate) fn request(
        &self,
        node: &Node,
        method: &str,
        path: &str,
        value: Option<&Value>,
    ) -> impl Future<Output = Answer> + Send + use<> {
        let body = value.map(|value| Bytes::from(value.to_string())).unwrap_or_default();
        self.send(node, method, path, body)
    }

    /// Sends a request and keeps the cookie that the answer sets. The request has begun when the future is polled.
    pub(crate) fn send(
        &self,
        node: &Node,
        method: &str,
        path: &str,
        body: Bytes,
    ) -> impl Future<Output = Answer> + Send + use<> {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", node.url()));
        if let Some(cookie) = self.cookie() {
            request = request.header(header::COOKIE, cookie);
        }
        let request = request.body(Full::new(body)).expect("the parts of the request are valid");
        let browser = self.clone();
        async move {
            let response = browser.client.request(request).await.expect("the node answers");
            let (head, body) = response.into_parts();
            let bytes = body.collect().await.expect("the answer is complete").to_bytes();
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let answer = Answer { status: head.status, headers: head.headers, text };
            browser.follow(&answer);
            answer
        }
    }

    fn follow(&self, answer: &Answer) {
        let Some(set_cookie) = answer.headers.get(header::SET_COOKIE) else {
            return;
        };
        let clears = set_cookie.to_str().is_ok_and(|text| text.contains("; Max-Age=0"));
        let kept = answer.cookie().filter(|_| !clears).and_then(|cookie| HeaderValue::from_str(cookie).ok());
        self.keep(kept);
    }
}
