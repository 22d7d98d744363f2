//! What a client did and what it was told.

use holdover_api::{Record, Stamp, Timestamp, Write};

/// A call to a store.
#[derive(Clone, Debug)]
pub enum Call {
    /// A load of the latest record.
    Load,
    /// A save.
    Save(Write),
    /// A touch up to this deadline.
    Touch(Timestamp),
    /// A delete.
    Delete,
}

/// What a store answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To a load: the live record, or nothing.
    Loaded(Option<Record>),
    /// To a save: done, over this head where the store knows it.
    Saved(Option<Stamp>),
    /// To a save: something else is there, namely this where the store has it at hand.
    Conflict(Option<Record>),
    /// To a save: nothing live is there.
    Gone,
    /// To a touch: whether a live session was there.
    Touched(bool),
    /// To a delete.
    Deleted,
}

/// How a call ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// With an answer.
    Answered(Answer),
    /// With an error that promises no effect: this.
    Refused(String),
    /// With an error after which it may have happened, may still happen, or may never happen: this.
    Unknown(String),
}

/// One call in a history.
#[derive(Clone, Debug)]
pub struct Action {
    /// Which client made it. A client has one call under way at a time.
    pub client: usize,
    /// Which node it went through.
    pub node: usize,
    /// Which session it was about.
    pub session: usize,
    /// What was asked.
    pub call: Call,
    /// When it was invoked, by the recorder's counter.
    pub invoked: u64,
    /// When it returned, by the same counter.
    pub returned: u64,
    /// How it ended.
    pub outcome: Outcome,
}

impl Action {
    /// Until when the call may take effect: an unknown one may do so at any later time.
    pub const fn effective_until(&self) -> u64 {
        match self.outcome {
            Outcome::Answered(_) | Outcome::Refused(_) => self.returned,
            Outcome::Unknown(_) => u64::MAX,
        }
    }

    /// Whether both calls were under way at some moment.
    pub const fn overlaps(&self, other: &Self) -> bool {
        self.invoked < other.returned && other.invoked < self.returned
    }
}
