//! Every case on copies can fail: pairs with one ingredient taken away, pairs as they are often built, and servers and
//! counters that do not do their part. `cargo test -p holdover-layers --test copies_broken`.

#[allow(dead_code, reason = "each of the tests that share the rig uses a part of it")]
#[path = "../rig/mod.rs"]
mod rig;

mod ablations;
mod naive;
mod twisted;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use holdover_conformance::{
    CASE_LIMIT, Case, Copies, Ending, Harness, Verdict, fresh_seed, run_case_in, scope_of, suites,
};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// A case that lets users work at random may have one run in which nobody does what shows the defect: it is put again,
/// with other seeds.
const SEEDS: usize = 3;

/// Most of the time of a case that fails is waiting for what does not happen.
const AT_A_TIME: usize = 8;

/// A store that keeps copies badly, and the cases that have to catch it.
pub(crate) struct Broken {
    pub(crate) id: &'static str,
    pub(crate) defect: &'static str,
    pub(crate) harness: Arc<dyn Harness>,
    pub(crate) killed_by: &'static [&'static str],
}

impl fmt::Debug for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.id, self.defect)
    }
}

fn all() -> Vec<Broken> {
    [ablations::all(), naive::all(), twisted::all()].into_iter().flatten().collect()
}

async fn verdict(harness: Arc<dyn Harness>, case: Case) -> Verdict {
    let seed = fresh_seed().expect("a seed is drawn");
    let scope = scope_of(&harness).await.expect("the store can be opened");
    run_case_in(&harness, &scope, &case, seed, CASE_LIMIT).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_broken_store_is_caught_by_the_cases_made_for_it() {
    let places = Arc::new(Semaphore::new(AT_A_TIME));
    let mut running = JoinSet::new();
    for broken in all() {
        for case in suites::on_copies().into_iter().filter(|case| broken.killed_by.contains(&case.id)) {
            let (harness, places) = (Arc::clone(&broken.harness), Arc::clone(&places));
            let told = format!("{broken:?}: {}", case.id);
            running.spawn(async move {
                let _place = places.acquire().await;
                let mut verdicts = Vec::new();
                for _ in 0..SEEDS {
                    let verdict = verdict(Arc::clone(&harness), case).await;
                    if matches!(verdict, Verdict::Ended(Ending::Failed(_))) {
                        return None;
                    }
                    verdicts.push(format!("{} {}", verdict.word(), verdict.reason().unwrap_or_default()));
                }
                Some(format!("{told}: {}", verdicts.join(", then ")))
            });
        }
    }
    let survivors: Vec<String> = running.join_all().await.into_iter().flatten().collect();
    assert!(survivors.is_empty(), "these cases did not notice the defect:\n{}", survivors.join("\n"));
}

#[test]
fn every_case_on_copies_is_named_by_a_broken_store() {
    let named: BTreeSet<&str> =
        broken_ids().iter().flat_map(|(_, killed_by)| killed_by.iter().copied()).collect();
    let existing: BTreeSet<&str> = suites::on_copies().iter().map(|case| case.id).collect();
    assert_eq!(named, existing);
    let ids: BTreeSet<&str> = broken_ids().iter().map(|(id, _)| *id).collect();
    assert_eq!(ids.len(), broken_ids().len(), "an id occurs twice");
}

fn broken_ids() -> Vec<(&'static str, &'static [&'static str])> {
    all().iter().map(|broken| (broken.id, broken.killed_by)).collect()
}

/// A ring of two or three servers.
pub(crate) const RING: Copies = Copies { ring: true, ..Copies::PAIR };
