//! A connection whose other end is the test: who gets which reply, and who is told what when it ends.

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::task::JoinHandle;

use super::*;

const GET: Command<'static> = Command::Get { key: "k" };

/// A connection, and the server's end of it, which has room for so many bytes.
fn pair(room: usize) -> (Arc<Connection>, DuplexStream) {
    let (ours, theirs) = duplex(room);
    let (reading, writing) = tokio::io::split(ours);
    (Arc::new(Connection::over(reading, writing)), theirs)
}

type Asked = JoinHandle<Result<Reply, Failure>>;

/// Asks, and returns when the command has been handed over.
async fn ask(connection: &Arc<Connection>, command: Command<'static>) -> Asked {
    let connection = Arc::clone(connection);
    let handed_over = Arc::new(AtomicBool::default());
    let flag = Arc::clone(&handed_over);
    let asked = tokio::spawn(async move { connection.ask(&command, &flag).await });
    while !handed_over.load(Ordering::Relaxed) && !asked.is_finished() {
        tokio::task::yield_now().await;
    }
    asked
}

async fn expect(server: &mut DuplexStream, commands: &str) {
    let mut received = vec![0; commands.len()];
    server.read_exact(&mut received).await.unwrap();
    assert_eq!(String::from_utf8(received).unwrap(), commands);
}

async fn reply(server: &mut DuplexStream, text: &str) {
    server.write_all(text.as_bytes()).await.unwrap();
}

fn value(text: &'static str) -> Result<Reply, Failure> {
    Ok(Reply::Value { value: text.into(), cas: 5 })
}

#[tokio::test]
async fn replies_reach_those_who_asked_in_order() {
    let (connection, mut server) = pair(4096);
    let first = ask(&connection, GET).await;
    let second = ask(&connection, Command::Delete { key: "k", cas: None }).await;
    expect(&mut server, "mg k v c O1\r\nmd k O2\r\n").await;
    reply(&mut server, "VA 3 c5 O1\r\none\r\nNF O2\r\n").await;
    assert_eq!(first.await.unwrap(), value("one"));
    assert_eq!(second.await.unwrap(), Ok(Reply::NotFound));
    assert!(!connection.is_closed());
}

#[tokio::test]
async fn whoever_stops_waiting_loses_only_its_own_reply() {
    let (connection, mut server) = pair(4096);
    let abandoned = ask(&connection, GET).await;
    let other = ask(&connection, GET).await;
    abandoned.abort();
    assert!(abandoned.await.unwrap_err().is_cancelled());
    expect(&mut server, "mg k v c O1\r\nmg k v c O2\r\n").await;
    reply(&mut server, "VA 3 c5 O1\r\none\r\nVA 3 c5 O2\r\ntwo\r\n").await;
    assert_eq!(other.await.unwrap(), value("two"));
    let third = ask(&connection, GET).await;
    reply(&mut server, "EN O3\r\n").await;
    assert_eq!(third.await.unwrap(), Ok(Reply::Missing));
}

#[tokio::test]
async fn a_reply_to_another_command_reaches_nobody_and_ends_the_connection() {
    for wrong in ["VA 3 c5 O2\r\ntwo\r\n", "VA 3 c5\r\ntwo\r\n", "EN O9\r\n", "MN\r\n", "END\r\n"] {
        let (connection, mut server) = pair(4096);
        let first = ask(&connection, GET).await;
        let second = ask(&connection, GET).await;
        expect(&mut server, "mg k v c O1\r\nmg k v c O2\r\n").await;
        reply(&mut server, wrong).await;
        for asked in [first, second] {
            assert_eq!(asked.await.unwrap(), Err(Failure::sent(Cause::OutOfStep)), "{wrong:?}");
        }
        assert!(connection.is_closed());
        let late = ask(&connection, GET).await;
        assert_eq!(late.await.unwrap(), Err(Failure::unsent(Cause::OutOfStep)));
    }
}

