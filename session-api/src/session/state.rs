//! What one request knows of its session and wants of it.

use bytes::Bytes;

use crate::frame::{self, attribute_size};
use crate::id::SessionId;
use crate::record::{Attributes, Record};
use crate::session::commit::CookieChange;
use crate::session::failure::SessionError;
use crate::write::{Delta, Loaded};

/// What this request has seen of the session.
#[derive(Debug)]
pub(super) enum Sight {
    /// Nothing yet: no call was made.
    Unseen,
    /// No live session is there: the cookie named none, or a dead or invented one, which is never adopted (I8).
    Absent,
    /// This record was there.
    Live(Loaded),
    /// The load failed. That is never "no session".
    Failed(SessionError),
}

/// What is to become of the session as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It stays under its id.
    Keep,
    /// It moves to a new id.
    Renew,
    /// It ends; what is set afterwards begins a new one.
    Destroy,
}

#[derive(Debug)]
pub(super) struct State {
    /// The id that the session has, as far as it has one.
    pub(super) id: Option<SessionId>,
    /// Whether the browser sent that id, so that there is a cookie to clear.
    pub(super) from_cookie: bool,
    pub(super) sight: Sight,
    pub(super) delta: Delta,
    pub(super) fate: Fate,
    /// What the cookie owes to changes that are committed already.
    pub(super) cookie: CookieChange,
}

impl State {
    pub(super) fn new(id: Option<SessionId>) -> Self {
        let sight = if id.is_some() { Sight::Unseen } else { Sight::Absent };
        Self {
            from_cookie: id.is_some(),
            id,
            sight,
            delta: Delta::default(),
            fate: Fate::Keep,
            cookie: CookieChange::Keep,
        }
    }

    /// The record that the delta applies to.
    pub(super) fn base(&self) -> Option<&Record> {
        match &self.sight {
            Sight::Live(loaded) if self.fate != Fate::Destroy => Some(&loaded.record),
            _ => None,
        }
    }

    /// The value of an attribute as this request sees it.
    pub(super) fn value(&self, name: &str) -> Option<&Bytes> {
        match self.delta.get(name) {
            Some(pending) => pending,
            None => self.base()?.attributes.get(name),
        }
    }

    /// All attributes as this request sees them.
    pub(super) fn attributes(&self) -> Attributes {
        let mut attributes = self.base().map(|record| record.attributes.clone()).unwrap_or_default();
        self.delta.apply(&mut attributes);
        attributes
    }

    /// The size that the session would have with the pending changes, in bytes, with a full lineage.
    pub(super) fn size(&self) -> usize {
        let size_of = |name: &str, value: &Bytes| attribute_size(name.len(), value.len());
        let mut size = frame::EMPTY_SIZE;
        if let Some(record) = self.base().filter(|_| !self.delta.clears()) {
            size += record.attributes.iter().map(|(name, value)| size_of(name, value)).sum::<usize>();
            let replaced = self.delta.sets().keys().chain(self.delta.removes());
            for name in replaced {
                size -= record.attributes.get(name).map_or(0, |value| size_of(name, value));
            }
        }
        size + self.delta.sets().iter().map(|(name, value)| size_of(name, value)).sum::<usize>()
    }

    /// The size that the session would have if one more attribute were set.
    pub(super) fn size_with(&self, name: &str, value: &Bytes) -> usize {
        let replaced = self.value(name).map_or(0, |old| attribute_size(name.len(), old.len()));
        self.size() - replaced + attribute_size(name.len(), value.len())
    }

    /// Sets an attribute. Writing the same value back is not a change.
    pub(super) fn set(&mut self, name: &str, value: Bytes) {
        let stands_already = !self.delta.clears()
            && self.base().and_then(|record| record.attributes.get(name)) == Some(&value);
        if stands_already {
            self.delta.forget(name);
        } else {
            self.delta.set(name, value);
        }
    }
}
