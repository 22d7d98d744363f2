//! A server that refuses, breaks off, or is not DynamoDB.

use std::net::SocketAddr;
use std::time::Duration;

use holdover_api::{Clock, Effect, ErrorKind, On, SessionStoreExt, SystemClock};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::help::{Embedded, url_at};
use crate::support::{key, open, write};

/// Stands in front of a server: what the first look at the table needs goes through, everything else is answered by this.
async fn refusing(server: SocketAddr, answer: Option<String>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(serve(client, server, answer.clone()));
        }
    });
    address
}

async fn serve(mut client: TcpStream, server: SocketAddr, answer: Option<String>) -> Option<()> {
    loop {
        let request = message(&mut client).await?;
        let head = String::from_utf8_lossy(&request).into_owned();
        if head.contains("DynamoDB_20120810.Describe") {
            let mut upstream = TcpStream::connect(server).await.ok()?;
            upstream.write_all(&request).await.ok()?;
            let response = message(&mut upstream).await?;
            client.write_all(&response).await.ok()?;
        } else {
            // Without an answer the connection is closed.
            client.write_all(answer.as_ref()?.as_bytes()).await.ok()?;
        }
    }
}

/// One message of HTTP that says its length.
async fn message(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
            let length =
                head.split("content-length: ").nth(1)?.split("\r\n").next()?.parse::<usize>().ok()?;
            if bytes.len() >= end + 4 + length {
                return Some(bytes);
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

fn refusal(status: u16, code: &str, text: &str) -> String {
    let body = format!(r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{code}","message":"{text}"}}"#);
    let head = format!("HTTP/1.1 {status} No\r\nContent-Type: application/x-amz-json-1.0");
    format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_over_the_wire_are_what_the_table_says() {
    let embedded = Embedded::start().await;
    open(&embedded.url("&expiry=ttl&create=true")).await;
    let rows = [
        (400, "ProvisionedThroughputExceededException", ErrorKind::Throttled, Effect::None),
        (400, "ThrottlingException", ErrorKind::Throttled, Effect::None),
        (400, "AccessDeniedException", ErrorKind::Denied, Effect::None),
        (400, "ExpiredTokenException", ErrorKind::Denied, Effect::None),
        (500, "InternalServerError", ErrorKind::Unavailable, Effect::Unknown),
        (503, "ServiceUnavailable", ErrorKind::Unavailable, Effect::Unknown),
    ];
    for (status, code, kind, effect) in rows {
        let front = refusing(embedded.address, Some(refusal(status, code, "table hunter2"))).await;
        let store = open(&url_at(front, "&expiry=ttl")).await;
        let create = write(On::Absent { created: SystemClock.now() }, "a", 1);
        let error = store.save(&key(1), &create).await.unwrap_err();
        assert_eq!((error.kind(), error.effect()), (kind, effect), "{code}: {error}");
        assert_eq!(error.suggested_delay().is_some(), kind == ErrorKind::Throttled, "{code}");
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
        let error = store.load_latest(&key(1)).await.unwrap_err();
        assert_eq!((error.kind(), error.effect()), (kind, Effect::None), "{code}: {error}");
    }
}

/// The client repeats nothing by itself: the one request that broke off is the only one.
#[tokio::test(flavor = "multi_thread")]
async fn a_broken_connection_leaves_the_effect_of_a_write_unknown() {
    let embedded = Embedded::start().await;
    open(&embedded.url("&expiry=ttl&create=true")).await;
    let front = refusing(embedded.address, None).await;
    let store = open(&url_at(front, "&expiry=ttl")).await;
    let create = write(On::Absent { created: SystemClock.now() }, "a", 1);
    let error = store.save(&key(1), &create).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, Effect::Unknown), "{error}");
    let error = store.delete(&key(1)).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, Effect::Unknown), "{error}");
    let error = store.load_latest(&key(1)).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, Effect::None), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_dynamodb_is_found_out_at_once() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let page = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello".to_owned();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let page = page.clone();
            tokio::spawn(async move {
                while message(&mut client).await.is_some() {
                    let _ = client.write_all(page.as_bytes()).await;
                }
            });
        }
    });
    let error = holdover_backends::connect(&url_at(address, "&expiry=ttl")).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, Effect::None), "{error}");
    assert!(error.message().contains("is it dynamodb"), "{error}");
}

#[tokio::test]
async fn nobody_listening_is_unavailable_without_effect() {
    let address = SocketAddr::from(([127, 0, 0, 1], 1));
    let url = url_at(address, "&expiry=ttl");
    let connected = holdover_api::within(Duration::from_secs(30), holdover_backends::connect(&url)).await;
    let error = connected.expect("it ends").unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, Effect::None), "{error}");
}
