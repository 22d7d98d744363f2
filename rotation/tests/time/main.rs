//! The schedule, the names, the plan and the keeper, one by one and by properties.

mod control;
mod keeper;
mod names;
mod outages;
mod plan;
mod rules;
mod schedule;

use std::time::Duration;

use holdover_api::Timestamp;
use holdover_rotation::{Generation, Rules, Schedule, Table, TableState, Tables};

pub(crate) const HOUR: Duration = Duration::from_secs(3_600);

pub(crate) const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// Periods of an hour, leases of an hour, skew 2 s, refresh 30 s, lead 10 min, settling 5 min, grace 10 s.
pub(crate) fn hourly() -> Schedule {
    Schedule::new(Rules::new(HOUR, HOUR)).expect("the defaults go together")
}

/// The beginning of a generation that serves as an example.
pub(crate) fn dawn() -> Timestamp {
    Timestamp::from_millis(500_000 * 3_600_000)
}

pub(crate) const DAWN: Generation = Generation::new(500_000);

pub(crate) fn table(generation: Generation, state: TableState, created: Timestamp) -> Table {
    Table { generation, state, created }
}

/// A table that was asked for in good time.
pub(crate) fn punctual(generation: Generation) -> Table {
    table(generation, TableState::Active, hourly().begins(generation) - secs(500))
}

pub(crate) fn seen(now: Timestamp, tables: &[Table]) -> Tables {
    Tables::seen(now, tables.iter().copied())
}
