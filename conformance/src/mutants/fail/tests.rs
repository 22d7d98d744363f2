//! The bases pass what their mutants fail; that each mutant is caught is shown with all others in `tests/mutants.rs`.

use std::sync::Arc;

use tokio::task::JoinSet;

use super::{ClientFlaw, Plan, SOUND, Survives, WireHarness};
use crate::case::{Case, Verdict};
use crate::harness::Harness;
use crate::run::run_case;
use crate::suites;

const SEED: u64 = 0x5eed;

/// The small server keeps one copy, and is one.
fn is_ours(id: &str) -> bool {
    let elsewhere = suites::on_copies().iter().chain(&suites::on_sets()).any(|case| case.id == id);
    (id.starts_with("FAIL-") || id == "CON-26") && !elsewhere
}

/// Puts cases to stores, all at once: most of their time is waiting for time-outs.
async fn ask(questions: Vec<(String, Arc<dyn Harness>, Case)>) -> Vec<(String, Verdict)> {
    let mut running = JoinSet::new();
    for (name, harness, case) in questions {
        running.spawn(async move { (format!("{case:?} on {name}"), run_case(&harness, &case, SEED).await) });
    }
    running.join_all().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sound_bases_pass_every_case() {
    let mut questions = Vec::new();
    for case in suites::all().into_iter().filter(|case| is_ours(case.id)) {
        let plan = Plan { keeps: Survives::Nothing, ..SOUND };
        let volatile = WireHarness::of(plan, ClientFlaw::None, Survives::Nothing);
        questions.push((
            "durable".to_owned(),
            WireHarness::of(SOUND, ClientFlaw::None, Survives::Restart),
            case,
        ));
        questions.push(("volatile".to_owned(), volatile, case));
    }
    let verdicts = ask(questions).await;
    let failed: Vec<_> = verdicts.iter().filter(|(_, verdict)| *verdict != Verdict::Pass).collect();
    assert!(failed.is_empty(), "{failed:#?}");
}
