//! What a server will not do, and what it does all the same when it refuses.

use holdover_api::{Clock, Effect, ErrorKind, On, SaveAnswer, SessionStoreExt, SystemClock, Write, frame};
use holdover_conformance::servers::{self, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::help::Plain;
use crate::support::{key, open, write};

/// Why the store asks how much a server takes: a server that refuses a value drops the one that is there.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_drops_what_is_there_when_it_refuses_what_is_to_replace_it() {
    let server = Server::start(&servers::memcached().with_argument("-I 512k")).await.unwrap();
    let mut plain = Plain::open(server.address()).await;
    assert_eq!(plain.ask(b"ms k 5 T600 c\r\nfirst").await, "HD c1");
    let large = [&b"ms k 530000 T600 C1\r\n"[..], &[b'x'; 530_000]].concat();
    assert_eq!(plain.ask(&large).await, "SERVER_ERROR object too large for cache");
    assert_eq!(plain.value("k").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_limit_is_what_the_server_takes_and_holds_to_the_byte() {
    let server = Server::start(&servers::memcached().with_argument("-I 512k")).await.unwrap();
    let store = open(server.url()).await;
    let limit = store.capabilities().max_bytes;
    assert_eq!(limit, 512 * 1024 - 1024);
    let created = SystemClock.now();
    store.save(&key(1), &write(On::Absent { created }, "a", 1)).await.unwrap();
    let mut largest = write(On::Live, "a", 2);
    let record = store.load_latest(&key(1)).await.unwrap().unwrap().record.after(&largest);
    let room = limit - frame::size(&record) - frame::attribute_size(1, 0);
    let mut too_large = Write { stamp: crate::support::stamp(3), ..largest.clone() };
    too_large.delta.set("z", vec![b' '; room + 1]);
    let error = store.save(&key(1), &too_large).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::TooLarge, Effect::None), "{error}");
    assert!(error.message().contains(&limit.to_string()), "{error}");
    largest.delta.set("z", vec![b' '; room]);
    assert!(matches!(store.save(&key(1), &largest).await, Ok(SaveAnswer::Saved { .. })));
    let record = store.load_latest(&key(1)).await.unwrap().unwrap().record;
    assert_eq!(record.attributes["z"].len(), room);

    let error = holdover_backends::connect(&format!("{}?max_bytes=524000", server.url())).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Misconfigured, Effect::None), "{error}");
    let smaller = open(&format!("{}?max_bytes=5000", server.url())).await;
    assert_eq!(smaller.capabilities().max_bytes, 5000);
    let usual = Server::start(&servers::memcached()).await.unwrap();
    assert_eq!(open(usual.url()).await.capabilities().max_bytes, 1024 * 1024 - 1024);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_server_that_may_not_evict_throttles_and_answers_on() {
    let full = servers::memcached().with_argument("-m 2").with_argument("-I 512k").with_argument("-M");
    let server = Server::start(&full).await.unwrap();
    let store = open(server.url()).await;
    let created = SystemClock.now();
    let mut refused = None;
    for number in 0..=100 {
        let mut create = write(On::Absent { created }, "a", number);
        create.delta.set("big", vec![7; 100_000]);
        if let Err(error) = store.save(&key(number), &create).await {
            refused = Some((number, error));
            break;
        }
    }
    let (number, error) = refused.expect("it is full before that");
    // The server drops what it cannot replace, so that no refusal for want of room can swear that nothing happened.
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Throttled, Effect::Unknown), "{error}");
    assert!(store.load_latest(&key(number)).await.unwrap().is_none());
    assert!(store.load_latest(&key(0)).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_too_many_clients_throttles() {
    let server = Server::start(&servers::memcached().with_argument("-c 60")).await.unwrap();
    let mut clients = Vec::new();
    let refused = loop {
        let mut client = TcpStream::connect(server.address()).await.unwrap();
        client.write_all(b"mn\r\n").await.unwrap();
        let mut answer = [0; 5];
        let _ = client.read(&mut answer).await;
        if &answer[..2] != b"MN" {
            break answer;
        }
        clients.push(client);
        assert!(clients.len() < 100, "it takes any number");
    };
    assert_eq!(&refused, b"ERROR");
    let error = holdover_backends::connect(server.url()).await.unwrap_err();
    // The refusal and the end of the connection may overtake one another.
    let throttled = error.kind() == ErrorKind::Throttled;
    assert!(throttled || error.kind() == ErrorKind::Unavailable, "{error}");
    assert_eq!(error.effect(), Effect::None);
    clients.clear();
    assert!(open(server.url()).await.load_latest(&key(1)).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_a_session_is_corrupt_and_can_be_deleted() {
    let server = Server::start(&servers::memcached()).await.unwrap();
    let store = open(server.url()).await;
    let key = key(1);
    let mut plain = Plain::open(server.address()).await;
    assert_eq!(plain.ask(format!("set holdover:{key} 0 0 5\r\nhello").as_bytes()).await, "STORED");
    let created = SystemClock.now();
    let create = write(On::Absent { created }, "a", 1);
    for error in [
        store.load_latest(&key).await.unwrap_err(),
        store.save(&key, &create).await.unwrap_err(),
        store.touch(&key, created).await.unwrap_err(),
    ] {
        assert_eq!((error.kind(), error.effect()), (ErrorKind::Corrupt, Effect::None));
    }
    assert_eq!(plain.value(&format!("holdover:{key}")).await.as_deref(), Some(&b"hello"[..]));
    store.delete(&key).await.unwrap();
    assert!(matches!(store.save(&key, &create).await, Ok(SaveAnswer::Saved { previous: None })));
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_are_too_old_or_something_else_are_refused_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("memcached://{}", listener.local_addr().unwrap());
    let old = tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut question = [0; 4];
        client.read_exact(&mut question).await.unwrap();
        client.write_all(b"ERROR\r\n").await.unwrap();
        let _ = client.read(&mut question).await;
    });
    let error = holdover_backends::connect(&url).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Misconfigured, Effect::None), "{error}");
    assert!(error.message().contains("1.6"), "{error}");
    old.await.unwrap();

    let redis = Server::start(&servers::redis()).await.unwrap();
    let error = holdover_backends::connect(&format!("memcached://{}", redis.address())).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, Effect::None), "{error}");
    assert!(error.message().contains("is it a memcached server"), "{error}");
}

#[tokio::test]
async fn nobody_listening_is_unavailable_at_once() {
    let error = holdover_backends::connect("memcached://127.0.0.1:1").await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, Effect::None), "{error}");
}
