//! What is logged and what prints itself: everything that an operator needs, and never an id or a value.

use holdover_api::{ErrorKind, Operation, Session};

use crate::support::{App, Browser, Log, ok};

const SECRET: &str = "the-secret-value";

#[tokio::test]
async fn nothing_that_is_printed_shows_an_id_or_a_value() {
    let log = Log::open();
    let app = App::new();
    let mut browser = Browser::default();
    let mut printed = Vec::new();
    let steps = [None, Some(Operation::Save), Some(Operation::Load), Some(Operation::Delete)];
    let mut ids = Vec::new();
    for broken in steps {
        app.probe.recover();
        if let Some(operation) = broken {
            app.probe.fail(operation, ErrorKind::Unexpected);
        }
        let response = browser
            .visit(&app, async |session: Session| {
                let _ = session.insert("secret", &format!("{SECRET}{broken:?}")).await;
                if broken == Some(Operation::Delete) {
                    session.flush().await.unwrap();
                }
                let mut response = ok();
                *response.body_mut() = format!("{session:?}");
                response
            })
            .await;
        printed.push(format!("{response:?} {:?}", app.layer));
        ids.extend(browser.cookie.as_deref().map(|cookie| cookie.replace("__Host-id=", "")));
    }
    let cookie = browser.cookie.clone().unwrap();
    app.call(Some(&format!("{cookie}; {cookie}")), async |_session| ok()).await;
    printed.extend(log.lines());

    assert_eq!(log.of_level("ERROR").len(), 3, "one for each failure: {:?}", log.lines());
    assert_eq!(log.of_level("DEBUG").len(), 1, "and the cookie that came twice: {:?}", log.lines());
    assert_eq!(ids.len(), steps.len());
    for text in printed {
        assert!(!text.contains(SECRET), "{text}");
        for id in &ids {
            assert!(!text.contains(id.as_str()), "{text}");
        }
    }
}

#[tokio::test]
async fn a_failure_is_logged_with_kind_operation_and_effect() {
    let app = App::new();
    app.probe.fail(Operation::Save, ErrorKind::Unavailable);
    let log = Log::open();
    app.call(None, async |session| {
        session.insert("theme", "dark").await.unwrap();
        ok()
    })
    .await;
    let lines = log.of_level("WARN");
    assert_eq!(lines.len(), 1, "{:?}", log.lines());
    for field in
        ["status=503", "kind=Unavailable", "operation=\"save\"", "effect=Unknown", "probe: save failed"]
    {
        assert!(lines[0].contains(field), "{field} is not in {}", lines[0]);
    }
}

#[tokio::test]
async fn a_panic_in_the_commit_is_logged() {
    let app = App::new();
    app.probe.panic(Operation::Save);
    let log = Log::open();
    app.call(None, async |session| {
        session.insert("theme", "dark").await.unwrap();
        ok()
    })
    .await;
    let lines = log.of_level("ERROR");
    assert_eq!(lines.len(), 1, "{:?}", log.lines());
    assert!(lines[0].contains("panicked=true"), "{}", lines[0]);
}

#[tokio::test]
async fn a_request_that_goes_well_logs_nothing() {
    let log = Log::open();
    let app = App::new();
    let mut browser = app.visitor("theme").await;
    browser
        .visit(&app, async |session| {
            session.get::<String>("theme").await.unwrap();
            session.flush().await.unwrap();
            ok()
        })
        .await;
    assert_eq!(log.lines(), Vec::<String>::new());
}
