//! What is to be done about the tables now: a pure function of the time and of what exists.

use std::time::Duration;

use holdover_api::Timestamp;

use crate::generation::Generation;
use crate::schedule::{Schedule, TableState, Tables};

/// By how much the server's clock is ahead of this node's: between these, in milliseconds. An answer tells the time only so
/// exactly, and was some time on its way.
///
/// ```
/// use std::time::Duration;
/// use holdover_api::Timestamp;
/// use holdover_rotation::Offset;
///
/// let [before, after] = [Timestamp::from_millis(5_200), Timestamp::from_millis(5_300)];
/// let offset = Offset::measured(before, after, Timestamp::from_millis(5_000), Duration::from_secs(1));
/// assert_eq!(offset, Some(Offset { least: -300, most: 800 }));
/// assert!(!offset.unwrap().is_beyond(Duration::from_millis(500)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offset {
    /// It is ahead by so much at least.
    pub least: i64,
    /// And by so much at most.
    pub most: i64,
}

impl Offset {
    /// From what the server said between two readings of this node's clock, cut down to a multiple of `resolution`. Nothing
    /// if the clock stepped back between them.
    pub fn measured(
        before: Timestamp,
        after: Timestamp,
        server: Timestamp,
        resolution: Duration,
    ) -> Option<Self> {
        if after < before {
            return None;
        }
        Some(Self { least: difference(server, after), most: difference(server + resolution, before) })
    }

    /// Whether the clocks certainly differ by more than that.
    pub fn is_beyond(self, max_skew: Duration) -> bool {
        let max_skew = i64::try_from(max_skew.as_millis()).unwrap_or(i64::MAX);
        self.least > max_skew || self.most < max_skew.saturating_neg()
    }

    /// The earliest that the server's clock may show when this node's shows `now`.
    pub fn earliest(self, now: Timestamp) -> Timestamp {
        let by = Duration::from_millis(self.least.unsigned_abs());
        if self.least < 0 { now - by } else { now + by }
    }
}

/// `left` - `right`, in milliseconds: both are far below what fits.
fn difference(left: Timestamp, right: Timestamp) -> i64 {
    let millis = |moment: Timestamp| i64::try_from(moment.as_millis()).unwrap_or(i64::MAX);
    millis(left) - millis(right)
}

/// What is to be done about the tables now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The table to create.
    pub create: Option<Generation>,
    /// The tables to drop, oldest first.
    pub drop: Vec<Generation>,
    /// Why less is done than would be otherwise.
    pub held: Option<Held>,
}

/// Why a node leaves tables alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Held {
    /// The server did not tell its time, or the node's clock stepped meanwhile: nothing is created or dropped.
    ClockUnknown,
    /// The node's clock is further off the server's than clocks may be: nothing is created or dropped.
    ClockOff,
    /// There is a table of a period that begins later than the next one does. No table is created below another, so that
    /// there will be no new one until then: somebody has to look.
    TableAhead,
}

impl Held {
    /// A name for logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClockUnknown => "clock unknown",
            Self::ClockOff => "clock off",
            Self::TableAhead => "table ahead",
        }
    }
}

/// What a node is to do about the tables when its clock shows `now`, with `tables` seen just before.
///
/// - The present table is created if it is missing, and the next one when its time has come; one at a time, and **never
///   below the newest that exists** (R10).
/// - A table is dropped when its last lease has ended by every clock, the server's included, and the one after it is ready
///   (R11).
/// - A node whose clock is off, or that does not know, does neither (R13).
///
/// ```
/// use std::time::Duration;
/// use holdover_api::Timestamp;
/// use holdover_rotation::{Offset, Rules, Schedule, Tables, plan};
///
/// let hour = Duration::from_secs(3_600);
/// let schedule = Schedule::new(Rules::new(hour, hour))?;
/// let now = Timestamp::from_millis(1_790_000_000_000);
/// let agreed = Some(Offset { least: -100, most: 100 });
/// let first = plan(&schedule, now, agreed, &Tables::seen(now, []), Duration::ZERO);
/// assert_eq!(first.create, Some(schedule.generation(now)));
/// # Ok::<(), holdover_rotation::RulesError>(())
/// ```
pub fn plan(
    schedule: &Schedule,
    now: Timestamp,
    offset: Option<Offset>,
    tables: &Tables,
    jitter: Duration,
) -> Plan {
    let held = |reason| Plan { create: None, drop: Vec::new(), held: Some(reason) };
    let Some(offset) = offset else {
        return held(Held::ClockUnknown);
    };
    if offset.is_beyond(schedule.rules().max_skew) {
        return held(Held::ClockOff);
    }
    let present = schedule.generation(now);
    let is_ahead = tables.newest().is_some_and(|newest| newest.generation > present.next());
    Plan {
        create: to_create(schedule, now, tables, jitter),
        drop: to_drop(schedule, now, offset, tables),
        held: is_ahead.then_some(Held::TableAhead),
    }
}

fn to_create(schedule: &Schedule, now: Timestamp, tables: &Tables, jitter: Duration) -> Option<Generation> {
    let present = schedule.generation(now);
    let newest = tables.newest().map(|table| table.generation);
    if newest.is_none_or(|newest| newest < present) {
        return Some(present);
    }
    let next = present.next();
    let is_time = now >= schedule.creates_from(next, jitter);
    (newest == Some(present) && is_time).then_some(next)
}

fn to_drop(schedule: &Schedule, now: Timestamp, offset: Offset, tables: &Tables) -> Vec<Generation> {
    let certain = now.min(offset.earliest(now));
    let is_over = |generation| schedule.drops_from(tables, generation).is_some_and(|from| certain >= from);
    let is_succeeded =
        |generation| tables.usable_after(generation).is_some_and(|next| next.state == TableState::Active);
    let standing = tables.iter().filter(|table| table.state != TableState::Dropping);
    let generations = standing.map(|table| table.generation);
    generations.filter(|generation| is_over(*generation) && is_succeeded(*generation)).collect()
}
