//! What a store's requests have consumed, as DynamoDB itself reports it.

use std::sync::{Mutex, PoisonError};

use aws_sdk_dynamodb::types::ConsumedCapacity;

/// Requests, and the capacity that DynamoDB says they consumed, since the store was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Consumed {
    /// Requests that read or wrote sessions, answered or not.
    pub requests: u64,
    /// Those of them that failed or whose condition did not hold. DynamoDB does not report what such a request costs: a
    /// refused write costs as much as one that is made, a throttled one nothing.
    pub unreported: u64,
    /// Read units: one for each 4 KB, half of that if it need not be the latest.
    pub read_units: f64,
    /// Write units: one for each KB.
    pub write_units: f64,
}

/// Adds up what requests consumed.
#[derive(Debug, Default)]
pub(super) struct Meter(Mutex<Consumed>);

impl Meter {
    pub(super) fn total(&self) -> Consumed {
        *self.lock()
    }

    pub(super) fn read(&self, capacity: Option<&ConsumedCapacity>) {
        let mut total = self.lock();
        total.requests += 1;
        total.read_units += units(capacity);
    }

    pub(super) fn written(&self, capacity: Option<&ConsumedCapacity>) {
        let mut total = self.lock();
        total.requests += 1;
        total.write_units += units(capacity);
    }

    /// A request without a report.
    pub(super) fn refused(&self) {
        let mut total = self.lock();
        total.requests += 1;
        total.unreported += 1;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Consumed> {
        // Numbers are added one by one, so that a panic elsewhere leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn units(capacity: Option<&ConsumedCapacity>) -> f64 {
    capacity.and_then(ConsumedCapacity::capacity_units).unwrap_or_default()
}
