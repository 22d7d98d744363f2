//! Each operation in the server's language: what it stands on is the filter, what it changes is the update.

use holdover_api::{
    Deadline, LINEAGE_DEPTH, On, Record, SessionKey, Stamp, Standing, Timestamp, Write, frame,
};
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
pub(super) fn change(write: &Write) -> Document {
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
    let mut update = doc! {
        "$push": { "l": { "$each": [stamp(write.stamp)], "$position": 0, "$slice": LINEAGE_DEPTH as i64 } },
        "$inc": { "w": 1_i64 },
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

/// How the size limit is kept by a write that is made without a look at the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// It fits, whatever is there.
    Surely,
    /// It fits on a document of at most so many bytes; on a larger one the record has to be looked at.
    Below(i64),
    /// The record has to be looked at.
    Unclear,
}

/// Whether a write fits. A record's size is never more than twice its document's: both hold the names and the values,
/// and the rest of an attribute is 16 bytes in the one and 8 in the other.
pub(super) fn fit(write: &Write, max_bytes: usize) -> Fit {
    let sets = write.delta.sets().iter();
    let added: usize = sets.map(|(name, value)| frame::attribute_size(name.len(), value.len())).sum();
    if write.delta.clears() {
        let fits = frame::EMPTY_SIZE.saturating_add(added) <= max_bytes;
        return if fits { Fit::Surely } else { Fit::Unclear };
    }
    if let (On::Head(expected), Some(base)) = (write.on, &write.base)
        && base.record.head() == expected
        && fits(&base.record, write, max_bytes)
    {
        return Fit::Surely;
    }
    match max_bytes.checked_sub(added.saturating_add(STAMP_BYTES)) {
        Some(room) => Fit::Below(i64::try_from(room / 2).unwrap_or(i64::MAX)),
        None => Fit::Unclear,
    }
}

/// Matches documents of at most so many bytes.
pub(super) fn of_size(limit: i64) -> Document {
    doc! { "$expr": { "$lte": [{ "$bsonSize": "$$ROOT" }, limit] } }
}

/// Whether the record that a write would make is within the limit.
pub(super) fn fits(record: &Record, write: &Write, max_bytes: usize) -> bool {
    frame::size(&record.after(write)) <= max_bytes
}

#[cfg(test)]
#[path = "write_tests.rs"]
mod tests;
