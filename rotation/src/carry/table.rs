//! What a table does when it is asked: the executable specification of a port to a real one.

use std::sync::Arc;

use holdover_api::{Stamp, Stored, Timestamp, Tombstone, Verdict, judge, judge_touch};

use super::words::{Answer, Ask, Change, Held, Sight};

/// Answers `ask` at the time `now` (the operation's one reading) by a table that holds `held`, and says what it holds then.
///
/// A store does the same in its own language, atomically: as a condition and an update in one write. Whoever cannot may
/// read, call this, and put the result on the condition that nothing has changed.
///
/// ```
/// use holdover_api::Timestamp;
/// use holdover_rotation::carry::{Answer, Ask, Change, Sight, perform};
/// use holdover_rotation::Generation;
///
/// let (now, later) = (Timestamp::from_millis(1), Timestamp::from_millis(9));
/// let ask = Ask::Change { table: Generation::new(7), change: Change::Touch(later) };
/// // A touch of what is not there does not create it.
/// assert_eq!(perform(now, None, &ask), (None, Answer::Refused(Sight::Nothing)));
/// ```
pub fn perform(now: Timestamp, held: Option<Held>, ask: &Ask) -> (Option<Held>, Answer) {
    match ask {
        Ask::Read { .. } | Ask::Refresh => {
            let found = held.clone();
            (held, Answer::Found(found))
        }
        Ask::Change { change, .. } => match changed(now, held.as_ref(), change) {
            Some((stored, previous)) => (Some(Held::Stored(Arc::new(stored))), Answer::Changed(previous)),
            None => refused(held),
        },
        Ask::Seal { to, change, .. } => match changed(now, held.as_ref(), change) {
            Some((stored, _)) => {
                let stored = Arc::new(stored);
                let sealed = Held::Sealed { to: *to, stored: Arc::clone(&stored) };
                (Some(sealed), Answer::Sealed(stored))
            }
            None => refused(held),
        },
        Ask::Put { over, held: new, .. } => {
            let is_expected = match (&held, over) {
                (None, None) => true,
                (Some(Held::Stored(stored)), Some(over)) => stored.standing() == *over,
                _ => false,
            };
            if is_expected { (Some(new.clone()), Answer::Changed(None)) } else { refused(held) }
        }
        Ask::Raze { held: new, .. } if held == Some(Held::Unreadable) => {
            (Some(new.clone()), Answer::Changed(None))
        }
        Ask::Raze { .. } => refused(held),
    }
}

fn refused(held: Option<Held>) -> (Option<Held>, Answer) {
    let sight = held.clone().map_or(Sight::Nothing, Sight::Held);
    (held, Answer::Refused(sight))
}

/// What the change makes of what is there, and the head before it if it is a write; nothing if it does not apply.
fn changed(now: Timestamp, held: Option<&Held>, change: &Change) -> Option<(Stored, Option<Stamp>)> {
    // What is sealed is history: nothing changes it.
    let Some(Held::Stored(stored)) = held else {
        return None;
    };
    match change {
        Change::Write(write) => match judge(now, Some(stored), write) {
            Verdict::Apply { record, previous: Some(previous) } => {
                Some((Stored::Record(record), Some(previous)))
            }
            _ => None,
        },
        Change::Touch(deadline) => {
            let record = stored.as_live(now)?;
            let deadline = judge_touch(now, Some(stored), *deadline).filter(|new| *new > record.deadline)?;
            let mut record = record.clone();
            record.deadline = deadline;
            Some((Stored::Record(record), None))
        }
        Change::Bury(stamp) => {
            let Stored::Record(record) = &**stored else {
                return None;
            };
            let tombstone = Tombstone { lineage: record.lineage.pushed(*stamp), deadline: record.deadline };
            Some((Stored::Tombstone(tombstone), None))
        }
    }
}
