//! What was read and written through one connection lately, so that a write need not read again what it stands on.
//!
//! A hint that anybody may overwrite at any time: it only ever leads to a compare-and-set, which the server refuses if
//! the hint is old. Nothing is answered from it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use holdover_api::{Record, SessionKey, Standing};

/// How many sessions are remembered: some 90 bytes each. A power of two.
const SLOTS: usize = 4096;

/// One session as it stood.
#[derive(Clone, Debug)]
pub(super) struct Remembered {
    pub(super) standing: Standing,
    pub(super) cas: u64,
    /// The content, for as long as somebody else holds it: most often the request that loaded it.
    record: Weak<Record>,
}

impl Remembered {
    /// The content, if somebody still holds it.
    pub(super) fn record(&self) -> Option<Arc<Record>> {
        self.record.upgrade()
    }
}

struct Slot {
    key: SessionKey,
    remembered: Remembered,
}

/// A table of one slot a key: two keys may share it, and the later one has it.
pub(super) struct Memo(Mutex<Box<[Option<Slot>]>>);

impl Memo {
    /// Remembers what was read or written, and its compare token.
    pub(super) fn note(&self, key: &SessionKey, standing: Standing, cas: u64, record: Option<&Arc<Record>>) {
        let record = record.map(Arc::downgrade).unwrap_or_default();
        let slot = Slot { key: *key, remembered: Remembered { standing, cas, record } };
        let replaced = self.lock()[place(key)].replace(slot);
        drop(replaced);
    }

    /// Forgets what is known not to be there any more.
    pub(super) fn forget(&self, key: &SessionKey) {
        let mut slots = self.lock();
        let slot = &mut slots[place(key)];
        if slot.as_ref().is_some_and(|slot| slot.key == *key) {
            *slot = None;
        }
    }

    /// What is remembered of a session.
    pub(super) fn recall(&self, key: &SessionKey) -> Option<Remembered> {
        let slots = self.lock();
        let slot = slots[place(key)].as_ref().filter(|slot| slot.key == *key)?;
        Some(slot.remembered.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Box<[Option<Slot>]>> {
        // Only whole values are put in and taken out.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keys are hashes, so that any of their bits spread them.
fn place(key: &SessionKey) -> usize {
    let [first, second, ..] = *key.as_bytes();
    usize::from(u16::from_le_bytes([first, second])) % SLOTS
}

impl Default for Memo {
    fn default() -> Self {
        Self(Mutex::new((0..SLOTS).map(|_| None).collect()))
    }
}

impl fmt::Debug for Memo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Memo")
    }
}

#[cfg(test)]
mod tests {
    use holdover_api::{Attributes, Lineage, Stamp, Timestamp};

    use super::*;

    fn key(number: u8) -> SessionKey {
        SessionKey::from_bytes([number; 32])
    }

    fn record(number: u8) -> Arc<Record> {
        let lineage = Lineage::new(Stamp::from_bytes([number; 16]));
        let deadline = Timestamp::from_millis(9);
        Arc::new(Record { attributes: Attributes::new(), lineage, created: Timestamp::default(), deadline })
    }

    #[test]
    fn what_was_noted_last_is_recalled_until_it_is_forgotten() {
        let memo = Memo::default();
        assert!(memo.recall(&key(1)).is_none());
        let (first, second) = (record(1), record(2));
        memo.note(&key(1), first.standing(), 5, Some(&first));
        memo.note(&key(1), second.standing(), 6, None);
        let remembered = memo.recall(&key(1)).unwrap();
        assert_eq!((remembered.standing, remembered.cas), (second.standing(), 6));
        assert!(remembered.record().is_none());
        memo.forget(&key(1));
        assert!(memo.recall(&key(1)).is_none());
    }

    #[test]
    fn content_is_not_kept_alive() {
        let memo = Memo::default();
        let held = record(1);
        memo.note(&key(1), held.standing(), 5, Some(&held));
        assert_eq!(memo.recall(&key(1)).unwrap().record().as_ref(), Some(&held));
        drop(held);
        let remembered = memo.recall(&key(1)).unwrap();
        assert!(remembered.record().is_none());
        assert_eq!(remembered.cas, 5);
    }

    #[test]
    fn two_keys_of_one_place_are_never_taken_for_each_other() {
        let memo = Memo::default();
        let mut bytes = *key(1).as_bytes();
        bytes[31] = 9;
        let other = SessionKey::from_bytes(bytes);
        assert_eq!(place(&other), place(&key(1)));
        let held = record(1);
        memo.note(&key(1), held.standing(), 5, None);
        assert!(memo.recall(&other).is_none());
        memo.forget(&other);
        assert!(memo.recall(&key(1)).is_some());
        memo.note(&other, held.standing(), 6, None);
        assert!(memo.recall(&key(1)).is_none());
    }
}
