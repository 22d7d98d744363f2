//! Broken stores that the EXP cases have to catch.

use super::Mutant;

/// The mutants of this suite.
pub(super) fn mutants() -> Vec<Mutant> {
    Vec::new()
}
