//! What one session promises, as a sequential object: the oracle.

use stateright::semantics::SequentialSpec;

/// Operations as the oracle sees them. Writes are known by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Op {
    Load,
    Create {
        number: u8,
        until: u8,
    },
    Merge {
        number: u8,
        until: u8,
    },
    /// A merge that says exactly until when.
    Shorten {
        number: u8,
        until: u8,
    },
    Swap {
        expected: u8,
        number: u8,
        until: u8,
    },
    Touch {
        until: u8,
    },
    Delete,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Ret {
    Found(Option<Picture>),
    Saved,
    Conflict,
    Gone,
    Touched(bool),
    Deleted,
}

/// A record: whose write is newest, which writes it holds, and until when it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Picture {
    pub(crate) head: u8,
    pub(crate) writes: u32,
    pub(crate) until: u8,
}

impl Picture {
    pub(crate) const fn first(number: u8, until: u8) -> Self {
        Self { head: number, writes: 1 << number, until }
    }

    fn after(self, number: u8, until: u8) -> Self {
        Self { head: number, writes: self.writes | 1 << number, until: self.until.max(until) }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Spec {
    Unborn,
    Live(Picture),
    Dead,
}

impl SequentialSpec for Spec {
    type Op = Op;
    type Ret = Ret;

    fn is_valid_step(&mut self, op: &Op, ret: &Ret) -> bool {
        // A touch that only the tail got looks like a write: a compare-and-set may then be refused without need.
        if matches!((op, ret, &*self), (Op::Swap { .. }, Ret::Conflict, Self::Live(_))) {
            return true;
        }
        self.invoke(op) == *ret
    }

    fn invoke(&mut self, op: &Op) -> Ret {
        match (*op, *self) {
            (Op::Load, Self::Live(picture)) => Ret::Found(Some(picture)),
            (Op::Load, _) => Ret::Found(None),
            (Op::Create { number, until }, Self::Unborn) => {
                *self = Self::Live(Picture::first(number, until));
                Ret::Saved
            }
            (Op::Create { .. }, Self::Live(_)) => Ret::Conflict,
            (Op::Swap { expected, .. }, Self::Live(picture)) if picture.head != expected => Ret::Conflict,
            (Op::Merge { number, until } | Op::Swap { number, until, .. }, Self::Live(picture)) => {
                *self = Self::Live(picture.after(number, until));
                Ret::Saved
            }
            (Op::Shorten { number, until }, Self::Live(picture)) => {
                *self = Self::Live(Picture { until, ..picture.after(number, until) });
                Ret::Saved
            }
            (Op::Create { .. } | Op::Merge { .. } | Op::Swap { .. } | Op::Shorten { .. }, _) => Ret::Gone,
            (Op::Touch { until }, Self::Live(picture)) => {
                *self = Self::Live(Picture { until: picture.until.max(until), ..picture });
                Ret::Touched(true)
            }
            (Op::Touch { .. }, _) => Ret::Touched(false),
            (Op::Delete, Self::Live(_) | Self::Dead) => {
                *self = Self::Dead;
                Ret::Deleted
            }
            (Op::Delete, Self::Unborn) => Ret::Deleted,
        }
    }
}
