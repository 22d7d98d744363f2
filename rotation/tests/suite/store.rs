//! A node's store over tables in memory: it drives the steps of `carry` as a real one does, with or without a flaw.

use std::fmt;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use holdover_api::{
    Capabilities, CheapReads, Clock, Error, ErrorKind, Expiry, Freshness, InstallAnswer, Loaded, Operation,
    SaveAnswer, SessionKey, SessionStore, Stamp, Standing, Stored, Survives, Timestamp, Write, Writes,
};
use holdover_conformance::rotation::{Tend, Ticked};
use holdover_rotation::carry::{Answer, Ask, Bearings, Carry, Outcome, Request, Sighting, Step};
use holdover_rotation::{Generation, Keeper, Schedule, Tables};

use crate::flaws::Flaw;
use crate::world::{Refusal, Server};

pub(crate) struct Store {
    pub(crate) server: Arc<Server>,
    pub(crate) schedule: Schedule,
    pub(crate) keeper: Arc<Keeper>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) flaw: Flaw,
    /// The present generation as it was at the last tick, for the flaw that remembers.
    pub(crate) remembered: Mutex<Option<Generation>>,
}

fn unavailable(operation: Operation, message: &'static str) -> Error {
    Error::new(ErrorKind::Unavailable, operation, "tables", message).without_effect()
}

impl Store {
    fn bearings_by(
        &self,
        now: Timestamp,
        tables: &Tables,
        operation: Operation,
    ) -> Option<Result<Bearings, Error>> {
        let only_reads = matches!(operation, Operation::Load | Operation::Inspect);
        let bearings = self.schedule.bearings(now, tables, only_reads).ok()?;
        let present = self.schedule.generation(now);
        Some(match bearings {
            Some(bearings) => Ok(self.flaw.bearings(bearings, present)),
            None => Err(unavailable(operation, "no table is ready to be written to")),
        })
    }

    async fn bearings(&self, operation: Operation) -> Result<Bearings, Error> {
        if let Some(known) = self.bearings_by(self.clock.now(), &self.keeper.tables(), operation) {
            return known;
        }
        self.refreshed(operation).await
    }

    async fn refreshed(&self, operation: Operation) -> Result<Bearings, Error> {
        let tables = self.keeper.refresh().await;
        let tables = tables.map_err(|_| unavailable(operation, "the tables cannot be looked at"))?;
        let known = self.bearings_by(tables.as_of(), &tables, operation);
        known.unwrap_or_else(|| Err(unavailable(operation, "the tables changed while they were looked at")))
    }

    async fn run(&self, key: &SessionKey, operation: Operation, request: Request) -> Result<Outcome, Error> {
        let (mut carry, mut step) = Carry::begin(request, self.bearings(operation).await?);
        loop {
            let ask = match step {
                Step::Done(
                    Outcome::Unavailable | Outcome::Unknown | Outcome::Mismatch | Outcome::Corrupt,
                ) => {
                    return Err(unavailable(operation, "it came to no end").with_unknown_effect());
                }
                Step::Done(outcome) => return Ok(outcome),
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

    async fn access(
        &self,
        key: &SessionKey,
        now: Timestamp,
        ask: &Ask,
        operation: Operation,
    ) -> Result<Answer, Error> {
        let names = self.keeper.names();
        self.server.arrive(names, ask).await;
        if let Some(answer) = self.flawed_access(key, now, ask) {
            return Ok(answer);
        }
        match self.server.access(names, key, now, ask) {
            Ok(answer) => Ok(self.flaw.answer(ask, answer)),
            Err(Refusal::Refused) => Err(unavailable(operation, "the server is told to refuse this")),
            Err(Refusal::NoTable) => {
                let _ = self.keeper.refresh().await;
                Ok(self.flaw.answer(ask, Answer::NoTable))
            }
        }
    }

    fn check_lease(&self, deadline: Timestamp, operation: Operation) -> Result<(), Error> {
        if self.flaw == Flaw::AnyLease {
            return Ok(());
        }
        self.schedule.check_lease(self.clock.now(), deadline).map_err(|error| {
            Error::new(ErrorKind::Misconfigured, operation, "tables", error.to_string()).without_effect()
        })
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({:?})", self.flaw)
    }
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tables")
    }
}

fn mismatch(operation: Operation) -> Error {
    unavailable(operation, "the outcome is that of another operation")
}

#[async_trait]
impl SessionStore for Store {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            writes: Writes::ByAttribute,
            expiry: Expiry::Native { max_lag: self.schedule.rules().period * 3 },
            cheap_reads: CheapReads::None,
            survives: Survives::Nothing,
            shared: true,
            max_bytes: usize::MAX,
        }
    }

