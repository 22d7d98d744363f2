//! The cases on rotation, on tables in memory: a sound store passes them, and each can fail.
//! `cargo test -p holdover-rotation --test suite`.

mod ancestors;
mod flaws;
mod store;
mod world;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use holdover_api::{Error, ErrorKind, Operation, SessionStore, Timestamp};
use holdover_conformance::rotation::Rotation;
use holdover_conformance::{
    CASE_LIMIT, Case, Ending, Harness, Node, Verdict, crossings, fresh_seed, run_case_in, scope_of, suites,
};

use flaws::Flaw;
use world::{Kind, Worlds};

/// Knows nothing but worlds of tables.
struct OnTables<K>(K);

#[async_trait]
impl<K: Kind> Harness for OnTables<K> {
    fn name(&self) -> String {
        format!("tables in memory ({:?})", self.0)
    }

    async fn open(&self, node: Node) -> Result<Arc<dyn SessionStore>, Error> {
        let worlds = Worlds(self.0);
        let world = worlds.world(node.clock.now()).await;
        let world =
            world.map_err(|why| Error::new(ErrorKind::Unavailable, Operation::Connect, "tables", why))?;
        Ok(world.node(node.clock).await?.store)
    }

    fn longest_lease(&self) -> Option<Duration> {
        Some(world::terms().max_lease)
    }

    fn rotation(&self) -> Option<Arc<dyn Rotation>> {
        Some(Arc::new(Worlds(self.0)))
    }
}

async fn verdict(kind: impl Kind, case: &Case) -> Verdict {
    let harness: Arc<dyn Harness> = Arc::new(OnTables(kind));
    let seed = fresh_seed().expect("a seed is drawn");
    let scope = scope_of(&harness).await.expect("a node can be opened");
    run_case_in(&harness, &scope, case, seed, CASE_LIMIT).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_store_passes_every_case() {
    let mut complaints = Vec::new();
    for case in suites::on_tables() {
        let verdict = verdict(Flaw::Nothing, &case).await;
        if verdict != Verdict::Pass {
            complaints.push(format!(
                "{} {}: {}",
                case.id,
                verdict.word(),
                verdict.reason().unwrap_or_default()
            ));
        }
    }
    assert!(complaints.is_empty(), "the store is sound, so the cases are wrong:\n{}", complaints.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_flaw_is_caught_by_the_cases_made_for_it() {
    let mut survivors = Vec::new();
    for (flaw, killed_by) in flaws::ALL {
        for case in suites::on_tables().iter().filter(|case| killed_by.contains(&case.id)) {
            let verdict = verdict(*flaw, case).await;
            if !matches!(verdict, Verdict::Ended(Ending::Failed(_))) {
                let why = verdict.reason().unwrap_or_default();
                survivors.push(format!("{flaw:?}: {} {}: {why}", case.id, verdict.word()));
            }
        }
    }
    assert!(survivors.is_empty(), "these cases did not notice the flaw:\n{}", survivors.join("\n"));
}

#[test]
fn every_case_on_tables_is_named_by_a_flaw() {
    let named: BTreeSet<&str> =
        flaws::ALL.iter().flat_map(|(_, killed_by)| killed_by.iter().copied()).collect();
    let existing: BTreeSet<&str> = suites::on_tables().iter().map(|case| case.id).collect();
    assert_eq!(named, existing);
}

/// `cargo test -p holdover-rotation --test suite boundaries -- --nocapture` tells what was done.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_over_a_thousand_boundaries() {
    let rotation: Arc<dyn Rotation> = Arc::new(Worlds(Flaw::Nothing));
    let seed = fresh_seed().expect("a seed is drawn");
    let now = Timestamp::from_millis(1_790_001_000_000);
    let crossed = crossings(&rotation, now, 1_000, seed).await;
    let crossed = crossed.unwrap_or_else(|lost| panic!("with seed {seed:#x}, {lost}"));
    println!("{crossed}");
    assert_eq!(crossed.crossings, 1_000);
    assert!(crossed.late > 0, "no table was late");
    assert!(crossed.restarts > 0, "no node started anew");
}
