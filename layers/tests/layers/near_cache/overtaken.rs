//! A load or a write is on its way while something else happens: each order is made by gates.

use std::sync::Arc;
use std::time::Duration;

use holdover_api::{
    Error, Freshness, Loaded, On, SaveAnswer, SessionKey, SessionStore, Stored, Tombstone, pause,
};
use tokio::task::JoinHandle;

use super::{keep_copy, over, seen};
use crate::stage::{Act, Gate, Stage, create, creation, saved, value, write};

type Store = Arc<dyn SessionStore>;

/// A load that has read the store, and whose answer waits before the gate.
async fn load_that_has_read(
    stage: &Stage,
    store: &Store,
    key: SessionKey,
) -> (Arc<Gate>, JoinHandle<Result<Option<Loaded>, Error>>) {
    let gate = Gate::new();
    stage.script([Act::AnswerAt(Arc::clone(&gate))]);
    let store = Arc::clone(store);
    let load = tokio::spawn(async move { store.load(&key, Freshness::Latest).await });
    gate.reached().await;
    (gate, load)
}

/// A save that stands before the gate, having happened or not.
async fn save_at(
    stage: &Stage,
    store: &Store,
    key: SessionKey,
    number: u8,
    act: fn(Arc<Gate>) -> Act,
) -> (Arc<Gate>, JoinHandle<Result<SaveAnswer, Error>>) {
    let gate = Gate::new();
    stage.script([act(Arc::clone(&gate))]);
    let store = Arc::clone(store);
    let save = tokio::spawn(async move { store.save(&key, &write(On::Live, number)).await });
    gate.reached().await;
    (gate, save)
}

async fn latest(stage: &Stage, key: &SessionKey) -> Option<String> {
    value(stage.memory.load(key, Freshness::Latest).await.unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_load_that_a_change_overtakes_puts_nothing_back() {
    let stage = Stage::new();
    let store = over(&stage);
    for number in 1..=4 {
        let key = create(&stage, number).await;
        let record = stage.memory.load(&key, Freshness::Latest).await.unwrap().unwrap().record;
        let (gate, load) = load_that_has_read(&stage, &store, key).await;
        match number {
            1 => assert!(saved(&store.save(&key, &write(On::Live, 2)).await)),
            2 => store.delete(&key).await.unwrap(),
            3 => assert!(store.touch(&key, record.deadline + Duration::from_secs(9)).await.unwrap()),
            _ => {
                let lineage = record.lineage.pushed(creation(9).stamp);
                let tombstone = Stored::Tombstone(Tombstone { lineage, deadline: record.deadline });
                store.install(&key, Some(record.standing()), &tombstone).await.unwrap();
            }
        }
        gate.open();
        assert_eq!(value(load.await.unwrap().unwrap()).as_deref(), Some("1"), "it had read before");
        stage.calls();
        assert_eq!(seen(&store, &key).await, latest(&stage, &key).await);
        assert_eq!(stage.calls().len(), 1, "the copy of {number} was kept");
    }
}

#[tokio::test(start_paused = true)]
async fn a_load_that_begins_and_ends_within_a_write_puts_nothing_old_back() {
    let stage = Stage::new();
    let key = create(&stage, 1).await;
    let store = over(&stage);
    let (gate, save) = save_at(&stage, &store, key, 2, Act::HappenAt).await;
    keep_copy(&store, &key).await;
    gate.open();
    assert!(saved(&save.await.unwrap()));
    assert_eq!(seen(&store, &key).await.as_deref(), Some("2"));
}

#[tokio::test(start_paused = true)]
async fn a_load_that_spans_the_end_of_a_write_puts_nothing_old_back() {
    let stage = Stage::new();
    let key = create(&stage, 1).await;
    let store = over(&stage);
    let (writes, save) = save_at(&stage, &store, key, 2, Act::HappenAt).await;
    let (reads, load) = load_that_has_read(&stage, &store, key).await;
    writes.open();
    assert!(saved(&save.await.unwrap()));
    reads.open();
    assert_eq!(value(load.await.unwrap().unwrap()).as_deref(), Some("1"), "it had read before");
    assert_eq!(seen(&store, &key).await.as_deref(), Some("2"));
}

#[tokio::test(start_paused = true)]
async fn writes_that_meet_leave_no_copy_of_what_one_of_them_replaced() {
    for first_ends_first in [true, false] {
        let stage = Stage::new();
        let key = create(&stage, 1).await;
        let store = over(&stage);
        keep_copy(&store, &key).await;
        // The first has happened, then the second happens; their answers come in either order.
        let (first_gate, first) = save_at(&stage, &store, key, 2, Act::AnswerAt).await;
        let (second_gate, second) = save_at(&stage, &store, key, 3, Act::AnswerAt).await;
        if first_ends_first {
            first_gate.open();
            assert!(saved(&first.await.unwrap()));
            second_gate.open();
            assert!(saved(&second.await.unwrap()));
        } else {
            second_gate.open();
            assert!(saved(&second.await.unwrap()));
            first_gate.open();
            assert!(saved(&first.await.unwrap()));
        }
        assert_eq!(seen(&store, &key).await.as_deref(), Some("3"), "{first_ends_first}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_touch_that_a_write_overtakes_leaves_no_old_copy() {
    let stage = Stage::new();
    let key = create(&stage, 1).await;
    let store = over(&stage);
    keep_copy(&store, &key).await;
    let deadline = stage.memory.load(&key, Freshness::Latest).await.unwrap().unwrap().record.deadline;
    let gate = Gate::new();
    stage.script([Act::AnswerAt(Arc::clone(&gate))]);
    let touch = {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.touch(&key, deadline).await })
    };
    gate.reached().await;
    assert!(saved(&store.save(&key, &write(On::Live, 2)).await));
    gate.open();
    assert!(touch.await.unwrap().unwrap());
    assert_eq!(seen(&store, &key).await.as_deref(), Some("2"));
}

#[tokio::test(start_paused = true)]
async fn of_two_loads_the_copy_of_the_younger_stays() {
    let stage = Stage::new();
    let key = create(&stage, 1).await;
    let store = over(&stage);
    let (gate, slow) = load_that_has_read(&stage, &store, key).await;
    pause(Duration::from_millis(10)).await;
    assert!(saved(&stage.memory.save(&key, &write(On::Live, 2)).await), "another process writes");
    keep_copy(&store, &key).await;
    gate.open();
    assert_eq!(value(slow.await.unwrap().unwrap()).as_deref(), Some("1"));
    assert_eq!(seen(&store, &key).await.as_deref(), Some("2"), "a reader goes back to what is older");
}

#[tokio::test(start_paused = true)]
async fn a_load_whose_caller_leaves_does_not_stand_in_the_way() {
    let stage = Stage::new();
    let key = create(&stage, 1).await;
    let store = over(&stage);
    let (_gate, load) = load_that_has_read(&stage, &store, key).await;
    load.abort();
    assert!(load.await.unwrap_err().is_cancelled());
    keep_copy(&store, &key).await;
    stage.calls();
    assert_eq!(seen(&store, &key).await.as_deref(), Some("1"));
    assert_eq!(stage.calls().len(), 0);
}
