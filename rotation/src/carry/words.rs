//! The words of the protocol: what is asked of it, what it asks of a table, what a table may answer.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

use holdover_api::{Loaded, Stamp, Standing, Stored, Timestamp, Token, Write};

use crate::Generation;

/// What one table holds under a key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Held {
    /// The session itself, or its tombstone: there is one in at most one table.
    Stored(Arc<Stored>),
    /// The session was here and has been carried on: it began in the table `to` as exactly this, or will. It stays so
    /// for as long as the table stands.
    Sealed {
        /// Where it went.
        to: Generation,
        /// What it was then: what the other table gets from whoever is the first to put it there.
        stored: Arc<Stored>,
    },
    /// Something that cannot be read.
    Unreadable,
}

/// Everything that an operation has to know of time and tables, from **one** reading of the clock.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Bearings {
    /// That reading.
    pub now: Timestamp,
    /// The tables that a live session may be in and that exist, newest first. The clocks of other nodes may be ahead, so
    /// that tables newer than `write` belong to it.
    pub read: Arc<[Generation]>,
    /// The table that new and moved sessions go to.
    pub write: Generation,
    /// The oldest table that anybody, or an earlier attempt of the same operation, may still put a session into where
    /// nothing is: `write`, except shortly after a boundary. All who create something at the same time meet there.
    pub common: Generation,
}

/// A write, told from others by its stamp.
#[derive(Clone)]
pub struct Stamped(Arc<Write>);

/// One operation of a store.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Request {
    /// The live record.
    Load {
        /// Any copy with this write will do, even of an eventually consistent read.
        at_least: Option<Stamp>,
    },
    /// What is stored.
    Inspect,
    /// A conditional write.
    Save(Stamped),
    /// A later deadline.
    Touch(Timestamp),
    /// Burial.
    Delete {
        /// The stamp of the tombstone.
        stamp: Stamp,
        /// Where nothing is found: bury that, until then.
        bury_absent: Option<Timestamp>,
    },
    /// Exactly this over exactly that.
    Install {
        /// What has to be stored.
        over: Option<Standing>,
        /// What is stored then.
        new: Arc<Stored>,
    },
}

/// A change to what a table holds, made by the table in one conditional write.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// [`judge`](holdover_api::judge) says `Apply`, over a live record.
    Write(Stamped),
    /// The record is alive, and its deadline earlier.
    Touch(Timestamp),
    /// There is a record, alive or not: it becomes a tombstone, its lineage grows by this stamp, its deadline stays.
    Bury(Stamp),
}

/// One access to one table. [`perform`](super::perform) says exactly what each of them means.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Ask {
    /// What is there. Answered by `Found`.
    Read {
        /// The table.
        table: Generation,
        /// Whether the answer has to hold every write that has ended.
        strongly: bool,
    },
    /// A change, on the condition that what is there is not sealed and that the change applies. Answered by `Changed`.
    Change {
        /// The table.
        table: Generation,
        /// The change.
        change: Change,
    },
    /// The same change in the same single write, which also seals the record. Never a burial. Answered by `Sealed`.
    Seal {
        /// The table.
        table: Generation,
        /// Where the record goes.
        to: Generation,
        /// The change.
        change: Change,
    },
    /// Puts exactly `held`, on the condition that there is exactly what is expected. Answered by `Changed(None)`.
    Put {
        /// The table.
        table: Generation,
        /// Nothing at all, expired or not; or what is not sealed and has this head and deadline.
        over: Option<Standing>,
        /// What is there then.
        held: Held,
    },
    /// Puts exactly `held` in the place of what cannot be read. Answered by `Changed(None)`.
    Raze {
        /// The table.
        table: Generation,
        /// What is there then.
        held: Held,
    },
    /// A table is missing that should be there, or the tables have changed. Look which there are, read the clock anew.
    /// Answered by `Bearings`.
    Refresh,
}

impl Ask {
    /// The table that is asked; nothing for a look at which tables there are.
    pub const fn table(&self) -> Option<Generation> {
        match self {
            Self::Read { table, .. }
            | Self::Change { table, .. }
            | Self::Seal { table, .. }
            | Self::Put { table, .. }
            | Self::Raze { table, .. } => Some(*table),
            Self::Refresh => None,
        }
    }
}

/// What is in a table whose condition was not met.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Sight {
    /// The store does not say.
    Unseen,
    /// Nothing.
    Nothing,
    /// This.
    Held(Held),
}

/// What came of what was asked. A failure that certainly did nothing is none of these: it ends the operation as an error,
/// whose effect is unknown if [`Carry::wrote`](super::Carry::wrote).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// Of a read.
    Found(Option<Held>),
    /// It took effect. With the head before, if it was a change by a write.
    Changed(Option<Stamp>),
    /// It took effect, and this is the record that was sealed, the change included.
    Sealed(Arc<Stored>),
    /// The condition was not met: nothing has changed.
    Refused(Sight),
    /// There is no such table, and it is not one that is only being created (which holds nothing).
    NoTable,
    /// The answer is lost. It may have taken effect, or still may.
    Lost,
    /// Of a refresh.
    Bearings(Bearings),
}

/// Where something was found.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sighting {
    /// The table.
    pub table: Generation,
    /// What it is.
    pub stored: Arc<Stored>,
}

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Of a load: a live record, or nothing. Of an inspection: what is stored, or nothing.
    Found(Option<Sighting>),
    /// Of a save.
    Saved(Option<Stamp>),
    /// Of a save.
    Conflict(Sighting),
    /// Of a save.
    Gone,
    /// Of a touch.
    Touched(bool),
    /// Of a delete.
    Deleted,
    /// Of an installation.
    Installed,
    /// Of an installation.
    Refused(Option<Sighting>),
    /// What is there cannot be read.
    Corrupt,
    /// Tables or other writers kept coming between.
    Unavailable,
    /// It may have happened, and nobody can tell any more.
    Unknown,
    /// The answer was none to what had been asked: a defect of the caller.
    Mismatch,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Ask a table.
    Ask(Ask),
    /// The end.
    Done(Outcome),
}

impl Request {
    /// A save of this write.
    pub fn save(write: &Write) -> Self {
        Self::Save(Stamped(Arc::new(write.clone())))
    }
}

impl From<Arc<Write>> for Stamped {
    fn from(write: Arc<Write>) -> Self {
        Self(write)
    }
}

impl Deref for Stamped {
    type Target = Write;

    fn deref(&self) -> &Write {
        &self.0
    }
}

impl fmt::Debug for Stamped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Stamped").field(&self.on).field(&self.stamp).finish()
    }
}

impl PartialEq for Stamped {
    fn eq(&self, other: &Self) -> bool {
        self.stamp == other.stamp
    }
}

impl Eq for Stamped {}

impl Hash for Stamped {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.stamp.hash(state);
    }
}

impl Sighting {
    /// The record for a caller, with a note of where it was found: a save that is made from it goes there directly.
    ///
    /// Nothing if it is a tombstone.
    pub fn into_loaded(self) -> Option<Loaded> {
        let stored = Arc::try_unwrap(self.stored).unwrap_or_else(|shared| Stored::clone(&shared));
        let Stored::Record(record) = stored else {
            return None;
        };
        Some(Loaded { record: Arc::new(record), token: Some(Token::new(self.table)) })
    }
}
