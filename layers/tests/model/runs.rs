//! The runs: with all ingredients the protocol holds in every schedule of one fault at a time, and without any one of
//! them it does not.

use holdover_layers::failover::Rules;
use stateright::{Checker, HasDiscoveries, Model};

use crate::processes::Act::{self, Create, Delete, Load, Merge, Shorten, Swap, Touch};
use crate::world::{Setting, World};

const CRASH: Setting =
    Setting { born: true, crashes: &[0, 1], cuts: &[], budget: 1, rules: Rules::ALL, backup_after: false };
const CUT: Setting = Setting { crashes: &[], cuts: &[0, 1], ..CRASH };
const CALM: Setting = Setting { crashes: &[], ..CRASH };

fn world(setting: Setting, scripts: &[&[Act]]) -> World {
    World { scripts: scripts.iter().map(|script| script.to_vec()).collect(), setting }
}

/// Whether every schedule is linearizable. Prints how many states there were, and a schedule that is not.
fn holds(name: &str, world: World) -> bool {
    let checker = world.checker().threads(2).finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    println!("{name}: {} states", checker.unique_state_count());
    if let Some(path) = checker.discovery("linearizable") {
        println!("{name}: not linearizable after {:?}", path.into_actions());
        return false;
    }
    assert!(checker.discovery("everybody is done").is_some(), "{name}: nobody ever gets to the end");
    true
}

#[test]
fn holds_without_faults() {
    assert!(holds("merge | merge", world(CALM, &[&[Load, Merge, Load], &[Merge, Load]])));
    assert!(holds("swap | swap", world(CALM, &[&[Load, Swap, Load], &[Load, Swap, Load]])));
    assert!(holds("touch | merge", world(CALM, &[&[Touch, Load], &[Merge, Load]])));
    assert!(holds(
        "create | create",
        world(Setting { born: false, ..CALM }, &[&[Create, Load], &[Create, Load]])
    ));
}

#[test]
fn holds_through_one_crash_with_amnesia() {
    assert!(holds("swap | swap", world(CRASH, &[&[Load, Swap, Load], &[Load, Swap]])));
    assert!(holds("merge | merge", world(CRASH, &[&[Merge, Load], &[Merge, Load]])));
    assert!(holds("merge | delete", world(CRASH, &[&[Merge], &[Delete, Load]])));
    assert!(holds("merge | load, load", world(CRASH, &[&[Merge], &[Load, Load]])));
    assert!(holds("touch | merge", world(CRASH, &[&[Touch, Load], &[Merge]])));
}

#[test]
fn holds_through_one_link_that_is_cut() {
    assert!(holds("swap | swap", world(CUT, &[&[Load, Swap, Load], &[Load, Swap]])));
    assert!(holds("merge | merge", world(CUT, &[&[Merge, Load], &[Merge, Load]])));
    assert!(holds("merge | delete", world(CUT, &[&[Merge], &[Delete, Load]])));
    assert!(holds("touch | delete", world(CUT, &[&[Touch], &[Delete, Load]])));
    assert!(holds("touch | merge", world(CUT, &[&[Touch, Load], &[Merge]])));
    assert!(holds("merge | touch", world(CUT, &[&[Merge, Load], &[Touch, Load]])));
}

#[test]
fn holds_while_one_node_is_cut_off_from_any_of_them() {
    for node in [&[0][..], &[1][..]] {
        let isolated = Setting { cuts: node, budget: 2, ..CUT };
        assert!(holds("merge | swap", world(isolated, &[&[Merge, Load], &[Load, Swap]])));
        assert!(holds("merge | delete", world(isolated, &[&[Merge], &[Delete, Load]])));
    }
}

#[test]
fn holds_for_three_processes() {
    assert!(holds("merge | swap | load, load", world(CRASH, &[&[Merge], &[Load, Swap], &[Load, Load]])));
    assert!(holds("merge | delete | load, load", world(CUT, &[&[Merge], &[Delete], &[Load, Load]])));
    assert!(holds("touch, shorten | load", world(CUT, &[&[Touch, Shorten, Load], &[Load, Load]])));
    assert!(holds("touch, shorten | merge", world(CRASH, &[&[Touch, Shorten, Load], &[Merge, Load]])));
    assert!(holds("touch | shorten | load, load", world(CUT, &[&[Touch], &[Shorten], &[Load, Load]])));
    assert!(holds("merge | touch | load", world(CUT, &[&[Merge], &[Touch], &[Load, Load]])));
    assert!(holds("touch | delete | load, load", world(CUT, &[&[Touch], &[Delete], &[Load, Load]])));
    assert!(holds("swap | touch | load", world(CUT, &[&[Load, Swap], &[Touch], &[Load, Load]])));
    let either = Setting { crashes: &[0, 1], ..CUT };
    assert!(holds("merge | merge | delete", world(either, &[&[Merge], &[Merge], &[Delete, Load]])));
}

