//! Tables: what they hold, and how a broken store would treat them.

use std::sync::Arc;

use holdover_api::{Attributes, Lineage, Record, Stamp, Stored, Timestamp};
use holdover_rotation::Generation;
use holdover_rotation::carry::{Answer, Ask, Held, Sight, perform};

/// How many tables there are in a world.
pub(crate) const TABLES: usize = 3;

/// The time, which stands still: whatever a deadline says lies ahead.
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_000);

/// One ingredient that is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Twist {
    Nothing,
    /// A burial removes what it should bury.
    NoTombstone,
    /// What is carried is not sealed.
    NoSeal,
    /// A move counts as a write.
    BumpOnMove,
    /// The older tables are read first.
    OldestFirst,
    /// What is carried is put over whatever is there.
    UnconditionalCarry,
    /// A table that is gone holds nothing.
    GoneIsEmpty,
    /// A table is dropped although what it holds was sealed and not carried.
    NoGrace,
    /// Only the own table and the one before are read.
    NoLookBehind,
    /// Tables newer than the own are not read.
    NoReadAhead,
    /// Nor does a login leave a note in the table before.
    NoReadAheadNorNote,
    /// The seal keeps the newest stamp only.
    LineageNotCarried,
    /// The seal keeps no attributes.
    EmptySeal,
    /// What is sealed is nothing.
    SealIsNothing,
    /// What is sealed can still be changed.
    SealIsOpen,
    /// A write does not ask whether it has happened before.
    StampNotLookedFor,
    /// Nobody meets anybody before he puts something where nothing is.
    NoCommonTable,
    /// A tombstone that was left where nothing was found is not asked for.
    NoTombstoneWhenAbsent,
}

/// One table of the world.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Table {
    pub(crate) dropped: bool,
    pub(crate) held: Option<Held>,
    /// What it held before, oldest first: what an eventually consistent read may still answer. Kept only where asked for.
    pub(crate) past: Vec<Option<Held>>,
}

impl Table {
    pub(crate) const EMPTY: Self = Self { dropped: false, held: None, past: Vec::new() };

    pub(crate) fn stored(&self) -> Option<&Arc<Stored>> {
        match &self.held {
            Some(Held::Stored(stored)) => Some(stored),
            _ => None,
        }
    }

    pub(crate) fn sealed(&self) -> Option<(usize, &Arc<Stored>)> {
        match &self.held {
            Some(Held::Sealed { to, stored }) => Some((index(*to), stored)),
            _ => None,
        }
    }

    /// `own` is the stamp of the write that is asked for.
    pub(crate) fn answer(&mut self, ask: &Ask, twist: Twist, own: Option<Stamp>, remembers: bool) -> Answer {
        if self.dropped {
            return match (twist, ask) {
                (Twist::GoneIsEmpty, Ask::Read { .. }) => Answer::Found(None),
                (Twist::GoneIsEmpty, _) => Answer::Refused(Sight::Nothing),
                _ => Answer::NoTable,
            };
        }
        let before = self.held.clone();
        let (held, answer) = twisted(before.clone(), ask, twist, own);
        self.held = held;
        if remembers && self.held != before {
            self.past.push(before);
        }
        answer
    }
}

pub(crate) fn index(table: Generation) -> usize {
    usize::try_from(table.number()).expect("few tables")
}

fn twisted(held: Option<Held>, ask: &Ask, twist: Twist, own: Option<Stamp>) -> (Option<Held>, Answer) {
    let shown = match (twist, &held) {
        (Twist::SealIsOpen, Some(Held::Sealed { to, stored })) if matches!(ask, Ask::Change { .. }) => {
            return sealed_and_changed(*to, stored, ask);
        }
        (Twist::StampNotLookedFor, Some(Held::Stored(stored))) => {
            Some(Held::Stored(without_stamp(stored, own)))
        }
        (Twist::UnconditionalCarry, _)
            if matches!(ask, Ask::Put { over: None, held: Held::Stored(_), .. }) =>
        {
            None
        }
        _ => held.clone(),
    };
    let (after, answer) = perform(NOW, shown.clone(), ask);
    if after == shown {
        return (held, hidden(answer, twist));
    }
    match (twist, ask, &answer, &after) {
        (Twist::NoTombstone, Ask::Change { .. }, _, Some(Held::Stored(new)))
            if matches!(**new, Stored::Tombstone(_)) =>
        {
            (None, answer)
        }
        (Twist::NoSeal, Ask::Seal { .. }, ..) => (held, answer),
        (Twist::BumpOnMove, Ask::Seal { to, .. }, Answer::Sealed(new), _) => {
            seal(*to, with_lineage(new, new.lineage().pushed(Stamp::from_bytes([31; 16]))))
        }
        (Twist::LineageNotCarried, Ask::Seal { to, .. }, Answer::Sealed(new), _) => {
            seal(*to, with_lineage(new, Lineage::new(new.head())))
        }
        (Twist::EmptySeal, Ask::Seal { to, .. }, Answer::Sealed(new), _) => {
            (seal(*to, without_attributes(new)).0, answer)
        }
        _ => (after, answer),
    }
}

fn seal(to: Generation, stored: Arc<Stored>) -> (Option<Held>, Answer) {
    (Some(Held::Sealed { to, stored: Arc::clone(&stored) }), Answer::Sealed(stored))
}

/// The condition forgets to ask whether what is there is sealed.
fn sealed_and_changed(to: Generation, stored: &Arc<Stored>, ask: &Ask) -> (Option<Held>, Answer) {
    let (after, answer) = perform(NOW, Some(Held::Stored(Arc::clone(stored))), ask);
    let Some(Held::Stored(changed)) = after else { unreachable!("nothing is removed") };
    (Some(Held::Sealed { to, stored: changed }), answer)
}

fn hidden(answer: Answer, twist: Twist) -> Answer {
    match (twist, answer) {
        (Twist::SealIsNothing, Answer::Found(Some(Held::Sealed { .. }))) => Answer::Found(None),
        (Twist::SealIsNothing, Answer::Refused(Sight::Held(Held::Sealed { .. }))) => {
            Answer::Refused(Sight::Nothing)
        }
        (_, answer) => answer,
    }
}

fn with_lineage(stored: &Stored, lineage: Lineage) -> Arc<Stored> {
    changed_record(stored, |record| record.lineage = lineage)
}

fn without_attributes(stored: &Stored) -> Arc<Stored> {
    changed_record(stored, |record| record.attributes = Attributes::new())
}

/// The lineage with a stranger in the place of one stamp: that write does not find itself there.
fn without_stamp(stored: &Stored, own: Option<Stamp>) -> Arc<Stored> {
    let stranger = [30; 16];
    let stamps = stored.lineage().stamps().iter();
    let bytes = stamps.flat_map(|stamp| if Some(*stamp) == own { stranger } else { *stamp.as_bytes() });
    let lineage = Lineage::from_parts(stored.lineage().writes(), &bytes.collect::<Vec<_>>());
    with_lineage(stored, lineage.expect("as many stamps as before"))
}

fn changed_record(stored: &Stored, change: impl FnOnce(&mut Record)) -> Arc<Stored> {
    let mut stored = stored.clone();
    if let Stored::Record(record) = &mut stored {
        change(record);
    }
    Arc::new(stored)
}
