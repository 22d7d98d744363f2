//! The cases as tests that `cargo test` lists, filters and counts.

use std::process::ExitCode;
use std::sync::Arc;

use holdover_api::{Entropy, OsEntropy};
use libtest_mimic::{Arguments, Completion, Failed, Trial as Test};
use tokio::runtime::{Builder, Handle};

use crate::case::{Case, Ending, Scope, Verdict};
use crate::harness::Harness;
use crate::run::{CASE_LIMIT, run_case_in, scope_of};
use crate::suites;

/// Cases mostly wait for the store, so there are more of them at a time than this machine has cores.
const TESTS_AT_A_TIME: usize = 4;

/// The variable that repeats a run: the seed that a failure printed.
pub const SEED_VARIABLE: &str = "HOLDOVER_SEED";

/// Examines one store: the `main` of a test with `harness = false`.
///
/// Each case is a test such as `con_07_deleted_stays_deleted`, and the usual arguments of a test binary work
/// (a filter, `--list`, `--exact`, `--skip`, `--test-threads`), with `--seed N` (or `HOLDOVER_SEED=N`) besides. A case
/// that cannot be put to this store is ignored with its reason. Everything else that is not a pass is a failure: what
/// lacked a hook, never raced, or could not be decided.
///
/// ```no_run
/// use std::process::ExitCode;
///
/// use holdover_conformance::MemoryHarness;
///
/// fn main() -> ExitCode {
///     holdover_conformance::main(MemoryHarness::default())
/// }
/// ```
pub fn main(harness: impl Harness) -> ExitCode {
    main_of(vec![Arc::new(harness)])
}

/// Examines several stores in one test binary; with more than one, the names of tests begin with the store's.
pub fn main_of(harnesses: Vec<Arc<dyn Harness>>) -> ExitCode {
    let mut words: Vec<String> = std::env::args().collect();
    let seed = match take_seed(&mut words).and_then(|given| given.map_or_else(fresh_seed, Ok)) {
        Ok(seed) => seed,
        Err(message) => {
            eprintln!("error: {message}");
            return ExitCode::from(3);
        }
    };
    let mut arguments = Arguments::from_iter(words);
    arguments.test_threads = arguments.test_threads.or(Some(TESTS_AT_A_TIME));
    let runtime = match Builder::new_multi_thread().worker_threads(4).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: no runtime could be started: {error}");
            return ExitCode::from(3);
        }
    };
    eprintln!("seed {seed:#018x}");
    let several = harnesses.len() > 1;
    let mut tests = Vec::new();
    for harness in harnesses {
        tests.extend(tests_of(&harness, several, runtime.handle(), seed, arguments.list));
    }
    let conclusion = libtest_mimic::run(&arguments, tests);
    // A store that hangs has to fail its cases, not the end of the run.
    runtime.shutdown_background();
    conclusion.exit_code()
}

fn tests_of(
    harness: &Arc<dyn Harness>,
    prefixed: bool,
    handle: &Handle,
    seed: u64,
    only_listed: bool,
) -> Vec<Test> {
    let scope = if only_listed {
        Err(Ending::Error("only listed".to_owned()))
    } else {
        handle.block_on(scope_of(harness))
    };
    let prefix = if prefixed { format!("{}::", snake(&harness.name())) } else { String::new() };
    let test = |case: Case| {
        let name = format!("{prefix}{}", case_name(&case));
        let (harness, handle, scope) = (Arc::clone(harness), handle.clone(), scope.clone());
        Test::ignorable_test(name, move || {
            let verdict = match scope {
                Ok(scope) => handle.block_on(run(&harness, &scope, &case, seed)),
                Err(ending) => Verdict::Ended(ending),
            };
            completion(&case, &verdict, seed)
        })
    };
    suites::all().into_iter().map(test).collect()
}

async fn run(harness: &Arc<dyn Harness>, scope: &Scope, case: &Case, seed: u64) -> Verdict {
    run_case_in(harness, scope, case, seed, CASE_LIMIT).await
}

fn completion(case: &Case, verdict: &Verdict, seed: u64) -> Result<Completion, Failed> {
    match verdict {
        Verdict::Pass => Ok(Completion::Completed),
        Verdict::NotApplicable(reason) => Ok(Completion::ignored_with(reason)),
        Verdict::Ended(_) | Verdict::NotRun(_) => Err(Failed::from(failure(case, verdict, seed))),
    }
}

/// What to tell about a case that did not pass: what happened, what it means, and how to repeat it.
pub(crate) fn failure(case: &Case, verdict: &Verdict, seed: u64) -> String {
    format!(
        "{} {}: {}\n  what it means: {}\n  repeat with: {SEED_VARIABLE}={seed:#x} and the filter {}",
        case.id,
        verdict.word(),
        verdict.reason().unwrap_or_default(),
        case.explain,
        case_name(case),
    )
}

/// The name of a case as a test: `con_07_deleted_stays_deleted`.
pub fn case_name(case: &Case) -> String {
    format!("{}_{}", snake(case.id), case.title)
}

fn snake(text: &str) -> String {
    let lower = text.to_ascii_lowercase();
    lower.replace(|character: char| !character.is_ascii_alphanumeric(), "_")
}

/// Draws a seed for this run: a fixed one would look at the same interleavings for ever.
pub fn fresh_seed() -> Result<u64, String> {
    let mut bytes = [0; 8];
    OsEntropy.fill(&mut bytes).map_err(|error| format!("no seed could be drawn: {error}"))?;
    Ok(u64::from_le_bytes(bytes))
}

/// Reads a seed as it is printed: `0x` and hexadecimal digits, or a decimal number.
pub fn parse_seed(text: &str) -> Result<u64, String> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.map_err(|_| "a seed is a number: decimal, or hexadecimal after 0x".to_owned())
}

/// Takes `--seed N` or `--seed=N` out of the arguments, else looks into the environment.
fn take_seed(words: &mut Vec<String>) -> Result<Option<u64>, String> {
    let position = words.iter().position(|word| word == "--seed" || word.starts_with("--seed="));
    let Some(position) = position else {
        return seed_of_environment().as_deref().map(parse_seed).transpose();
    };
    let word = words.remove(position);
    if let Some(text) = word.strip_prefix("--seed=") {
        return parse_seed(text).map(Some);
    }
    if position >= words.len() {
        return Err("--seed needs a number".to_owned());
    }
    parse_seed(&words.remove(position)).map(Some)
}

#[allow(clippy::disallowed_methods, reason = "the test bench takes its seed from the environment")]
fn seed_of_environment() -> Option<String> {
    std::env::var(SEED_VARIABLE).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_taken_out_of_the_arguments() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let mut separate = words("test --seed 0x1f con_07");
        assert_eq!(take_seed(&mut separate), Ok(Some(31)));
        assert_eq!(separate, ["test", "con_07"]);
        let mut joined = words("test --seed=7");
        assert_eq!(take_seed(&mut joined), Ok(Some(7)));
        assert!(take_seed(&mut words("test --seed")).is_err());
        assert!(take_seed(&mut words("test --seed x")).is_err());
    }
}
