//! How the exams of MongoDB reach below it.

use async_trait::async_trait;
use holdover_conformance::servers::{self, Recipe};

use super::exam::Below;
use super::raw::RawMongodb;

#[async_trait]
impl Below for RawMongodb {
    const NAME: &'static str = "mongodb";

    /// A case waits half a minute at most for what the server does by itself, and a server that is not told otherwise
    /// looks once a minute. That one is in `mongodb_server.rs`, and serves the cases that break a server.
    fn shared() -> Recipe {
        servers::mongodb().with_argument(servers::mongodb_sweep(20))
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
