//! What the exam does not ask: what an operation costs, limits, the layout, tables that are missing or wrong, throttling
//! and refusals. On Dynalite and on the embedded DynamoDB.

#[path = "dynamodb_server/billing.rs"]
mod billing;
#[path = "dynamodb_server/help.rs"]
mod help;
#[path = "dynamodb_server/refusals.rs"]
mod refusals;
mod support;
#[path = "dynamodb_server/tables.rs"]
mod tables;
#[path = "dynamodb_server/throttling.rs"]
mod throttling;

use std::sync::Arc;
use std::time::Duration;

use holdover_api::{
    Clock, Deadline, Delta, Effect, ErrorKind, Freshness, InstallAnswer, On, SaveAnswer, SessionStore,
    SessionStoreExt, SystemClock, Write,
};
use holdover_backends::dynamodb::{Consumed, DynamoDb};
use holdover_conformance::ServerControl;
use holdover_conformance::servers::{self, Server};

use crate::help::Embedded;
use crate::support::{differential, key, open, stamp, write, writers};

#[tokio::test(flavor = "multi_thread")]
async fn any_sequence_has_the_answers_of_the_memory_store() {
    let server = Server::start(&servers::dynamodb()).await.unwrap();
    differential::agree(&patient(server.url())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_sequence_has_the_answers_of_the_memory_store_in_the_embedded_one() {
    differential::agree("dynamodb://local/sessions?expiry=ttl&response_timeout=5s").await;
}

/// A busy machine must not make a test fail.
fn patient(url: &str) -> String {
    format!("{url}&connect_timeout=2s&response_timeout=5s")
}

/// What has been consumed since the last look.
struct Bill {
    store: Arc<DynamoDb>,
    before: Consumed,
}

impl Bill {
    fn spent(&mut self, what: &str, requests: u64, reads: f64, writes: f64) {
        let after = self.store.consumed();
        let spent = (
            after.requests - self.before.requests,
            after.read_units - self.before.read_units,
            after.write_units - self.before.write_units,
        );
        assert_eq!(spent, (requests, reads, writes), "{what}: requests, read units, write units");
        self.before = after;
    }
}

/// A session whose one large attribute has so many bytes.
fn create(bytes: usize, number: u8) -> Write {
    let mut create = write(On::Absent { created: SystemClock.now() }, "a", number);
    create.delta.set("large", vec![7; bytes]);
    create
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_cost_what_the_readme_says() {
    let embedded = Embedded::start().await;
    let store = DynamoDb::connect(&embedded.url("&expiry=ttl&create=true")).await.unwrap();
    for (number, bytes, reads, writes) in [(1, 300, 1.0, 1.0), (11, 1100, 1.0, 2.0), (21, 9200, 3.0, 10.0)] {
        let mut bill = Bill { before: store.consumed(), store: Arc::clone(&store) };
        let key = key(number);
        store.save(&key, &create(bytes, number)).await.unwrap();
        bill.spent("a create", 1, 0.0, writes);
        let loaded = store.load(&key, Freshness::Latest).await.unwrap().unwrap();
        bill.spent("a load of the latest", 1, reads, 0.0);
        store.load(&key, Freshness::AtLeast(stamp(number))).await.unwrap().unwrap();
        bill.spent("a load that need not be the latest", 1, reads / 2.0, 0.0);
        let merge = write(On::Live, "b", number + 1);
        store.save(&key, &merge).await.unwrap();
        bill.spent("a merge of what nobody has read", 1, 0.0, writes);
        store
            .save(&key, &Write { base: Some(loaded), ..write(On::Head(stamp(number + 1)), "b", number + 2) })
            .await
            .unwrap();
        bill.spent("a compare and set", 1, 0.0, writes);
        let later = SystemClock.now() + Duration::from_secs(3600);
        assert!(store.touch(&key, later).await.unwrap());
        bill.spent("a touch", 1, 0.0, writes);
        let stored = store.inspect(&key).await.unwrap().unwrap();
        bill.spent("an inspection", 1, reads, 0.0);
        store.install(&key, Some(stored.standing()), &stored).await.unwrap();
        bill.spent("an installation", 1, 0.0, writes);
        store.delete(&key).await.unwrap();
        bill.spent("a delete", 1, 0.0, writes);
        assert!(store.load(&key, Freshness::Latest).await.unwrap().is_none());
        bill.spent("a load of nothing", 1, 1.0, 0.0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_brings_what_is_there_and_costs_no_further_request() {
    let embedded = Embedded::start().await;
    let store = DynamoDb::connect(&embedded.url("&expiry=ttl&create=true")).await.unwrap();
    let key = key(1);
    let first = create(10, 1);
    store.save(&key, &first).await.unwrap();
    let mut bill = Bill { before: store.consumed(), store: Arc::clone(&store) };
    let answer = store.save(&key, &create(10, 2)).await.unwrap();
    assert!(matches!(answer, SaveAnswer::Conflict { current: Some(_) }), "{answer:?}");
    bill.spent("a create where a session is", 1, 0.0, 0.0);
    let answer = store.save(&key, &first).await.unwrap();
    assert!(matches!(answer, SaveAnswer::Saved { previous: None }), "{answer:?}");
    bill.spent("a repeated create", 1, 0.0, 0.0);
    let answer = store.save(&key, &write(On::Head(stamp(9)), "b", 3)).await.unwrap();
    assert!(matches!(answer, SaveAnswer::Conflict { current: Some(_) }), "{answer:?}");
    bill.spent("a write on a head that has moved", 1, 0.0, 0.0);
    assert!(store.touch(&key, SystemClock.now()).await.unwrap());
    bill.spent("a touch that does not extend", 1, 0.0, 0.0);
    let earlier = Write { deadline: Deadline::AtLeast(SystemClock.now()), ..write(On::Live, "b", 4) };
    store.save(&key, &earlier).await.unwrap();
    bill.spent("a merge that was taken to extend and does not", 2, 0.0, 1.0);
    let base = store.load(&key, Freshness::Latest).await.unwrap();
    bill.spent("a load", 1, 1.0, 0.0);
    let knowing = Write { base, stamp: stamp(5), ..earlier };
    store.save(&key, &knowing).await.unwrap();
    bill.spent("the same by who has read the deadline", 1, 0.0, 1.0);
    store.delete(&key).await.unwrap();
    bill.spent("a delete", 1, 0.0, 1.0);
    assert!(matches!(store.save(&key, &write(On::Live, "b", 6)).await.unwrap(), SaveAnswer::Gone));
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_writers_on_one_session_lose_nothing() {
    for with_old_item in [true, false] {
        let embedded = Embedded::start().await;
        let server = Server::start(&servers::dynamodb()).await.unwrap();
        let url = if with_old_item { embedded.url("&expiry=ttl&create=true") } else { patient(server.url()) };
        let store = open(&url).await;
        let key = key(1);
        store.save(&key, &create(10, 1)).await.unwrap();
        writers::sixty_merges(&store, key, &None).await;
        let record = store.load_latest(&key).await.unwrap().unwrap().record;
        assert_eq!((record.attributes.len(), record.lineage.writes()), (62, 61));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deltas_that_no_expression_holds_are_written_all_the_same() {
    let embedded = Embedded::start().await;
    let store = open(&embedded.url("&expiry=ttl&create=true")).await;
    let key = key(1);
    store.save(&key, &create(10, 1)).await.unwrap();
    let mut delta = Delta::default();
    for number in 0..500 {
        delta.set(format!("attribute-{number}"), vec![1; 8]);
    }
    delta.remove("large");
    let many = Write { delta, ..write(On::Live, "b", 2) };
    let answer = store.save(&key, &many).await.unwrap();
    assert!(matches!(answer, SaveAnswer::Saved { previous } if previous == Some(stamp(1))), "{answer:?}");
    let mut delta = Delta::default();
    delta.set("n".repeat(2000), vec![1; 8]);
    store.save(&key, &Write { delta, ..write(On::Live, "b", 3) }).await.unwrap();
    let record = store.load_latest(&key).await.unwrap().unwrap().record;
    assert_eq!((record.attributes.len(), record.lineage.writes()), (502, 3));
    assert!(matches!(store.save(&key, &many).await.unwrap(), SaveAnswer::Saved { .. }), "a repeated one");
    let again = store.load_latest(&key).await.unwrap().unwrap().record;
    assert_eq!(again, record);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_session_fits_and_the_next_byte_has_no_effect() {
    let embedded = Embedded::start().await;
    let server = Server::start(&servers::dynamodb()).await.unwrap();
    for url in [embedded.url("&expiry=ttl&create=true"), patient(server.url())] {
        let store = open(&url).await;
        let (key, limit) = (key(1), store.capabilities().max_bytes);
        let mut fitting = write(On::Absent { created: SystemClock.now() }, "a", 1);
        let overhead = 34 + 16 + 8 + (16 + 1 + 20) + (16 + 5);
        fitting.delta.set("large", vec![7; limit - overhead]);
        assert!(matches!(store.save(&key, &fitting).await.unwrap(), SaveAnswer::Saved { .. }));
        for number in 2..9 {
            let mut merge = write(On::Live, "a", number);
            merge.delta.set("large", vec![number; limit - overhead - 16 * usize::from(number - 1)]);
            assert!(matches!(store.save(&key, &merge).await.unwrap(), SaveAnswer::Saved { .. }), "{number}");
        }
        let before = store.load_latest(&key).await.unwrap().unwrap().record;
        let error = store.save(&key, &write(On::Live, "b", 9)).await.unwrap_err();
        assert_eq!((error.kind(), error.effect()), (ErrorKind::TooLarge, Effect::None), "{error}");
        assert_eq!(store.load_latest(&key).await.unwrap().unwrap().record, before);
    }
}

/// Blind writes know what they add, not what they replace: every so often the bound has to be set right.
#[tokio::test(flavor = "multi_thread")]
async fn an_attribute_that_is_replaced_again_and_again_never_fills_the_session() {
    let embedded = Embedded::start().await;
    let store = DynamoDb::connect(&embedded.url("&expiry=ttl&create=true&max_bytes=2000")).await.unwrap();
    let key = key(1);
    store.save(&key, &create(10, 1)).await.unwrap();
    let before = store.consumed();
    for number in 2..=101 {
        let answer = store.save(&key, &write(On::Live, "counter", number)).await.unwrap();
        assert!(matches!(answer, SaveAnswer::Saved { previous } if previous == Some(stamp(number - 1))));
    }
    let more = store.consumed().requests - before.requests - 100;
    assert!((1..10).contains(&more), "{more} requests more than writes");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_operations_succeed_and_nothing_is_lost() {
    let server = Server::start(&servers::dynamodb()).await.unwrap();
    let store = open(server.url()).await;
    let key = key(1);
    store.save(&key, &create(10, 1)).await.unwrap();
    server.kill().await.unwrap();
    let error = store.load_latest(&key).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, Effect::None), "{error}");
    let error = store.save(&key, &write(On::Live, "b", 2)).await.unwrap_err();
    assert_eq!(error.effect(), Effect::None, "there was no connection to send it on: {error}");
    server.restart().await.unwrap();
    let answer = store.save(&key, &write(On::Live, "c", 3)).await;
    assert!(matches!(answer, Ok(SaveAnswer::Saved { previous }) if previous == Some(stamp(1))), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_server_costs_a_bounded_time_and_is_found_again() {
    let server = Server::start(&servers::dynamodb()).await.unwrap();
    let store = open(&format!("{}&connect_timeout=200ms&response_timeout=200ms", server.url())).await;
    let key = key(1);
    server.pause().await.unwrap();
    for _ in 0..3 {
        let answer = holdover_api::within(Duration::from_secs(3), store.load_latest(&key)).await;
        let error = answer.expect("it ends in a bounded time").unwrap_err();
        assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, Effect::None), "{error}");
        let answer = holdover_api::within(Duration::from_secs(3), store.touch(&key, SystemClock.now())).await;
        assert_eq!(answer.expect("it ends in a bounded time").unwrap_err().effect(), Effect::Unknown);
    }
    server.resume().await.unwrap();
    let store = open(server.url()).await;
    assert!(store.load_latest(&key).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_is_exact_and_a_tombstone_bars_the_way() {
    let embedded = Embedded::start().await;
    let store = open(&embedded.url("&expiry=ttl&create=true")).await;
    let key = key(1);
    store.save(&key, &create(10, 1)).await.unwrap();
    let loaded = store.load_latest(&key).await.unwrap().unwrap();
    let buried = store.bury(&key, &loaded, stamp(2)).await.unwrap();
    assert!(matches!(buried, InstallAnswer::Installed));
    assert!(store.load_latest(&key).await.unwrap().is_none());
    assert!(matches!(store.save(&key, &create(10, 3)).await.unwrap(), SaveAnswer::Gone));
    assert!(matches!(store.save(&key, &write(On::Live, "b", 4)).await.unwrap(), SaveAnswer::Gone));
    assert!(!store.touch(&key, SystemClock.now() + Duration::from_secs(9000)).await.unwrap());
}
