//! The store: on one table, or on tables that follow each other.

use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use holdover_api::{
    Capabilities, CheapReads, Clock, Error, Expiry, Freshness, InstallAnswer, Loaded, Operation,
    SESSION_KEY_LENGTH, SaveAnswer, SessionKey, SessionStore, Standing, Stored, Survives, SystemClock,
    Timestamp, Write, Writes, within,
};
use holdover_rotation::{Keeper, Report, Schedule};
use tokio::task::AbortHandle;

use super::NAME;
use super::consumed::{Consumed, Meter};
use super::error::{Cause, Failure};
use super::one::{OneTable, is_too_large};
use super::rotating::Rotating;
use crate::url::Parts;

/// DynamoDB removes "typically within a few days", and promises nothing.
const EXPIRY_LAG: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Sessions in DynamoDB. [`connect`](crate::connect) makes one, and so does [`DynamoDb::connect`].
#[derive(Debug)]
pub struct DynamoDb {
    pub(super) home: Home,
    pub(super) settings: Settings,
    pub(super) meter: Arc<Meter>,
    /// The keeper's task, if the URL asked for one: it ends with the store.
    pub(super) _keeping: Option<Keeping>,
}

/// Where the sessions are.
#[derive(Debug)]
pub(super) enum Home {
    One { table: OneTable, expires: bool },
    InTurn(Rotating),
}

/// What is the same wherever they are.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) prefix: String,
    pub(super) max_bytes: usize,
    pub(super) survives: Survives,
    pub(super) shared: bool,
    /// The longest that one operation may take.
    pub(super) patience: Duration,
}

/// A task that ends with this value.
#[derive(Debug)]
pub(super) struct Keeping(pub(super) AbortHandle);

impl Drop for Keeping {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl DynamoDb {
    /// Opens the store that a URL names, as [`connect`](crate::connect) does, for those who want to watch it.
    ///
    /// # Errors
    ///
    /// As [`connect`](crate::connect).
    ///
    /// ```no_run
    /// use holdover_backends::dynamodb::DynamoDb;
    ///
    /// # async fn example() -> Result<(), holdover_api::Error> {
    /// let store = DynamoDb::connect("dynamodb://eu-central-1/sessions?expiry=ttl").await?;
    /// println!("write units so far: {}", store.consumed().write_units);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect(url: &str) -> Result<Arc<Self>, Error> {
        Self::connect_with_clock(url, Arc::new(SystemClock)).await
    }

    /// As [`DynamoDb::connect`], with another clock: it decides what has expired.
    ///
    /// # Errors
    ///
    /// As [`connect`](crate::connect).
    pub async fn connect_with_clock(url: &str, clock: Arc<dyn Clock>) -> Result<Arc<Self>, Error> {
        super::open(&Parts::of(url)?, clock, None).await
    }

    /// As [`DynamoDb::connect_with_clock`], on tables that follow each other by this schedule instead of the URL's: for
    /// exams, and for rules that a URL does not name.
    ///
    /// # Errors
    ///
    /// As [`connect`](crate::connect).
    pub async fn connect_by(
        url: &str,
        clock: Arc<dyn Clock>,
        schedule: Schedule,
    ) -> Result<Arc<Self>, Error> {
        super::open(&Parts::of(url)?, clock, Some(schedule)).await
    }

    /// What this store's requests for sessions have consumed since it was opened.
    pub fn consumed(&self) -> Consumed {
        self.meter.total()
    }

    /// The keeper of the tables, if they follow each other. One has to run, on at least one node: by the URL's
    /// `keeper=on`, or by this.
    ///
    /// ```no_run
    /// use holdover_backends::dynamodb::DynamoDb;
    ///
    /// # async fn example() -> Result<(), holdover_api::Error> {
    /// let url = "dynamodb://eu-central-1/sessions?expiry=rotation&period=1h&create=true";
    /// let store = DynamoDb::connect(url).await?;
    /// if let Some(keeper) = store.keeper() {
    ///     tokio::spawn(async move { keeper.run(std::future::pending(), |report| println!("{report:?}")).await });
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn keeper(&self) -> Option<Arc<Keeper>> {
        match &self.home {
            Home::One { .. } => None,
            Home::InTurn(rotating) => Some(Arc::clone(&rotating.keeper)),
        }
    }

