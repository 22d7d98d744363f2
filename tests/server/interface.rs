//! The JSON interface, request by request.

use axum::http::header;
use bytes::Bytes;
use serde_json::{Value, json};

use crate::common::{Answer, Browser};
use crate::stage::{Kind, Stage};

on_each_store!(
    looking_at_a_session_creates_nothing,
    an_attribute_is_set_read_and_removed,
    every_json_value_comes_back_as_it_was,
    names_are_percent_encoded,
    increments_count_whatever_is_a_number,
    appends_fill_an_array,
    a_login_renews_the_id_and_keeps_the_attributes,
    a_logout_destroys_the_session,
    what_is_not_json_is_refused,
    a_value_that_is_too_large_is_refused_and_changes_nothing,
    unknown_addresses_and_methods_are_refused,
    the_rest_of_the_application_leaves_the_session_alone,
    store_operations_are_counted_and_timed,
);

const COLOUR: &str = "/api/session/attributes/colour";

fn assert_refused(answer: &Answer, status: u16, what: &str) {
    assert_eq!(answer.status, status, "{what}: {}", answer.text);
    assert_eq!(answer.headers[header::CONTENT_TYPE], "application/json", "{what}");
    let body = answer.json();
    let error = body["error"].as_str().unwrap_or_else(|| panic!("{what}: no error in {}", answer.text));
    assert!(!error.is_empty(), "{what}");
    assert_eq!(body.as_object().map(serde_json::Map::len), Some(1), "{what}: {}", answer.text);
}

async fn looking_at_a_session_creates_nothing(kind: Kind) {
    let stage = Stage::on(kind).await;
    let browser = Browser::new();
    for _ in 0..2 {
        let session = browser.get(&stage.a, "/api/session").await;
        assert_eq!(session.status, 200);
        assert_eq!(session.json(), json!({"new": true, "attributes": {}}));
        assert!(!session.sets_cookie());
    }
    let removed = browser.request(&stage.a, "DELETE", COLOUR, None).await;
    assert_eq!((removed.status.as_u16(), removed.sets_cookie()), (204, false));
    assert_eq!(browser.log_out(&stage.a).await.status, 204);
    for operation in ["load", "save", "delete"] {
        assert_eq!(stage.a.count(operation).await, 0, "{operation}");
    }
}

pub(crate) async fn an_attribute_is_set_read_and_removed(kind: Kind) {
    let stage = Stage::on(kind).await;
    let browser = Browser::new();
    assert_refused(&browser.get(&stage.a, COLOUR).await, 404, "no session yet");

    let set = browser.put(&stage.a, "colour", json!("red")).await;
    assert_eq!((set.status.as_u16(), set.text.as_str()), (204, ""));
    assert_eq!(set.headers[header::CACHE_CONTROL], "no-store");
    assert_eq!(browser.get(&stage.b, COLOUR).await.json(), json!("red"));
    assert_eq!(browser.put(&stage.b, "colour?hold_ms=0", json!("blue")).await.status, 204);
    assert_eq!(browser.get(&stage.a, COLOUR).await.json(), json!("blue"));
    let session = browser.get(&stage.a, "/api/session").await.json();
    assert_eq!(session, json!({"new": false, "attributes": {"colour": "blue"}}));

    for _ in 0..2 {
        assert_eq!(browser.request(&stage.a, "DELETE", COLOUR, None).await.status, 204);
        assert_refused(&browser.get(&stage.b, COLOUR).await, 404, "removed");
    }
    let session = browser.get(&stage.a, "/api/session").await.json();
    assert_eq!(session, json!({"new": false, "attributes": {}}), "an empty session is still a session");
}

