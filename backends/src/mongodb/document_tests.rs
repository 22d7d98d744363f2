//! The layout: golden documents, names that could mean something else, and what is not ours.

use holdover_api::LINEAGE_DEPTH;
use mongodb::bson::rawdoc;
use proptest::prelude::*;

use super::*;

fn a_stamp(number: u8) -> Stamp {
    Stamp::from_bytes([number; 16])
}

fn a_key() -> SessionKey {
    holdover_api::SessionId::draw(&holdover_api::OsEntropy).expect("there is randomness").key()
}

fn a_record() -> Record {
    let attributes =
        [("", "empty"), ("a.b", "dots"), ("$set", "dollars"), ("__proto__", "under"), ("%2E", "escaped")];
    Record {
        attributes: attributes
            .into_iter()
            .map(|(name, value)| (name.to_owned(), Bytes::from_static(value.as_bytes())))
            .collect(),
        lineage: Lineage::new(a_stamp(1)).pushed(a_stamp(2)),
        created: Timestamp::from_millis(1_700_000_000_000),
        deadline: Timestamp::from_millis(1_700_000_600_000),
    }
}

fn stored_form(stored: &Stored) -> Document {
    let mut document = encode(&a_key(), stored);
    document.remove("_id");
    document
}

fn read(document: &Document) -> Result<Stored, Unreadable> {
    decode(RawDocumentBuf::try_from(document).expect("it can be written down"))
}

#[test]
fn the_layout_of_a_record_stays() {
    let document = stored_form(&Stored::Record(a_record()));
    let expected = doc! {
        "a": {
            "_": binary(b"empty"),
            "_%24set": binary(b"dollars"),
            "_%252E": binary(b"escaped"),
            "___proto__": binary(b"under"),
            "_a%2Eb": binary(b"dots"),
        },
        "l": [binary(&[2; 16]), binary(&[1; 16])],
        "w": 2_i64,
        "c": DateTime::from_millis(1_700_000_000_000),
        "e": DateTime::from_millis(1_700_000_600_000),
        "s": 201_i64,
    };
    assert_eq!(document, expected);
}

#[test]
fn the_layout_of_a_tombstone_stays() {
    let lineage = Lineage::new(a_stamp(3));
    let tombstone = Tombstone { lineage, deadline: Timestamp::from_millis(1_700_000_600_000) };
    let document = stored_form(&Stored::Tombstone(tombstone.clone()));
    let expected = doc! {
        "t": true,
        "l": [binary(&[3; 16])],
        "w": 1_i64,
        "e": DateTime::from_millis(1_700_000_600_000),
    };
    assert_eq!(document, expected);
    assert_eq!(read(&document), Ok(Stored::Tombstone(tombstone)));
}

#[test]
fn a_document_is_found_under_the_key_in_hexadecimal() {
    let key = a_key();
    let document = encode(&key, &Stored::Record(a_record()));
    assert_eq!(document.get_str("_id").ok(), Some(key.to_string().as_str()));
}

#[test]
fn what_is_not_ours_is_told_apart() {
    let whole = stored_form(&Stored::Record(a_record()));
    for field in ["a", "l", "w", "c", "e"] {
        let mut less = whole.clone();
        less.remove(field);
        assert_eq!(read(&less), Err(Unreadable::Malformed), "without {field}");
        let mut other = whole.clone();
        other.insert(field, "text");
        assert_eq!(read(&other), Err(Unreadable::Malformed), "with text for {field}");
    }
    let mut newer = whole.clone();
    newer.insert("v", 2);
    assert_eq!(read(&newer), Err(Unreadable::Newer));
    let mut annotated = whole.clone();
    annotated.insert("note", "by an operator");
    assert_eq!(read(&annotated), Ok(Stored::Record(a_record())));
    let mut plain = whole;
    plain.insert("a", doc! { "no_underscore": binary(b"x") , "x": binary(b"") });
    assert_eq!(read(&plain), Err(Unreadable::Malformed), "a field without its mark");
}

#[test]
fn bytes_that_are_no_document_are_refused_without_a_panic() {
    let mut bytes = rawdoc! { "a": { "_x": 1 }, "l": [1, 2] }.into_bytes();
    for at in 4..bytes.len() - 1 {
        let kept = std::mem::replace(&mut bytes[at], 0xff);
        if let Ok(document) = RawDocumentBuf::from_bytes(bytes.clone()) {
            assert!(decode(document).is_err(), "byte {at}");
        }
        bytes[at] = kept;
    }
}

#[test]
fn the_head_is_the_first_stamp() {
    let document = RawDocumentBuf::try_from(&doc! { "l": [binary(&[7; 16]), binary(&[8; 16])] }).unwrap();
    assert_eq!(head_of(&document), Some(a_stamp(7)));
    assert_eq!(head_of(&rawdoc! {}), None);
    assert_eq!(head_of(&rawdoc! { "l": [] }), None);
}

proptest! {
    #[test]
    fn every_name_survives_and_means_no_path(name in any::<String>()) {
        let field = field_of(&name);
        prop_assert!(!field.contains(['.', '$', '\0']));
        prop_assert_eq!(name_of(&field), Some(name));
    }

    #[test]
    fn different_names_are_different_fields(one in "[._%$0-9A-F]{0,6}", other in "[._%$0-9A-F]{0,6}") {
        prop_assert_eq!(field_of(&one) == field_of(&other), one == other);
    }

    #[test]
    fn any_field_is_read_or_refused(field in any::<String>()) {
        if let Some(name) = name_of(&field) {
            prop_assert_eq!(field_of(&name), field);
        }
    }

    #[test]
    fn every_record_comes_back(
        attributes in prop::collection::btree_map(any::<String>(), prop::collection::vec(any::<u8>(), 0..40), 0..6),
        writes in 1_u8..20,
        created in 0..=Timestamp::MAX.as_millis(),
        deadline in 0..=Timestamp::MAX.as_millis(),
    ) {
        let lineage = (1..writes).fold(Lineage::new(a_stamp(0)), |lineage, number| lineage.pushed(a_stamp(number)));
        prop_assert!(lineage.stamps().len() <= LINEAGE_DEPTH);
        let record = Record {
            attributes: attributes.into_iter().map(|(name, value)| (name, value.into())).collect(),
            lineage,
            created: Timestamp::from_millis(created),
            deadline: Timestamp::from_millis(deadline),
        };
        let stored = Stored::Record(record);
        prop_assert_eq!(read(&encode(&a_key(), &stored)), Ok(stored));
    }
}
