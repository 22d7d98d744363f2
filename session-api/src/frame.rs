//! A whole record as bytes, for stores that keep one blob a session.
//!
//! Version 2 is bincode 2 with fixed-width little-endian integers, so that a store's script can read and patch the
//! header in place:
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 1 | version of the frame: 2 |
//! | 1 | 1 | 0 = a record, 1 = a tombstone |
//! | 2 | 8 | deadline, milliseconds |
//! | 10 | 8 | created, milliseconds (0 for a tombstone) |
//! | 18 | 8 | number of writes, from the creation on |
//! | 26 | 8 | length of the lineage's stamps in bytes: 16 to 128 |
//! | 34 | 16 each | the stamps, newest first: the head is always at offset 34 |
//! | then | 8 | number of attributes (0 for a tombstone), each: |
//! | | 8 + n | length of the name, the name in UTF-8 |
//! | | 8 + n | length of the value, the value |
//!
//! Version 1 had no number of writes: what stands at 26 stood at 18. It is read as if each remembered stamp had been a
//! write. Attributes may come in any order, but no name twice. `tests/golden/` holds a file of every version.

use std::fmt;
use std::ops::Range;

use bincode::config::{Configuration, Fixint, LittleEndian};
use bytes::Bytes;

use crate::clock::Timestamp;
use crate::record::{Attributes, Record, Stored, Tombstone};
use crate::stamp::{LINEAGE_DEPTH, Lineage};

/// The version that this library writes; it reads every version up to this one.
pub const VERSION: u8 = 2;

/// Where the deadline stands in a frame.
pub const DEADLINE_OFFSET: usize = 2;

/// Where the beginning of the session stands in a frame.
pub const CREATED_OFFSET: usize = 10;

/// Where the number of writes stands in a frame.
pub const WRITES_OFFSET: usize = 18;

/// Where the length of the lineage's stamps stands in a frame.
pub const LINEAGE_LENGTH_OFFSET: usize = 26;

/// Where the head stands in a frame.
pub const HEAD_OFFSET: usize = 34;

/// What stands behind the version in the frame of a record.
pub const RECORD: u8 = 0;

const TOMBSTONE: u8 = 1;
const LENGTH_BYTES: usize = 8;

type Header<'a> = (u8, u8, u64, u64, u64, &'a [u8], u64);
type HeaderOfVersion1<'a> = (u8, u8, u64, u64, &'a [u8], u64);

const CONFIG: Configuration<LittleEndian, Fixint> =
    bincode::config::standard().with_little_endian().with_fixed_int_encoding();

/// The size of a record in bytes: the length of its frame. Limits on a session's size count this.
pub fn size(record: &Record) -> usize {
    let attributes: usize =
        record.attributes.iter().map(|(name, value)| attribute_size(name.len(), value.len())).sum();
    HEAD_OFFSET + 16 * record.lineage.stamps().len() + LENGTH_BYTES + attributes
}

/// The size in bytes of a record without attributes, with a full lineage.
pub const EMPTY_SIZE: usize = HEAD_OFFSET + 16 * LINEAGE_DEPTH + LENGTH_BYTES;

/// What one attribute adds to the size of a record, in bytes.
pub const fn attribute_size(name_length: usize, value_length: usize) -> usize {
    2 * LENGTH_BYTES + name_length + value_length
}

/// Encodes a record or a tombstone.
pub fn encode(stored: &Stored) -> Vec<u8> {
    match stored {
        Stored::Record(record) => encode_record(record),
        Stored::Tombstone(Tombstone { lineage, deadline }) => {
            let mut frame = Vec::with_capacity(HEAD_OFFSET + 16 * lineage.stamps().len() + LENGTH_BYTES);
            push_header(&mut frame, TOMBSTONE, *deadline, Timestamp::default(), lineage, 0);
            frame
        }
    }
}

