//! Old claims, each with what it predicts and what is measured. The numbers are those of `docs/trade-offs.md`.

pub(crate) mod calls;
pub(crate) mod failover;
pub(crate) mod locks;
pub(crate) mod logout;
pub(crate) mod lost;
pub(crate) mod memory;
pub(crate) mod rotation;
pub(crate) mod sizes;
pub(crate) mod table;
pub(crate) mod times;

use std::time::Duration;

/// A share as `lost of all`.
pub(crate) fn of(part: usize, all: usize) -> String {
    format!("{part} of {all}")
}

/// The middle one of some times, of which there is one at least.
fn median(mut took: Vec<Duration>) -> Duration {
    took.sort();
    took[took.len() / 2]
}
