//! The suites: lists of cases, by the ids of the catalogue.

mod con;
mod exp;
mod fail;
mod race;

use crate::case::Case;

/// The suites, in the order in which they are told.
pub const NAMES: [&str; 4] = ["con", "race", "exp", "fail"];

/// Every case, by suite and number.
pub fn all() -> Vec<Case> {
    let suites = [con::cases(), race::cases(), exp::cases(), fail::cases()];
    let mut cases: Vec<Case> = suites.into_iter().flatten().collect();
    let suite_rank = |case: &Case| NAMES.iter().position(|name| *name == case.suite());
    cases.sort_by_key(|case| (suite_rank(case), case.id));
    cases
}
