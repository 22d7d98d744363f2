use std::collections::BTreeMap;
use std::sync::Arc;

use holdover_api::{Effect, ErrorKind, Freshness, On, SessionStore, Stored, Tombstone, frame};
use holdover_layers::{Layer, Metrics, Retry, names};
use metrics::with_local_recorder;
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshot};
use tokio::runtime::{Builder, Runtime};

use crate::stage::{Act, Stage, create, creation, key, write};

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
}

/// What was counted and measured, by name and labels: `name{operation=save,…}`.
struct Seen(BTreeMap<String, DebugValue>);

impl Seen {
    fn of(snapshot: Snapshot) -> Self {
        let named = snapshot.into_vec().into_iter().map(|(key, _, _, value)| {
            let key = key.key().clone();
            let labels: BTreeMap<_, _> = key.labels().map(|label| (label.key(), label.value())).collect();
            let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
            (format!("{}{{{}}}", key.name(), labels.join(",")), value)
        });
        Self(named.collect())
    }

    fn counted(&self, name: &str, labels: &str) -> u64 {
        match self.0.get(&format!("{name}{{{labels}}}")) {
            Some(DebugValue::Counter(count)) => *count,
            None => 0,
            other => panic!("{name}: {other:?}"),
        }
    }

    fn measured(&self, name: &str, labels: &str) -> Vec<f64> {
        match self.0.get(&format!("{name}{{{labels}}}")) {
            Some(DebugValue::Histogram(values)) => values.iter().map(|value| value.into_inner()).collect(),
            None => Vec::new(),
            other => panic!("{name}: {other:?}"),
        }
    }
}

/// What was counted while this ran.
fn seen(work: impl Future<Output = ()>) -> Seen {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    with_local_recorder(&recorder, || runtime().block_on(work));
    Seen::of(snapshotter.snapshot())
}

fn over(stage: &Arc<Stage>) -> Arc<dyn SessionStore> {
    Metrics::default().layer(Arc::clone(stage) as Arc<dyn SessionStore>)
}

#[test]
fn operations_are_counted_by_how_they_ended() {
    let seen = seen(async {
        let stage = Stage::new();
        let store = over(&stage);
        let key = key(1);
        store.load(&key, Freshness::Latest).await.unwrap();
        store.save(&key, &creation(1)).await.unwrap();
        store.save(&key, &creation(2)).await.unwrap();
        store.load(&key, Freshness::Latest).await.unwrap();
        store.inspect(&key).await.unwrap();
        stage.script([Act::Fail(ErrorKind::Denied, Effect::None)]);
        store.delete(&key).await.unwrap_err();
        store.delete(&key).await.unwrap();
    });
    let wanted = [
        ("load", "absent"),
        ("load", "found"),
        ("save", "saved"),
        ("save", "conflict"),
        ("inspect", "found"),
        ("delete", "denied"),
        ("delete", "deleted"),
    ];
    for (operation, outcome) in wanted {
        let labels = format!("operation={operation},outcome={outcome},store=stage");
        assert_eq!(seen.counted(names::OPERATIONS, &labels), 1, "{labels}");
    }
    assert_eq!(seen.counted(names::CONFLICTS, "operation=save,store=stage"), 1);
    for (operation, count) in [("load", 2), ("save", 2), ("delete", 2), ("inspect", 1)] {
        let labels = format!("operation={operation},store=stage");
        assert_eq!(seen.measured(names::OPERATION_SECONDS, &labels).len(), count, "{operation}");
    }
}

#[test]
fn bytes_are_those_of_what_was_loaded_and_of_the_change_that_was_sent() {
    let mut size = 0;
    let seen = seen(async {
        let stage = Stage::new();
        let key = create(&stage, 1).await;
        let store = over(&stage);
        let loaded = store.load(&key, Freshness::Latest).await.unwrap().unwrap();
        size = frame::size(&loaded.record);
        store.save(&key, &write(On::Live, 2)).await.unwrap();
    });
    let size = f64::from(u32::try_from(size).unwrap());
    assert_eq!(seen.measured(names::OPERATION_BYTES, "operation=load,store=stage"), [size]);
    let change = f64::from(u32::try_from(frame::attribute_size("n".len(), "2".len())).unwrap());
    assert_eq!(seen.measured(names::OPERATION_BYTES, "operation=save,store=stage"), [change]);
}

#[test]
fn what_was_kept_dead_is_counted() {
    let seen = seen(async {
        let stage = Stage::new();
        let key = create(&stage, 1).await;
        let store = over(&stage);
        let record = store.load(&key, Freshness::Latest).await.unwrap().unwrap().record;
        let lineage = record.lineage.pushed(creation(9).stamp);
        let tombstone = Stored::Tombstone(Tombstone { lineage, deadline: record.deadline });
        store.install(&key, Some(record.standing()), &tombstone).await.unwrap();
        store.save(&key, &write(On::Live, 2)).await.unwrap();
        store.save(&key, &write(On::Head(record.head()), 3)).await.unwrap();
        store.save(&key, &creation(4)).await.unwrap();
        store.touch(&key, record.deadline).await.unwrap();
        store.inspect(&key).await.unwrap();
    });
    assert_eq!(seen.counted(names::PREVENTED_RESURRECTIONS, "operation=save,store=stage"), 3);
    assert_eq!(seen.counted(names::PREVENTED_RESURRECTIONS, "operation=touch,store=stage"), 1);
    assert_eq!(seen.counted(names::OPERATIONS, "operation=inspect,outcome=buried,store=stage"), 1);
}

#[test]
fn an_operation_whose_caller_left_is_counted_too() {
    let seen = seen(async {
        let stage = Stage::new();
        let store = over(&stage);
        stage.script([Act::Hang]);
        let limit = std::time::Duration::from_millis(250);
        assert!(holdover_api::within(limit, store.delete(&key(1))).await.is_none());
    });
    assert_eq!(seen.counted(names::OPERATIONS, "operation=delete,outcome=dropped,store=stage"), 1);
    assert_eq!(seen.measured(names::OPERATION_SECONDS, "operation=delete,store=stage"), [0.25]);
}

#[test]
fn the_store_can_be_called_something_else() {
    let seen = seen(async {
        let metrics = Metrics { store: Some("sessions".to_owned()) };
        let store = metrics.layer(Stage::new());
        store.delete(&key(1)).await.unwrap();
    });
    assert_eq!(seen.counted(names::OPERATIONS, "operation=delete,outcome=deleted,store=sessions"), 1);
}

#[test]
fn attempts_are_counted_by_how_they_ended() {
    let seen = seen(async {
        let stage = Stage::new();
        let store = Retry::default().layer(Arc::clone(&stage) as Arc<dyn SessionStore>);
        stage.script([Act::Fail(ErrorKind::Unavailable, Effect::None), Act::Unheard]);
        store.delete(&key(1)).await.unwrap();
    });
    assert_eq!(seen.counted(names::ATTEMPTS, "operation=delete,outcome=unavailable,store=stage"), 2);
    assert_eq!(seen.counted(names::ATTEMPTS, "operation=delete,outcome=deleted,store=stage"), 1);
}

#[test]
fn no_label_holds_a_key() {
    let seen = seen(async {
        let stage = Stage::new();
        let store = over(&stage);
        store.save(&key(0xab), &creation(1)).await.unwrap();
        stage.always(Act::Fail(ErrorKind::Unavailable, Effect::Unknown));
        store.load(&key(0xab), Freshness::Latest).await.unwrap_err();
    });
    assert!(!seen.0.is_empty());
    assert!(seen.0.keys().all(|name| !name.contains("abab")), "{:?}", seen.0.keys());
}
