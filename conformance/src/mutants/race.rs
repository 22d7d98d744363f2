//! Broken stores that the RACE cases have to catch.

use super::Mutant;

/// The mutants of this suite.
pub(super) fn mutants() -> Vec<Mutant> {
    Vec::new()
}
