//! What the exam does not ask: calls per operation, tokens and restarts, lifetimes, evictions, limits and refusals. On
//! real servers.

#[path = "memcached_server/help.rs"]
mod help;
#[path = "memcached_server/refusals.rs"]
mod refusals;
mod support;

use std::sync::Arc;
use std::time::Duration;

use holdover_api::{
    Clock, Effect, ErrorKind, InstallAnswer, On, SaveAnswer, SessionStoreExt, SystemClock, Write,
};
use holdover_backends::memcached::Memcached;
use holdover_conformance::ServerControl;
use holdover_conformance::servers::{self, Server};

use crate::help::{Calls, Plain};
use crate::support::{differential, key, open, stamp, write, writers};

#[tokio::test(flavor = "multi_thread")]
async fn any_sequence_has_the_answers_of_the_memory_store() {
    let server = Server::start(&servers::memcached()).await.unwrap();
    differential::agree(server.url()).await;
}

/// What the server has been asked since the last look.
struct Bill {
    plain: Plain,
    before: Calls,
}

impl Bill {
    async fn open(server: &Server) -> Self {
        let mut plain = Plain::open(server.address()).await;
        let before = plain.calls().await;
        Self { plain, before }
    }

    async fn spent(&mut self, what: &str, reads: u64, writes: u64, removals: u64) {
        let after = self.plain.calls().await;
        let spent = Calls::of(
            after.reads - self.before.reads,
            after.writes - self.before.writes,
            after.removals - self.before.removals,
        );
        assert_eq!(spent, Calls::of(reads, writes, removals), "{what}");
        self.before = after;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn loads_and_saves_make_the_calls_that_the_readme_says() {
    let server = Server::start(&servers::memcached()).await.unwrap();
    let store = open(server.url()).await;
    let mut bill = Bill::open(&server).await;
    let key = key(1);
    let created = SystemClock.now();

    store.save(&key, &write(On::Absent { created }, "a", 1)).await.unwrap();
    bill.spent("a create", 0, 1, 0).await;
    let conflict = store.save(&key, &write(On::Absent { created }, "a", 2)).await.unwrap();
    assert!(matches!(conflict, SaveAnswer::Conflict { current: Some(_) }));
    bill.spent("a create where a session is", 1, 1, 0).await;
    drop(conflict);

    let loaded = store.load_latest(&key).await.unwrap().unwrap();
    bill.spent("a load", 1, 0, 0).await;
    let with_base = Write { base: Some(loaded), ..write(On::Live, "b", 3) };
    store.save(&key, &with_base).await.unwrap();
    bill.spent("a save by who holds what was loaded", 0, 1, 0).await;
    store.save(&key, &Write { stamp: stamp(4), ..with_base }).await.unwrap();
    bill.spent("a second save from the same base", 1, 1, 0).await;

    let loaded = store.load_latest(&key).await.unwrap().unwrap();
    bill.spent("a load", 1, 0, 0).await;
    open(server.url()).await.save(&key, &write(On::Live, "c", 5)).await.unwrap();
    bill.spent("a save by who has read nothing", 1, 1, 0).await;
    store.save(&key, &Write { base: Some(loaded), ..write(On::Live, "d", 6) }).await.unwrap();
    bill.spent("a save that lost a race", 1, 2, 0).await;
    let record = store.load_latest(&key).await.unwrap().unwrap().record;
    assert_eq!(record.attributes.keys().collect::<Vec<_>>(), ["a", "b", "c", "d"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_operations_make_the_calls_that_the_readme_says() {
    let server = Server::start(&servers::memcached()).await.unwrap();
    let store = open(server.url()).await;
    let key = key(1);
    let created = SystemClock.now();
    let later = created + Duration::from_secs(3600);
    store.save(&key, &write(On::Absent { created }, "a", 1)).await.unwrap();
    let mut bill = Bill::open(&server).await;

    let loaded = store.load_latest(&key).await.unwrap().unwrap();
    assert!(store.touch(&key, later).await.unwrap());
    bill.spent("a load, and a touch by who holds what was loaded", 1, 1, 0).await;
    drop(loaded);
    assert!(store.touch(&key, later + Duration::from_secs(1)).await.unwrap());
    bill.spent("a touch by who has read nothing", 1, 1, 0).await;
    assert!(store.touch(&key, created).await.unwrap());
    bill.spent("a touch that does not extend", 1, 0, 0).await;

    let stored = store.inspect(&key).await.unwrap().unwrap();
    bill.spent("an inspection", 1, 0, 0).await;
    let installed = store.install(&key, Some(stored.standing()), &stored).await.unwrap();
    assert!(matches!(installed, InstallAnswer::Installed));
    bill.spent("an installation over what was read", 0, 1, 0).await;
    store.install(&key, Some(stored.standing()), &stored).await.unwrap();
    bill.spent("an installation over what was written", 0, 1, 0).await;
    store.delete(&key).await.unwrap();
    bill.spent("a delete", 0, 0, 1).await;
    store.install(&key, None, &stored).await.unwrap();
    bill.spent("an installation over nothing", 0, 1, 0).await;
    open(server.url()).await.install(&key, Some(stored.standing()), &stored).await.unwrap();
    bill.spent("an installation over what was read elsewhere", 1, 1, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_writers_on_one_session_lose_nothing() {
    let server = Server::start(&servers::memcached()).await.unwrap();
    let store = open(&format!("{}?response_timeout=2s", server.url())).await;
    let key = key(1);
    let created = SystemClock.now();
    store.save(&key, &write(On::Absent { created }, "a", 1)).await.unwrap();
    let base = store.load_latest(&key).await.unwrap();
    writers::sixty_merges(&store, key, &base).await;
    let record = store.load_latest(&key).await.unwrap().unwrap().record;
    assert_eq!(record.attributes.len(), 61);
}

/// Compare tokens begin again at one with the process, and the server takes an old one: only that none outlives its
/// connection keeps a write from before the restart out.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_from_before_a_restart_is_never_used() {
    let server = Server::start(&servers::memcached()).await.unwrap();
    let store = open(server.url()).await;
    let other = open(server.url()).await;
    let key = key(1);
    let created = SystemClock.now();
    store.save(&key, &write(On::Absent { created }, "old", 1)).await.unwrap();
    let base = store.load_latest(&key).await.unwrap().unwrap();
    let token = async || {
        let mut plain = Plain::open(server.address()).await;
        plain.ask(format!("mg holdover:{key} c").as_bytes()).await
    };
    let before = token().await;
    server.kill().await.unwrap();
    server.restart().await.unwrap();
    // The first write after the restart has the very token that the store remembers.
    let created_anew = other.save(&key, &write(On::Absent { created }, "new", 2)).await;
    let answer = match created_anew {
        Err(_) => other.save(&key, &write(On::Absent { created }, "new", 2)).await.unwrap(),
        Ok(answer) => answer,
    };
    assert!(matches!(answer, SaveAnswer::Saved { previous: None }));
    assert_eq!(before, token().await, "the same token for another record");

    let standing = base.record.standing();
    let stored = holdover_api::Stored::Record(base.record.as_ref().clone());
    let on_head = Write { base: Some(base.clone()), ..write(On::Head(stamp(1)), "stale", 3) };
    let on_live = Write { base: Some(base), ..write(On::Live, "merged", 4) };
    let answer = store.save(&key, &on_head).await.unwrap();
    assert!(matches!(answer, SaveAnswer::Conflict { .. }), "{answer:?}");
    let answer = store.install(&key, Some(standing), &stored).await.unwrap();
    assert!(matches!(answer, InstallAnswer::Refused { .. }), "{answer:?}");
    store.save(&key, &on_live).await.unwrap();
    let record = other.load_latest(&key).await.unwrap().unwrap().record;
    assert_eq!(record.attributes.keys().collect::<Vec<_>>(), ["merged", "new"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_the_first_operation_succeeds_and_everything_is_gone() {
    let server = Server::start(&servers::memcached()).await.unwrap();
    let store = open(server.url()).await;
    let key = key(1);
    let created = SystemClock.now();
    store.save(&key, &write(On::Absent { created }, "a", 1)).await.unwrap();
    server.kill().await.unwrap();
    let error = store.save(&key, &write(On::Live, "b", 2)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let error = store.load_latest(&key).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, Effect::None));
    server.restart().await.unwrap();
    let answer = store.save(&key, &write(On::Live, "c", 3)).await;
    assert!(matches!(answer, Ok(SaveAnswer::Gone)), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_server_costs_a_bounded_time_and_is_found_again() {
    let server = Server::start(&servers::memcached()).await.unwrap();
    let store = open(&format!("{}?connect_timeout=200ms&response_timeout=200ms", server.url())).await;
    let key = key(1);
    server.pause().await.unwrap();
    for _ in 0..3 {
        let answer = holdover_api::within(Duration::from_secs(2), store.load_latest(&key)).await;
        let error = answer.expect("it ends in a bounded time").unwrap_err();
        assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, Effect::None));
    }
    server.resume().await.unwrap();
    assert!(store.load_latest(&key).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn lifetimes_beyond_thirty_days_and_beyond_the_servers_numbers_live() {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let server = Server::start(&servers::memcached()).await.unwrap();
    let store = open(server.url()).await;
    let mut plain = Plain::open(server.address()).await;
    let created = SystemClock.now();
    for (number, days) in [(1, 29), (2, 30), (3, 31), (4, 365), (5, 365 * 100)] {
        let deadline = created + DAY * days;
        let create = Write {
            deadline: holdover_api::Deadline::AtLeast(deadline),
            ..write(On::Absent { created }, "a", number)
        };
        store.save(&key(number), &create).await.unwrap();
        let record = store.load_latest(&key(number)).await.unwrap().expect("it lives").record;
        assert_eq!(record.deadline, deadline);
        let remaining = plain.ask(format!("mg holdover:{} t", key(number)).as_bytes()).await;
        let remaining: u64 = remaining.strip_prefix("HD t").unwrap().parse().unwrap();
        let (wanted, tick) = (u64::from(days) * DAY.as_secs(), 5);
        let fits = remaining + tick >= wanted && remaining <= wanted + tick;
        assert!(fits || days == 365 * 100, "{remaining} s for {days} days");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn values_are_kept_to_the_byte() {
    let server = Server::start(&servers::memcached()).await.unwrap();
    let store = open(server.url()).await;
    let created = SystemClock.now();
    let values: [&[u8]; 6] =
        [b"", b" trailing \t \r\n", b"\r\nEN\r\nHD\r\n", b"\0\xff", b"VA 3 c1", b"END\r\n"];
    for (number, value) in (1..).zip(values) {
        let mut create = write(On::Absent { created }, "a", number);
        create.delta.set("z", value.to_vec());
        store.save(&key(number), &create).await.unwrap();
        let record = store.load_latest(&key(number)).await.unwrap().unwrap().record;
        assert_eq!(record.attributes["z"], value);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_evicted_session_is_gone_and_counted() {
    let small = servers::memcached().with_argument("-m 2").with_argument("-I 512k");
    let server = Server::start(&small).await.unwrap();
    let store = Memcached::connect(server.url()).await.unwrap();
    let usage = store.usage().await.unwrap();
    assert_eq!((usage.evictions, usage.stored, usage.limit_bytes), (0, 0, 2 * 1024 * 1024));
    let store: Arc<dyn holdover_api::SessionStore> = Arc::clone(&store) as _;
    let created = SystemClock.now();
    let first = key(0);
    for number in 0..=100 {
        let mut create = write(On::Absent { created }, "a", number);
        create.delta.set("big", vec![7; 100_000]);
        let answer = store.save(&key(number), &create).await.unwrap();
        assert!(matches!(answer, SaveAnswer::Saved { .. }));
    }
    let answer = store.save(&first, &write(On::Live, "b", 200)).await.unwrap();
    assert!(matches!(answer, SaveAnswer::Gone), "{answer:?}");
    assert!(store.load_latest(&first).await.unwrap().is_none());
    let watched = Memcached::connect(server.url()).await.unwrap().usage().await.unwrap();
    assert!(watched.evictions > 50, "{watched:?}");
    assert_eq!(watched.evictions + watched.stored, 101, "{watched:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_of_the_machine_works_as_well() {
    let server = Server::start(&servers::memcached()).await.unwrap();
    let path = server.directory().join("socket");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let address = server.address();
    let bridge = tokio::spawn(async move {
        let (mut near, _) = listener.accept().await.unwrap();
        let mut far = tokio::net::TcpStream::connect(address).await.unwrap();
        let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
    });
    let store = open(&format!("memcached+unix://{}", path.display())).await;
    let created = SystemClock.now();
    store.save(&key(1), &write(On::Absent { created }, "a", 1)).await.unwrap();
    assert!(open(server.url()).await.load_latest(&key(1)).await.unwrap().is_some());
    bridge.abort();
    let missing = format!("memcached+unix://{}", server.directory().join("none").display());
    let error = holdover_backends::connect(&missing).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, Effect::None), "{error}");
}
