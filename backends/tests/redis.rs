//! The exam, on a real Redis: `cargo test -p holdover-backends --features redis --test redis [filter]`.

#[path = "redis/raw.rs"]
mod raw;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use holdover_api::{Error, SessionStore};
use holdover_conformance::servers::{self, Server};
use holdover_conformance::{Harness, Node, PrivateServer, Raw};
use tokio::runtime::Runtime;

/// Opens stores on one server; a place is a prefix.
struct RedisHarness {
    url: String,
    address: Option<SocketAddr>,
}

impl RedisHarness {
    fn over(server: &Server) -> Arc<dyn Harness> {
        Arc::new(Self { url: server.url().to_owned(), address: Some(server.address()) })
    }
}

#[async_trait]
impl Harness for RedisHarness {
    fn name(&self) -> String {
        "redis".to_owned()
    }

    async fn open(&self, node: Node) -> Result<Arc<dyn SessionStore>, Error> {
        let server = match (node.via, self.address) {
            (Some(via), Some(address)) => self.url.replace(&address.to_string(), &via.to_string()),
            _ => self.url.clone(),
        };
        let parameters_begin = if server.contains('?') { '&' } else { '?' };
        let url = format!("{server}{parameters_begin}prefix={}:", node.place);
        holdover_backends::connect_with_clock(&url, node.clock).await
    }

    fn raw(&self) -> Option<Arc<dyn Raw>> {
        Some(Arc::new(raw::RawRedis::new(&self.url)))
    }

    fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    async fn private_server(&self) -> Option<Result<PrivateServer, String>> {
        servers::private(&servers::redis_durable(), Self::over).await
    }
}

fn main() -> ExitCode {
    let runtime = Runtime::new().expect("a runtime starts");
    match runtime.block_on(servers::shared(&servers::redis())) {
        Ok(server) => holdover_conformance::main(RedisHarness {
            url: server.url().to_owned(),
            address: server.address(),
        }),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
