//! Tables that follow each other: the driver of the steps of `holdover-rotation`, one access to one table at a time.

use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use holdover_api::{
    Clock, Error, ErrorKind, Freshness, InstallAnswer, Loaded, Operation, OsEntropy, SaveAnswer, Stamp,
    Standing, Stored, Timestamp, Write, pause, within,
};
use holdover_rotation::carry::{Answer, Ask, Bearings, Carry, Outcome, Request, Sighting, Step};
use holdover_rotation::{ControlError, Generation, Keeper, LeaseTooLong, TableState, Tables};

use super::NAME;
use super::access::{Access, missing};
use super::consumed::Meter;
use super::error::{Cause, Failure};
use super::layout::Unreadable;
use super::table::Table;
use crate::parameters::misconfigured;

const LOOK_AGAIN_FIRST: Duration = Duration::from_millis(20);
const LOOK_AGAIN_AT_MOST: Duration = Duration::from_secs(2);

const NOT_READY: &str = "no table was ready in time; look at their state, at the clock of this machine, which must not be off \
                         the server's by more than max_skew, and at prepare_timeout";

/// The store's operations on the tables of a schedule.
#[derive(Debug)]
pub(super) struct Rotating {
    pub(super) client: Client,
    pub(super) meter: Arc<Meter>,
    pub(super) keeper: Arc<Keeper>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) max_bytes: usize,
}

impl Rotating {
    /// How much later than its deadline a session's room is taken back at the latest: with its table.
    pub(super) fn longest_lag(&self) -> Duration {
        let rules = self.keeper.schedule().rules();
        let kept = rules.period + rules.settle + rules.max_lease + rules.max_skew * 2 + rules.grace;
        // The keeper comes by twice in each `refresh`.
        kept + rules.refresh
    }

    /// Waits until there is a table to write to; has it created, if that is wanted.
    pub(super) async fn prepare(&self, create: bool, limit: Duration) -> Result<(), Error> {
        let done = within(limit, self.until_ready(create)).await;
        done.unwrap_or_else(|| Err(unavailable(Operation::Connect, NOT_READY)))
    }

    async fn until_ready(&self, create: bool) -> Result<(), Error> {
        let mut delay = LOOK_AGAIN_FIRST;
        loop {
            if create {
                let report = self.keeper.tick().await;
                if let Some(failure) = report.failures.into_iter().next() {
                    return Err(of_tables(failure.error, Operation::Connect));
                }
            } else {
                self.refresh(Operation::Connect).await?;
            }
            let tables = self.keeper.tables();
            let view = self.keeper.schedule().view(tables.as_of(), &tables);
            if view.is_ok_and(|view| view.write.is_some()) {
                return Ok(());
            }
            if !create && tables.is_empty() {
                return Err(misconfigured(
                    NAME,
                    "there are no tables; run a keeper first (create=true and keeper=on in a url)",
                ));
            }
            pause(delay).await;
            delay = (delay * 2).min(LOOK_AGAIN_AT_MOST);
        }
    }

    pub(super) fn table(&self, generation: Generation) -> Table {
        let name = self.keeper.names().name(generation);
        Table::new(self.client.clone(), name, Arc::clone(&self.meter))
    }

    /// Everything that an operation has to know of time and tables.
    async fn bearings(&self, operation: Operation) -> Result<Bearings, Error> {
        match self.bearings_by(self.clock.now(), &self.keeper.tables(), operation) {
            Some(known) => known,
            None => self.refreshed(operation).await,
        }
    }

    /// Nothing if what is known of the tables is too old.
    fn bearings_by(
        &self,
        now: Timestamp,
        tables: &Tables,
        operation: Operation,
    ) -> Option<Result<Bearings, Error>> {
        let only_reads = matches!(operation, Operation::Load | Operation::Inspect);
        let bearings = self.keeper.schedule().bearings(now, tables, only_reads).ok()?;
        let message = "no table is ready to be written to; is a keeper running, and may it create tables?";
        Some(bearings.ok_or_else(|| unavailable(operation, message)))
    }

    async fn refresh(&self, operation: Operation) -> Result<Arc<Tables>, Error> {
        self.keeper.refresh().await.map_err(|error| of_tables(error, operation))
    }

    /// Drives one operation to its end.
    async fn run(&self, key: &str, operation: Operation, request: Request) -> Result<Outcome, Error> {
        let bearings = self.bearings(operation).await?;
        let (mut carry, mut step) = Carry::begin(request, bearings);
        loop {
            let ask = match step {
                Step::Done(outcome) => return checked(outcome, operation, carry.wrote()),
                Step::Ask(ask) => ask,
            };
            let answer = match &ask {
                Ask::Refresh => self.refreshed(operation).await.map(Answer::Bearings),
                _ => self.access(key, carry.now(), &ask, operation).await,
            };
            step = match answer {
                Ok(answer) => carry.answered(answer),
                Err(error) if carry.wrote() => return Err(error.with_unknown_effect()),
                Err(error) => return Err(error),
            };
        }
    }

    async fn refreshed(&self, operation: Operation) -> Result<Bearings, Error> {
        let tables = self.refresh(operation).await?;
        let known = self.bearings_by(tables.as_of(), &tables, operation);
        known.unwrap_or_else(|| Err(unavailable(operation, "the tables changed while they were looked at")))
    }

