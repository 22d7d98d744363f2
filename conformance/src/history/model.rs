//! The sequential model: what a store that did one call at a time would answer.

use holdover_api::{Lineage, Stamp, Stored, Timestamp, Tombstone, Verdict, judge, judge_touch};

use super::action::{Answer, Call};

/// What a delete leaves where a session was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Deletion {
    /// Nothing: a later create under the same key begins a new session.
    #[default]
    Nothing,
    /// A tombstone: a later create under the same key is refused (S5).
    Tombstone,
    /// A tombstone, even where nothing was.
    TombstoneAlways,
}

/// The tombstone of what was never there: whose stamp it has nobody can see.
const NOBODY: Stamp = Stamp::from_bytes([0; 16]);

/// As [`step`], for a store whose deletes leave that.
pub(super) fn step_with(
    deletion: Deletion,
    now: Timestamp,
    stored: Option<&Stored>,
    call: &Call,
) -> (Option<Stored>, Answer) {
    match (deletion, call, stored) {
        (Deletion::TombstoneAlways, Call::Delete, None) => {
            let tombstone = Tombstone { lineage: Lineage::new(NOBODY), deadline: Timestamp::MAX };
            (Some(Stored::Tombstone(tombstone)), Answer::Deleted)
        }
        (Deletion::Tombstone | Deletion::TombstoneAlways, Call::Delete, Some(stored)) => {
            let tombstone = Tombstone { lineage: stored.lineage().clone(), deadline: Timestamp::MAX };
            (Some(Stored::Tombstone(tombstone)), Answer::Deleted)
        }
        _ => step(now, stored, call),
    }
}

/// Makes one call on what is stored, by the rules of [`judge`]: what is stored then, and the answer.
///
/// Deterministic, because the clock stands still in the histories that are checked with it.
pub fn step(now: Timestamp, stored: Option<&Stored>, call: &Call) -> (Option<Stored>, Answer) {
    let unchanged = stored.cloned();
    let live = stored.and_then(|stored| stored.as_live(now));
    match call {
        Call::Load => (unchanged, Answer::Loaded(live.cloned())),
        Call::Delete => (None, Answer::Deleted),
        Call::Save(write) => match judge(now, stored, write) {
            Verdict::Apply { record, previous } => (Some(Stored::Record(record)), Answer::Saved(previous)),
            Verdict::Repeated { previous } => (unchanged, Answer::Saved(previous)),
            Verdict::Conflict => (unchanged, Answer::Conflict(live.cloned())),
            Verdict::Gone => (unchanged, Answer::Gone),
        },
        Call::Touch(deadline) => {
            let Some(extended) = judge_touch(now, stored, *deadline) else {
                return (unchanged, Answer::Touched(false));
            };
            let mut touched = unchanged;
            if let Some(Stored::Record(record)) = &mut touched {
                record.deadline = extended;
            }
            (touched, Answer::Touched(true))
        }
    }
}

/// Whether a store may give this answer where the model gives that one.
///
/// A store need not know the head that it replaced, nor have the record of a conflict at hand; what it does say has
/// to be right.
pub(super) fn agrees(answered: &Answer, modelled: &Answer) -> bool {
    match (answered, modelled) {
        (Answer::Saved(None), Answer::Saved(_)) | (Answer::Conflict(None), Answer::Conflict(_)) => true,
        _ => answered == modelled,
    }
}
