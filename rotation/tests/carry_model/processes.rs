//! A process: one application node's request, which runs a script of operations, one access to a table at a time.

use std::sync::Arc;

use holdover_api::{
    Deadline, Delta, Lineage, Loaded, On, Record, Stamp, Stored, Timestamp, Token, Tombstone, Write,
};
use holdover_rotation::carry::{Ask, Carry, Outcome, Request, Sighting};

use crate::spec::{Op, Picture, Ret};
use crate::tables::NOW;

/// What a script says; what it becomes depends on what was loaded before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Act {
    Load,
    /// Any copy will do that holds the process's own last write.
    LoadSince,
    Inspect,
    Create,
    /// Merges into whatever is there; goes to where the session was read, if it was.
    Merge,
    /// Writes on exactly what was loaded last.
    Swap,
    /// Merges, and ends the session as early as it would have ended in the beginning.
    Shorten,
    Touch,
    Delete,
    /// Installs a record where nothing is.
    Implant,
    /// Installs a tombstone over exactly what was loaded.
    Bury,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Process {
    /// The application node, whose clock it reads.
    pub(crate) node: usize,
    /// How many operations of the script have ended.
    pub(crate) done: usize,
    pub(crate) running: Option<Running>,
    /// It has died, or was told that nothing can be said: what it wanted may or may not happen.
    pub(crate) stopped: Option<Stopped>,
    /// What was loaded last.
    pub(crate) loaded: Option<Sighting>,
    /// The number of its last write.
    pub(crate) wrote: Option<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Stopped {
    Died,
    GaveUp,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Running {
    pub(crate) op: Op,
    pub(crate) carry: Carry,
    pub(crate) ask: Ask,
    /// What had been acknowledged when it began.
    pub(crate) known: Known,
    /// Where the clock stood when it began.
    pub(crate) begun_at: usize,
}

/// What has been acknowledged: bits of writes, and whether the session has been destroyed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Known {
    pub(crate) writes: u32,
    pub(crate) destroyed: bool,
}

impl Process {
    pub(crate) const fn new(node: usize) -> Self {
        Self { node, done: 0, running: None, stopped: None, loaded: None, wrote: None }
    }
}

/// The number of the write that process `process` makes with its operation `operation`; zero is the first record.
pub(crate) fn number(process: usize, operation: usize) -> u8 {
    u8::try_from(1 + process * 4 + operation).expect("few operations")
}

pub(crate) fn stamp(number: u8) -> Stamp {
    Stamp::from_bytes([number; 16])
}

pub(crate) fn moment(until: u8) -> Timestamp {
    Timestamp::from_millis(NOW.as_millis() + 10 + u64::from(until))
}

fn write(on: On, number: u8, deadline: Deadline) -> Write {
    let mut delta = Delta::default();
    delta.set(number.to_string(), "");
    Write { on, delta, stamp: stamp(number), deadline, base: None }
}

pub(crate) fn record(number: u8) -> Stored {
    let write = write(On::Absent { created: NOW }, number, Deadline::AtLeast(moment(number)));
    Stored::Record(Record::first(&write.delta, write.stamp, NOW, moment(number)))
}

impl Process {
    /// What the script's operation is for the oracle; nothing if it makes no sense after what was loaded.
    pub(crate) fn op(&self, act: Act, process: usize) -> Option<Op> {
        let number = number(process, self.done);
        // Later operations ask for later deadlines, and other processes for others.
        let until = number;
        let loaded = self.loaded.as_ref();
        Some(match act {
            Act::Load => Op::Load,
            Act::LoadSince => Op::LoadSince(self.wrote?),
            Act::Inspect => Op::Inspect,
            Act::Create => Op::Create { number, until },
            Act::Merge => Op::Merge { number, until },
            Act::Swap => Op::Swap { expected: loaded?.stored.head().as_bytes()[0], number, until },
            Act::Shorten => Op::Shorten { number, until: 0 },
            Act::Touch => Op::Touch { until },
            Act::Delete => Op::Delete,
            Act::Implant => Op::Implant { number, until },
            Act::Bury => Op::Bury {
                expected: loaded.map(|sighting| picture(&sighting.stored)).map(|p| (p.head, p.until)),
            },
        })
    }

    /// The operation as the carry is asked for it.
    pub(crate) fn request(&self, op: Op, process: usize, buries_absent: bool) -> Request {
        let spare = stamp(number(process, self.done));
        let standing = || self.loaded.as_ref().map(|sighting| sighting.stored.standing());
        match op {
            Op::Load => Request::Load { at_least: None },
            Op::LoadSince(number) => Request::Load { at_least: Some(stamp(number)) },
            Op::Inspect => Request::Inspect,
            Op::Create { number, until } => {
                self.save(On::Absent { created: NOW }, number, Deadline::AtLeast(moment(until)))
            }
            Op::Merge { number, until } => self.save(On::Live, number, Deadline::AtLeast(moment(until))),
            Op::Shorten { number, until } => self.save(On::Live, number, Deadline::Exactly(moment(until))),
            Op::Swap { expected, number, until } => {
                self.save(On::Head(stamp(expected)), number, Deadline::AtLeast(moment(until)))
            }
            Op::Touch { until } => Request::Touch(moment(until)),
            Op::Delete => Request::Delete { stamp: spare, bury_absent: buries_absent.then(|| moment(200)) },
            Op::Implant { number, .. } => Request::Install { over: None, new: Arc::new(record(number)) },
            Op::Bury { .. } => Request::Install { over: standing(), new: Arc::new(self.tombstone(spare)) },
        }
    }

    fn save(&self, on: On, number: u8, deadline: Deadline) -> Request {
        Request::save(&Write { base: self.base(), ..write(on, number, deadline) })
    }

    fn base(&self) -> Option<Loaded> {
        let Sighting { table, stored } = self.loaded.clone()?;
        let Stored::Record(record) = &*stored else { unreachable!("a load finds records") };
        Some(Loaded { record: Arc::new(record.clone()), token: Some(Token::new(table)) })
    }

    /// It stands for longer than the session would have, so that it has to move.
    fn tombstone(&self, stamp: Stamp) -> Stored {
        let lineage = self.loaded.as_ref().map(|sighting| sighting.stored.lineage().pushed(stamp));
        let lineage = lineage.unwrap_or_else(|| Lineage::new(stamp));
        Stored::Tombstone(Tombstone { lineage, deadline: moment(200) })
    }
}

/// The answer as the oracle knows it; nothing where nothing could be said.
pub(crate) fn ret(outcome: &Outcome) -> Option<Ret> {
    Some(match outcome {
        Outcome::Found(found) => {
            let record = found.as_ref().filter(|found| matches!(*found.stored, Stored::Record(_)));
            Ret::Found(record.map(|found| picture(&found.stored)))
        }
        Outcome::Saved(_) => Ret::Saved,
        Outcome::Conflict(_) => Ret::Conflict,
        Outcome::Gone => Ret::Gone,
        Outcome::Touched(touched) => Ret::Touched(*touched),
        Outcome::Deleted => Ret::Deleted,
        Outcome::Installed => Ret::Installed,
        Outcome::Refused(_) => Ret::Refused,
        Outcome::Unavailable | Outcome::Unknown => return None,
        Outcome::Corrupt | Outcome::Mismatch => unreachable!("{outcome:?}"),
    })
}

pub(crate) fn picture(stored: &Stored) -> Picture {
    let Stored::Record(record) = stored else { unreachable!("a picture of a record") };
    let numbers = record.attributes.keys().filter_map(|name| name.parse::<u8>().ok());
    let until = u8::try_from(record.deadline.since(moment(0)).as_millis()).expect("a small number");
    Picture { head: record.head().as_bytes()[0], writes: numbers.map(|number| 1 << number).sum(), until }
}

/// The stamp of the write that a request makes, if it is one.
pub(crate) fn own(op: Op) -> Option<Stamp> {
    match op {
        Op::Create { number, .. }
        | Op::Merge { number, .. }
        | Op::Shorten { number, .. }
        | Op::Swap { number, .. } => Some(stamp(number)),
        _ => None,
    }
}
