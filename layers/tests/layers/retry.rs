use std::sync::Arc;
use std::time::Duration;

use holdover_api::{
    Effect, ErrorKind, Freshness, InstallAnswer, On, Operation, Record, SaveAnswer, SessionStore, Stamp,
    Stopwatch, Stored, Tombstone,
};
use holdover_layers::{Layer, Retry};

use crate::stage::{Act, Stage, create, creation, key, saved, write};

const UNHEARD_OF: Act = Act::Fail(ErrorKind::Unavailable, Effect::Unknown);
const NOT_SENT: Act = Act::Fail(ErrorKind::Unavailable, Effect::None);

fn over(stage: &Arc<Stage>, retry: &Retry) -> Arc<dyn SessionStore> {
    retry.layer(Arc::clone(stage) as Arc<dyn SessionStore>)
}

#[tokio::test(start_paused = true)]
async fn what_may_pass_is_tried_again() {
    let stage = Stage::new();
    let key = create(&stage, 1).await;
    let store = over(&stage, &Retry::default());
    stage.script([UNHEARD_OF, Act::Fail(ErrorKind::Throttled, Effect::None), NOT_SENT]);
    assert!(store.load(&key, Freshness::Latest).await.unwrap().is_some());
    assert_eq!(stage.calls().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn what_will_not_pass_is_returned_at_once() {
    let stage = Stage::new();
    let store = over(&stage, &Retry::default());
    let kinds = [
        ErrorKind::Denied,
        ErrorKind::Misconfigured,
        ErrorKind::TooLarge,
        ErrorKind::Corrupt,
        ErrorKind::Unexpected,
    ];
    for kind in kinds {
        stage.script([Act::Fail(kind, Effect::None)]);
        let error = store.delete(&key(1)).await.unwrap_err();
        assert_eq!((error.kind(), error.effect()), (kind, Effect::None));
        assert_eq!(stage.calls().len(), 1, "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_operation_may_have_happened_if_any_of_its_attempts_may_have() {
    let stage = Stage::new();
    let store = over(&stage, &Retry::default());
    stage.script([UNHEARD_OF, Act::Fail(ErrorKind::TooLarge, Effect::None)]);
    let error = store.save(&key(1), &creation(1)).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::TooLarge, Effect::Unknown));

    stage.always(NOT_SENT);
    let error = store.save(&key(1), &creation(1)).await.unwrap_err();
    assert_eq!(error.effect(), Effect::None, "no attempt was ever sent");
}

#[tokio::test(start_paused = true)]
async fn all_attempts_together_keep_the_deadline() {
    let stage = Stage::new();
    let store = over(&stage, &Retry::default());
    stage.always(NOT_SENT);
    let begun = Stopwatch::start();
    let error = store.delete(&key(1)).await.unwrap_err();
    assert!(begun.elapsed() < Retry::default().deadline, "it took {:?}", begun.elapsed());
    assert_eq!(error.store(), "stage", "the last failure is returned, not one of ours");
    assert!(stage.calls().len() > 2);

    stage.always(Act::Hang);
    let begun = Stopwatch::start();
    let error = store.delete(&key(1)).await.unwrap_err();
    assert_eq!(begun.elapsed(), Retry::default().deadline);
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, Effect::Unknown));
    let error = store.load(&key(1), Freshness::Latest).await.unwrap_err();
    assert_eq!(error.effect(), Effect::None);
}

#[tokio::test(start_paused = true)]
async fn it_waits_as_long_as_the_store_asks_for() {
    let stage = Stage::new();
    let store = over(&stage, &Retry::default());
    stage.script([Act::Busy(Duration::from_millis(600))]);
    let begun = Stopwatch::start();
    store.delete(&key(1)).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(600));
    stage.calls();

    stage.script([Act::Busy(Duration::from_secs(5))]);
    let begun = Stopwatch::start();
    let error = store.delete(&key(1)).await.unwrap_err();
    assert_eq!(error.suggested_delay(), Some(Duration::from_secs(5)));
    assert_eq!(begun.elapsed(), Duration::ZERO, "there is no use in waiting for the deadline");
    assert_eq!(stage.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_outage_makes_no_storm() {
    let stage = Stage::new();
    let retry = Retry { budget_share: 0.2, budget_reserve: 10, ..Retry::default() };
    let store = over(&stage, &retry);
    stage.always(NOT_SENT);
    for _ in 0..500 {
        store.delete(&key(1)).await.unwrap_err();
    }
    let retries = stage.calls().len() - 500;
    assert!((100..=110).contains(&retries), "{retries} retries");
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_neither_repeats_nor_refuses_what_has_happened() {
    let stage = Stage::new();
    let store = over(&stage, &Retry::default());
    let key = key(1);
    stage.script([Act::Unheard]);
    assert!(saved(&store.save(&key, &creation(1)).await));
    let head = Stamp::from_bytes([1; 16]);
    for (on, number) in [(On::Head(head), 2), (On::Live, 3)] {
        stage.script([Act::Unheard]);
        let answer = store.save(&key, &write(on, number)).await;
        assert!(matches!(answer, Ok(SaveAnswer::Saved { previous: Some(_) })), "{answer:?}");
    }
    let record = store.load(&key, Freshness::Latest).await.unwrap().unwrap().record;
    assert_eq!(record.lineage.writes(), 3, "one write each (I3)");

    let extended = Record { deadline: record.deadline + Duration::from_secs(9), ..Record::clone(&record) };
    stage.script([Act::Unheard]);
    assert!(store.touch(&key, extended.deadline).await.unwrap());
    let lineage = record.lineage.pushed(Stamp::from_bytes([9; 16]));
    let tombstone = Stored::Tombstone(Tombstone { lineage, deadline: extended.deadline });
    stage.script([Act::Unheard]);
    let answer = store.install(&key, Some(extended.standing()), &tombstone).await;
    assert!(matches!(answer, Ok(InstallAnswer::Installed)), "{answer:?}");
    stage.script([Act::Unheard]);
    store.delete(&key).await.unwrap();
    assert!(store.inspect(&key).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_no_failure_is_not_tried_again() {
    let stage = Stage::new();
    let key = create(&stage, 1).await;
    let store = over(&stage, &Retry::default());
    assert!(matches!(store.save(&key, &creation(2)).await, Ok(SaveAnswer::Conflict { .. })));
    store.delete(&key).await.unwrap();
    assert!(matches!(store.save(&key, &write(On::Live, 3)).await, Ok(SaveAnswer::Gone)));
    assert_eq!(stage.calls(), [Operation::Save, Operation::Delete, Operation::Save]);
    assert_eq!(store.to_string(), "retry(stage)");
    assert_eq!(store.capabilities(), stage.capabilities());
}
