//! Every ingredient is needed: without it, a world that holds with it does not.

use crate::processes::Act::{self, Create, Delete, Implant, Load, Merge, Swap, Touch};
use crate::runs::{CRASH, run, shortest, world};
use crate::tables::Twist;
use crate::world::Setting;

const CALM: Setting = Setting { crashes: 0, ..CRASH };
const LOSSY: Setting = Setting { losses: 1, ..CALM };
const UNBORN: Setting = Setting { born: false, ..CALM };
const RETRIED: Setting = Setting { born: false, retries: 1, ..CALM };
const OUTLIVED: Setting = Setting { outlived: true, ..CRASH };

/// Somebody moves the session and dies, somebody helps late, somebody logs out.
const LATE_LOGOUT: &[(usize, &[Act])] = &[(0, &[Touch]), (0, &[Load]), (1, &[Delete, Load])];

/// A missing ingredient, a world in which it matters, and what breaks first there.
struct Mutant {
    twist: Twist,
    setting: Setting,
    scripts: &'static [(usize, &'static [Act])],
    breaks: &'static str,
}

const fn mutant(
    twist: Twist,
    setting: Setting,
    scripts: &'static [(usize, &'static [Act])],
    breaks: &'static str,
) -> Mutant {
    Mutant { twist, setting, scripts, breaks }
}

const MUTANTS: [Mutant; 18] = [
    mutant(Twist::NoTombstone, CALM, &[(0, &[Touch]), (1, &[Delete, Load])], "no resurrection"),
    mutant(Twist::NoTombstone, CALM, &[(0, &[Merge]), (1, &[Delete]), (0, &[Load])], "no resurrection"),
    mutant(Twist::NoSeal, CALM, &[(0, &[Touch]), (1, &[Merge, Load])], "one live copy"),
    mutant(Twist::BumpOnMove, CALM, &[(0, &[Touch]), (1, &[Load, Swap])], "linearizable"),
    mutant(Twist::UnconditionalCarry, CALM, &[(0, &[Touch]), (1, &[Merge, Load])], "no lost update"),
    mutant(Twist::GoneIsEmpty, CALM, &[(0, &[Touch]), (1, &[Load])], "no false absence"),
    mutant(Twist::NoGrace, CRASH, &[(0, &[Touch]), (1, &[Load])], "no false absence"),
    mutant(Twist::NoLookBehind, CALM, &[(0, &[Load]), (1, &[Load])], "no false absence"),
    mutant(Twist::NoReadAheadNorNote, UNBORN, &[(1, &[Create]), (0, &[Load, Load])], "no false absence"),
    mutant(
        Twist::LineageNotCarried,
        LOSSY,
        &[(0, &[Merge]), (1, &[Load, Swap, Touch, Load])],
        "linearizable",
    ),
    mutant(Twist::EmptySeal, CALM, &[(0, &[Touch]), (1, &[Load, Load])], "payload"),
    mutant(Twist::SealIsNothing, CALM, &[(0, &[Touch]), (1, &[Load])], "no false absence"),
    mutant(Twist::SealIsOpen, CALM, &[(0, &[Touch]), (1, &[Merge, Load])], "payload"),
    mutant(Twist::StampNotLookedFor, LOSSY, &[(0, &[Merge]), (1, &[Load, Swap, Load])], "linearizable"),
    mutant(Twist::NoCommonTable, RETRIED, &[(0, &[Create, Load])], "one live copy"),
    mutant(Twist::NoCommonTable, UNBORN, &[(0, &[Implant]), (1, &[Implant, Load])], "one live copy"),
    mutant(Twist::NoTombstoneWhenAbsent, OUTLIVED, LATE_LOGOUT, "no resurrection"),
    mutant(Twist::OldestFirst, OUTLIVED, LATE_LOGOUT, "no resurrection"),
];

#[test]
fn does_not_hold_without_any_one_ingredient() {
    let mut wrong = Vec::new();
    for Mutant { twist, setting, scripts, breaks } in MUTANTS {
        let name = format!("{twist:?}");
        let whole = run("  with everything", world(setting, scripts));
        assert_eq!(whole.broken, None, "{name}: the world asks too much");
        let broken = shortest(&name, &world(Setting { twist, ..setting }, scripts));
        if broken.is_none_or(|(property, _)| property != breaks) {
            wrong.push((name, broken));
        }
    }
    assert!(wrong.is_empty(), "broken in another way, or not at all: {wrong:?}");
}

/// A login on the fast node leaves a note where the slow one looks, and a move leaves its seal: without reading ahead a
/// session is found all the same. It is read ahead for what nobody foresees, such as a clock that is further off.
#[test]
fn the_note_makes_up_for_reading_ahead() {
    let blind = Setting { twist: Twist::NoReadAhead, ..UNBORN };
    let ended = run("NoReadAhead", world(blind, &[(1, &[Create]), (0, &[Load, Load])]));
    assert_eq!(ended.broken, None);
}
