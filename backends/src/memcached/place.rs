//! What lies under one key, as one operation sees it on one connection.

use std::sync::Arc;

use holdover_api::frame::{self, FrameError};
use holdover_api::{
    Error, ErrorKind, Loaded, Operation, Record, SessionKey, Standing, Stored, Timestamp, within,
};

use super::NAME;
use super::error::{Cause, Failure};
use super::expiry::exptime;
use super::link::Line;
use super::wire::{Command, Condition, Reply};

/// One key, and the connection that the operation on it keeps to.
pub(super) struct Place<'a> {
    pub(super) operation: Operation,
    pub(super) line: Line<'a>,
    pub(super) key: &'a SessionKey,
    /// The key as the server has it.
    pub(super) name: String,
    /// The largest frame that may be stored here.
    pub(super) max_bytes: usize,
}

/// What was read, and its compare token.
pub(super) struct Found {
    pub(super) stored: Stored,
    pub(super) cas: u64,
}

impl Place<'_> {
    /// Reads what is there, and remembers it.
    pub(super) async fn read(&self) -> Result<Option<Found>, Error> {
        let found = self.get().await?;
        if let Some(Found { stored, cas }) = &found {
            self.line.memo().note(self.key, stored.standing(), *cas, None);
        }
        Ok(found)
    }

    /// Reads the record that is there if it lives, and remembers it for as long as the caller holds it.
    pub(super) async fn load(&self, now: impl FnOnce() -> Timestamp) -> Result<Option<Loaded>, Error> {
        let Some(Found { stored, cas }) = self.get().await? else {
            return Ok(None);
        };
        // The time is asked after the answer: what expired on the way is not handed out (I4).
        let live = stored.into_live(now());
        Ok(live.map(|record| self.hand_out(record, cas)))
    }

    /// A record for the caller, which is remembered for as long as the caller holds it.
    pub(super) fn hand_out(&self, record: Record, cas: u64) -> Loaded {
        let record = Arc::new(record);
        self.line.memo().note(self.key, record.standing(), cas, Some(&record));
        Loaded { record, token: None }
    }

    async fn get(&self) -> Result<Option<Found>, Error> {
        let reply = self.line.ask(&Command::Get { key: &self.name }).await;
        match reply.map_err(|failure| self.failed(failure.of_a_read()))? {
            Reply::Value { value, cas } => {
                let stored = frame::decode(&value).map_err(|error| self.corrupt(error))?;
                Ok(Some(Found { stored, cas }))
            }
            Reply::Missing => {
                self.line.memo().forget(self.key);
                Ok(None)
            }
            _ => Err(self.failed(self.line.out_of_step().of_a_read())),
        }
    }

    /// The record that was read or handed out here lately, and its compare token, if anybody still holds it.
    pub(super) fn recall(&self) -> Option<Found> {
        let remembered = self.line.memo().recall(self.key)?;
        let record = Record::clone(remembered.record()?.as_ref());
        Some(Found { stored: Stored::Record(record), cas: remembered.cas })
    }

    /// The compare token of exactly this, if it was read or written here lately.
    pub(super) fn recall_token(&self, standing: Standing) -> Option<u64> {
        let remembered = self.line.memo().recall(self.key)?;
        (remembered.standing == standing).then_some(remembered.cas)
    }

    /// Puts a record in the place of what has this compare token, or of nothing; false if something else is there.
    pub(super) async fn put_record(
        &self,
        over: Option<u64>,
        record: &Record,
        now: Timestamp,
    ) -> Result<bool, Error> {
        if self.is_too_large(record) {
            return Err(self.too_large());
        }
        if !record.is_live(now) {
            return self.put_nothing(over).await;
        }
        self.put(over, &frame::encode_record(record), record.standing(), now).await
    }

    /// As [`put_record`](Self::put_record), for a record or a tombstone.
    pub(super) async fn put_stored(
        &self,
        over: Option<u64>,
        stored: &Stored,
        now: Timestamp,
    ) -> Result<bool, Error> {
        match stored {
            Stored::Record(record) => self.put_record(over, record, now).await,
            Stored::Tombstone(_) if stored.is_over(now) => self.put_nothing(over).await,
            Stored::Tombstone(_) => self.put(over, &frame::encode(stored), stored.standing(), now).await,
        }
    }

    async fn put(
        &self,
        over: Option<u64>,
        frame: &[u8],
        standing: Standing,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let on = over.map_or(Condition::Nothing, Condition::Exactly);
        let exptime = exptime(standing.deadline, now);
        let reply = self.line.ask(&Command::Set { key: &self.name, value: frame, exptime, on }).await;
        match reply.map_err(|failure| self.failed(failure))? {
            Reply::Done { cas } => {
                self.line.memo().note(self.key, standing, cas, None);
                Ok(true)
            }
            Reply::NotStored | Reply::Exists | Reply::NotFound => {
                self.line.memo().forget(self.key);
                Ok(false)
            }
            _ => Err(self.failed(self.line.out_of_step())),
        }
    }

    /// What has passed its deadline leaves nothing behind.
    async fn put_nothing(&self, over: Option<u64>) -> Result<bool, Error> {
        match over {
            Some(cas) => self.remove(Some(cas)).await,
            None => Ok(true),
        }
    }

    /// Removes what has this compare token, or whatever is there; false if nothing, or something else, was there.
    pub(super) async fn remove(&self, cas: Option<u64>) -> Result<bool, Error> {
        let reply = self.line.ask(&Command::Delete { key: &self.name, cas }).await;
        self.line.memo().forget(self.key);
        match reply.map_err(|failure| self.failed(failure))? {
            Reply::Done { .. } => Ok(true),
            Reply::Exists | Reply::NotFound => Ok(false),
            _ => Err(self.failed(self.line.out_of_step())),
        }
    }

    /// Runs work that is tried again as long as other writers are faster.
    pub(super) async fn insist<T>(&self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let done = within(self.line.patience(), work).await;
        done.unwrap_or_else(|| Err(self.failed(Failure::sent(Cause::Outrun))))
    }

    pub(super) fn is_too_large(&self, record: &Record) -> bool {
        frame::size(record) > self.limit()
    }

    /// The server must never be given more than it takes: it would drop what is there, and refuse.
    fn limit(&self) -> usize {
        self.max_bytes.min(self.line.largest_value())
    }

    fn too_large(&self) -> Error {
        let message = format!("the session would be larger than the limit of {} bytes", self.limit());
        Error::new(ErrorKind::TooLarge, self.operation, NAME, message).without_effect()
    }

    fn corrupt(&self, error: FrameError) -> Error {
        let message = error.to_string();
        Error::new(ErrorKind::Corrupt, self.operation, NAME, message).without_effect().caused_by(error)
    }

    fn failed(&self, failure: Failure) -> Error {
        failure.into_error(self.operation)
    }
}
