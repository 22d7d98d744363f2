//! The stored form: one document a session.
//!
//! | field | what |
//! |---|---|
//! | `_id` | the key |
//! | `a` | attributes: encoded name → binary; not there in a tombstone |
//! | `l` | the lineage: binaries of 16 bytes, the newest first, eight at most |
//! | `w` | how many writes it has seen |
//! | `c` | when it was created; not there in a tombstone |
//! | `e` | the deadline, which the TTL index is on |
//! | `s` | how large the record is at most, in bytes of its frame; not there in a tombstone |
//! | `t` | `true`: a tombstone |
//!
//! A field `v` is reserved: a document that has one was written by a later layout.

use std::collections::BTreeMap;

use bytes::Bytes;
use holdover_api::{Attributes, Lineage, Record, SessionKey, Stamp, Stored, Timestamp, Tombstone, frame};
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, DateTime, Document, RawBsonRef, RawDocument, RawDocumentBuf, doc};

/// Why a document is not one of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// A later version of this library wrote it.
    Newer,
    /// Something else did, or it is damaged.
    Malformed,
}

impl Unreadable {
    pub(super) const fn message(self) -> &'static str {
        match self {
            Self::Newer => "the stored session was written by a newer version of holdover; upgrade this one",
            Self::Malformed => "the stored session is not one of holdover's documents, or is damaged",
        }
    }
}

/// The name of an attribute as a field's name, under which no path and no operator can be meant: a leading underscore,
/// and `%`, `.`, `$` and NUL percent-encoded.
pub(super) fn field_of(name: &str) -> String {
    let mut field = String::with_capacity(name.len() + 1);
    field.push('_');
    for character in name.chars() {
        match character {
            '%' => field.push_str("%25"),
            '.' => field.push_str("%2E"),
            '$' => field.push_str("%24"),
            '\0' => field.push_str("%00"),
            other => field.push(other),
        }
    }
    field
}

/// Undoes [`field_of`]; nothing if it did not make this.
pub(super) fn name_of(field: &str) -> Option<String> {
    let mut rest = field.strip_prefix('_')?;
    let mut name = String::with_capacity(rest.len());
    while let Some(at) = rest.find(['%', '.', '$']) {
        let (plain, escape) = rest.split_at(at);
        name.push_str(plain);
        let character = match escape.get(..3)? {
            "%25" => '%',
            "%2E" => '.',
            "%24" => '$',
            "%00" => '\0',
            _ => return None,
        };
        name.push(character);
        rest = &escape[3..];
    }
    name.push_str(rest);
    Some(name)
}

pub(super) fn binary(bytes: &[u8]) -> Bson {
    Bson::Binary(Binary { subtype: BinarySubtype::Generic, bytes: bytes.to_vec() })
}

pub(super) fn stamp(stamp: Stamp) -> Bson {
    binary(stamp.as_bytes())
}

/// A moment as the server keeps it: in milliseconds, too. No timestamp is beyond what it can.
pub(super) fn moment(timestamp: Timestamp) -> Bson {
    Bson::DateTime(DateTime::from_millis(i64::try_from(timestamp.as_millis()).unwrap_or(i64::MAX)))
}

pub(super) fn id(key: &SessionKey) -> Bson {
    Bson::String(key.to_string())
}

/// The sub-document of attributes.
pub(super) fn attributes(attributes: &BTreeMap<String, Bytes>) -> Document {
    attributes.iter().map(|(name, value)| (field_of(name), binary(value))).collect()
}

/// The whole document for a record or a tombstone.
pub(super) fn encode(key: &SessionKey, stored: &Stored) -> Document {
    let lineage = stored.lineage();
    let stamps: Vec<Bson> = lineage.stamps().iter().copied().map(stamp).collect();
    let writes = i64::try_from(lineage.writes()).unwrap_or(i64::MAX);
    match stored {
        Stored::Record(record) => doc! {
            "_id": id(key),
            "a": attributes(&record.attributes),
            "l": stamps,
            "w": writes,
            "c": moment(record.created),
            "e": moment(record.deadline),
            "s": i64::try_from(frame::size(record)).unwrap_or(i64::MAX),
        },
        Stored::Tombstone(tombstone) => doc! {
            "_id": id(key),
            "t": true,
            "l": stamps,
            "w": writes,
            "e": moment(tombstone.deadline),
        },
    }
}

