//! The exam, on the embedded DynamoDB as a server of its own:
//! `cargo test -p holdover-backends --features dynamodb-local --test dynamodb_local [filter]`.
//!
//! It has what Dynalite lacks: a time to live, and the old item along with a refusal. This program is the server, too: it
//! starts itself with `--serve`, so that the exam can kill and pause a real process.

#[path = "support/exam.rs"]
mod exam;
#[path = "../../conformance/src/bin/holdover-conformance/dynamodb.rs"]
mod raw;

use std::process::ExitCode;
use std::time::Duration;

use async_trait::async_trait;
use dynoxide::Database;
use exam::Below;
use holdover_conformance::servers::{self, Launch, Recipe};
use raw::RawDynamoDb;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

const SERVE: &str = "--serve";

/// How often the server removes what has expired.
const BETWEEN_SWEEPS: Duration = Duration::from_millis(500);

#[async_trait]
impl Below for RawDynamoDb {
    const NAME: &'static str = "dynamodb (embedded)";

    fn shared() -> Recipe {
        recipe()
    }

    fn private() -> Recipe {
        recipe()
    }

    fn reach(url: &str, prefix: &str) -> Self {
        Self::new(url, prefix)
    }

    async fn clean_up(&self) -> Result<(), String> {
        self.remove_all().await
    }
}

/// As for Dynalite, with this program in its place.
fn recipe() -> Recipe {
    let program = std::env::current_exe().expect("this program knows where it is");
    let program: &'static str = program.to_string_lossy().into_owned().leak();
    Recipe {
        name: "dynamodb-local",
        programs: Box::leak(Box::new([program])),
        arguments,
        url,
        more_arguments: Vec::new(),
        ..servers::dynamodb()
    }
}

fn arguments(launch: &Launch) -> Vec<String> {
    let file = launch.directory.join("tables").to_string_lossy().into_owned();
    vec![SERVE.to_owned(), launch.port.to_string(), file]
}

fn url(launch: &Launch) -> String {
    let table = "dynamodb://test:test@us-east-1/holdover-test?expiry=ttl&create=true&survives=restart";
    format!("{table}&endpoint=http://127.0.0.1:{}", launch.port)
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [serve, port, file] if serve == SERVE => serve_at(port, file),
        _ => exam::examine::<RawDynamoDb>(),
    }
}

fn serve_at(port: &str, file: &str) -> ExitCode {
    let runtime = Runtime::new().expect("a runtime starts");
    let database = Database::new(file).expect("its file can be opened");
    runtime.block_on(async {
        let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await.expect("the port is free");
        let swept = database.clone();
        tokio::spawn(async move {
            loop {
                holdover_api::pause(BETWEEN_SWEEPS).await;
                let _ = swept.sweep_ttl();
            }
        });
        dynoxide::server::serve_on(listener, database).await;
    });
    ExitCode::SUCCESS
}
