use std::sync::Arc;
use std::time::Duration;

use holdover_api::{
    Deadline, Effect, ErrorKind, Freshness, Loaded, On, SaveAnswer, SessionKey, SessionStore, Stamp, Stored,
    Tombstone, Write, pause, within,
};

use super::{keep_copy, over, seen};
use crate::stage::{Act, LIFETIME, Stage, create, creation, saved, value, write};

async fn stored(stage: &Stage, key: &SessionKey) -> Loaded {
    stage.memory.load(key, Freshness::Latest).await.unwrap().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_write_on_exactly_the_copy_changes_the_copy() {
    let stage = Stage::new();
    let key = create(&stage, 1).await;
    let store = over(&stage);
    keep_copy(&store, &key).await;
    for (on, number) in [(On::Live, 2), (On::Head(Stamp::from_bytes([2; 16])), 3)] {
        assert!(saved(&store.save(&key, &write(on, number)).await));
        stage.calls();
        let copy = store.load(&key, Freshness::Within(Duration::from_secs(1))).await.unwrap().unwrap();
        assert_eq!(stage.calls().len(), 0, "{on:?}");
        assert_eq!(copy.record, stored(&stage, &key).await.record);
    }
}

#[tokio::test(start_paused = true)]
async fn a_changed_copy_is_no_younger_than_it_was() {
    let stage = Stage::new();
    let key = create(&stage, 1).await;
    let store = over(&stage);
    keep_copy(&store, &key).await;
    pause(Duration::from_millis(500)).await;
    assert!(saved(&store.save(&key, &write(On::Live, 2)).await));
    assert!(store.touch(&key, stored(&stage, &key).await.record.deadline).await.unwrap());
    stage.calls();
    store.load(&key, Freshness::Within(Duration::from_millis(500))).await.unwrap();
    assert_eq!(stage.calls().len(), 0);
    store.load(&key, Freshness::Within(Duration::from_millis(499))).await.unwrap();
    assert_eq!(stage.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_write_on_something_newer_drops_the_copy() {
    let stage = Stage::new();
    let key = create(&stage, 1).await;
    let store = over(&stage);
    keep_copy(&store, &key).await;
    let mut other = write(On::Live, 2);
    other.delta.set("other", "1");
    assert!(saved(&stage.memory.save(&key, &other).await));
    assert!(saved(&store.save(&key, &write(On::Live, 3)).await));
    stage.calls();
    let copy = store.load(&key, Freshness::Within(LIFETIME)).await.unwrap().unwrap();
    assert_eq!(stage.calls().len(), 1);
    assert!(copy.record.attributes.contains_key("other"));
}

#[tokio::test(start_paused = true)]
async fn a_write_that_turns_out_to_have_happened_before_makes_no_copy() {
    let stage = Stage::new();
    let key = create(&stage, 1).await;
    let store = over(&stage);
    keep_copy(&store, &key).await;
    stage.script([Act::Unheard]);
    let own = write(On::Live, 2);
    store.save(&key, &own).await.unwrap_err();
    assert_eq!(seen(&store, &key).await.as_deref(), Some("2"), "it did happen");
    assert!(saved(&stage.memory.save(&key, &write(On::Live, 3)).await));
    // Tried again, and recognised: what it made is no longer the latest.
    assert!(saved(&store.save(&key, &own).await));
    assert_eq!(seen(&store, &key).await.as_deref(), Some("3"));
}

/// Each of these leaves no copy behind.
#[tokio::test(start_paused = true)]
async fn what_refuses_fails_or_ends_a_session_drops_its_copy() {
    let stage = Stage::new();
    let store = over(&stage);
    for number in 1..=7 {
        let key = create(&stage, number).await;
        keep_copy(&store, &key).await;
        let record = stored(&stage, &key).await.record;
        match number {
            1 => {
                assert!(saved(&stage.memory.save(&key, &write(On::Live, 2)).await));
                let answer = store.save(&key, &write(On::Head(record.head()), 3)).await;
                assert!(matches!(answer, Ok(SaveAnswer::Conflict { .. })));
            }
            2 => {
                stage.memory.delete(&key).await.unwrap();
                let answer = store.save(&key, &write(On::Live, 3)).await;
                assert!(matches!(answer, Ok(SaveAnswer::Gone)));
            }
            3 => {
                stage.memory.delete(&key).await.unwrap();
                assert!(!store.touch(&key, record.deadline).await.unwrap());
            }
            4 => {
                stage.script([Act::Fail(ErrorKind::Unavailable, Effect::Unknown)]);
                store.save(&key, &write(On::Live, 3)).await.unwrap_err();
            }
            5 => store.delete(&key).await.unwrap(),
            6 => {
                let lineage = record.lineage.pushed(creation(9).stamp);
                let tombstone = Stored::Tombstone(Tombstone { lineage, deadline: record.deadline });
                store.install(&key, Some(record.standing()), &tombstone).await.unwrap();
            }
            _ => {
                stage.script([Act::Hang]);
                let limit = Duration::from_millis(1);
                let own = write(On::Live, 3);
                assert!(within(limit, store.save(&key, &own)).await.is_none(), "its caller left");
            }
        }
        stage.calls();
        let seen = seen(&store, &key).await;
        assert_eq!(stage.calls().len(), 1, "a copy was left by {number}");
        assert_eq!(seen, value(stage.memory.load(&key, Freshness::Latest).await.unwrap()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_load_leaves_the_copy_to_those_who_accept_it() {
    let stage = Stage::new();
    let key = create(&stage, 1).await;
    let store = over(&stage);
    keep_copy(&store, &key).await;
    stage.always(Act::Fail(ErrorKind::Unavailable, Effect::None));
    store.load(&key, Freshness::Latest).await.unwrap_err();
    assert_eq!(seen(&store, &key).await.as_deref(), Some("1"));
    pause(Duration::from_secs(1)).await;
    store.load(&key, Freshness::Within(Duration::from_millis(999))).await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_touch_moves_the_copys_deadline() {
    let stage = Stage::new();
    let key = create(&stage, 1).await;
    let store = over(&stage);
    keep_copy(&store, &key).await;
    let later = stored(&stage, &key).await.record.deadline + LIFETIME;
    assert!(store.touch(&key, later).await.unwrap());
    stage.calls();
    let copy = store.load(&key, Freshness::Within(LIFETIME)).await.unwrap().unwrap();
    assert_eq!((copy.record.deadline, stage.calls().len()), (later, 0));

    let sooner = stored(&stage, &key).await.record.deadline - LIFETIME / 2;
    let shorten = Write { deadline: Deadline::Exactly(sooner), ..write(On::Live, 2) };
    assert!(saved(&store.save(&key, &shorten).await));
    let copy = store.load(&key, Freshness::Within(LIFETIME)).await.unwrap().unwrap();
    assert_eq!(copy.record.deadline, sooner);
}

#[tokio::test(start_paused = true)]
async fn copies_of_other_sessions_stay() {
    let stage = Stage::new();
    let (one, other) = (create(&stage, 1).await, create(&stage, 2).await);
    let store = over(&stage);
    keep_copy(&store, &one).await;
    keep_copy(&store, &other).await;
    store.delete(&one).await.unwrap();
    stage.calls();
    assert_eq!(seen(&store, &other).await.as_deref(), Some("1"));
    assert_eq!(stage.calls().len(), 0);
    assert_eq!(Arc::strong_count(&stage), 2);
}
