//! Ids that the client made up are never adopted (I8), and cookies that cannot be ours never reach the store.

use holdover_api::{Operation, OsEntropy, Session, SessionId};
use http::header::COOKIE;
use http::{Response, StatusCode};
use tower::{Layer, Service};

use crate::support::{App, Browser, Once, ok, only_cookie, request};

fn invented() -> (SessionId, Browser) {
    let id = SessionId::draw(&OsEntropy).unwrap();
    let browser = Browser { cookie: Some(format!("__Host-id={}", id.expose())) };
    (id, browser)
}

/// The handler writes in some way under an invented id: a new session has begun, under another id.
async fn never_adopted<R>(handler: impl FnOnce(Session) -> R)
where
    R: Future<Output = Response<String>>,
{
    let app = App::new();
    let (id, mut browser) = invented();
    let response = browser.visit(&app, handler).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert!(only_cookie(&response).is_some());
    assert_ne!(browser.key(), id.key(), "I8");
    let live = app.probe.live().await;
    assert_eq!(live.len(), 1, "one session, under an id that was drawn here");
    assert_eq!(live[0].0, browser.key());
}

#[tokio::test]
async fn an_invented_id_is_not_adopted_by_an_insert() {
    never_adopted(async |session| {
        session.insert("user", "ada").await.unwrap();
        ok()
    })
    .await;
}

#[tokio::test]
async fn an_invented_id_is_not_adopted_by_clear_and_insert() {
    never_adopted(async |session| {
        session.clear().await.unwrap();
        session.insert("user", "ada").await.unwrap();
        ok()
    })
    .await;
}

#[tokio::test]
async fn an_invented_id_is_not_adopted_by_flush_and_insert() {
    never_adopted(async |session| {
        session.flush().await.unwrap();
        session.insert("user", "ada").await.unwrap();
        ok()
    })
    .await;
}

#[tokio::test]
async fn an_invented_id_is_not_adopted_by_a_renewal() {
    never_adopted(async |session| {
        session.cycle_id().await.unwrap();
        session.insert("user", "ada").await.unwrap();
        ok()
    })
    .await;
    never_adopted(async |session| {
        session.insert("user", "ada").await.unwrap();
        session.cycle_id().await.unwrap();
        ok()
    })
    .await;
}

#[tokio::test]
async fn an_invented_id_is_not_adopted_by_an_update() {
    never_adopted(async |session| {
        session.update("visits", |visits: Option<u32>| visits.unwrap_or(0) + 1).await.unwrap();
        ok()
    })
    .await;
    never_adopted(async |session| {
        session.flush().await.unwrap();
        session.update("visits", |visits: Option<u32>| visits.unwrap_or(0) + 1).await.unwrap();
        ok()
    })
    .await;
}

#[tokio::test]
async fn an_unread_write_under_an_invented_id_is_409_and_begins_nothing() {
    let app = App::new();
    let (_, mut browser) = invented();
    let response = browser
        .visit(&app, async |session| {
            session.insert_unread("user", "ada").await.unwrap();
            ok()
        })
        .await;
    assert_eq!(response.status(), StatusCode::CONFLICT);
    assert_eq!(only_cookie(&response), None);
    assert_eq!(app.probe.live().await, [], "I8");
}

#[tokio::test]
async fn an_id_is_dead_after_logout_and_after_login() {
    let app = App::new();
    let mut browser = app.visitor("user").await;
    let mut thief = browser.clone();
    browser
        .visit(&app, async |session| {
            session.cycle_id().await.unwrap();
            ok()
        })
        .await;
    let sees_nothing = async |session: Session| {
        assert_eq!(session.get::<String>("user").await.unwrap(), None);
        assert!(session.is_new().await.unwrap());
        ok()
    };
    thief.visit(&app, sees_nothing).await;
    thief = browser.clone();
    browser
        .visit(&app, async |session| {
            session.flush().await.unwrap();
            ok()
        })
        .await;
    assert_eq!(browser.cookie, None);
    thief.visit(&app, sees_nothing).await;
}

#[tokio::test]
async fn cookies_that_cannot_be_ours_never_reach_the_store() {
    let app = App::new();
    let visitor = app.visitor("user").await;
    let good = visitor.cookie.unwrap();
    let hostile = [
        "__Host-id=".to_owned(),
        "__Host-id=../../etc/passwd".to_owned(),
        format!("{}A", good),
        good[..good.len() - 1].to_owned(),
        good.replace("__Host-id", "__host-id"),
        good.replace("__Host-id", "id"),
        good.replacen('=', "=\"", 1) + "\"",
        format!("{good}; {good}"),
        format!("{good}; __Host-id=x"),
        format!("__Host-id={}", "A".repeat(4_096)),
        format!("{good}; filler={}", "x".repeat(64 * 1024)),
    ];
    for cookie in hostile {
        let response = app
            .call(Some(&cookie), async |session| {
                assert_eq!(session.get::<String>("user").await.unwrap(), None, "the session is new");
                ok()
            })
            .await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(only_cookie(&response), None);
        assert_eq!(app.probe.calls(), [], "{}", &cookie[..cookie.len().min(80)]);
    }
}

#[tokio::test]
async fn a_write_after_a_hostile_cookie_begins_a_session_of_its_own() {
    let app = App::new();
    let victim = app.visitor("user").await;
    let cookie = victim.cookie.clone().unwrap();
    let mut tossed = Browser { cookie: Some(format!("{cookie}; {cookie}")) };
    tossed
        .visit(&app, async |session| {
            session.insert("theme", "dark").await.unwrap();
            ok()
        })
        .await;
    assert_eq!(app.probe.calls(), [Operation::Save]);
    assert_ne!(tossed.key(), victim.key());
    assert_eq!(app.probe.live().await.len(), 2);
}

#[tokio::test]
async fn cookies_in_several_headers_are_read() {
    let app = App::new();
    let browser = app.visitor("user").await;
    let mut split = request(Some("theme=dark"));
    for value in [browser.cookie.as_deref().unwrap(), "lang=en"] {
        split.headers_mut().append(COOKIE, value.parse().unwrap());
    }
    let handler = async |session: Session| {
        assert!(!session.is_new().await.unwrap());
        ok()
    };
    let Ok(response) = app.layer.layer(Once(Some(handler))).call(split).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert!(app.probe.was_asked_about(&browser.key()));
}
