//! A sound store with a hook at every joint, so that a mutant flips one thing and says nothing of the rest.
//!
//! It keeps frames, with a native deadline beside each, and an imaginary server that removes what has passed it by the
//! system's clock: so it can be examined below the store as well. To write a mutant, implement [`Flaw`] for a unit
//! struct, overriding one method, and list it:
//!
//! ```
//! use std::sync::Arc;
//! use holdover_api::{Stored, Timestamp, Verdict, Write, judge, Standing};
//! use holdover_conformance::mutants::{Flaw, Mutant, MutantHarness};
//!
//! /// Forgets that a write has happened before.
//! struct DoesItTwice;
//!
//! impl Flaw for DoesItTwice {
//!     fn judge(&self, now: Timestamp, stored: Option<&Stored>, write: &Write) -> Verdict {
//!         match judge(now, stored, write) {
//!             Verdict::Repeated { .. } => Verdict::Conflict,
//!             verdict => verdict,
//!         }
//!     }
//! }
//!
//! let mutant = Mutant {
//!     id: "m13",
//!     defect: "a retry after a lost answer reports a conflict",
//!     make: || MutantHarness::of("m13", || Arc::new(DoesItTwice)),
//!     killed_by: &["CON-46"],
//! };
//! # let _ = mutant;
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use holdover_api::frame::{self, FrameError};
use holdover_api::{
    Capabilities, CheapReads, Clock, Error, ErrorKind, Expiry, Freshness, InstallAnswer, InstallVerdict,
    Loaded, Operation, Record, SaveAnswer, SessionKey, SessionStore, Standing, Stored, Survives, SystemClock,
    Timestamp, Verdict, Write, Writes, judge, judge_install, judge_touch,
};

/// The largest record that the sound base holds: small, so that cases on limits stay cheap.
pub const MAX_BYTES: usize = 256 * 1024;

/// What is wrong with a store. Every method's default is sound; override one.
///
/// First come the rules, which are pure, then what the imaginary server does, then whole operations for flaws that
/// take several steps: their defaults call `store.sound_…`, which ask the rules under one lock. One flaw is made for
/// each node, so a field in it is that node's own memory, such as a cache; what nodes of a place share is in
/// [`Flawed::shelf`].
#[async_trait]
pub trait Flaw: Send + Sync + 'static {
    /// What the store claims.
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            writes: Writes::ByAttribute,
            expiry: Expiry::Native { max_lag: Duration::from_secs(1) },
            cheap_reads: CheapReads::None,
            survives: Survives::Nothing,
            shared: true,
            max_bytes: MAX_BYTES,
        }
    }

    /// What a write means.
    fn judge(&self, now: Timestamp, stored: Option<&Stored>, write: &Write) -> Verdict {
        judge(now, stored, write)
    }

    /// What a touch means.
    fn judge_touch(&self, now: Timestamp, stored: Option<&Stored>, deadline: Timestamp) -> Option<Timestamp> {
        judge_touch(now, stored, deadline)
    }

    /// What an installation means.
    fn judge_install(
        &self,
        now: Timestamp,
        stored: Option<&Stored>,
        over: Option<Standing>,
        new: &Stored,
    ) -> InstallVerdict {
        judge_install(now, stored, over, new)
    }

    /// What a load answers of what is stored.
    fn read(&self, now: Timestamp, stored: Stored) -> Option<Record> {
        stored.into_live(now)
    }

    /// Whether a record of so many bytes is taken.
    fn fits(&self, size: usize) -> bool {
        size <= MAX_BYTES
    }

    /// The stored bytes.
    fn encode(&self, stored: &Stored) -> Vec<u8> {
        frame::encode(stored)
    }

    /// Reads stored bytes; nothing means that nothing is there.
    fn decode(&self, bytes: &Bytes) -> Result<Option<Stored>, FrameError> {
        frame::decode(bytes).map(Some)
    }

    /// When the server removes what is stored by itself.
    fn native_deadline(&self, stored: &Stored) -> Option<Timestamp> {
        Some(stored.deadline())
    }

    /// The key under which the server keeps a session.
    fn name(&self, place: &str, key: &SessionKey) -> String {
        format!("{place}:{key}")
    }

    /// Loads.
    async fn load(
        &self,
        store: &Flawed,
        key: &SessionKey,
        _freshness: Freshness,
    ) -> Result<Option<Loaded>, Error> {
        store.sound_load(key)
    }

    /// Saves.
    async fn save(&self, store: &Flawed, key: &SessionKey, write: &Write) -> Result<SaveAnswer, Error> {
        store.sound_save(key, write)
    }

    /// Touches.
    async fn touch(&self, store: &Flawed, key: &SessionKey, deadline: Timestamp) -> Result<bool, Error> {
        store.sound_touch(key, deadline)
    }

    /// Deletes.
    async fn delete(&self, store: &Flawed, key: &SessionKey) -> Result<(), Error> {
        store.sound_delete(key);
        Ok(())
    }

    /// Inspects.
    async fn inspect(&self, store: &Flawed, key: &SessionKey) -> Result<Option<Stored>, Error> {
        store.get(key, Operation::Inspect)
    }

    /// Installs.
    async fn install(
        &self,
        store: &Flawed,
        key: &SessionKey,
        over: Option<Standing>,
        new: &Stored,
    ) -> Result<InstallAnswer, Error> {
        store.sound_install(key, over, new)
    }
}

