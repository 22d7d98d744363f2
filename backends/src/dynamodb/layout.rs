//! What a session looks like in a table, and back.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use bytes::Bytes;
use holdover_api::{LINEAGE_DEPTH, Lineage, Record, Stored, Timestamp, Tombstone, frame};

/// What DynamoDB keeps and answers for one key.
pub(super) type Item = HashMap<String, AttributeValue>;

/// The partition key: the prefix and the session's key.
pub(super) const KEY: &str = "k";
/// The format of the rest.
pub(super) const FORMAT: &str = "f";
/// The stamps, newest first. Where a lineage is shorter there is a null, so that one expression can shift them.
pub(super) const STAMPS: [&str; LINEAGE_DEPTH] = ["l0", "l1", "l2", "l3", "l4", "l5", "l6", "l7"];
/// How many writes there have been.
pub(super) const WRITES: &str = "w";
/// When the session began, in milliseconds.
pub(super) const CREATED: &str = "c";
/// When the session ends, in milliseconds: this decides, always.
pub(super) const DEADLINE: &str = "e";
/// When DynamoDB may remove it, in seconds.
pub(super) const REMOVE_AFTER: &str = "x";
/// The attributes.
pub(super) const ATTRIBUTES: &str = "a";
/// At most so large is the session, in bytes as [`frame::size`] counts: see [`room_taken`].
pub(super) const ROOM: &str = "s";
/// There if it is a tombstone.
pub(super) const TOMBSTONE: &str = "t";
/// There if it was carried on to a newer table: the number of that one. Only where tables rotate.
pub(super) const MOVED: &str = "m";

/// The format that this library writes.
pub(super) const FORMAT_NUMBER: u64 = 1;

/// The largest session. DynamoDB takes 400 KB, names included, and counts less for each attribute than
/// [`frame::size`] does; what it counts for the rest is below the difference (a test compares them).
pub(super) const LARGEST: usize = 400 * 1024 - 512;

/// The longest name of an attribute that DynamoDB takes in a map.
pub(super) const LONGEST_NAME: usize = 65_535;

/// DynamoDB's time to live ignores moments that lie further back, as if they were mistakes.
const TTL_REACHES_BACK: Duration = Duration::from_secs(4 * 365 * 24 * 60 * 60);

/// Why what is stored is not a session of this format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// A newer version of this library wrote it.
    Newer,
    /// Somebody else wrote it, or it is damaged.
    Malformed,
}

/// A number as DynamoDB reads it.
pub(super) fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// A moment in milliseconds.
pub(super) fn moment(value: Timestamp) -> AttributeValue {
    number(value.as_millis())
}

/// Bytes.
pub(super) fn bytes(value: &[u8]) -> AttributeValue {
    AttributeValue::B(Blob::new(value))
}

/// A size or a count.
pub(super) fn count(value: usize) -> AttributeValue {
    number(value as u64)
}

/// When DynamoDB may remove what ends at `deadline`: never before it, whatever a node's clock says.
pub(super) fn remove_after(deadline: Timestamp, now: Timestamp) -> AttributeValue {
    let oldest = now - TTL_REACHES_BACK;
    number(deadline.max(oldest).as_millis().div_ceil(1000))
}

/// The name of an attribute in the map. DynamoDB knows no empty name, so that one gets a tilde, and so does what begins
/// with one; and what begins with two underscores, since servers in JavaScript cannot hold `__proto__`.
pub(super) fn encode_name(name: &str) -> String {
    if gets_tilde(name) { format!("~{name}") } else { name.to_owned() }
}

fn gets_tilde(name: &str) -> bool {
    name.is_empty() || name.starts_with('~') || name.starts_with("__")
}

fn decode_name(name: String) -> Option<String> {
    match name.strip_prefix('~') {
        None => Some(name),
        Some(rest) if gets_tilde(rest) => Some(rest.to_owned()),
        Some(_) => None,
    }
}

/// The map of these attributes.
pub(super) fn map<'a>(attributes: impl IntoIterator<Item = (&'a String, &'a Bytes)>) -> AttributeValue {
    let encoded = attributes.into_iter().map(|(name, value)| (encode_name(name), bytes(value)));
    AttributeValue::M(encoded.collect())
}

