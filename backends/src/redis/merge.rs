//! Merging a write into the frame that a load brought, so that the server usually has nothing to merge.

use bytes::Bytes;
use holdover_api::frame::{self, CREATED_OFFSET, HEAD_OFFSET, LINEAGE_LENGTH_OFFSET, RECORD, WRITES_OFFSET};
use holdover_api::{Lineage, On, Timestamp, Write};

/// The frame that results if the base is still what is stored; `added` holds the attributes set. The script sees by
/// the lineage whether it is.
///
/// Nothing where the script has to merge or decide by itself: the write has happened before, does not stand on this
/// base, would be too large, or is most of the result anyway.
pub(super) fn over(base: &Bytes, write: &Write, added: &[u8], max_bytes: usize) -> Option<Vec<u8>> {
    let added_is_whole = added.is_empty() == write.delta.sets().is_empty();
    if base.first() != Some(&frame::VERSION) || base.get(1) != Some(&RECORD) || !added_is_whole {
        return None;
    }
    let lineage_bytes = usize::try_from(number_at(base, LINEAGE_LENGTH_OFFSET)?).ok()?;
    let body_at = HEAD_OFFSET.checked_add(lineage_bytes)?;
    let writes = number_at(base, WRITES_OFFSET)?;
    let lineage = Lineage::from_parts(writes, base.get(HEAD_OFFSET..body_at)?)?;
    let stands_on_base = match write.on {
        On::Absent { .. } => false,
        On::Live => true,
        On::Head(expected) => expected == lineage.head(),
    };
    if !stands_on_base || lineage.contains(write.stamp) {
        return None;
    }
    let old_deadline = Timestamp::from_millis(number_at(base, frame::DEADLINE_OFFSET)?);
    let deadline = write.deadline.over(old_deadline);
    let pushed = lineage.pushed(write.stamp);
    let stamps = pushed.to_bytes();
    let mut merged = Vec::with_capacity(base.len() + 16 + added.len());
    merged.extend_from_slice(&[frame::VERSION, RECORD]);
    merged.extend_from_slice(&deadline.as_millis().to_le_bytes());
    merged.extend_from_slice(base.get(CREATED_OFFSET..WRITES_OFFSET)?);
    merged.extend_from_slice(&pushed.writes().to_le_bytes());
    merged.extend_from_slice(&(stamps.len() as u64).to_le_bytes());
    merged.extend_from_slice(&stamps);
    let count_at = merged.len();
    merged.extend_from_slice(&[0; 8]);
    let kept = if write.delta.clears() { 0 } else { keep(base, body_at, write, &mut merged)? };
    let count = kept + write.delta.sets().len() as u64;
    merged[count_at..count_at + 8].copy_from_slice(&count.to_le_bytes());
    merged.extend_from_slice(added);
    let is_mostly_delta = added.len() > merged.len() / 2;
    (merged.len() <= max_bytes && !is_mostly_delta).then_some(merged)
}

/// Copies the attributes that the write leaves alone; answers how many.
fn keep(base: &[u8], body_at: usize, write: &Write, merged: &mut Vec<u8>) -> Option<u64> {
    let count = number_at(base, body_at)?;
    let mut kept = count;
    let mut at = body_at + 8;
    let mut from = at;
    for _ in 0..count {
        let begin = at;
        let (name, _) = frame::attribute_at(base, &mut at).ok()?;
        if write.delta.get(name).is_some() {
            merged.extend_from_slice(&base[from..begin]);
            from = at;
            kept -= 1;
        }
    }
    merged.extend_from_slice(base.get(from..)?);
    (at == base.len()).then_some(kept)
}

fn number_at(frame: &[u8], at: usize) -> Option<u64> {
    let bytes = frame.get(at..at.checked_add(8)?)?;
    Some(u64::from_le_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use holdover_api::{Deadline, Delta, Record, Stamp, Stored, Verdict, judge};
    use proptest::prelude::{any, prop};
    use proptest::{prop_assert, prop_assert_eq, proptest};

    use super::*;

    fn encoded(write: &Write) -> Vec<u8> {
        let mut added = Vec::new();
        for (name, value) in write.delta.sets() {
            frame::push_attribute(&mut added, name, value);
        }
        added
    }

    fn record(names: &[u8], stamps: u8) -> Record {
        let mut lineage = Lineage::new(Stamp::from_bytes([0; 16]));
        for stamp in 1..=stamps {
            lineage = lineage.pushed(Stamp::from_bytes([stamp; 16]));
        }
        Record {
            attributes: names.iter().map(|name| (format!("n{name}"), vec![*name; 90].into())).collect(),
            lineage,
            created: Timestamp::from_millis(3),
            deadline: Timestamp::from_millis(50),
        }
    }

    proptest! {
        #[test]
        fn the_merged_frame_is_what_the_judge_says(
            names in prop::collection::vec(0_u8..12, 0..12),
            stamps in 0_u8..10,
            set in prop::collection::vec(0_u8..12, 0..3),
            removed in prop::collection::vec(0_u8..12, 0..3),
            clear in any::<bool>(),
            exactly in any::<bool>(),
            moment in 20_u64..80,
        ) {
            let record = record(&names, stamps);
            let mut delta = Delta::default();
            if clear {
                delta.clear();
            }
            for name in removed {
                delta.remove(format!("n{name}"));
            }
            for name in set {
                delta.set(format!("n{name}"), vec![1, 2]);
            }
            let moment = Timestamp::from_millis(moment);
            let deadline = if exactly { Deadline::Exactly(moment) } else { Deadline::AtLeast(moment) };
            let stamp = Stamp::from_bytes([99; 16]);
            let write = Write { on: On::Live, delta, stamp, deadline, base: None };
            let base = Bytes::from(frame::encode_record(&record));
            let over = over(&base, &write, &encoded(&write), 10_000);
            let now = Timestamp::from_millis(10);
            let verdict = judge(now, Some(&Stored::Record(record.clone())), &write);
            let Verdict::Apply { record: expected, .. } = verdict else {
                panic!("a merge into a live record applies");
            };
            if let Some(merged) = over {
                prop_assert_eq!(frame::decode(&merged.into()), Ok(Stored::Record(expected)));
            } else {
                prop_assert!(encoded(&write).len() * 2 > frame::size(&expected), "nothing else keeps it from merging");
            }
        }
    }

    #[test]
    fn what_the_script_has_to_decide_is_left_to_it() {
        let base = Bytes::from(frame::encode_record(&record(&[1, 2, 3], 3)));
        let write = |on, stamp| Write {
            on,
            delta: Delta::default(),
            stamp: Stamp::from_bytes([stamp; 16]),
            deadline: Deadline::AtLeast(Timestamp::from_millis(60)),
            base: None,
        };
        let head = Stamp::from_bytes([3; 16]);
        assert!(over(&base, &write(On::Live, 9), &[], 10_000).is_some());
        assert!(over(&base, &write(On::Head(head), 9), &[], 10_000).is_some());
        assert!(over(&base, &write(On::Live, 2), &[], 10_000).is_none(), "it has happened before");
        let other = Stamp::from_bytes([2; 16]);
        assert!(over(&base, &write(On::Head(other), 9), &[], 10_000).is_none(), "it stands on another");
        let created = Timestamp::from_millis(1);
        assert!(over(&base, &write(On::Absent { created }, 9), &[], 10_000).is_none());
        assert!(over(&base, &write(On::Live, 9), &[], base.len()).is_none(), "it would be too large");
        for length in 0..base.len() {
            assert!(over(&base.slice(..length), &write(On::Live, 9), &[], 10_000).is_none(), "{length}");
        }
    }
}
