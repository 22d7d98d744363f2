//! The failure policies that let a response through: they do, and they never do it silently.

use holdover_api::{ErrorKind, FailurePolicy, Operation, Session, SessionError};
use holdover_http::SessionDegraded;
use http::{Response, StatusCode};

use crate::support::{App, Browser, Log, header, ok, only_cookie};

fn app_with(policy: FailurePolicy) -> App {
    App::with(|builder| builder.with_failure_policy(policy))
}

fn assert_marked(response: &Response<String>, log: &Log) {
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.body(), "ok");
    assert_eq!(only_cookie(response), None);
    assert_eq!(header(response, "cache-control").as_deref(), Some("no-store"));
    let SessionDegraded(error) = response.extensions().get().expect("the response is marked");
    assert!(matches!(**error, SessionError::Store(_)));
    assert_eq!(log.of_level("WARN").len(), 1, "{:?}", log.lines());
}

async fn write(session: Session) -> Response<String> {
    session.insert("theme", "light").await.unwrap();
    ok()
}

#[tokio::test]
async fn anonymous_reads_an_empty_session_while_the_store_is_down() {
    let app = app_with(FailurePolicy::Anonymous);
    let mut browser = app.visitor("user").await;
    app.probe.fail(Operation::Load, ErrorKind::Unavailable);
    let log = Log::open();
    let response = browser
        .visit(&app, async |session| {
            assert_eq!(session.get::<String>("user").await.unwrap(), None);
            assert!(
                session.insert("theme", "dark").await.is_err(),
                "what could not be read is not written over"
            );
            ok()
        })
        .await;
    assert_marked(&response, &log);
    assert_eq!(app.probe.calls(), [Operation::Load]);
    app.probe.recover();
    assert_eq!(app.probe.live_names().await, [["user"]]);
}

#[tokio::test]
async fn anonymous_does_not_lose_a_write_or_a_logout() {
    let app = app_with(FailurePolicy::Anonymous);
    let mut browser = app.visitor("theme").await;
    app.probe.fail(Operation::Save, ErrorKind::Unavailable);
    assert_eq!(browser.visit(&app, write).await.status(), 503);
    app.probe.fail(Operation::Delete, ErrorKind::Unavailable);
    let response = browser
        .visit(&app, async |session| {
            session.flush().await.unwrap();
            ok()
        })
        .await;
    assert_eq!(response.status(), 503);
}

#[tokio::test]
async fn anonymous_is_about_outages_only() {
    let app = app_with(FailurePolicy::Anonymous);
    let mut browser = app.visitor("theme").await;
    app.probe.fail(Operation::Load, ErrorKind::Corrupt);
    let response = browser
        .visit(&app, async |session| {
            let _: Option<String> = session.get("theme").await.unwrap_or_default();
            ok()
        })
        .await;
    assert_eq!(response.status(), 500);
}

#[tokio::test]
async fn read_only_lets_a_lost_change_pass() {
    let app = app_with(FailurePolicy::ReadOnly);
    let mut browser = app.visitor("theme").await;
    app.probe.fail(Operation::Save, ErrorKind::Unavailable);
    let log = Log::open();
    let response = browser.visit(&app, write).await;
    assert_marked(&response, &log);
    let response = Browser::default().visit(&app, write).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(only_cookie(&response), None, "there is no session that a cookie could name");
}

#[tokio::test]
async fn read_only_does_not_pretend_a_load_a_login_or_a_logout() {
    let app = app_with(FailurePolicy::ReadOnly);
    let mut browser = app.visitor("theme").await;
    app.probe.fail(Operation::Save, ErrorKind::Unavailable);
    app.probe.fail(Operation::Delete, ErrorKind::Unavailable);
    let login = browser
        .visit(&app, async |session| {
            session.cycle_id().await.unwrap();
            ok()
        })
        .await;
    assert_eq!(login.status(), 503);
    let logout = browser
        .visit(&app, async |session| {
            session.flush().await.unwrap();
            ok()
        })
        .await;
    assert_eq!(logout.status(), 503);
    app.probe.fail(Operation::Load, ErrorKind::Unavailable);
    let read = browser
        .visit(&app, async |session| {
            let _: Option<String> = session.get("theme").await.unwrap_or_default();
            ok()
        })
        .await;
    assert_eq!(read.status(), 503);
}

#[tokio::test]
async fn a_touch_that_fails_costs_no_request_but_leaves_a_mark() {
    let app = App::with(|builder| builder.with_touch_share(0.0));
    let mut browser = app.visitor("theme").await;
    app.clock.advance(std::time::Duration::from_secs(1));
    app.probe.fail(Operation::Touch, ErrorKind::Unavailable);
    let log = Log::open();
    let response = browser
        .visit(&app, async |session| {
            assert_eq!(session.get::<String>("theme").await.unwrap().as_deref(), Some("1"));
            ok()
        })
        .await;
    assert_marked(&response, &log);
}
