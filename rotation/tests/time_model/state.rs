//! Everything that a step of the model may change. Times are ticks.

/// More generations than any world gets to.
pub(crate) const GENERATIONS: usize = 7;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Slot {
    Absent,
    /// Asked for then, by the server's clock, and not ready.
    Creating(i8),
    /// Asked for then, and ready.
    Active(i8),
    Dropped,
}

pub(crate) type Slots = [Slot; GENERATIONS];

/// A write that has been decided and not yet applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Pending {
    pub(crate) generation: usize,
    pub(crate) expires: i8,
    pub(crate) started: i8,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Node {
    /// By how much its clock is ahead of the server's.
    pub(crate) offset: i8,
    pub(crate) stalled: bool,
    pub(crate) pending: Option<Pending>,
    /// What it saw when it last looked, and when by its own clock; worlds without lag look at the tables themselves.
    pub(crate) known: Option<(i8, Slots)>,
    /// What the ancestor's rotator remembers: the table in use and the one before.
    pub(crate) current: usize,
    pub(crate) previous: Option<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    /// The server's clock, which is the true time.
    pub(crate) time: i8,
    pub(crate) slots: Slots,
    /// When the copy in each table expires. The repaired protocol has one; the ancestor's may have several.
    pub(crate) copies: [Option<i8>; GENERATIONS],
    pub(crate) nodes: [Node; 2],
    /// The latest expiry that was promised to anybody.
    pub(crate) promised: i8,
}

impl State {
    pub(crate) fn local(&self, node: usize) -> i8 {
        self.time + self.nodes[node].offset
    }

    /// The newest table that stands and holds the session.
    pub(crate) fn newest_copy(&self) -> Option<usize> {
        (0..GENERATIONS).rev().find(|generation| self.copy_in(*generation).is_some())
    }

    /// What the table holds, if it stands.
    pub(crate) fn copy_in(&self, generation: usize) -> Option<i8> {
        if matches!(self.slots[generation], Slot::Active(_)) { self.copies[generation] } else { None }
    }
}