    async fn access(
        &self,
        key: &str,
        now: Timestamp,
        ask: &Ask,
        operation: Operation,
    ) -> Result<Answer, Error> {
        let Some(generation) = ask.table() else {
            return Err(Failure::unsent(Cause::Unmade).into_error(operation));
        };
        let table = self.table(generation);
        let access = Access { table: &table, key, now, max_bytes: self.max_bytes };
        match access.perform(ask).await {
            Ok(answer) => Ok(answer),
            Err(failure) if failure.code() == Some("ResourceNotFoundException") => {
                let tables = self.refresh(operation).await?;
                let state = tables.get(generation).map(|table| table.state);
                Ok(missing(ask, state == Some(TableState::Creating)))
            }
            Err(failure) if failure.is_lost() => Ok(Answer::Lost),
            Err(failure) => Err(failure.into_error(operation)),
        }
    }

    fn check_lease(&self, deadline: Timestamp, operation: Operation) -> Result<(), Error> {
        let checked = self.keeper.schedule().check_lease(self.clock.now(), deadline);
        checked.map_err(|error: LeaseTooLong| {
            let message = format!("{error}; raise max_lease, or let sessions end sooner");
            Error::new(ErrorKind::Misconfigured, operation, NAME, message).without_effect().caused_by(error)
        })
    }

    pub(super) async fn load(&self, key: &str, freshness: Freshness) -> Result<Option<Loaded>, Error> {
        let at_least = match freshness {
            Freshness::AtLeast(stamp) => Some(stamp),
            Freshness::Latest | Freshness::Within(_) => None,
        };
        let outcome = self.run(key, Operation::Load, Request::Load { at_least }).await?;
        let Outcome::Found(found) = outcome else {
            return Err(mismatch(Operation::Load));
        };
        // The time is asked after the answer: what expired on the way is not handed out (I4).
        let now = self.clock.now();
        Ok(found.and_then(Sighting::into_loaded).filter(|loaded| loaded.record.is_live(now)))
    }

    pub(super) async fn save(&self, key: &str, write: &Write) -> Result<SaveAnswer, Error> {
        let operation = Operation::Save;
        self.check_lease(write.deadline.moment(), operation)?;
        match self.run(key, operation, Request::save(write)).await? {
            Outcome::Saved(previous) => Ok(SaveAnswer::Saved { previous }),
            Outcome::Conflict(found) => Ok(SaveAnswer::Conflict { current: found.into_loaded() }),
            Outcome::Gone => Ok(SaveAnswer::Gone),
            _ => Err(mismatch(operation)),
        }
    }

    pub(super) async fn touch(&self, key: &str, deadline: Timestamp) -> Result<bool, Error> {
        self.check_lease(deadline, Operation::Touch)?;
        match self.run(key, Operation::Touch, Request::Touch(deadline)).await? {
            Outcome::Touched(touched) => Ok(touched),
            _ => Err(mismatch(Operation::Touch)),
        }
    }

    pub(super) async fn delete(&self, key: &str) -> Result<(), Error> {
        let operation = Operation::Delete;
        let stamp = Stamp::draw(&OsEntropy).map_err(|error| {
            let message = "the system gives no random numbers";
            Error::new(ErrorKind::Unexpected, operation, NAME, message).without_effect().caused_by(error)
        })?;
        let until = self.clock.now() + self.keeper.schedule().rules().max_lease;
        match self.run(key, operation, Request::Delete { stamp, bury_absent: Some(until) }).await? {
            Outcome::Deleted => Ok(()),
            _ => Err(mismatch(operation)),
        }
    }

    pub(super) async fn inspect(&self, key: &str) -> Result<Option<Stored>, Error> {
        match self.run(key, Operation::Inspect, Request::Inspect).await? {
            Outcome::Found(found) => Ok(found.map(|found| Arc::unwrap_or_clone(found.stored))),
            _ => Err(mismatch(Operation::Inspect)),
        }
    }

    pub(super) async fn install(
        &self,
        key: &str,
        over: Option<Standing>,
        new: &Stored,
    ) -> Result<InstallAnswer, Error> {
        let operation = Operation::Install;
        self.check_lease(new.deadline(), operation)?;
        let request = Request::Install { over, new: Arc::new(new.clone()) };
        match self.run(key, operation, request).await? {
            Outcome::Installed => Ok(InstallAnswer::Installed),
            Outcome::Refused(found) => {
                let stored = found.map(|found| Arc::unwrap_or_clone(found.stored));
                Ok(InstallAnswer::Refused { stored })
            }
            _ => Err(mismatch(operation)),
        }
    }
}

/// What is no answer to anybody becomes an error.
fn checked(outcome: Outcome, operation: Operation, wrote: bool) -> Result<Outcome, Error> {
    let error = match outcome {
        Outcome::Corrupt => Failure::unsent(Cause::Unreadable(Unreadable::Malformed)).into_error(operation),
        Outcome::Unavailable => {
            unavailable(operation, "tables or other writers came between, again and again; try again")
        }
        Outcome::Unknown => {
            let message =
                "an answer was lost, and so much has happened since that nobody can tell what came of it";
            return Err(Error::new(ErrorKind::Unavailable, operation, NAME, message));
        }
        Outcome::Mismatch => mismatch(operation),
        answer => return Ok(answer),
    };
    Err(if wrote { error.with_unknown_effect() } else { error })
}

fn unavailable(operation: Operation, message: &'static str) -> Error {
    Error::new(ErrorKind::Unavailable, operation, NAME, message).without_effect()
}

fn mismatch(operation: Operation) -> Error {
    Error::new(ErrorKind::Unexpected, operation, NAME, "the steps of the operation do not fit together")
}

/// The tables could not be looked at.
pub(super) fn of_tables(error: ControlError, operation: Operation) -> Error {
    let mapped = Error::new(error.kind(), operation, NAME, error.message().to_owned()).without_effect();
    let mapped = match error.suggested_delay() {
        Some(delay) => mapped.retry_after(delay),
        None => mapped,
    };
    mapped.caused_by(error)
}
