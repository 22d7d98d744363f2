//! The server starter: finds a real server, starts it, breaks it, and always cleans up.
//!
//! A server is found, in this order, as
//!
//! 1. the address in `HOLDOVER_TEST_<NAME>_URL`, such as `HOLDOVER_TEST_REDIS_URL`: already running, the way for people
//!    with containers (`compose.yaml`). It is shared and never killed.
//! 2. a program on this machine: on `PATH`, in the usual places, or in `target/servers`, into which `scripts/servers`
//!    unpacks packages.
//!
//! The starter does not run containers by itself: `compose.yaml` does.
//!
//! A harness has two uses for it: [`shared`] gives the server that most cases share, [`private`] one that a case may
//! kill, pause and restart.
//!
//! ```
//! # tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
//! use holdover_conformance::servers::{self, ServerError};
//!
//! match servers::shared(&servers::redis()).await {
//!     Ok(redis) => println!("{}", redis.url()),
//!     Err(ServerError::NotFound(help)) => println!("{help}"),
//!     Err(broken) => return Err(broken.to_string()),
//! }
//! # Ok::<(), String>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod dynamodb;
mod find;
mod memcached;
mod mongodb;
mod port;
mod process;
mod recipe;
mod redis;
#[cfg(test)]
mod tests;
mod watchdog;

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;

pub use dynamodb::dynamodb;
pub use memcached::memcached;
pub use mongodb::{MongodbSet, mongodb, mongodb_set_of_one, mongodb_sweep};
pub(crate) use port::free as free_port;
pub use process::Server;
pub use recipe::{Launch, Recipe};
pub use redis::{redis, redis_durable};

use crate::harness::{Harness, PrivateServer};

/// Why there is no server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerError {
    /// This machine has none. The text says how to get one.
    NotFound(String),
    /// One was found and did not work. The text holds the end of its log.
    Failed(String),
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::NotFound(text) | Self::Failed(text)) = self;
        f.write_str(text)
    }
}

impl std::error::Error for ServerError {}

/// A server that many cases share: one that was running already, or one started for this process.
///
/// It stops when this value is dropped, if it was started here.
#[derive(Debug)]
pub struct SharedServer {
    url: String,
    address: Option<SocketAddr>,
    started: Option<Server>,
}

impl SharedServer {
    /// Where to connect, as a URL that a store understands. May hold a password: never print it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The address for a fault proxy to stand in front of; nothing if the URL names none, or several.
    pub const fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// The server, if it was started here.
    pub const fn started(&self) -> Option<&Server> {
        self.started.as_ref()
    }
}

/// The server at `HOLDOVER_TEST_<NAME>_URL`, or one that is started now.
///
/// # Errors
///
/// [`ServerError::NotFound`] if the variable is not set and no program is on this machine.
pub async fn shared(recipe: &Recipe) -> Result<SharedServer, ServerError> {
    if let Some(url) = find::running(recipe.name) {
        let address = address_of(&url, recipe.default_port);
        return Ok(SharedServer { url, address, started: None });
    }
    let server = Server::start(recipe).await?;
    Ok(SharedServer { url: server.url().to_owned(), address: Some(server.address()), started: Some(server) })
}

/// A server of its own for one case, as [`Harness::private_server`] answers it: nothing if this machine has no program
/// for it.
///
/// `harness` makes the harness over the started server.
pub async fn private(
    recipe: &Recipe,
    harness: impl FnOnce(&Server) -> Arc<dyn Harness>,
) -> Option<Result<PrivateServer, String>> {
    match Server::start(recipe).await {
        Ok(server) => {
            let harness = harness(&server);
            let control = Arc::new(server);
            Some(Ok(PrivateServer { harness, control }))
        }
        Err(ServerError::NotFound(_)) => None,
        Err(ServerError::Failed(why)) => Some(Err(why)),
    }
}

/// The address in `scheme://[user[:password]@]host[:port][/path][?query]`.
fn address_of(url: &str, default_port: u16) -> Option<SocketAddr> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host_and_port = authority.rsplit('@').next()?;
    if host_and_port.contains(',') {
        return None;
    }
    let has_port = host_and_port.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let with_port =
        if has_port { host_and_port.to_owned() } else { format!("{host_and_port}:{default_port}") };
    with_port.to_socket_addrs().ok()?.next()
}
