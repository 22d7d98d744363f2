//! The words of the protocol: what is asked, what is seen, what is done next.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use holdover_api::{Deadline, On, Stamp, Standing, Stored, Timestamp, Write};

/// One of the two nodes of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Place {
    /// Written first.
    Head,
    /// Written last: the point of commitment.
    Tail,
}

/// What one node shows of a session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Seen {
    /// It could not be asked, or its answer was lost.
    Unreachable,
    /// Nothing that still stands.
    Nothing,
    /// This.
    Copy(Arc<Stored>),
}

/// What both nodes show of a session.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sight {
    /// The head's.
    pub head: Seen,
    /// The tail's.
    pub tail: Seen,
}

/// What is asked of the chain.
#[derive(Clone, Debug)]
pub enum Ask {
    /// The newest record that is alive.
    Load,
    /// The newest that is stored, a tombstone included.
    Inspect,
    /// A conditional write; its base is not used.
    Save(Arc<Write>),
    /// A later deadline, and the stamp of the touch if it has to leave a mark.
    Touch(Timestamp, Stamp),
    /// A tombstone, under this stamp.
    Delete(Stamp),
    /// Exactly this over exactly that.
    Install(Option<Standing>, Arc<Stored>),
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Answer {
    /// Of a load or an inspection, with whether both nodes stand at it.
    Found(Option<Arc<Stored>>, bool),
    /// Of a save.
    Saved(Option<Stamp>),
    /// Of a save.
    Conflict(Option<Arc<Stored>>),
    /// Of a save.
    Gone,
    /// Of a touch.
    Touched(bool),
    /// Of a delete.
    Deleted,
    /// Of an installation.
    Installed,
    /// Of an installation.
    Refused(Option<Arc<Stored>>),
    /// Nothing can be said: no node is reachable that could know.
    Unavailable,
    /// It may have happened: other writes have come since, and nobody can tell.
    Unknown,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// Ask both nodes what they hold, at the same time.
    Read,
    /// Install a copy on one node.
    Install {
        /// The node.
        place: Place,
        /// What it showed.
        over: Option<Standing>,
        /// What it gets.
        new: Arc<Stored>,
        /// Whether this makes a copy equal to the other, instead of writing something new.
        repair: bool,
    },
    /// The only reachable node has nothing: ask it whether it has been up for longer than any session lives.
    AskAge(Place),
    /// The end.
    Done(Answer),
}

/// How an installation on one node ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It is there.
    Installed,
    /// Something else was there: this.
    Refused(Option<Arc<Stored>>),
    /// Nobody knows.
    Unreachable,
}

/// The ingredients of the protocol. All of them are needed: the model checker refutes the chain without any one, and
/// the conformance cases catch it. For those tests only.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rules {
    /// Differing copies are made equal before anything is answered.
    pub write_back: bool,
    /// Of two copies that have diverged, the tail's counts.
    pub tie_to_tail: bool,
    /// A destroyed session leaves a tombstone.
    pub tombstones: bool,
    /// A node that may have lost its memory cannot say that a session is not there.
    pub cold_miss_is_no_miss: bool,
    /// Both nodes are read.
    pub reads_both: bool,
    /// A write that is found in the lineage has happened.
    pub recognises_own: bool,
    /// The head is written before the tail.
    pub head_first: bool,
    /// A copy that is further behind than a lineage reaches is known by the number of its writes.
    pub counts_writes: bool,
    /// A touch that others have written over is not made again.
    pub touches_once: bool,
    /// What is written past the head leaps in the lineage.
    pub leaps: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self::ALL
    }
}

impl Place {
    /// The other one.
    pub const fn other(self) -> Self {
        match self {
            Self::Head => Self::Tail,
            Self::Tail => Self::Head,
        }
    }
}

impl Sight {
    /// What is not known yet.
    pub const UNKNOWN: Self = Self { head: Seen::Unreachable, tail: Seen::Unreachable };

    /// What one node shows.
    pub const fn at(&self, place: Place) -> &Seen {
        match place {
            Place::Head => &self.head,
            Place::Tail => &self.tail,
        }
    }

    /// Replaces what one node shows.
    pub fn set(&mut self, place: Place, seen: Seen) {
        match place {
            Place::Head => self.head = seen,
            Place::Tail => self.tail = seen,
        }
    }

    /// Whether both nodes could be reached.
    pub const fn is_whole(&self) -> bool {
        !matches!(self.head, Seen::Unreachable) && !matches!(self.tail, Seen::Unreachable)
    }
}

impl PartialEq for Ask {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Load, Self::Load) | (Self::Inspect, Self::Inspect) => true,
            // The stamp names the write; its base is not used.
            (Self::Save(one), Self::Save(other)) => one.stamp == other.stamp,
            (Self::Touch(_, one), Self::Touch(_, other)) => one == other,
            (Self::Delete(one), Self::Delete(other)) => one == other,
            (Self::Install(one, new), Self::Install(other, other_new)) => one == other && new == other_new,
            _ => false,
        }
    }
}

impl Eq for Ask {}

impl Hash for Ask {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::mem::discriminant(self).hash(state);
        match self {
            Self::Load | Self::Inspect => {}
            Self::Save(write) => write.stamp.hash(state),
            Self::Touch(_, stamp) | Self::Delete(stamp) => stamp.hash(state),
            Self::Install(over, new) => (over, new).hash(state),
        }
    }
}

impl Ask {
    /// Whether it may be done on the word of a node that may have lost its memory. A new id is nowhere, and a burial
    /// leaves a tombstone wherever it can; everything else needs to know whether there is a session.
    pub(super) fn needs_no_certainty(&self) -> bool {
        match self {
            Self::Delete(_) | Self::Install(None, _) => true,
            Self::Save(write) => matches!(write.on, On::Absent { .. }),
            _ => false,
        }
    }
}

impl Rules {
    /// All of them.
    pub const ALL: Self = Self {
        write_back: true,
        tie_to_tail: true,
        tombstones: true,
        cold_miss_is_no_miss: true,
        reads_both: true,
        recognises_own: true,
        head_first: true,
        counts_writes: true,
        touches_once: true,
        leaps: true,
    };
}

/// How a chain is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Conduct {
    /// Whether the answer is given once the head holds a write; what the tail lacks is then left as a backlog.
    pub answers_before_tail: bool,
    /// Whether, of two copies that have diverged, the head's counts: where answers do not wait for the tail.
    pub head_commits: bool,
    /// For how long a tombstone stands at least: longer than any write or touch that is under way could extend a copy
    /// that the burial did not reach.
    pub bury_until: Timestamp,
    /// The ingredients.
    pub rules: Rules,
}

/// Whether a write may move the deadline back.
pub(super) const fn is_exact(write: &Write) -> bool {
    matches!(write.deadline, Deadline::Exactly(_))
}

/// A tombstone that was put where nothing was known.
pub(super) fn buries_anything(stored: &Stored) -> bool {
    matches!(stored, Stored::Tombstone(tombstone) if tombstone.lineage.writes() == 1)
}
