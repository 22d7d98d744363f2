//! What caches are told: nothing about a session that nobody looked at, and never to keep a cookie.

use http::header::{CACHE_CONTROL, SET_COOKIE, VARY};
use http::{HeaderValue, Response};

use crate::support::{App, Browser, header, ok, request};

fn cacheable() -> Response<String> {
    let mut response = ok();
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=600"));
    response.headers_mut().insert("cdn-cache-control", HeaderValue::from_static("max-age=600"));
    response.headers_mut().insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    response
}

#[tokio::test]
async fn a_response_without_a_look_at_the_session_stays_cacheable() {
    let app = App::new();
    let mut browser = app.visitor("theme").await;
    let response = browser.visit(&app, async |_session| cacheable()).await;
    assert_eq!(response.headers(), cacheable().headers());
}

#[tokio::test]
async fn a_read_adds_vary_and_leaves_the_rest() {
    let app = App::new();
    let mut browser = app.visitor("theme").await;
    let response = browser
        .visit(&app, async |session| {
            session.get::<String>("theme").await.unwrap();
            cacheable()
        })
        .await;
    assert_eq!(header(&response, "vary").as_deref(), Some("Accept-Encoding, Cookie"));
    assert_eq!(header(&response, "cache-control").as_deref(), Some("public, max-age=600"));
}

#[tokio::test]
async fn a_cookie_is_never_cached_whatever_the_handler_said() {
    let app = App::new();
    let response = app
        .call(None, async |session| {
            session.insert("theme", "dark").await.unwrap();
            cacheable()
        })
        .await;
    assert!(response.headers().contains_key(SET_COOKIE));
    assert_eq!(header(&response, "cache-control").as_deref(), Some("no-store"));
    assert_eq!(header(&response, "cdn-cache-control"), None);
    assert_eq!(header(&response, "vary").as_deref(), Some("Accept-Encoding, Cookie"));
}

#[tokio::test]
async fn other_cookies_of_the_handler_stay_and_one_of_our_name_does_not() {
    let app = App::new();
    let response = app
        .call(None, async |session| {
            session.insert("theme", "dark").await.unwrap();
            let mut response = ok();
            for value in ["lang=en", "__Host-id=forged; Path=/"] {
                response.headers_mut().append(SET_COOKIE, HeaderValue::from_static(value));
            }
            response
        })
        .await;
    let cookies: Vec<_> =
        response.headers().get_all(SET_COOKIE).iter().map(|value| value.to_str().unwrap()).collect();
    assert_eq!(cookies.len(), 2);
    assert_eq!(cookies[0], "lang=en");
    assert!(cookies[1].starts_with("__Host-id=") && !cookies[1].contains("forged"));
}

#[tokio::test]
async fn the_set_cookie_value_is_marked_sensitive() {
    let app = App::new();
    let mut browser = Browser::default();
    let response = browser
        .visit(&app, async |session| {
            session.insert("theme", "dark").await.unwrap();
            ok()
        })
        .await;
    assert!(response.headers()[SET_COOKIE].is_sensitive());
    // And the next request's cookie, before the handler or anything else inside the layer can print it.
    let seen = crate::support::headers_seen_inside(&app, request(browser.cookie.as_deref())).await;
    assert!(seen["cookie"].is_sensitive());
}
