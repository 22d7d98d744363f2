//! The exam, on a real MongoDB by itself: `cargo test -p holdover-backends --features mongodb --test mongodb [filter]`.

#[path = "support/exam.rs"]
mod exam;
// The command reaches below a MongoDB in the same way. It cannot live in the library, which names no backend.
#[path = "../../conformance/src/bin/holdover-conformance/mongodb.rs"]
mod raw;

use std::process::ExitCode;

use async_trait::async_trait;
use exam::Below;
use holdover_conformance::servers::{self, Recipe};
use raw::RawMongodb;

#[async_trait]
impl Below for RawMongodb {
    const NAME: &'static str = "mongodb";

    fn shared() -> Recipe {
        servers::mongodb()
    }

    fn private() -> Recipe {
        servers::mongodb()
    }

    fn place(prefix: &str, place: &str) -> String {
        format!("collection={}", Self::collection(prefix, place))
    }

    fn reach(url: &str, prefix: &str) -> Self {
        Self::new(url, prefix)
    }

    async fn clean_up(&self) -> Result<(), String> {
        self.remove_all().await
    }
}

fn main() -> ExitCode {
    exam::examine::<RawMongodb>()
}
