//! What the exam does not ask: that the scripts say what the judge says, one exchange an operation, a restarted server,
//! logins, Sentinel, Cluster and TLS. On real servers.

#[path = "redis_server/cluster.rs"]
mod cluster;
#[path = "redis_server/help.rs"]
mod help;
#[path = "redis_server/sentinel.rs"]
mod sentinel;
mod support;
#[path = "redis_server/tls.rs"]
mod tls;

use holdover_api::{
    Clock, Effect, ErrorKind, InstallAnswer, On, SaveAnswer, SessionStoreExt, Stored, Survives, SystemClock,
    frame,
};
use holdover_conformance::ServerControl;
use holdover_conformance::servers::{self, Server};

use crate::help::calls;
use crate::support::{differential, key, open, stamp, write, writers};

#[tokio::test(flavor = "multi_thread")]
async fn any_sequence_has_the_answers_of_the_memory_store() {
    let server = Server::start(&servers::redis()).await.unwrap();
    differential::agree(server.url()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_is_one_exchange() {
    let server = Server::start(&servers::redis()).await.unwrap();
    let store = open(server.url()).await;
    let now = SystemClock.now();
    let warm = key(1);
    // The first use of each script makes it known to the server.
    store.save(&warm, &write(On::Absent { created: now }, "a", 1)).await.unwrap();
    store.touch(&warm, now).await.unwrap();
    let stored = store.inspect(&warm).await.unwrap().unwrap();
    store.install(&warm, Some(stored.standing()), &stored).await.unwrap();

    let key = key(2);
    let names = ["evalsha", "eval", "unlink", "get"];
    let before = calls(server.url(), names).await;
    store.save(&key, &write(On::Absent { created: now }, "a", 2)).await.unwrap();
    let loaded = store.load_latest(&key).await.unwrap().unwrap();
    let mut with_base = write(On::Live, "b", 3);
    with_base.base = Some(loaded);
    store.save(&key, &with_base).await.unwrap();
    let mut stale = write(On::Live, "c", 4);
    stale.base.clone_from(&with_base.base);
    store.save(&key, &stale).await.unwrap();
    store.save(&key, &write(On::Live, "d", 5)).await.unwrap();
    store.touch(&key, now).await.unwrap();
    store.inspect(&key).await.unwrap();
    store.install(&key, None, &stored).await.unwrap();
    store.delete(&key).await.unwrap();
    let after = calls(server.url(), names).await;
    let [evalsha, eval, unlink, get] = std::array::from_fn(|index| after[index] - before[index]);
    assert_eq!((evalsha, eval, unlink), (6, 0, 1), "four saves, a touch, an installation; a delete");
    // A load and an inspection; and one inside each script but that whose base was still what is stored.
    assert_eq!(get, 2 + 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn sixty_writers_on_one_session_lose_nothing() {
    let server = Server::start(&servers::redis()).await.unwrap();
    let store = open(server.url()).await;
    let key = key(1);
    let created = SystemClock.now();
    store.save(&key, &write(On::Absent { created }, "a", 1)).await.unwrap();
    let base = store.load_latest(&key).await.unwrap();
    writers::sixty_merges(&store, key, &base).await;
    let record = store.load_latest(&key).await.unwrap().unwrap().record;
    assert_eq!(record.attributes.len(), 61);
}

/// I1: the base is a session that is gone. Its newest seven stamps are those of the session that is there now, which is
/// all that a new lineage remembers: only the creation tells them apart.
#[tokio::test(flavor = "multi_thread")]
async fn a_base_from_before_a_delete_brings_nothing_back() {
    let server = Server::start(&servers::redis()).await.unwrap();
    let store = open(server.url()).await;
    let key = key(1);
    let created = SystemClock.now();
    let later = created + std::time::Duration::from_secs(1);
    let lives = [write(On::Absent { created }, "old", 1), write(On::Absent { created: later }, "new", 9)];
    let mut bases = Vec::new();
    for create in lives {
        store.delete(&key).await.unwrap();
        store.save(&key, &create).await.unwrap();
        for number in 2..=8 {
            store.save(&key, &write(On::Live, "a", number)).await.unwrap();
        }
        bases.push(store.load_latest(&key).await.unwrap().unwrap());
    }
    let mut stale = write(On::Live, "b", 10);
    stale.base = Some(bases.swap_remove(0));
    store.save(&key, &stale).await.unwrap();
    let record = store.load_latest(&key).await.unwrap().unwrap().record;
    assert_eq!(record.attributes.keys().collect::<Vec<_>>(), ["a", "b", "new"]);
    assert_eq!(record.created, later);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_the_first_operation_succeeds_and_nothing_kept_is_lost() {
    let server = Server::start(&servers::redis_durable()).await.unwrap();
    let store = open(server.url()).await;
    assert_eq!(store.capabilities().survives, Survives::Restart);
    let key = key(1);
    let created = SystemClock.now();
    store.save(&key, &write(On::Absent { created }, "a", 1)).await.unwrap();
    server.kill().await.unwrap();
    let error = store.save(&key, &write(On::Live, "b", 2)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let error = store.load_latest(&key).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.effect()),
        (ErrorKind::Unavailable, Effect::None),
        "nothing to send it on"
    );
    server.restart().await.unwrap();
    // The connection is new and the server has forgotten the script.
    let answer = store.save(&key, &write(On::Live, "c", 3)).await;
    assert!(matches!(answer, Ok(SaveAnswer::Saved { previous }) if previous == Some(stamp(1))), "{answer:?}");
    let record = store.load_latest(&key).await.unwrap().unwrap().record;
    assert_eq!(record.attributes.keys().collect::<Vec<_>>(), ["a", "c"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_server_costs_a_bounded_time_and_is_found_again() {
    let server = Server::start(&servers::redis()).await.unwrap();
    let store = open(&format!("{}?connect_timeout=200ms&response_timeout=200ms", server.url())).await;
    let key = key(1);
    server.pause().await.unwrap();
    for _ in 0..3 {
        let answer = holdover_api::within(std::time::Duration::from_secs(2), store.load_latest(&key)).await;
        let error = answer.expect("it ends in a bounded time").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
    }
    server.resume().await.unwrap();
    assert!(store.load_latest(&key).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_denied_and_the_right_one_is_not() {
    let server = Server::start(&servers::redis().with_password("sesame")).await.unwrap();
    let address = server.address();
    for login in ["", ":wrong@", "ada:sesame@"] {
        let url = format!("redis://{login}{address}");
        let error = holdover_backends::connect(&url).await.unwrap_err();
        assert_eq!((error.kind(), error.effect()), (ErrorKind::Denied, Effect::None), "{error}");
        assert!(!format!("{error:?}").contains("wrong@"));
    }
    let store = open(server.url()).await;
    assert_eq!(store.capabilities().survives, Survives::Nothing);
    assert!(!format!("{store:?}").contains("sesame"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_of_the_readme_are_all_that_a_user_needs() {
    let server = Server::start(&servers::redis()).await.unwrap();
    let rules =
        "on >secret ~holdover:* -@all +get +unlink +eval +evalsha +getrange +set +setrange +pexpireat";
    let mut cmd = redis::cmd("ACL");
    cmd.arg("SETUSER").arg("app");
    for rule in rules.split(' ') {
        cmd.arg(rule);
    }
    help::ask::<String>(server.url(), &cmd).await;
    let store = open(&format!("redis://app:secret@{}", server.address())).await;
    let key = key(1);
    let now = SystemClock.now();
    store.save(&key, &write(On::Absent { created: now }, "a", 1)).await.unwrap();
    let mut second = write(On::Live, "b", 2);
    second.base = store.load_latest(&key).await.unwrap();
    store.save(&key, &second).await.unwrap();
    let later = second.deadline.moment() + std::time::Duration::from_secs(9);
    assert!(store.touch(&key, later).await.unwrap());
    let stored = store.inspect(&key).await.unwrap().unwrap();
    store.install(&key, Some(stored.standing()), &stored).await.unwrap();
    store.delete(&key).await.unwrap();

    let foreign = open(&format!("redis://app:secret@{}?prefix=other:", server.address())).await;
    let error = foreign.load_latest(&key).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Denied, Effect::None));
    assert!(!error.to_string().contains("app"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_server_refuses_and_nothing_changes() {
    let server = Server::start(&servers::redis().with_argument("--maxmemory 1mb")).await.unwrap();
    let store = open(server.url()).await;
    let created = SystemClock.now();
    let mut create = write(On::Absent { created }, "a", 1);
    create.delta.set("big", vec![7; 200_000]);
    let error = store.save(&key(1), &create).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Throttled, Effect::None), "{error}");
    assert!(store.load_latest(&key(1)).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_a_session_is_corrupt_and_can_be_deleted() {
    let server = Server::start(&servers::redis()).await.unwrap();
    let store = open(server.url()).await;
    let key = key(1);
    let mut push = redis::cmd("RPUSH");
    push.arg(format!("holdover:{key}")).arg("x");
    help::ask::<i64>(server.url(), &push).await;
    let created = SystemClock.now();
    let create = write(On::Absent { created }, "a", 1);
    for kind in [
        store.load_latest(&key).await.unwrap_err().kind(),
        store.save(&key, &create).await.unwrap_err().kind(),
        store.touch(&key, created).await.unwrap_err().kind(),
    ] {
        assert_eq!(kind, ErrorKind::Corrupt);
    }
    store.delete(&key).await.unwrap();
    assert!(matches!(store.save(&key, &create).await, Ok(SaveAnswer::Saved { previous: None })));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_older_version_stored_is_read_and_written_to() {
    let server = Server::start(&servers::redis()).await.unwrap();
    let store = open(server.url()).await;
    let mut frame = include_bytes!("../../session-api/tests/golden/record-v1.bin").to_vec();
    let deadline = SystemClock.now() + std::time::Duration::from_secs(600);
    frame[frame::DEADLINE_OFFSET..][..8].copy_from_slice(&deadline.as_millis().to_le_bytes());
    for number in 1..=3 {
        let mut set = redis::cmd("SET");
        set.arg(format!("holdover:{}", key(number))).arg(&frame);
        help::ask::<()>(server.url(), &set).await;
    }

    let later = deadline + std::time::Duration::from_secs(9);
    assert!(store.touch(&key(1), later).await.unwrap());
    let touched = store.load_latest(&key(1)).await.unwrap().unwrap().record;
    assert_eq!((touched.deadline, touched.lineage.writes(), touched.attributes.len()), (later, 2, 3));

    for with_base in [false, true] {
        let mut merge = write(On::Live, "b", if with_base { 3 } else { 2 });
        merge.base = store.load_latest(&key(2)).await.unwrap().filter(|_| with_base);
        store.save(&key(2), &merge).await.unwrap();
    }
    let written = store.load_latest(&key(2)).await.unwrap().unwrap().record;
    assert_eq!((written.lineage.writes(), written.attributes.len()), (4, 4));

    let old = store.inspect(&key(3)).await.unwrap().unwrap();
    let answer =
        store.install(&key(3), Some(old.standing()), &Stored::Record((*written).clone())).await.unwrap();
    assert!(matches!(answer, InstallAnswer::Installed), "{answer:?}");
}

#[tokio::test]
async fn nobody_listening_is_unavailable_at_once() {
    let error = holdover_backends::connect("redis://127.0.0.1:1").await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, Effect::None), "{error}");
}
