//! One operation, from access to access. No I/O, no clock, no randomness: the model checker runs these very steps.

use std::sync::Arc;

use holdover_api::{On, Stamp, Standing, Stored, Timestamp};

use super::words::{Answer, Ask, Bearings, Change, Held, Outcome, Request, Sight, Sighting, Step};
use crate::Generation;

/// So often an operation may begin anew: because a table is gone, an answer was lost, or others came between.
const ROUNDS: u8 = 8;

/// One operation under way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Carry {
    pub(super) request: Request,
    pub(super) bearings: Bearings,
    phase: Phase,
    rounds: u8,
    /// The operation has taken effect, once: what remains is to see it carried. With the head before it.
    pub(super) committed: Option<Option<Stamp>>,
    pub(super) wrote: bool,
    /// Of the record that it may have written to unseen, how many writes there had been then, if that was known.
    pub(super) writes_before: Option<u64>,
}

/// What was asked last, and why.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Phase {
    /// Reads table after table.
    Scan {
        position: usize,
        strongly: bool,
    },
    /// Reads one table. What is put there if it is empty, where a seal points to it.
    Look {
        table: Generation,
        sealed: Option<Arc<Stored>>,
    },
    /// Changes what a table holds; or seals it.
    Change {
        table: Generation,
        to: Option<Generation>,
    },
    /// Puts what was sealed where the seal says.
    Carry {
        to: Generation,
        sealed: Arc<Stored>,
    },
    /// Leaves a note in the common table, sealed, of what is put where nothing is.
    Reserve {
        to: Generation,
        new: Arc<Stored>,
    },
    /// Puts something where nothing is.
    Plant {
        table: Generation,
    },
    /// Puts something in the place of what was seen; or seals that as something else.
    Replace {
        table: Generation,
        carried: Option<(Generation, Arc<Stored>)>,
    },
    Raze {
        table: Generation,
    },
    Refresh,
}

impl Carry {
    /// An operation and the first thing that it asks.
    ///
    /// No deadline may be later than the tables that are read last, which is for the schedule to refuse.
    pub fn begin(request: Request, bearings: Bearings) -> (Self, Step) {
        let phase = Phase::Refresh;
        let rounds = ROUNDS;
        let mut carry =
            Self { request, bearings, phase, rounds, committed: None, wrote: false, writes_before: None };
        if let Request::Save(write) = &carry.request {
            carry.writes_before = write.base.as_ref().map(|base| base.record.lineage.writes());
        }
        let step = carry.start();
        (carry, step)
    }

    /// The operation's one reading of the clock; a refresh reads it anew.
    pub const fn now(&self) -> Timestamp {
        self.bearings.now
    }

    /// Whether it has written something in its own name, or may have: if it ends in an error, its effect is unknown.
    pub const fn wrote(&self) -> bool {
        self.wrote
    }

    /// Goes on from what came of what was asked.
    pub fn answered(&mut self, answer: Answer) -> Step {
        let phase = std::mem::replace(&mut self.phase, Phase::Refresh);
        match (phase, answer) {
            (Phase::Refresh, Answer::Bearings(bearings)) => {
                self.bearings = bearings;
                self.start()
            }
            (Phase::Refresh, _) | (_, Answer::Bearings(_)) => Step::Done(Outcome::Mismatch),
            // A table that should be there is not: never a miss. The session may have been carried on meanwhile.
            (_, Answer::NoTable) => self.again(|carry| carry.ask(Phase::Refresh, Ask::Refresh)),
            (Phase::Scan { position, strongly }, Answer::Found(found)) => {
                self.scanned(position, strongly, found)
            }
            (Phase::Look { table, .. }, Answer::Found(Some(held))) => self.found(table, held),
            (Phase::Look { table, sealed: Some(sealed) }, Answer::Found(None)) => self.carry(table, sealed),
            (Phase::Look { .. }, Answer::Found(None)) => self.again(Self::scan),
            (Phase::Change { to: None, .. }, Answer::Changed(previous)) => self.ended(previous),
            (Phase::Change { to: Some(to), .. }, Answer::Sealed(sealed)) => {
                let previous = sealed.lineage().before(sealed.head());
                self.commit(previous);
                self.carry(to, sealed)
            }
            (Phase::Carry { to, sealed }, Answer::Changed(_)) => self.found(to, Held::Stored(sealed)),
            (Phase::Reserve { to, new }, Answer::Changed(_)) => {
                self.wrote = true;
                self.put_new(to, new)
            }
            (Phase::Plant { .. }, Answer::Changed(_)) => self.ended(None),
            (Phase::Raze { table }, Answer::Changed(_)) => self.razed(table),
            (Phase::Replace { carried: None, .. }, Answer::Changed(_)) => self.ended(None),
            (Phase::Replace { carried: Some((to, new)), .. }, Answer::Changed(_)) => {
                self.commit(None);
                self.carry(to, new)
            }
            (phase, Answer::Refused(sight)) => self.refused(&phase, sight),
            (phase, Answer::Lost) => self.lost(phase),
            _ => Step::Done(Outcome::Mismatch),
        }
    }

