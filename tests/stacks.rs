//! The exam on the usual stack of layers over real servers, as a URL names it: `cargo test --test stacks --all-features`.

// The command reaches below the stores in the same way. It cannot live in the library, which names no backend.
#[path = "../conformance/src/bin/holdover-conformance/memcached.rs"]
#[allow(dead_code, reason = "the servers of this test are its own: nothing has to be removed")]
mod memcached;
#[path = "../conformance/src/bin/holdover-conformance/redis.rs"]
#[allow(dead_code, reason = "the servers of this test are its own: nothing has to be removed")]
mod redis;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use holdover::api::{Error, SessionStore};
use holdover::layers::url::{self, Opener};
use holdover_conformance::servers::{self, Recipe, Server};
use holdover_conformance::{Harness, Node, PrivateServer, Raw};
use tokio::runtime::Runtime;

/// More patience than a service should have: the exam is about answers, and a busy machine must not make it fail.
const LAYERS: &str =
    "metrics=on&trace=on&near_cache=2s&retry=2s&timeout=1500ms&connect_timeout=500ms&response_timeout=500ms";

const PREFIX: &str = "holdover-test";

/// Makes the access below a server at a URL.
type Below = fn(&str) -> Arc<dyn Raw>;

/// The usual stack over one kind of server.
#[derive(Clone, Copy)]
struct Kind {
    name: &'static str,
    recipe: fn() -> Recipe,
    private_recipe: fn() -> Recipe,
    below: Below,
}

const KINDS: [Kind; 2] = [
    Kind {
        name: "stack over redis",
        recipe: servers::redis,
        private_recipe: servers::redis_durable,
        below: |url| Arc::new(redis::RawRedis::new(url, PREFIX)),
    },
    Kind {
        name: "stack over memcached",
        recipe: servers::memcached,
        private_recipe: servers::memcached,
        below: |url| Arc::new(memcached::RawMemcached::new(url, PREFIX)),
    },
];

struct Stacked {
    kind: Kind,
    url: String,
    address: SocketAddr,
}

impl Stacked {
    fn over(kind: Kind, server: &Server) -> Arc<dyn Harness> {
        Arc::new(Self { kind, url: server.url().to_owned(), address: server.address() })
    }
}

#[async_trait]
impl Harness for Stacked {
    fn name(&self) -> String {
        self.kind.name.to_owned()
    }

    async fn open(&self, node: Node) -> Result<Arc<dyn SessionStore>, Error> {
        let reached = node.via.unwrap_or(self.address);
        let server = self.url.replace(&self.address.to_string(), &reached.to_string());
        let url = format!("{server}?{LAYERS}&prefix={PREFIX}:{}:", node.place);
        let open: Opener = Arc::new(|url, clock| {
            Box::pin(async move { holdover_backends::connect_with_clock(&url, clock).await })
        });
        Ok(url::connect(&url, node.clock, &open).await?.store)
    }

    fn raw(&self) -> Option<Arc<dyn Raw>> {
        Some((self.kind.below)(&self.url))
    }

    fn address(&self) -> Option<SocketAddr> {
        Some(self.address)
    }

    async fn private_server(&self) -> Option<Result<PrivateServer, String>> {
        let kind = self.kind;
        servers::private(&(kind.private_recipe)(), |server| Self::over(kind, server)).await
    }
}

fn main() -> ExitCode {
    let runtime = Runtime::new().expect("a runtime starts");
    let mut started = Vec::new();
    for kind in KINDS {
        match runtime.block_on(Server::start(&(kind.recipe)())) {
            Ok(server) => started.push((kind, server)),
            Err(error) => {
                eprintln!("error: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    holdover_conformance::main_of(started.iter().map(|(kind, server)| Stacked::over(*kind, server)).collect())
}
