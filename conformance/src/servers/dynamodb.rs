//! Dynalite, which stands in for DynamoDB: tables that take their time to come and go, no time to live, and no old item
//! along with a refusal.

use super::recipe::{Launch, Recipe};

/// A Dynalite whose tables live in its directory: what it held is there again when it comes back.
pub fn dynamodb() -> Recipe {
    Recipe {
        name: "dynamodb",
        programs: &["dynalite"],
        default_port: 8000,
        arguments,
        url,
        question,
        ready,
        more_arguments: vec!["--createTableMs 50".to_owned(), "--deleteTableMs 50".to_owned()],
        password: None,
    }
}

fn arguments(launch: &Launch) -> Vec<String> {
    let port = launch.port.to_string();
    let path = launch.directory.join("tables").to_string_lossy().into_owned();
    let arguments = ["--host", "127.0.0.1", "--port", &port, "--path", &path];
    arguments.map(str::to_owned).into()
}

/// Any login will do: Dynalite wants one and checks none. It has no time to live, and nobody else removes what has
/// expired.
fn url(launch: &Launch) -> String {
    format!(
        "dynamodb://test:test@us-east-1/holdover-test?expiry=none&create=true&survives=restart&endpoint=http://127.0.0.1:{}",
        launch.port
    )
}

fn question(_: &Launch) -> Vec<u8> {
    b"GET / HTTP/1.0\r\n\r\n".to_vec()
}

/// It does not say which process it is, and ends by itself if it cannot have its port.
fn ready(_: &Launch, _: u32) -> Vec<Vec<u8>> {
    vec![b"healthy: dynamodb".to_vec()]
}
