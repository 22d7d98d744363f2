//! What each session store costs and risks: one command that measures all of them on this machine and writes one page.
//!
//! ```text
//! cargo run --release --example compare --features full,dynamodb-local              # minutes
//! cargo run --release --example compare --features full,dynamodb-local -- --quick   # a first look
//! cargo run --release --example compare --features full,dynamodb-local -- --store redis://127.0.0.1:6379
//! ```
//!
//! It starts servers of its own, of every program that it finds on this machine, and removes them afterwards. It writes
//! `compare.html` and `compare.json` to `target/compare`. `docs/compare.md` says how to read them.

mod below;
mod charts;
mod counted;
mod embedded;
mod exam;
mod expiry;
mod extent;
mod failure;
mod figures;
mod given;
mod load;
mod machine;
mod measure;
mod money;
mod page;
// The exam on tables that follow each other makes its worlds in the same way, and the command reaches below a DynamoDB.
#[allow(dead_code, reason = "its stacks have no rings, and are not read out of URLs")]
#[path = "../../conformance/src/bin/holdover-conformance/cluster.rs"]
mod cluster;
#[allow(dead_code, reason = "only its time-outs are wanted")]
#[path = "../../backends/tests/dynamodb_rotation_exam/pair.rs"]
mod pair;
#[allow(dead_code, reason = "the servers are its own: nothing has to be removed")]
#[path = "../../conformance/src/bin/holdover-conformance/dynamodb.rs"]
mod raw;
mod requests;
mod result;
mod stacks;
mod tables;
mod terminal;
mod text;
mod wire;
#[path = "../../backends/tests/dynamodb_rotation_exam/world.rs"]
mod world;

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use holdover_conformance::fresh_seed;

use extent::Arguments;
use result::Run;
use stacks::Fallible;

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("compare: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Fallible<()> {
    let run = if let Some(file) = &arguments.page_of {
        serde_json::from_str(&fs::read_to_string(file)?)?
    } else {
        let seed = arguments.seed.map_or_else(fresh_seed, Ok)?;
        eprintln!("seed {}", extent::shown(seed));
        measure::everything(arguments, seed).await?
    };
    write(&run, &arguments.out)?;
    println!("{}", terminal::table(&run));
    println!("{}", arguments.out.join("compare.html").display());
    Ok(())
}

fn write(run: &Run, directory: &Path) -> Fallible<()> {
    fs::create_dir_all(directory)?;
    fs::write(directory.join("compare.json"), serde_json::to_string_pretty(run)?)?;
    fs::write(directory.join("compare.html"), page::of(run)?)?;
    Ok(())
}
