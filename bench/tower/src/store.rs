//! A Holdover store over any store of tower-sessions. This file is compiled for each version of their core that is examined:
//! `super::core` is the one.
//!
//! It does what an application does with such a store: it loads the session, changes it, and saves it as a whole; it creates
//! what is not there, and deletes. It neither looks twice nor locks, and leaves no mark where it has deleted, since no
//! application does. What a write means is decided by [`judge`] between the load and the save.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use data_encoding::BASE64;
use holdover_api::{
    Capabilities, CheapReads, Clock, Error, ErrorKind, Expiry, Freshness, InstallAnswer, InstallVerdict,
    Loaded, Operation, SaveAnswer, SessionKey, SessionStore, Standing, Stored, Survives, Timestamp, Verdict,
    Write, Writes, frame, judge, judge_install, judge_touch,
};
use serde_json::Value;
use time::OffsetDateTime;

use super::core::SessionStore as TheirStore;
use super::core::session::{Id, Record};
use super::core::session_store::Error as TheirError;

/// Under this name the record's map of data holds the session, as one value.
const FRAME: &str = "frame";
/// And under this one the place, so that what is at a place can be counted below the store.
const PLACE: &str = "place";

/// A store of tower-sessions as one of Holdover's.
pub(crate) struct Wrapped<S> {
    pub(crate) name: &'static str,
    pub(crate) store: S,
    /// Their stores know no prefixes: a place is mixed into the ids.
    pub(crate) place: String,
    /// A case moves this clock. Theirs is the system's: what their store has not removed yet is over all the same.
    pub(crate) clock: Arc<dyn Clock>,
    /// Whether it has a server.
    pub(crate) shared: bool,
}

impl<S> fmt::Display for Wrapped<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl<S> fmt::Debug for Wrapped<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wrapped({})", self.name)
    }
}

/// The id of a session at a place: both as one number of 128 bits (FNV-1a), which is what their ids are.
pub(crate) fn id_at(place: &str, key: &SessionKey) -> Id {
    let mut hash = 0x6C62_272E_07BB_0142_62B8_2175_6295_C58D_u128;
    for byte in place.bytes().chain(*key.as_bytes()) {
        hash = (hash ^ u128::from(byte)).wrapping_mul(0x0100_0000_0000_0000_0000_013B);
    }
    Id(hash.cast_signed())
}

/// The frame in a record, if there is one.
pub(crate) fn frame_of(record: &Record) -> Option<Vec<u8>> {
    BASE64.decode(record.data.get(FRAME)?.as_str()?.as_bytes()).ok()
}

/// Whether a record belongs to a place.
pub(crate) fn is_at(record: &Record, place: &str) -> bool {
    record.data.get(PLACE).and_then(Value::as_str) == Some(place)
}

/// Puts a frame into a record.
pub(crate) fn fill(record: &mut Record, place: &str, frame: &[u8]) {
    record.data.insert(PLACE.to_owned(), place.into());
    record.data.insert(FRAME.to_owned(), BASE64.encode(frame).into());
}

impl<S: TheirStore> Wrapped<S> {
    fn failed(&self, operation: Operation, error: TheirError) -> Error {
        // All that their trait says of a failed request is a text.
        let kind = match error {
            TheirError::Backend(_) => ErrorKind::Unavailable,
            TheirError::Encode(_) | TheirError::Decode(_) => ErrorKind::Corrupt,
        };
        Error::new(kind, operation, self.name, "the store of tower-sessions failed").caused_by(error)
    }

    async fn found(&self, key: &SessionKey, operation: Operation) -> Result<Option<Stored>, Error> {
        let loaded = self.store.load(&id_at(&self.place, key)).await;
        // Nothing has been written yet.
        let Some(record) = loaded.map_err(|error| self.failed(operation, error).without_effect())? else {
            return Ok(None);
        };
        let corrupt = || {
            Error::new(ErrorKind::Corrupt, operation, self.name, "the record holds no session")
                .without_effect()
        };
        let frame = frame_of(&record).ok_or_else(corrupt)?;
        let stored = frame::decode(&Bytes::from(frame)).map_err(|error| corrupt().caused_by(error))?;
        Ok(Some(stored))
    }

    fn record(&self, key: &SessionKey, stored: &Stored, operation: Operation) -> Result<Record, Error> {
        let nanos = i128::from(stored.deadline().as_millis()) * 1_000_000;
        let expiry_date = OffsetDateTime::from_unix_timestamp_nanos(nanos).map_err(|error| {
            Error::new(ErrorKind::Unexpected, operation, self.name, "no such date")
                .without_effect()
                .caused_by(error)
        })?;
        let mut record = Record { id: id_at(&self.place, key), data: Default::default(), expiry_date };
        fill(&mut record, &self.place, &frame::encode(stored));
        Ok(record)
    }