/// Encodes a record.
pub fn encode_record(record: &Record) -> Vec<u8> {
    let Record { attributes, lineage, created, deadline } = record;
    let mut frame = Vec::with_capacity(size(record));
    push_header(&mut frame, RECORD, *deadline, *created, lineage, attributes.len());
    for (name, value) in attributes {
        push_attribute(&mut frame, name, value);
    }
    frame
}

/// Appends an attribute as a frame holds it.
pub fn push_attribute(frame: &mut Vec<u8>, name: &str, value: &[u8]) {
    push(frame, (name, value));
}

fn push_header(
    frame: &mut Vec<u8>,
    kind: u8,
    deadline: Timestamp,
    created: Timestamp,
    lineage: &Lineage,
    attributes: usize,
) {
    let (writes, stamps) = (lineage.writes(), lineage.to_bytes());
    let header: Header<'_> =
        (VERSION, kind, deadline.as_millis(), created.as_millis(), writes, &stamps, attributes as u64);
    push(frame, header);
}

fn push(frame: &mut Vec<u8>, part: impl bincode::Encode) {
    // Writing to memory cannot fail, and neither can encoding integers and byte strings.
    bincode::encode_into_std_write(part, frame, CONFIG).expect("a frame is written to memory");
}

/// Decodes a frame. Values share memory with `frame`.
pub fn decode(frame: &Bytes) -> Result<Stored, FrameError> {
    let (header, mut position) = header_of(frame)?;
    let (_, kind, deadline, created, writes, stamps, count) = header;
    let lineage = Lineage::from_parts(writes, stamps).ok_or(FrameError::Malformed)?;
    let deadline = Timestamp::from_millis(deadline);
    // No frame has more attributes than room for their lengths, whatever its count says.
    let most = frame.len() / attribute_size(0, 0);
    let mut found = Vec::with_capacity(usize::try_from(count).unwrap_or(most).min(most));
    for _ in 0..count {
        let (name, value) = attribute_at(frame, &mut position)?;
        found.push((name.to_owned(), frame.slice(value)));
    }
    let named = found.len();
    let attributes = Attributes::from_iter(found);
    let has_repeated_name = attributes.len() != named;
    if has_repeated_name || position != frame.len() {
        return Err(FrameError::Malformed);
    }
    match kind {
        RECORD => {
            let created = Timestamp::from_millis(created);
            Ok(Stored::Record(Record { attributes, lineage, created, deadline }))
        }
        TOMBSTONE if count == 0 => Ok(Stored::Tombstone(Tombstone { lineage, deadline })),
        _ => Err(FrameError::Malformed),
    }
}

/// The header, of whatever version, and where it ends.
fn header_of(frame: &[u8]) -> Result<(Header<'_>, usize), FrameError> {
    match frame.first() {
        Some(&VERSION) => bincode::borrow_decode_from_slice(frame, CONFIG).map_err(malformed),
        Some(1) => {
            let (header, position): (HeaderOfVersion1<'_>, usize) =
                bincode::borrow_decode_from_slice(frame, CONFIG).map_err(malformed)?;
            let (version, kind, deadline, created, stamps, count) = header;
            let writes = (stamps.len() / 16) as u64;
            Ok(((version, kind, deadline, created, writes, stamps, count), position))
        }
        Some(&version) if version > VERSION => Err(FrameError::Newer { version }),
        Some(_) | None => Err(FrameError::Malformed),
    }
}

/// The name of the attribute at `position`, and where its value is; `position` moves behind it.
pub fn attribute_at<'a>(
    frame: &'a [u8],
    position: &mut usize,
) -> Result<(&'a str, Range<usize>), FrameError> {
    let name = &frame[part(frame, position)?];
    let name = std::str::from_utf8(name).map_err(|_| FrameError::Malformed)?;
    Ok((name, part(frame, position)?))
}

