//! A store that fails, with the default policy: nothing that was not committed looks like a success.

use std::sync::Arc;
use std::time::Duration;

use holdover_api::{ErrorKind, Operation, Session, SessionError};
use http::header::SET_COOKIE;
use http::{HeaderValue, Request, Response, StatusCode};
use tower::{Layer, Service};

use crate::support::{App, Browser, STORE_TEXT, answer, header, ok, only_cookie, request};

/// A response in the place of the handler's: generic, not cached, without cookies, with the error for whoever wants it.
fn assert_refused(response: &Response<String>, status: u16) {
    assert_eq!(response.status(), status);
    assert_eq!(only_cookie(response), None);
    assert_eq!(header(response, "cache-control").as_deref(), Some("no-store"));
    assert_eq!(header(response, "vary").as_deref(), Some("Cookie"));
    assert_eq!(header(response, "content-type").as_deref(), Some("text/plain; charset=utf-8"));
    assert_eq!(header(response, "retry-after").as_deref(), (status == 503).then_some("1"));
    assert!(
        !response.body().contains(STORE_TEXT) && !response.body().contains("probe"),
        "{}",
        response.body()
    );
    let error =
        response.extensions().get::<Arc<SessionError>>().expect("the error travels with the response");
    assert_eq!(error.status(), status);
    assert_eq!(response.body(), error.client_message());
}

async fn write(session: Session) -> Response<String> {
    session.insert("theme", "light").await.unwrap();
    let mut response = ok();
    response.headers_mut().insert(SET_COOKIE, HeaderValue::from_static("flash=saved"));
    response
}

#[tokio::test]
async fn a_failed_load_is_503_even_if_the_handler_ignores_it() {
    let app = App::new();
    let mut browser = app.visitor("theme").await;
    app.probe.fail(Operation::Load, ErrorKind::Unavailable);
    let response = browser
        .visit(&app, async |session| {
            let theme: Option<String> = session.get("theme").await.unwrap_or_default();
            assert_eq!(theme, None);
            let _ = session.insert("user", "ada").await;
            ok()
        })
        .await;
    assert_refused(&response, 503);
    assert_eq!(app.probe.calls(), [Operation::Load], "nothing is written over what could not be read");

    app.probe.recover();
    assert_eq!(app.probe.live_names().await, [["theme"]]);
    let response = browser.visit(&app, write).await;
    assert_eq!(response.status(), StatusCode::OK, "and it works again at once");
}

#[tokio::test]
async fn an_untouched_session_does_not_notice_that_the_store_is_down() {
    let app = App::new();
    let mut browser = app.visitor("theme").await;
    for operation in [Operation::Load, Operation::Save, Operation::Touch, Operation::Delete] {
        app.probe.fail(operation, ErrorKind::Unavailable);
    }
    let response = browser.visit(&app, async |_session| ok()).await;
    assert_eq!(response.status(), StatusCode::OK);
    let response = Browser::default()
        .visit(&app, async |session| {
            assert_eq!(session.get::<String>("theme").await.unwrap(), None);
            ok()
        })
        .await;
    assert_eq!(response.status(), StatusCode::OK, "without a cookie there is nothing to load");
}

#[tokio::test]
async fn a_failed_save_is_503_without_any_cookie() {
    let app = App::new();
    app.probe.fail(Operation::Save, ErrorKind::Unavailable);
    assert_refused(&app.call(None, write).await, 503);
    assert_eq!(app.probe.live().await, []);

    app.probe.recover();
    let mut browser = app.visitor("theme").await;
    let before = app.probe.live().await;
    app.probe.fail(Operation::Save, ErrorKind::Throttled);
    assert_refused(&browser.visit(&app, write).await, 503);
    assert_eq!(app.probe.live().await, before);
}

#[tokio::test]
async fn a_failed_logout_is_503_and_leaves_the_cookie() {
    let app = App::new();
    let mut browser = app.visitor("user").await;
    app.probe.fail(Operation::Delete, ErrorKind::Unavailable);
    let response = browser
        .visit(&app, async |session| {
            session.flush().await.unwrap();
            ok()
        })
        .await;
    assert_refused(&response, 503);
    assert!(browser.cookie.is_some(), "the browser can try again");
}

#[tokio::test]
async fn a_failed_login_leaves_the_old_session_and_its_cookie() {
    for operation in [Operation::Save, Operation::Install] {
        let app = App::new();
        let mut browser = app.visitor("basket").await;
        let old = browser.key();
        app.probe.fail(operation, ErrorKind::Unavailable);
        let response = browser
            .visit(&app, async |session| {
                session.cycle_id().await.unwrap();
                session.insert("user", "ada").await.unwrap();
                ok()
            })
            .await;
        assert_refused(&response, 503);
        let live = app.probe.live().await;
        let kept = live.iter().find(|(key, _)| *key == old).expect("the old session lives");
        assert!(!kept.1.attributes.contains_key("user"), "with the rights that it had before");
        assert_eq!(browser.key(), old);
    }
}

