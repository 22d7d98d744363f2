//! Against a small server that answers each line with the same line in capitals.

use std::time::Duration;

use holdover_api::within;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::{Behaviour, Break, Direction, Proxy};

const BRIEFLY: Duration = Duration::from_millis(100);

async fn proxied() -> Proxy {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(shout(client));
        }
    });
    Proxy::start(server).await.unwrap()
}

async fn shout(client: TcpStream) {
    let mut client = BufReader::new(client);
    let mut line = String::new();
    while let Ok(1..) = client.read_line(&mut line).await {
        let answer = line.to_ascii_uppercase();
        if client.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
        line.clear();
    }
}

async fn connect(proxy: &Proxy) -> TcpStream {
    TcpStream::connect(proxy.address()).await.unwrap()
}

async fn send(client: &mut TcpStream, text: &str) {
    client.write_all(text.as_bytes()).await.unwrap();
}

async fn receive(client: &mut TcpStream, length: usize) -> String {
    let mut answer = vec![0; length];
    client.read_exact(&mut answer).await.unwrap();
    String::from_utf8(answer).unwrap()
}

async fn exchange(client: &mut TcpStream, text: &str) -> String {
    send(client, text).await;
    receive(client, text.len()).await
}

/// Whether nothing arrives for a while: only ever used where something would have arrived at once.
async fn hears_nothing(client: &mut TcpStream) -> bool {
    within(BRIEFLY, client.read_u8()).await.is_none()
}

#[tokio::test]
async fn what_passes_is_counted() {
    let proxy = proxied().await;
    let mut client = connect(&proxy).await;
    assert_eq!(exchange(&mut client, "one\n").await, "ONE\n");
    assert_eq!(exchange(&mut client, "three\n").await, "THREE\n");
    let counts = proxy.until(|counts| counts.response_bytes == 10).await;
    assert_eq!((counts.connections, counts.open), (1, 1));
    assert_eq!((counts.requests, counts.responses, counts.request_bytes), (2, 2, 10));
    assert_eq!(counts.last_response_bytes, 6);
    drop(client);
    proxy.until(|counts| counts.open == 0).await;
}

#[tokio::test]
async fn a_held_request_arrives_when_it_is_released() {
    let proxy = proxied().await;
    let mut client = connect(&proxy).await;
    proxy.set(Direction::Requests, Behaviour::Hold);
    send(&mut client, "one\n").await;
    let counts = proxy.until(|counts| counts.delayed == 1).await;
    assert_eq!((counts.requests, counts.request_bytes), (1, 0));
    proxy.set(Direction::Requests, Behaviour::Pass);
    assert_eq!(receive(&mut client, 4).await, "ONE\n");
}

#[tokio::test]
async fn a_held_response_has_been_answered_by_the_server() {
    let proxy = proxied().await;
    let mut client = connect(&proxy).await;
    proxy.set(Direction::Responses, Behaviour::Hold);
    send(&mut client, "one\n").await;
    proxy.until(|counts| counts.responses == 1).await;
    assert!(hears_nothing(&mut client).await);
    proxy.set(Direction::Responses, Behaviour::Pass);
    assert_eq!(receive(&mut client, 4).await, "ONE\n");
}

#[tokio::test]
async fn a_black_hole_swallows_and_what_would_follow_the_gap_meets_a_reset() {
    let proxy = proxied().await;
    let mut client = connect(&proxy).await;
    proxy.set(Direction::Responses, Behaviour::Swallow);
    send(&mut client, "one\n").await;
    proxy.until(|counts| counts.swallowed_bytes == 4).await;
    assert!(hears_nothing(&mut client).await);
    proxy.set(Direction::Responses, Behaviour::Pass);
    send(&mut client, "two\n").await;
    let error = client.read_u8().await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(proxy.counts().broken, 1);
    assert_eq!(exchange(&mut connect(&proxy).await, "six\n").await, "SIX\n");
}

#[tokio::test]
async fn a_delayed_response_is_late_and_whole() {
    let proxy = proxied().await;
    let mut client = connect(&proxy).await;
    proxy.set(Direction::Responses, Behaviour::Delay(BRIEFLY * 3));
    send(&mut client, "one\n").await;
    assert!(hears_nothing(&mut client).await);
    assert_eq!(receive(&mut client, 4).await, "ONE\n");
    assert_eq!(proxy.counts().delayed, 1);
}

#[tokio::test]
async fn a_slow_direction_passes_a_little_at_a_time() {
    let proxy = proxied().await;
    let mut client = connect(&proxy).await;
    proxy.set(Direction::Requests, Behaviour::Slow(40));
    send(&mut client, "twelve char\n").await;
    let counts = proxy.until(|counts| counts.request_bytes > 0).await;
    assert!(counts.request_bytes <= 2, "{counts:?}");
    proxy.set(Direction::Requests, Behaviour::Pass);
    assert_eq!(receive(&mut client, 12).await, "TWELVE CHAR\n");
}

#[tokio::test]
async fn a_response_is_cut_after_each_number_of_bytes() {
    let proxy = proxied().await;
    for kept in 0..=4 {
        let mut client = connect(&proxy).await;
        proxy.cut_response(1, kept, Break::Close);
        assert_eq!(exchange(&mut client, "one\n").await, "ONE\n");
        send(&mut client, "two\n").await;
        let mut received = String::new();
        client.read_to_string(&mut received).await.unwrap();
        assert_eq!(received, "TWO\n"[..kept]);
        proxy.until(|counts| counts.cuts == kept + 1).await;
    }
}

#[tokio::test]
async fn a_reset_is_an_error_and_not_the_end_of_the_stream() {
    let proxy = proxied().await;
    let mut clients = [connect(&proxy).await, connect(&proxy).await];
    for client in &mut clients {
        assert_eq!(exchange(client, "one\n").await, "ONE\n");
    }
    proxy.break_connections(Break::Reset).await;
    let counts = proxy.counts();
    assert_eq!((counts.broken, counts.open), (2, 0));
    for client in &mut clients {
        let error = client.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
    assert_eq!(exchange(&mut connect(&proxy).await, "two\n").await, "TWO\n");
}

#[tokio::test]
async fn a_refusing_proxy_has_a_closed_port_and_opens_the_same_one_again() {
    let proxy = proxied().await;
    let mut client = connect(&proxy).await;
    assert_eq!(exchange(&mut client, "one\n").await, "ONE\n");
    proxy.refuse().await;
    let error = TcpStream::connect(proxy.address()).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
    assert_eq!(exchange(&mut client, "two\n").await, "TWO\n");
    proxy.heal().await;
    assert_eq!(exchange(&mut connect(&proxy).await, "six\n").await, "SIX\n");
}

#[tokio::test]
async fn nothing_outlives_the_proxy() {
    let proxy = proxied().await;
    let mut client = connect(&proxy).await;
    assert_eq!(exchange(&mut client, "one\n").await, "ONE\n");
    let address = proxy.address();
    drop(proxy);
    assert!(client.read_u8().await.is_err());
    assert!(TcpStream::connect(address).await.is_err());
}
