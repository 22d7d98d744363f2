//! Users at work over many boundaries between tables on DynamoDB, audited: three nodes whose clocks are up to three
//! quarters of `max_skew` off, one table in ten late, every load compared with what was acknowledged before it, every
//! session that was logged out looked for again on every node.
//!
//! ```text
//! cargo run --release -p holdover-backends --features dynamodb-local --example dynamodb_boundaries
//! cargo run --release -p holdover-backends --features dynamodb-local --example dynamodb_boundaries -- 50 0x5eed
//! ```
//!
//! The arguments are the number of boundaries, 1,000 without it, and a seed. The clock is moved by hand; the requests are
//! real ones, to the embedded DynamoDB behind a port. The exam has the same over ten boundaries (ROT-36).

#[allow(dead_code, reason = "the exam opens pairs of nodes; here only its time-outs are wanted")]
#[path = "../../tests/dynamodb_rotation_exam/pair.rs"]
mod pair;
#[allow(dead_code, reason = "the exam reaches below the store")]
#[path = "../../../conformance/src/bin/holdover-conformance/dynamodb.rs"]
mod raw;
#[path = "../../tests/dynamodb_rotation_exam/world.rs"]
mod world;

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;

use holdover_api::Timestamp;
use holdover_conformance::rotation::Rotation;
use holdover_conformance::{crossings, fresh_seed, parse_seed};

/// A moment in the middle of a period of an hour.
const BEGINS: Timestamp = Timestamp::from_millis(1_790_001_000_000);

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dynamodb_boundaries: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut arguments = std::env::args().skip(1);
    let count = match arguments.next() {
        Some(text) => text.parse().map_err(|_| "the first argument is a number of boundaries")?,
        None => 1_000,
    };
    let seed = match arguments.next() {
        Some(text) => parse_seed(&text)?,
        None => fresh_seed()?,
    };
    println!("seed {seed:#018x}");
    let rotation: Arc<dyn Rotation> = Arc::new(world::Worlds::Embedded);
    println!("{}", crossings(&rotation, BEGINS, count, seed).await?);
    Ok(())
}
