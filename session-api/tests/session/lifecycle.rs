//! Creation, renewal, destruction, and ids that nobody drew (I8).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use holdover_api::{CookieChange, Entropy, EntropyError, OsEntropy, SessionError, SessionId, SessionPolicy};

use crate::spy::{Bench, new_id};

#[tokio::test]
async fn attributes_are_read_back_as_written() {
    let bench = Bench::new();
    let session = bench.policy.open(None);
    session.insert("list", vec![1, 2, 3]).await.unwrap();
    session.insert("", "no name").await.unwrap();
    let id = new_id(&session.commit().await.unwrap());

    let session = bench.open(&id);
    session.insert("n", 7).await.unwrap();
    let all: BTreeMap<String, serde_json::Value> = session.attributes().await.unwrap();
    let expected = [("", serde_json::json!("no name")), ("list", [1, 2, 3].into()), ("n", 7.into())];
    assert_eq!(all, expected.map(|(name, value)| (name.to_owned(), value)).into());
    session.clear().await.unwrap();
    session.insert("after", 1).await.unwrap();
    session.commit().await.unwrap();
    let names = bench.open(&id).attributes::<u8>().await.unwrap();
    assert_eq!(names.keys().collect::<Vec<_>>(), ["after"]);
}

#[tokio::test]
async fn a_renewal_keeps_the_attributes_and_kills_the_old_id() {
    let bench = Bench::new();
    let old = bench.logged_in().await;
    let session = bench.open(&old);
    session.insert("role", "admin").await.unwrap();
    session.cycle_id().await.unwrap();
    let new = new_id(&session.commit().await.unwrap());
    assert_ne!(new, old);
    assert_eq!(bench.read(&new, "user").await.as_deref(), Some("ada"));
    assert_eq!(bench.read(&new, "role").await.as_deref(), Some("admin"));
    assert!(bench.open(&old).is_new().await.unwrap());
}

#[tokio::test]
async fn a_destroyed_session_is_dead_and_what_comes_after_is_another() {
    let bench = Bench::new();
    let old = bench.logged_in().await;
    let session = bench.open(&old);
    session.flush().await.unwrap();
    assert_eq!(session.get::<String>("user").await.unwrap(), None);
    session.insert("user", "grace").await.unwrap();
    let new = new_id(&session.commit().await.unwrap());
    assert_ne!(new, old);
    assert!(bench.open(&old).is_new().await.unwrap());
    assert_eq!(bench.read(&new, "user").await.as_deref(), Some("grace"));
    assert_eq!(bench.store.sessions(), 1);
}

#[tokio::test]
async fn an_invented_id_is_never_adopted() {
    let bench = Bench::new();
    let invented = SessionId::draw(&OsEntropy).unwrap();
    for way in ["insert", "update", "clear", "flush", "cycle", "unread"] {
        let session = bench.open(&invented);
        match way {
            "insert" => {}
            "update" => drop(session.update("n", |n: Option<u8>| n.unwrap_or(0) + 1).await.unwrap()),
            "clear" => session.clear().await.unwrap(),
            "flush" => session.flush().await.unwrap(),
            "cycle" => session.cycle_id().await.unwrap(),
            _ => session.insert_unread("x", 1).await.unwrap(),
        }
        if way == "unread" {
            assert!(matches!(session.commit().await, Err(SessionError::Gone)));
        } else {
            session.insert("user", "mallory").await.unwrap();
            assert_ne!(new_id(&session.commit().await.unwrap()), invented, "{way}");
        }
        assert!(bench.open(&invented).is_new().await.unwrap(), "{way}");
    }
}

#[tokio::test]
async fn an_update_creates_the_session_and_its_cookie_is_not_forgotten() {
    let bench = Bench::new();
    let session = bench.policy.open(None);
    session.insert("user", "ada").await.unwrap();
    session.update("n", |n: Option<u8>| n.unwrap_or(0) + 1).await.unwrap();
    session.update("n", |n: Option<u8>| n.unwrap_or(0) + 1).await.unwrap();
    session.insert("more", 1).await.unwrap();
    let id = new_id(&session.commit().await.unwrap());
    assert_eq!(bench.store.sessions(), 1);
    let all = bench.open(&id).attributes::<serde_json::Value>().await.unwrap();
    assert_eq!(all.len(), 3);
    assert_eq!(all["n"], 2);
}

#[tokio::test]
async fn a_session_that_an_update_created_and_the_request_destroyed_leaves_no_cookie() {
    let bench = Bench::new();
    let session = bench.policy.open(None);
    session.update("n", |n: Option<u8>| n.unwrap_or(0) + 1).await.unwrap();
    session.flush().await.unwrap();
    assert_eq!(session.commit().await.unwrap().cookie, CookieChange::Keep);
    assert_eq!(bench.store.sessions(), 0);
}

