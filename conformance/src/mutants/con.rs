//! Broken stores that the CON cases have to catch.

use super::Mutant;

/// The mutants of this suite.
pub(super) fn mutants() -> Vec<Mutant> {
    Vec::new()
}
