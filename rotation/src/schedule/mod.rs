//! Which tables there ought to be, and which of them an operation reads and writes.
//!
//! All of it follows from one reading of the clock and from what tables exist: nothing is remembered (R1). Time is Unix
//! time in whole periods from the epoch: no calendar and no time zone comes in, and a step of the clock shows other tables
//! than before, never a mixture.

mod rules;
mod tables;

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use holdover_api::Timestamp;

pub use rules::{MAX_PERIOD, MAX_TABLES_READ, MIN_PERIOD, Rules, RulesError};
pub use tables::{Table, TableState, Tables};

use crate::carry::Bearings;
use crate::generation::Generation;

/// Periods, and what happens when in them.
///
/// ```
/// use std::time::Duration;
/// use holdover_api::Timestamp;
/// use holdover_rotation::{Rules, Schedule, Table, TableState, Tables, View};
///
/// let hour = Duration::from_secs(3_600);
/// let schedule = Schedule::new(Rules::new(hour, hour / 2))?;
/// let now = Timestamp::from_millis(1_790_000_000_000);
/// let present = schedule.generation(now);
/// let created = schedule.begins(present) - Duration::from_secs(500);
/// let table = Table { generation: present, state: TableState::Active, created };
///
/// let view = schedule.view(now, &Tables::seen(now, [table]));
/// assert_eq!(view, Ok(View { read: vec![present], write: Some(present) }));
/// # Ok::<(), holdover_rotation::RulesError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    rules: Rules,
    period_millis: u64,
}

/// What one operation needs to know of time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// The tables that may hold a live session, newest first: in that order a session that moves on meanwhile is met.
    pub read: Vec<Generation>,
    /// Where a session is created, or moved to by a write. Nothing if no table may be written now: the operation is
    /// unavailable, and a read need not be.
    pub write: Option<Generation>,
}

/// What is known of the tables is too old for the operation: look again first, and take the moment at which that began
/// ([`Tables::as_of`]) as the operation's one reading of the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stale;

/// A deadline lies further ahead than the tables are kept (R12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseTooLong {
    max_lease: Duration,
}

impl fmt::Display for LeaseTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let most = self.max_lease;
        write!(
            f,
            "the deadline is further ahead than the longest lease of {most:?} for which tables are kept"
        )
    }
}

impl StdError for LeaseTooLong {}

impl Schedule {
    /// A schedule by these rules.
    ///
    /// # Errors
    ///
    /// Rules that contradict each other, or that would have too many tables read.
    pub fn new(rules: Rules) -> Result<Self, RulesError> {
        rules.check(MIN_PERIOD)?;
        Ok(Self::of(rules))
    }

    /// The same with periods from one second on: for exams, which cannot wait for minutes.
    ///
    /// # Errors
    ///
    /// As [`Schedule::new`].
    pub fn for_exams(rules: Rules) -> Result<Self, RulesError> {
        rules.check(Duration::from_secs(1))?;
        Ok(Self::of(rules))
    }

    fn of(rules: Rules) -> Self {
        Self { rules, period_millis: rules.period.as_secs().saturating_mul(1_000).max(1) }
    }

    /// The rules.
    pub const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The generation to which a moment belongs.
    pub const fn generation(&self, at: Timestamp) -> Generation {
        Generation::new(at.as_millis() / self.period_millis)
    }

    /// The first moment of a generation.
    pub const fn begins(&self, generation: Generation) -> Timestamp {
        Timestamp::from_millis(generation.number().saturating_mul(self.period_millis))
    }

    /// From when on a node creates the table of a generation ahead of its time (R10). Each node draws its own `jitter`, of
    /// which at most a quarter of the lead is used.
    pub fn creates_from(&self, generation: Generation, jitter: Duration) -> Timestamp {
        let lead = self.rules.lead;
        self.begins(generation) - (lead - jitter.min(lead / 4))
    }

    /// From when on a table is written to, if there is an older one: when every node knows of it. What a node knows without
    /// it is at most so old.
    fn adopted(&self, table: Table) -> Timestamp {
        table.created + self.rules.notice()
    }

    /// When writing to a table ends: with its period, or later if the next table was late. Nothing while there is no newer
    /// table: then it is written to for as long as that lasts.
    ///
    /// A node that knows of the newer table stops by its own clock, whether the newer table is ready or not; one that does
    /// not know of it learns of it before.
    pub fn end(&self, tables: &Tables, generation: Generation) -> Option<Timestamp> {
        let next = tables.usable_after(generation)?;
        Some(self.begins(next.generation).max(next.created + self.rules.settle))
    }

