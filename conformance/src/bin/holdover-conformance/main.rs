//! Puts the exam to any store that a URL can name.

mod cluster;
mod copies;
mod dynamodb;
mod memcached;
mod mongodb;
#[cfg(test)]
mod mongodb_tests;
mod redis;
mod store;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Args, Parser, Subcommand};
use holdover_conformance::{
    CASE_LIMIT, Case, Ending, Harness, Outcome, Report, SEED_VARIABLE, Scope, SoakLength, Verdict,
    fresh_seed, parse_seed, run_case_in, scope_of, soak, suites,
};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Cases that are under way at the same time: they mostly wait for the store.
const CASES_AT_A_TIME: usize = 4;

/// The exit code for a bench that could not even begin.
const HARNESS_ERROR: u8 = 3;

/// Puts the Holdover conformance suite to a store and prints a table.
///
/// Exit codes: 0 conformant, 1 non-conformant, 2 incomplete (nothing failed, but something could not be decided), 3 the
/// bench itself broke.
#[derive(Parser)]
#[command(name = "holdover-conformance", version, args_conflicts_with_subcommands = true)]
struct Command {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    run: Run,
}

#[derive(Subcommand)]
enum Action {
    /// Lists all cases.
    List,
    /// Says what a case asks, what it means for users, and who had the bug.
    Explain {
        /// The id of the case, such as CON-07.
        case: String,
    },
}

#[derive(Args)]
struct Run {
    /// The store, as a URL: memory:, redis://host:port/db, memcached://host:port, mongodb://host:port/db, or several hosts
    /// with copies=2. Sessions of the suite get prefixes or collections of their own.
    #[arg(long, value_name = "URL")]
    store: Option<String>,
    /// Runs one case only; may be given several times.
    #[arg(long, value_name = "ID")]
    case: Vec<String>,
    /// Runs one suite only: con, race, exp or fail; may be given several times.
    #[arg(long, value_name = "NAME")]
    suite: Vec<String>,
    /// Repeats the run with this seed.
    #[arg(long, value_name = "N", value_parser = parse_seed)]
    seed: Option<u64>,
    /// Instead of the cases: load for so many minutes, on servers of its own, while faults strike one at a time. For
    /// stores that keep copies.
    #[arg(long, value_name = "MINUTES", conflicts_with_all = ["case", "suite"])]
    soak: Option<u64>,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 4)]
async fn main() -> ExitCode {
    let command = Command::parse();
    let done = match command.action {
        Some(Action::List) => list(),
        Some(Action::Explain { case }) => explain(&case),
        None if command.run.soak.is_some() => soaked(command.run).await,
        None => examine(command.run).await,
    };
    match done {
        Ok(code) => leave(code),
        Err(message) => {
            eprintln!("error: {message}");
            leave(HARNESS_ERROR)
        }
    }
}

/// Ends the process even if a store still blocks a thread, which the runtime would wait for.
fn leave(code: u8) -> ! {
    std::process::exit(i32::from(code))
}

fn list() -> Result<u8, String> {
    for case in suites::all() {
        println!("{:<8} {}", case.id, case.title.replace('_', " "));
    }
    Ok(0)
}

fn explain(id: &str) -> Result<u8, String> {
    let wanted = |case: &Case| case.id.eq_ignore_ascii_case(id);
    let Some(case) = suites::all().into_iter().find(wanted) else {
        return Err(format!("there is no case {id}; `list` names them all"));
    };
    println!("{} {}\n\n{}", case.id, case.title.replace('_', " "), case.explain);
    Ok(0)
}

/// The cases that were asked for: all of them, or those named.
fn chosen(run: &Run) -> Result<Vec<Case>, String> {
    let all = suites::all();
    let lower = |words: &[String]| words.iter().map(|word| word.to_ascii_lowercase()).collect::<Vec<_>>();
    let (ids, names) = (lower(&run.case), lower(&run.suite));
    for id in &ids {
        if !all.iter().any(|case| case.id.eq_ignore_ascii_case(id)) {
            return Err(format!("there is no case {id}; `list` names them all"));
        }
    }
    for name in &names {
        if !all.iter().any(|case| case.suite() == *name) {
            return Err(format!("there is no suite {name}; they are {}", suites::NAMES.join(", ")));
        }
    }
    if ids.is_empty() && names.is_empty() {
        return Ok(all);
    }
    let wanted = |case: &Case| ids.contains(&case.id.to_ascii_lowercase()) || names.contains(&case.suite());
    Ok(all.into_iter().filter(wanted).collect())
}

async fn examine(run: Run) -> Result<u8, String> {
    let cases = chosen(&run)?;
    let Some(url) = &run.store else {
        return Err("name a store with --store <url>, or ask for `list` or `explain <case>`".to_owned());
    };
    let seed = run.seed.map_or_else(fresh_seed, Ok)?;
    let examined = store::examined(url, fresh_seed()?)?;
    let harness = &examined.harness;
    let scope = scope_of(harness).await.map_err(|ending| ending.text().to_owned())?;
    println!("store  {}", harness.name());
    println!("claims {}", scope.capabilities);
    println!("seed   {seed:#018x}  ({SEED_VARIABLE}, --seed)\n");

    let report = run_all(harness, scope, cases, seed).await;
    print!("{}", report.table());
    println!("\n{}", report.summary());
    if let Err(message) = examined.clean_up().await {
        eprintln!("warning: sessions of this run stay in the store: {message}");
    }
    Ok(report.status().exit_code())
}

/// The exit code of a soak that found a broken promise.
const BROKEN: u8 = 1;

async fn soaked(run: Run) -> Result<u8, String> {
    let Some(url) = &run.store else {
        return Err("name a store with --store <url>: --soak has to know what to break".to_owned());
    };
    let seed = run.seed.map_or_else(fresh_seed, Ok)?;
    let minutes = run.soak.unwrap_or_default();
    let examined = store::examined(url, fresh_seed()?)?;
    println!("store  {}", examined.harness.name());
    println!("seed   {seed:#018x}  (--seed)\n");
    let length = SoakLength::Time(Duration::from_secs(minutes.saturating_mul(60)));
    let ended = soak(&examined.harness, seed, length, |fault| println!("{fault}")).await;
    let report = match ended {
        Ok(report) => report,
        Err(Ending::Error(why)) => return Err(why),
        Err(ending) => {
            println!("\n{}", ending.text());
            return Ok(BROKEN);
        }
    };
    println!("\n{report}");
    for told in &report.told {
        println!("  {told}");
    }
    Ok(if report.is_sound() { 0 } else { BROKEN })
}

async fn run_all(harness: &Arc<dyn Harness>, scope: Scope, cases: Vec<Case>, seed: u64) -> Report {
    let places = Arc::new(Semaphore::new(CASES_AT_A_TIME));
    let mut running = JoinSet::new();
    for (number, case) in cases.into_iter().enumerate() {
        let (harness, places) = (Arc::clone(harness), Arc::clone(&places));
        running.spawn(async move {
            let _place = places.acquire().await;
            let started = now();
            let verdict: Verdict = run_case_in(&harness, &scope, &case, seed, CASE_LIMIT).await;
            let took: Duration = started.elapsed();
            (number, Outcome { case, verdict, took })
        });
    }
    let mut numbered = running.join_all().await;
    numbered.sort_by_key(|(number, _)| *number);
    Report { outcomes: numbered.into_iter().map(|(_, outcome)| outcome).collect() }
}

#[allow(clippy::disallowed_methods, reason = "how long a case took is told to people, and decides nothing")]
fn now() -> Instant {
    Instant::now()
}
