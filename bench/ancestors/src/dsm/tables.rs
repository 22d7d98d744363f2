//! Which tables a node of the stand-in uses: those that it remembers. Every other one of its own it drops.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use holdover_api::{Clock, Timestamp};
use tokio::sync::Mutex as Gate;

use super::rows::Rows;
use crate::job::Failure;

const BASE: &str = "tomcat-sessions_";
/// A node that starts looks back over so many periods for a table that it can use.
const LOOKS_BACK: u32 = 10;
/// The row that shows that a table can be written to. It stays.
const TRIAL: &str = "test_id";

/// The times of a node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) period: Duration,
    /// How long before its period a table is created.
    pub(crate) headroom: Duration,
    /// For how long a table is waited for.
    pub(crate) limit: Duration,
    /// Between two looks whether a table is active, and between two trials whether it can be written to.
    pub(crate) look: Duration,
    pub(crate) trial: Duration,
    /// Between two looks at the clock: the container's background thread.
    pub(crate) tick: Duration,
}

impl Times {
    /// Those of the original.
    pub(crate) const fn original(period: Duration) -> Self {
        Self {
            period,
            headroom: Duration::from_secs(60),
            limit: Duration::from_secs(120),
            look: Duration::from_secs(1),
            trial: Duration::from_millis(100),
            tick: Duration::from_secs(1),
        }
    }

    /// All of them so many times shorter.
    pub(crate) fn shorter(self, by: u32) -> Self {
        let Self { period, headroom, limit, look, trial, tick } = self;
        let [period, headroom, limit, look, trial, tick] =
            [period, headroom, limit, look, trial, tick].map(|time| time / by);
        Self { period, headroom, limit, look, trial, tick }
    }
}

/// The two tables that a node knows. After a start it knows one.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) current: String,
    pub(super) previous: Option<String>,
}

#[derive(Debug)]
pub(super) struct Tables {
    rows: Rows,
    clock: Arc<dyn Clock>,
    times: Times,
    known: Mutex<Known>,
    /// One thread at a time; others do not wait.
    looking: Gate<()>,
}

impl Tables {
    pub(super) async fn start(rows: Rows, clock: Arc<dyn Clock>, times: Times) -> Result<Self, Failure> {
        let now = clock.now();
        let present = Known { current: times.table(now), previous: None };
        let tables = Self { rows, clock, times, known: Mutex::new(present), looking: Gate::default() };
        let mut found = times.table(now);
        for back in 0..LOOKS_BACK {
            let table = times.table(now - times.period * back);
            if tables.rows.is_active(&table).await {
                found = table;
                break;
            }
        }
        tables.ensure(&found).await?;
        tables.set(Known { current: found, previous: None });
        Ok(tables)
    }

    pub(super) fn known(&self) -> Known {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, known: Known) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = known;
    }

    /// What the background thread does, or a request that has met a table that is gone. What fails went to a log.
    pub(super) async fn process(&self) {
        if let Ok(_looking) = self.looking.try_lock() {
            let _ = self.look(self.clock.now()).await;
        }
    }

    async fn look(&self, now: Timestamp) -> Result<(), Failure> {
        let next = now + self.times.period;
        let until_next = self.times.begins(next).since(now);
        if until_next < self.times.headroom && !self.rows.list().await?.contains(&self.times.table(next)) {
            // That another node was faster is an error that nobody expects.
            self.rows.create(&self.times.table(next)).await?;
        }
        let (target, Known { current, .. }) = (self.times.table(now), self.known());
        if target == current {
            return Ok(());
        }
        let there = self.rows.list().await?;
        self.ensure(&target).await?;
        self.set(Known { current: target.clone(), previous: Some(current.clone()) });
        let kept = [current, target, self.times.table(next)];
        for table in there {
            let is_own = table.starts_with(BASE) && table.len() == kept[0].len();
            if is_own && !kept.contains(&table) {
                self.rows.drop_table(&table).await;
            }
        }
        Ok(())
    }

    /// Creates a table unless it is in the list, and waits for it. Having waited in vain is no failure.
    async fn ensure(&self, table: &str) -> Result<(), Failure> {
        if !self.rows.list().await?.iter().any(|there| there == table) {
            self.rows.create(table).await?;
        }
        let begun = Instant::now();
        while !self.rows.is_active(table).await {
            if begun.elapsed() > self.times.limit {
                return Ok(());
            }
            tokio::time::sleep(self.times.look).await;
        }
        while !self.is_writable(table).await {
            if begun.elapsed() > self.times.limit {
                return Ok(());
            }
            tokio::time::sleep(self.times.trial).await;
        }
        Ok(())
    }

    async fn is_writable(&self, table: &str) -> bool {
        let used = self.clock.now().as_millis();
        let _ = self.rows.put(table, TRIAL, b"test".to_vec(), used).await;
        matches!(self.rows.get(table, TRIAL).await, Ok(Some(row)) if row.data.is_some())
    }
}

impl Times {
    fn begins(self, at: Timestamp) -> Timestamp {
        let period = u64::try_from(self.period.as_millis()).unwrap_or(u64::MAX).max(1);
        Timestamp::from_millis(at.as_millis() / period * period)
    }

    /// The name of the table of a moment.
    fn table(self, at: Timestamp) -> String {
        format!("{BASE}{:015}", self.begins(at).as_millis())
    }
}
