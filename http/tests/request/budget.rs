//! How often a request calls the store, and what it says to the browser when all is well.

use std::time::Duration;

use holdover_api::{Operation, Session};
use http::{Response, StatusCode};

use crate::support::{App, Browser, Call, header, ok, only_cookie};

use Operation::{Delete, Install, Load, Save, Touch};

async fn calls_of<F, R>(app: &App, browser: &mut Browser, handler: F) -> (Vec<Call>, Response<String>)
where
    F: FnOnce(Session) -> R,
    R: Future<Output = Response<String>>,
{
    app.probe.forget_calls();
    let response = browser.visit(app, handler).await;
    assert_eq!(response.status(), StatusCode::OK);
    (app.probe.calls(), response)
}

#[tokio::test]
async fn an_untouched_session_costs_nothing_and_adds_nothing() {
    let app = App::new();
    let mut with_cookie = app.visitor("theme").await;
    for browser in [&mut Browser::default(), &mut with_cookie] {
        let (calls, response) = calls_of(&app, browser, async |_session| ok()).await;
        assert_eq!(calls, []);
        assert!(response.headers().is_empty(), "{:?}", response.headers());
    }
}

#[tokio::test]
async fn a_read_costs_one_call_and_sets_no_cookie() {
    let app = App::new();
    let mut browser = app.visitor("theme").await;
    let (calls, response) = calls_of(&app, &mut browser, async |session| {
        assert_eq!(session.get::<String>("theme").await.unwrap().as_deref(), Some("1"));
        assert_eq!(session.get::<String>("other").await.unwrap(), None);
        ok()
    })
    .await;
    assert_eq!(calls, [Load]);
    assert_eq!(only_cookie(&response), None);
    assert_eq!(header(&response, "vary").as_deref(), Some("Cookie"));
    assert_eq!(header(&response, "cache-control"), None);
}

#[tokio::test]
async fn a_read_without_a_cookie_costs_nothing_and_begins_nothing() {
    let app = App::new();
    let mut browser = Browser::default();
    let (calls, response) = calls_of(&app, &mut browser, async |session| {
        assert_eq!(session.get::<String>("theme").await.unwrap(), None);
        session.remove::<String>("theme").await.unwrap();
        session.clear().await.unwrap();
        ok()
    })
    .await;
    assert_eq!(calls, []);
    assert_eq!(only_cookie(&response), None);
    assert_eq!(header(&response, "vary").as_deref(), Some("Cookie"));
}

#[tokio::test]
async fn a_create_costs_one_call_and_sets_the_cookie() {
    let app = App::new();
    let mut browser = Browser::default();
    let (calls, response) = calls_of(&app, &mut browser, async |session| {
        session.insert("theme", "dark").await.unwrap();
        session.insert("lang", "en").await.unwrap();
        ok()
    })
    .await;
    assert_eq!(calls, [Save]);
    let set_cookie = only_cookie(&response).unwrap();
    let (pair, attributes) = set_cookie.split_once(';').unwrap();
    assert_eq!(pair.len(), "__Host-id=".len() + 43);
    assert_eq!(attributes, " HttpOnly; SameSite=Lax; Secure; Path=/");
    assert_eq!(header(&response, "cache-control").as_deref(), Some("no-store"));
    assert_eq!(header(&response, "vary").as_deref(), Some("Cookie"));
    assert_eq!(app.probe.live_names().await, [["lang", "theme"]]);
}

#[tokio::test]
async fn a_change_costs_two_calls_and_leaves_the_cookie() {
    let app = App::new();
    let mut browser = app.visitor("theme").await;
    let (calls, response) = calls_of(&app, &mut browser, async |session| {
        session.insert("theme", "light").await.unwrap();
        ok()
    })
    .await;
    assert_eq!(calls, [Load, Save]);
    assert_eq!(only_cookie(&response), None);
}

#[tokio::test]
async fn writing_back_the_same_value_is_a_read() {
    let app = App::new();
    let mut browser = app.visitor("theme").await;
    let (calls, _) = calls_of(&app, &mut browser, async |session| {
        session.insert("theme", "1").await.unwrap();
        ok()
    })
    .await;
    assert_eq!(calls, [Load]);
}

#[tokio::test]
async fn a_write_of_what_nobody_read_costs_one_call() {
    let app = App::new();
    let mut browser = app.visitor("theme").await;
    let (calls, response) = calls_of(&app, &mut browser, async |session| {
        session.insert_unread("seen", &true).await.unwrap();
        ok()
    })
    .await;
    assert_eq!(calls, [Save]);
    assert_eq!(only_cookie(&response), None);
    assert_eq!(app.probe.live_names().await, [["seen", "theme"]]);
}

#[tokio::test]
async fn an_update_costs_two_calls_and_none_at_the_end() {
    let app = App::new();
    let mut browser = app.visitor("theme").await;
    let (calls, response) = calls_of(&app, &mut browser, async |session| {
        let visits = session.update("visits", |visits: Option<u32>| visits.unwrap_or(0) + 1).await.unwrap();
        assert_eq!(visits, 1);
        ok()
    })
    .await;
    assert_eq!(calls, [Load, Save]);
    assert_eq!(only_cookie(&response), None);
}

