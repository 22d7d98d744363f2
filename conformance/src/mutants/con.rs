//! Broken stores that the CON cases have to catch.

mod handle;
mod life;
mod repair;
mod touches;
mod values;
mod writes;

use super::Mutant;

/// The mutants of this suite.
pub(super) fn mutants() -> Vec<Mutant> {
    [
        life::mutants(),
        writes::mutants(),
        touches::mutants(),
        values::mutants(),
        handle::mutants(),
        repair::mutants(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
