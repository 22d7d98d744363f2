//! Small broken stores. Each flips one thing in a correct store, and the suite has to notice: a case that no mutant
//! has ever failed proves nothing.

/// A mutant of the sound base: its id, its flaw (an expression, evaluated once for each node), what is wrong with it,
/// and the cases that have to catch it.
macro_rules! mutant {
    ($id:literal, $flaw:expr, $defect:literal, [$($case:literal),+ $(,)?]) => {
        $crate::mutants::Mutant {
            id: $id,
            defect: $defect,
            make: || $crate::mutants::MutantHarness::of($id, || ::std::sync::Arc::new($flaw)),
            killed_by: &[$($case),+],
        }
    };
}

mod base;
mod bench;
mod con;
mod exp;
mod fail;
mod race;
mod shapes;

use std::fmt;
use std::sync::Arc;

use crate::harness::Harness;

pub use base::{Cell, Flaw, Flawed, MAX_BYTES, Shelf, Sound};
pub use bench::MutantHarness;
pub use fail::SmallServer;

/// A broken store and the cases that have to catch it.
#[derive(Clone, Copy)]
pub struct Mutant {
    /// The id of the catalogue, after the suite that it is for where several suites flip the same thing: `con-m04`.
    pub id: &'static str,
    /// What is wrong with it.
    pub defect: &'static str,
    /// Makes a harness over it.
    pub make: fn() -> Arc<dyn Harness>,
    /// The cases made for it: each of them has to fail on it.
    pub killed_by: &'static [&'static str],
}

impl fmt::Debug for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.id, self.defect)
    }
}

/// Every mutant.
pub fn all() -> Vec<Mutant> {
    let suites = [con::mutants(), race::mutants(), exp::mutants(), fail::mutants()];
    suites.into_iter().flatten().collect()
}