pub(crate) async fn every_json_value_comes_back_as_it_was(kind: Kind) {
    let stage = Stage::on(kind).await;
    let browser = Browser::new();
    let deep = (0..100).fold(json!(0), |inner, _| json!([inner]));
    let values = [
        json!(null),
        json!(false),
        json!(""),
        json!("ünïcödé \u{0} \"quoted\" \u{1F36A}"),
        json!(i64::MIN),
        json!(u64::MAX),
        // One of the numbers that a fast parser reads as its neighbour.
        json!(55.393_536_131_272_924),
        json!(5e-324),
        json!({}),
        json!({"nested": [1, {"": null}]}),
        deep,
    ];
    for value in values {
        assert_eq!(browser.put(&stage.a, "value", value.clone()).await.status, 204, "{value}");
        let answer = browser.get(&stage.b, "/api/session/attributes/value").await;
        assert_eq!((answer.status.as_u16(), answer.json()), (200, value));
    }
}

async fn names_are_percent_encoded(kind: Kind) {
    let stage = Stage::on(kind).await;
    let browser = Browser::new();
    let names = [
        ("a%2Fb", "a/b"),
        ("a%2fincrement", "a/increment"),
        ("increment", "increment"),
        ("%F0%9F%8D%AA", "\u{1F36A}"),
        ("with%20space+plus", "with space+plus"),
        ("%2E%2E", ".."),
        ("%25", "%"),
        ("%00", "\u{0}"),
        ("%0D%0ASET%20x", "\r\nSET x"),
        ("a%3Fb%23c", "a?b#c"),
    ];
    let mut expected = json!({});
    for (encoded, name) in names {
        assert_eq!(browser.put(&stage.a, encoded, json!(name)).await.status, 204, "{name:?}");
        let path = format!("/api/session/attributes/{encoded}");
        assert_eq!(browser.get(&stage.b, &path).await.json(), json!(name));
        expected[name] = json!(name);
    }
    assert_eq!(browser.attributes(&stage.a).await, expected);
    assert_refused(&browser.put(&stage.a, "", json!(1)).await, 404, "an empty name");
    assert_refused(&browser.put(&stage.a, "a/b", json!(1)).await, 404, "a slash that is not encoded");
    assert_refused(&browser.put(&stage.a, "%ff", json!(1)).await, 400, "not UTF-8");
}

async fn increments_count_whatever_is_a_number(kind: Kind) {
    let stage = Stage::on(kind).await;
    let browser = Browser::new();
    let path = "/api/session/attributes/n/increment";
    assert_eq!(browser.post(&stage.a, path).await.json(), json!(1), "an absent one begins at 1");
    let counted = [
        (json!(1), json!(2)),
        (json!(-1), json!(0)),
        (json!(0.5), json!(1.5)),
        (json!(i64::MAX), json!(9_223_372_036_854_775_808_u64)),
    ];
    for (number, more) in counted {
        browser.put(&stage.a, "n", number).await;
        let answer = browser.post(&stage.b, path).await;
        assert_eq!((answer.status.as_u16(), answer.json()), (200, more.clone()));
        assert_eq!(browser.attributes(&stage.a).await["n"], more);
    }
    let refused =
        [json!("1"), json!(null), json!(true), json!([1]), json!({"n": 1}), json!(u64::MAX), json!(1e300)];
    for value in refused {
        browser.put(&stage.a, "n", value.clone()).await;
        assert_refused(&browser.post(&stage.b, path).await, 422, &value.to_string());
        assert_eq!(browser.attributes(&stage.a).await["n"], value, "it stays");
    }
}

async fn appends_fill_an_array(kind: Kind) {
    let stage = Stage::on(kind).await;
    let browser = Browser::new();
    let path = "/api/session/attributes/basket/append";
    for (value, length) in [(json!("apple"), 1), (json!(null), 2), (json!(["nested"]), 3)] {
        let answer = browser.request(&stage.a, "POST", path, Some(&value)).await;
        assert_eq!((answer.status.as_u16(), answer.json()), (200, json!({"length": length})));
    }
    assert_eq!(browser.attributes(&stage.b).await["basket"], json!(["apple", null, ["nested"]]));
    browser.put(&stage.a, "basket", json!({"0": "apple"})).await;
    let answer = browser.request(&stage.a, "POST", path, Some(&json!(1))).await;
    assert_refused(&answer, 422, "not an array");
    assert_eq!(browser.attributes(&stage.b).await["basket"], json!({"0": "apple"}), "it stays");
}

