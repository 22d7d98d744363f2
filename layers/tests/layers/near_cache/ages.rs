use std::sync::Arc;
use std::time::Duration;

use holdover_api::{CheapReads, Clock, Freshness, ManualClock, On, SessionStore, Stamp, SystemClock, pause};
use holdover_layers::{Layer, NearCache};

use super::{ANY, keep_copy, over, seen, with_clock};
use crate::stage::{Act, Gate, LIFETIME, Stage, create, key, saved, value, write};

#[tokio::test(start_paused = true)]
async fn a_copy_answers_without_the_store_and_the_latest_never_does() {
    let stage = Stage::new();
    let key = create(&stage, 1).await;
    let store = over(&stage);
    assert_eq!(seen(&store, &key).await.as_deref(), Some("1"));
    assert_eq!(stage.calls().len(), 1, "there was no copy yet");
    for _ in 0..3 {
        assert_eq!(seen(&store, &key).await.as_deref(), Some("1"));
    }
    assert_eq!(stage.calls().len(), 0);
    keep_copy(&store, &key).await;
    assert_eq!(stage.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_reader_of_the_latest_refreshes_the_copy() {
    let stage = Stage::new();
    let key = create(&stage, 1).await;
    let store = over(&stage);
    keep_copy(&store, &key).await;
    assert!(saved(&stage.memory.save(&key, &write(On::Live, 2)).await));
    assert_eq!(seen(&store, &key).await.as_deref(), Some("1"), "another process wrote");
    assert_eq!(value(store.load(&key, Freshness::Latest).await.unwrap()).as_deref(), Some("2"));
    assert_eq!(seen(&store, &key).await.as_deref(), Some("2"));

    stage.memory.delete(&key).await.unwrap();
    assert!(store.load(&key, Freshness::Latest).await.unwrap().is_none());
    assert_eq!(seen(&store, &key).await, None);
}

#[tokio::test(start_paused = true)]
async fn the_age_is_counted_from_before_the_store_was_asked() {
    let stage = Stage::new();
    let key = create(&stage, 1).await;
    let store = over(&stage);
    let gate = Gate::new();
    stage.script([Act::AnswerAt(Arc::clone(&gate))]);
    let slow = {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.load(&key, Freshness::Latest).await.unwrap() })
    };
    gate.reached().await;
    pause(Duration::from_millis(100)).await;
    gate.open();
    assert!(slow.await.unwrap().is_some());
    stage.calls();

    let within = |millis| store.load(&key, Freshness::Within(Duration::from_millis(millis)));
    assert!(within(100).await.unwrap().is_some());
    assert_eq!(stage.calls().len(), 0, "it was the latest 100 ms ago");
    assert!(within(99).await.unwrap().is_some());
    assert_eq!(stage.calls().len(), 1, "the answer came just now, and was the latest 100 ms ago");
}

#[tokio::test(start_paused = true)]
async fn no_copy_is_served_past_its_largest_age_whatever_a_reader_accepts() {
    let stage = Stage::new();
    let key = create(&stage, 1).await;
    let max_age = Duration::from_secs(2);
    let store =
        NearCache { max_age, ..NearCache::default() }.layer(Arc::clone(&stage) as Arc<dyn SessionStore>);
    assert_eq!(store.capabilities().cheap_reads, CheapReads::Cached { max_age });
    keep_copy(&store, &key).await;
    pause(max_age).await;
    stage.calls();
    assert!(seen(&store, &key).await.is_some());
    assert_eq!(stage.calls().len(), 0);
    pause(Duration::from_millis(1)).await;
    assert!(store.load(&key, Freshness::AtLeast(Stamp::from_bytes([1; 16]))).await.unwrap().is_some());
    assert_eq!(stage.calls().len(), 1);
    pause(max_age + Duration::from_millis(1)).await;
    assert!(seen(&store, &key).await.is_some());
    assert_eq!(stage.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn no_copy_is_served_at_its_deadline() {
    let clock = Arc::new(ManualClock::at(SystemClock.now()));
    let stage = Stage::with_clock(Arc::clone(&clock) as Arc<dyn Clock>);
    let key = create(&stage, 1).await;
    let store = with_clock(&stage, Arc::clone(&clock) as Arc<dyn Clock>);
    keep_copy(&store, &key).await;
    clock.advance(LIFETIME + Duration::from_secs(1));
    assert_eq!(seen(&store, &key).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_known_write_is_read_from_a_copy_that_holds_it_only() {
    let stage = Stage::new();
    let key = create(&stage, 1).await;
    let store = over(&stage);
    keep_copy(&store, &key).await;
    assert!(saved(&stage.memory.save(&key, &write(On::Live, 2)).await));
    stage.calls();
    let at_least = |number| store.load(&key, Freshness::AtLeast(Stamp::from_bytes([number; 16])));
    assert_eq!(value(at_least(1).await.unwrap()).as_deref(), Some("1"));
    assert_eq!(stage.calls().len(), 0);
    assert_eq!(value(at_least(2).await.unwrap()).as_deref(), Some("2"));
    assert_eq!(stage.calls().len(), 1);
    assert_eq!(seen(&store, &key).await.as_deref(), Some("2"), "it was the latest");
    assert_eq!(stage.calls().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn absence_is_not_kept() {
    let stage = Stage::new();
    let store = over(&stage);
    assert_eq!(seen(&store, &key(1)).await, None);
    create(&stage, 1).await;
    assert_eq!(seen(&store, &key(1)).await.as_deref(), Some("1"));
}

#[tokio::test(start_paused = true)]
async fn above_another_cache_the_age_still_holds() {
    let stage = Stage::new();
    let key = create(&stage, 1).await;
    let below = over(&stage);
    let store = NearCache { max_age: ANY, ..NearCache::default() }.layer(Arc::clone(&below));
    assert_eq!(store.to_string(), "near_cache(near_cache(stage))");
    keep_copy(&below, &key).await;
    pause(Duration::from_secs(1)).await;
    stage.calls();
    // A copy of the lower copy would look young.
    assert!(store.load(&key, Freshness::Within(Duration::ZERO)).await.unwrap().is_some());
    assert!(store.load(&key, Freshness::Within(Duration::from_millis(500))).await.unwrap().is_some());
    assert_eq!(stage.calls().len(), 1);
}
