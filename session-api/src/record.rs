//! What a store keeps for one session.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use crate::clock::Timestamp;
use crate::stamp::{Lineage, Stamp};
use crate::write::{Delta, Write};

/// Attribute names and their encoded values, in order of name.
pub type Attributes = BTreeMap<String, Bytes>;

/// One session as it stands: its attributes and who wrote them last, when it began and when it ends.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Record {
    /// Names and values, each value encoded on its own (see [`Codec`](crate::Codec)).
    pub attributes: Attributes,
    /// The newest writes that made this record.
    pub lineage: Lineage,
    /// When the session began; a renewal of the id keeps it, so that the absolute lifetime cannot be stretched.
    pub created: Timestamp,
    /// When the session ends: absolute, so that a retry cannot stretch it.
    pub deadline: Timestamp,
}

impl Record {
    /// The record that a creating write makes.
    pub fn first(delta: &Delta, stamp: Stamp, created: Timestamp, deadline: Timestamp) -> Self {
        let mut attributes = Attributes::new();
        delta.apply(&mut attributes);
        Self { attributes, lineage: Lineage::new(stamp), created, deadline }
    }

    /// The record that results if a write applies to this one.
    #[must_use]
    pub fn after(&self, write: &Write) -> Self {
        let mut attributes = self.attributes.clone();
        write.delta.apply(&mut attributes);
        let lineage = self.lineage.pushed(write.stamp);
        let deadline = write.deadline.over(self.deadline);
        Self { attributes, lineage, created: self.created, deadline }
    }

    /// The version of the record: the stamp of the newest write.
    pub const fn head(&self) -> Stamp {
        self.lineage.head()
    }

    /// What a store says of itself when it holds exactly this.
    pub const fn standing(&self) -> Standing {
        Standing { head: self.head(), deadline: self.deadline }
    }

    /// Whether the session is alive at `now`. At its deadline it is not (I4).
    pub fn is_live(&self, now: Timestamp) -> bool {
        now < self.deadline
    }

    /// How long the session has still to live.
    pub const fn remaining(&self, now: Timestamp) -> Duration {
        self.deadline.since(now)
    }
}

/// What remains of a destroyed session where an absence would not be enough: proof that it is gone.
///
/// `load`, `save` and `touch` see a tombstone as nothing alive, and a create over one is refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Tombstone {
    /// The writes up to and including the burial.
    pub lineage: Lineage,
    /// Until when the tombstone has to stand; afterwards a store may forget it.
    pub deadline: Timestamp,
}

/// Exactly what is stored, without its content: the newest write, and until when it stands.
///
/// A touch moves the deadline and not the head, so that only both together say that nothing has happened in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Standing {
    /// The stamp of the newest write.
    pub head: Stamp,
    /// When the session ends, or until when the tombstone stands.
    pub deadline: Timestamp,
}

/// What lies under a key: a record, or the tombstone of one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Stored {
    /// A session, alive until its deadline.
    Record(Record),
    /// A destroyed session.
    Tombstone(Tombstone),
}

impl Stored {
    /// The lineage of what is stored.
    pub const fn lineage(&self) -> &Lineage {
        match self {
            Self::Record(record) => &record.lineage,
            Self::Tombstone(tombstone) => &tombstone.lineage,
        }
    }

    /// The stamp of the newest write.
    pub const fn head(&self) -> Stamp {
        self.lineage().head()
    }

    /// When the session ends, or until when the tombstone stands.
    pub const fn deadline(&self) -> Timestamp {
        match self {
            Self::Record(record) => record.deadline,
            Self::Tombstone(tombstone) => tombstone.deadline,
        }
    }

    /// What a store says of itself when it holds exactly this.
    pub const fn standing(&self) -> Standing {
        Standing { head: self.head(), deadline: self.deadline() }
    }

    /// Whether `now` has reached the deadline: what is stored then means nothing any more.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.deadline() <= now
    }

    /// The record, if it is one and it is alive at `now`.
    pub fn into_live(self, now: Timestamp) -> Option<Record> {
        match self {
            Self::Record(record) if record.is_live(now) => Some(record),
            Self::Record(_) | Self::Tombstone(_) => None,
        }
    }

    /// The record, if it is one and it is alive at `now`.
    pub fn as_live(&self, now: Timestamp) -> Option<&Record> {
        match self {
            Self::Record(record) if record.is_live(now) => Some(record),
            Self::Record(_) | Self::Tombstone(_) => None,
        }
    }
}