    fn start(&mut self) -> Step {
        let is_known = |table: &Generation| self.bearings.read.contains(table);
        let write = self.bearings.write;
        match &self.request {
            Request::Load { at_least: Some(_) } => self.read_next(0, false),
            Request::Load { .. } | Request::Inspect | Request::Install { .. } => self.scan(),
            Request::Save(write) if matches!(write.on, On::Absent { .. }) => self.scan(),
            // Where it was read it most likely still is. The conditions make it safe to be wrong.
            Request::Save(stamped) => {
                let token = stamped.base.as_ref().and_then(|base| base.token.as_ref());
                let hint = token.and_then(|token| token.get::<Generation>()).copied().filter(is_known);
                let change = Change::Write(stamped.clone());
                self.change(hint.unwrap_or(write), change)
            }
            Request::Touch(deadline) => {
                let change = Change::Touch(*deadline);
                self.change(write, change)
            }
            Request::Delete { stamp, .. } => {
                let change = Change::Bury(*stamp);
                self.change(write, change)
            }
        }
    }

    fn ask(&mut self, phase: Phase, ask: Ask) -> Step {
        self.phase = phase;
        Step::Ask(ask)
    }

    /// Begins a new round, if there is one left.
    fn again(&mut self, go: impl FnOnce(&mut Self) -> Step) -> Step {
        let Some(rounds) = self.rounds.checked_sub(1) else {
            return Step::Done(Outcome::Unavailable);
        };
        self.rounds = rounds;
        go(self)
    }

    fn scan(&mut self) -> Step {
        self.read_next(0, true)
    }

    fn read_next(&mut self, position: usize, strongly: bool) -> Step {
        let tables = Arc::clone(&self.bearings.read);
        let next = tables.iter().enumerate().skip(position).find(|(_, table)| !self.is_met_later(**table));
        match next {
            Some((position, table)) => {
                self.ask(Phase::Scan { position, strongly }, Ask::Read { table: *table, strongly })
            }
            None if strongly => self.absent(),
            None => self.scan(),
        }
    }

    /// Whether a create need not read this table, because what it writes is refused if anything is there.
    fn is_met_later(&self, table: Generation) -> bool {
        let creates = matches!(&self.request, Request::Save(write) if matches!(write.on, On::Absent { .. }));
        creates && (table == self.bearings.write || table == self.bearings.common)
    }

    fn scanned(&mut self, position: usize, strongly: bool, found: Option<Held>) -> Step {
        let table = self.bearings.read.get(position).copied();
        match (found, table) {
            (None, _) => self.read_next(position + 1, strongly),
            (Some(held), Some(table)) if strongly => self.found(table, held),
            (Some(held), Some(table)) => self.found_cheaply(table, held),
            (Some(_), None) => Step::Done(Outcome::Mismatch),
        }
    }

    /// An eventually consistent read counts if it holds the write that was asked for. A sealed copy does not, whatever it
    /// holds: it may have been history for long, and a copy that lags has been for moments.
    fn found_cheaply(&mut self, table: Generation, held: Held) -> Step {
        let Request::Load { at_least: Some(stamp) } = self.request else {
            return self.scan();
        };
        match held {
            Held::Stored(stored)
                if stored.lineage().contains(stamp) && stored.as_live(self.now()).is_some() =>
            {
                Step::Done(Outcome::Found(Some(Sighting { table, stored })))
            }
            _ => self.scan(),
        }
    }

    /// Goes on from what a table holds: by I1 that is the session, or the way to it.
    fn found(&mut self, table: Generation, held: Held) -> Step {
        match held {
            Held::Stored(stored) => self.over(table, stored),
            // A seal leads to a newer table, or there would be no end.
            Held::Sealed { to, .. } if to <= table => Step::Done(Outcome::Corrupt),
            Held::Sealed { to, stored } => {
                self.recognise(&stored);
                let ask = Ask::Read { table: to, strongly: true };
                self.ask(Phase::Look { table: to, sealed: Some(stored) }, ask)
            }
            Held::Unreadable => match &self.request {
                Request::Delete { stamp, bury_absent } => {
                    let deadline = bury_absent.unwrap_or(self.now());
                    let held = Held::Stored(Arc::new(Self::history_less(*stamp, deadline)));
                    self.ask(Phase::Raze { table }, Ask::Raze { table, held })
                }
                _ => Step::Done(Outcome::Corrupt),
            },
        }
    }

    /// Puts what was sealed where the seal says, whoever sealed it (I2: everybody puts the same).
    fn carry(&mut self, to: Generation, sealed: Arc<Stored>) -> Step {
        if self.request == Request::Inspect {
            return Step::Done(Outcome::Found(Some(Sighting { table: to, stored: sealed })));
        }
        let ask = Ask::Put { table: to, over: None, held: Held::Stored(Arc::clone(&sealed)) };
        self.ask(Phase::Carry { to, sealed }, ask)
    }

