//! A time-lapse of table rotation on the embedded DynamoDB, with periods of seconds.
//!
//! ```text
//! cargo run --release --example rotation --features dynamodb-local
//! cargo run --release --example rotation --features dynamodb-local -- --period 3 --periods 20 --sessions 500
//! ```
//!
//! In a terminal it shows tables, where the sessions are and what was consumed, redrawn as it goes; elsewhere one line for
//! whatever happens. It ends with an exit code other than 0 if an acknowledged write was lost, a session was not found before
//! its deadline, or one came back after its log-out.

mod lapse;

use std::io::{IsTerminal, stdout};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

/// A time-lapse of table rotation on the embedded DynamoDB
#[derive(Debug, Parser)]
struct Arguments {
    /// The length of a period
    #[arg(long, value_name = "SECONDS", default_value_t = 6, value_parser = clap::value_parser!(u64).range(3..=3600))]
    period: u64,
    /// Ends when so many boundaries between periods have been crossed
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    periods: u64,
    /// Sessions that are in use all the time
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u16).range(1..))]
    sessions: u16,
    /// Clients that use them, in a closed loop
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1024))]
    clients: u16,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments { period, periods, sessions, clients } = Arguments::parse();
    let settings = lapse::Settings {
        period: Duration::from_secs(period),
        boundaries: periods,
        sessions: sessions.into(),
        clients: clients.into(),
        redraws: stdout().is_terminal(),
    };
    match lapse::run(settings).await {
        Ok(summary) if summary.is_as_promised() => ExitCode::SUCCESS,
        Ok(_) => {
            eprintln!("rotation: a promise was not kept");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("rotation: {error}");
            ExitCode::FAILURE
        }
    }
}
