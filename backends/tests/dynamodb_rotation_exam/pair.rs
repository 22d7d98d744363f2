//! A handle that is two nodes, one of which still writes to the old table.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use holdover_api::{
    Capabilities, Clock, Error, Freshness, InstallAnswer, Loaded, SaveAnswer, SessionKey, SessionStore,
    Standing, Stored, Timestamp, Write,
};
use holdover_backends::dynamodb::DynamoDb;
use holdover_rotation::{Rules, Schedule};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The period: no clock of the exam crosses a boundary by itself, unless a case moves it so far.
const PERIOD: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Each call is several requests, and one of them alone may wait for a busy machine.
pub(crate) const PATIENCE: &str = "&connect_timeout=2s&response_timeout=4s";

/// Tables are kept for leases of eight periods: no more than ten are read in search of a session.
pub(crate) const LONGEST_LEASE: Duration = Duration::from_secs(8 * 30 * 24 * 60 * 60);

/// A schedule for leases as long as any of the exam, whose nodes take up a new table when they have known of it for so
/// long.
fn schedule(refresh: Duration) -> Schedule {
    let rules = Rules {
        max_skew: Duration::ZERO,
        refresh,
        lead: PERIOD,
        // The same on all nodes: so long the old table may still be written to.
        settle: 11 * DAY,
        ..Rules::new(PERIOD, LONGEST_LEASE)
    };
    Schedule::new(rules).expect("the rules agree")
}

/// Of a node that writes to the newer table as soon as it is there.
pub(crate) fn early() -> Schedule {
    schedule(Duration::from_millis(1))
}

/// Two nodes behind one handle: every call goes to one of them.
pub(crate) struct Pair {
    /// Has not begun to write to the newer table.
    late: Arc<DynamoDb>,
    early: Arc<DynamoDb>,
    calls: AtomicU64,
}

impl Pair {
    pub(crate) async fn open(url: &str, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let late = DynamoDb::connect_by(url, Arc::clone(&clock), schedule(10 * DAY)).await?;
        let early = DynamoDb::connect_by(url, clock, early()).await?;
        Ok(Self { late, early, calls: AtomicU64::new(0) })
    }

    /// Not in turn: a case that repeats a pattern would always meet the same node.
    fn node(&self) -> &DynamoDb {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        let mixed = (call + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 61;
        if mixed.is_multiple_of(2) { &self.late } else { &self.early }
    }
}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pair").finish_non_exhaustive()
    }
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.early.fmt(f)
    }
}

#[async_trait]
impl SessionStore for Pair {
    fn capabilities(&self) -> Capabilities {
        self.early.capabilities()
    }

    async fn load(&self, key: &SessionKey, freshness: Freshness) -> Result<Option<Loaded>, Error> {
        self.node().load(key, freshness).await
    }

    async fn save(&self, key: &SessionKey, write: &Write) -> Result<SaveAnswer, Error> {
        self.node().save(key, write).await
    }

    async fn touch(&self, key: &SessionKey, deadline: Timestamp) -> Result<bool, Error> {
        self.node().touch(key, deadline).await
    }

    async fn delete(&self, key: &SessionKey) -> Result<(), Error> {
        self.node().delete(key).await
    }

    async fn inspect(&self, key: &SessionKey) -> Result<Option<Stored>, Error> {
        self.node().inspect(key).await
    }

    async fn install(
        &self,
        key: &SessionKey,
        over: Option<Standing>,
        new: &Stored,
    ) -> Result<InstallAnswer, Error> {
        self.node().install(key, over, new).await
    }
}
