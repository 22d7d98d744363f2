//! What has happened to the tables, and what each period consumed.

use std::sync::atomic::Ordering;
use std::time::Duration;

use holdover::api::{Clock, Stopwatch, SystemClock};
use holdover::{Error, Timestamp};
use holdover_backends::dynamodb::{Census, DynamoDb};
use holdover_rotation::{Schedule, TableState};

use super::world::World;

/// What has been counted at one moment, or between two.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Count {
    /// Of the application.
    pub(crate) requests: u64,
    pub(crate) acknowledged: u64,
    /// Of the store.
    pub(crate) calls: u64,
    pub(crate) read_units: f64,
    pub(crate) write_units: f64,
}

impl Count {
    fn now(world: &World, store: &DynamoDb) -> Self {
        let consumed = store.consumed();
        Self {
            requests: world.counts.requests.load(Ordering::Relaxed),
            acknowledged: world.counts.acknowledged.load(Ordering::Relaxed),
            calls: consumed.requests,
            read_units: consumed.read_units,
            write_units: consumed.write_units,
        }
    }

    fn since(self, before: Self) -> Self {
        Self {
            requests: self.requests - before.requests,
            acknowledged: self.acknowledged - before.acknowledged,
            calls: self.calls - before.calls,
            read_units: self.read_units - before.read_units,
            write_units: self.write_units - before.write_units,
        }
    }
}

/// Something that is worth a line.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) at: Duration,
    pub(crate) what: String,
}

/// All of it up to now.
pub(crate) struct History {
    schedule: Schedule,
    watch: Stopwatch,
    first: u64,
    present: u64,
    before: Count,
    /// What the present period has consumed so far.
    pub(crate) running: Count,
    /// What the periods that are over consumed.
    pub(crate) periods: Vec<Count>,
    pub(crate) tables: Vec<Census>,
    pub(crate) events: Vec<Event>,
    pub(crate) made: usize,
    pub(crate) dropped: usize,
}

impl History {
    /// From now on.
    pub(crate) fn begin(world: &World, store: &DynamoDb, schedule: Schedule) -> Self {
        let present = schedule.generation(SystemClock.now()).number();
        Self {
            schedule,
            watch: Stopwatch::start(),
            first: present,
            present,
            before: Count::now(world, store),
            running: Count::default(),
            periods: Vec::new(),
            tables: Vec::new(),
            events: Vec::new(),
            made: 0,
            dropped: 0,
        }
    }

    /// How many boundaries between periods have been crossed.
    pub(crate) const fn boundaries(&self) -> u64 {
        self.present - self.first
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.watch.elapsed()
    }

    fn note(&mut self, what: String) {
        self.events.push(Event { at: self.watch.elapsed(), what });
    }

    /// Looks at tables and counts.
    pub(crate) async fn look(
        &mut self,
        world: &World,
        store: &DynamoDb,
        now: Timestamp,
    ) -> Result<(), Error> {
        let tables = store.census().await?;
        self.compare(&tables);
        self.tables = tables;
        let count = Count::now(world, store);
        self.running = count.since(self.before);
        let present = self.schedule.generation(now).number();
        if present > self.present {
            self.end_period(world, count, present);
        }
        Ok(())
    }

    fn end_period(&mut self, world: &World, count: Count, present: u64) {
        let Count { requests, acknowledged, calls, read_units, write_units } = self.running;
        let number = self.periods.len() + 1;
        let broken = &world.broken;
        let (lost, vanished) = (broken.lost.load(Ordering::Relaxed), broken.vanished.load(Ordering::Relaxed));
        self.note(format!(
            "period {number} is over: {requests} requests, {calls} calls, {read_units} read and {write_units} write \
             units, {acknowledged} writes acknowledged; lost {lost}, logged out unasked {vanished}"
        ));
        self.periods.push(self.running);
        self.before = count;
        self.running = Count::default();
        self.present = present;
    }

    fn compare(&mut self, tables: &[Census]) {
        let before = std::mem::take(&mut self.tables);
        for table in tables {
            let state = state(table);
            match before.iter().find(|known| known.table == table.table) {
                None => {
                    self.made += 1;
                    self.note(format!("{} is there, {}", table.table, state));
                }
                Some(known)
                    if known.known.map(|known| known.state) != table.known.map(|known| known.state) =>
                {
                    self.note(format!("{} is {state}", table.table));
                }
                Some(_) => {}
            }
        }
        for gone in before {
            if !tables.iter().any(|table| table.table == gone.table) {
                self.dropped += 1;
                self.note(format!(
                    "{} was dropped, and with it {} sessions that had been carried on, or had ended",
                    gone.table,
                    gone.carried_on + gone.ended
                ));
            }
        }
    }

    /// What the clock and the tables say of a table.
    pub(crate) fn part(&self, table: &Census, now: Timestamp) -> &'static str {
        let Some(known) = table.known else {
            return "";
        };
        let present = self.schedule.generation(now);
        if known.generation > present {
            "next"
        } else if known.generation == present {
            "present"
        } else {
            "read"
        }
    }
}

/// A table's state in words.
pub(crate) fn state(table: &Census) -> &'static str {
    match table.known.map(|known| known.state) {
        Some(TableState::Creating) => "creating",
        Some(TableState::Active) | None => "active",
        Some(TableState::Dropping) => "dropping",
    }
}