#[tokio::test]
async fn an_update_that_begins_the_session_sets_the_cookie() {
    let app = App::new();
    let mut browser = Browser::default();
    let (calls, response) = calls_of(&app, &mut browser, async |session| {
        session.update("visits", |visits: Option<u32>| visits.unwrap_or(0) + 1).await.unwrap();
        ok()
    })
    .await;
    assert_eq!(calls, [Save]);
    assert!(only_cookie(&response).is_some());
    assert_eq!(app.probe.live().await[0].0, browser.key());
}

#[tokio::test]
async fn a_login_costs_three_calls_and_moves_the_cookie() {
    let app = App::new();
    let mut browser = app.visitor("basket").await;
    let old_key = browser.key();
    let (calls, response) = calls_of(&app, &mut browser, async |session| {
        session.cycle_id().await.unwrap();
        session.insert("user", "ada").await.unwrap();
        ok()
    })
    .await;
    assert_eq!(calls, [Load, Save, Install]);
    assert_eq!(header(&response, "cache-control").as_deref(), Some("no-store"));
    let live = app.probe.live().await;
    assert_eq!(live.len(), 1);
    assert_eq!(live[0].0, browser.key());
    assert_ne!(browser.key(), old_key);
    assert_eq!(app.probe.live_names().await, [["basket", "user"]]);
}

#[tokio::test]
async fn a_logout_costs_one_call_and_clears_the_cookie() {
    let app = App::new();
    let mut browser = app.visitor("user").await;
    let (calls, response) = calls_of(&app, &mut browser, async |session| {
        session.flush().await.unwrap();
        ok()
    })
    .await;
    assert_eq!(calls, [Delete]);
    let cleared = "__Host-id=; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=0";
    assert_eq!(only_cookie(&response).as_deref(), Some(cleared));
    assert_eq!(header(&response, "cache-control").as_deref(), Some("no-store"));
    assert_eq!(app.probe.live().await, []);
}

#[tokio::test]
async fn a_logout_without_a_session_does_nothing() {
    let app = App::new();
    let mut browser = Browser::default();
    let (calls, response) = calls_of(&app, &mut browser, async |session| {
        session.flush().await.unwrap();
        ok()
    })
    .await;
    assert_eq!(calls, []);
    assert_eq!(only_cookie(&response), None);
}

#[tokio::test]
async fn a_session_is_touched_only_when_that_is_due() {
    let app =
        App::with(|builder| builder.with_idle_timeout(Duration::from_secs(1_000)).with_touch_share(0.5));
    let mut browser = app.visitor("theme").await;
    let read = async |session: Session| {
        session.get::<String>("theme").await.unwrap();
        ok()
    };
    app.clock.advance(Duration::from_secs(499));
    assert_eq!(calls_of(&app, &mut browser, read).await.0, [Load]);
    app.clock.advance(Duration::from_secs(1));
    let (calls, response) = calls_of(&app, &mut browser, read).await;
    assert_eq!(calls, [Load, Touch]);
    assert_eq!(only_cookie(&response), None, "a cookie that ends with the browser need not be sent again");
    assert_eq!(calls_of(&app, &mut browser, read).await.0, [Load]);
    app.clock.advance(Duration::from_secs(999));
    assert_eq!(
        calls_of(&app, &mut browser, read).await.0,
        [Load, Touch],
        "it was extended by the touch before"
    );
}

#[tokio::test]
async fn a_persistent_cookie_follows_the_deadline() {
    let app = App::with(|builder| {
        builder.with_persistent_cookie().with_idle_timeout(Duration::from_secs(1_000)).with_touch_share(0.5)
    });
    let mut browser = Browser::default();
    let write = async |session: Session| {
        session.insert("at", &app.clock_millis()).await.unwrap();
        ok()
    };
    let read = async |session: Session| {
        session.get::<u64>("at").await.unwrap();
        ok()
    };
    let (_, created) = calls_of(&app, &mut browser, write).await;
    let cookie = only_cookie(&created).unwrap();
    assert!(cookie.ends_with("; Path=/; Max-Age=1000"), "{cookie}");

    app.clock.advance(Duration::from_secs(100));
    let (_, unchanged) = calls_of(&app, &mut browser, read).await;
    assert_eq!(only_cookie(&unchanged), None, "nothing was extended");
    let (_, changed) = calls_of(&app, &mut browser, write).await;
    assert_eq!(only_cookie(&changed), Some(cookie.clone()), "the same id, for another idle time-out");

    app.clock.advance(Duration::from_secs(600));
    let (calls, touched) = calls_of(&app, &mut browser, read).await;
    assert_eq!(calls, [Load, Touch]);
    assert_eq!(only_cookie(&touched), Some(cookie));
    assert_eq!(header(&touched, "cache-control").as_deref(), Some("no-store"));
}

#[tokio::test]
async fn a_response_is_committed_whatever_its_status() {
    let app = App::new();
    for status in [400, 404, 500, 503] {
        let response = app
            .call(None, async |session| {
                session.insert("attempts", &status).await.unwrap();
                crate::support::answer(status)
            })
            .await;
        assert_eq!(response.status(), status);
        assert_eq!(response.body(), "the handler's own words");
        assert!(only_cookie(&response).is_some());
    }
    assert_eq!(app.probe.live().await.len(), 4);
}

#[test]
fn a_request_that_has_nothing_to_commit_spawns_nothing() {
    // Outside a runtime a spawn would panic.
    let app = App::new();
    let request = app.call(None, async |session| {
        assert_eq!(session.get::<String>("theme").await.unwrap(), None);
        ok()
    });
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(std::pin::pin!(request).poll(&mut context).is_ready());
}
