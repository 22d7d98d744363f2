//! A client that hangs up: the request's future is dropped at every single await in turn, and what is left is either
//! the whole change or none of it, and never two sessions.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use holdover_api::{Record, Session, SessionKey};
use http::Response;

use crate::support::{App, Browser, ok, spawned_tasks_have_ended};

/// Every operation gives way so often before its effect and after it, so that there are awaits to drop at.
const YIELDS: usize = 3;

/// Polls `request` so many times, letting spawned tasks run in between, and then drops it.
async fn polled(times: usize, request: impl Future<Output = Response<String>>) -> Option<Response<String>> {
    let mut request = pin!(request);
    for turn in 0..times {
        if turn > 0 {
            tokio::task::yield_now().await;
        }
        let once = poll_fn(|cx| Poll::Ready(request.as_mut().poll(cx))).await;
        if let Poll::Ready(response) = once {
            return Some(response);
        }
    }
    None
}

type Live = Vec<(SessionKey, Record)>;

/// What was seen at all the points where the request was dropped.
#[derive(Debug, Default)]
struct Seen {
    before: usize,
    after: usize,
    drops: usize,
}

/// Drops a request of `browser` at every await in turn. `is_before` and `is_after` say whether the live sessions are
/// those of an untouched store, or of one that has the whole change.
async fn drop_everywhere<R>(
    attribute: Option<&str>,
    handler: impl Fn(Session) -> R,
    is_before: impl Fn(&Live) -> bool,
    is_after: impl Fn(&Live) -> bool,
) where
    R: Future<Output = Response<String>>,
{
    let mut seen = Seen::default();
    for times in 1.. {
        let app = App::new();
        let mut browser = match attribute {
            Some(name) => app.visitor(name).await,
            None => Browser::default(),
        };
        app.probe.give_way(YIELDS);
        let cookie = browser.cookie.clone();
        let response = polled(times, app.call(cookie.as_deref(), &handler)).await;
        spawned_tasks_have_ended().await;

        let live = app.probe.live().await;
        assert!(is_before(&live) != is_after(&live), "after {times} polls half of it is there: {live:?}");
        if is_before(&live) {
            assert_eq!(seen.after, 0, "after {times} polls less is there than one poll earlier");
            seen.before += 1;
        } else {
            seen.after += 1;
        }
        let Some(response) = response else {
            seen.drops += 1;
            assert!(times < 1_000, "the request never ends");
            continue;
        };
        assert!(is_after(&live), "the response went out before the change was made");
        browser.follow(&response);
        let names: Vec<_> = live.iter().map(|(key, _)| *key).collect();
        let expected: Vec<_> = browser.cookie.is_some().then(|| browser.key()).into_iter().collect();
        assert_eq!(names, expected, "the browser holds the one session that lives, if any does");
        break;
    }
    // Both sides were met, and the drops reached into the commit: the test is not vacuous.
    assert!(seen.before > 0 && seen.after > 1 && seen.drops > YIELDS, "{seen:?}");
}

fn names(live: &Live) -> Vec<Vec<&str>> {
    live.iter().map(|(_, record)| record.attributes.keys().map(String::as_str).collect()).collect()
}

#[tokio::test]
async fn a_dropped_create_is_whole_or_nothing() {
    let create = async |session: Session| {
        session.insert("basket", "apples").await.unwrap();
        tokio::task::yield_now().await;
        session.insert("theme", "dark").await.unwrap();
        ok()
    };
    drop_everywhere(None, create, Vec::is_empty, |live| names(live) == [["basket", "theme"]]).await;
}

#[tokio::test]
async fn a_dropped_change_is_whole_or_nothing() {
    let change = async |session: Session| {
        session.remove::<String>("basket").await.unwrap();
        tokio::task::yield_now().await;
        session.insert("order", "7").await.unwrap();
        session.insert("theme", "dark").await.unwrap();
        ok()
    };
    drop_everywhere(
        Some("basket"),
        change,
        |live| names(live) == [["basket"]],
        |live| names(live) == [["order", "theme"]],
    )
    .await;
}

#[tokio::test]
async fn a_dropped_login_leaves_one_session_old_or_new() {
    let login = async |session: Session| {
        session.cycle_id().await.unwrap();
        tokio::task::yield_now().await;
        session.insert("user", "ada").await.unwrap();
        ok()
    };
    drop_everywhere(
        Some("basket"),
        login,
        |live| names(live) == [["basket"]],
        |live| names(live) == [["basket", "user"]],
    )
    .await;
}

#[tokio::test]
async fn a_dropped_logout_is_whole_or_nothing() {
    let logout = async |session: Session| {
        session.get::<String>("user").await.unwrap();
        session.flush().await.unwrap();
        tokio::task::yield_now().await;
        ok()
    };
    drop_everywhere(Some("user"), logout, |live| names(live) == [["user"]], Vec::is_empty).await;
}

#[tokio::test]
async fn a_dropped_change_of_user_leaves_one_session_old_or_new() {
    let change_user = async |session: Session| {
        session.flush().await.unwrap();
        tokio::task::yield_now().await;
        session.insert("next", "grace").await.unwrap();
        ok()
    };
    drop_everywhere(
        Some("user"),
        change_user,
        |live| names(live) == [["user"]],
        |live| names(live) == [["next"]],
    )
    .await;
}

#[tokio::test]
async fn a_dropped_update_is_whole_or_nothing() {
    let update = async |session: Session| {
        session.update("visits", |visits: Option<u32>| visits.unwrap_or(0) + 1).await.unwrap();
        ok()
    };
    drop_everywhere(
        Some("basket"),
        update,
        |live| names(live) == [["basket"]],
        |live| names(live) == [["basket", "visits"]],
    )
    .await;
}
