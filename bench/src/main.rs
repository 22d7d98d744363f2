//! Holdover side by side with a raw handler and with its peers. See README.md.

mod app;
mod client;
mod commands;
mod load;
mod machine;
mod races;
mod report;
mod run;
mod server;
mod shape;

use clap::{Parser, Subcommand};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

use crate::app::Kind;

/// What went wrong, for the person at the terminal: a measurement that fails is not continued.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Measures session libraries side by side on one machine.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves one kind of session until it is killed. `run` and `races` start it by themselves.
    App {
        /// What keeps the sessions.
        #[arg(long)]
        kind: Kind,
        /// The Redis server.
        #[arg(long)]
        redis: String,
        /// The processor to run on.
        #[arg(long)]
        cpu: Option<usize>,
        /// End when the standard input ends.
        #[arg(long)]
        with_parent: bool,
    },
    /// Throughput, latency, CPU and store commands per request, as Markdown.
    Run(run::Options),
    /// Lost updates among parallel requests on one session, as Markdown.
    Races(races::Options),
}

fn main() -> Result<(), Failure> {
    match Arguments::parse().command {
        Command::App { kind, redis, cpu, with_parent } => {
            if let Some(cpu) = cpu {
                pin(cpu)?;
            }
            if with_parent {
                std::thread::spawn(end_with_parent);
            }
            app::serve(kind, &redis)
        }
        Command::Run(options) => measure(run::run(&options)),
        Command::Races(options) => measure(races::run(&options)),
    }
}

/// Runs a measurement on the last processor; the applications get the first one. Redis inherits the last one, too.
fn measure(measurement: impl Future<Output = Result<String, Failure>>) -> Result<(), Failure> {
    pin(machine::processors()? - 1)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let figures = runtime.block_on(measurement)?;
    println!("{figures}");
    Ok(())
}

/// Pins this process to one processor, before it has other threads: they and its children inherit that.
fn pin(cpu: usize) -> Result<(), Failure> {
    let mut set = CpuSet::new();
    set.set(cpu)?;
    sched_setaffinity(Pid::from_raw(0), &set)?;
    Ok(())
}

fn end_with_parent() {
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    std::process::exit(0);
}