    async fn load(&self, key: &SessionKey, _: Freshness) -> Result<Option<Loaded>, Error> {
        match self.run(key, Operation::Load, Request::Load { at_least: None }).await? {
            Outcome::Found(found) => {
                let now = self.clock.now();
                Ok(found.and_then(Sighting::into_loaded).filter(|loaded| loaded.record.is_live(now)))
            }
            _ => Err(mismatch(Operation::Load)),
        }
    }

    async fn save(&self, key: &SessionKey, write: &Write) -> Result<SaveAnswer, Error> {
        self.check_lease(write.deadline.moment(), Operation::Save)?;
        match self.run(key, Operation::Save, Request::save(write)).await? {
            Outcome::Saved(previous) => Ok(SaveAnswer::Saved { previous }),
            Outcome::Conflict(found) => Ok(SaveAnswer::Conflict { current: found.into_loaded() }),
            Outcome::Gone => Ok(SaveAnswer::Gone),
            _ => Err(mismatch(Operation::Save)),
        }
    }

    async fn touch(&self, key: &SessionKey, deadline: Timestamp) -> Result<bool, Error> {
        self.check_lease(deadline, Operation::Touch)?;
        match self.run(key, Operation::Touch, Request::Touch(deadline)).await? {
            Outcome::Touched(touched) => Ok(touched),
            _ => Err(mismatch(Operation::Touch)),
        }
    }

    async fn delete(&self, key: &SessionKey) -> Result<(), Error> {
        let stamp = Stamp::from_bytes([0xDE; 16]);
        let until = self.clock.now() + self.schedule.rules().max_lease;
        match self.run(key, Operation::Delete, Request::Delete { stamp, bury_absent: Some(until) }).await? {
            Outcome::Deleted => Ok(()),
            _ => Err(mismatch(Operation::Delete)),
        }
    }

    async fn inspect(&self, key: &SessionKey) -> Result<Option<Stored>, Error> {
        match self.run(key, Operation::Inspect, Request::Inspect).await? {
            Outcome::Found(found) => Ok(found.map(|found| Arc::unwrap_or_clone(found.stored))),
            _ => Err(mismatch(Operation::Inspect)),
        }
    }

    async fn install(
        &self,
        key: &SessionKey,
        over: Option<Standing>,
        new: &Stored,
    ) -> Result<InstallAnswer, Error> {
        let request = Request::Install { over, new: Arc::new(new.clone()) };
        match self.run(key, Operation::Install, request).await? {
            Outcome::Installed => Ok(InstallAnswer::Installed),
            Outcome::Refused(found) => {
                Ok(InstallAnswer::Refused { stored: found.map(|found| Arc::unwrap_or_clone(found.stored)) })
            }
            _ => Err(mismatch(Operation::Install)),
        }
    }
}

/// What the suite sees of a tick.
pub(crate) async fn ticked(keeper: &Keeper) -> Ticked {
    let report = keeper.tick().await;
    Ticked {
        created: report.created.is_some(),
        dropped: report.dropped.len(),
        held: report.held.map(|held| held.name().to_owned()),
        failures: report
            .failures
            .iter()
            .map(|failure| format!("{}: {}", failure.attempt.name(), failure.error))
            .collect(),
    }
}

#[async_trait]
impl Tend for Store {
    async fn tick(&self) -> Ticked {
        let ticked = ticked(&self.keeper).await;
        self.flawed_tick();
        ticked
    }
}