#[tokio::test]
async fn what_is_not_a_reply_ends_the_connection_after_those_before_it() {
    let (connection, mut server) = pair(4096);
    let first = ask(&connection, GET).await;
    let second = ask(&connection, GET).await;
    expect(&mut server, "mg k v c O1\r\nmg k v c O2\r\n").await;
    reply(&mut server, "EN O1\r\nHTTP/1.1 400 Bad Request\r\n").await;
    assert_eq!(first.await.unwrap(), Ok(Reply::Missing));
    assert_eq!(second.await.unwrap(), Err(Failure::sent(Cause::Garbled)));
    assert!(connection.is_closed());
}

#[tokio::test]
async fn a_refusal_that_may_be_out_of_step_is_told_and_ends_the_connection() {
    let (connection, mut server) = pair(4096);
    let first = ask(&connection, GET).await;
    let second = ask(&connection, GET).await;
    expect(&mut server, "mg k v c O1\r\nmg k v c O2\r\n").await;
    reply(&mut server, "SERVER_ERROR out of memory\r\nCLIENT_ERROR bad data chunk\r\n").await;
    assert_eq!(first.await.unwrap(), Ok(Reply::Refused(Refusal::OutOfMemory)));
    assert_eq!(second.await.unwrap(), Ok(Reply::Refused(Refusal::Client)));
    assert!(connection.is_closed());
}

#[tokio::test]
async fn when_it_ends_what_may_have_arrived_is_told_from_what_cannot() {
    // The server takes so little that the first command never leaves wholly.
    let (connection, mut server) = pair(8);
    let sent = ask(&connection, GET).await;
    expect(&mut server, "mg ").await;
    let unsent = ask(&connection, GET).await;
    drop(server);
    assert_eq!(sent.await.unwrap().unwrap_err().phase, Phase::Sent);
    assert_eq!(unsent.await.unwrap().unwrap_err().phase, Phase::Unsent);
    assert!(connection.is_closed());
}

#[tokio::test]
async fn what_the_server_says_unasked_ends_the_connection_and_is_the_reason() {
    let (connection, mut server) = pair(4096);
    reply(&mut server, "ERROR Too many open connections\r\n").await;
    while !connection.is_closed() {
        tokio::task::yield_now().await;
    }
    let asked = ask(&connection, GET).await;
    let cause = Cause::Refused(Refusal::TooManyConnections);
    assert_eq!(asked.await.unwrap(), Err(Failure::unsent(cause)));
}

#[test]
fn when_the_runtime_of_its_tasks_ends_so_does_the_connection() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (connection, _server) = runtime.block_on(async { pair(4096) });
    assert!(!connection.is_closed());
    drop(runtime);
    assert!(connection.is_closed());
}

#[tokio::test]
async fn only_so_many_operations_are_under_way_even_if_nobody_waits_for_them() {
    let (connection, mut server) = pair(64 * 1024);
    for _ in 0..MAX_UNDER_WAY {
        ask(&connection, GET).await.abort();
    }
    for number in 1..=MAX_UNDER_WAY {
        expect(&mut server, &format!("mg k v c O{number}\r\n")).await;
    }
    let handed_over = AtomicBool::default();
    let mut one_more = std::pin::pin!(connection.ask(&GET, &handed_over));
    let nothing = std::future::poll_fn(|context| {
        assert!(one_more.as_mut().poll(context).is_pending());
        std::task::Poll::Ready(())
    });
    nothing.await;
    assert!(!handed_over.load(Ordering::Relaxed));
    reply(&mut server, "EN O1\r\n").await;
    let rest = async {
        expect(&mut server, &format!("mg k v c O{}\r\n", MAX_UNDER_WAY + 1)).await;
        for number in 2..=MAX_UNDER_WAY + 1 {
            reply(&mut server, &format!("EN O{number}\r\n")).await;
        }
    };
    let (last, ()) = tokio::join!(one_more, rest);
    assert_eq!(last, Ok(Reply::Missing));
}

#[test]
fn the_largest_value_leaves_room_for_what_stands_beside_it() {
    let settings = |size: &str| vec![("item_size_max".to_owned(), size.to_owned())];
    assert_eq!(largest_value(&settings("1048576")), Some(1024 * 1024 - BESIDE_A_VALUE));
    assert_eq!(largest_value(&settings("100")), Some(0));
    assert_eq!(largest_value(&settings("x")), None);
    assert_eq!(largest_value(&[]), None);
}
