//! Requests that overlap on one session.

use holdover_api::{CookieChange, Operation, SessionError};

use crate::spy::{Bench, new_id};

#[tokio::test]
async fn parallel_changes_of_different_attributes_are_all_kept() {
    let bench = Bench::new();
    let id = bench.logged_in().await;
    let mut requests = Vec::new();
    for number in 0..60 {
        let session = bench.open(&id);
        session.insert(&format!("a{number}"), number).await.unwrap();
        requests.push(session);
    }
    for request in requests {
        request.commit().await.unwrap();
    }
    let session = bench.open(&id);
    for number in 0..60 {
        assert_eq!(session.get::<u32>(&format!("a{number}")).await.unwrap(), Some(number));
    }
}

#[tokio::test]
async fn an_update_that_lost_the_race_starts_from_the_winner() {
    let bench = Bench::new();
    let id = bench.logged_in().await;
    let first = bench.open(&id);
    let second = bench.open(&id);
    first.get::<u32>("n").await.unwrap();
    second.get::<u32>("n").await.unwrap();
    bench.store.calls();
    let count = |n: Option<u32>| n.unwrap_or(0) + 1;
    assert_eq!(first.update("n", count).await.unwrap(), 1);
    assert_eq!(second.update("n", count).await.unwrap(), 2);
    assert_eq!(bench.store.calls(), [Operation::Save; 3], "the refusal carried the record");
}

#[tokio::test]
async fn updates_from_many_tasks_are_exact() {
    let bench = Bench::new();
    let id = bench.logged_in().await;
    let tasks: Vec<_> = (0..60)
        .map(|_| {
            let session = bench.open(&id);
            tokio::spawn(async move { session.update("n", |n: Option<u32>| n.unwrap_or(0) + 1).await })
        })
        .collect();
    let mut seen = Vec::new();
    for task in tasks {
        seen.push(task.await.unwrap().unwrap());
    }
    seen.sort_unstable();
    assert_eq!(seen, (1..=60).collect::<Vec<_>>(), "every committed value is answered once");
}

#[tokio::test]
async fn a_slow_request_never_brings_a_destroyed_session_back() {
    let bench = Bench::new();
    let id = bench.logged_in().await;
    let slow = bench.open(&id);
    slow.insert("late", 1).await.unwrap();
    let updating = bench.open(&id);
    updating.is_new().await.unwrap();
    let reading = bench.open(&id);
    reading.get::<String>("user").await.unwrap();
    let renewing = bench.open(&id);
    renewing.cycle_id().await.unwrap();
    renewing.get::<String>("user").await.unwrap();

    let logout = bench.open(&id);
    logout.flush().await.unwrap();
    logout.commit().await.unwrap();

    assert!(matches!(slow.commit().await, Err(SessionError::Gone)));
    let updated = updating.update("n", |n: Option<u32>| n.unwrap_or(0) + 1).await;
    assert!(matches!(updated, Err(SessionError::Gone)));
    assert!(matches!(renewing.commit().await, Err(SessionError::Gone)));
    assert_eq!(reading.commit().await.unwrap().cookie, CookieChange::Keep);
    assert!(bench.open(&id).is_new().await.unwrap());
    assert_eq!(bench.store.sessions(), 0, "not even under another id");
}

#[tokio::test]
async fn a_slow_request_that_overlaps_a_login_leaves_the_cookie_alone() {
    let bench = Bench::new();
    let old = bench.logged_in().await;
    let slow = bench.open(&old);
    slow.insert("late", 1).await.unwrap();
    let login = bench.open(&old);
    login.cycle_id().await.unwrap();
    let new = new_id(&login.commit().await.unwrap());
    assert!(matches!(slow.commit().await, Err(SessionError::Gone)));
    assert_eq!(bench.read(&new, "user").await.as_deref(), Some("ada"));
}

#[tokio::test]
async fn two_renewals_of_one_id_leave_one_session() {
    let bench = Bench::new();
    let old = bench.logged_in().await;
    let first = bench.open(&old);
    let second = bench.open(&old);
    for session in [&first, &second] {
        session.cycle_id().await.unwrap();
        session.get::<String>("user").await.unwrap();
    }
    let new = new_id(&first.commit().await.unwrap());
    assert!(matches!(second.commit().await, Err(SessionError::Gone)));
    assert_eq!(bench.read(&new, "user").await.as_deref(), Some("ada"));
    assert_eq!(bench.store.sessions(), 2, "the session and the tombstone of the old id");
}

#[tokio::test]
async fn what_others_write_during_a_renewal_is_carried_over() {
    let bench = Bench::new();
    let old = bench.logged_in().await;
    let renewing = bench.open(&old);
    renewing.cycle_id().await.unwrap();
    renewing.insert("role", "admin").await.unwrap();

    let others: Vec<_> = [bench.open(&old), bench.open(&old)].into();
    for (number, other) in others.iter().enumerate() {
        other.insert(&format!("other{number}"), number).await.unwrap();
    }
    // One writes between the look and the creation, the other between the creation and the burial.
    let mut pending = others.into_iter();
    bench.store.on_call(move |operation| {
        if matches!(operation, Operation::Save | Operation::Install)
            && let Some(other) = pending.next()
        {
            futures_now(async move { other.commit().await.map(drop) }).unwrap();
        }
        Ok(())
    });
    let new = new_id(&renewing.commit().await.unwrap());
    bench.store.come_back();
    let all = bench.open(&new).attributes::<serde_json::Value>().await.unwrap();
    assert_eq!(all.keys().collect::<Vec<_>>(), ["other0", "other1", "role", "user"]);
    assert!(bench.open(&old).is_new().await.unwrap());
}

#[tokio::test]
async fn a_burial_whose_answer_is_lost_does_not_lose_the_session() {
    let bench = Bench::new();
    let old = bench.logged_in().await;
    let renewing = bench.open(&old);
    renewing.cycle_id().await.unwrap();
    bench.store.lose_answer_of(Operation::Install);
    let new = new_id(&renewing.commit().await.unwrap());
    assert_eq!(bench.read(&new, "user").await.as_deref(), Some("ada"));
    assert!(bench.open(&old).is_new().await.unwrap());
}

/// Runs a future that never has to wait.
fn futures_now<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => panic!("the memory store never waits"),
    }
}