/// An upper bound of the session's size that a blind write can keep up: it knows what it adds, not what it replaces.
/// A write that brings the bound over the limit reads what is there and sets it right.
pub(super) fn room_taken(record: &Record) -> usize {
    frame::size(record) + 16 * (LINEAGE_DEPTH - record.lineage.stamps().len())
}

/// The stored form, without a time to live.
pub(super) fn encode(key: &str, stored: &Stored) -> Item {
    let mut item = Item::from([
        (KEY.to_owned(), AttributeValue::S(key.to_owned())),
        (FORMAT.to_owned(), number(FORMAT_NUMBER)),
        (WRITES.to_owned(), number(stored.lineage().writes())),
        (DEADLINE.to_owned(), moment(stored.deadline())),
    ]);
    let stamps = stored.lineage().stamps();
    for (index, name) in STAMPS.into_iter().enumerate() {
        let stamp = stamps.get(index).map_or(AttributeValue::Null(true), |stamp| bytes(stamp.as_bytes()));
        item.insert(name.to_owned(), stamp);
    }
    match stored {
        Stored::Record(record) => {
            item.insert(CREATED.to_owned(), moment(record.created));
            item.insert(ATTRIBUTES.to_owned(), map(&record.attributes));
            item.insert(ROOM.to_owned(), count(room_taken(record)));
        }
        Stored::Tombstone(_) => {
            item.insert(TOMBSTONE.to_owned(), AttributeValue::Bool(true));
        }
    }
    item
}

/// The stored form where DynamoDB removes what has expired.
pub(super) fn encode_expiring(key: &str, stored: &Stored, now: Timestamp) -> Item {
    let mut item = encode(key, stored);
    item.insert(REMOVE_AFTER.to_owned(), remove_after(stored.deadline(), now));
    item
}

/// The number of the table that it was carried on to, if it was.
pub(super) fn moved_to(item: &Item) -> Result<Option<u64>, Unreadable> {
    match item.get(MOVED) {
        None => Ok(None),
        some => whole(some).map(Some).ok_or(Unreadable::Malformed),
    }
}

/// Reads what is stored, and how large it is at most.
pub(super) fn decode(mut item: Item) -> Result<(Stored, usize), Unreadable> {
    let format = whole(item.get(FORMAT)).ok_or(Unreadable::Malformed)?;
    if format > FORMAT_NUMBER {
        return Err(Unreadable::Newer);
    }
    read(&mut item).filter(|_| format == FORMAT_NUMBER).ok_or(Unreadable::Malformed)
}

fn read(item: &mut Item) -> Option<(Stored, usize)> {
    let lineage = lineage(item)?;
    let deadline = Timestamp::from_millis(whole(item.get(DEADLINE))?);
    if item.contains_key(TOMBSTONE) {
        return Some((Stored::Tombstone(Tombstone { lineage, deadline }), 0));
    }
    let created = Timestamp::from_millis(whole(item.get(CREATED))?);
    let room = usize::try_from(whole(item.get(ROOM))?).ok()?;
    let Some(AttributeValue::M(map)) = item.remove(ATTRIBUTES) else {
        return None;
    };
    let attribute = |(name, value)| match value {
        AttributeValue::B(blob) => Some((decode_name(name)?, Bytes::from(blob.into_inner()))),
        _ => None,
    };
    let attributes = map.into_iter().map(attribute).collect::<Option<_>>()?;
    Some((Stored::Record(Record { attributes, lineage, created, deadline }), room))
}

/// The stamps up to the first null; nothing may follow a null.
fn lineage(item: &Item) -> Option<Lineage> {
    let mut stamps = Vec::with_capacity(16 * LINEAGE_DEPTH);
    let mut ended = false;
    for name in STAMPS {
        match item.get(name)? {
            AttributeValue::B(stamp) if !ended && stamp.as_ref().len() == 16 => {
                stamps.extend_from_slice(stamp.as_ref());
            }
            AttributeValue::Null(true) => ended = true,
            _ => return None,
        }
    }
    Lineage::from_parts(whole(item.get(WRITES))?, &stamps)
}

fn whole(value: Option<&AttributeValue>) -> Option<u64> {
    match value? {
        AttributeValue::N(text) => text.parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
#[path = "layout_tests.rs"]
mod tests;
