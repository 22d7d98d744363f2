//! What the ancestor's rotation comes to in figures, beside ours, by a clock that is moved by hand:
//! `cargo test -p holdover-rotation --test suite figures -- --nocapture`.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use holdover_api::{
    Clock, Deadline, Delta, Loaded, ManualClock, On, SaveAnswer, SessionKey, SessionStoreExt, Stamp,
    Timestamp, Write,
};
use holdover_conformance::Random;
use holdover_conformance::rotation::{Call, Kept, Rotation, World};

use crate::flaws::Flaw;
use crate::world::{Kind, Worlds, terms};

const SECOND: Duration = Duration::from_secs(1);
/// The beginning of a period.
const DAWN: Timestamp = Timestamp::from_millis(1_789_999_200_000);

/// The server's clock, and so much before or after it.
#[derive(Debug)]
struct Skewed(Arc<ManualClock>, AtomicI64);

impl Clock for Skewed {
    fn now(&self) -> Timestamp {
        let ahead = self.1.load(Ordering::Relaxed);
        let by = Duration::from_millis(ahead.unsigned_abs());
        if ahead < 0 { self.0.now() - by } else { self.0.now() + by }
    }
}

/// A world, and what its users do.
struct Run {
    world: Arc<dyn World>,
    random: Random,
}

impl Run {
    async fn of(kind: impl Kind, now: Timestamp) -> Self {
        let world = Worlds(kind).world(now).await.expect("a world is made");
        Self { world, random: Random::new(7) }
    }

    async fn node(&self, ahead: i64) -> Kept {
        let clock = Arc::new(Skewed(self.world.clock(), AtomicI64::new(ahead)));
        self.world.node(clock).await.expect("a node can be opened")
    }

    fn now(&self) -> Timestamp {
        self.world.clock().now()
    }

    fn write(&mut self, on: On, n: u64, base: Option<Loaded>, lease: Duration) -> Write {
        let mut stamp = [0; 16];
        self.random.fill(&mut stamp);
        let mut delta = Delta::default();
        delta.set("n", n.to_le_bytes().to_vec());
        let deadline = Deadline::AtLeast(self.now() + lease);
        Write { on, delta, stamp: Stamp::from_bytes(stamp), deadline, base }
    }

    async fn create(&mut self, node: &Kept, lease: Duration) -> SessionKey {
        let mut key = [0; 32];
        self.random.fill(&mut key);
        let key = SessionKey::from_bytes(key);
        let write = self.write(On::Absent { created: self.now() }, 0, None, lease);
        node.store.save(&key, &write).await.expect("it is created");
        key
    }

    /// Time goes on, and the keepers come by.
    async fn until(&self, moment: Timestamp, step: Duration, nodes: &[&Kept]) {
        while self.now() < moment {
            self.world.clock().set(moment.min(self.now() + step));
            for node in nodes {
                node.keeper.tick().await;
            }
        }
    }

    fn asked(&self) -> (usize, usize) {
        (self.world.asked(Call::Read), self.world.asked(Call::Put) + self.world.asked(Call::Change))
    }
}

fn counter(loaded: &Loaded) -> u64 {
    let bytes = loaded.record.attributes.get("n").and_then(|bytes| bytes.as_ref().try_into().ok());
    bytes.map_or(0, u64::from_le_bytes)
}

/// The reads and writes of one request of each kind: create, modify, log out, unknown; and modify after a boundary.
async fn requests(kind: impl Kind) -> [(usize, usize); 5] {
    let lease = terms().max_lease;
    let mut run = Run::of(kind, DAWN + terms().period / 4).await;
    let node = run.node(0).await;
    // Past one boundary, so that there is a table before.
    run.until(DAWN + terms().period + terms().period / 4, SECOND * 60, &[&node]).await;
    let mut costs = [(0, 0); 5];
    let since = |run: &Run, before: (usize, usize)| (run.asked().0 - before.0, run.asked().1 - before.1);
    let before = run.asked();
    let key = run.create(&node, lease).await;
    costs[0] = since(&run, before);
    for at in [1, 4] {
        if at == 4 {
            run.until(DAWN + terms().period * 2 - SECOND * 60, SECOND * 60, &[&node]).await;
            node.store.touch(&key, run.now() + lease).await.expect("it is touched");
            run.until(DAWN + terms().period * 2 + SECOND * 60, SECOND, &[&node]).await;
        }
        let before = run.asked();
        let loaded = node.store.load_latest(&key).await.expect("it answers").expect("it is there");
        let write = run.write(On::Live, at, Some(loaded), lease);
        node.store.save(&key, &write).await.expect("it is saved");
        costs[usize::try_from(at).expect("it is small")] = since(&run, before);
    }
    let before = run.asked();
    node.store.delete(&key).await.expect("it is deleted");
    costs[2] = since(&run, before);
    let before = run.asked();
    node.store.load_latest(&SessionKey::from_bytes([9; 32])).await.expect("it answers");
    costs[3] = since(&run, before);
    costs
}

