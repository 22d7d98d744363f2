//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use holdover_conformance::{Case, parse_seed, suites};

use crate::output::MatrixForm;
use crate::render::Form;

/// Puts the Holdover conformance suite to a store and prints a table.
///
/// Exit codes: 0 conformant, 1 non-conformant, 2 incomplete (nothing failed, but something could not be decided), 3 the
/// bench itself broke, or was asked for what there is not.
#[derive(Debug, Parser)]
#[command(name = "holdover-conformance", version, args_conflicts_with_subcommands = true)]
pub(crate) struct Command {
    #[command(subcommand)]
    pub(crate) action: Option<Action>,
    #[command(flatten)]
    pub(crate) run: Run,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    /// Lists all cases.
    List,
    /// Says what a case asks, what it means for users, and who had the bug.
    Explain {
        /// The id of the case, such as CON-07.
        case: String,
    },
    /// Tells the results of a run in another form, from their JSON. The exit code is that of the run.
    Render {
        /// A file that `--report json`, or an exam of your own, wrote.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The form.
        #[arg(long, value_name = "FORM")]
        report: Form,
        /// Where to write it; `-`, or nothing, is the standard output.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Puts the results of several runs side by side, from their JSON. The exit code is that of the worst of them.
    Matrix {
        /// Files that `--report json` wrote, one for each store, in the order of the columns.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// The form.
        #[arg(long, value_name = "FORM", default_value = "markdown")]
        report: MatrixForm,
        /// Where to write it; `-`, or nothing, is the standard output.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

#[derive(Args, Debug)]
pub(crate) struct Run {
    /// The store, as a URL: memory:, redis://host:port/db, memcached://host:port, mongodb://host:port/db,
    /// dynamodb://region/table, or several hosts with copies=2. Sessions of the suite get prefixes or collections of their
    /// own.
    #[arg(long, value_name = "URL")]
    pub(crate) store: Option<String>,
    /// Runs one case only; may be given several times, and adds to the suites that are named.
    #[arg(long, value_name = "ID")]
    pub(crate) case: Vec<String>,
    /// Runs one suite only: con, race, exp, fail or rot; may be given several times.
    #[arg(long, value_name = "NAME")]
    pub(crate) suite: Vec<String>,
    /// Repeats the run with this seed.
    #[arg(long, value_name = "N", value_parser = parse_seed)]
    pub(crate) seed: Option<u64>,
    /// Instead of the cases: load for so many minutes, on servers of its own, while faults strike one at a time. For
    /// stores that keep copies.
    #[arg(
        long,
        value_name = "MINUTES",
        value_parser = clap::value_parser!(u64).range(1..),
        conflicts_with_all = ["case", "suite"]
    )]
    pub(crate) soak: Option<u64>,
    /// Tells the results in this form as well; may be given several times, each with an --out of its own.
    #[arg(long, value_name = "FORM")]
    pub(crate) report: Vec<Form>,
    /// Where to write the report; `-` is the standard output, and so is nothing where there is one report. The table then
    /// goes to the standard error.
    #[arg(long, value_name = "FILE", requires = "report")]
    pub(crate) out: Vec<PathBuf>,
}

/// The cases that were asked for: all of them, or those named.
pub(crate) fn chosen(run: &Run) -> Result<Vec<Case>, String> {
    let all = suites::all();
    let lower = |words: &[String]| words.iter().map(|word| word.to_ascii_lowercase()).collect::<Vec<_>>();
    let (ids, names) = (lower(&run.case), lower(&run.suite));
    for id in &ids {
        if !all.iter().any(|case| case.id.eq_ignore_ascii_case(id)) {
            return Err(format!("there is no case {id}; `list` names them all"));
        }
    }
    for name in &names {
        if !suites::NAMES.contains(&name.as_str()) {
            return Err(format!("there is no suite {name}; they are {}", suites::NAMES.join(", ")));
        }
    }
    if ids.is_empty() && names.is_empty() {
        return Ok(all);
    }
    let wanted = |case: &Case| ids.contains(&case.id.to_ascii_lowercase()) || names.contains(&case.suite());
    Ok(all.into_iter().filter(wanted).collect())
}
