use std::fmt::{Debug, Write as _};
use std::sync::{Arc, LazyLock, Mutex};

use holdover_api::{Effect, ErrorKind, Freshness, SessionStore};
use holdover_layers::{Layer, Trace};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Level, Metadata, Subscriber};

use crate::stage::{Act, Stage, creation, key};

/// Writes down spans, what is recorded on them, and events.
struct Notes {
    lines: Arc<Mutex<Vec<String>>>,
    most: Level,
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}

impl Notes {
    fn note(&self, beginning: String, fields: impl FnOnce(&mut Line)) {
        let mut line = Line(beginning);
        fields(&mut line);
        self.lines.lock().unwrap().push(line.0);
    }
}

impl Subscriber for Notes {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= self.most
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let metadata = span.metadata();
        self.note(format!("{} span {}", metadata.level(), metadata.name()), |line| span.record(line));
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        self.note("record".to_owned(), |line| values.record(line));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        self.note(format!("{} event", event.metadata().level()), |line| event.record(line));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// While only one subscriber is known, tracing remembers its answers for all threads: with two that stay it asks each.
static ANCHORS: LazyLock<[Dispatch; 2]> =
    LazyLock::new(|| [(); 2].map(|()| Dispatch::new(Notes { lines: Arc::default(), most: Level::TRACE })));

/// What was told while this ran.
async fn told(most: Level, work: impl Future<Output = ()>) -> Vec<String> {
    LazyLock::force(&ANCHORS);
    let lines = Arc::default();
    let guard = tracing::subscriber::set_default(Notes { lines: Arc::clone(&lines), most });
    work.await;
    drop(guard);
    let lines = lines.lock().unwrap();
    lines.clone()
}

fn over(stage: &Arc<Stage>) -> Arc<dyn SessionStore> {
    Trace {}.layer(Arc::clone(stage) as Arc<dyn SessionStore>)
}

#[tokio::test]
async fn an_operation_is_a_span_with_its_outcome() {
    let store = over(&Stage::new());
    let lines = told(Level::TRACE, async {
        store.save(&key(0xab), &creation(1)).await.unwrap();
        store.load(&key(0xab), Freshness::Latest).await.unwrap();
    });
    let wanted = [
        r#"DEBUG span session_store operation="save" store="stage" key=abababab"#,
        r#"record outcome="saved""#,
        r#"DEBUG span session_store operation="load" store="stage" key=abababab"#,
        r#"record outcome="found""#,
    ];
    assert_eq!(lines.await, wanted);
}

#[tokio::test]
async fn a_failure_is_an_event_that_says_what_is_known() {
    let stage = Stage::new();
    let store = over(&stage);
    stage.script([Act::Fail(ErrorKind::Unavailable, Effect::Unknown)]);
    // Who listens to warnings alone has no span, and needs all of it.
    let lines = told(Level::WARN, async {
        store.delete(&key(0xab)).await.unwrap_err();
    });
    let wanted = r#"WARN event message=an operation on a session failed operation="delete" store="stage" key=abababab effect="effect unknown" error=stage: delete failed: as the script says (unavailable, effect unknown)"#;
    assert_eq!(lines.await, [wanted]);
}

#[tokio::test]
async fn nothing_that_is_told_holds_a_whole_key_or_a_value() {
    let stage = Stage::new();
    let store = over(&stage);
    let lines = told(Level::TRACE, async {
        store.save(&key(0xab), &creation(77)).await.unwrap();
        stage.script([Act::Fail(ErrorKind::Corrupt, Effect::None)]);
        store.load(&key(0xab), Freshness::Latest).await.unwrap_err();
    });
    for line in lines.await {
        assert!(!line.contains("ababababab") && !line.contains("77"), "{line}");
    }
}

#[tokio::test]
async fn where_nobody_listens_a_strangers_span_is_left_alone() {
    let store = over(&Stage::new());
    let lines = told(Level::INFO, async {
        let strangers = tracing::info_span!("request", outcome = tracing::field::Empty);
        let _entered = strangers.enter();
        store.delete(&key(1)).await.unwrap();
    });
    assert_eq!(lines.await, ["INFO span request"]);
}
