//! RACE: several clients of one session, on several nodes, without faults.
//!
//! A client is a request: it loads, thinks, and saves. Where the order matters it is made by gates and is exact; where
//! chance makes it, the case has to prove that requests met, and is vacuous otherwise.

mod append;
mod births;
mod cache;
mod counters;
mod interrupted;
mod linear;
mod logout;
pub(super) mod renewal;
pub(super) mod support;
mod touches;
mod updates;
mod visibility;

use crate::case::Case;

/// The cases of this suite.
pub(super) fn cases() -> Vec<Case> {
    let parts = [
        updates::cases(),
        counters::cases(),
        logout::cases(),
        touches::cases(),
        births::cases(),
        cache::cases(),
        renewal::cases(),
        visibility::cases(),
        append::cases(),
        linear::cases(),
    ];
    let mut cases: Vec<Case> = parts.into_iter().flatten().collect();
    cases.sort_by_key(|case| case.id);
    cases
}
