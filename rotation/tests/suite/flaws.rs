//! What a store, or the keeper of its tables, may do wrong: one thing each.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use holdover_api::{Lineage, Record, SessionKey, Stamp, Stored, Timestamp};
use holdover_rotation::carry::{Answer, Ask, Bearings, Change, Held, Sight, perform};
use holdover_rotation::{Generation, Rules, Schedule};

use crate::store::Store;
use crate::world::schedule;

/// One ingredient that is missing, or one habit of an ancestor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    Nothing,
    /// A move puts a copy into the new table over whatever is there, and leaves the old one as it is.
    MovesByBlindPut,
    /// A touch brings the copy of the oldest table that has one to where its clock looks.
    TouchCarriesOldCopy,
    /// A touch creates what it does not find.
    TouchLeavesHusk,
    /// A touch extends the session where it lies, in whatever table.
    TouchStaysBehind,
    /// A move keeps what was there, without the write that it was for.
    MoveForgetsWrite,
    /// A move counts as a write.
    MoveIsWrite,
    /// A logout looks only into the table that its clock shows, and believes what it finds.
    LogoutWhereClockLooks,
    /// A logout removes the session and leaves nothing.
    NoTombstone,
    /// What was sealed is put into the new table over whatever has come there meanwhile.
    CarriesBlindly,
    /// Whoever completes another's move writes to the session.
    HelpIsWrite,
    /// A table that is not there is an empty one.
    GoneIsEmpty,
    /// The table is chosen by one look at the clock, the deadline by another.
    TwoLooksAtTheClock,
    /// What was sealed and not carried is not there.
    NoHelp,
    /// Only the table that is written to is read.
    NoLookBehind,
    /// Tables newer than the node's own are not read, and seals into them not followed.
    NoReadAhead,
    /// Where the table is gone, what was loaded from it is carried on all the same.
    LoadedIsEnough,
    /// Any lease is accepted.
    AnyLease,
    /// Every touch and every save in place is made twice.
    WritesTwice,
    /// A node keeps the tables that it remembers, and drops the rest.
    KeepsByOwnHistory,
    /// The node's own clock is taken for the server's.
    NoClockGuard,
    /// Tables are dropped as soon as they are not written to any more.
    DropsAtOnce,
    /// A table that came late counts as if it had come in time.
    LatenessIgnored,
    /// A table that is being created counts as one that is there.
    CreatedIsReady,
    /// No table is ever dropped.
    NeverDrops,
    /// Tables newer than the node's own are overlooked when there are tables to be made.
    TablesBelowTheNewest,
    /// A list that is refused is an empty one.
    RefusedListIsEmpty,
    /// The first page of the list is all of it.
    FirstPageAlone,
    /// That another node was faster is a failure.
    SlowerIsFailure,
    /// Whatever begins like the store's own tables is dropped with them.
    PrefixIsEnough,
    /// Writes go to the table of the present period, whether it is there or not.
    WritesByTheClock,
}

/// Each flaw, and the cases that were made for it.
pub(crate) const ALL: &[(Flaw, &[&str])] = &[
    (Flaw::MovesByBlindPut, &["ROT-06", "ROT-07", "ROT-08", "ROT-36"]),
    (Flaw::TouchCarriesOldCopy, &["ROT-05"]),
    (Flaw::TouchLeavesHusk, &["ROT-03"]),
    (Flaw::TouchStaysBehind, &["ROT-01"]),
    (Flaw::MoveForgetsWrite, &["ROT-04", "ROT-14"]),
    (Flaw::MoveIsWrite, &["ROT-16"]),
    (Flaw::LogoutWhereClockLooks, &["ROT-11", "ROT-12"]),
    (Flaw::NoTombstone, &["ROT-13", "ROT-36"]),
    (Flaw::CarriesBlindly, &["ROT-06", "ROT-12", "ROT-13", "ROT-15"]),
    (Flaw::HelpIsWrite, &["ROT-15"]),
    (Flaw::GoneIsEmpty, &["ROT-17"]),
    (Flaw::TwoLooksAtTheClock, &["ROT-25"]),
    (Flaw::NoHelp, &["ROT-14"]),
    (Flaw::NoLookBehind, &["ROT-19"]),
    (Flaw::NoReadAhead, &["ROT-09", "ROT-10", "ROT-22"]),
    (Flaw::LoadedIsEnough, &["ROT-18"]),
    (Flaw::AnyLease, &["ROT-23"]),
    (Flaw::WritesTwice, &["ROT-34"]),
    (Flaw::KeepsByOwnHistory, &["ROT-20"]),
    (Flaw::NoClockGuard, &["ROT-21"]),
    (Flaw::DropsAtOnce, &["ROT-24", "ROT-26"]),
    (Flaw::LatenessIgnored, &["ROT-35"]),
    (Flaw::NeverDrops, &["ROT-02", "ROT-27"]),
    (Flaw::TablesBelowTheNewest, &["ROT-33"]),
    (Flaw::RefusedListIsEmpty, &["ROT-30"]),
    (Flaw::FirstPageAlone, &["ROT-31"]),
    (Flaw::SlowerIsFailure, &["ROT-29"]),
    (Flaw::PrefixIsEnough, &["ROT-32"]),
    (Flaw::WritesByTheClock, &["ROT-28"]),
    (Flaw::CreatedIsReady, &["ROT-28"]),
];

