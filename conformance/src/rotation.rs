//! What the suite needs to know of a store whose sessions are in tables that follow each other.

mod gates;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use holdover_api::{Clock, Error, ManualClock, SessionStore, Timestamp};

pub use gates::{Gate, Gates};

/// The durations that the tables follow in an exam.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// How long each table is written to.
    pub period: Duration,
    /// The longest lease.
    pub max_lease: Duration,
    /// The most by which a node's clock may be off the server's.
    pub max_skew: Duration,
    /// How old a node's knowledge of the tables may be.
    pub refresh: Duration,
    /// How long before its period a table is asked for.
    pub lead: Duration,
    /// How long after a table was asked for the one before may still be written to.
    pub settle: Duration,
    /// The longest life of one operation.
    pub grace: Duration,
}

/// Makes the worlds in which the cases on rotation take place.
#[async_trait]
pub trait Rotation: Send + Sync + 'static {
    /// The durations that the tables of every world follow.
    fn terms(&self) -> Terms;

    /// A server without tables, whose clock shows `now` and moves by hand.
    async fn world(&self, now: Timestamp) -> Result<Arc<dyn World>, String>;
}

/// A server of one case, and the tables on it.
#[async_trait]
pub trait World: Send + Sync + 'static {
    /// The server's clock.
    fn clock(&self) -> Arc<ManualClock>;

    /// An application node with this clock. The keeper of its tables does nothing until it is told to; where there are no
    /// tables yet, the first is made.
    async fn node(&self, clock: Arc<dyn Clock>) -> Result<Kept, Error>;

    /// What a table of this store is called that begins at that moment.
    fn name(&self, begins: Timestamp) -> String;

    /// What the tables of this store are called begins with that.
    fn base(&self) -> String;

    /// The names of all tables.
    async fn tables(&self) -> Result<Vec<String>, String>;

    /// Creates a table that is not the store's, or that the store does not expect.
    async fn create_by_hand(&self, name: &str) -> Result<(), String>;

    /// Drops a table, whatever the store thinks of it.
    async fn drop_by_hand(&self, name: &str) -> Result<(), String>;

    /// Refuses so many of the next requests of a kind.
    fn refuse(&self, call: Call, times: usize);

    /// Ends all refusals.
    fn heal(&self);

    /// How often the server has been asked.
    fn asked(&self, call: Call) -> usize;

    /// The gates that every request of a node comes by. Without them the cases on the inside of an operation are vacuous.
    fn gates(&self) -> Option<Arc<Gates>> {
        None
    }

    /// From now on tables are ready so long after they were asked for, by the server's clock. Whether the server can be
    /// made to.
    fn tables_take(&self, _length: Duration) -> bool {
        false
    }
}

/// What a server is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Call {
    /// For what is in a table.
    Read,
    /// To put a whole session into a table.
    Put,
    /// To change a session in a table.
    Change,
    /// To list tables.
    List,
    /// To create a table.
    Create,
    /// To drop a table.
    Drop,
}

/// The server's clock, and so much before or after it.
pub(crate) struct NodeClock {
    server: Arc<ManualClock>,
    ahead: AtomicI64,
}

impl NodeClock {
    /// So many milliseconds ahead of the server's, or behind.
    pub(crate) fn new(server: Arc<ManualClock>, ahead: i64) -> Self {
        Self { server, ahead: AtomicI64::new(ahead) }
    }

    /// From now on it is so many milliseconds ahead.
    pub(crate) fn be_ahead(&self, millis: i64) {
        self.ahead.store(millis, Ordering::SeqCst);
    }
}

impl fmt::Debug for NodeClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeClock({} ms ahead)", self.ahead.load(Ordering::SeqCst))
    }
}

impl Clock for NodeClock {
    fn now(&self) -> Timestamp {
        let ahead = self.ahead.load(Ordering::SeqCst);
        let by = Duration::from_millis(ahead.unsigned_abs());
        if ahead < 0 { self.server.now() - by } else { self.server.now() + by }
    }
}

/// A node, and the keeper of its tables.
pub struct Kept {
    /// The store.
    pub store: Arc<dyn SessionStore>,
    /// Its keeper.
    pub keeper: Arc<dyn Tend>,
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kept({})", self.store)
    }
}

/// A keeper of tables, in the hands of the suite.
#[async_trait]
pub trait Tend: Send + Sync + 'static {
    /// Looks at the tables and does what is to be done about them.
    async fn tick(&self) -> Ticked;
}

/// What a tick came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ticked {
    /// Whether it asked for a table, or would have if another node had not.
    pub created: bool,
    /// How many tables it asked to be dropped.
    pub dropped: usize,
    /// Why tables were left alone, if they were.
    pub held: Option<String>,
    /// What failed.
    pub failures: Vec<String>,
}
