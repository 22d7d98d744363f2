//! What a pair or a ring has noticed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use holdover_api::Operation;
use metrics::counter;

use crate::metrics::names;

/// What a [`Failover`](super::Failover) or a [`Ring`](crate::ring::Ring) has noticed since it was made. The `metrics` facade
/// gets the same, see [`names`](crate::names).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FailoverCounts {
    /// Operations that the tail answered because the head could not be reached.
    pub failovers: u64,
    /// Copies that were made equal to the newer one.
    pub repairs: u64,
    /// Times that each of two copies held a write that the other lacked. One was given up; it was never acknowledged,
    /// unless two faults came together.
    pub divergences: u64,
    /// Times that neither node had a session while both had been restarted less than a lease ago: if it was ever there,
    /// it is lost.
    pub losses: u64,
    /// Writes that were acknowledged with one copy.
    pub half_copies: u64,
    /// Times that a node was given up for a while.
    pub breaker_openings: u64,
}

/// A hand on what a pair or a ring notices, for whoever holds it only as a store.
#[derive(Clone, Debug)]
pub struct Copies(Arc<Counts>);

impl Copies {
    pub(crate) const fn of(counts: Arc<Counts>) -> Self {
        Self(counts)
    }

    /// What has been noticed so far.
    pub fn counts(&self) -> FailoverCounts {
        self.0.snapshot()
    }
}

#[derive(Debug, Default)]
pub(crate) struct Counts {
    failovers: AtomicU64,
    repairs: AtomicU64,
    divergences: AtomicU64,
    losses: AtomicU64,
    half_copies: AtomicU64,
    breaker_openings: AtomicU64,
}

impl Counts {
    pub(crate) fn snapshot(&self) -> FailoverCounts {
        FailoverCounts {
            failovers: self.failovers.load(Ordering::Relaxed),
            repairs: self.repairs.load(Ordering::Relaxed),
            divergences: self.divergences.load(Ordering::Relaxed),
            losses: self.losses.load(Ordering::Relaxed),
            half_copies: self.half_copies.load(Ordering::Relaxed),
            breaker_openings: self.breaker_openings.load(Ordering::Relaxed),
        }
    }

    pub(super) fn failed_over(&self, store: &str, operation: Operation) {
        self.failovers.fetch_add(1, Ordering::Relaxed);
        counter!(names::FAILOVERS, "store" => store.to_owned(), "operation" => operation.name()).increment(1);
    }

    pub(super) fn repaired(&self, store: &str) {
        self.repairs.fetch_add(1, Ordering::Relaxed);
        counter!(names::REPAIRS, "store" => store.to_owned()).increment(1);
    }

    pub(super) fn diverged(&self, store: &str) {
        self.divergences.fetch_add(1, Ordering::Relaxed);
        counter!(names::DIVERGENCES, "store" => store.to_owned()).increment(1);
    }

    pub(super) fn lost(&self, store: &str) {
        self.losses.fetch_add(1, Ordering::Relaxed);
        counter!(names::LOSSES, "store" => store.to_owned()).increment(1);
    }

    pub(super) fn half_copy(&self, store: &str, operation: Operation) {
        self.half_copies.fetch_add(1, Ordering::Relaxed);
        counter!(names::HALF_COPY_ACKNOWLEDGEMENTS, "store" => store.to_owned(), "operation" => operation.name())
            .increment(1);
    }

    pub(crate) fn breaker_opened(&self, node: &str) {
        self.breaker_openings.fetch_add(1, Ordering::Relaxed);
        counter!(names::BREAKER_OPENINGS, "store" => node.to_owned()).increment(1);
    }
}
