use std::sync::Arc;
use std::time::Duration;

use holdover_api::{Effect, ErrorKind, Freshness, On, SessionStore, Stopwatch};
use holdover_layers::{Layer, Timeout};

use crate::stage::{Act, Stage, create, write};

fn over(stage: &Arc<Stage>) -> Arc<dyn SessionStore> {
    Timeout { limit: Duration::from_millis(250) }.layer(Arc::clone(stage) as Arc<dyn SessionStore>)
}

#[tokio::test(start_paused = true)]
async fn a_save_that_hangs_ends_in_time_and_may_have_happened() {
    let stage = Stage::new();
    let key = create(&stage, 1).await;
    let store = over(&stage);
    stage.script([Act::Hang]);
    let begun = Stopwatch::start();
    let error = store.save(&key, &write(On::Live, 2)).await.unwrap_err();
    assert_eq!(begun.elapsed(), Duration::from_millis(250));
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, Effect::Unknown));
    assert_eq!(
        error.to_string(),
        "timeout(stage): save failed: no answer within 250ms (unavailable, effect unknown)"
    );
}

#[tokio::test(start_paused = true)]
async fn a_read_that_hangs_ends_in_time_and_had_no_effect() {
    let stage = Stage::new();
    let key = create(&stage, 1).await;
    let store = over(&stage);
    stage.always(Act::Hang);
    assert_eq!(store.load(&key, Freshness::Latest).await.unwrap_err().effect(), Effect::None);
    assert_eq!(store.inspect(&key).await.unwrap_err().effect(), Effect::None);
    assert_eq!(store.delete(&key).await.unwrap_err().effect(), Effect::Unknown);
}

#[tokio::test(start_paused = true)]
async fn what_answers_in_time_is_left_alone() {
    let stage = Stage::new();
    let key = create(&stage, 1).await;
    let store = over(&stage);
    assert!(store.load(&key, Freshness::Latest).await.unwrap().is_some());
    stage.script([Act::Fail(ErrorKind::Denied, Effect::None)]);
    assert_eq!(store.delete(&key).await.unwrap_err().kind(), ErrorKind::Denied);
    assert_eq!(store.capabilities(), stage.capabilities());
}
