//! A process: one application node that runs a script of operations, one store access at a time.

use std::sync::Arc;

use holdover_api::{Deadline, Delta, On, Record, Stamp, Stored, Timestamp, Write};
use holdover_layers::failover::{Answer, Ask, Backlog, Chain, Conduct, Seen, Step};

use crate::nodes::NOW;
use crate::spec::{Op, Picture, Ret};

/// What a script says; what it becomes depends on what was loaded before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Act {
    Load,
    Create,
    /// Merges into whatever is there.
    Merge,
    /// Writes on exactly what was loaded last.
    Swap,
    /// Merges, and ends the session as early as it would have ended in the beginning.
    Shorten,
    Touch,
    Delete,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Process {
    /// How many operations of the script have ended.
    pub(crate) done: usize,
    pub(crate) running: Option<Running>,
    /// It was told that nothing can be said: it does nothing more, and what it wanted may or may not happen.
    pub(crate) stuck: bool,
    /// What it has still to write to the tail, behind its last answer.
    pub(crate) follow_up: Option<Backlog>,
    /// The head that was loaded last, as the oracle knows it and as it is.
    pub(crate) loaded: Option<(u8, Stamp)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Running {
    pub(crate) op: Op,
    pub(crate) chain: Chain,
    pub(crate) step: Step,
    /// What has been read so far, of a reading that asks both nodes in either order.
    pub(crate) read: [Option<Seen>; 2],
    pub(crate) rounds: u8,
}

impl Process {
    pub(crate) const NEW: Self = Self { done: 0, running: None, stuck: false, follow_up: None, loaded: None };
}

/// Stamps of touches are above those of writes.
const TOUCHES: u8 = 100;

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

fn write(on: On, number: u8, until: u8) -> Write {
    let mut delta = Delta::default();
    delta.set(number.to_string(), "");
    Write { on, delta, stamp: stamp(number), deadline: Deadline::AtLeast(moment(until)), base: None }
}

pub(crate) fn first_record() -> Stored {
    let write = write(On::Absent { created: NOW }, 0, 0);
    Stored::Record(Record::first(&write.delta, write.stamp, NOW, moment(0)))
}

/// What the script's operation is for the oracle; nothing if it makes no sense after what was loaded.
pub(crate) fn op(act: Act, process: usize, operation: usize, loaded: Option<u8>) -> Option<Op> {
    let number = number(process, operation);
    // Later operations ask for later deadlines, and other processes for others.
    let until = number;
    Some(match act {
        Act::Load => Op::Load,
        Act::Create => Op::Create { number, until },
        Act::Merge => Op::Merge { number, until },
        Act::Swap => Op::Swap { expected: loaded?, number, until },
        Act::Shorten => Op::Shorten { number, until: 0 },
        Act::Touch => Op::Touch { until },
        Act::Delete => Op::Delete,
    })
}

/// `head` is what was loaded last.
pub(crate) fn chain(op: Op, delete_stamp: u8, head: Stamp, conduct: Conduct) -> Chain {
    let ask = match op {
        Op::Load => Ask::Load,
        Op::Create { number, until } => {
            Ask::Save(Arc::new(write(On::Absent { created: NOW }, number, until)))
        }
        Op::Merge { number, until } => Ask::Save(Arc::new(write(On::Live, number, until))),
        Op::Shorten { number, until } => {
            let deadline = Deadline::Exactly(moment(until));
            Ask::Save(Arc::new(Write { deadline, ..write(On::Live, number, until) }))
        }
        Op::Swap { number, until, .. } => Ask::Save(Arc::new(write(On::Head(head), number, until))),
        Op::Touch { until } => Ask::Touch(moment(until), stamp(TOUCHES + until)),
        Op::Delete => Ask::Delete(stamp(delete_stamp)),
    };
    Chain::new(ask, conduct)
}

/// The answer as the oracle knows it; nothing where nothing could be said.
pub(crate) fn ret(answer: &Answer) -> Option<Ret> {
    Some(match answer {
        Answer::Found(found, _) => Ret::Found(found.as_deref().map(picture)),
        Answer::Saved(_) => Ret::Saved,
        Answer::Conflict(_) => Ret::Conflict,
        Answer::Gone => Ret::Gone,
        Answer::Touched(touched) => Ret::Touched(*touched),
        Answer::Deleted => Ret::Deleted,
        Answer::Unavailable | Answer::Unknown => return None,
        Answer::Installed | Answer::Refused(_) => unreachable!("nobody installs"),
    })
}

fn picture(stored: &Stored) -> Picture {
    let Stored::Record(record) = stored else { unreachable!("a load finds records") };
    let numbers = record.attributes.keys().filter_map(|name| name.parse::<u8>().ok());
    let until = u8::try_from(record.deadline.since(moment(0)).as_millis()).expect("a small number");
    // A touch that left a mark is none of the oracle's writes.
    let writes = record.lineage.stamps().iter().map(|stamp| stamp.as_bytes()[0]);
    let head = writes.into_iter().find(|number| *number < TOUCHES).expect("the first write is remembered");
    Picture { head, writes: numbers.map(|number| 1 << number).sum(), until }
}
