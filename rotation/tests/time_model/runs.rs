//! The worlds, named as in the design: T1 to T15 and those that the slow and half-known tables added.

use std::time::Duration;

use holdover_api::Stopwatch;
use holdover_rotation::Rules;
use stateright::{Checker, HasDiscoveries, Model};

use crate::ancestor::Ancestor;
use crate::conduct::{Repaired, TICK, schedule};
use crate::world::{Conduct, World};

const PROMISES: [&str; 4] = [
    "no premature expiry",
    "found for as long as its own clock says",
    "no live table dropped",
    "nothing outlives its lease",
];

/// The promises that do not hold. Prints how many states there were, and the schedule in which one does not.
fn broken(name: &str, world: World, threads: usize) -> Vec<&'static str> {
    let begun = Stopwatch::start();
    let needs_older = !world.conduct_is_ancestor() && world.late > world.skew;
    let checker =
        world.checker().threads(threads).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let found = checker.discoveries();
    let broken: Vec<_> = PROMISES.into_iter().filter(|promise| found.contains_key(promise)).collect();
    println!(
        "{name}: {} states, {} broken, {:?}",
        checker.unique_state_count(),
        broken.len(),
        begun.elapsed()
    );
    for promise in &broken {
        let schedule = found[promise].clone().into_actions();
        println!("{name}: not \"{promise}\" after {} steps: {schedule:?}", schedule.len());
    }
    if broken.is_empty() {
        assert!(found.contains_key("a table is dropped while the session lives"), "{name}: too short");
        let has_older = found.contains_key("an older table is written to");
        assert!(has_older || !needs_older, "{name}: no table was ever late");
    }
    broken
}

fn holds(name: &str, world: World) {
    let broken = broken(name, world, 2);
    assert!(broken.is_empty(), "{name}: {broken:?}");
}

fn breaks(name: &str, promise: &str, world: World) {
    // One thread finds a shortest schedule, and the same one each time.
    let broken = broken(name, world, 1);
    assert!(broken.contains(&promise), "{name}: {promise} seems to hold; broken are {broken:?}");
}

impl World {
    fn conduct_is_ancestor(&self) -> bool {
        matches!(self.conduct, Conduct::Ancestor { .. })
    }
}

const DESIGN: Conduct = Conduct::Ancestor { rule: Ancestor::Design, last_wins: false, stamps_late: false };
const ROTATOR: Conduct = Conduct::Ancestor { rule: Ancestor::Rotator, last_wins: false, stamps_late: false };

fn ancestor(conduct: Conduct) -> World {
    World {
        period: 6,
        until: 26,
        skew: 0,
        lease: 6,
        slow_writes: 0,
        late: 0,
        slow_tables: 0,
        lag: false,
        stalls: &[],
        restarts: false,
        steps: false,
        serving: &[0, 1],
        conduct,
    }
}

fn ticks(ticks: i8) -> Duration {
    TICK * u32::from(ticks.unsigned_abs())
}

/// The rules that fit a world.
fn rules(world: &World) -> Rules {
    let max_skew = ticks(world.skew);
    // Without lag everybody knows of everything at once.
    let refresh = if world.lag { TICK + TICK / 2 } else { Duration::from_millis(1) };
    Rules {
        period: ticks(world.period),
        max_lease: ticks(world.lease),
        max_skew,
        refresh,
        lead: 2 * (refresh + 2 * max_skew) + TICK,
        settle: refresh + 3 * max_skew + TICK / 2,
        grace: ticks(world.slow_writes),
    }
}

/// A world in which the production schedule rules, with something taken away from it.
fn repaired_but(world: &World, change: impl Fn(&mut Repaired)) -> World {
    let mut repaired = Repaired::new(rules(world));
    change(&mut repaired);
    World { conduct: Conduct::Repaired(Box::new(repaired)), ..world.clone() }
}

fn repaired(world: &World) -> World {
    repaired_but(world, |_| {})
}

fn skewed() -> World {
    World { skew: 1, slow_writes: 1, ..ancestor(DESIGN) }
}

#[test]
fn the_ancestors_design_holds_without_skew_and_with_instant_writes_only() {
    holds("T1 design, no skew, instant writes", ancestor(DESIGN));
    let last_wins = Conduct::Ancestor { rule: Ancestor::Design, last_wins: true, stamps_late: false };
    let world = World { skew: 1, ..ancestor(last_wins) };
    breaks("T2a design, skew, the last writer's deadline", PROMISES[0], world);
    let world = World { skew: 1, ..ancestor(DESIGN) };
    breaks("T2b design, skew, the latest deadline", PROMISES[1], world);
    let stamps_late = Conduct::Ancestor { rule: Ancestor::Design, last_wins: false, stamps_late: true };
    let world = World { slow_writes: 2, ..ancestor(stamps_late) };
    breaks("T3 design, slow writes, deadline at the write", PROMISES[0], world);
    let world = World { lease: 12, ..ancestor(DESIGN) };
    breaks("T4 design, a lease of two periods", PROMISES[0], world);
}

