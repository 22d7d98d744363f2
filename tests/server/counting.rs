//! How often a request asks the store, counted on a real Redis.

use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderValue;
use bytes::Bytes;
use holdover::api::{Clock, ManualClock, SystemClock};
use holdover_conformance::servers::{self, Server};
use serde_json::json;

use crate::common::{Browser, Node};
use crate::monitor::Monitor;

const MINUTE: Duration = Duration::from_secs(60);

/// A node on a Redis of its own, and a browser with a session.
struct Counter {
    node: Node,
    browser: Browser,
    clock: Arc<ManualClock>,
    monitor: Monitor,
    _server: Server,
}

impl Counter {
    async fn start() -> Self {
        let server = Server::start(&servers::redis()).await.expect("a Redis for the tests");
        let store = holdover::connect(server.url()).await.expect("connect the node");
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        let for_node = Arc::<ManualClock>::clone(&clock);
        let node =
            Node::start("a", store, |builder| builder.insecure_development_cookies().with_clock(for_node));
        let node = node.await.expect("start the node");
        let monitor = Monitor::over(server.address()).await;
        let mut counter = Self { node, browser: Browser::new(), clock, monitor, _server: server };
        counter.teach_scripts().await;
        counter
    }

    /// Redis learns each script once, in one call more; afterwards there is a session with two attributes.
    async fn teach_scripts(&mut self) {
        self.browser.log_in(&self.node, "ada").await;
        self.browser.put(&self.node, "colour", json!("red")).await;
        self.browser.log_in(&self.node, "ada").await;
        self.clock.advance(5 * MINUTE);
        self.browser.get(&self.node, "/api/session").await;
        let farewell = Browser::new();
        farewell.put(&self.node, "colour", json!("red")).await;
        farewell.log_out(&self.node).await;
        self.monitor.commands().await;
    }

    async fn expect(&mut self, calls: usize, method: &str, path: &str, body: &'static str) {
        let browser = self.browser.clone();
        self.expect_of(&browser, calls, method, path, body).await;
    }

    async fn expect_of(
        &mut self,
        browser: &Browser,
        calls: usize,
        method: &str,
        path: &str,
        body: &'static str,
    ) {
        let answer = browser.send(&self.node, method, path, Bytes::from_static(body.as_bytes())).await;
        assert!(answer.status.is_success(), "{method} {path}: {} {}", answer.status, answer.text);
        let commands = self.monitor.commands().await;
        assert_eq!(commands.len(), calls, "{method} {path} asked {commands:#?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_leaves_the_session_alone_asks_nothing() {
    let mut counter = Counter::start().await;
    for path in ["/api/plain", "/", "/healthz", "/metrics"] {
        counter.expect(0, "GET", path, "").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_reads_asks_once() {
    let mut counter = Counter::start().await;
    counter.expect(1, "GET", "/api/session", "").await;
    counter.expect(1, "GET", "/api/session/attributes/colour", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_a_cookie_asks_nothing_until_it_creates() {
    let mut counter = Counter::start().await;
    let stranger = Browser::new();
    counter.expect_of(&stranger, 0, "GET", "/api/session", "").await;
    counter.expect_of(&stranger, 0, "DELETE", "/api/session/attributes/colour", "").await;
    counter.expect_of(&stranger, 0, "POST", "/api/logout", "").await;
    counter.expect_of(&stranger, 1, "PUT", "/api/session/attributes/colour", "\"green\"").await;
    counter.expect_of(&Browser::new(), 1, "POST", "/api/session/attributes/n/increment", "").await;
    counter.expect_of(&Browser::new(), 1, "POST", "/api/login", r#"{"user": "ada"}"#).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_changes_asks_twice() {
    let mut counter = Counter::start().await;
    counter.expect(2, "PUT", "/api/session/attributes/colour", "\"blue\"").await;
    counter.expect(2, "PUT", "/api/session/attributes/colour?hold_ms=1", "\"green\"").await;
    counter.expect(2, "POST", "/api/session/attributes/n/increment", "").await;
    counter.expect(2, "POST", "/api/session/attributes/list/append", "1").await;
    counter.expect(2, "DELETE", "/api/session/attributes/colour", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_changes_nothing_is_not_written() {
    let mut counter = Counter::start().await;
    counter.expect(1, "PUT", "/api/session/attributes/colour", "\"red\"").await;
    counter.expect(1, "DELETE", "/api/session/attributes/absent", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_asks_three_times_and_a_logout_once() {
    let mut counter = Counter::start().await;
    counter.expect(3, "POST", "/api/login", r#"{"user": "ada"}"#).await;
    counter.expect(1, "POST", "/api/logout", "").await;
    counter.expect(0, "GET", "/api/session", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_extends_the_session_only_when_that_is_due() {
    let mut counter = Counter::start().await;
    counter.clock.advance(2 * MINUTE);
    counter.expect(1, "GET", "/api/session", "").await;
    counter.clock.advance(2 * MINUTE);
    counter.expect(2, "GET", "/api/session", "").await;
    counter.expect(1, "GET", "/api/session", "").await;
    counter.clock.advance(4 * MINUTE);
    // A write carries the new deadline.
    counter.expect(2, "PUT", "/api/session/attributes/colour", "\"blue\"").await;
    counter.expect(1, "GET", "/api/session", "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_cookie_asks_nothing_and_its_text_is_never_sent() {
    let mut counter = Counter::start().await;
    let text = "Invented-Invented-Invented-Invented-Invent!";
    let attacker =
        Browser::with_cookie(HeaderValue::from_static("id=Invented-Invented-Invented-Invented-Invent!"));
    counter.expect_of(&attacker, 0, "GET", "/api/session", "").await;
    attacker.put(&counter.node, "mine", json!(1)).await;
    let commands = counter.monitor.commands().await;
    assert_eq!(commands.len(), 1, "{commands:#?}");
    assert!(!commands[0].contains(text) && !commands[0].contains("Invented"), "{commands:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_never_sees_an_id() {
    let mut counter = Counter::start().await;
    let cookie = counter.browser.cookie().expect("the session has a cookie");
    let id = cookie.to_str().expect("the cookie is text").trim_start_matches("id=").to_owned();
    counter.browser.get(&counter.node, "/api/session").await;
    counter.browser.put(&counter.node, "colour", json!("blue")).await;
    counter.browser.log_in(&counter.node, "eve").await;
    let commands = counter.monitor.commands().await;
    assert_eq!(commands.len(), 6, "{commands:#?}");
    assert!(commands.iter().all(|command| !command.contains(&id)), "an id was sent to the store");
}
