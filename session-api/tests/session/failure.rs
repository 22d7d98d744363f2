//! A store that does not answer.

use std::time::Duration;

use holdover_api::{CookieChange, FailurePolicy, SessionError};

use crate::spy::Bench;

#[tokio::test]
async fn a_failed_load_is_never_no_session() {
    let bench = Bench::new();
    let id = bench.logged_in().await;
    bench.store.go_down();
    let session = bench.open(&id);
    assert_eq!(session.get::<String>("user").await.unwrap_err().status(), 503);
    bench.store.come_back();
    assert!(session.insert("user", "nobody").await.is_err(), "what could not be read is not written over");
    assert!(session.needs_commit().await);
    assert_eq!(session.commit().await.unwrap_err().status(), 503, "even if the handler ignored it");
    assert_eq!(bench.read(&id, "user").await.as_deref(), Some("ada"));
}

#[tokio::test]
async fn a_session_that_cannot_be_read_can_be_destroyed() {
    let bench = Bench::new();
    let id = bench.logged_in().await;
    bench.store.go_down();
    let session = bench.open(&id);
    assert!(session.get::<String>("user").await.is_err());
    bench.store.come_back();
    session.flush().await.unwrap();
    assert_eq!(session.commit().await.unwrap().cookie, CookieChange::Clear);
    assert!(bench.open(&id).is_new().await.unwrap());
}

#[tokio::test]
async fn the_anonymous_policy_reads_nothing_and_writes_nothing() {
    let bench = Bench::new();
    let id = bench.logged_in().await;
    let policy = bench.policy.clone().with_failure_policy(FailurePolicy::Anonymous);
    bench.store.go_down();
    let session = policy.open(Some(id.clone()));
    assert_eq!(session.get::<String>("user").await.unwrap(), None);
    assert!(session.insert("user", "nobody").await.is_err());
    assert!(session.update("n", |n: Option<u8>| n.unwrap_or(0) + 1).await.is_err());
    bench.store.come_back();
    let committed = session.commit().await.unwrap();
    assert_eq!(committed.cookie, CookieChange::Keep);
    assert!(committed.degraded.is_some(), "never silent");
    assert_eq!(bench.read(&id, "user").await.as_deref(), Some("ada"));
}

#[tokio::test]
async fn the_read_only_policy_lets_a_failed_commit_pass_but_not_a_failed_load() {
    let bench = Bench::new();
    let id = bench.logged_in().await;
    let policy = bench.policy.clone().with_failure_policy(FailurePolicy::ReadOnly);
    let session = policy.open(Some(id.clone()));
    session.insert("theme", "dark").await.unwrap();
    bench.store.go_down();
    let committed = session.commit().await.unwrap();
    assert!(committed.degraded.is_some(), "never silent");
    assert_eq!(committed.cookie, CookieChange::Keep);
    let session = policy.open(Some(id.clone()));
    assert!(session.get::<String>("user").await.is_err());
    assert!(session.commit().await.is_err());
    let session = policy.open(Some(id));
    session.flush().await.unwrap();
    assert!(session.commit().await.is_err(), "a log-out that did not happen is never passed over");
}

#[tokio::test]
async fn a_failed_touch_does_not_fail_what_was_read() {
    let bench = Bench::new();
    let id = bench.logged_in().await;
    bench.clock.advance(Duration::from_secs(50));
    let session = bench.open(&id);
    session.get::<String>("user").await.unwrap();
    bench.store.go_down();
    let committed = session.commit().await.unwrap();
    assert!(committed.degraded.is_some());
    assert_eq!(committed.cookie, CookieChange::Keep);
}

#[tokio::test]
async fn errors_show_no_ids_and_no_values() {
    let bench = Bench::new();
    let id = bench.logged_in().await;
    bench.store.go_down();
    let session = bench.open(&id);
    let error = session.get::<String>("user").await.unwrap_err();
    let everything = format!("{error} {error:?} {session:?} {:?}", bench.policy);
    assert!(!everything.contains(id.expose()) && !everything.contains(&id.key().to_string()), "{everything}");
    assert!(matches!(error, SessionError::Store(_)));
}