#[test]
fn the_ancestors_rotator_drops_and_hides_live_tables() {
    let world = World { stalls: &[1], serving: &[0], ..ancestor(ROTATOR) };
    breaks("T5 rotator, a node that serves nothing misses rotations", PROMISES[2], world);
    let world = World { restarts: true, ..ancestor(ROTATOR) };
    breaks("T6 rotator, a node restarts", PROMISES[0], world);
}

#[test]
fn holds_with_skew_slow_writes_and_nodes_that_sleep() {
    let slow = World { slow_writes: 3, ..skewed() };
    holds("T7 lease of a period, slow writes, stalls", repaired(&World { stalls: &[0, 1], ..slow.clone() }));
    holds("T8 lease of two periods, slow writes", repaired(&World { lease: 12, ..slow.clone() }));
    holds("T9 lease below the period, slow writes", repaired(&World { lease: 4, ..slow }));
}

/// Each world is one that holds with all rules.
#[test]
fn does_not_hold_without_any_one_rule() {
    let own = PROMISES[1];
    holds("the world of T10 and T11 with every rule", repaired(&skewed()));
    let without_skew = |world: &World| Rules { max_skew: Duration::ZERO, ..rules(world) };
    let world = repaired_but(&skewed(), |repaired| {
        repaired.drops = schedule(Rules { grace: Duration::ZERO, ..without_skew(&skewed()) });
        repaired.own_clock = true;
    });
    breaks("T10 drops without twice the skew, by the own clock", own, world);
    let world = repaired_but(&skewed(), |repaired| repaired.reads = schedule(without_skew(&skewed())));
    breaks("T11 no reading ahead", own, world);
    let slow = World { slow_writes: 3, ..skewed() };
    holds("the world of T12 with every rule", repaired(&slow));
    let world = repaired_but(&slow, |repaired| repaired.two_readings = true);
    breaks("T12 two readings of the clock", own, world);
    let world = repaired_but(&late(4), |repaired| repaired.nominal_ends = true);
    breaks("T13 the world of T14, ends as by the calendar", own, world);
}

/// Long enough for the first table to be late, to be left late, and to be dropped late.
fn late(late: i8) -> World {
    World { late, lease: 4, until: 22, ..skewed() }
}

#[test]
fn holds_with_tables_that_come_late() {
    holds("T14 the next table up to 4 ticks late, skew", repaired(&late(4)));
    let world = World { skew: 0, lease: 6, until: 26, ..late(8) };
    holds("T15 up to 8 ticks, more than a period, no skew", repaired(&world));
}

fn slow(slow_tables: i8) -> World {
    World { slow_tables, late: 2, lease: 4, until: 20, ..skewed() }
}

#[test]
fn holds_with_tables_that_are_not_ready_when_they_exist() {
    holds("T16 a table takes up to 8 ticks to be ready", repaired(&slow(8)));
}

#[test]
fn a_table_that_is_slow_to_be_ready_needs_the_end_of_writing_fixed() {
    let unbounded = |world: &World| schedule(Rules { settle: ticks(100), ..rules(world) });
    let world = repaired_but(&slow(8), |repaired| repaired.writes = unbounded(&slow(8)));
    breaks("T17 the older table is written to until the new one is ready", PROMISES[1], world);
}

/// Nodes know of tables what they saw when they last looked.
fn lagging() -> World {
    World { period: 8, until: 22, lease: 4, lag: true, late: 2, ..skewed() }
}

#[test]
fn holds_with_nodes_that_know_of_a_table_later_than_others() {
    holds("T18 nodes look again late, tables are late", repaired(&lagging()));
}

#[test]
fn what_a_node_does_not_know_needs_a_bound() {
    let world = repaired_but(&lagging(), |repaired| repaired.adopts_at_once = true);
    breaks("T19 a table is written to before every node knows of it", PROMISES[1], world);
    let world = repaired_but(&lagging(), |repaired| repaired.trusts_old = true);
    breaks("T20 old knowledge counts as fresh", PROMISES[1], world);
}

#[test]
fn holds_with_clocks_that_step() {
    let world = World { steps: true, until: 20, lease: 5, ..skewed() };
    holds("T21 clocks step within the skew", repaired(&world));
}
