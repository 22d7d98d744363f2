//! Each operation in the server's language: what it stands on is the filter, what it changes is the update.

use holdover_api::{Deadline, LINEAGE_DEPTH, On, SessionKey, Stamp, Standing, Timestamp, Write, frame};
use mongodb::bson::{Document, doc};

use super::document::{attributes, binary, field_of, id, moment, stamp};

/// What a lineage may grow by.
const STAMP_BYTES: usize = 16;

/// Matches a live record. The deadline is in every filter: the server's own expiry is late by design (I4). What is
/// damaged, or of a later layout, does not match, so that nobody changes what he does not understand.
pub(super) fn live(key: &SessionKey, now: Timestamp) -> Document {
    doc! {
        "_id": id(key),
        "e": { "$gt": moment(now) },
        "a": { "$type": "object" },
        "l.0": { "$type": "binData" },
        "t": null,
        "v": null,
    }
}

/// Matches what is over; with an upsert, nothing at all as well. What stands there fails it as a duplicate key.
pub(super) fn over(key: &SessionKey, now: Timestamp) -> Document {
    doc! { "_id": id(key), "e": { "$lte": moment(now) }, "v": null }
}

/// Matches exactly what is described, as long as it is not over.
pub(super) fn standing(key: &SessionKey, over: Standing, now: Timestamp) -> Document {
    doc! {
        "_id": id(key),
        "l.0": stamp(over.head),
        "v": null,
        "e": { "$eq": moment(over.deadline), "$gt": moment(now) },
    }
}

/// What a write over a live record stands on, its stamp not being known there yet (I3): what the write says, and this
/// head, if one is given.
pub(super) fn precondition(key: &SessionKey, write: &Write, head: Option<Stamp>, now: Timestamp) -> Document {
    let mut filter = live(key, now);
    filter.insert("l", doc! { "$ne": stamp(write.stamp) });
    let demanded = match write.on {
        On::Head(expected) => Some(expected),
        On::Live | On::Absent { .. } => head,
    };
    if let Some(head) = demanded {
        filter.insert("l.0", stamp(head));
    }
    filter
}

/// What a write changes, attribute by attribute, so that writers of different attributes have nothing to do with each
/// other.
pub(super) fn change(write: &Write, size: Size) -> Document {
    let Write { delta, .. } = write;
    let mut set = Document::new();
    let mut unset = Document::new();
    if delta.clears() {
        set.insert("a", attributes(delta.sets()));
    } else {
        for (name, value) in delta.sets() {
            set.insert(path_of(name), binary(value));
        }
        for name in delta.removes() {
            unset.insert(path_of(name), "");
        }
    }
    let mut increase = doc! { "w": 1_i64 };
    match size {
        Size::Grows(bytes) => increase.insert("s", stored(bytes)),
        Size::Is(bytes) => set.insert("s", stored(bytes)),
    };
    let mut update = doc! {
        "$push": { "l": { "$each": [stamp(write.stamp)], "$position": 0, "$slice": LINEAGE_DEPTH as i64 } },
        "$inc": increase,
    };
    match write.deadline {
        Deadline::AtLeast(deadline) => {
            update.insert("$max", doc! { "e": moment(deadline) });
        }
        Deadline::Exactly(deadline) => {
            set.insert("e", moment(deadline));
        }
    }
    if !set.is_empty() {
        update.insert("$set", set);
    }
    if !unset.is_empty() {
        update.insert("$unset", unset);
    }
    update
}

fn path_of(name: &str) -> String {
    format!("a.{}", field_of(name))
}

/// What a touch changes.
pub(super) fn extension(deadline: Timestamp) -> Document {
    doc! { "$max": { "e": moment(deadline) } }
}

/// What becomes of the upper bound on the record's size that is kept beside it, in `s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    /// So many bytes more than it was.
    Grows(usize),
    /// So many bytes.
    Is(usize),
}

/// Whether a write that is made without a look at the record keeps the size limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// It does, whatever is there.
    Surely(Size),
    /// It does where the bound is at most so many bytes; elsewhere the record has to be looked at.
    Below(usize, Size),
    /// The record has to be looked at.
    Unclear,
}

/// Whether a write fits. The server cannot tell what a record's size will be, so that it keeps a bound on it, which a
/// write raises by all that it adds, and which is made exact whenever somebody knows better.
pub(super) fn fit(write: &Write, max_bytes: usize) -> Fit {
    let sets = write.delta.sets().iter();
    let values: usize = sets.map(|(name, value)| frame::attribute_size(name.len(), value.len())).sum();
    if write.delta.clears() {
        let most = frame::EMPTY_SIZE.saturating_add(values);
        return if most <= max_bytes { Fit::Surely(Size::Is(most)) } else { Fit::Unclear };
    }
    if let (On::Head(expected), Some(base)) = (write.on, &write.base)
        && base.record.head() == expected
    {
        let size = frame::size(&base.record.after(write));
        return if size <= max_bytes { Fit::Surely(Size::Is(size)) } else { Fit::Unclear };
    }
    let added = values.saturating_add(STAMP_BYTES);
    match max_bytes.checked_sub(added) {
        Some(room) => Fit::Below(room, Size::Grows(added)),
        None => Fit::Unclear,
    }
}

/// Matches records whose bound is at most so many bytes.
pub(super) fn of_size(bound: usize) -> Document {
    doc! { "s": { "$lte": stored(bound) } }
}

fn stored(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
#[path = "write_tests.rs"]
mod tests;