    /// From when on a table may be dropped (R11): its last lease has ended by every clock, and so has every operation that
    /// was under way. Nothing while it is written to without an end in sight.
    pub fn drops_from(&self, tables: &Tables, generation: Generation) -> Option<Timestamp> {
        let Rules { max_lease, max_skew, grace, .. } = self.rules;
        Some(self.end(tables, generation)? + max_lease + 2 * max_skew + grace)
    }

    /// The tables that an operation reads, and the one that it writes, by its one reading of the clock (R1, R2, R10).
    ///
    /// # Errors
    ///
    /// [`Stale`], if a table may have come since that the operation has to know of. It never does at the moment at which
    /// the tables were looked at.
    pub fn view(&self, now: Timestamp, tables: &Tables) -> Result<View, Stale> {
        // Another node may be so far ahead, and write to what is the next table here.
        let newest = self.generation(now + 2 * self.rules.max_skew);
        let has_newest = tables.get(newest).is_some_and(|table| table.state == TableState::Active);
        let fresh = self.is_fresh(now, tables);
        if !has_newest && !fresh {
            return Err(Stale);
        }
        let write = self.write(now, tables);
        if write.is_none() && !fresh {
            return Err(Stale);
        }
        Ok(View { read: self.read(now, newest, tables), write })
    }

    /// Whether what is known includes every table that somebody may have written to.
    fn is_fresh(&self, now: Timestamp, tables: &Tables) -> bool {
        let Some(seen) = tables.seen_at() else {
            return false;
        };
        // The first table of all is written to at once: nobody relies on having seen none.
        if tables.is_empty() {
            return seen == now;
        }
        seen <= now && now < seen + self.rules.refresh
    }

    fn read(&self, now: Timestamp, newest: Generation, tables: &Tables) -> Vec<Generation> {
        let may_hold_live = |table: &Table| {
            let end = self.end(tables, table.generation);
            end.is_none_or(|end| now < end + self.rules.max_lease)
        };
        let readable = tables.iter().rev().filter(|table| table.state != TableState::Dropping);
        let in_window = readable.filter(|table| table.generation <= newest && may_hold_live(table));
        in_window.map(|table| table.generation).collect()
    }

    /// The newest table that is ready and whose time has come; an older one than that of the present period only until its
    /// end, after which nobody would look for the session there.
    fn write(&self, now: Timestamp, tables: &Tables) -> Option<Generation> {
        let present = self.generation(now);
        let oldest = tables.usable().next()?.generation;
        let ready = |table: &Table| {
            let adopted = table.generation == oldest || now >= self.adopted(*table);
            table.generation <= present && table.state == TableState::Active && adopted
        };
        let table = tables.usable().filter(ready).last()?;
        let end = self.end(tables, table.generation);
        end.is_none_or(|end| now < end).then_some(table.generation)
    }

    /// The oldest table of a view into which somebody may still put something new: a node whose clock is behind, or an
    /// operation that is under way. Nothing if no table may be written.
    pub fn common(&self, now: Timestamp, tables: &Tables, view: &View) -> Option<Generation> {
        let Rules { max_skew, grace, .. } = self.rules;
        let may_change = |generation: &Generation| {
            let end = self.end(tables, *generation);
            end.is_none_or(|end| now < end + 2 * max_skew + grace)
        };
        let write = view.write?;
        let mut written = view.read.iter().copied().filter(|generation| *generation <= write);
        written.rfind(may_change)
    }

    /// What an operation has to know of time and tables to be carried out; nothing if it has to write and no table may be
    /// written. A read need not be unavailable then: what it completes goes where it was going.
    ///
    /// # Errors
    ///
    /// [`Stale`], as [`Schedule::view`].
    pub fn bearings(
        &self,
        now: Timestamp,
        tables: &Tables,
        only_reads: bool,
    ) -> Result<Option<Bearings>, Stale> {
        let view = self.view(now, tables)?;
        let common = self.common(now, tables, &view);
        let write = view.write.or_else(|| view.read.first().copied().filter(|_| only_reads));
        let bearings = write.map(|write| Bearings {
            now,
            read: view.read.into(),
            write,
            common: common.unwrap_or(write),
        });
        Ok(bearings)
    }

    /// Whether a deadline is one for which tables are kept (R12): ask before it is written.
    ///
    /// # Errors
    ///
    /// [`LeaseTooLong`], if it is further ahead than [`Rules::max_lease`].
    pub fn check_lease(&self, now: Timestamp, deadline: Timestamp) -> Result<(), LeaseTooLong> {
        let max_lease = self.rules.max_lease;
        if deadline > now + max_lease { Err(LeaseTooLong { max_lease }) } else { Ok(()) }
    }
}
