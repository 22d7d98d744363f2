//! The store: one table, one conditional write for each change.

use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use holdover_api::{
    Capabilities, CheapReads, Clock, Error, Expiry, Freshness, InstallAnswer, InstallVerdict, Loaded, On,
    Operation, Record, SESSION_KEY_LENGTH, SaveAnswer, SessionKey, SessionStore, Stamp, Standing, Stored,
    Survives, SystemClock, Timestamp, Verdict, Write, Writes, frame, judge, judge_install, judge_touch,
    within,
};

use super::NAME;
use super::config::{Config, ExpiryBy};
use super::consumed::{Consumed, Meter};
use super::error::{Cause, Failure};
use super::layout::{self, Item, LONGEST_NAME, STAMPS};
use super::statement::{Moves, Statement, added};
use super::table::{Answer, Table};
use crate::url::Parts;

/// DynamoDB removes "typically within a few days", and promises nothing.
const EXPIRY_LAG: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Sessions in DynamoDB. [`connect`](crate::connect) makes one, and so does [`DynamoDb::connect`].
pub struct DynamoDb {
    table: Table,
    clock: Arc<dyn Clock>,
    prefix: String,
    max_bytes: usize,
    expiry: ExpiryBy,
    survives: Survives,
    shared: bool,
    /// The longest that one operation may take.
    patience: Duration,
    meter: Arc<Meter>,
}

