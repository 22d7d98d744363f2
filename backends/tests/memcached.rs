//! The exam, on a real Memcached: `cargo test -p holdover-backends --features memcached --test memcached [filter]`.

#[path = "support/exam.rs"]
mod exam;
// The command reaches below a Memcached in the same way. It cannot live in the library, which names no backend.
#[path = "../../conformance/src/bin/holdover-conformance/memcached.rs"]
mod raw;

use std::process::ExitCode;

use async_trait::async_trait;
use exam::Below;
use holdover_conformance::servers::{self, Recipe};
use raw::RawMemcached;

#[async_trait]
impl Below for RawMemcached {
    const NAME: &'static str = "memcached";

    fn shared() -> Recipe {
        servers::memcached()
    }

    fn private() -> Recipe {
        servers::memcached()
    }

    fn reach(url: &str, prefix: &str) -> Self {
        Self::new(url, prefix)
    }

    async fn clean_up(&self) -> Result<(), String> {
        self.remove_all().await
    }
}

fn main() -> ExitCode {
    exam::examine::<RawMemcached>()
}