/// Reads a document. Values share its memory.
pub(super) fn decode(document: RawDocumentBuf) -> Result<Stored, Unreadable> {
    let bytes = Bytes::from(document.into_bytes());
    let document = RawDocument::from_bytes(&bytes).map_err(|_| Unreadable::Malformed)?;
    let mut parts = Parts::default();
    for field in document {
        let (name, value) = field.map_err(|_| Unreadable::Malformed)?;
        parts.take(name.as_ref(), value, &bytes)?;
    }
    parts.assembled().ok_or(Unreadable::Malformed)
}

/// The lineage in an answer that holds little else: what a write has replaced.
pub(super) fn head_of(document: &RawDocument) -> Option<Stamp> {
    let stamps = document.get_array("l").ok()?;
    stamp_from(stamps.get(0).ok()??)
}

#[derive(Default)]
struct Parts {
    attributes: Option<Attributes>,
    stamps: Vec<u8>,
    writes: Option<u64>,
    created: Option<Timestamp>,
    deadline: Option<Timestamp>,
    is_tombstone: bool,
}

impl Parts {
    fn take(&mut self, name: &str, value: RawBsonRef<'_>, memory: &Bytes) -> Result<(), Unreadable> {
        let understood = match name {
            "a" => attributes_from(value, memory).map(|attributes| self.attributes = Some(attributes)),
            "l" => stamps_from(value).map(|stamps| self.stamps = stamps),
            "w" => count_from(value).map(|writes| self.writes = Some(writes)),
            "c" => moment_from(value).map(|created| self.created = Some(created)),
            "e" => moment_from(value).map(|deadline| self.deadline = Some(deadline)),
            "t" => value.as_bool().map(|is_tombstone| self.is_tombstone = is_tombstone),
            "v" => return Err(Unreadable::Newer),
            _ => Some(()),
        };
        understood.ok_or(Unreadable::Malformed)
    }

    fn assembled(self) -> Option<Stored> {
        let lineage = Lineage::from_parts(self.writes?, &self.stamps)?;
        let deadline = self.deadline?;
        if self.is_tombstone {
            return Some(Stored::Tombstone(Tombstone { lineage, deadline }));
        }
        let (attributes, created) = (self.attributes?, self.created?);
        Some(Stored::Record(Record { attributes, lineage, created, deadline }))
    }
}

fn attributes_from(value: RawBsonRef<'_>, memory: &Bytes) -> Option<Attributes> {
    let mut attributes = Attributes::new();
    for field in value.as_document()? {
        let (field, value) = field.ok()?;
        let RawBsonRef::Binary(value) = value else {
            return None;
        };
        attributes.insert(name_of(field.as_ref())?, memory.slice_ref(value.bytes));
    }
    Some(attributes)
}

fn stamps_from(value: RawBsonRef<'_>) -> Option<Vec<u8>> {
    let mut stamps = Vec::new();
    for value in value.as_array()? {
        stamps.extend_from_slice(stamp_from(value.ok()?)?.as_bytes());
    }
    Some(stamps)
}

fn stamp_from(value: RawBsonRef<'_>) -> Option<Stamp> {
    let RawBsonRef::Binary(binary) = value else {
        return None;
    };
    binary.bytes.try_into().ok().map(Stamp::from_bytes)
}

/// A count may be kept narrower by a tool that rewrote the document.
fn count_from(value: RawBsonRef<'_>) -> Option<u64> {
    match value {
        RawBsonRef::Int64(count) => u64::try_from(count).ok(),
        RawBsonRef::Int32(count) => u64::try_from(count).ok(),
        _ => None,
    }
}

fn moment_from(value: RawBsonRef<'_>) -> Option<Timestamp> {
    let millis = value.as_datetime()?.timestamp_millis();
    u64::try_from(millis).ok().map(Timestamp::from_millis)
}

#[cfg(test)]
#[path = "document_tests.rs"]
mod tests;