/// Where the name or value is whose length stands at `position`, which moves behind it.
fn part(frame: &[u8], position: &mut usize) -> Result<Range<usize>, FrameError> {
    let begin = position.checked_add(LENGTH_BYTES).ok_or(FrameError::Malformed)?;
    let length = frame.get(*position..begin).ok_or(FrameError::Malformed)?;
    let length = u64::from_le_bytes(length.try_into().map_err(|_| FrameError::Malformed)?);
    let length = usize::try_from(length).map_err(|_| FrameError::Malformed)?;
    let end = begin.checked_add(length).filter(|end| *end <= frame.len()).ok_or(FrameError::Malformed)?;
    *position = end;
    Ok(begin..end)
}

fn malformed(_: bincode::error::DecodeError) -> FrameError {
    FrameError::Malformed
}

/// A frame could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// A newer version of the library wrote it. It is left alone.
    Newer {
        /// The version of the frame.
        version: u8,
    },
    /// It is not a frame: truncated, overwritten, or somebody else's.
    Malformed,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Newer { version } => write!(
                f,
                "the record has format {version} and this library reads up to {VERSION}: finish the upgrade of all nodes"
            ),
            Self::Malformed => f.write_str("the stored bytes are not a session record: delete the session"),
        }
    }
}

impl std::error::Error for FrameError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop};
    use proptest::{prop_assert_eq, proptest};

    use super::*;
    use crate::stamp::Stamp;

    fn record(attributes: Vec<(String, Vec<u8>)>, stamps: &[[u8; 16]]) -> Record {
        let mut lineage = Lineage::new(Stamp::from_bytes([0; 16]));
        for stamp in stamps {
            lineage = lineage.pushed(Stamp::from_bytes(*stamp));
        }
        Record {
            attributes: attributes.into_iter().map(|(name, value)| (name, value.into())).collect(),
            lineage,
            created: Timestamp::from_millis(3),
            deadline: Timestamp::from_millis(5),
        }
    }

    proptest! {
        #[test]
        fn records_round_trip_and_have_the_size_that_is_said(
            attributes in prop::collection::vec((".*", prop::collection::vec(any::<u8>(), 0..50)), 0..8),
            stamps in prop::collection::vec(any::<[u8; 16]>(), 0..12),
        ) {
            let record = record(attributes, &stamps);
            let frame = encode_record(&record);
            prop_assert_eq!(frame.len(), size(&record));
            let head = record.head();
            prop_assert_eq!(&frame[HEAD_OFFSET..][..16], &head.as_bytes()[..]);
            prop_assert_eq!(decode(&frame.into()), Ok(Stored::Record(record)));
        }

        #[test]
        fn any_bytes_are_a_record_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = decode(&bytes.clone().into());
            let versioned = [&[VERSION, 0][..], &bytes].concat();
            let _ = decode(&versioned.into());
        }

        #[test]
        fn every_truncation_and_extension_is_malformed(cut in 1_usize..150) {
            let record = record(vec![("name".into(), vec![1; 40]), ("other".into(), vec![])], &[[1; 16]; 3]);
            let frame = encode_record(&record);
            let shorter = Bytes::copy_from_slice(&frame[..frame.len().saturating_sub(cut)]);
            prop_assert_eq!(decode(&shorter), Err(FrameError::Malformed));
            let longer = [frame, vec![0; cut]].concat();
            prop_assert_eq!(decode(&longer.into()), Err(FrameError::Malformed));
        }
    }

    #[test]
    fn tombstones_round_trip() {
        let lineage = Lineage::new(Stamp::from_bytes([7; 16]));
        let tombstone = Stored::Tombstone(Tombstone { lineage, deadline: Timestamp::from_millis(9) });
        assert_eq!(decode(&encode(&tombstone).into()), Ok(tombstone));
    }

    #[test]
    fn a_newer_frame_is_refused_not_misread() {
        let mut frame = encode_record(&record(vec![], &[]));
        frame[0] = VERSION + 1;
        assert_eq!(decode(&frame.into()), Err(FrameError::Newer { version: VERSION + 1 }));
    }
}
