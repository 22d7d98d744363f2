//! Stored bytes of every released version are read by today's code. A file here never changes: a new format gets new
//! files beside the old ones.

use std::fs;
use std::path::PathBuf;

use bytes::Bytes;
use holdover_api::{Attributes, Codec, Lineage, Record, Stamp, Stored, Timestamp, Tombstone, frame};

fn golden(name: &str) -> Bytes {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{name}: {error}")).into()
}

fn record() -> Record {
    let attributes = Attributes::from([
        (String::new(), Bytes::from_static(b"J\"no name\"")),
        ("basket".into(), Bytes::from_static(b"J[1,2,3]")),
        ("grüße 🦀".into(), Bytes::from_static(&[0, 255, b'\r', b'\n'])),
    ]);
    let lineage = Lineage::new(Stamp::from_bytes([1; 16])).pushed(Stamp::from_bytes([0xAB; 16]));
    let created = Timestamp::from_millis(1_790_000_000_000);
    Record { attributes, lineage, created, deadline: Timestamp::from_millis(1_790_001_800_123) }
}

fn tombstone() -> Tombstone {
    let deadline = Timestamp::from_millis(1_790_001_800_123);
    let stamps: Vec<u8> = (1..=8).rev().flat_map(|number| [number; 16]).collect();
    Tombstone { lineage: Lineage::from_parts(300, &stamps).unwrap(), deadline }
}

#[test]
fn version_1_is_read_as_ever() {
    assert_eq!(frame::decode(&golden("record-v1.bin")), Ok(Stored::Record(record())));
    let lineage = Lineage::new(Stamp::from_bytes([7; 16]));
    let deadline = tombstone().deadline;
    let buried = Stored::Tombstone(Tombstone { lineage, deadline });
    assert_eq!(frame::decode(&golden("tombstone-v1.bin")), Ok(buried));
}

#[test]
fn version_2_records_are_read_and_written_as_ever() {
    let stored = Stored::Record(record());
    assert_eq!(frame::decode(&golden("record-v2.bin")), Ok(stored.clone()));
    assert_eq!(frame::encode(&stored), golden("record-v2.bin"));
}

#[test]
fn version_2_tombstones_are_read_and_written_as_ever() {
    let stored = Stored::Tombstone(tombstone());
    assert_eq!(frame::decode(&golden("tombstone-v2.bin")), Ok(stored.clone()));
    assert_eq!(frame::encode(&stored), golden("tombstone-v2.bin"));
}

#[test]
fn the_offsets_that_scripts_rely_on_hold() {
    let frame = golden("record-v2.bin");
    let deadline = u64::from_le_bytes(frame[frame::DEADLINE_OFFSET..][..8].try_into().unwrap());
    assert_eq!(deadline, 1_790_001_800_123);
    assert_eq!(frame[frame::WRITES_OFFSET..][..8], 2_u64.to_le_bytes());
    assert_eq!(frame[frame::LINEAGE_LENGTH_OFFSET..][..8], 32_u64.to_le_bytes());
    assert_eq!(frame[frame::HEAD_OFFSET..][..16], [0xAB; 16]);
}

#[test]
fn attributes_of_every_codec_are_read_as_ever() {
    let value = vec![("one".to_owned(), 1_u64), ("many".to_owned(), 70_000)];
    let files = [
        (Codec::Json, "attribute.json.bin"),
        #[cfg(feature = "messagepack")]
        (Codec::MessagePack, "attribute.messagepack.bin"),
        #[cfg(feature = "bincode")]
        (Codec::Bincode, "attribute.bincode.bin"),
    ];
    for (codec, file) in files {
        assert_eq!(Codec::decode::<Vec<(String, u64)>>(&golden(file)), Ok(value.clone()), "{file}");
        assert_eq!(codec.encode(&value).unwrap(), golden(file), "{file}");
    }
}
