//! What one session promises, as a sequential object: the oracle.

use stateright::semantics::SequentialSpec;

/// Operations as the oracle sees them. Writes are known by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Op {
    Load,
    /// A load to which any copy will do that holds the write of this number.
    LoadSince(u8),
    Inspect,
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
    /// Installs a record where nothing is.
    Implant {
        number: u8,
        until: u8,
    },
    /// Installs a tombstone over exactly what was loaded.
    Bury {
        expected: Option<(u8, u8)>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Ret {
    Found(Option<Picture>),
    Saved,
    Conflict,
    Gone,
    Touched(bool),
    Deleted,
    Installed,
    Refused,
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

    pub(crate) const fn holds(self, number: u8) -> bool {
        self.writes & 1 << number != 0
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

    fn invoke(&mut self, op: &Op) -> Ret {
        match (*op, *self) {
            (Op::Load | Op::LoadSince(_) | Op::Inspect, Self::Live(picture)) => Ret::Found(Some(picture)),
            (Op::Load | Op::LoadSince(_) | Op::Inspect, _) => Ret::Found(None),
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
            (Op::Implant { number, until }, Self::Unborn) => {
                *self = Self::Live(Picture::first(number, until));
                Ret::Installed
            }
            (Op::Bury { expected: Some((head, until)) }, Self::Live(picture))
                if (head, until) == (picture.head, picture.until) =>
            {
                *self = Self::Dead;
                Ret::Installed
            }
            (Op::Implant { .. } | Op::Bury { .. }, _) => Ret::Refused,
        }
    }
}
