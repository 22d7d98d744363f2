//! What the `Cookie` headers of a request say of the session.

use std::time::Duration;

use holdover_api::{OsEntropy, SessionId};
use http::header::{COOKIE, HeaderName};
use http::{HeaderMap, HeaderValue};
use proptest::prelude::{Just, Strategy, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};

use super::{TEXT, id, made};
use crate::cookie::{MAX_SEARCHED, Presented};

const LONG: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn headers_of(values: &[&[u8]]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(COOKIE, HeaderValue::from_bytes(value).unwrap());
    }
    headers
}

fn read(values: &[&str]) -> Presented {
    let values: Vec<&[u8]> = values.iter().map(|value| value.as_bytes()).collect();
    made(|_| {}).unwrap().read(&headers_of(&values))
}

#[test]
fn one_well_formed_cookie_is_an_id() {
    let ours = format!("__Host-id={TEXT}");
    assert_eq!(read(&[&ours]), Presented::Id(id()));
    assert_eq!(read(&[&format!("theme=dark; {ours}; lang=en")]), Presented::Id(id()));
    assert_eq!(read(&[&format!("theme=dark;{ours};")]), Presented::Id(id()));
    assert_eq!(
        read(&["theme=dark", &ours, "lang=en"]),
        Presented::Id(id()),
        "several headers, as HTTP/2 sends them"
    );
}

#[test]
fn no_cookie_of_exactly_our_name_is_nothing() {
    let others = [
        String::new(),
        "theme=dark".to_owned(),
        format!("id={TEXT}"),
        format!("__host-id={TEXT}"),
        format!("__Host-idx={TEXT}"),
        format!("x__Host-id={TEXT}"),
        format!("__Host-id ={TEXT}"),
        format!("theme=__Host-id={TEXT}"),
        "__Host-id".to_owned(),
        TEXT.to_owned(),
    ];
    for other in &others {
        assert_eq!(read(&[other]), Presented::Nothing, "{other}");
    }
    assert_eq!(read(&[]), Presented::Nothing);
}

#[test]
fn malformed_foreign_and_truncated_cookies_are_no_id() {
    let values = [
        "",
        &TEXT[1..],
        LONG,
        "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"",
        " AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==",
        "../../../../../../../../../../../etc/passwd.",
        "550e8400-e29b-41d4-a716-446655440000",
        "s%3AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    ];
    for value in values {
        assert_eq!(read(&[&format!("__Host-id={value}")]), Presented::Malformed, "{value:?}");
    }
    let not_utf8 = [b"__Host-id=".as_slice(), &[0xff; 43]].concat();
    assert_eq!(made(|_| {}).unwrap().read(&headers_of(&[&not_utf8])), Presented::Malformed);
}

#[test]
fn several_cookies_of_our_name_are_no_id() {
    let ours = format!("__Host-id={TEXT}");
    assert_eq!(read(&[&format!("{ours}; {ours}")]), Presented::Several, "even if they agree");
    assert_eq!(read(&[&ours, &ours]), Presented::Several);
    assert_eq!(read(&[&format!("{ours}; __Host-id=")]), Presented::Several);
    assert_eq!(read(&[&format!("__Host-id=x; {ours}")]), Presented::Several);
}

#[test]
fn an_oversized_header_is_not_searched() {
    let ours = format!("__Host-id={TEXT}");
    let filler = |length: usize| format!("f={}; {ours}", "x".repeat(length - 4 - ours.len()));
    assert_eq!(read(&[&filler(MAX_SEARCHED)]), Presented::Id(id()));
    assert_eq!(read(&[&filler(MAX_SEARCHED + 1)]), Presented::Oversized);
    assert_eq!(read(&[&ours, &"x".repeat(MAX_SEARCHED)]), Presented::Oversized);
    assert_eq!(read(&[&format!("__Host-id={}", "A".repeat(10_000))]), Presented::Malformed);
}

#[test]
fn neither_the_set_cookie_value_nor_the_finding_prints_the_id() {
    let drawn = SessionId::draw(&OsEntropy).unwrap();
    let cookie = made(|_| {}).unwrap();
    let value = cookie.hand_out(&drawn, Duration::from_secs(1));
    let found = Presented::Id(drawn.clone());
    let printed = format!("{value:?} {found:?} {cookie:?} {:?}", HeaderName::from_static("set-cookie"));
    assert!(!printed.contains(drawn.expose()), "{printed}");
}

/// Bytes that look like cookies more often than chance would have it.
fn cookie_bytes() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(b"__Host-id=".to_vec()),
        Just(b"__Host-id".to_vec()),
        Just(TEXT.as_bytes().to_vec()),
        Just(LONG.as_bytes().to_vec()),
        Just(b"; ".to_vec()),
        Just(b";".to_vec()),
        Just(b"=".to_vec()),
        Just(b"theme=dark".to_vec()),
        prop::collection::vec(any::<u8>(), 0..8),
    ];
    prop::collection::vec(piece, 0..10).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn only_one_well_formed_cookie_yields_an_id(headers in prop::collection::vec(cookie_bytes(), 0..4)) {
        let mut map = HeaderMap::new();
        for bytes in &headers {
            if let Ok(value) = HeaderValue::from_bytes(bytes) {
                map.append(COOKIE, value);
            }
        }
        let found = made(|_| {}).unwrap().read(&map);
        // Said again the slow and obvious way.
        let mut ours = Vec::new();
        for value in map.get_all(COOKIE) {
            let text: String = value.as_bytes().iter().map(|byte| char::from(*byte)).collect();
            for pair in text.split(';') {
                let pair = pair.trim_matches(|c: char| c.is_ascii_whitespace());
                if let Some((name, value)) = pair.split_once('=') && name == "__Host-id" {
                    ours.push(value.to_owned());
                }
            }
        }
        match found {
            Presented::Nothing => prop_assert!(ours.is_empty()),
            Presented::Several => prop_assert!(ours.len() > 1),
            Presented::Malformed => {
                prop_assert_eq!(ours.len(), 1);
                prop_assert!(SessionId::parse(&ours[0]).is_none());
            }
            Presented::Id(id) => prop_assert_eq!(vec![id.expose().to_owned()], ours),
            Presented::Oversized => prop_assert!(false, "the headers are small"),
        }
    }
}
