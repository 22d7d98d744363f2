//! A store that goes away and comes back.

use std::time::Duration;

use axum::http::header;
use holdover::api::within;
use holdover_conformance::ServerControl;
use holdover_conformance::servers::{self, Server};
use serde_json::json;

use crate::common::{Answer, Browser, Node, until};

/// A request makes up to two calls of at most a second each (the default); the rest is for a busy machine.
const WITHIN_THE_TIME_OUTS: Duration = Duration::from_secs(5);

struct Outage {
    server: Server,
    node: Node,
    browser: Browser,
}

impl Outage {
    /// A node with a session on a Redis that loses nothing when it is killed.
    async fn ahead() -> Self {
        let server = Server::start(&servers::redis_durable()).await.expect("a Redis for the tests");
        let store = holdover::connect(server.url()).await.expect("connect the node");
        let insecure = holdover::SessionLayerBuilder::insecure_development_cookies;
        let node = Node::start("a", store, insecure).await.expect("start the node");
        let browser = Browser::new();
        browser.put(&node, "colour", json!("red")).await;
        browser.log_in(&node, "ada").await;
        Self { server, node, browser }
    }

    async fn ask(
        &self,
        browser: &Browser,
        method: &str,
        path: &str,
        body: Option<serde_json::Value>,
    ) -> Answer {
        let request = browser.request(&self.node, method, path, body.as_ref());
        let answer = within(WITHIN_THE_TIME_OUTS, request).await;
        answer.unwrap_or_else(|| panic!("{method} {path} was not answered within the time-outs"))
    }

    /// Every request that needs the store is refused, in time, in JSON, and without a word about the store.
    async fn assert_refused(&self) {
        let requests = [
            ("GET", "/api/session", None),
            ("GET", "/api/session/attributes/colour", None),
            ("PUT", "/api/session/attributes/colour", Some(json!("blue"))),
            ("DELETE", "/api/session/attributes/colour", None),
            ("POST", "/api/session/attributes/n/increment", None),
            ("POST", "/api/session/attributes/list/append", Some(json!(1))),
            ("POST", "/api/login", Some(json!({"user": "eve"}))),
            ("POST", "/api/logout", None),
        ];
        for (method, path, body) in requests {
            let answer = self.ask(&self.browser, method, path, body).await;
            assert_is_outage(&answer, &format!("{method} {path}"));
        }
        let newcomer = Browser::new();
        let answer = self.ask(&newcomer, "PUT", "/api/session/attributes/colour", Some(json!("blue"))).await;
        assert_is_outage(&answer, "a new session");
    }

    /// What needs no store is as it was.
    async fn assert_rest_unaffected(&self) {
        for path in ["/", "/api/plain", "/healthz", "/metrics"] {
            assert_eq!(self.ask(&self.browser, "GET", path, None).await.status, 200, "{path}");
        }
        let stranger = self.ask(&Browser::new(), "GET", "/api/session", None).await;
        assert_eq!(
            stranger.json(),
            json!({"new": true, "attributes": {}}),
            "without a cookie nothing is asked"
        );
    }

    async fn until_recovered(&self) {
        until("the node uses the store again", async || {
            self.browser.get(&self.node, "/api/session").await.status == 200
        })
        .await;
    }
}

fn assert_is_outage(answer: &Answer, what: &str) {
    assert_eq!(answer.status, 503, "{what}: {}", answer.text);
    assert!(!answer.sets_cookie(), "{what}: a failed request moved the cookie");
    assert_eq!(answer.headers[header::RETRY_AFTER], "1", "{what}");
    assert_eq!(answer.headers[header::CACHE_CONTROL], "no-store", "{what}");
    let body = answer.json();
    let error = body["error"].as_str().unwrap_or_else(|| panic!("{what}: not JSON: {}", answer.text));
    let is_private = ["redis", "127.0.0.1", "refused", "os error"].iter().all(|word| !error.contains(word));
    assert!(is_private, "{what}: the store's own words reached the client: {error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_store_is_503_in_time_and_comes_back_with_everything() {
    let outage = Outage::ahead().await;
    let before = outage.browser.cookie();
    outage.server.kill().await.expect("kill redis");
    outage.assert_refused().await;
    outage.assert_rest_unaffected().await;
    assert_eq!(outage.browser.cookie(), before, "a failed login or logout moved the cookie");

    outage.server.restart().await.expect("restart redis");
    outage.until_recovered().await;
    let session = outage.browser.get(&outage.node, "/api/session").await;
    let expected = json!({"new": false, "attributes": {"colour": "red", "user": "ada"}});
    assert_eq!(session.json(), expected, "I2: what was acknowledged before is there, and nothing else");
    assert_eq!(outage.browser.put(&outage.node, "colour", json!("blue")).await.status, 204);
    assert_eq!(outage.browser.attributes(&outage.node).await, json!({"colour": "blue", "user": "ada"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_hangs_is_503_in_time_and_comes_back() {
    let outage = Outage::ahead().await;
    let before = outage.browser.cookie();
    outage.server.pause().await.expect("pause redis");
    let read = outage.ask(&outage.browser, "GET", "/api/session", None).await;
    assert_is_outage(&read, "a read");
    outage.assert_rest_unaffected().await;

    outage.server.resume().await.expect("resume redis");
    outage.until_recovered().await;
    assert_eq!(outage.browser.cookie(), before);
    assert_eq!(outage.browser.attributes(&outage.node).await, json!({"colour": "red", "user": "ada"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_the_store_has_lost_is_new_and_its_id_is_not_reused() {
    let server = Server::start(&servers::redis()).await.expect("a Redis for the tests");
    let store = holdover::connect(server.url()).await.expect("connect the node");
    let insecure = holdover::SessionLayerBuilder::insecure_development_cookies;
    let node = Node::start("a", store, insecure).await.expect("start the node");
    let browser = Browser::new();
    browser.put(&node, "colour", json!("red")).await;
    let lost = browser.cookie();

    server.restart().await.expect("restart redis, which keeps nothing");
    until("the node uses the store again", async || browser.get(&node, "/api/session").await.status == 200)
        .await;
    assert_eq!(browser.get(&node, "/api/session").await.json(), json!({"new": true, "attributes": {}}));
    browser.put(&node, "colour", json!("blue")).await;
    assert_ne!(browser.cookie(), lost, "I8: a dead id was adopted");
    assert_eq!(browser.attributes(&node).await, json!({"colour": "blue"}));
}
