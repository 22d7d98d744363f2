//! The time-lapse of rotation keeps what it promises, over two boundaries, and would notice if it did not.

#[path = "../examples/rotation/lapse/mod.rs"]
mod lapse;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use holdover::SessionPolicy;
use holdover::api::{SystemClock, within};
use holdover_conformance::{Node, mutants};
use lapse::Settings;
use lapse::world::World;
use tokio::task::JoinSet;

#[tokio::test(flavor = "multi_thread")]
async fn the_time_lapse_crosses_two_boundaries_and_loses_nothing() {
    let settings =
        Settings { period: Duration::from_secs(4), boundaries: 2, sessions: 40, clients: 4, redraws: false };
    let summary = lapse::run(settings).await.expect("the embedded dynamodb answers");
    assert!(summary.is_as_promised(), "{summary:?}");
    assert!(summary.boundaries >= 2, "{summary:?}");
    assert!(summary.acknowledged > 0, "{summary:?}");
    assert!(summary.tables_made >= 2, "{summary:?}");
}

/// A world over a broken store of the conformance suite.
async fn broken(id: &str) -> Arc<World> {
    let mutants = mutants::all();
    let mutant = mutants.iter().find(|mutant| mutant.id == id).expect("the suite has it");
    let node = Node { place: "rotation".to_owned(), clock: Arc::new(SystemClock), via: None };
    let store = (mutant.make)().open(node).await.expect("it opens");
    let limit = store.capabilities().max_bytes;
    let world = World::new(SessionPolicy::new(store).with_max_bytes(limit), 1).await;
    Arc::new(world.expect("its sessions are created"))
}

fn read(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn it_notices_a_store_that_loses_writes() {
    let world = broken("con-m02").await;
    let mut users = JoinSet::new();
    for _ in 0..4 {
        let world = Arc::clone(&world);
        users.spawn(async move {
            while read(&world.broken.lost) == 0 {
                world.request(world.use_session(0, true)).await;
                tokio::task::yield_now().await;
            }
        });
    }
    let noticed = within(Duration::from_secs(60), users.join_all()).await;
    assert!(noticed.is_some(), "a write on a head that is not compared loses one sooner or later");
}

#[tokio::test]
async fn it_notices_a_store_that_stores_nothing() {
    let world = broken("con-m01").await;
    assert_eq!(world.audit().await, 0);
    assert_eq!(read(&world.broken.vanished), 1);
}

#[tokio::test]
async fn it_notices_a_store_that_keeps_what_was_logged_out() {
    let world = broken("con-m04d").await;
    world.log_out().await.expect("the store says that it did it");
    world.look_back(0).await.expect("the store answers");
    assert_eq!(world.audit().await, 0);
    assert!(read(&world.broken.resurrected) >= 2);
}