impl Flaw {
    /// The schedule that the keeper follows.
    pub(crate) fn schedule_of_keeper(self) -> Schedule {
        let rules = *schedule().rules();
        match self {
            Self::DropsAtOnce => {
                let rules = Rules { max_lease: Duration::from_secs(1), grace: Duration::ZERO, ..rules };
                Schedule::new(rules).expect("the rules agree, too")
            }
            _ => schedule(),
        }
    }

    /// What an operation knows.
    pub(crate) fn bearings(self, mut bearings: Bearings, present: Generation) -> Bearings {
        match self {
            Self::NoLookBehind => bearings.read = Arc::new([bearings.write]),
            Self::NoReadAhead => {
                bearings.read = bearings.read.iter().copied().filter(|table| *table <= present).collect();
            }
            Self::WritesByTheClock => {
                bearings.write = present;
                bearings.common = present;
            }
            _ => {}
        }
        bearings
    }

    /// What the store makes of an answer.
    pub(crate) fn answer(self, ask: &Ask, answer: Answer) -> Answer {
        match (self, ask, answer) {
            (Self::NoHelp, Ask::Read { .. }, Answer::Found(Some(Held::Sealed { .. }))) => Answer::Found(None),
            (Self::NoReadAhead, Ask::Read { .. }, Answer::Found(Some(Held::Sealed { stored, .. }))) => {
                Answer::Found(Some(Held::Stored(stored)))
            }
            (Self::NoReadAhead, Ask::Change { .. }, Answer::Refused(Sight::Held(Held::Sealed { .. }))) => {
                Answer::Refused(Sight::Nothing)
            }
            (
                Self::LogoutWhereClockLooks,
                Ask::Change { change: Change::Bury(_), .. },
                Answer::Refused(_),
            ) => Answer::Changed(None),
            (Self::GoneIsEmpty, Ask::Read { .. }, Answer::NoTable) => Answer::Found(None),
            (Self::LoadedIsEnough, Ask::Seal { change: Change::Write(write), .. }, Answer::NoTable) => {
                let loaded = write.base.as_ref().map(|base| Stored::Record(base.record.as_ref().clone()));
                loaded.map_or(Answer::NoTable, |loaded| Answer::Sealed(Arc::new(loaded)))
            }
            (_, _, answer) => answer,
        }
    }
}

/// The same session after one more write.
fn written_to(stored: &Stored) -> Arc<Stored> {
    let mut stored = stored.clone();
    if let Stored::Record(record) = &mut stored {
        record.lineage = record.lineage.pushed(Stamp::from_bytes([0xAA; 16]));
    }
    Arc::new(stored)
}

