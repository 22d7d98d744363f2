//! EXP: expiry. Nothing is read past its deadline (I4), nothing dies before it, and nothing lives for ever.
//!
//! Time is a clock that each case moves, so that nothing is waited for. The clock runs a day ahead of the system's in
//! cases with short lifetimes: the server, which removes by its own clock, then does not get there before the store.

mod basics;
mod cliffs;
mod copies;
mod history;
mod native;
mod policy;
mod skew;
mod support;

use crate::case::Case;

/// The cases of this suite.
pub(super) fn cases() -> Vec<Case> {
    let parts = [
        basics::cases(),
        cliffs::cases(),
        copies::cases(),
        history::cases(),
        native::cases(),
        policy::cases(),
        skew::cases(),
    ];
    let mut cases: Vec<Case> = parts.into_iter().flatten().collect();
    cases.sort_by_key(|case| case.id);
    cases
}
