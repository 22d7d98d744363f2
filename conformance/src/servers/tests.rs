//! On the Redis of this machine. Without one these tests fail: `scripts/servers` fetches it.

use std::time::Duration;

use holdover_api::within;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Recipe, Server, address_of, redis, redis_durable};
use crate::harness::ServerControl;

const BRIEFLY: Duration = Duration::from_millis(200);

async fn started(recipe: &Recipe) -> Server {
    match Server::start(recipe).await {
        Ok(server) => server,
        Err(why) => panic!("{why}"),
    }
}

/// Sends one command on a new connection; nothing if there is no answer.
async fn ask(server: &Server, command: &str) -> Option<String> {
    let mut stream = TcpStream::connect(server.address()).await.ok()?;
    stream.write_all(command.as_bytes()).await.ok()?;
    let mut answer = vec![0; 256];
    let length = stream.read(&mut answer).await.ok()?;
    answer.truncate(length);
    String::from_utf8(answer).ok()
}

#[tokio::test]
async fn a_started_server_answers_and_leaves_nothing_behind() {
    let server = started(&redis()).await;
    assert_eq!(ask(&server, "PING\r\n").await.as_deref(), Some("+PONG\r\n"));
    let address = server.address();
    let directory = server.directory().to_owned();
    assert!(directory.exists());
    drop(server);
    assert!(TcpStream::connect(address).await.is_err());
    assert!(!directory.exists());
}

#[tokio::test]
async fn a_killed_server_refuses_and_a_durable_one_comes_back_with_everything() {
    let server = started(&redis_durable()).await;
    let port = server.address().port();
    assert_eq!(ask(&server, "SET kept 1\r\n").await.as_deref(), Some("+OK\r\n"));
    server.kill().await.unwrap();
    assert!(TcpStream::connect(server.address()).await.is_err());
    server.restart().await.unwrap();
    assert_eq!(server.address().port(), port);
    assert_eq!(ask(&server, "GET kept\r\n").await.as_deref(), Some("$1\r\n1\r\n"));
}

#[tokio::test]
async fn a_volatile_server_comes_back_empty() {
    let server = started(&redis()).await;
    assert_eq!(ask(&server, "SET lost 1\r\n").await.as_deref(), Some("+OK\r\n"));
    server.restart().await.unwrap();
    assert_eq!(ask(&server, "GET lost\r\n").await.as_deref(), Some("$-1\r\n"));
}

#[tokio::test]
async fn a_paused_server_accepts_connections_and_says_nothing_until_it_is_resumed() {
    let server = started(&redis()).await;
    server.pause().await.unwrap();
    assert!(TcpStream::connect(server.address()).await.is_ok());
    assert_eq!(within(BRIEFLY, ask(&server, "PING\r\n")).await, None);
    server.resume().await.unwrap();
    assert_eq!(ask(&server, "PING\r\n").await.as_deref(), Some("+PONG\r\n"));
}

#[tokio::test]
async fn a_stopped_server_is_gone_and_can_be_started_again() {
    let server = started(&redis()).await;
    server.stop().await.unwrap();
    assert!(TcpStream::connect(server.address()).await.is_err());
    assert!(server.stop().await.is_err());
    server.restart().await.unwrap();
    assert_eq!(ask(&server, "PING\r\n").await.as_deref(), Some("+PONG\r\n"));
}

#[tokio::test]
async fn a_paused_server_is_cleaned_up_too() {
    let server = started(&redis()).await;
    server.pause().await.unwrap();
    let address = server.address();
    drop(server);
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn servers_started_together_have_ports_of_their_own() {
    let recipe = redis();
    let (first, second, third) = tokio::join!(started(&recipe), started(&recipe), started(&recipe));
    let ports = [&first, &second, &third].map(|server| server.address().port());
    assert!(ports[0] != ports[1] && ports[1] != ports[2] && ports[0] != ports[2]);
}

#[tokio::test]
async fn a_password_is_asked_for() {
    let server = started(&redis().with_password("open-sesame")).await;
    assert!(ask(&server, "GET x\r\n").await.unwrap().starts_with("-NOAUTH"));
    assert!(server.url().contains("open-sesame@"));
    assert!(!format!("{server:?}").contains("sesame"));
}

#[tokio::test]
async fn a_server_that_cannot_start_says_why() {
    let error = Server::start(&redis().with_argument("--no-such-setting 1")).await.unwrap_err();
    assert!(error.to_string().contains("no-such-setting"), "{error}");
}

#[tokio::test]
async fn a_missing_program_says_how_to_get_it() {
    let recipe = Recipe { programs: &["holdover-no-such-program"], ..redis() };
    let help = Server::start(&recipe).await.unwrap_err().to_string();
    assert!(help.contains("scripts/servers") && help.contains("HOLDOVER_TEST_REDIS_URL"), "{help}");
}

#[test]
fn addresses_are_found_in_urls() {
    let found = |url| address_of(url, 6379).map(|address| address.to_string());
    assert_eq!(found("redis://127.0.0.1"), Some("127.0.0.1:6379".into()));
    assert_eq!(found("redis://:p@ss@127.0.0.1:7000/0?x=1"), Some("127.0.0.1:7000".into()));
    assert_eq!(found("redis://[::1]/0"), Some("[::1]:6379".into()));
    assert_eq!(found("redis+cluster://127.0.0.1:1,127.0.0.1:2"), None);
}
