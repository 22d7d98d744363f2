//! Throttling: capacity units come at a rate and are kept up to a limit.

use holdover_api::Stopwatch;
use serde_json::Value;

use super::parsed;

/// Units that may be consumed. An answer may take more than there are: DynamoDB, too, knows what an operation costs only
/// when it has done it.
#[derive(Debug)]
pub(super) struct Bucket {
    a_second: f64,
    burst: f64,
    units: f64,
    since: Stopwatch,
}

impl Bucket {
    pub(super) fn new(a_second: f64, burst: f64) -> Self {
        Self { a_second, burst, units: burst, since: Stopwatch::start() }
    }

    pub(super) fn is_empty(&mut self) -> bool {
        self.refill();
        self.units <= 0.0
    }

    /// Takes what an answer says that it has consumed.
    pub(super) fn take(&mut self, answer: &[u8]) {
        self.units -= parsed(answer).map(|answer| consumed(&answer)).unwrap_or_default();
    }

    fn refill(&mut self) {
        let gained = self.since.elapsed().as_secs_f64() * self.a_second;
        self.since = Stopwatch::start();
        self.units = (self.units + gained).min(self.burst);
    }
}

/// One table's units, or those of several tables.
fn consumed(answer: &Value) -> f64 {
    let units = |one: &Value| one.get("CapacityUnits").and_then(Value::as_f64).unwrap_or_default();
    match answer.get("ConsumedCapacity") {
        Some(Value::Array(several)) => several.iter().map(units).sum(),
        Some(one) => units(one),
        None => 0.0,
    }
}