/// A touch leaves no mark by which it could recognise itself, and a write may move back what it has moved on.
#[test]
fn a_touch_beside_a_write_that_moves_the_deadline_back_happens_once() {
    assert!(holds("touch | shorten, load", world(CALM, &[&[Touch], &[Shorten, Load]])));
    assert!(holds("touch | shorten | load, load", world(CALM, &[&[Touch], &[Shorten], &[Load, Load]])));
    assert!(holds("touch | shorten | touch", world(CALM, &[&[Touch, Load], &[Shorten, Load], &[Touch]])));
    assert!(holds("touch | shorten, load, with a crash", world(CRASH, &[&[Touch], &[Shorten, Load]])));
    assert!(holds("touch | shorten, load, with a cut", world(CUT, &[&[Touch], &[Shorten, Load]])));
    assert!(holds("shorten | merge, touch", world(CUT, &[&[Shorten, Load], &[Merge, Touch]])));
}

/// With the backup written after the answer nothing is lost or comes back as long as no node does; a node that is lost may
/// take an acknowledged write along, and `capabilities().survives` says so.
#[test]
fn a_backup_written_after_the_answer_holds_until_a_node_is_lost() {
    let after = Setting { backup_after: true, ..CALM };
    assert!(holds("merge, load | merge, load", world(after, &[&[Merge, Load], &[Merge, Load]])));
    assert!(holds("swap | touch, load", world(after, &[&[Load, Swap, Load], &[Touch, Load]])));
    assert!(holds("merge | delete | load, load", world(after, &[&[Merge], &[Delete], &[Load, Load]])));
    assert!(holds("touch, shorten | load", world(after, &[&[Touch, Shorten, Load], &[Load, Load]])));
    let lossy = Setting { backup_after: true, ..CRASH };
    assert!(!holds("a crash before the backup", world(lossy, &[&[Merge, Load], &[Load]])));
}

/// An ingredient, a world in which it matters, and the chain without it.
struct Ablation {
    name: &'static str,
    setting: Setting,
    scripts: &'static [&'static [Act]],
    change: fn(&mut Rules),
}

const ABLATIONS: [Ablation; 9] = [
    Ablation {
        name: "no write-back",
        setting: CRASH,
        scripts: &[&[Merge], &[Load, Load]],
        change: |rules| rules.write_back = false,
    },
    Ablation {
        name: "ties to the head",
        setting: CUT,
        scripts: &[&[Merge, Load], &[Merge, Load]],
        change: |rules| rules.tie_to_tail = false,
    },
    Ablation {
        name: "no tombstones",
        setting: CUT,
        scripts: &[&[Merge], &[Delete, Load]],
        change: |rules| rules.tombstones = false,
    },
    Ablation {
        // The head has crashed and come back, and the tail cannot be reached: two faults, which must not be hidden.
        name: "a cold miss is a miss",
        setting: Setting { crashes: &[0], cuts: &[1], budget: 2, ..CRASH },
        scripts: &[&[Load, Load]],
        change: |rules| rules.cold_miss_is_no_miss = false,
    },
    Ablation {
        name: "reads the head only",
        setting: CUT,
        scripts: &[&[Merge, Load], &[Load, Load]],
        change: |rules| rules.reads_both = false,
    },
    Ablation {
        name: "does not recognise its own write",
        setting: CALM,
        scripts: &[&[Load, Swap], &[Merge, Load]],
        change: |rules| rules.recognises_own = false,
    },
    Ablation {
        name: "writes the tail first",
        setting: CUT,
        scripts: &[&[Merge], &[Merge], &[Load]],
        change: |rules| rules.head_first = false,
    },
    Ablation {
        name: "makes a touch again that was written over",
        setting: CALM,
        scripts: &[&[Touch], &[Shorten, Load], &[Load]],
        change: |rules| rules.touches_once = false,
    },
    Ablation {
        name: "takes a write past the head for one that has read it",
        setting: CUT,
        scripts: &[&[Merge, Load], &[Touch, Load]],
        change: |rules| rules.leaps = false,
    },
];

/// The world is right with all ingredients, so that it is the missing one that breaks it.
#[test]
fn does_not_hold_without_any_one_ingredient() {
    let mut survivors = Vec::new();
    for Ablation { name, setting, scripts, change } in ABLATIONS {
        assert!(
            holds("the same with everything", world(setting, scripts)),
            "{name}: the world asks too much"
        );
        let mut rules = Rules::ALL;
        change(&mut rules);
        if holds(name, world(Setting { rules, ..setting }, scripts)) {
            survivors.push(name);
        }
    }
    assert!(survivors.is_empty(), "the chain seems to hold without these: {survivors:?}");
}

/// What a touch cannot give, as the documentation says: it leaves no mark, so that a head that has forgotten it, and is
/// filled again from a tail that has not heard of it yet, does not know that it is missing.
#[test]
fn an_extension_under_way_when_the_head_forgets_may_be_lost() {
    assert!(!holds("merge | touch, a crash", world(CRASH, &[&[Merge, Load], &[Touch, Load]])));
}

/// What two nodes cannot give, as the documentation says: two faults before anybody has looked.
#[test]
fn two_faults_before_an_access_are_beyond_it() {
    let two_crashes = Setting { budget: 2, ..CRASH };
    assert!(!holds("two crashes", world(two_crashes, &[&[Merge, Load], &[Load]])));
    let head_then_tail = Setting { budget: 2, ..CUT };
    assert!(!holds(
        "the head cut off, then the tail",
        world(head_then_tail, &[&[Merge, Load], &[Merge, Load]])
    ));
    let crash_and_cut = Setting { budget: 2, crashes: &[0, 1], ..CUT };
    assert!(!holds("a crash and a cut", world(crash_and_cut, &[&[Merge, Load], &[Load, Load]])));
}
