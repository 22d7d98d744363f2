//! Filters and updates, and the rule by which a size limit is kept without a look.

use bytes::Bytes;
use holdover_api::{Delta, Lineage, Loaded, Record};
use mongodb::bson::DateTime;
use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(5_000);

fn a_stamp(number: u8) -> Stamp {
    Stamp::from_bytes([number; 16])
}

fn a_key() -> SessionKey {
    holdover_api::SessionId::draw(&holdover_api::OsEntropy).expect("there is randomness").key()
}

fn a_write(on: On, delta: Delta) -> Write {
    Write {
        on,
        delta,
        stamp: a_stamp(9),
        deadline: Deadline::AtLeast(Timestamp::from_millis(9_000)),
        base: None,
    }
}

fn setting(name: &str, value: &'static [u8]) -> Delta {
    let mut delta = Delta::default();
    delta.set(name, value);
    delta
}

#[test]
fn the_precondition_is_all_in_the_filter() {
    let key = a_key();
    let live = doc! {
        "_id": key.to_string(),
        "e": { "$gt": DateTime::from_millis(5_000) },
        "a": { "$type": "object" },
        "l.0": { "$type": "binData" },
        "t": null,
        "v": null,
        "l": { "$ne": stamp(a_stamp(9)) },
    };
    assert_eq!(precondition(&key, &a_write(On::Live, Delta::default()), None, NOW), live);
    let mut on_head = live;
    on_head.insert("l.0", stamp(a_stamp(4)));
    assert_eq!(precondition(&key, &a_write(On::Head(a_stamp(4)), Delta::default()), None, NOW), on_head);
    assert_eq!(precondition(&key, &a_write(On::Live, Delta::default()), Some(a_stamp(4)), NOW), on_head);
}

#[test]
fn attributes_are_changed_one_by_one() {
    let mut delta = setting("cart.items", b"3");
    delta.remove("notice");
    let expected = doc! {
        "$push": { "l": { "$each": [stamp(a_stamp(9))], "$position": 0, "$slice": 8_i64 } },
        "$inc": { "w": 1_i64, "s": 42_i64 },
        "$max": { "e": DateTime::from_millis(9_000) },
        "$set": { "a._cart%2Eitems": binary(b"3") },
        "$unset": { "a._notice": "" },
    };
    assert_eq!(change(&a_write(On::Live, delta), Size::Grows(42)), expected);
}

#[test]
fn a_clear_replaces_all_attributes_and_an_exact_deadline_is_set() {
    let mut delta = Delta::default();
    delta.clear();
    delta.set("a", &b"1"[..]);
    let mut write = a_write(On::Live, delta);
    write.deadline = Deadline::Exactly(Timestamp::from_millis(7_000));
    let expected = doc! {
        "$push": { "l": { "$each": [stamp(a_stamp(9))], "$position": 0, "$slice": 8_i64 } },
        "$inc": { "w": 1_i64 },
        "$set": { "a": { "_a": binary(b"1") }, "s": 42_i64, "e": DateTime::from_millis(7_000) },
    };
    assert_eq!(change(&write, Size::Is(42)), expected);
}

#[test]
fn a_write_on_the_very_record_that_was_read_is_measured() {
    let record = Record::first(&setting("v", b"0123456789"), a_stamp(1), NOW, Timestamp::from_millis(9_000));
    let exactly = frame::size(&record) + 16;
    let mut write = a_write(On::Head(a_stamp(1)), setting("v", b"0123456789"));
    assert!(matches!(fit(&write, exactly), Fit::Below(..)));
    write.base = Some(Loaded::from(record.clone()));
    assert_eq!(fit(&write, exactly), Fit::Surely(Size::Is(exactly)));
    assert_eq!(fit(&write, exactly - 1), Fit::Unclear);
    write.on = On::Live;
    assert!(matches!(fit(&write, exactly), Fit::Below(..)), "others may have written since");
}

fn deltas() -> impl Strategy<Value = Delta> {
    let sets = prop::collection::btree_map("[ab.%$]{0,4}", prop::collection::vec(any::<u8>(), 0..50), 0..5);
    (any::<bool>(), sets, prop::collection::vec("[ab.%$]{0,4}", 0..3)).prop_map(|(clear, sets, removals)| {
        let mut delta = Delta::default();
        if clear {
            delta.clear();
        }
        for name in removals {
            delta.remove(name);
        }
        for (name, value) in sets {
            delta.set(name, Bytes::from(value));
        }
        delta
    })
}

proptest! {
    /// S11: what is written without a look is never over the limit, and the bound is never below the size.
    #[test]
    fn what_fits_without_a_look_fits(
        before in deltas(),
        delta in deltas(),
        writes in 1_u8..12,
        limit in 0_usize..900,
        slack in 0_usize..300,
    ) {
        let mut record = Record::first(&before, a_stamp(0), NOW, NOW);
        record.lineage = (1..writes).fold(Lineage::new(a_stamp(0)), |lineage, number| lineage.pushed(a_stamp(number)));
        let write = a_write(On::Live, delta);
        let bound = frame::size(&record) + slack;
        let written = match fit(&write, limit) {
            Fit::Surely(size) => Some(size),
            Fit::Below(most, size) => (bound <= most).then_some(size),
            Fit::Unclear => None,
        };
        if let Some(size) = written {
            let after = frame::size(&record.after(&write));
            let new_bound = match size {
                Size::Grows(bytes) => bound + bytes,
                Size::Is(bytes) => bytes,
            };
            prop_assert!(after <= limit && after <= new_bound, "{after} bytes, bound {new_bound}, limit {limit}");
        }
    }
}
