//! The runs: with all ingredients every schedule is linearizable.

use stateright::{Checker, HasDiscoveries, Model};

use crate::processes::Act::{
    self, Bury, Create, Delete, Implant, Inspect, Load, LoadSince, Merge, Shorten, Swap, Touch,
};
use crate::properties::ALWAYS;
use crate::tables::Twist;
use crate::world::{Setting, World};

/// One process may die in the middle of anything; both nodes cross two boundaries, and the oldest table may be dropped.
pub(crate) const CRASH: Setting = Setting {
    born: true,
    last_view: 2,
    crashes: 1,
    losses: 0,
    retries: 0,
    lagging: false,
    buries_absent: true,
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

/// Visits everything, or all until something breaks: that schedule is a shortest one. Prints what it found.
pub(crate) fn run(name: &str, world: World) -> Ended {
    let broken_on_purpose = world.setting.twist != Twist::Nothing;
    let threads = if broken_on_purpose { 1 } else { 2 };
    let checker =
        world.checker().threads(threads).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let found = checker.discoveries();
    let states = checker.unique_state_count();
    let broken = ALWAYS.into_iter().find_map(|name| Some((name, found.get(name)?)));
    let happened = found.keys().copied().filter(|name| !ALWAYS.contains(name)).collect();
    let Some((property, path)) = broken else {
        println!("{name}: holds, {states} states, depth {}", checker.max_depth());
        assert!(checker.is_done(), "{name}: not everything was visited");
        return Ended { broken: None, happened };
    };
    let actions = path.clone().into_actions();
    println!("{name}: {property} is broken after {} steps, {states} states: {actions:?}", actions.len());
    Ended { broken: Some((property, actions.len())), happened }
}

/// Nothing breaks, everybody gets to the end of his script in some schedule, and so does what is named.
fn holds(name: &str, world: World, happens: &[&str]) {
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
    holds("touch | swap", world(CRASH, &[(0, &[Load, Touch, Load]), (1, &[Load, Swap, Load])]), &happens);
}

#[test]
fn holds_for_two_saves() {
    let happens = ["carried", "helped", "began anew", "dropped"];
    holds("swap | swap", world(CRASH, &[(0, &[Load, Swap, Load]), (1, &[Load, Swap, Load])]), &happens);
    holds("merge | merge", world(CRASH, &[(0, &[Merge, Load]), (1, &[Merge, Load])]), &happens);
}
