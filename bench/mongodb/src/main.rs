//! What the MongoDB store costs: `cargo run --release --manifest-path bench/Cargo.toml -p holdover-bench-mongodb`.
//!
//! - `sizes`: a load, and a save of one attribute, in sessions of several sizes, beside the bare driver, which finds
//!   the document, and sets one field or replaces the whole document.
//! - `concern`: a save that a majority acknowledges, beside one that one server does, on one server and on a set.
//! - `expiry`: how late the server removes what has expired all at once.

mod expiry;
mod measure;
mod sizes;

use clap::{Parser, Subcommand};
use holdover_conformance::servers::{self, MongodbSet, Server};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What Holdover's MongoDB store costs, on servers of its own.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// A load and a save of one attribute, by the size of the session
    Sizes(measure::Settings),
    /// What the acknowledgement of a majority costs
    Concern(measure::Settings),
    /// How late the server removes what has expired
    Expiry {
        /// How many sessions expire at once.
        #[arg(long, default_value_t = 10_000)]
        sessions: usize,
        /// Every so many seconds the server looks; a server does so every 60 unless it is told otherwise.
        #[arg(long, default_values_t = [60, 1])]
        every: Vec<u32>,
    },
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Failure> {
    match Arguments::parse().what {
        What::Sizes(settings) => {
            let server = Server::start(&servers::mongodb()).await?;
            sizes::compare(server.url(), &settings).await
        }
        What::Concern(settings) => {
            let single = Server::start(&servers::mongodb()).await?;
            let set = MongodbSet::start(&servers::mongodb(), 3, std::time::Duration::from_secs(10)).await?;
            sizes::concerns(single.url(), &set.url(), &settings).await
        }
        What::Expiry { sessions, every } => expiry::lateness(sessions, &every).await,
    }
}