/// What was found under a key, and how large it is at most.
struct Found {
    stored: Stored,
    room: usize,
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
        super::open(&Parts::of(url)?, clock).await
    }

    pub(super) fn new(client: Client, clock: Arc<dyn Clock>, config: Config) -> Self {
        let meter = Arc::new(Meter::default());
        Self {
            table: Table::new(client, config.table, Arc::clone(&meter)),
            clock,
            prefix: config.prefix,
            max_bytes: config.max_bytes,
            expiry: config.expiry,
            survives: config.survives,
            shared: config.place != super::config::Place::Embedded,
            patience: config.connect_timeout + config.response_timeout * 2,
            meter,
        }
    }

    /// What this store's requests have consumed since it was opened.
    pub fn consumed(&self) -> Consumed {
        self.meter.total()
    }

    fn name(&self, key: &SessionKey) -> String {
        let mut name = String::with_capacity(self.prefix.len() + SESSION_KEY_LENGTH);
        name.push_str(&self.prefix);
        // Writing to a string cannot fail.
        let _ = write!(name, "{key}");
        name
    }

    /// Bounds an operation, which may be overtaken by other writers again and again.
    async fn insist<T>(
        &self,
        operation: Operation,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Error> {
        let done = within(self.patience, work).await;
        done.unwrap_or(Err(Failure::sent(Cause::Outrun))).map_err(|failure| failure.into_error(operation))
    }

    async fn read(&self, name: &str) -> Result<Option<Found>, Failure> {
        self.table.get(name, true).await?.map(found).transpose()
    }

    /// What is there after a refusal: the server says so along with it, or has to be asked.
    async fn after_refusal(&self, name: &str, item: Option<Item>) -> Result<Option<Found>, Failure> {
        match item {
            Some(item) => found(item).map(Some),
            None => self.read(name).await,
        }
    }

    fn is_too_large(&self, record: &Record) -> bool {
        frame::size(record) > self.max_bytes
            || record.attributes.keys().any(|name| name.len() >= LONGEST_NAME)
    }

    /// A write over what nobody has read. Nothing if it has to be read first.
    async fn save_unread(&self, name: &str, write: &Write) -> Result<Option<Attempt>, Failure> {
        let now = self.clock.now();
        if let On::Absent { created } = write.on {
            let record = Record::first(&write.delta, write.stamp, created, write.deadline.moment());
            if self.is_too_large(&record) {
                return Ok(None);
            }
            return self
                .put(name, &Stored::Record(record), Statement::over_nothing(now), now)
                .await
                .map(Some);
        }
        let standing = write.base.as_ref().map(|base| base.record.deadline);
        let moves = Moves::of(write.deadline, standing);
        match Statement::merge(write, moves, now, self.max_bytes) {
            Some(statement) => self.merge(name, write, statement).await.map(Some),
            None => Ok(None),
        }
    }

    async fn merge(&self, name: &str, write: &Write, statement: Statement) -> Result<Attempt, Failure> {
        // What a compare and set replaced is known without asking.
        let asks = !matches!(write.on, On::Head(_));
        match self.table.update(name, statement, asks).await? {
            Answer::Refused(item) => Ok(Attempt::Refused(item)),
            Answer::Done(replaced) => {
                let previous = match write.on {
                    On::Head(head) => Some(head),
                    On::Live | On::Absent { .. } => replaced.and_then(|replaced| head_of(&replaced)),
                };
                Ok(Attempt::Done(previous))
            }
        }
    }

    async fn put(
        &self,
        name: &str,
        new: &Stored,
        statement: Statement,
        now: Timestamp,
    ) -> Result<Attempt, Failure> {
        match self.table.put(layout::encode(name, new, now), statement).await? {
            Answer::Done(_) => Ok(Attempt::Done(None)),
            Answer::Refused(item) => Ok(Attempt::Refused(item)),
        }
    }

    /// Writes what the judge says over what was found, if that is still there.
    async fn apply(
        &self,
        name: &str,
        write: &Write,
        found: Option<&Found>,
        record: Record,
    ) -> Result<Attempt, Failure> {
        if self.is_too_large(&record) {
            return Err(Failure::unsent(Cause::TooLarge));
        }
        let now = self.clock.now();
        let Some(found) = found.filter(|found| !found.stored.is_over(now)) else {
            if !matches!(write.on, On::Absent { .. }) {
                // It ended between the judgement and now: read again.
                return Ok(Attempt::Refused(None));
            }
            return self.put(name, &Stored::Record(record), Statement::over_nothing(now), now).await;
        };
        let standing = found.stored.standing();
        if found.room + added(&write.delta) <= self.max_bytes || write.delta.clears() {
            let moves = Moves::of(write.deadline, Some(standing.deadline));
            if let Some(statement) = Statement::merge(write, moves, now, self.max_bytes) {
                return self.merge(name, write, statement).await;
            }
        }
        match self.put(name, &Stored::Record(record), Statement::over(standing, now), now).await? {
            Attempt::Done(_) => Ok(Attempt::Done(Some(standing.head))),
            refused @ Attempt::Refused(_) => Ok(refused),
        }
    }

    async fn save_at(&self, name: &str, write: &Write) -> Result<SaveAnswer, Failure> {
        let mut refused = match self.save_unread(name, write).await? {
            Some(Attempt::Done(previous)) => return Ok(SaveAnswer::Saved { previous }),
            Some(Attempt::Refused(item)) => item,
            None => None,
        };
        loop {
            let found = self.after_refusal(name, refused).await?;
            let now = self.clock.now();
            match judge(now, stored(found.as_ref()), write) {
                Verdict::Apply { record, previous } => {
                    match self.apply(name, write, found.as_ref(), record).await? {
                        Attempt::Done(replaced) => {
                            return Ok(SaveAnswer::Saved { previous: replaced.or(previous) });
                        }
                        Attempt::Refused(item) => refused = item,
                    }
                }
                Verdict::Repeated { previous } => return Ok(SaveAnswer::Saved { previous }),
                Verdict::Conflict => {
                    let current = found.and_then(|found| found.stored.into_live(now)).map(Loaded::from);
                    return Ok(SaveAnswer::Conflict { current });
                }
                Verdict::Gone => return Ok(SaveAnswer::Gone),
            }
        }
    }

    async fn touch_at(&self, name: &str, deadline: Timestamp) -> Result<bool, Failure> {
        loop {
            let now = self.clock.now();
            let answer = self.table.update(name, Statement::touch(deadline, now), false).await?;
            let Answer::Refused(item) = answer else {
                return Ok(true);
            };
            let found = self.after_refusal(name, item).await?;
            match (judge_touch(self.clock.now(), stored(found.as_ref()), deadline), found) {
                (None, _) => return Ok(false),
                (Some(lasts), Some(found)) if lasts == found.stored.deadline() => return Ok(true),
                // Something changed between the refusal and the reading.
                (Some(_), _) => {}
            }
        }
    }

    async fn install_at(
        &self,
        name: &str,
        over: Option<Standing>,
        new: &Stored,
    ) -> Result<InstallAnswer, Failure> {
        loop {
            let now = self.clock.now();
            let statement = match over {
                None => Statement::over_nothing(now),
                Some(over) => Statement::over(over, now),
            };
            let Attempt::Refused(item) = self.put(name, new, statement, now).await? else {
                return Ok(InstallAnswer::Installed);
            };
            let found = self.after_refusal(name, item).await?;
            let now = self.clock.now();
            match judge_install(now, stored(found.as_ref()), over, new) {
                InstallVerdict::Apply => {}
                InstallVerdict::Repeated => return Ok(InstallAnswer::Installed),
                InstallVerdict::Refused => {
                    let stored = found.map(|found| found.stored).filter(|stored| !stored.is_over(now));
                    return Ok(InstallAnswer::Refused { stored });
                }
            }
        }
    }

    async fn load_at(&self, name: &str, freshness: Freshness) -> Result<Option<Loaded>, Failure> {
        if let Freshness::AtLeast(stamp) = freshness
            && let Some(item) = self.table.get(name, false).await?
            && let Ok((stored, _)) = layout::decode(item)
            && stored.lineage().contains(stamp)
            && let Some(record) = stored.into_live(self.clock.now())
        {
            return Ok(Some(record.into()));
        }
        let found = self.read(name).await?;
        // The time is asked after the answer: what expired on the way is not handed out (I4).
        let now = self.clock.now();
        Ok(found.and_then(|found| found.stored.into_live(now)).map(Loaded::from))
    }
}

