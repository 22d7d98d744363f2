//! The client of the store itself: the same files, compiled into this program.

#![allow(dead_code, reason = "the store uses all of it, this program a part")]

#[path = "../../../backends/src/memcached/connection.rs"]
mod connection;
#[path = "../../../backends/src/memcached/error.rs"]
mod error;
#[path = "../../../backends/src/memcached/link.rs"]
mod link;
#[path = "../../../backends/src/memcached/memo.rs"]
mod memo;
#[path = "../../../backends/src/memcached/wire.rs"]
mod wire;

use std::net::SocketAddr;
use std::time::Duration;

use self::connection::Address;
use self::link::Link;
use self::wire::{Command, Condition, Reply};

const NAME: &str = "memcached";

/// One connection for all tasks.
pub(crate) struct Ours(Link);

impl Ours {
    pub(crate) fn new(server: SocketAddr, patience: Duration) -> Self {
        let address = Address::Tcp(server.ip().to_string(), server.port());
        Self(Link::new(address, patience, patience))
    }

    pub(crate) async fn pair(&self, key: &str, exptime: i32) -> Result<(), String> {
        let failed = |failure: error::Failure| format!("{failure:?}");
        let line = self.0.line().await.map_err(failed)?;
        let Reply::Value { value, cas } = line.ask(&Command::Get { key }).await.map_err(failed)? else {
            return Err("nothing was read".to_owned());
        };
        let set = Command::Set { key, value: &value, exptime, on: Condition::Exactly(cas) };
        match line.ask(&set).await.map_err(failed)? {
            Reply::Done { .. } => Ok(()),
            other => Err(format!("the write was answered by {other:?}")),
        }
    }
}
