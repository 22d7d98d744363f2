//! What a write means. A backend only has to ask these questions atomically.
//!
//! Every rule is here once, pure: the memory store calls it under a lock, other stores say the same in their own
//! language (a script, a condition, a compare-and-set), and the conformance suite compares them.

use crate::clock::Timestamp;
use crate::record::{Record, Standing, Stored};
use crate::stamp::Stamp;
use crate::write::{On, Write};

/// The answer to a write, before a store has acted on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Store this record in place of what is there.
    Apply {
        /// The record that results.
        record: Record,
        /// The head it replaces, if something live was there.
        previous: Option<Stamp>,
    },
    /// This very write has happened before (S9, I3): answer "saved" and do nothing.
    Repeated {
        /// The head before it, as far as the lineage remembers.
        previous: Option<Stamp>,
    },
    /// Something else is there: a live session where none was expected, or a head that has moved.
    Conflict,
    /// Nothing live is there to write to, or a tombstone says that the session was destroyed (S8, I1).
    Gone,
}

/// Decides what `write` means to what is `stored` at the time `now`.
///
/// ```
/// use holdover_api::{judge, Deadline, Delta, On, Stamp, Timestamp, Verdict, Write};
///
/// let write = Write {
///     on: On::Live,
///     delta: Delta::default(),
///     stamp: Stamp::from_bytes([1; 16]),
///     deadline: Deadline::AtLeast(Timestamp::from_millis(9)),
///     base: None,
/// };
/// // Nothing is stored, so there is nothing to write to: the session is not brought back.
/// assert_eq!(judge(Timestamp::from_millis(5), None, &write), Verdict::Gone);
/// ```
pub fn judge(now: Timestamp, stored: Option<&Stored>, write: &Write) -> Verdict {
    let standing = stored.filter(|stored| !stored.is_over(now));
    let record = match standing {
        Some(Stored::Record(record)) => record,
        Some(Stored::Tombstone(_)) => return Verdict::Gone,
        None => return judge_over_nothing(write),
    };
    if record.lineage.contains(write.stamp) {
        return Verdict::Repeated { previous: record.lineage.before(write.stamp) };
    }
    match write.on {
        On::Absent { .. } => return Verdict::Conflict,
        On::Head(expected) if expected != record.head() => return Verdict::Conflict,
        On::Head(_) | On::Live => {}
    }
    Verdict::Apply { record: record.after(write), previous: Some(record.head()) }
}

fn judge_over_nothing(write: &Write) -> Verdict {
    let On::Absent { created } = write.on else {
        return Verdict::Gone;
    };
    let record = Record::first(&write.delta, write.stamp, created, write.deadline.moment());
    Verdict::Apply { record, previous: None }
}

/// Decides what a touch means: nothing if no live session is there, else the deadline that results (S12: never an
/// earlier one).
pub fn judge_touch(now: Timestamp, stored: Option<&Stored>, deadline: Timestamp) -> Option<Timestamp> {
    let record = stored?.as_live(now)?;
    Some(record.deadline.max(deadline))
}

/// The answer to an installation, before a store has acted on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstallVerdict {
    /// Store it.
    Apply,
    /// It is there already: this very installation has happened before.
    Repeated,
    /// Something else is stored than was expected.
    Refused,
}

/// Decides whether `new` may be put in the place of what is `stored`, which the caller expects to be exactly `over`
/// (S17): a touch in between is a difference, too, so that no installation undoes one.
///
/// What has passed its deadline counts as nothing. An installation that has already happened is recognised by its
/// lineage, so that a retry is safe; it may have been extended since.
pub fn judge_install(
    now: Timestamp,
    stored: Option<&Stored>,
    over: Option<Standing>,
    new: &Stored,
) -> InstallVerdict {
    let standing = stored.filter(|stored| !stored.is_over(now));
    if standing.map(Stored::standing) == over {
        return InstallVerdict::Apply;
    }
    let happened = match (standing, new) {
        (Some(Stored::Record(old)), Stored::Record(new)) => {
            old.lineage == new.lineage && old.deadline >= new.deadline
        }
        (Some(Stored::Tombstone(old)), Stored::Tombstone(new)) => {
            old.lineage == new.lineage && old.deadline >= new.deadline
        }
        _ => false,
    };
    if happened { InstallVerdict::Repeated } else { InstallVerdict::Refused }
}