    /// Writes what results, as an application does: over what was found, or else as a new session. Answers whether it is
    /// there.
    async fn write(
        &self,
        key: &SessionKey,
        found: Option<&Stored>,
        new: &Stored,
        operation: Operation,
    ) -> Result<bool, Error> {
        let record = self.record(key, new, operation)?;
        if found.is_some() {
            let saved = self.store.save(&record).await;
            return saved.map(|()| true).map_err(|error| self.failed(operation, error));
        }
        if self.create(&record, operation).await? {
            return Ok(true);
        }
        // An application would go on under another id. The exam asks for this one: what is in its way may have expired, and
        // only then is it removed.
        if self.found(key, operation).await?.is_some() {
            return Ok(false);
        }
        self.remove(&record.id, operation).await?;
        self.create(&record, operation).await
    }

    /// Creates a session under just this id. Their stores take another one if it is taken.
    async fn create(&self, record: &Record, operation: Operation) -> Result<bool, Error> {
        let mut created = record.clone();
        self.store.create(&mut created).await.map_err(|error| self.failed(operation, error))?;
        if created.id == record.id {
            return Ok(true);
        }
        self.remove(&created.id, operation).await?;
        Ok(false)
    }

    async fn remove(&self, id: &Id, operation: Operation) -> Result<(), Error> {
        self.store.delete(id).await.map_err(|error| self.failed(operation, error))
    }
}

#[async_trait]
impl<S: TheirStore> SessionStore for Wrapped<S> {
    fn capabilities(&self) -> Capabilities {
        // Redis removes what has expired by itself; what is in memory stays until somebody looks.
        let expiry =
            if self.shared { Expiry::Native { max_lag: Duration::from_secs(1) } } else { Expiry::OnDemand };
        Capabilities {
            writes: Writes::WholeRecord,
            expiry,
            cheap_reads: CheapReads::None,
            survives: Survives::Nothing,
            shared: self.shared,
            // Their trait knows no limit.
            max_bytes: usize::MAX,
        }
    }

    async fn load(&self, key: &SessionKey, _freshness: Freshness) -> Result<Option<Loaded>, Error> {
        let found = self.found(key, Operation::Load).await?;
        Ok(found.and_then(|stored| stored.into_live(self.clock.now())).map(Loaded::from))
    }

    async fn save(&self, key: &SessionKey, write: &Write) -> Result<SaveAnswer, Error> {
        let found = self.found(key, Operation::Save).await?;
        let now = self.clock.now();
        match judge(now, found.as_ref(), write) {
            Verdict::Apply { record, previous } => {
                let written =
                    self.write(key, found.as_ref(), &Stored::Record(record), Operation::Save).await?;
                Ok(if written {
                    SaveAnswer::Saved { previous }
                } else {
                    SaveAnswer::Conflict { current: None }
                })
            }
            Verdict::Repeated { previous } => Ok(SaveAnswer::Saved { previous }),
            Verdict::Conflict => {
                let current = found.and_then(|stored| stored.into_live(now)).map(Loaded::from);
                Ok(SaveAnswer::Conflict { current })
            }
            Verdict::Gone => Ok(SaveAnswer::Gone),
        }
    }

    async fn touch(&self, key: &SessionKey, deadline: Timestamp) -> Result<bool, Error> {
        let found = self.found(key, Operation::Touch).await?;
        let now = self.clock.now();
        let Some(extended) = judge_touch(now, found.as_ref(), deadline) else {
            return Ok(false);
        };
        let Some(mut record) = found.and_then(|stored| stored.into_live(now)) else {
            return Ok(false);
        };
        // Their trait extends a session by saving all of it.
        record.deadline = extended;
        let record = self.record(key, &Stored::Record(record), Operation::Touch)?;
        self.store.save(&record).await.map_err(|error| self.failed(Operation::Touch, error))?;
        Ok(true)
    }

    async fn delete(&self, key: &SessionKey) -> Result<(), Error> {
        self.remove(&id_at(&self.place, key), Operation::Delete).await
    }

    async fn inspect(&self, key: &SessionKey) -> Result<Option<Stored>, Error> {
        self.found(key, Operation::Inspect).await
    }

    async fn install(
        &self,
        key: &SessionKey,
        over: Option<Standing>,
        new: &Stored,
    ) -> Result<InstallAnswer, Error> {
        let found = self.found(key, Operation::Install).await?;
        let now = self.clock.now();
        match judge_install(now, found.as_ref(), over, new) {
            InstallVerdict::Apply => {
                let installed = self.write(key, found.as_ref(), new, Operation::Install).await?;
                Ok(if installed { InstallAnswer::Installed } else { InstallAnswer::Refused { stored: None } })
            }
            InstallVerdict::Repeated => Ok(InstallAnswer::Installed),
            InstallVerdict::Refused => {
                Ok(InstallAnswer::Refused { stored: found.filter(|stored| !stored.is_over(now)) })
            }
        }
    }
}
