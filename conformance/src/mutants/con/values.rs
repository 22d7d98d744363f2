//! Stores that mangle names and values, misjudge sizes, or claim what is not so.

use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use holdover_api::{
    Attributes, Capabilities, Error, ErrorKind, Operation, Record, SaveAnswer, SessionKey, Stored, Timestamp,
    Verdict, Write, judge,
};

use crate::mutants::{Flaw, Flawed, MAX_BYTES, Mutant, Sound};

pub(super) fn mutants() -> Vec<Mutant> {
    vec![
        mutant!("con-m53e", EmptyIsAbsent, "a record without attributes reads as no session", ["CON-14"]),
        mutant!("con-m53v", TextValues, "values are kept as text", ["CON-15"]),
        mutant!("con-m53n", EmptyValuesVanish, "an empty value is not kept", ["CON-15"]),
        mutant!("con-m53d", DotsAreEscapedBadly, "a dot in a name becomes an underscore", ["CON-16"]),
        mutant!("con-m53t", NamesTrimmed, "spaces around a name are cut off", ["CON-16"]),
        mutant!("con-m53c", NamesFolded, "names are compared without regard to case", ["CON-16"]),
        mutant!("con-m20v", KeepsTail, "a shorter value leaves the tail of the longer one", ["CON-20"]),
        mutant!("con-m19u", LimitTooLow, "the limit is one byte lower than claimed", ["CON-19"]),
        mutant!("con-m19o", LimitTooHigh, "the limit is one byte higher than claimed", ["CON-19"]),
        mutant!(
            "con-m11s",
            TooLargeAfterwards,
            "a write that is too large has removed attributes already",
            ["CON-19"]
        ),
        mutant!(
            "con-m34",
            FickleClaims::default(),
            "what the store claims changes from call to call",
            ["CON-34"]
        ),
        mutant!("con-m34n", NoTimeout, "the store claims to expire by itself and never does", ["CON-34"]),
    ]
}

/// What is read after `change`.
fn reading(now: Timestamp, stored: Stored, change: impl Fn(&mut Attributes)) -> Option<Record> {
    let mut record = stored.into_live(now)?;
    change(&mut record.attributes);
    Some(record)
}

/// The attributes with each name changed.
fn renamed(attributes: &Attributes, change: impl Fn(&str) -> String) -> Attributes {
    attributes.iter().map(|(name, value)| (change(name), value.clone())).collect()
}

struct EmptyIsAbsent;

impl Flaw for EmptyIsAbsent {
    fn read(&self, now: Timestamp, stored: Stored) -> Option<Record> {
        stored.into_live(now).filter(|record| !record.attributes.is_empty())
    }
}

struct TextValues;

impl Flaw for TextValues {
    fn read(&self, now: Timestamp, stored: Stored) -> Option<Record> {
        reading(now, stored, |attributes| {
            for value in attributes.values_mut() {
                *value = Bytes::from(String::from_utf8_lossy(value).into_owned());
            }
        })
    }
}

struct EmptyValuesVanish;

impl Flaw for EmptyValuesVanish {
    fn read(&self, now: Timestamp, stored: Stored) -> Option<Record> {
        reading(now, stored, |attributes| attributes.retain(|_, value| !value.is_empty()))
    }
}

struct DotsAreEscapedBadly;

impl Flaw for DotsAreEscapedBadly {
    fn read(&self, now: Timestamp, stored: Stored) -> Option<Record> {
        reading(now, stored, |attributes| *attributes = renamed(attributes, |name| name.replace('.', "_")))
    }
}

struct NamesTrimmed;

impl Flaw for NamesTrimmed {
    fn read(&self, now: Timestamp, stored: Stored) -> Option<Record> {
        reading(now, stored, |attributes| *attributes = renamed(attributes, |name| name.trim().to_owned()))
    }
}

struct NamesFolded;

impl Flaw for NamesFolded {
    fn read(&self, now: Timestamp, stored: Stored) -> Option<Record> {
        reading(now, stored, |attributes| *attributes = renamed(attributes, str::to_ascii_lowercase))
    }
}

struct KeepsTail;

impl Flaw for KeepsTail {
    fn judge(&self, now: Timestamp, stored: Option<&Stored>, write: &Write) -> Verdict {
        let before = stored.and_then(|stored| stored.as_live(now));
        match (judge(now, stored, write), before) {
            (Verdict::Apply { mut record, previous }, Some(before)) => {
                for (name, value) in &mut record.attributes {
                    let old = before.attributes.get(name).map_or(&[][..], |old| &old[..]);
                    let tail = old.get(value.len()..).unwrap_or_default();
                    *value = [&value[..], tail].concat().into();
                }
                Verdict::Apply { record, previous }
            }
            (verdict, _) => verdict,
        }
    }
}

struct LimitTooLow;

impl Flaw for LimitTooLow {
    fn fits(&self, size: usize) -> bool {
        size < MAX_BYTES
    }
}

struct LimitTooHigh;

impl Flaw for LimitTooHigh {
    fn fits(&self, size: usize) -> bool {
        size <= MAX_BYTES + 1
    }
}

struct TooLargeAfterwards;

#[async_trait]
impl Flaw for TooLargeAfterwards {
    async fn save(&self, store: &Flawed, key: &SessionKey, write: &Write) -> Result<SaveAnswer, Error> {
        let answer = store.sound_save(key, write);
        let too_large = answer.as_ref().is_err_and(|error| error.kind() == ErrorKind::TooLarge);
        if let (true, Some(Stored::Record(mut record))) = (too_large, store.get(key, Operation::Save)?) {
            for name in write.delta.removes() {
                record.attributes.remove(name);
            }
            store.put(key, Some(&Stored::Record(record)));
        }
        answer
    }
}

#[derive(Default)]
struct FickleClaims(AtomicUsize);

impl Flaw for FickleClaims {
    fn capabilities(&self) -> Capabilities {
        let calls = self.0.fetch_add(1, Ordering::Relaxed);
        Capabilities { max_bytes: MAX_BYTES + calls, ..Sound.capabilities() }
    }
}

struct NoTimeout;

impl Flaw for NoTimeout {
    fn native_deadline(&self, _: &Stored) -> Option<Timestamp> {
        None
    }
}
