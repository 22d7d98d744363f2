//! The runs: with all ingredients every schedule is linearizable.

use stateright::{Checker, HasDiscoveries, Model};

use crate::processes::Act::{
    self, Bury, Create, Delete, Implant, Inspect, Load, LoadSince, Merge, Shorten, Swap, Touch,
};
use crate::properties::ALWAYS;
use crate::tables::Twist;
use crate::world::{Action, Setting, World};

/// One process may die in the middle of anything; both nodes cross two boundaries, and the oldest table may be dropped.
pub(crate) const CRASH: Setting = Setting {
    born: true,
    last_view: 2,
    crashes: 1,
    losses: 0,
    retries: 0,
    lagging: false,
    outlived: false,
    twist: Twist::Nothing,
};

pub(crate) fn world(setting: Setting, scripts: &[(usize, &[Act])]) -> World {
    let scripts = scripts.iter().map(|(node, script)| (*node, script.to_vec())).collect();
    World { scripts, setting }
}

/// How a run ended: what it broke first, if anything, after how many steps; and what happened in some schedule.
pub(crate) struct Ended {
    pub(crate) broken: Option<(&'static str, usize)>,
    pub(crate) happened: Vec<&'static str>,
}

/// Visits everything, or until something breaks. Prints how much there was.
pub(crate) fn run(name: &str, world: World) -> Ended {
    let checker = world.checker().threads(2).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let found = checker.discoveries();
    let states = checker.unique_state_count();
    let broken = ALWAYS.into_iter().find_map(|name| Some((name, found.get(name)?)));
    let happened = found.keys().copied().filter(|name| !ALWAYS.contains(name)).collect();
    let Some((property, path)) = broken else {
        println!("{name}: holds, {states} states, depth {}", checker.max_depth());
        assert!(checker.is_done(), "{name}: not everything was visited");
        return Ended { broken: None, happened };
    };
    Ended { broken: Some((property, path.clone().into_actions().len())), happened }
}

/// The shortest schedule that breaks something. Prints it.
pub(crate) fn shortest(name: &str, world: &World) -> Option<(&'static str, usize)> {
    let mut shortest = None;
    let mut depth = usize::MAX;
    // The checker looks at more than one state before it stops, and keeps the last of what it has found.
    while let Some((property, actions, states)) = broken_within(world, depth) {
        depth = actions.len();
        shortest = Some((property, actions, states));
    }
    let (property, actions, states) = shortest?;
    println!("{name}: {property} is broken after {} steps, {states} states: {actions:?}", actions.len());
    Some((property, actions.len()))
}

/// A schedule of fewer than so many steps that breaks something.
fn broken_within(world: &World, depth: usize) -> Option<(&'static str, Vec<Action>, usize)> {
    // As the checker counts, the initial state has depth one.
    let checker = world.clone().checker().target_max_depth(depth);
    let checker = checker.finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let found = checker.discoveries();
    let (property, path) = ALWAYS.into_iter().find_map(|name| Some((name, found.get(name)?)))?;
    Some((property, path.clone().into_actions(), checker.unique_state_count()))
}

/// Nothing breaks, everybody gets to the end of his script in some schedule, and so does what is named.
pub(crate) fn holds(name: &str, world: World, happens: &[&str]) {
    let ended = run(name, world);
    assert_eq!(ended.broken, None, "{name}");
    for what in happens.iter().chain(&["everybody is done"]) {
        assert!(ended.happened.contains(what), "{name}: no schedule in which this happens: {what}");
    }
}

#[test]
fn holds_for_a_touch_and_a_save() {
    let happens = ["carried", "helped", "began anew", "dropped"];
    holds("touch | merge", world(CRASH, &[(0, &[Touch, Load]), (1, &[Merge, Load])]), &happens);
    holds("touch | load, swap", world(CRASH, &[(0, &[Touch, Load]), (1, &[Load, Swap, Load])]), &happens);
    let scripts: [(usize, &[Act]); 2] = [(0, &[Touch, Merge]), (1, &[Touch, Merge])];
    holds("touch, merge | touch, merge", world(CRASH, &scripts), &happens);
}

#[test]
fn holds_for_two_saves() {
    let happens = ["carried", "helped", "began anew", "dropped"];
    let scripts: [(usize, &[Act]); 2] = [(0, &[Load, Swap, Load]), (1, &[Load, Swap, Load])];
    holds("load, swap | load, swap", world(CRASH, &scripts), &happens);
    holds("merge | merge", world(CRASH, &[(0, &[Merge, Load]), (1, &[Merge, Load])]), &happens);
    holds("shorten | touch", world(CRASH, &[(0, &[Shorten, Load]), (1, &[Touch, Load])]), &happens);
}

#[test]
fn holds_for_a_logout_and_whatever_else() {
    let happens = ["carried", "helped", "met a tombstone", "began anew"];
    let scripts: [(usize, &[Act]); 3] = [(0, &[Merge]), (1, &[Delete]), (0, &[Load, Load])];
    holds("merge | delete | load, load", world(CRASH, &scripts), &happens);
    let scripts: [(usize, &[Act]); 3] = [(0, &[Touch]), (1, &[Delete]), (1, &[Load, Load])];
    holds("touch | delete | load, load", world(CRASH, &scripts), &happens);
    let scripts: [(usize, &[Act]); 2] = [(0, &[Merge, Merge]), (1, &[Touch, Delete])];
    holds("merge, merge | touch, delete", world(CRASH, &scripts), &happens);
}

#[test]
fn holds_for_a_login_on_the_fast_node() {
    let unborn = Setting { born: false, ..CRASH };
    let scripts: [(usize, &[Act]); 2] = [(1, &[Create, Load]), (0, &[Load, Touch, Load])];
    holds("create, load | load, touch", world(unborn, &scripts), &["noted what it creates", "carried"]);
    let scripts: [(usize, &[Act]); 2] = [(1, &[Create, Load]), (0, &[Create, Merge, Load])];
    holds("create | create, merge", world(unborn, &scripts), &["noted what it creates", "helped"]);
}

#[test]
fn holds_for_what_layers_install() {
    let unborn = Setting { born: false, ..CRASH };
    let scripts: [(usize, &[Act]); 2] = [(1, &[Implant, Load]), (0, &[Implant, Merge, Load])];
    holds("implant | implant, merge", world(unborn, &scripts), &["noted what it creates", "helped"]);
    let scripts: [(usize, &[Act]); 2] = [(0, &[Load, Bury, Load]), (1, &[Merge, Load])];
    holds("load, bury | merge", world(CRASH, &scripts), &["carried", "met a tombstone"]);
    let scripts: [(usize, &[Act]); 2] = [(0, &[Inspect, Inspect]), (1, &[Merge, Touch])];
    holds("inspect | merge, touch", world(CRASH, &scripts), &["carried"]);
}

/// The answer to any one write is lost; the write happens at any time afterwards, or never.
#[test]
fn holds_when_an_answer_is_lost() {
    let lossy = Setting { crashes: 0, losses: 1, ..CRASH };
    let happens = ["recognised itself", "carried"];
    holds("merge | merge", world(lossy, &[(0, &[Merge, Load]), (1, &[Merge, Load])]), &happens);
    let scripts: [(usize, &[Act]); 2] = [(0, &[Merge, Load]), (1, &[Load, Swap, Load])];
    holds("merge | load, swap", world(lossy, &scripts), &happens);
    holds("merge | touch", world(lossy, &[(0, &[Merge, Load]), (1, &[Touch, Load])]), &happens);
    holds("merge | delete", world(lossy, &[(0, &[Merge, Load]), (1, &[Delete, Load])]), &happens);
    let unborn = Setting { born: false, ..lossy };
    holds("create | load", world(unborn, &[(1, &[Create, Merge]), (0, &[Load, Load])]), &happens);
    let scripts: [(usize, &[Act]); 2] = [(1, &[Implant, Load]), (0, &[Implant, Load])];
    holds("implant | implant", world(unborn, &scripts), &["noted what it creates"]);
}

/// Minutes and gigabytes: `cargo test -p holdover-rotation --test carry_model -- --ignored --nocapture`.
#[test]
#[ignore = "takes minutes; the smaller worlds are the evidence"]
fn holds_in_bigger_worlds() {
    let both = Setting { losses: 1, ..CRASH };
    let scripts: [(usize, &[Act]); 3] = [(0, &[Merge]), (1, &[Delete]), (0, &[Load, Load])];
    holds("merge | delete | load, load, one death and one loss", world(both, &scripts), &["carried"]);
    let scripts: [(usize, &[Act]); 3] = [(0, &[Load, Swap]), (1, &[Load, Swap]), (1, &[Touch, Load])];
    holds("load, swap | load, swap | touch, load", world(CRASH, &scripts), &["carried"]);
    let scripts: [(usize, &[Act]); 3] = [(0, &[Touch, Merge]), (1, &[Load, Bury]), (0, &[Load, Load])];
    holds("touch, merge | load, bury | load, load", world(CRASH, &scripts), &["carried"]);
}

/// A client's time-out, and a new attempt with the same stamp: what was asked before may still happen.
#[test]
fn holds_when_an_operation_is_tried_again() {
    let retried = Setting { crashes: 0, retries: 1, ..CRASH };
    let happens = ["recognised itself", "carried"];
    let scripts: [(usize, &[Act]); 2] = [(0, &[Merge, Load]), (1, &[Load, Swap, Load])];
    holds("merge | load, swap", world(retried, &scripts), &happens);
    let unborn = Setting { born: false, ..retried };
    let scripts: [(usize, &[Act]); 2] = [(1, &[Create, Load]), (0, &[Load, Swap])];
    holds("create | load, swap", world(unborn, &scripts), &["noted what it creates", "recognised itself"]);
}

/// An eventually consistent read may answer anything that was there before.
#[test]
fn reads_its_own_writes_when_reads_lag() {
    let lagging = Setting { lagging: true, ..CRASH };
    let scripts: [(usize, &[Act]); 2] = [(0, &[Merge, LoadSince]), (1, &[Merge, LoadSince])];
    holds("merge, load since | merge, load since", world(lagging, &scripts), &["carried", "helped"]);
}

/// Then nothing is left to promise of a session but that a logout holds: the tombstone where nothing was found sees to it.
#[test]
fn a_logout_holds_even_if_operations_outlive_the_grace_of_a_table() {
    let outlived = Setting { outlived: true, ..CRASH };
    let scripts: [(usize, &[Act]); 3] = [(0, &[Touch]), (0, &[Load]), (1, &[Delete, Load])];
    holds("touch | load | delete, load", world(outlived, &scripts), &["helped", "dropped"]);
}
