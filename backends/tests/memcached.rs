//! The exam, on a real Memcached: `cargo test -p holdover-backends --features memcached --test memcached [filter]`.

// The command reaches below a Memcached in the same way. It cannot live in the library, which names no backend.
#[path = "../../conformance/src/bin/holdover-conformance/memcached.rs"]
mod raw;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use holdover_api::{Error, SessionStore};
use holdover_conformance::servers::{self, Server};
use holdover_conformance::{Harness, Node, PrivateServer, Raw};
use tokio::runtime::Runtime;

/// Opens stores on one server; a place is a prefix below the prefix of this run.
struct MemcachedHarness {
    url: String,
    address: Option<SocketAddr>,
}

/// Four times the time-outs that a service should have: the exam is about answers, and a busy machine that builds
/// beside it must not make it fail. The suite's own bound on every operation stands.
const PATIENCE: &str = "&connect_timeout=1s&response_timeout=1s";

/// What the keys of this run begin with, on a server that others may use as well.
fn run_prefix() -> String {
    format!("holdover-test-{}", std::process::id())
}

impl MemcachedHarness {
    fn over(server: &Server) -> Arc<dyn Harness> {
        Arc::new(Self { url: server.url().to_owned(), address: Some(server.address()) })
    }
}

#[async_trait]
impl Harness for MemcachedHarness {
    fn name(&self) -> String {
        "memcached".to_owned()
    }

    async fn open(&self, node: Node) -> Result<Arc<dyn SessionStore>, Error> {
        let server = match (node.via, self.address) {
            (Some(via), Some(address)) => self.url.replace(&address.to_string(), &via.to_string()),
            _ => self.url.clone(),
        };
        let parameters_begin = if server.contains('?') { '&' } else { '?' };
        let url = format!("{server}{parameters_begin}prefix={}:{}:{PATIENCE}", run_prefix(), node.place);
        holdover_backends::connect_with_clock(&url, node.clock).await
    }

    fn raw(&self) -> Option<Arc<dyn Raw>> {
        Some(Arc::new(raw::RawMemcached::new(&self.url, &run_prefix())))
    }

    fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    async fn private_server(&self) -> Option<Result<PrivateServer, String>> {
        servers::private(&servers::memcached(), Self::over).await
    }
}

fn main() -> ExitCode {
    let runtime = Runtime::new().expect("a runtime starts");
    let server = match runtime.block_on(servers::shared(&servers::memcached())) {
        Ok(server) => server,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let verdict = holdover_conformance::main(MemcachedHarness {
        url: server.url().to_owned(),
        address: server.address(),
    });
    let below = raw::RawMemcached::new(server.url(), &run_prefix());
    if let Err(error) = runtime.block_on(below.remove_all()) {
        eprintln!("error: the keys of this run could not be removed: {error}");
        return ExitCode::FAILURE;
    }
    verdict
}