/// How an attempt to write ended.
enum Attempt {
    /// It is done; with the head that it replaced, as far as that is known.
    Done(Option<Stamp>),
    /// Something else is there than the attempt stood on; with what it is, as far as that is known.
    Refused(Option<Item>),
}

fn found(item: Item) -> Result<Found, Failure> {
    let (stored, room) =
        layout::decode(item).map_err(|unreadable| Failure::unsent(Cause::Unreadable(unreadable)))?;
    Ok(Found { stored, room })
}

fn stored(found: Option<&Found>) -> Option<&Stored> {
    Some(&found?.stored)
}

fn head_of(item: &Item) -> Option<Stamp> {
    let AttributeValue::B(stamp) = item.get(STAMPS[0])? else {
        return None;
    };
    Some(Stamp::from_bytes(stamp.as_ref().try_into().ok()?))
}

impl fmt::Display for DynamoDb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAME)
    }
}

impl fmt::Debug for DynamoDb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynamoDb")
            .field("table", &self.table)
            .field("prefix", &self.prefix)
            .field("max_bytes", &self.max_bytes)
            .field("expiry", &self.expiry)
            .field("survives", &self.survives)
            .finish_non_exhaustive()
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl SessionStore for DynamoDb {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            writes: Writes::ByAttribute,
            expiry: match self.expiry {
                ExpiryBy::TimeToLive => Expiry::Native { max_lag: EXPIRY_LAG },
                ExpiryBy::Nobody => Expiry::OnDemand,
            },
            cheap_reads: CheapReads::Eventual,
            survives: self.survives,
            shared: self.shared,
            max_bytes: self.max_bytes,
        }
    }

    async fn load(&self, key: &SessionKey, freshness: Freshness) -> Result<Option<Loaded>, Error> {
        let loaded = self.load_at(&self.name(key), freshness).await;
        loaded.map_err(|failure| failure.into_error(Operation::Load))
    }

    async fn save(&self, key: &SessionKey, write: &Write) -> Result<SaveAnswer, Error> {
        self.insist(Operation::Save, self.save_at(&self.name(key), write)).await
    }

    async fn touch(&self, key: &SessionKey, deadline: Timestamp) -> Result<bool, Error> {
        self.insist(Operation::Touch, self.touch_at(&self.name(key), deadline)).await
    }

    async fn delete(&self, key: &SessionKey) -> Result<(), Error> {
        // One copy, and no write creates what is not alive: absence is proof enough, no tombstone is needed.
        let deleted = self.table.delete(&self.name(key)).await;
        deleted.map_err(|failure| failure.into_error(Operation::Delete))
    }

    async fn inspect(&self, key: &SessionKey) -> Result<Option<Stored>, Error> {
        let found = self.read(&self.name(key)).await;
        found
            .map(|found| found.map(|found| found.stored))
            .map_err(|failure| failure.into_error(Operation::Inspect))
    }

    async fn install(
        &self,
        key: &SessionKey,
        over: Option<Standing>,
        new: &Stored,
    ) -> Result<InstallAnswer, Error> {
        if let Stored::Record(record) = new
            && self.is_too_large(record)
        {
            return Err(Failure::unsent(Cause::TooLarge).into_error(Operation::Install));
        }
        self.insist(Operation::Install, self.install_at(&self.name(key), over, new)).await
    }
}
