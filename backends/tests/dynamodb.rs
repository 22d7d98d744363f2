//! The exam, on Dynalite: `cargo test -p holdover-backends --features dynamodb --test dynamodb [filter]`.

#[path = "support/exam.rs"]
mod exam;
// The command reaches below a DynamoDB in the same way. It cannot live in the library, which names no backend.
#[path = "../../conformance/src/bin/holdover-conformance/dynamodb.rs"]
mod raw;

use std::process::ExitCode;

use async_trait::async_trait;
use exam::Below;
use holdover_conformance::servers::{self, Recipe};
use raw::RawDynamoDb;

#[async_trait]
impl Below for RawDynamoDb {
    const NAME: &'static str = "dynamodb";

    fn shared() -> Recipe {
        servers::dynamodb()
    }

    fn private() -> Recipe {
        servers::dynamodb()
    }

    fn reach(url: &str, prefix: &str) -> Self {
        Self::new(url, prefix)
    }

    async fn clean_up(&self) -> Result<(), String> {
        self.remove_all().await
    }
}

fn main() -> ExitCode {
    exam::examine::<RawDynamoDb>()
}