    fn name(&self, key: &SessionKey) -> String {
        let prefix = &self.settings.prefix;
        let mut name = String::with_capacity(prefix.len() + SESSION_KEY_LENGTH);
        name.push_str(prefix);
        // Writing to a string cannot fail.
        let _ = write!(name, "{key}");
        name
    }

    /// Bounds an operation, which may be overtaken by other writers again and again.
    async fn insist<T>(
        &self,
        operation: Operation,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let done = within(self.settings.patience, work).await;
        done.unwrap_or_else(|| Err(Failure::sent(Cause::Outrun).into_error(operation)))
    }
}

/// The failure as a caller of `operation` sees it.
async fn told<T>(operation: Operation, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Error> {
    work.await.map_err(|failure| failure.into_error(operation))
}

/// Runs the keeper for as long as the store lives.
pub(super) fn keep(keeper: Arc<Keeper>) -> Keeping {
    let task = tokio::spawn(async move { keeper.run(std::future::pending(), |_: &Report| {}).await });
    Keeping(task.abort_handle())
}

impl fmt::Display for DynamoDb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAME)
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl SessionStore for DynamoDb {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            writes: Writes::ByAttribute,
            expiry: match &self.home {
                Home::One { expires: true, .. } => Expiry::Native { max_lag: EXPIRY_LAG },
                Home::One { expires: false, .. } => Expiry::OnDemand,
                Home::InTurn(rotating) => Expiry::Native { max_lag: rotating.longest_lag() },
            },
            cheap_reads: CheapReads::Eventual,
            survives: self.settings.survives,
            shared: self.settings.shared,
            max_bytes: self.settings.max_bytes,
        }
    }

    async fn load(&self, key: &SessionKey, freshness: Freshness) -> Result<Option<Loaded>, Error> {
        let name = self.name(key);
        match &self.home {
            Home::One { table, .. } => told(Operation::Load, table.load_at(&name, freshness)).await,
            Home::InTurn(tables) => self.insist(Operation::Load, tables.load(&name, freshness)).await,
        }
    }

    async fn save(&self, key: &SessionKey, write: &Write) -> Result<SaveAnswer, Error> {
        let (name, operation) = (self.name(key), Operation::Save);
        match &self.home {
            Home::One { table, .. } => {
                self.insist(operation, told(operation, table.save_at(&name, write))).await
            }
            Home::InTurn(tables) => self.insist(operation, tables.save(&name, write)).await,
        }
    }

    async fn touch(&self, key: &SessionKey, deadline: Timestamp) -> Result<bool, Error> {
        let (name, operation) = (self.name(key), Operation::Touch);
        match &self.home {
            Home::One { table, .. } => {
                self.insist(operation, told(operation, table.touch_at(&name, deadline))).await
            }
            Home::InTurn(tables) => self.insist(operation, tables.touch(&name, deadline)).await,
        }
    }

    async fn delete(&self, key: &SessionKey) -> Result<(), Error> {
        let (name, operation) = (self.name(key), Operation::Delete);
        match &self.home {
            // One copy, and no write creates what is not alive: absence is proof enough, no tombstone is needed.
            Home::One { table, .. } => told(operation, table.table.delete(&name)).await,
            Home::InTurn(tables) => self.insist(operation, tables.delete(&name)).await,
        }
    }

    async fn inspect(&self, key: &SessionKey) -> Result<Option<Stored>, Error> {
        let (name, operation) = (self.name(key), Operation::Inspect);
        match &self.home {
            Home::One { table, .. } => told(operation, table.inspect_at(&name)).await,
            Home::InTurn(tables) => self.insist(operation, tables.inspect(&name)).await,
        }
    }

    async fn install(
        &self,
        key: &SessionKey,
        over: Option<Standing>,
        new: &Stored,
    ) -> Result<InstallAnswer, Error> {
        let (name, operation) = (self.name(key), Operation::Install);
        if let Stored::Record(record) = new
            && is_too_large(record, self.settings.max_bytes)
        {
            return Err(Failure::unsent(Cause::TooLarge).into_error(operation));
        }
        match &self.home {
            Home::One { table, .. } => {
                self.insist(operation, told(operation, table.install_at(&name, over, new))).await
            }
            Home::InTurn(tables) => self.insist(operation, tables.install(&name, over, new)).await,
        }
    }
}
