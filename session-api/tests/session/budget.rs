//! Store calls per request.

use std::time::Duration;

use holdover_api::{CookieChange, Freshness, Operation};

use crate::spy::Bench;

#[tokio::test]
async fn an_untouched_session_costs_nothing() {
    let bench = Bench::new();
    let id = bench.logged_in().await;
    let session = bench.open(&id);
    assert!(!session.was_used());
    assert!(!session.needs_commit().await);
    assert_eq!(session.commit().await.unwrap().cookie, CookieChange::Keep);
    assert_eq!(bench.store.calls(), []);
}

#[tokio::test]
async fn reads_cost_one_load_however_many_there_are() {
    let bench = Bench::new();
    let id = bench.logged_in().await;
    let session = bench.open(&id);
    assert_eq!(session.get::<String>("user").await.unwrap().as_deref(), Some("ada"));
    assert_eq!(session.clone().get::<String>("other").await.unwrap(), None);
    assert!(!session.is_new().await.unwrap());
    assert!(!session.needs_commit().await);
    assert_eq!(bench.store.calls(), [Operation::Load]);
}

#[tokio::test]
async fn a_read_is_the_latest_unless_the_policy_says_how_old_it_may_be() {
    let bench = Bench::new();
    let id = bench.logged_in().await;
    bench.open(&id).get::<String>("user").await.unwrap();
    assert_eq!(bench.store.freshness(), Some(Freshness::Latest));
    let staleness = Duration::from_millis(500);
    let session = bench.policy.clone().with_read_staleness(staleness).open(Some(id));
    session.get::<String>("user").await.unwrap();
    assert_eq!(bench.store.freshness(), Some(Freshness::Within(staleness)));
}

#[tokio::test]
async fn a_change_costs_a_load_and_a_save() {
    let bench = Bench::new();
    let id = bench.logged_in().await;
    let session = bench.open(&id);
    session.insert("theme", "dark").await.unwrap();
    session.insert("lang", "de").await.unwrap();
    session.remove::<String>("user").await.unwrap();
    session.commit().await.unwrap();
    assert_eq!(bench.store.calls(), [Operation::Load, Operation::Save]);
}

#[tokio::test]
async fn a_write_of_what_nobody_read_costs_one_save() {
    let bench = Bench::new();
    let id = bench.logged_in().await;
    let session = bench.open(&id);
    session.insert_unread("theme", "dark").await.unwrap();
    session.commit().await.unwrap();
    assert_eq!(bench.store.calls(), [Operation::Save]);
    assert_eq!(bench.read(&id, "theme").await.as_deref(), Some("dark"));
}

#[tokio::test]
async fn an_update_costs_a_load_and_a_save() {
    let bench = Bench::new();
    let id = bench.logged_in().await;
    let session = bench.open(&id);
    let visits = session.update("visits", |visits: Option<u32>| visits.unwrap_or(0) + 1).await.unwrap();
    assert_eq!(visits, 1);
    session.commit().await.unwrap();
    assert_eq!(bench.store.calls(), [Operation::Load, Operation::Save]);
}

#[tokio::test]
async fn creating_and_destroying_cost_one_call_each() {
    let bench = Bench::new();
    let id = bench.logged_in().await;
    let session = bench.policy.open(None);
    session.insert("a", 1).await.unwrap();
    session.commit().await.unwrap();
    assert_eq!(bench.store.calls(), [Operation::Save]);

    let session = bench.open(&id);
    session.flush().await.unwrap();
    assert_eq!(session.commit().await.unwrap().cookie, CookieChange::Clear);
    assert_eq!(bench.store.calls(), [Operation::Delete]);
}

#[tokio::test]
async fn a_renewal_costs_three_calls() {
    let bench = Bench::new();
    let id = bench.logged_in().await;
    let session = bench.open(&id);
    session.cycle_id().await.unwrap();
    session.insert("user", "grace").await.unwrap();
    session.commit().await.unwrap();
    assert_eq!(bench.store.calls(), [Operation::Load, Operation::Save, Operation::Install]);
}

#[tokio::test]
async fn writing_the_same_value_back_is_not_a_change() {
    let bench = Bench::new();
    let id = bench.logged_in().await;
    let session = bench.open(&id);
    session.insert("user", "ada").await.unwrap();
    session.insert("gone", 1).await.unwrap();
    session.revert().await;
    session.insert("user", "grace").await.unwrap();
    session.insert("user", "ada").await.unwrap();
    session.remove::<u32>("never there").await.unwrap();
    let kept: String = session.update("user", |user: Option<String>| user.unwrap_or_default()).await.unwrap();
    assert_eq!(kept, "ada");
    assert!(!session.needs_commit().await);
    assert_eq!(bench.store.calls(), [Operation::Load]);
}

#[tokio::test]
async fn looking_at_no_session_creates_nothing() {
    let bench = Bench::new();
    let session = bench.policy.open(None);
    assert!(session.is_new().await.unwrap());
    assert!(session.is_empty().await.unwrap());
    session.clear().await.unwrap();
    session.cycle_id().await.unwrap();
    session.insert("a", 1).await.unwrap();
    session.unset("a").await.unwrap();
    assert_eq!(session.commit().await.unwrap().cookie, CookieChange::Keep);
    session.flush().await.unwrap();
    assert_eq!(session.commit().await.unwrap().cookie, CookieChange::Keep);
    assert_eq!(bench.store.calls(), []);
}
