//! The exam, on a real Redis: `cargo test -p holdover-backends --features redis --test redis [filter]`.

#[path = "support/exam.rs"]
mod exam;
// The command reaches below a Redis in the same way. It cannot live in the library, which names no backend.
#[path = "../../conformance/src/bin/holdover-conformance/redis.rs"]
mod raw;

use std::process::ExitCode;

use async_trait::async_trait;
use exam::Below;
use holdover_conformance::servers::{self, Recipe};
use raw::RawRedis;

#[async_trait]
impl Below for RawRedis {
    const NAME: &'static str = "redis";

    fn shared() -> Recipe {
        servers::redis()
    }

    fn private() -> Recipe {
        servers::redis_durable()
    }

    fn reach(url: &str, prefix: &str) -> Self {
        Self::new(url, prefix)
    }

    async fn clean_up(&self) -> Result<(), String> {
        self.remove_all().await
    }
}

fn main() -> ExitCode {
    exam::examine::<RawRedis>()
}