    /// Changes what `table` holds, if it still holds it. What is in an older table than new sessions go to moves.
    pub(super) fn change(&mut self, table: Generation, change: Change) -> Step {
        let to = self.bearings.write;
        // A burial stays where it is: the tombstone has to last no longer than the session would have.
        if table >= to || matches!(change, Change::Bury(_)) {
            return self.ask(Phase::Change { table, to: None }, Ask::Change { table, change });
        }
        self.ask(Phase::Change { table, to: Some(to) }, Ask::Seal { table, to, change })
    }

    /// Puts `new` in the place of exactly what was seen in `table`.
    pub(super) fn replace(&mut self, table: Generation, over: Standing, new: Arc<Stored>) -> Step {
        let to = self.bearings.write;
        // What ends no later than what was there needs no younger table.
        if table >= to || new.deadline() <= over.deadline {
            let held = Held::Stored(new);
            return self
                .ask(Phase::Replace { table, carried: None }, Ask::Put { table, over: Some(over), held });
        }
        let held = Held::Sealed { to, stored: Arc::clone(&new) };
        self.ask(
            Phase::Replace { table, carried: Some((to, new)) },
            Ask::Put { table, over: Some(over), held },
        )
    }

    /// Puts `new` where nothing was found. Others may do so at the same time, or an earlier attempt may still arrive:
    /// whoever writes to a newer table than they might passes by theirs first.
    pub(super) fn plant(&mut self, table: Generation, new: Arc<Stored>) -> Step {
        let common = self.bearings.common;
        if common >= table {
            return self.put_new(table, new);
        }
        let held = Held::Sealed { to: table, stored: Arc::clone(&new) };
        self.ask(Phase::Reserve { to: table, new }, Ask::Put { table: common, over: None, held })
    }

    fn put_new(&mut self, table: Generation, new: Arc<Stored>) -> Step {
        self.ask(Phase::Plant { table }, Ask::Put { table, over: None, held: Held::Stored(new) })
    }

    /// What could not be read may have been a seal: the session is then in a newer table.
    fn razed(&mut self, table: Generation) -> Step {
        self.wrote = true;
        if self.bearings.read.first() == Some(&table) { self.ended(None) } else { self.again(Self::scan) }
    }

    fn refused(&mut self, phase: &Phase, sight: Sight) -> Step {
        let Some(table) = self.written_table(phase) else {
            return Step::Done(Outcome::Mismatch);
        };
        match (sight, phase) {
            // Somebody else has carried it, and the session may have gone through more since.
            (_, Phase::Carry { .. }) if self.committed.is_some() && self.wrote => self.finished(),
            (Sight::Held(held), _) if self.rounds > 0 => {
                // A refusal by what does not refuse would otherwise be asked for ever.
                self.rounds -= 1;
                self.found(table, held)
            }
            (Sight::Held(_), _) => Step::Done(Outcome::Unavailable),
            (Sight::Unseen, Phase::Carry { sealed, .. }) => {
                let sealed = Some(Arc::clone(sealed));
                self.again(|carry| carry.look(table, sealed))
            }
            (Sight::Unseen, _) => self.again(|carry| carry.look(table, None)),
            // That was as good as reading the newest table.
            (Sight::Nothing, _) if self.bearings.read.first() == Some(&table) => {
                self.again(|carry| carry.read_next(1, true))
            }
            (Sight::Nothing, _) => self.again(Self::scan),
        }
    }

    /// The answer to a write is lost: look whether it has happened (R14).
    fn lost(&mut self, phase: Phase) -> Step {
        let Some(table) = self.written_table(&phase) else {
            return Step::Done(Outcome::Mismatch);
        };
        if let Phase::Carry { sealed, .. } = phase {
            return self.again(|carry| carry.look(table, Some(sealed)));
        }
        self.wrote = true;
        self.again(|carry| carry.look(table, None))
    }

    fn look(&mut self, table: Generation, sealed: Option<Arc<Stored>>) -> Step {
        self.ask(Phase::Look { table, sealed }, Ask::Read { table, strongly: true })
    }

    /// The table that a phase writes to.
    fn written_table(&self, phase: &Phase) -> Option<Generation> {
        match phase {
            Phase::Scan { .. } | Phase::Look { .. } | Phase::Refresh => None,
            Phase::Change { table, .. }
            | Phase::Plant { table }
            | Phase::Replace { table, .. }
            | Phase::Raze { table } => Some(*table),
            Phase::Carry { to, .. } => Some(*to),
            Phase::Reserve { .. } => Some(self.bearings.common),
        }
    }

    fn commit(&mut self, previous: Option<Stamp>) {
        self.wrote = true;
        self.committed = Some(previous);
    }
}
