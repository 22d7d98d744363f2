//! That a stored session comes back as it was, and that DynamoDB's own way to count never says more than ours.

use holdover_api::{Attributes, Stamp};
use proptest::prelude::{any, prop};
use proptest::{prop_assert, prop_assert_eq, proptest};

use super::super::config::LONGEST_PREFIX;
use super::*;

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn lineage(stamps: u8) -> Lineage {
    let mut lineage = Lineage::new(Stamp::from_bytes([0; 16]));
    for stamp in 1..stamps {
        lineage = lineage.pushed(Stamp::from_bytes([stamp; 16]));
    }
    lineage
}

fn record(attributes: Attributes, stamps: u8) -> Record {
    Record { attributes, lineage: lineage(stamps), created: at(3), deadline: at(u64::MAX) }
}

/// As the developer guide counts: names and values, a number two digits a byte and one, a null one, a map three and one
/// for each value in it.
fn counted(item: &Item) -> usize {
    item.iter().map(|(name, value)| name.len() + counted_value(value)).sum()
}

fn counted_value(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(text) => text.len().div_ceil(2) + 1,
        AttributeValue::B(blob) => blob.as_ref().len(),
        AttributeValue::M(map) => {
            3 + map.iter().map(|(name, value)| 1 + name.len() + counted_value(value)).sum::<usize>()
        }
        AttributeValue::Null(_) | AttributeValue::Bool(_) => 1,
        other => panic!("{other:?} is not stored"),
    }
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(
        names in prop::collection::btree_set("[~a-c\\x00é]{0,3}", 0..6),
        stamps in 1_u8..12,
        value in prop::collection::vec(any::<u8>(), 0..40),
        buried in any::<bool>(),
    ) {
        let attributes = names.into_iter().map(|name| (name, Bytes::from(value.clone()))).collect();
        let record = record(attributes, stamps);
        let room = if buried { 0 } else { room_taken(&record) };
        let stored = if buried {
            Stored::Tombstone(Tombstone { lineage: record.lineage, deadline: record.deadline })
        } else {
            Stored::Record(record)
        };
        prop_assert_eq!(decode(encode_expiring("key", &stored, at(5))), Ok((stored, room)));
    }

    #[test]
    fn dynamodb_never_counts_more_than_is_left_of_its_limit(
        lengths in prop::collection::vec((0_usize..40, 0_usize..2000), 0..60),
        stamps in 1_u8..12,
    ) {
        let attributes = lengths.iter().enumerate().map(|(index, (name, value))| {
            (format!("~{index}{}", "n".repeat(*name)), Bytes::from(vec![7; *value]))
        });
        let record = record(attributes.collect(), stamps);
        let size = frame::size(&record);
        prop_assert!(room_taken(&record) >= size);
        let key = "k".repeat(LONGEST_PREFIX + holdover_api::SESSION_KEY_LENGTH);
        let item = encode_expiring(&key, &Stored::Record(record), at(5));
        prop_assert!(counted(&item) <= size + (400 * 1024 - LARGEST), "{} for {size}", counted(&item));
    }
}

#[test]
fn names_are_kept_apart() {
    for (name, encoded) in [("", "~"), ("~", "~~"), ("~a", "~~a"), ("a", "a"), ("a~", "a~"), ("__p", "~__p")]
    {
        assert_eq!(encode_name(name), encoded);
        assert_eq!(decode_name(encoded.to_owned()).as_deref(), Some(name));
    }
    assert_eq!(decode_name("~a".to_owned()), None, "nobody writes this");
}

#[test]
fn the_time_to_live_is_never_before_the_deadline_and_never_out_of_its_reach() {
    let now = at(1_800_000_000_000);
    assert_eq!(remove_after(at(1_800_000_000_001), now), number(1_800_000_001));
    assert_eq!(remove_after(at(1_800_000_001_000), now), number(1_800_000_001));
    assert_eq!(remove_after(at(1), now), number(1_800_000_000 - 4 * 365 * 86_400));
}

#[test]
fn what_is_not_a_session_is_told_from_what_is_newer() {
    let whole = encode("key", &Stored::Record(record(Attributes::new(), 3)));
    let with = |name: &str, value: Option<AttributeValue>| {
        let mut item = whole.clone();
        item.remove(name);
        item.extend(value.map(|value| (name.to_owned(), value)));
        decode(item)
    };
    assert_eq!(with(FORMAT, Some(number(2))), Err(Unreadable::Newer));
    for name in [FORMAT, "l0", "l7", WRITES, DEADLINE, CREATED, ATTRIBUTES, ROOM] {
        assert_eq!(with(name, None), Err(Unreadable::Malformed), "without {name}");
        let odd = AttributeValue::Ss(vec!["odd".to_owned()]);
        assert_eq!(with(name, Some(odd)), Err(Unreadable::Malformed), "an odd {name}");
    }
    let gap = with("l1", Some(AttributeValue::Null(true)));
    assert_eq!(gap, Err(Unreadable::Malformed), "a stamp behind a null");
    assert_eq!(with(FORMAT, Some(number(0))), Err(Unreadable::Malformed));
    let foreign = AttributeValue::M([("a".to_owned(), AttributeValue::N("1".to_owned()))].into());
    assert_eq!(with(ATTRIBUTES, Some(foreign)), Err(Unreadable::Malformed));
}