#[tokio::test]
async fn a_lost_answer_is_503_whatever_happened() {
    let app = App::new();
    app.probe.lose_answers(Operation::Save);
    assert_refused(&app.call(None, write).await, 503);
}

#[tokio::test]
async fn each_kind_of_failure_has_its_status() {
    let statuses = [
        (ErrorKind::Unavailable, 503),
        (ErrorKind::Throttled, 503),
        (ErrorKind::TooLarge, 413),
        (ErrorKind::Denied, 500),
        (ErrorKind::Misconfigured, 500),
        (ErrorKind::Corrupt, 500),
        (ErrorKind::Unexpected, 500),
    ];
    for (kind, status) in statuses {
        let app = App::new();
        let mut browser = app.visitor("theme").await;
        app.probe.fail(Operation::Save, kind);
        assert_refused(&browser.visit(&app, write).await, status);
    }
}

#[tokio::test]
async fn a_session_that_grows_too_large_is_413_before_anything_is_sent() {
    let app = App::with(|builder| builder.with_max_bytes(1_000));
    let response = app
        .call(None, async |session| {
            assert!(session.insert("notes", &"x".repeat(2_000)).await.is_err());
            answer(413)
        })
        .await;
    assert_eq!(response.status(), 413);
    assert_eq!(app.probe.calls(), []);
}

#[tokio::test(start_paused = true)]
async fn a_stalled_store_is_503_within_the_time_out() {
    let app = App::with(|builder| builder.with_call_timeout(Duration::from_millis(700)));
    let mut browser = app.visitor("theme").await;
    for operation in [Operation::Load, Operation::Save] {
        app.probe.recover();
        app.probe.stall(operation);
        let started = tokio::time::Instant::now();
        let response = browser
            .visit(&app, async |session| {
                let _ = session.insert("theme", "light").await;
                ok()
            })
            .await;
        assert_refused(&response, 503);
        assert_eq!(started.elapsed().as_millis(), 700, "{operation}");
    }
}

#[tokio::test]
async fn a_response_that_says_so_itself_keeps_its_own_words() {
    let app = App::new();
    let mut browser = app.visitor("theme").await;
    app.probe.fail(Operation::Load, ErrorKind::Unavailable);
    for status in [500, 502, 503] {
        let response = browser
            .visit(&app, async |session| {
                assert!(session.get::<String>("theme").await.is_err());
                let mut response = answer(status);
                response.headers_mut().insert(SET_COOKIE, HeaderValue::from_static("flash=sorry"));
                response
            })
            .await;
        assert_eq!(response.status(), status);
        assert_eq!(response.body(), "the handler's own words");
        assert_eq!(only_cookie(&response), None);
        assert_eq!(header(&response, "cache-control").as_deref(), Some("no-store"));
        assert!(response.extensions().get::<Arc<SessionError>>().is_some());
    }
    for status in [200, 302, 404, 409] {
        let response = browser
            .visit(&app, async |session| {
                assert!(session.get::<String>("theme").await.is_err());
                answer(status)
            })
            .await;
        assert_refused(&response, 503);
    }
}

#[tokio::test]
async fn a_panic_in_the_commit_is_500() {
    let app = App::new();
    app.probe.panic(Operation::Save);
    let response = app.call(None, write).await;
    assert_eq!(response.status(), 500);
    assert_eq!(only_cookie(&response), None);
    assert_eq!(header(&response, "cache-control").as_deref(), Some("no-store"));
}

#[tokio::test]
async fn a_panic_in_the_handler_passes_through_and_commits_nothing() {
    let app = App::new();
    let task = tokio::spawn({
        let app = app.clone();
        async move {
            app.call(None, async |session| {
                session.insert("theme", "dark").await.unwrap();
                panic!("the handler panics because a test told it to")
            })
            .await
        }
    });
    assert!(task.await.unwrap_err().is_panic());
    assert_eq!(app.probe.calls(), []);
}

#[tokio::test]
async fn an_inner_service_that_fails_commits_nothing() {
    let app = App::new();
    let inner = tower::service_fn(async |request: Request<()>| {
        let session = request.extensions().get::<Session>().unwrap().clone();
        session.insert("theme", "dark").await.unwrap();
        Err::<Response<String>, _>("the connection broke")
    });
    let outcome = app.layer.layer(inner).call(request(None)).await;
    assert_eq!(outcome.unwrap_err(), "the connection broke");
    assert_eq!(app.probe.calls(), []);
}

#[tokio::test]
async fn the_store_may_suggest_when_to_try_again() {
    let app = App::new();
    app.probe.fail_for(Operation::Save, ErrorKind::Throttled, Duration::from_millis(2_100));
    let response = app.call(None, write).await;
    assert_eq!(response.status(), 503);
    assert_eq!(header(&response, "retry-after").as_deref(), Some("3"));
}