impl Store {
    /// An access as the flaw makes it; nothing if it makes it as it should be.
    pub(crate) fn flawed_access(&self, key: &SessionKey, now: Timestamp, ask: &Ask) -> Option<Answer> {
        match (self.flaw, ask) {
            (Flaw::MovesByBlindPut | Flaw::TouchCarriesOldCopy, Ask::Seal { table, to, change }) => {
                let moved = self.moved(key, now, *table, *to, change)?;
                self.put(key, *to, Held::Stored(Arc::clone(&moved)));
                Some(Answer::Sealed(moved))
            }
            (Flaw::TouchStaysBehind, Ask::Seal { table, to, change: Change::Touch(deadline) }) => {
                let moved = self.moved(key, now, *table, *to, &Change::Touch(*deadline))?;
                self.put(key, *table, Held::Stored(Arc::clone(&moved)));
                Some(Answer::Sealed(moved))
            }
            // The other half of that: the carried copy is not put anywhere.
            (Flaw::TouchStaysBehind, Ask::Put { over: None, held: Held::Stored(stored), table }) => {
                let elsewhere = self.oldest(key).filter(|(there, _)| there < table)?;
                matches!(&elsewhere.1, Held::Stored(other) if other.head() == stored.head())
                    .then_some(Answer::Changed(None))
            }
            (Flaw::MoveForgetsWrite, Ask::Seal { table, to, change: Change::Write(_) }) => {
                let Held::Stored(before) = self.held(key, *table)? else {
                    return None;
                };
                self.put(key, *table, Held::Sealed { to: *to, stored: Arc::clone(&before) });
                Some(Answer::Sealed(before))
            }
            (Flaw::MoveIsWrite, Ask::Seal { table, to, change }) => {
                let moved = written_to(&*self.moved(key, now, *table, *to, change)?);
                self.put(key, *table, Held::Sealed { to: *to, stored: Arc::clone(&moved) });
                Some(Answer::Sealed(moved))
            }
            (Flaw::TouchCarriesOldCopy, Ask::Change { table, change: Change::Touch(_) }) => {
                let (_, Held::Stored(old) | Held::Sealed { stored: old, .. }) = self.oldest(key)? else {
                    return None;
                };
                self.put(key, *table, Held::Stored(old));
                Some(Answer::Changed(None))
            }
            (Flaw::TouchLeavesHusk, Ask::Change { table, change: Change::Touch(deadline) }) => {
                if self.held(key, *table).is_some() {
                    return None;
                }
                let lineage = Lineage::new(Stamp::from_bytes([0xBB; 16]));
                let husk = Record {
                    attributes: BTreeMap::new().into_iter().collect(),
                    lineage,
                    created: now,
                    deadline: *deadline,
                };
                self.put(key, *table, Held::Stored(Arc::new(Stored::Record(husk))));
                Some(Answer::Changed(None))
            }
            (Flaw::CarriesBlindly, Ask::Put { table, over: None, held: held @ Held::Stored(_) }) => {
                let answer = self.server.access(self.keeper.names(), key, now, ask).ok()?;
                if matches!(answer, Answer::Refused(_)) {
                    self.put(key, *table, held.clone());
                }
                Some(Answer::Changed(None))
            }
            (Flaw::HelpIsWrite, Ask::Put { table, over: None, held: Held::Stored(stored) }) => {
                // Only what was carried is sealed elsewhere.
                self.oldest(key).filter(|(there, _)| there < table)?;
                let held = Held::Stored(written_to(stored));
                let put = Ask::Put { table: *table, over: None, held };
                self.server.access(self.keeper.names(), key, now, &put).ok()
            }
            (Flaw::TwoLooksAtTheClock, Ask::Change { table, change: Change::Touch(_) }) => {
                let later = self.clock.now() + self.schedule.rules().max_lease;
                let change = Ask::Change { table: *table, change: Change::Touch(later) };
                self.server.access(self.keeper.names(), key, now, &change).ok()
            }
            (Flaw::NoTombstone, Ask::Change { table, change: Change::Bury(_) }) => {
                let name = self.keeper.names().name(*table);
                let buried = self.server.with(&name, key, |held| match held {
                    Some(Held::Stored(_)) => (None, true),
                    other => (other, false),
                })?;
                buried.then_some(Answer::Changed(None))
            }
            (Flaw::WritesTwice, Ask::Change { .. }) => {
                // Counted by the server; the second one comes to nothing.
                let _ = self.server.access(self.keeper.names(), key, now, ask);
                None
            }
            _ => None,
        }
    }

    fn held(&self, key: &SessionKey, table: Generation) -> Option<Held> {
        let name = self.keeper.names().name(table);
        self.server.with(&name, key, |held| (held.clone(), held))?
    }

    fn put(&self, key: &SessionKey, table: Generation, held: Held) {
        let name = self.keeper.names().name(table);
        self.server.with(&name, key, |_| (Some(held), ()));
    }

    /// What a move would put into the new table, if it is allowed.
    fn moved(
        &self,
        key: &SessionKey,
        now: Timestamp,
        table: Generation,
        to: Generation,
        change: &Change,
    ) -> Option<Arc<Stored>> {
        let held = self.held(key, table);
        let seal = Ask::Seal { table, to, change: change.clone() };
        match perform(now, held, &seal).1 {
            Answer::Sealed(stored) => Some(stored),
            _ => None,
        }
    }

    /// What the oldest table that has anything of the session holds.
    fn oldest(&self, key: &SessionKey) -> Option<(Generation, Held)> {
        let names = self.keeper.names();
        let tables: Vec<Generation> =
            self.server.names().iter().filter_map(|name| names.generation(name)).collect();
        tables.into_iter().find_map(|table| Some((table, self.held(key, table)?)))
    }

    /// What the flaw does about tables when the keeper has done its part.
    pub(crate) fn flawed_tick(&self) {
        let present = self.schedule.generation(self.clock.now());
        match self.flaw {
            Flaw::KeepsByOwnHistory => {
                let mut remembered = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
                let before = remembered.filter(|before| *before < present);
                if let Some(before) = before {
                    self.drop_except(|generation| generation == before || generation >= present);
                }
                *remembered = Some(present);
            }
            Flaw::PrefixIsEnough => {
                for name in self.server.names() {
                    if name.starts_with("sessions") && self.keeper.names().generation(&name).is_none() {
                        self.server.drop_table(&name);
                    }
                }
            }
            _ => {}
        }
    }

    fn drop_except(&self, keeps: impl Fn(Generation) -> bool) {
        for name in self.server.names() {
            if self.keeper.names().generation(&name).is_some_and(|generation| !keeps(generation)) {
                self.server.drop_table(&name);
            }
        }
    }
}
