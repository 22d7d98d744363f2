//! Servers that run out of capacity, and replicas that are behind: on both servers, behind the fault server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use holdover_api::{
    Clock, Deadline, Effect, ErrorKind, Freshness, ManualClock, On, SaveAnswer, SessionStore,
    SessionStoreExt, SystemClock, Timestamp, Write,
};
use holdover_backends::dynamodb::DynamoDb;
use holdover_conformance::proxy::{DynamodbFaults, Fault};
use holdover_conformance::servers::{self, Server};

use crate::help::{Embedded, client_at, url_at};
use crate::support::{key, open, stamp, write};

const HOUR: u64 = 3_600_000;
const BURST: u8 = 5;
const WRITES: u8 = 20;
const THROTTLED: Fault = Fault::Refuse(400, "ProvisionedThroughputExceededException");

/// A server behind the fault server, and a store on it that holds one session.
async fn with_a_session(address: SocketAddr) -> (DynamodbFaults, Arc<dyn SessionStore>) {
    let faults = DynamodbFaults::start(address).await.unwrap();
    let store = open(&url_at(faults.address(), "&expiry=none&create=true")).await;
    let create = write(On::Absent { created: SystemClock.now() }, "a", 1);
    assert!(matches!(store.save(&key(1), &create).await.unwrap(), SaveAnswer::Saved { .. }));
    (faults, store)
}

#[tokio::test(flavor = "multi_thread")]
async fn without_capacity_nothing_is_written_and_nothing_acknowledged() {
    let embedded = Embedded::start().await;
    let server = Server::start(&servers::dynamodb()).await.unwrap();
    for address in [embedded.address, server.address()] {
        let (faults, store) = with_a_session(address).await;
        faults.throttle(Some((0.0, f64::from(BURST))));
        let mut acknowledged = Vec::new();
        for number in 2..=WRITES {
            let name = format!("n{number}");
            match store.save(&key(1), &write(On::Live, &name, number)).await {
                Ok(answer) => {
                    assert!(matches!(answer, SaveAnswer::Saved { .. }), "{answer:?}");
                    acknowledged.push(name);
                }
                Err(error) => {
                    assert_eq!(
                        (error.kind(), error.effect()),
                        (ErrorKind::Throttled, Effect::None),
                        "{error}"
                    );
                    assert!(error.suggested_delay().is_some(), "{error}");
                }
            }
        }
        assert_eq!(store.load_latest(&key(1)).await.unwrap_err().kind(), ErrorKind::Throttled);
        let refused = faults.seen("UpdateItem").throttled;
        faults.heal();
        assert!(refused > 0 && !acknowledged.is_empty(), "{refused} writes were refused");
        let record = store.load_latest(&key(1)).await.unwrap().unwrap().record;
        assert_eq!(record.lineage.writes(), 1 + u64::try_from(acknowledged.len()).unwrap());
        assert_eq!(record.attributes.len(), 1 + acknowledged.len());
        assert!(acknowledged.iter().all(|name| record.attributes.contains_key(name)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_is_behind_is_passed_over_for_who_has_seen_more() {
    let embedded = Embedded::start().await;
    let server = Server::start(&servers::dynamodb()).await.unwrap();
    for address in [embedded.address, server.address()] {
        let (faults, store) = with_a_session(address).await;
        faults.lag(Some((Duration::from_secs(600), "k")));
        for number in 2..=4 {
            assert!(matches!(
                store.save(&key(1), &write(On::Live, "a", number)).await.unwrap(),
                SaveAnswer::Saved { .. }
            ));
            let loaded = store.load(&key(1), Freshness::AtLeast(stamp(number))).await.unwrap().unwrap();
            assert_eq!(loaded.record.head(), stamp(number), "never older than what was seen");
            let loaded = store.load_latest(&key(1)).await.unwrap().unwrap();
            assert_eq!(loaded.record.head(), stamp(number));
        }
        let stale = faults.seen("GetItem").stale;
        assert_eq!(stale, 3, "the replica was asked first, each time, and was behind");
        let loaded = store.load(&key(1), Freshness::AtLeast(stamp(1))).await.unwrap().unwrap();
        assert_eq!(loaded.record.head(), stamp(1), "who has seen no more may be told the old");
    }
}

/// A table before the present one, which an operator has left next to no capacity.
#[tokio::test(flavor = "multi_thread")]
async fn a_logout_from_a_table_without_capacity_happens_or_says_that_it_has_not() {
    let embedded = Embedded::start().await;
    let server = Server::start(&servers::dynamodb()).await.unwrap();
    for address in [embedded.address, server.address()] {
        logouts_without_capacity_at(address).await;
    }
}

async fn logouts_without_capacity_at(address: SocketAddr) {
    // Not before the system's time, by which the server says when a table was made.
    let hours = SystemClock.now().as_millis() / HOUR + 1;
    let clock = Arc::new(ManualClock::at(Timestamp::from_millis(hours * HOUR + HOUR / 2)));
    let faults = DynamodbFaults::start(address).await.unwrap();
    faults.tell_time(Some(Arc::clone(&clock) as Arc<dyn Clock>));
    let url = url_at(faults.address(), "&expiry=rotation&period=1h&max_lease=30m&keeper=off&create=true");
    let store = DynamoDb::connect_with_clock(&url, Arc::clone(&clock) as Arc<dyn Clock>).await.unwrap();
    let keeper = store.keeper().unwrap();
    let old = client_at(address).list_tables().send().await.unwrap().table_names.unwrap().remove(0);
    clock.advance(Duration::from_secs(25 * 60));
    let deadline = Deadline::AtLeast(clock.now() + Duration::from_secs(30 * 60));
    for number in [1, 2] {
        let create = Write { deadline, ..write(On::Absent { created: clock.now() }, "a", number) };
        assert!(matches!(store.save(&key(number), &create).await.unwrap(), SaveAnswer::Saved { .. }));
    }
    for _ in 0..10 {
        clock.advance(Duration::from_secs(60));
        assert!(keeper.tick().await.failures.is_empty());
    }
    let carried = Write { deadline, ..write(On::Live, "a", 3) };
    assert!(matches!(store.save(&key(1), &carried).await.unwrap(), SaveAnswer::Saved { .. }));

    for operation in ["UpdateItem", "PutItem"] {
        faults.strike_at(&old, operation, THROTTLED, usize::MAX);
    }
    store.delete(&key(1)).await.unwrap();
    assert!(store.load_latest(&key(1)).await.unwrap().is_none(), "what has been carried on is logged out");
    let error = store.delete(&key(2)).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Throttled, Effect::None), "{error}");
    assert!(store.load_latest(&key(2)).await.unwrap().is_some(), "without effect is what it said");
    faults.heal();
    store.delete(&key(2)).await.unwrap();
    assert!(store.load_latest(&key(2)).await.unwrap().is_none());
}
