//! The suite examined: sound stores pass, and every case can fail.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use holdover_conformance::mutants::{self, Mutant, MutantHarness};
use holdover_conformance::{
    CASE_LIMIT, Case, Ending, Harness, Trial, Verdict, fresh_seed, run_case_in, scope_of, suites,
};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Runs cases on a harness, a few at a time, and answers those verdicts that `wrong` picks out, as lines.
async fn complaints(
    harness: &Arc<dyn Harness>,
    cases: Vec<Case>,
    limit: Duration,
    wrong: fn(&Verdict) -> bool,
) -> Vec<String> {
    let seed = fresh_seed().expect("a seed is drawn");
    let scope = scope_of(harness).await.expect("the store can be opened");
    let mut running = JoinSet::new();
    for case in cases {
        let harness = Arc::clone(harness);
        running.spawn(async move {
            let verdict = run_case_in(&harness, &scope, &case, seed, limit).await;
            let name = harness.name();
            let reason = verdict.reason().unwrap_or_default();
            let line = format!("{name}: {} {}: {reason} (seed {seed:#x})", case.id, verdict.word());
            wrong(&verdict).then_some(line)
        });
    }
    running.join_all().await.into_iter().flatten().collect()
}

fn cases_named(ids: &[&str]) -> Vec<Case> {
    let cases = suites::all().into_iter();
    cases.filter(|case| ids.contains(&case.id)).collect()
}

fn not_failed(verdict: &Verdict) -> bool {
    !matches!(verdict, Verdict::Ended(Ending::Failed(_)))
}

fn not_passed(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Ended(_))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mutant_is_caught_by_the_cases_made_for_it() {
    let places = Arc::new(Semaphore::new(8));
    let mut running = JoinSet::new();
    for Mutant { make, killed_by, .. } in mutants::all() {
        let places = Arc::clone(&places);
        running.spawn(async move {
            let _place = places.acquire().await;
            complaints(&make(), cases_named(killed_by), CASE_LIMIT, not_failed).await
        });
    }
    let survivors = running.join_all().await.concat();
    assert!(survivors.is_empty(), "these cases did not notice the defect:\n{}", survivors.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_unflawed_base_passes_everything() {
    let sound = MutantHarness::sound();
    let complaints = complaints(&sound, suites::all(), CASE_LIMIT, not_passed).await;
    assert!(complaints.is_empty(), "the base is sound, so the cases are wrong:\n{}", complaints.join("\n"));
}

#[test]
fn every_case_is_named_by_a_mutant() {
    let named: BTreeSet<&str> =
        mutants::all().iter().flat_map(|mutant| mutant.killed_by.iter().copied()).collect();
    let existing: BTreeSet<&str> = suites::all().iter().map(|case| case.id).collect();
    let unproven: BTreeSet<&str> = existing.difference(&named).copied().collect();
    // The mutants of these are where stores with copies, on sets and on tables are; tests there want each of them named.
    let elsewhere = [suites::on_copies(), suites::on_sets(), suites::on_tables()].concat();
    let elsewhere: BTreeSet<&str> = elsewhere.iter().map(|case| case.id).collect();
    assert_eq!(unproven, elsewhere, "no mutant shows that these can fail");
    let unknown: Vec<_> = named.difference(&existing).collect();
    assert!(unknown.is_empty(), "no such case: {unknown:?}");
}

#[test]
fn the_readme_counts_the_cases() {
    let told = format!("{} cases", suites::all().len());
    assert!(include_str!("../README.md").contains(&told), "the readme does not tell of {told}");
}

#[test]
fn ids_and_titles_are_unique_and_well_formed() {
    let cases = suites::all();
    let ids: BTreeSet<&str> = cases.iter().map(|case| case.id).collect();
    let titles: BTreeSet<&str> = cases.iter().map(|case| case.title).collect();
    assert_eq!(ids.len(), cases.len(), "an id occurs twice");
    assert_eq!(titles.len(), cases.len(), "a title occurs twice");
    let snake = |text: &str| {
        text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
    };
    for case in cases {
        assert!(snake(case.title), "{} is not in snake case", case.title);
        assert!(!case.explain.is_empty(), "{} explains nothing", case.id);
        let broken = ["  ", "\n"].iter().any(|run| case.explain.contains(run));
        assert!(!broken, "the explanation of {} is not one line of text", case.id);
    }
    let mutants = mutants::all();
    let ids: BTreeSet<&str> = mutants.iter().map(|mutant| mutant.id).collect();
    assert_eq!(ids.len(), mutants.len(), "a mutant's id occurs twice");
}

#[test]
fn every_promise_of_a_store_is_put_to_the_test() {
    let explains: Vec<&str> = suites::all().iter().map(|case| case.explain).collect();
    let words: BTreeSet<&str> = explains
        .iter()
        .flat_map(|explain| explain.split(|character: char| !character.is_ascii_alphanumeric()))
        .collect();
    let promised = (1..=17).map(|number| format!("S{number}"));
    let untested: Vec<String> = promised.filter(|promise| !words.contains(promise.as_str())).collect();
    assert!(untested.is_empty(), "no case says that it tests {untested:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seed_repeats_what_a_case_draws() {
    let drawn = || {
        let trial = Trial::new(MutantHarness::sound(), "CON-36", 7).expect("a trial is made");
        (trial.key(), trial.stamp(), trial.below(1_000), trial.place().to_owned())
    };
    let (first, second) = (drawn(), drawn());
    assert_eq!((first.0, first.1, first.2), (second.0, second.1, second.2));
    assert_ne!(first.3, second.3, "a repeated run must not meet the sessions of the run that it repeats");
}