pub(crate) async fn a_login_renews_the_id_and_keeps_the_attributes(kind: Kind) {
    let stage = Stage::on(kind).await;
    let browser = Browser::new();
    browser.put(&stage.a, "basket", json!(["apple"])).await;
    let anonymous = Browser::with_cookie(browser.cookie());

    let welcome = browser.log_in(&stage.b, "ada").await;
    assert_eq!((welcome.status.as_u16(), welcome.json()), (200, json!({"user": "ada"})));
    assert_ne!(browser.cookie(), anonymous.cookie());
    assert_eq!(browser.attributes(&stage.a).await, json!({"basket": ["apple"], "user": "ada"}));
    assert_eq!(anonymous.get(&stage.a, "/api/session").await.json()["new"], json!(true));

    for body in ["{}", "[]", "\"ada\"", r#"{"user": 1}"#, r#"{"user": ""}"#] {
        let answer = browser.send(&stage.a, "POST", "/api/login", Bytes::from(body)).await;
        assert_refused(&answer, 400, body);
        assert!(!answer.sets_cookie(), "{body}");
    }
    assert_eq!(browser.attributes(&stage.a).await["user"], json!("ada"));
}

pub(crate) async fn a_logout_destroys_the_session(kind: Kind) {
    let stage = Stage::on(kind).await;
    let browser = Browser::new();
    browser.log_in(&stage.a, "ada").await;
    let stolen = Browser::with_cookie(browser.cookie());
    let farewell = browser.log_out(&stage.b).await;
    assert_eq!((farewell.status.as_u16(), farewell.text.as_str()), (204, ""));
    assert_eq!(browser.cookie(), None, "{:?}", farewell.headers);
    for node in stage.nodes() {
        assert_eq!(stolen.get(node, "/api/session").await.json(), json!({"new": true, "attributes": {}}));
    }
}

async fn what_is_not_json_is_refused(kind: Kind) {
    let stage = Stage::on(kind).await;
    let browser = Browser::new();
    let too_deep = "[".repeat(100_000);
    let bodies = ["", "red", "\"red", "{\"a\":}", "1 2", "\u{feff}1", "NaN", too_deep.as_str()];
    for body in bodies {
        for (method, path) in [("PUT", COLOUR.to_owned()), ("POST", format!("{COLOUR}/append"))] {
            let answer = browser.send(&stage.a, method, &path, Bytes::from(body.to_owned())).await;
            assert_refused(&answer, 400, &body[..body.len().min(20)]);
        }
    }
    let not_text = browser.send(&stage.a, "PUT", COLOUR, Bytes::from_static(b"\"\xff\"")).await;
    assert_refused(&not_text, 400, "not UTF-8");
    for hold in ["x", "-1", "1.5", "60001", "99999999999999999999"] {
        let answer = browser.put(&stage.a, &format!("colour?hold_ms={hold}"), json!(1)).await;
        assert_refused(&answer, 400, hold);
    }
    assert_eq!(browser.cookie(), None, "nothing was created");
}

async fn a_value_that_is_too_large_is_refused_and_changes_nothing(kind: Kind) {
    let stage = Stage::on(kind).await;
    let browser = Browser::new();
    let fits = json!("x".repeat(380 * 1024));
    assert_eq!(browser.put(&stage.a, "large", fits.clone()).await.status, 204);
    // Beyond the session's limit, beyond the largest body that is kept, and together with what is there.
    for kilobytes in [385, 1500, 5000] {
        let value = json!("x".repeat(kilobytes * 1024));
        assert_refused(&browser.put(&stage.a, "large", value.clone()).await, 413, "a value");
        let append =
            browser.request(&stage.a, "POST", "/api/session/attributes/list/append", Some(&value)).await;
        assert_refused(&append, 413, "an append");
    }
    assert_refused(&browser.put(&stage.b, "more", json!("x".repeat(8 * 1024))).await, 413, "the sum");
    assert_eq!(browser.attributes(&stage.b).await, json!({"large": fits}));
}