/// A store without any flaw: the base that every mutant flips one thing of.
#[derive(Clone, Copy, Debug)]
pub struct Sound;

impl Flaw for Sound {}

/// What the imaginary server keeps under one name.
#[derive(Clone, Debug)]
pub struct Cell {
    /// The stored bytes.
    pub bytes: Bytes,
    /// When the server removes it by itself, if ever.
    pub native_deadline: Option<Timestamp>,
}

/// The imaginary server, shared by all nodes and places of a harness.
#[derive(Debug, Default)]
pub struct Shelf {
    cells: Mutex<BTreeMap<String, Cell>>,
}

impl Shelf {
    /// The cells by name, without those whose native deadline the system's clock has reached.
    pub fn cells(&self) -> MutexGuard<'_, BTreeMap<String, Cell>> {
        let now = SystemClock.now();
        let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        cells.retain(|_, cell| cell.native_deadline.is_none_or(|deadline| now < deadline));
        cells
    }
}

/// One node's handle: the sound store with its flaw.
pub struct Flawed {
    name: &'static str,
    place: String,
    clock: Arc<dyn Clock>,
    shelf: Arc<Shelf>,
    flaw: Arc<dyn Flaw>,
    // A read-modify-write of the sound operations, all nodes together, as a server's script would be.
    turn: Arc<Mutex<()>>,
}

impl Flawed {
    /// The node's time.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The node's place.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// What all nodes share.
    pub fn shelf(&self) -> &Shelf {
        &self.shelf
    }

    /// What is stored, tombstones and expired records included. One step: takes no turn.
    pub fn get(&self, key: &SessionKey, operation: Operation) -> Result<Option<Stored>, Error> {
        let name = self.flaw.name(&self.place, key);
        let found = self.shelf.cells().get(&name).map(|cell| cell.bytes.clone());
        let Some(bytes) = found else {
            return Ok(None);
        };
        self.flaw.decode(&bytes).map_err(|error| self.error(ErrorKind::Corrupt, operation).caused_by(error))
    }

    /// Puts something in the place of whatever is stored, or removes it. One step: takes no turn.
    pub fn put(&self, key: &SessionKey, stored: Option<&Stored>) {
        let name = self.flaw.name(&self.place, key);
        let mut cells = self.shelf.cells();
        let Some(stored) = stored else {
            cells.remove(&name);
            return;
        };
        let cell = Cell {
            bytes: self.flaw.encode(stored).into(),
            native_deadline: self.flaw.native_deadline(stored),
        };
        cells.insert(name, cell);
    }

    /// An error of this store, without effect.
    pub fn error(&self, kind: ErrorKind, operation: Operation) -> Error {
        Error::new(kind, operation, self.name, "the imaginary server said no").without_effect()
    }

    /// A load by the rules of the flaw.
    pub fn sound_load(&self, key: &SessionKey) -> Result<Option<Loaded>, Error> {
        let now = self.now();
        let stored = self.get(key, Operation::Load)?;
        let record = stored.and_then(|stored| self.flaw.read(now, stored));
        Ok(record.map(Loaded::from))
    }