#[tokio::test]
async fn an_update_after_a_renewal_writes_under_the_new_id() {
    let bench = Bench::new();
    let old = bench.logged_in().await;
    let session = bench.open(&old);
    session.cycle_id().await.unwrap();
    session.update("n", |n: Option<u8>| n.unwrap_or(0) + 1).await.unwrap();
    let new = new_id(&session.commit().await.unwrap());
    assert!(bench.open(&old).is_new().await.unwrap());
    assert_eq!(bench.open(&new).get::<u8>("n").await.unwrap(), Some(1));
    assert_eq!(bench.read(&new, "user").await.as_deref(), Some("ada"));
}

#[tokio::test]
async fn an_undecodable_attribute_is_an_error_and_can_be_removed() {
    let bench = Bench::new();
    let id = bench.logged_in().await;
    let session = bench.open(&id);
    assert!(matches!(session.get::<u32>("user").await, Err(SessionError::Codec(_))));
    assert!(matches!(session.remove::<u32>("user").await, Err(SessionError::Codec(_))));
    assert!(session.unset("user").await.unwrap());
    session.commit().await.unwrap();
    assert!(bench.open(&id).is_empty().await.unwrap());
}

#[tokio::test]
async fn an_oversized_session_is_refused_before_anything_is_sent() {
    let bench = Bench::new();
    let policy = bench.policy.clone().with_max_bytes(1_000);
    let session = policy.open(None);
    let refused = session.insert("big", "x".repeat(1_000)).await.unwrap_err();
    assert!(matches!(refused, SessionError::TooLarge { limit: 1_000, .. }), "{refused}");
    let refused = session.update("big", |_: Option<String>| "x".repeat(1_000)).await.unwrap_err();
    assert_eq!(refused.status(), 413);
    session.insert("small", "x".repeat(500)).await.unwrap();
    assert!(session.insert("second", "x".repeat(500)).await.is_err(), "the sum counts");
    session.insert("small", "y".repeat(600)).await.unwrap();
    session.commit().await.unwrap();
    assert_eq!(bench.store.calls().len(), 1);
}

#[derive(Debug)]
struct BrokenEntropy;

impl Entropy for BrokenEntropy {
    fn fill(&self, _bytes: &mut [u8]) -> Result<(), EntropyError> {
        Err(EntropyError::new("no randomness today"))
    }
}

#[tokio::test]
async fn failing_randomness_is_an_error_and_never_a_weak_id() {
    let bench = Bench::new();
    let policy = bench.policy.clone().with_entropy(Arc::new(BrokenEntropy));
    let session = policy.open(None);
    session.insert("user", "ada").await.unwrap();
    assert!(matches!(session.commit().await, Err(SessionError::Entropy(_))));
    assert_eq!(bench.store.sessions(), 0);
}

/// Gives the same bytes for a number of calls, as after a fork, and then others.
#[derive(Debug)]
struct RepeatingEntropy {
    calls: AtomicU8,
    repeats: u8,
}

impl Entropy for RepeatingEntropy {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        // Stamps differ, so that the second creation is not taken for a repetition of the first.
        let byte = if bytes.len() == 16 || call >= self.repeats { call } else { 0xEE };
        bytes.fill(byte);
        Ok(())
    }
}

fn repeating(policy: &SessionPolicy, repeats: u8) -> SessionPolicy {
    policy.clone().with_entropy(Arc::new(RepeatingEntropy { calls: AtomicU8::new(0), repeats }))
}

#[tokio::test]
async fn a_repeated_id_is_never_shared_by_two_users() {
    let bench = Bench::new();
    let policy = repeating(&bench.policy, 4);
    let mut ids = Vec::new();
    for user in ["ada", "grace"] {
        let session = policy.open(None);
        session.insert("user", user).await.unwrap();
        ids.push(new_id(&session.commit().await.unwrap()));
    }
    assert_ne!(ids[0], ids[1]);
    assert_eq!(bench.read(&ids[0], "user").await.as_deref(), Some("ada"));
    assert_eq!(bench.read(&ids[1], "user").await.as_deref(), Some("grace"));
}

#[tokio::test]
async fn ids_that_keep_repeating_are_an_error() {
    let bench = Bench::new();
    let policy = repeating(&bench.policy, u8::MAX);
    let session = policy.open(None);
    session.insert("user", "ada").await.unwrap();
    session.commit().await.unwrap();
    let session = policy.open(None);
    session.insert("user", "grace").await.unwrap();
    assert_eq!(session.commit().await.unwrap_err().status(), 500);
    assert_eq!(bench.store.sessions(), 1);
}
