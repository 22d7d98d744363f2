//! Requests that overlap: nothing is lost, nothing comes back, and no slow response moves the cookie.

use std::sync::Arc;

use holdover_api::{ErrorKind, Operation, Session};
use http::{Response, StatusCode};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::support::{App, Browser, ok, only_cookie};

/// A request that has looked at its session and waits, before it writes, until it is told to go on.
struct Slow {
    go_on: oneshot::Sender<()>,
    response: JoinHandle<Response<String>>,
}

impl Slow {
    async fn start<R>(app: &App, browser: &Browser, write: impl FnOnce(Session) -> R + Send + 'static) -> Self
    where
        R: Future<Output = ()> + Send,
    {
        let (looked, has_looked) = oneshot::channel();
        let (go_on, told_to_go_on) = oneshot::channel();
        let (app, cookie) = (app.clone(), browser.cookie.clone());
        let response = tokio::spawn(async move {
            let handler = async |session: Session| {
                session.get::<String>("theme").await.unwrap();
                looked.send(()).unwrap();
                told_to_go_on.await.unwrap();
                write(session).await;
                ok()
            };
            app.call(cookie.as_deref(), handler).await
        });
        has_looked.await.unwrap();
        Self { go_on, response }
    }

    async fn end(self) -> Response<String> {
        self.go_on.send(()).unwrap();
        self.response.await.unwrap()
    }
}

async fn insert(session: Session) {
    session.insert("slow", "yes").await.unwrap();
}

async fn logout(session: Session) -> Response<String> {
    session.flush().await.unwrap();
    ok()
}

async fn login(session: Session) -> Response<String> {
    session.cycle_id().await.unwrap();
    session.insert("user", "ada").await.unwrap();
    ok()
}

#[tokio::test]
async fn a_slow_write_never_undoes_a_logout() {
    let app = App::new();
    let mut browser = app.visitor("user").await;
    let slow = Slow::start(&app, &browser, insert).await;
    browser.visit(&app, logout).await;
    let response = slow.end().await;
    assert_eq!(response.status(), StatusCode::CONFLICT);
    assert_eq!(only_cookie(&response), None);
    assert_eq!(app.probe.live().await, [], "I1");
}

#[tokio::test]
async fn a_slow_update_never_undoes_a_logout() {
    let app = App::new();
    let mut browser = app.visitor("user").await;
    let slow = Slow::start(&app, &browser, async |session| {
        let update = session.update("visits", |visits: Option<u32>| visits.unwrap_or(0) + 1).await;
        assert!(update.is_err(), "the handler is told as well");
        session.insert("slow", "yes").await.unwrap();
    })
    .await;
    browser.visit(&app, logout).await;
    let response = slow.end().await;
    assert_eq!(response.status(), StatusCode::CONFLICT);
    assert_eq!(only_cookie(&response), None);
    assert_eq!(app.probe.live().await, [], "I1");
}

#[tokio::test]
async fn a_slow_write_never_logs_the_user_out_or_back() {
    let app = App::new();
    let mut browser = app.visitor("basket").await;
    let slow = Slow::start(&app, &browser, insert).await;
    browser.visit(&app, login).await;
    let after_login = browser.key();

    let response = slow.end().await;
    assert_eq!(response.status(), StatusCode::CONFLICT);
    browser.follow(&response);
    assert_eq!(browser.key(), after_login, "the cookie of the login stays");
    let live = app.probe.live().await;
    assert_eq!(live.len(), 1, "I1");
    assert_eq!(live[0].0, after_login);
    assert_eq!(app.probe.live_names().await, [["basket", "user"]]);
}

#[tokio::test]
async fn a_slow_read_never_moves_the_cookie() {
    let app = App::with(|builder| builder.with_persistent_cookie().with_touch_share(0.0));
    let mut browser = app.visitor("basket").await;
    let slow = Slow::start(&app, &browser, async |session| {
        session.get::<String>("basket").await.unwrap();
    })
    .await;
    app.clock.advance(std::time::Duration::from_secs(60));
    browser.visit(&app, login).await;
    let response = slow.end().await;
    assert_eq!(response.status(), StatusCode::OK, "what it has read was true");
    assert_eq!(only_cookie(&response), None, "its session was not confirmed alive");
}

#[tokio::test]
async fn a_slow_logout_after_a_login_logs_nobody_in() {
    let app = App::new();
    let mut browser = app.visitor("basket").await;
    let slow = Slow::start(&app, &browser, async |session| session.flush().await.unwrap()).await;
    browser.visit(&app, login).await;
    slow.end().await;
    let live = app.probe.live().await;
    assert!(live.iter().all(|(key, _)| *key == browser.key()), "the old session never comes back");
}

#[tokio::test]
async fn a_slow_write_is_kept_by_a_login_that_follows_it() {
    let app = App::new();
    let mut browser = app.visitor("basket").await;
    let slow_login = Slow::start(&app, &browser, async |session| {
        session.cycle_id().await.unwrap();
        session.insert("user", "ada").await.unwrap();
    })
    .await;
    browser
        .visit(&app, async |session| {
            session.insert("late", "yes").await.unwrap();
            ok()
        })
        .await;
    browser.follow(&slow_login.end().await);
    assert_eq!(app.probe.live_names().await, [["basket", "late", "user"]], "I2");
    assert_eq!(app.probe.live().await[0].0, browser.key());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_parallel_requests_lose_nothing() {
    let app = App::new();
    app.probe.give_way(2);
    let browser = app.visitor("theme").await;
    let tasks: Vec<_> = (0..60)
        .map(|number| {
            let (app, mut browser) = (app.clone(), browser.clone());
            tokio::spawn(async move {
                let handler = async |session: Session| {
                    session.get::<String>("theme").await.unwrap();
                    tokio::task::yield_now().await;
                    session.insert(&format!("name{number}"), &number).await.unwrap();
                    session.update("count", |count: Option<u32>| count.unwrap_or(0) + 1).await.unwrap();
                    ok()
                };
                browser.visit(&app, handler).await.status()
            })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), StatusCode::OK);
    }
    let live = app.probe.live().await;
    assert_eq!(live.len(), 1);
    let attributes = &live[0].1.attributes;
    assert_eq!(attributes.len(), 62, "60 names, the theme and the count: I2");
    assert_eq!(attributes["count"], holdover_api::Codec::Json.encode(&60_u32).unwrap(), "I3");
}

#[tokio::test]
async fn a_failed_slow_write_is_told_apart_from_a_logout() {
    let app = Arc::new(App::new());
    let browser = app.visitor("theme").await;
    let slow = Slow::start(&app, &browser, insert).await;
    app.probe.fail(Operation::Save, ErrorKind::Unavailable);
    assert_eq!(slow.end().await.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(app.probe.live_names().await, [["theme"]]);
}