async fn unknown_addresses_and_methods_are_refused(kind: Kind) {
    let stage = Stage::on(kind).await;
    let browser = Browser::new();
    for path in ["/nowhere", "/api", "/api/", "/api/session/", "/api/session/attributes", "/api/login/x"] {
        assert_refused(&browser.get(&stage.a, path).await, 404, path);
    }
    let wrong = [
        ("POST", "/api/session"),
        ("PATCH", COLOUR),
        ("GET", "/api/session/attributes/n/increment"),
        ("PUT", "/api/session/attributes/n/append"),
        ("GET", "/api/login"),
        ("GET", "/api/logout"),
        ("POST", "/api/plain"),
        ("DELETE", "/"),
        ("POST", "/healthz"),
        ("POST", "/metrics"),
    ];
    for (method, path) in wrong {
        let answer = browser.request(&stage.a, method, path, None).await;
        assert_refused(&answer, 405, path);
        assert!(answer.headers.contains_key(header::ALLOW), "{method} {path}");
    }
}

async fn the_rest_of_the_application_leaves_the_session_alone(kind: Kind) {
    let stage = Stage::on(kind).await;
    let browser = Browser::new();
    browser.put(&stage.a, "colour", json!("red")).await;
    let before = stage.a.count("load").await;
    let plain = browser.get(&stage.a, "/api/plain").await;
    assert_eq!((plain.status.as_u16(), &plain.json()["node"]), (200, &json!("a")));
    assert!(plain.json()["store"].is_string(), "{}", plain.text);
    assert_eq!(plain.headers["x-served-by"], "a");
    assert_eq!(browser.get(&stage.a, "/healthz").await.json(), json!({"status": "ok"}));

    let page = browser.get(&stage.b, "/").await;
    assert_eq!(
        (page.status.as_u16(), &page.headers["x-served-by"]),
        (200, &"b".parse().expect("plain text"))
    );
    assert_eq!(page.headers[header::CONTENT_TYPE], "text/html; charset=utf-8");
    let own_namespace = page.text.replace("http://www.w3.org/2000/svg", "");
    assert!(!own_namespace.contains("://"), "the page loads something from elsewhere");
    for answer in [&plain, &page] {
        assert!(!answer.sets_cookie() && !answer.headers.contains_key(header::VARY), "{:?}", answer.headers);
    }
    assert_eq!(stage.a.count("load").await, before);
}

async fn store_operations_are_counted_and_timed(kind: Kind) {
    let stage = Stage::on(kind).await;
    let browser = Browser::new();
    browser.put(&stage.a, "colour", json!("red")).await;
    let stolen = Browser::with_cookie(browser.cookie());
    browser.log_in(&stage.a, "ada").await;
    browser.log_out(&stage.a).await;
    stolen.get(&stage.a, "/api/session").await;

    let answer = stolen.get(&stage.a, "/metrics").await;
    assert_eq!(answer.headers[header::CONTENT_TYPE], "text/plain; version=0.0.4; charset=utf-8");
    let place: Value = stolen.get(&stage.a, "/api/plain").await.json();
    let store = place["store"].as_str().expect("a store has a name");
    let counted = [
        ("save", "saved", 2),
        ("load", "hit", 1),
        ("load", "miss", 1),
        ("install", "installed", 1),
        ("delete", "deleted", 1),
    ];
    for (operation, outcome, count) in counted {
        let line = format!(
            "holdover_store_operations_total{{store=\"{store}\",operation=\"{operation}\",outcome=\"{outcome}\"}} {count}"
        );
        assert!(answer.text.lines().any(|other| other == line), "no line {line} in\n{}", answer.text);
    }
    let timed =
        format!("holdover_store_operation_duration_seconds_count{{store=\"{store}\",operation=\"load\"}} 2");
    assert!(answer.text.lines().any(|line| line == timed), "no line {timed} in\n{}", answer.text);
}
