//! Time-outs, enforced from the record.

use std::time::Duration;

use holdover_api::{Clock, CookieChange, Operation};

use crate::spy::{Bench, new_id};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn an_idle_session_ends_at_its_deadline() {
    let bench = Bench::new();
    let id = bench.logged_in().await;
    bench.clock.advance(99 * SECOND);
    assert_eq!(bench.read(&id, "user").await.as_deref(), Some("ada"));
    bench.clock.advance(SECOND);
    assert_eq!(bench.read(&id, "user").await, None);
}

#[tokio::test]
async fn reading_touches_only_when_a_share_of_the_idle_time_has_passed() {
    let bench = Bench::new();
    let id = bench.logged_in().await;
    bench.clock.advance(9 * SECOND);
    let session = bench.open(&id);
    session.get::<String>("user").await.unwrap();
    assert!(!session.needs_commit().await);

    bench.clock.advance(SECOND);
    let session = bench.open(&id);
    session.get::<String>("user").await.unwrap();
    let committed = session.commit().await.unwrap();
    let deadline = bench.clock.now() + 100 * SECOND;
    assert_eq!(committed.cookie, CookieChange::Refresh { id: id.clone(), deadline });
    assert_eq!(bench.store.calls(), [Operation::Load, Operation::Load, Operation::Touch]);
    assert_eq!(bench.open(&id).expires_at().await.unwrap(), Some(deadline));
}

#[tokio::test]
async fn a_session_that_is_used_lives_until_the_absolute_timeout_and_no_longer() {
    let bench = Bench::new();
    let mut id = bench.logged_in().await;
    let began = bench.clock.now();
    for round in 1..=19 {
        bench.clock.advance(50 * SECOND);
        let session = bench.open(&id);
        assert_eq!(session.get::<String>("user").await.unwrap().as_deref(), Some("ada"), "round {round}");
        match round % 3 {
            0 => session.insert("round", round).await.unwrap(),
            1 => session.cycle_id().await.unwrap(),
            _ => {}
        }
        let committed = session.commit().await.unwrap();
        if round % 3 == 1 {
            id = new_id(&committed);
        }
    }
    assert_eq!(bench.open(&id).created_at().await.unwrap(), Some(began), "renewal keeps the beginning");
    assert_eq!(bench.open(&id).expires_at().await.unwrap(), Some(began + 1_000 * SECOND));
    bench.clock.advance(50 * SECOND);
    assert_eq!(bench.read(&id, "user").await, None);
}

#[tokio::test]
async fn a_shortened_absolute_timeout_ends_sessions_that_began_before() {
    let bench = Bench::new();
    let id = bench.logged_in().await;
    bench.clock.advance(60 * SECOND);
    let strict = bench.policy.clone().with_absolute_timeout(60 * SECOND).with_idle_timeout(50 * SECOND);
    assert!(strict.open(Some(id.clone())).is_new().await.unwrap());
    assert!(!bench.open(&id).is_new().await.unwrap());
}

#[tokio::test]
async fn a_session_that_expires_during_the_request_is_gone() {
    let bench = Bench::new();
    let id = bench.logged_in().await;
    let session = bench.open(&id);
    session.insert("late", true).await.unwrap();
    bench.clock.advance(100 * SECOND);
    assert!(matches!(session.commit().await, Err(holdover_api::SessionError::Gone)));
    assert_eq!(bench.read(&id, "late").await, None);
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused() {
    let policy = Bench::new().policy;
    for broken in [
        policy.clone().with_idle_timeout(Duration::ZERO),
        policy.clone().with_absolute_timeout(99 * SECOND),
        policy.clone().with_absolute_timeout(Duration::MAX),
        policy.clone().with_touch_share(1.1),
        policy.clone().with_touch_share(f64::NAN),
        policy.clone().with_call_timeout(Duration::ZERO),
        policy.clone().with_max_bytes(0),
        policy.clone().with_max_bytes(usize::MAX),
    ] {
        assert!(broken.validate().is_err(), "{broken:?}");
    }
}
