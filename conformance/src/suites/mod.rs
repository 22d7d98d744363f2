//! The suites: lists of cases, by the ids of the catalogue.

mod con;
mod exp;
mod fail;
mod race;

use crate::case::Case;

/// Every case, in the order of the catalogue.
pub fn all() -> Vec<Case> {
    let suites = [con::cases(), race::cases(), exp::cases(), fail::cases()];
    suites.into_iter().flatten().collect()
}
