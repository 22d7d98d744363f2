//! What a writer asks of a store: a change, what it stands on, and the stamp by which it is recognised.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::clock::Timestamp;
use crate::record::{Attributes, Record};
use crate::stamp::Stamp;

/// Changes to attributes: names set, names removed, or everything cleared first.
///
/// ```
/// use holdover_api::{Attributes, Delta};
///
/// let mut attributes = Attributes::from([("old".into(), "1".into()), ("kept".into(), "2".into())]);
/// let mut delta = Delta::default();
/// delta.set("new", "3");
/// delta.remove("old");
/// delta.apply(&mut attributes);
/// assert_eq!(attributes.keys().collect::<Vec<_>>(), ["kept", "new"]);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Delta {
    clear: bool,
    set: BTreeMap<String, Bytes>,
    removed: BTreeSet<String>,
}

impl Delta {
    /// Sets an attribute to encoded bytes.
    pub fn set(&mut self, name: impl Into<String>, value: impl Into<Bytes>) {
        let name = name.into();
        self.removed.remove(&name);
        self.set.insert(name, value.into());
    }

    /// Removes an attribute; removing what is not there is fine.
    pub fn remove(&mut self, name: impl Into<String>) {
        let name = name.into();
        self.set.remove(&name);
        if !self.clear {
            self.removed.insert(name);
        }
    }

    /// Removes every attribute, including those that other writers have set meanwhile.
    pub fn clear(&mut self) {
        self.clear = true;
        self.set.clear();
        self.removed.clear();
    }

    /// Drops what this delta says of one name: it is then left as it is in the store.
    pub fn forget(&mut self, name: &str) {
        self.set.remove(name);
        self.removed.remove(name);
    }

    /// Whether everything is cleared before the rest applies.
    pub const fn clears(&self) -> bool {
        self.clear
    }

    /// The names to set, with their bytes.
    pub const fn sets(&self) -> &BTreeMap<String, Bytes> {
        &self.set
    }

    /// The names to remove; empty if everything is cleared anyway.
    pub const fn removes(&self) -> &BTreeSet<String> {
        &self.removed
    }

    /// Whether there is nothing to change.
    pub fn is_empty(&self) -> bool {
        !self.clear && self.set.is_empty() && self.removed.is_empty()
    }

    /// What this delta says of a name: nothing, or the value it will have (`Some(None)`: removed).
    pub fn get(&self, name: &str) -> Option<Option<&Bytes>> {
        if let Some(value) = self.set.get(name) {
            return Some(Some(value));
        }
        (self.clear || self.removed.contains(name)).then_some(None)
    }

    /// Makes the changes.
    pub fn apply(&self, attributes: &mut Attributes) {
        if self.clear {
            attributes.clear();
        }
        for name in &self.removed {
            attributes.remove(name);
        }
        for (name, value) in &self.set {
            attributes.insert(name.clone(), value.clone());
        }
    }
}

/// What a write stands on. None of them creates what is not alive, save `Absent`, which creates what is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum On {
    /// Nothing: the write creates the session, which began at `created` (earlier than now if an id is renewed).
    Absent {
        /// When the session began.
        created: Timestamp,
    },
    /// Any live record: the delta is merged by attribute and never conflicts.
    Live,
    /// Exactly the record with this head: compare and set.
    Head(Stamp),
}

/// How a write moves the deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Deadline {
    /// Not before this moment: a later deadline that is already there stays (a slow node's clock must not shorten a
    /// lease).
    AtLeast(Timestamp),
    /// This moment, even if it is earlier. A moment that has passed ends the session at once.
    Exactly(Timestamp),
}

impl Deadline {
    /// The moment that was asked for.
    pub const fn moment(self) -> Timestamp {
        match self {
            Self::AtLeast(moment) | Self::Exactly(moment) => moment,
        }
    }

    /// The deadline that results over one that is already there.
    pub fn over(self, existing: Timestamp) -> Timestamp {
        match self {
            Self::AtLeast(moment) => existing.max(moment),
            Self::Exactly(moment) => moment,
        }
    }
}

/// A store's own note on a record that it has read, such as a compare token; opaque to everybody else.
#[derive(Clone)]
pub struct Token(Arc<dyn Any + Send + Sync>);

impl Token {
    /// Wraps a store's note.
    pub fn new(note: impl Any + Send + Sync) -> Self {
        Self(Arc::new(note))
    }

    /// The note, if it is of this type: a store ignores tokens that are not its own.
    pub fn get<T: Any>(&self) -> Option<&T> {
        self.0.downcast_ref()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

/// A record as a `load` found it.
///
/// Given back as [`Write::base`] it may save the store a second read. It is a hint: correctness never rests on it.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The record.
    pub record: Arc<Record>,
    /// The store's own note on it.
    pub token: Option<Token>,
}

impl From<Record> for Loaded {
    fn from(record: Record) -> Self {
        Self { record: Arc::new(record), token: None }
    }
}

/// One conditional write.
#[derive(Clone, Debug)]
pub struct Write {
    /// What the write stands on.
    pub on: On,
    /// What it changes.
    pub delta: Delta,
    /// How a store recognises it when it is tried again. Draw it once, before the first attempt.
    pub stamp: Stamp,
    /// How it moves the deadline.
    pub deadline: Deadline,
    /// The record it was made from, if one was read: a hint.
    pub base: Option<Loaded>,
}
