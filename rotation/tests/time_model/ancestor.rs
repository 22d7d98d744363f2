//! What the seed of this protocol did: two tables by name, or two that a node remembers. Only ever refuted.

use crate::state::{GENERATIONS, Slot, State};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ancestor {
    /// The published design: look in the present table, else in the one before; drop the one before that.
    Design,
    /// The code: what each node used last is "the one before", and everything else is dropped.
    Rotator,
}

impl Ancestor {
    /// The tables that a node reads, newest first.
    pub(crate) fn window(self, state: &State, node: usize, period: i8) -> Vec<usize> {
        match self {
            Self::Design => {
                let present = generation(state.local(node), period);
                [Some(present), present.checked_sub(1)].into_iter().flatten().collect()
            }
            Self::Rotator => {
                let node = &state.nodes[node];
                [Some(node.current), node.previous].into_iter().flatten().collect()
            }
        }
    }

    pub(crate) fn writes_to(self, state: &State, node: usize, period: i8) -> usize {
        match self {
            Self::Design => generation(state.local(node), period),
            Self::Rotator => state.nodes[node].current,
        }
    }

    /// The tables that the design drops.
    pub(crate) fn drops(self, state: &State, node: usize, period: i8) -> Vec<usize> {
        if self == Self::Rotator {
            return Vec::new();
        }
        let present = generation(state.local(node), period);
        let standing = |generation: &usize| matches!(state.slots[*generation], Slot::Active(_));
        (0..GENERATIONS).filter(|generation| generation + 2 <= present).filter(standing).collect()
    }

    /// Whether a node's background task has something to do.
    pub(crate) fn must_rotate(self, state: &State, node: usize, period: i8) -> bool {
        let is_behind = generation(state.local(node), period) > state.nodes[node].current;
        self == Self::Rotator && is_behind && !state.nodes[node].stalled
    }
}

/// The rotator's step: the table in use becomes the previous one, and all but those two and the next are dropped.
pub(crate) fn rotate(state: &mut State, node: usize, period: i8) {
    let present = generation(state.local(node), period);
    let node = &mut state.nodes[node];
    let kept = [node.current, present, present + 1];
    node.previous = Some(node.current);
    node.current = present;
    // The tables after the next are there from the beginning in the model only.
    let older = state.slots.iter_mut().enumerate().take(present);
    for (_, slot) in older.filter(|(generation, _)| !kept.contains(generation)) {
        *slot = Slot::Dropped;
    }
}

/// A local time before the epoch belongs to the first generation.
pub(crate) fn generation(local: i8, period: i8) -> usize {
    usize::try_from(local.div_euclid(period)).unwrap_or(0)
}
