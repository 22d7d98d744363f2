//! The exam, put to the session stores of tower-sessions: an example of a harness for a store of another make, and what came
//! of it is in docs/tower-sessions.md.
//!
//! ```text
//! cargo run --locked --manifest-path bench/Cargo.toml -p holdover-bench-tower -- redis --json tower-redis.json
//! ```

mod redis;

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Parser, ValueEnum};
use holdover_conformance::servers::{self, Server};
use holdover_conformance::{Harness, Status, Transcript, examine, fresh_seed, parse_seed, suites};

use crate::redis::RedisHarness;

/// The newest core that a published Redis store fits.
#[path = "."]
pub(crate) mod core_14 {
    pub(crate) mod memory;
    pub(crate) mod store;

    pub(crate) use tower_sessions_core as core;
    pub(crate) use tower_sessions_memory_store::MemoryStore;

    pub(crate) const MEMORY: &str = "tower-sessions-memory-store 0.14.0";
}

/// The newest core. Of its stores only this one is published.
#[path = "."]
pub(crate) mod core_15 {
    #[allow(clippy::duplicate_mod, reason = "the same lines, against another version")]
    pub(crate) mod memory;
    #[allow(clippy::duplicate_mod, dead_code, reason = "the same lines, against another version")]
    pub(crate) mod store;

    pub(crate) use tower_sessions_core_15 as core;
    pub(crate) use tower_sessions_memory_store_15::MemoryStore;

    pub(crate) const MEMORY: &str = "tower-sessions-memory-store 0.15.0";
}

/// What is examined.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Store {
    /// The memory store for core 0.14.
    Memory14,
    /// The memory store for core 0.15.
    Memory15,
    /// The Redis store for core 0.14.
    Redis,
}

/// Puts the Holdover conformance suite to a store of tower-sessions.
#[derive(Parser)]
struct Command {
    store: Store,
    /// Runs one case only; may be given several times.
    #[arg(long, value_name = "ID")]
    case: Vec<String>,
    /// Repeats the run with this seed.
    #[arg(long, value_name = "N", value_parser = parse_seed)]
    seed: Option<u64>,
    /// Writes the results into this file, for `holdover-conformance matrix`.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// How the stores are examined, for whoever reads the results.
const NOTE: &str = "examined through a wrapper that loads, changes and saves as an application does";

#[tokio::main(flavor = "multi_thread", worker_threads = 4)]
async fn main() -> Result<(), String> {
    let command = Command::parse();
    let mut server = None;
    let harness: Arc<dyn Harness> = match command.store {
        Store::Memory14 => Arc::new(core_14::memory::MemoryHarness::default()),
        Store::Memory15 => Arc::new(core_15::memory::MemoryHarness::default()),
        Store::Redis => {
            let started = Server::start(&servers::redis()).await.map_err(|error| error.to_string())?;
            Arc::new(RedisHarness::over(server.insert(started)))
        }
    };
    let seed = command.seed.map_or_else(fresh_seed, Ok)?;
    let mut cases = suites::all();
    cases.retain(|case| command.case.is_empty() || command.case.iter().any(|id| id == case.id));
    let ended = examine(&harness, cases, seed).await;
    let (scope, report) = ended.map_err(|ending| ending.text().to_owned())?;
    println!("store  {}\nseed   {seed:#018x}\n\n{}\n{}", harness.name(), report.table(), report.summary());
    let mut transcript = Transcript::of(&harness.name(), &scope.capabilities, seed, &report);
    transcript.notes.push(NOTE.to_owned());
    if let Some(file) = command.json {
        std::fs::write(&file, transcript.to_json())
            .map_err(|error| format!("{}: {error}", file.display()))?;
    }
    drop(server);
    if report.status() == Status::HarnessError { Err("the bench broke".to_owned()) } else { Ok(()) }
}
