//! The demonstration application over HTTP: what its sessions promise, on two nodes, on memory and on a real Redis.
//!
//! A machine without a Redis fails the cases on Redis: `scripts/servers` fetches one.

#[path = "../../examples/common/mod.rs"]
#[allow(dead_code, reason = "the example two_nodes uses more of it")]
mod common;

#[macro_use]
mod stage;
mod command_line;
mod cookies;
#[cfg(feature = "redis")]
mod counting;
mod expiry;
mod interface;
#[cfg(feature = "redis")]
mod monitor;
mod mutants;
#[cfg(feature = "redis")]
mod outage;
mod races;
