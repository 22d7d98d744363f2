//! Cookies that are not ours: none of them becomes a session's id, and no malformed one reaches the store.

use axum::http::HeaderValue;
use holdover::SessionId;
use holdover::api::OsEntropy;
use serde_json::json;

use crate::common::{Browser, Node};
use crate::stage::{Kind, Stage};

on_each_store!(
    malformed_cookies_never_reach_the_store,
    a_foreign_id_is_looked_up_and_never_adopted,
    a_foreign_id_is_not_adopted_by_a_login_or_a_logout,
    the_key_of_a_session_is_no_id,
);

/// A victim's session and its id.
async fn victim(node: &Node) -> (Browser, String) {
    let victim = Browser::new();
    victim.put(node, "secret", json!("of the victim")).await;
    let cookie = victim.cookie().expect("the session has a cookie");
    let cookie = cookie.to_str().expect("the cookie is text");
    let id = cookie.strip_prefix("id=").expect("in development the cookie is called id");
    (victim.clone(), id.to_owned())
}

/// Cookie headers that name no session for sure, made from the id of a live one.
fn malformed(id: &str) -> Vec<(&'static str, Vec<u8>)> {
    let other = SessionId::draw(&OsEntropy).expect("the system has randomness");
    let other = other.expose();
    let last_bit = if id.ends_with('A') { 'B' } else { 'A' };
    let oversized = format!("{}id={id}", "filler=0123456789; ".repeat(4_000));
    let cookies = [
        ("empty", "id=".to_owned()),
        ("short", "id=abc".to_owned()),
        ("truncated", format!("id={}", &id[..id.len() - 1])),
        ("too long", format!("id={id}A")),
        ("far too long", format!("id={}", id.repeat(100))),
        ("quoted", format!("id=\"{id}\"")),
        ("with a space in it", format!("id={} {}", &id[..20], &id[20..])),
        ("not canonical", format!("id={}{}", &id[..42], not_canonical(id))),
        ("plain base64", format!("id={}+/{last_bit}", &id[..40])),
        ("a path", "id=../../../../../../../../../../../../etc/passwd".to_owned()),
        ("a pattern", format!("id={}", "*".repeat(43))),
        ("a percent-encoded line break", format!("id={}%0d%0aDEL%20*", &id[..28])),
        ("another name", format!("ID={id}")),
        ("a longer name", format!("xid={id}")),
        ("no name", id.to_owned()),
        ("twice the same", format!("id={id}; id={id}")),
        ("twice, ours first", format!("id={id}; id={other}")),
        ("twice, ours last", format!("id={other}; theme=dark; id={id}")),
        ("oversized", oversized),
    ];
    let mut cookies: Vec<_> = cookies.into_iter().map(|(what, text)| (what, text.into_bytes())).collect();
    cookies.push(("not text", [b"id=".as_slice(), &[0xff; 43]].concat()));
    cookies
}

/// A last character with other unused bits: a lenient decoder reads the same bytes.
fn not_canonical(id: &str) -> char {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = id.chars().last().and_then(|last| ALPHABET.find(last)).expect("the id is base64url");
    char::from(ALPHABET.as_bytes()[last + 1])
}

async fn malformed_cookies_never_reach_the_store(kind: Kind) {
    let stage = Stage::on(kind).await;
    let (victim, id) = victim(&stage.a).await;
    for (what, cookie) in malformed(&id) {
        let header = HeaderValue::from_bytes(&cookie).expect("a header can carry it");
        let attacker = Browser::with_cookie(header);
        let before = stage.a.count("load").await;
        let session = attacker.get(&stage.a, "/api/session").await;
        assert_eq!(session.json(), json!({"new": true, "attributes": {}}), "{what}");
        assert!(!session.sets_cookie(), "{what}");

        let written = attacker.put(&stage.a, "mine", json!(what)).await;
        assert_eq!(written.status, 204, "{what}");
        assert_eq!(stage.a.count("load").await, before, "{what}: the store was asked");
        let given = written.cookie().expect("a new session has a cookie");
        let fresh_id = given.strip_prefix("id=").expect("in development the cookie is called id");
        assert!(!cookie.windows(43).any(|part| part == fresh_id.as_bytes()), "I8: {what} was adopted");
    }
    assert_eq!(victim.attributes(&stage.b).await, json!({"secret": "of the victim"}));
}

pub(crate) async fn a_foreign_id_is_looked_up_and_never_adopted(kind: Kind) {
    let stage = Stage::on(kind).await;
    let invented = SessionId::draw(&OsEntropy).expect("the system has randomness");
    let cookie = HeaderValue::from_str(&format!("id={}", invented.expose())).expect("an id is plain text");
    let attacker = Browser::with_cookie(cookie.clone());
    let before = stage.a.count("load").await;
    let session = attacker.get(&stage.a, "/api/session").await;
    assert_eq!(session.json()["new"], json!(true));
    assert!(!session.sets_cookie(), "reading creates nothing");
    assert_eq!(stage.a.count("load").await, before + 1);

    attacker.put(&stage.a, "mine", json!(1)).await;
    assert_ne!(attacker.cookie(), Some(cookie.clone()), "I8: an invented id was adopted");
    let other_tab = Browser::with_cookie(cookie);
    assert_eq!(other_tab.get(&stage.b, "/api/session").await.json()["new"], json!(true), "I8");
}

async fn a_foreign_id_is_not_adopted_by_a_login_or_a_logout(kind: Kind) {
    let stage = Stage::on(kind).await;
    let invented = SessionId::draw(&OsEntropy).expect("the system has randomness");
    let cookie = HeaderValue::from_str(&format!("id={}", invented.expose())).expect("an id is plain text");
    let fixed = Browser::with_cookie(cookie.clone());
    fixed.log_in(&stage.a, "ada").await;
    assert_ne!(fixed.cookie(), Some(cookie.clone()), "I8: a session was fixed before the login");
    assert_eq!(fixed.attributes(&stage.b).await, json!({"user": "ada"}));

    let stranger = Browser::with_cookie(cookie.clone());
    assert_eq!(stranger.log_out(&stage.a).await.status, 204);
    assert_eq!(stranger.cookie(), None);
    let other_tab = Browser::with_cookie(cookie);
    assert_eq!(other_tab.get(&stage.b, "/api/session").await.json()["new"], json!(true), "I8");
    assert_eq!(fixed.attributes(&stage.b).await, json!({"user": "ada"}), "only its own session ends");
}

async fn the_key_of_a_session_is_no_id(kind: Kind) {
    let stage = Stage::on(kind).await;
    let (_victim, id) = victim(&stage.a).await;
    let id = SessionId::parse(&id).expect("the cookie holds an id");
    let leaked = id.key().to_string();
    for cookie in [format!("id={leaked}"), format!("id={}", &leaked[..43])] {
        let thief = Browser::with_cookie(HeaderValue::from_str(&cookie).expect("a key is plain text"));
        assert_eq!(thief.get(&stage.a, "/api/session").await.json(), json!({"new": true, "attributes": {}}));
    }
}
