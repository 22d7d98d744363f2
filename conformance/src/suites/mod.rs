//! The suites: lists of cases, by the ids of the catalogue.

mod con;
mod exp;
mod fail;
mod race;
mod rot;

use crate::case::Case;

/// The suites, in the order in which they are told.
pub const NAMES: [&str; 5] = ["con", "race", "exp", "fail", "rot"];

/// Every case, by suite and number.
pub fn all() -> Vec<Case> {
    let suites = [con::cases(), race::cases(), exp::cases(), fail::cases(), rot::cases()];
    let mut cases: Vec<Case> = suites.into_iter().flatten().collect();
    let suite_rank = |case: &Case| NAMES.iter().position(|name| *name == case.suite());
    cases.sort_by_key(|case| (suite_rank(case), case.id));
    cases
}

/// The cases that only a store with copies on several servers can be asked. No mutant of this crate keeps copies: those
/// that show that each of these can fail are where such stores are (`layers/tests/copies_broken`).
pub fn on_copies() -> Vec<Case> {
    fail::on_copies()
}

/// The cases that only a store on servers that choose their primary among themselves can be asked. Those that show that
/// each of these can fail are where such stores are (`backends/tests/mongodb_broken`).
pub fn on_sets() -> Vec<Case> {
    fail::on_sets()
}

/// The cases that only a store on tables that follow each other can be asked. Those that show that each of these can fail
/// are where such stores are (`rotation/tests/suite`).
pub fn on_tables() -> Vec<Case> {
    rot::cases()
}
