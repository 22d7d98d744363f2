//! Sessions in one Memcached server: one value a session, which holds the frame, and a compare-and-set for each change.
//!
//! `README.md` beside this file has the URL's parameters, what a restart and an eviction lose, the settings that a
//! server should have, and the reasons for a client of our own with the figures.

mod config;
mod connection;
mod error;
mod expiry;
mod link;
mod memo;
mod place;
mod store;
mod usage;
mod wire;

use std::sync::Arc;

use holdover_api::{Clock, Error, Operation, SessionStore};

use self::config::{Config, DEFAULT_MAX_BYTES};
use self::link::Link;
pub use self::store::Memcached;
pub use self::usage::Usage;
use crate::parameters::misconfigured;
use crate::url::Parts;

/// How the store prints itself.
const NAME: &str = "memcached";

/// Opens the store that a URL names; fails if the server cannot be reached now.
pub(crate) async fn connect(
    parts: &Parts<'_>,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn SessionStore>, Error> {
    Ok(open(parts, clock).await?)
}

async fn open(parts: &Parts<'_>, clock: Arc<dyn Clock>) -> Result<Arc<Memcached>, Error> {
    let config = Config::parse(parts)?;
    let link = Link::new(config.address, config.connect_timeout, config.response_timeout);
    let line = link.line().await.map_err(|failure| failure.into_error(Operation::Connect))?;
    let largest = line.largest_value();
    drop(line);
    let max_bytes = match config.max_bytes {
        // The server would answer a larger session by dropping the one that is there.
        Some(stated) if stated > largest => {
            let message = format!(
                "max_bytes is more than the {largest} bytes that the server takes; lower it, or raise the server's \
                 option -I"
            );
            return Err(misconfigured(NAME, message));
        }
        Some(stated) => stated,
        None => DEFAULT_MAX_BYTES.min(largest),
    };
    Ok(Arc::new(Memcached::new(link, clock, config.prefix, max_bytes)))
}
