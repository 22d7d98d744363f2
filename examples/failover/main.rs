//! Two copies of every session, put to the test: what they cost on the wire, and what a failure costs.
//!
//! ```text
//! cargo run --release --example failover --features memcached              # calls, then a drill over two servers
//! cargo run --release --example failover --features memcached -- calls
//! cargo run --release --example failover --features memcached -- drill --servers 3
//! cargo run --release --example failover --features memcached,redis -- drill --store redis
//! cargo run --release --example failover --features memcached,redis -- cost
//! ```
//!
//! It starts servers of its own and removes them afterwards. It ends with an exit code other than 0 if a promise is not
//! kept: a count, an acknowledged write, a log-out.

#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../common/mod.rs"]
mod common;
mod cost;
mod counting;
mod drill;
mod figures;
mod nodes;

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use nodes::Kind;

/// Two copies of every session, put to the test
#[derive(Debug, Parser)]
struct Arguments {
    /// What to do; without it, calls and then a drill
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Clone, Copy, Debug, Subcommand)]
enum What {
    /// Counts the calls that a request makes, and how often it waits
    Calls,
    /// Kills, empties, stops and resumes servers under load
    Drill(DrillArguments),
    /// Measures two copies beside one
    Cost(CostArguments),
}

#[derive(Clone, Copy, Debug, Args)]
struct DrillArguments {
    /// What the servers are
    #[arg(long, value_enum, default_value_t = Kind::Memcached)]
    store: Kind,
    /// How many: 2 are a pair, more are a ring of pairs
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(2..=8))]
    servers: u8,
    /// Tasks in a closed loop
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u8).range(1..))]
    clients: u8,
    /// Sessions that they share
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u16).range(4..))]
    sessions: u16,
    /// The length of a phase
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Lets the next fault come before every session has been looked at: more than is promised, so that it may fail
    #[arg(long)]
    without_a_look: bool,
}

#[derive(Clone, Copy, Debug, Args)]
struct CostArguments {
    /// Tasks in a closed loop
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    tasks: u16,
    /// Sessions that each task uses in turn
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=64))]
    sessions: u16,
    /// Rounds; each measures every store, the next goes the other way round
    #[arg(long, value_name = "N", default_value_t = 9, value_parser = clap::value_parser!(u8).range(1..))]
    rounds: u8,
    /// How long each store is measured in a round
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(10..))]
    millis: u64,
}

impl CostArguments {
    fn settings(self) -> cost::Settings {
        cost::Settings {
            tasks: self.tasks.into(),
            sessions: self.sessions.into(),
            rounds: self.rounds.into(),
            length: Duration::from_millis(self.millis),
        }
    }
}

impl DrillArguments {
    fn settings(self) -> drill::Settings {
        drill::Settings {
            store: self.store,
            servers: self.servers.into(),
            clients: self.clients.into(),
            sessions: self.sessions.into(),
            phase: Duration::from_secs(self.seconds),
            looks: !self.without_a_look,
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse().what).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("failover: a promise was not kept");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("failover: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Answers whether every promise was kept.
async fn run(what: Option<What>) -> Result<bool, Box<dyn Error>> {
    match what {
        Some(What::Calls) => counting::run().await,
        Some(What::Drill(arguments)) => drill::run(arguments.settings()).await,
        Some(What::Cost(arguments)) => {
            cost::run(arguments.settings()).await?;
            Ok(true)
        }
        None => {
            let counts = counting::run().await?;
            let defaults = Arguments::parse_from(["failover", "drill"]).what;
            let Some(What::Drill(arguments)) = defaults else {
                return Err("the drill has no defaults".into());
            };
            Ok(drill::run(arguments.settings()).await? && counts)
        }
    }
}
