//! Time-outs, and readers that extend the session.

use std::sync::Arc;
use std::time::Duration;

use holdover::api::{Clock, ManualClock, SystemClock};
use serde_json::json;

use crate::common::{Browser, until};
use crate::stage::{Kind, Stage};

on_each_store!(
    a_session_ends_after_its_idle_time,
    a_session_that_is_read_lives_on_until_its_absolute_end,
    slow_readers_never_undo_a_write,
    slow_readers_never_bring_back_a_session,
);

const MINUTE: Duration = Duration::from_secs(60);
const READERS: usize = 20;

/// A clock for the nodes; the store keeps its own, which does not move as fast.
fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(SystemClock.now()))
}

async fn a_session_ends_after_its_idle_time(kind: Kind) {
    let clock = clock();
    let stage = Stage::with(kind, |builder| builder.with_clock(Arc::<ManualClock>::clone(&clock))).await;
    let (used, unused) = (Browser::new(), Browser::new());
    for browser in [&used, &unused] {
        browser.put(&stage.a, "visitor", json!(true)).await;
    }

    clock.advance(30 * MINUTE - Duration::from_millis(1));
    assert_eq!(used.attributes(&stage.b).await, json!({"visitor": true}));
    clock.advance(Duration::from_millis(1));
    assert_eq!(used.attributes(&stage.a).await, json!({"visitor": true}));
    let stolen = Browser::with_cookie(unused.cookie());
    for node in stage.nodes() {
        let session = stolen.get(node, "/api/session").await;
        assert_eq!(session.json(), json!({"new": true, "attributes": {}}), "I4: read at its deadline");
        assert!(!session.sets_cookie());
    }
    stolen.put(&stage.b, "fresh", json!(1)).await;
    assert_ne!(stolen.cookie(), unused.cookie(), "I8: a dead id was adopted");
    assert_eq!(stolen.attributes(&stage.a).await, json!({"fresh": 1}));
}

pub(crate) async fn a_session_that_is_read_lives_on_until_its_absolute_end(kind: Kind) {
    let clock = clock();
    let stage = Stage::with(kind, |builder| {
        let timed = builder.with_absolute_timeout(60 * MINUTE);
        timed.with_clock(Arc::<ManualClock>::clone(&clock))
    })
    .await;
    let browser = Browser::new();
    browser.put(&stage.a, "visitor", json!(true)).await;
    for _ in 0..2 {
        clock.advance(20 * MINUTE);
        for node in stage.nodes() {
            assert_eq!(browser.attributes(node).await, json!({"visitor": true}));
        }
    }
    // A login renews the id and not the absolute time-out.
    browser.log_in(&stage.b, "ada").await;
    clock.advance(20 * MINUTE - Duration::from_millis(1));
    assert_eq!(browser.attributes(&stage.a).await, json!({"visitor": true, "user": "ada"}));
    clock.advance(Duration::from_millis(1));
    for node in stage.nodes() {
        assert_eq!(browser.get(node, "/api/session").await.json()["new"], json!(true));
    }
}

pub(crate) async fn slow_readers_never_undo_a_write(kind: Kind) {
    let clock = clock();
    let (stage, gate) =
        Stage::gated(kind, |builder| builder.with_clock(Arc::<ManualClock>::clone(&clock))).await;
    let browser = Browser::new();
    browser.put(&stage.b, "colour", json!("red")).await;
    browser.put(&stage.b, "old", json!(true)).await;

    clock.advance(5 * MINUTE);
    let mut readers = Vec::new();
    for _ in 0..READERS {
        readers.push(tokio::spawn(browser.request(&stage.a, "GET", "/api/session", None)));
    }
    until("all readers have read and are about to extend the session", async || gate.arrived() == READERS)
        .await;

    browser.put(&stage.b, "colour", json!("blue")).await;
    let path = "/api/session/attributes/old";
    assert_eq!(browser.request(&stage.b, "DELETE", path, None).await.status, 204);
    gate.open();

    for reader in readers {
        let answer = reader.await.expect("the reader ends");
        assert_eq!(answer.status, 200);
        assert_eq!(answer.json()["attributes"]["colour"], json!("red"), "it read before the write");
    }
    for node in stage.nodes() {
        assert_eq!(browser.attributes(node).await, json!({"colour": "blue"}), "I2: a reader undid a write");
    }
}

pub(crate) async fn slow_readers_never_bring_back_a_session(kind: Kind) {
    let clock = clock();
    let (stage, gate) =
        Stage::gated(kind, |builder| builder.with_clock(Arc::<ManualClock>::clone(&clock))).await;
    let browser = Browser::new();
    browser.put(&stage.b, "visitor", json!(true)).await;
    let stolen = Browser::with_cookie(browser.cookie());

    clock.advance(5 * MINUTE);
    let reader = tokio::spawn(stolen.request(&stage.a, "GET", "/api/session", None));
    until("the reader has read and is about to extend the session", async || gate.arrived() == 1).await;
    browser.log_out(&stage.b).await;
    gate.open();

    let answer = reader.await.expect("the reader ends");
    assert_eq!(answer.status, 200);
    assert!(!answer.sets_cookie());
    for node in stage.nodes() {
        let session = stolen.get(node, "/api/session").await.json();
        assert_eq!(session["new"], json!(true), "I1: a touch brought the session back");
    }
}
