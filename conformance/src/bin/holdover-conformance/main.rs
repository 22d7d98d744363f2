//! Puts the exam to any store that a URL can name.

mod args;
mod cluster;
mod copies;
mod dynamodb;
mod matrix;
mod memcached;
mod mongodb;
#[cfg(test)]
mod mongodb_tests;
mod output;
mod redis;
mod render;
mod soaking;
mod store;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser;
use holdover_conformance::{
    Case, Report, SEED_VARIABLE, Scope, Status, Transcript, examine, fresh_seed, suites,
};

use crate::args::{Action, Command, Run, chosen};
use crate::matrix::Matrix;
use crate::output::{MatrixForm, Outputs, Place, tell};
use crate::render::{Form, printable, render};

#[tokio::main(flavor = "multi_thread", worker_threads = 4)]
async fn main() {
    let command = Command::try_parse().unwrap_or_else(|error| {
        let asked_for_help = !error.use_stderr();
        // If even that cannot be told, the exit code says it.
        let _ = error.print();
        leave(if asked_for_help { Status::Conformant } else { Status::HarnessError })
    });
    let done = match command.action {
        Some(Action::List) => list(),
        Some(Action::Explain { case }) => explain(&case),
        Some(Action::Render { file, report, out }) => told_again(&file, report, out.as_deref()),
        Some(Action::Matrix { files, report, out }) => compare(&files, report, out.as_deref()),
        None if command.run.soak.is_some() => soaking::soaked(command.run).await,
        None => examined(command.run).await,
    };
    leave(done.unwrap_or_else(|message| {
        eprintln!("error: {message}");
        Status::HarnessError
    }))
}

/// Ends the process even if a store still blocks a thread, which the runtime would wait for.
fn leave(status: Status) -> ! {
    std::process::exit(i32::from(status.exit_code()))
}

fn list() -> Result<Status, String> {
    let mut text = String::new();
    for case in suites::all() {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{:<8} {}", case.id, case.title.replace('_', " "));
    }
    Place::Stdout.write(&text)?;
    Ok(Status::Conformant)
}

fn explain(id: &str) -> Result<Status, String> {
    let wanted = |case: &Case| case.id.eq_ignore_ascii_case(id);
    let Some(case) = suites::all().into_iter().find(wanted) else {
        return Err(format!("there is no case {id}; `list` names them all"));
    };
    println!("{} {}\n\n{}", case.id, case.title.replace('_', " "), case.explain);
    Ok(Status::Conformant)
}

fn read(file: &Path) -> Result<Transcript, String> {
    let told = |why: String| format!("{}: {why}", file.display());
    let json = fs::read_to_string(file).map_err(|error| told(format!("it could not be read: {error}")))?;
    Transcript::parse(&json).map_err(told)
}

fn told_again(file: &Path, form: Form, out: Option<&Path>) -> Result<Status, String> {
    let place = Place::of(out)?;
    let transcript = read(file)?;
    place.write(&render(&transcript, form)?)?;
    Ok(transcript.status)
}

fn compare(files: &[PathBuf], form: MatrixForm, out: Option<&Path>) -> Result<Status, String> {
    let place = Place::of(out)?;
    let read = |file: &PathBuf| read(file).map(printable);
    let transcripts = files.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    let matrix = Matrix::of(&transcripts);
    place.write(&tell(&matrix, form)?)?;
    Ok(matrix.status())
}

async fn examined(run: Run) -> Result<Status, String> {
    let cases = chosen(&run)?;
    let outputs = Outputs::of(&run.report, &run.out)?;
    let Some(url) = &run.store else {
        return Err("name a store with --store <url>, or ask for `list` or `explain <case>`".to_owned());
    };
    let seed = run.seed.map_or_else(fresh_seed, Ok)?;
    let examined = store::examined(url, fresh_seed()?)?;
    let harness = &examined.harness;
    let ended = examine(harness, cases, seed).await;
    if let Err(message) = examined.clean_up().await {
        eprintln!("warning: sessions of this run stay in the store: {message}");
    }
    let (scope, report) = ended.map_err(|ending| ending.text().to_owned())?;
    let table = table(&harness.name(), &scope, seed, &examined.notes, &report);
    if outputs.take_stdout() {
        eprint!("{table}");
    } else {
        print!("{table}");
    }
    let mut transcript = Transcript::of(&harness.name(), &scope.capabilities, seed, &report);
    transcript.notes = examined.notes;
    outputs.write(&transcript)?;
    Ok(report.status())
}

/// What the terminal shows.
fn table(name: &str, scope: &Scope, seed: u64, notes: &[String], report: &Report) -> String {
    let mut text = format!("store  {name}\nclaims {}\n", scope.capabilities);
    let _ = writeln!(text, "seed   {seed:#018x}  ({SEED_VARIABLE}, --seed)");
    for note in notes {
        let _ = writeln!(text, "note   {note}");
    }
    let _ = writeln!(text, "\n{}\n{}", report.table(), report.summary());
    text
}
