//! What requests with a session, and the end of many sessions, consume on DynamoDB, as the embedded one reports it: time to
//! live, rotation, the ancestor's rotation and expiry by scan, side by side. The tables in backends/src/dynamodb/README.md
//! are its output.
//!
//! ```text
//! cargo run -p holdover-backends --features dynamodb-local --example dynamodb_cost
//! cargo run -p holdover-backends --features dynamodb-local --example dynamodb_cost -- 1000
//! ```
//!
//! The numbers say how many sessions are to end at once; without them 1,000, 10,000 and 100,000. It counts units and
//! requests, and measures no time.

mod ancestor;
mod ending;
mod requests;

use std::error::Error;
use std::process::ExitCode;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dynamodb_cost: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Outcome<()> {
    let mut numbers = Vec::new();
    for text in std::env::args().skip(1) {
        numbers.push(text.parse::<usize>().map_err(|_| "the arguments are numbers of sessions")?);
    }
    if numbers.is_empty() {
        numbers = vec![1_000, 10_000, 100_000];
    }
    let rotation = requests::print().await?;
    ancestor::print(&requests::SIZES, &rotation)?;
    ending::print(&numbers).await
}