/// M7: how many of the increments around a boundary are lost, by two nodes in turn whose clocks are so far apart.
async fn lost_by_skew(kind: impl Kind, apart: Duration) -> (u64, u64) {
    let ahead = i64::try_from(apart.as_millis()).expect("it is small");
    // Not more than the slow node allows by its own clock.
    let lease = terms().max_lease - SECOND * 10;
    let mut run = Run::of(kind, DAWN + terms().period / 2).await;
    let nodes = [run.node(0).await, run.node(-ahead).await];
    let both = [&nodes[0], &nodes[1]];
    run.until(DAWN + terms().period - SECOND * 10, SECOND * 60, &both).await;
    let key = run.create(&nodes[0], lease).await;
    let (mut counted, mut turn) = (0, 0);
    while run.now() < DAWN + terms().period + SECOND * 20 {
        run.until(run.now() + SECOND / 4, SECOND / 4, &both).await;
        let node = &nodes[turn % 2];
        turn += 1;
        let Ok(Some(loaded)) = node.store.load_latest(&key).await else {
            continue;
        };
        let (on, n) = (On::Head(loaded.record.head()), counter(&loaded) + 1);
        let write = run.write(on, n, Some(loaded), lease);
        counted += u64::from(matches!(node.store.save(&key, &write).await, Ok(SaveAnswer::Saved { .. })));
    }
    let there = nodes[0].store.load_latest(&key).await.ok().flatten().map_or(0, |loaded| counter(&loaded));
    (counted - there.min(counted), counted)
}

/// M8: of the live sessions, how many a node that starts now does not find, and how many nobody has used in this period.
async fn lost_by_restart(kind: impl Kind, at: u32) -> (usize, usize, usize) {
    let lease = terms().max_lease;
    let mut run = Run::of(kind, DAWN).await;
    let node = run.node(0).await;
    let mut keys = Vec::new();
    let (end, restart) = (DAWN + terms().period, DAWN + terms().period + terms().period / 100 * at);
    while run.now() < restart {
        run.until(run.now() + SECOND * 60, SECOND * 60, &[&node]).await;
        while keys.len() < 200 {
            let key = run.create(&node, lease).await;
            keys.push((key, run.now()));
        }
        // Twice an hour on average.
        for (key, used) in &mut keys {
            if run.random.below(30) == 0
                && node.store.touch(key, run.world.clock().now() + lease).await.unwrap_or(false)
            {
                *used = run.world.clock().now();
            }
        }
    }
    keys.retain(|(_, used)| *used + lease > run.now());
    let idle = keys.iter().filter(|(_, used)| *used < end).count();
    let fresh = run.node(0).await;
    let mut missing = 0;
    for (key, _) in &keys {
        missing += usize::from(!matches!(fresh.store.load_latest(key).await, Ok(Some(_))));
    }
    (missing, idle, keys.len())
}

/// M6: for how long a session is served that nobody uses, by when in its period it was made: the shortest and the longest.
async fn served(kind: impl Kind) -> (Duration, Duration) {
    let (mut shortest, mut longest) = (Duration::MAX, Duration::ZERO);
    for percent in [1, 20, 40, 60, 80, 99] {
        let mut run = Run::of(kind, DAWN + terms().period / 100 * percent).await;
        let node = run.node(0).await;
        let key = run.create(&node, terms().max_lease).await;
        let (made, mut last) = (run.now(), run.now());
        while run.now() < made + terms().period * 3 {
            run.until(run.now() + SECOND * 30, SECOND * 30, &[&node]).await;
            if matches!(node.store.load_latest(&key).await, Ok(Some(_))) {
                last = run.now();
            }
        }
        shortest = shortest.min(last.since(made));
        longest = longest.max(last.since(made));
    }
    (shortest, longest)
}

/// Prints what one kind comes to. Answers what skew of five seconds loses, and what a restart hides and nobody has used.
async fn told(kind: impl Kind, name: &str) -> (u64, [(usize, usize); 4]) {
    let [create, modify, logout, unknown, after] = requests(kind).await;
    println!(
        "{name}, M2, reads and writes: create {create:?}, modify {modify:?}, after a boundary {after:?},"
    );
    println!("  log out {logout:?}, unknown id {unknown:?}");
    let (shortest, longest) = served(kind).await;
    println!("{name}, M6, a lease of {:?}, tables of {:?}:", terms().max_lease, terms().period);
    println!("  an unused session was last served after {shortest:?} to {longest:?}, looked at every 30 s");
    let mut by_skew = 0;
    for apart in [0, 100, 1_000, 5_000].map(Duration::from_millis) {
        let (lost, counted) = lost_by_skew(kind, apart).await;
        println!("{name}, M7, clocks {apart:?} apart: {lost} of {counted} increments lost");
        by_skew = lost;
    }
    let mut by_restart = [(0, 0); 4];
    for (at, told) in [5, 25, 50, 70].into_iter().zip(&mut by_restart) {
        let (missing, idle, live) = lost_by_restart(kind, at).await;
        println!("{name}, M8, restart at {at} % of a period: {missing} of {live} sessions not found;");
        println!("  {idle} had not been used in it");
        *told = (missing, idle);
    }
    (by_skew, by_restart)
}

#[tokio::test(flavor = "multi_thread")]
async fn skew_and_restarts_lose_what_the_figures_say_in_the_ancestor_and_nothing_in_ours() {
    for edition in super::EDITIONS {
        let (by_skew, by_restart) = told(edition, &format!("{edition:?}")).await;
        assert!(by_skew > 0);
        assert!(by_restart.iter().all(|(missing, idle)| missing == idle && *idle > 0));
    }
    let (by_skew, by_restart) = told(Flaw::Nothing, "ours").await;
    assert_eq!(by_skew, 0);
    assert!(by_restart.iter().all(|(missing, idle)| *missing == 0 && *idle > 0));
}