    /// A save by the rules of the flaw, in one turn.
    pub fn sound_save(&self, key: &SessionKey, write: &Write) -> Result<SaveAnswer, Error> {
        let _turn = self.take_turn();
        let now = self.now();
        let stored = self.get(key, Operation::Save)?;
        match self.flaw.judge(now, stored.as_ref(), write) {
            Verdict::Apply { record, previous } => {
                if !self.flaw.fits(frame::size(&record)) {
                    return Err(self.error(ErrorKind::TooLarge, Operation::Save));
                }
                self.put(key, Some(&Stored::Record(record)));
                Ok(SaveAnswer::Saved { previous })
            }
            Verdict::Repeated { previous } => Ok(SaveAnswer::Saved { previous }),
            Verdict::Conflict => {
                let current = stored.and_then(|stored| stored.into_live(now)).map(Loaded::from);
                Ok(SaveAnswer::Conflict { current })
            }
            Verdict::Gone => Ok(SaveAnswer::Gone),
        }
    }

    /// A touch by the rules of the flaw, in one turn.
    pub fn sound_touch(&self, key: &SessionKey, deadline: Timestamp) -> Result<bool, Error> {
        let _turn = self.take_turn();
        let stored = self.get(key, Operation::Touch)?;
        let Some(extended) = self.flaw.judge_touch(self.now(), stored.as_ref(), deadline) else {
            return Ok(false);
        };
        if let Some(Stored::Record(mut record)) = stored {
            record.deadline = extended;
            self.put(key, Some(&Stored::Record(record)));
        }
        Ok(true)
    }

    /// A deletion, in one turn.
    pub fn sound_delete(&self, key: &SessionKey) {
        let _turn = self.take_turn();
        self.put(key, None);
    }

    /// An installation by the rules of the flaw, in one turn.
    pub fn sound_install(
        &self,
        key: &SessionKey,
        over: Option<Standing>,
        new: &Stored,
    ) -> Result<InstallAnswer, Error> {
        let _turn = self.take_turn();
        let now = self.now();
        if let Stored::Record(record) = new
            && !self.flaw.fits(frame::size(record))
        {
            return Err(self.error(ErrorKind::TooLarge, Operation::Install));
        }
        let stored = self.get(key, Operation::Install)?;
        match self.flaw.judge_install(now, stored.as_ref(), over, new) {
            InstallVerdict::Apply => {
                self.put(key, Some(new));
                Ok(InstallAnswer::Installed)
            }
            InstallVerdict::Repeated => Ok(InstallAnswer::Installed),
            InstallVerdict::Refused => {
                let stored = stored.filter(|stored| !stored.is_over(now));
                Ok(InstallAnswer::Refused { stored })
            }
        }
    }

    fn take_turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for Flawed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl fmt::Debug for Flawed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flawed({} at {})", self.name, self.place)
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl SessionStore for Flawed {
    fn capabilities(&self) -> Capabilities {
        self.flaw.capabilities()
    }

    async fn load(&self, key: &SessionKey, freshness: Freshness) -> Result<Option<Loaded>, Error> {
        self.flaw.load(self, key, freshness).await
    }

    async fn save(&self, key: &SessionKey, write: &Write) -> Result<SaveAnswer, Error> {
        self.flaw.save(self, key, write).await
    }

    async fn touch(&self, key: &SessionKey, deadline: Timestamp) -> Result<bool, Error> {
        self.flaw.touch(self, key, deadline).await
    }

    async fn delete(&self, key: &SessionKey) -> Result<(), Error> {
        self.flaw.delete(self, key).await
    }

    async fn inspect(&self, key: &SessionKey) -> Result<Option<Stored>, Error> {
        self.flaw.inspect(self, key).await
    }

    async fn install(
        &self,
        key: &SessionKey,
        over: Option<Standing>,
        new: &Stored,
    ) -> Result<InstallAnswer, Error> {
        self.flaw.install(self, key, over, new).await
    }
}

impl Flawed {
    pub(super) fn new(
        name: &'static str,
        place: String,
        clock: Arc<dyn Clock>,
        server: (Arc<Shelf>, Arc<Mutex<()>>),
        flaw: Arc<dyn Flaw>,
    ) -> Self {
        let (shelf, turn) = server;
        Self { name, place, clock, shelf, flaw, turn }
    }
}
