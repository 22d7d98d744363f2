//! What the exam does not ask: that the server says what the judge says, one exchange an operation, the layout and the
//! index as they are on the server, who may read from where, and what is refused. On real servers.

#[path = "mongodb_server/help.rs"]
mod help;
#[path = "mongodb_server/index.rs"]
mod index;
mod support;

use std::time::Duration;

use bytes::Bytes;
use holdover_api::{
    CheapReads, Clock, Deadline, Delta, Effect, ErrorKind, Freshness, InstallAnswer, On, SaveAnswer,
    SessionStoreExt, Survives, SystemClock, Write, pause, within,
};
use holdover_conformance::servers::{self, MongodbSet, Server};
use mongodb::bson::{Bson, doc};

use crate::help::{Calls, calls, sessions};
use crate::support::{differential, key, open, stamp, write, writers};

/// For what the server does when it gets to it.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn any_sequence_has_the_answers_of_the_memory_store() {
    let server = Server::start(&servers::mongodb()).await.unwrap();
    differential::agree(server.url()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_is_one_exchange() {
    for recipe in [servers::mongodb(), servers::mongodb_set_of_one()] {
        let server = Server::start(&recipe).await.unwrap();
        let store = open(server.url()).await;
        let now = SystemClock.now();
        let key = key(1);
        let expect = async |what: &str, before: Calls, expected: Calls| {
            assert_eq!(calls(server.url()).await - before, expected, "{what}");
        };
        let none = Calls::default();

        let before = calls(server.url()).await;
        store.save(&key, &write(On::Absent { created: now }, "a", 1)).await.unwrap();
        expect("a creation", before, Calls { updates: 1, ..none }).await;

        let before = calls(server.url()).await;
        let loaded = store.load_latest(&key).await.unwrap().unwrap();
        store.load_latest(&support::key(9)).await.unwrap();
        store.inspect(&key).await.unwrap();
        expect("two loads and an inspection", before, Calls { reads: 3, ..none }).await;

        let before = calls(server.url()).await;
        store.save(&key, &write(On::Live, "b", 2)).await.unwrap();
        let mut stale = write(On::Live, "c", 3);
        stale.base = Some(loaded);
        store.save(&key, &stale).await.unwrap();
        store.save(&key, &write(On::Head(stamp(3)), "d", 4)).await.unwrap();
        expect("two merges and a compare-and-set", before, Calls { changes: 3, ..none }).await;

        let before = calls(server.url()).await;
        assert!(store.touch(&key, now + Duration::from_secs(700)).await.unwrap());
        expect("a touch", before, Calls { updates: 1, ..none }).await;

        let stored = store.inspect(&key).await.unwrap().unwrap();
        let before = calls(server.url()).await;
        let installed = store.install(&key, Some(stored.standing()), &stored).await.unwrap();
        assert!(matches!(installed, InstallAnswer::Installed));
        expect("an installation", before, Calls { updates: 1, ..none }).await;

        let before = calls(server.url()).await;
        store.delete(&key).await.unwrap();
        expect("a delete", before, Calls { removals: 1, ..none }).await;

        let before = calls(server.url()).await;
        assert!(matches!(store.save(&key, &write(On::Live, "e", 5)).await, Ok(SaveAnswer::Gone)));
        expect("a refusal, and a look at why", before, Calls { changes: 1, reads: 1, ..none }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_writers_on_one_session_lose_nothing_and_try_nothing_again() {
    let server = Server::start(&servers::mongodb_set_of_one()).await.unwrap();
    let store = open(&format!("{}&response_timeout=20s", server.url())).await;
    let key = key(1);
    let created = SystemClock.now();
    store.save(&key, &write(On::Absent { created }, "a", 1)).await.unwrap();
    let base = store.load_latest(&key).await.unwrap();
    let before = calls(server.url()).await;
    writers::sixty_merges(&store, key, &base).await;
    let expected = Calls { changes: 60, ..Calls::default() };
    assert_eq!(calls(server.url()).await - before, expected, "one exchange a writer");
    let record = store.load_latest(&key).await.unwrap().unwrap().record;
    assert_eq!((record.attributes.len(), record.lineage.writes()), (61, 61));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_lies_on_the_server_as_the_readme_says() {
    let server = Server::start(&servers::mongodb()).await.unwrap();
    let store = open(server.url()).await;
    let key = key(7);
    let created = SystemClock.now();
    let mut first = write(On::Absent { created }, "cart.items", 1);
    first.delta.set("", &b"empty"[..]);
    first.delta.set("__proto__", &b"1"[..]);
    first.delta.set("$where", &b"2"[..]);
    store.save(&key, &first).await.unwrap();
    let mut second = write(On::Live, "cart.items", 2);
    second.delta.remove("$where");
    store.save(&key, &second).await.unwrap();

    let document = sessions(server.url()).await.find_one(doc! {}).await.unwrap().unwrap();
    assert_eq!(document.get_str("_id").unwrap(), "07".repeat(32));
    let attributes: Vec<&str> = document.get_document("a").unwrap().keys().map(String::as_str).collect();
    assert_eq!(attributes, ["_", "___proto__", "_cart%2Eitems"]);
    assert_eq!(document.get_array("l").unwrap().len(), 2);
    assert_eq!(document.get("w"), Some(&Bson::Int64(2)));
    assert!(matches!(document.get("c"), Some(Bson::DateTime(_))));
    assert!(matches!(document.get("e"), Some(Bson::DateTime(_))));
    assert!(matches!(document.get("s"), Some(Bson::Int64(_))));
    assert_eq!(document.len(), 7, "{document}");
    let record = store.load_latest(&key).await.unwrap().unwrap().record;
    assert_eq!(record.attributes.keys().collect::<Vec<_>>(), ["", "__proto__", "cart.items"]);
}

/// The monitor is late by design, and a session past its deadline is over all the same (I4).
#[tokio::test(flavor = "multi_thread")]
async fn what_is_over_is_not_served_whether_or_not_the_server_has_removed_it() {
    let sweeps_at_once = servers::mongodb().with_argument(servers::mongodb_sweep(1));
    for (recipe, is_removed) in [(servers::mongodb(), false), (sweeps_at_once, true)] {
        let server = Server::start(&recipe).await.unwrap();
        let store = open(server.url()).await;
        let key = key(1);
        let mut write = write(On::Absent { created: SystemClock.now() }, "a", 1);
        let deadline = SystemClock.now() + Duration::from_millis(300);
        write.deadline = Deadline::Exactly(deadline);
        store.save(&key, &write).await.unwrap();
        let documents = sessions(server.url()).await;
        let over = within(PATIENCE, async {
            loop {
                let found = store.load_latest(&key).await.unwrap();
                let stored = documents.count_documents(doc! {}).await.unwrap();
                if SystemClock.now() >= deadline && found.is_none() && (stored == 0) == is_removed {
                    return;
                }
                pause(Duration::from_millis(20)).await;
            }
        });
        over.await.unwrap_or_else(|| panic!("removed: {is_removed}"));
        assert!(store.load_latest(&key).await.unwrap().is_none());
        assert!(!store.touch(&key, deadline + Duration::from_secs(60)).await.unwrap(), "{is_removed}");
        let merge = support::write(On::Live, "b", 2);
        assert!(matches!(store.save(&key, &merge).await, Ok(SaveAnswer::Gone)), "{is_removed}");
    }
}

/// S11: 16 MB are the server's limit. What is larger only on the server, by the encoding of its names, it refuses.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_no_document_can_hold_is_too_large() {
    let server = Server::start(&servers::mongodb()).await.unwrap();
    let largest = 16 * 1024 * 1024 - 64 * 1024;
    let url = format!("{}?max_bytes={largest}&response_timeout=20s", server.url());
    let store = open(&url).await;
    let created = SystemClock.now();
    let holding = |name: String, length: usize, number: u8, on: On| {
        let mut delta = Delta::default();
        delta.set(name, Bytes::from(vec![b'x'; length]));
        Write { delta, ..write(on, "unused", number) }
    };
    let absent = On::Absent { created };
    let fitting = holding("v".to_owned(), largest - 1_000, 1, absent);
    assert!(matches!(store.save(&key(1), &fitting).await, Ok(SaveAnswer::Saved { .. })));
    let dots = ".".repeat(6 * 1024 * 1024);
    let refusals = [
        store.save(&key(2), &holding("v".to_owned(), largest, 2, absent)).await,
        store.save(&key(1), &holding("w".to_owned(), 2_000, 3, On::Live)).await,
        store.save(&key(1), &holding("w".to_owned(), largest, 4, On::Live)).await,
        store.save(&key(3), &holding(dots, 1, 5, absent)).await,
    ];
    for (number, refusal) in refusals.into_iter().enumerate() {
        let error = refusal.expect_err("it is too large");
        assert_eq!((error.kind(), error.effect()), (ErrorKind::TooLarge, Effect::None), "{number}: {error}");
    }
    let record = store.load_latest(&key(1)).await.unwrap().unwrap().record;
    assert_eq!(record.attributes.len(), 1, "nothing was half done");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_acknowledged_is_claimed_to_survive_as_much_as_it_does() {
    let single = Server::start(&servers::mongodb()).await.unwrap();
    let set = Server::start(&servers::mongodb_set_of_one()).await.unwrap();
    for (url, survives) in [
        (single.url().to_owned(), Survives::Restart),
        (format!("{}?w=1", single.url()), Survives::Nothing),
        (format!("{}?w=1&journal=true", single.url()), Survives::Restart),
        (set.url().to_owned(), Survives::NodeLoss),
        (format!("{}&w=1", set.url()), Survives::Nothing),
    ] {
        assert_eq!(open(&url).await.capabilities().survives, survives, "{url}");
    }
}

/// S2, S3: a member nearby answers those who say what they have seen, and the primary everybody else.
#[tokio::test(flavor = "multi_thread")]
async fn only_a_reader_that_says_what_it_has_seen_is_served_nearby() {
    let set = MongodbSet::start(&servers::mongodb(), 3, Duration::from_secs(5)).await.unwrap();
    let store = open(&format!("{}&readPreference=secondary&response_timeout=5s", set.url())).await;
    assert_eq!(store.capabilities().cheap_reads, CheapReads::Replica);
    let key = key(1);
    store.save(&key, &write(On::Absent { created: SystemClock.now() }, "a", 1)).await.unwrap();
    set.until_replicated().await.unwrap();
    let primary = set.url_of(set.primary().await.unwrap());

    let before = calls(&primary).await;
    let loaded = store.load(&key, Freshness::AtLeast(stamp(1))).await.unwrap().unwrap();
    assert_eq!(loaded.record.head(), stamp(1));
    assert_eq!((calls(&primary).await - before).reads, 0, "a secondary answered");

    let before = calls(&primary).await;
    store.load_latest(&key).await.unwrap().unwrap();
    let unknown = store.load(&key, Freshness::AtLeast(stamp(99))).await.unwrap().unwrap();
    assert_eq!(unknown.record.head(), stamp(1));
    assert!(store.load(&support::key(2), Freshness::AtLeast(stamp(1))).await.unwrap().is_none());
    assert_eq!((calls(&primary).await - before).reads, 3, "the primary answered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_there_is_unavailable_and_nothing_was_done() {
    let server = Server::start(&servers::mongodb()).await.unwrap();
    let url = server.url().to_owned();
    let store = open(&url).await;
    holdover_conformance::ServerControl::kill(&server).await.unwrap();
    let error = holdover_backends::connect(&url).await.expect_err("nobody is there");
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, Effect::None), "{error}");
    let errors = within(PATIENCE, async {
        loop {
            let error = store.delete(&key(1)).await.expect_err("nobody is there");
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
            if error.effect() == Effect::None {
                return error;
            }
        }
    });
    let error = errors.await.expect("once the driver knows, it says so");
    assert!(error.message().contains("is one running there"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_denied() {
    let server = Server::start(&servers::mongodb().with_password("secret")).await.unwrap();
    open(server.url()).await;
    let wrong = server.url().replace("secret", "hunter2");
    let without = server.url().replace("holdover:secret@", "");
    for url in [wrong, without] {
        let error = holdover_backends::connect(&url).await.expect_err("a stranger");
        assert_eq!((error.kind(), error.effect()), (ErrorKind::Denied, Effect::None), "{error}");
        assert!(!format!("{error:?}").contains("hunter2"));
    }
}

/// Shortest of all: a client of another version that never heard of the store may keep what it likes beside it.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_operator_adds_to_a_document_stays() {
    let server = Server::start(&servers::mongodb()).await.unwrap();
    let store = open(server.url()).await;
    store.save(&key(1), &write(On::Absent { created: SystemClock.now() }, "a", 1)).await.unwrap();
    let documents = sessions(server.url()).await;
    documents.update_one(doc! {}, doc! { "$set": { "note": "vip" } }).await.unwrap();
    store.save(&key(1), &write(On::Live, "b", 2)).await.unwrap();
    let document = documents.find_one(doc! {}).await.unwrap().unwrap();
    assert_eq!(document.get_str("note").unwrap(), "vip");
    assert_eq!(store.load_latest(&key(1)).await.unwrap().unwrap().record.attributes.len(), 2);
}
