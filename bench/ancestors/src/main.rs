//! What came before Holdover, as small stand-ins, side by side with it over the same servers:
//! `cargo run --release --manifest-path bench/Cargo.toml -p holdover-bench-ancestors -- <claim>`.
//!
//! Each claim prints what is predicted and what is measured; `docs/trade-offs.md` says what came of it. The stand-ins are
//! written after reading the originals, in a few hundred lines each, and say what they leave out. What they show is what
//! such an algorithm does, not how fast the original was.

#![allow(
    clippy::disallowed_methods,
    reason = "a bench measures time, and the stand-ins read the clock where the originals did"
)]

mod attributes;
mod background;
mod cache;
mod claims;
mod dsm;
mod job;
mod lab;
// The example counts the calls of two copies by it.
#[path = "../../../examples/failover/counting/memcached.rs"]
mod memcached;
mod msm;
mod ours;
mod upsert;

use clap::{Parser, ValueEnum};

use crate::job::Failure;

/// Puts old claims about sessions to the test, on servers of its own.
#[derive(Debug, Parser)]
struct Arguments {
    /// What to show; without it, everything in one table
    #[arg(value_enum, default_value_t = Claim::Table)]
    claim: Claim,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Claim {
    /// All systems in one table: minutes
    Table,
    /// M2, M9: calls by kind of request
    Calls,
    /// M10: round trips that a user waits for
    Delay,
    /// M26: bytes by the share of requests that change something
    Sent,
    /// M11: reads right after a write
    Stale,
    /// Lost updates of two requests that overlap
    Lost,
    /// M12: requests that are longer than a lock is waited for, or kept
    Holds,
    /// M13, M15: many nodes on one session
    Contention,
    /// M14: locks that are learned to be needless
    Auto,
    /// M19: logouts that are undone
    Logout,
    /// M16, M17, M18: a server that dies, hangs, or returns
    Failover,
    /// M20: a node that dies and saves in the background
    Memory,
    /// M7: tables that follow each other, under load over boundaries
    Rotation,
    /// M5: a table that comes late
    Late,
    /// M27: a hash of a session against a version
    Hashes,
    /// M34: compression
    Compression,
    /// M23: a purge by every node
    Purges,
    /// M24: thirty days
    ThirtyDays,
    /// M25: pings that prolong nothing
    Pings,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Failure> {
    match Arguments::parse().claim {
        Claim::Table => claims::table::run().await,
        Claim::Calls => claims::calls::run().await,
        Claim::Delay => claims::calls::delay().await,
        Claim::Sent => claims::calls::sent().await,
        Claim::Stale => claims::lost::stale_reads().await,
        Claim::Lost => claims::lost::run().await,
        Claim::Holds => claims::locks::holds().await,
        Claim::Contention => claims::locks::contention().await,
        Claim::Auto => claims::locks::auto().await,
        Claim::Logout => claims::logout::run().await,
        Claim::Failover => claims::failover::run().await,
        Claim::Memory => claims::memory::run().await,
        Claim::Rotation => claims::rotation::load::run().await,
        Claim::Late => claims::rotation::late::run().await,
        Claim::Hashes => claims::sizes::hashes().await,
        Claim::Compression => claims::sizes::compression().await,
        Claim::Purges => claims::times::purges().await,
        Claim::ThirtyDays => claims::times::thirty_days().await,
        Claim::Pings => claims::times::pings().await,
    }
}
