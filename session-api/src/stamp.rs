//! Stamps, which make a write recognisable, and lineages, which remember the newest of them.

use std::cmp::Ordering;
use std::fmt;

use crate::entropy::{Entropy, EntropyError};

/// How many stamps a record remembers: the newest and the seven before it.
///
/// A retry whose stamp has been pushed out by eight later writes is no longer recognised, which needs eight other
/// commits between two attempts of one call.
pub const LINEAGE_DEPTH: usize = 8;

/// 128 random bits that a writer draws before its first attempt.
///
/// A store that finds the stamp in a record's [`Lineage`] knows that this very write has already happened.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp([u8; 16]);

impl Stamp {
    /// Draws a new stamp.
    pub fn draw(entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        let mut bytes = [0_u8; 16];
        entropy.fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// A stamp from its bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes of the stamp.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stamp({}…)", data_encoding::HEXLOWER.encode(&self.0[..4]))
    }
}

/// Who wrote a record: how many writes there have been, and the stamps of the newest, newest first (never none, never
/// more than [`LINEAGE_DEPTH`]).
///
/// Stores keep it as it is. It also orders copies of one session, see [`Lineage::age`]: the stamps tell whose writes a
/// copy holds, which a count cannot, and the count tells how far a copy is behind once the stamps no longer reach.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Lineage {
    writes: u64,
    length: usize,
    stamps: [Stamp; LINEAGE_DEPTH],
}

/// How one copy of a session compares with another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Age {
    /// The same writes.
    Same,
    /// It holds every write of the other, and more.
    Newer,
    /// The other holds every write of it, and more.
    Older,
    /// Each holds a write that the other lacks.
    Diverged,
}

impl Lineage {
    /// The lineage of a record that was just created.
    pub const fn new(first: Stamp) -> Self {
        let mut stamps = [Stamp([0; 16]); LINEAGE_DEPTH];
        stamps[0] = first;
        Self { writes: 1, length: 1, stamps }
    }

    /// The newest stamp: the version of the record.
    pub const fn head(&self) -> Stamp {
        self.stamps[0]
    }

    /// How many writes made the record, from its creation on; more where some of them [leapt](Self::leapt).
    pub const fn writes(&self) -> u64 {
        self.writes
    }

    /// The stamps, newest first.
    pub fn stamps(&self) -> &[Stamp] {
        &self.stamps[..self.length]
    }

    /// Whether this write is among the newest.
    pub fn contains(&self, stamp: Stamp) -> bool {
        self.stamps().contains(&stamp)
    }

    /// The stamp that stood before `stamp`, if both are still remembered.
    pub fn before(&self, stamp: Stamp) -> Option<Stamp> {
        let position = self.stamps().iter().position(|known| *known == stamp)?;
        self.stamps().get(position + 1).copied()
    }

    /// The lineage after one more write; the oldest stamp may fall off.
    #[must_use]
    pub fn pushed(&self, stamp: Stamp) -> Self {
        let mut stamps = [stamp; LINEAGE_DEPTH];
        stamps[1..].copy_from_slice(&self.stamps[..LINEAGE_DEPTH - 1]);
        let length = (self.length + 1).min(LINEAGE_DEPTH);
        Self { writes: self.writes.saturating_add(1), length, stamps }
    }

    /// The same stamps, with a count that is one ahead of them. A store with two copies marks so what was written past
    /// one of them: whoever has written there can tell by [`reaches`](Self::reaches).
    #[must_use]
    pub fn leapt(&self) -> Self {
        Self { writes: self.writes.saturating_add(1), ..self.clone() }
    }

    /// Whether this has come from `earlier` by writes that it all remembers, none of which leapt.
    pub fn reaches(&self, earlier: &Self) -> bool {
        let since = self.stamps().iter().position(|known| *known == earlier.head());
        since.is_some_and(|since| earlier.writes.checked_add(since as u64) == Some(self.writes))
    }

    /// Compares two copies of one session.
    ///
    /// A copy whose head the other remembers is older. If neither remembers the other's head they have diverged, unless
    /// one is so many writes behind that no lineage reaches back to it: then the one with more writes counts as newer.
    /// The same head on two histories is one write that was tried again over more than the first time: the longer
    /// history is newer.
    ///
    /// ```
    /// use holdover_api::{Age, Lineage, Stamp};
    ///
    /// let stamp = |number| Stamp::from_bytes([number; 16]);
    /// let base = Lineage::new(stamp(1));
    /// assert_eq!(base.pushed(stamp(2)).age(&base), Age::Newer);
    /// assert_eq!(base.pushed(stamp(2)).age(&base.pushed(stamp(3))), Age::Diverged);
    /// ```
    pub fn age(&self, other: &Self) -> Age {
        if self == other {
            return Age::Same;
        }
        if self.head() == other.head() {
            return match self.writes.cmp(&other.writes) {
                Ordering::Greater => Age::Newer,
                Ordering::Less => Age::Older,
                Ordering::Equal => Age::Diverged,
            };
        }
        let remembers = |one: &Self, head| one.stamps()[1..].contains(&head);
        match (remembers(self, other.head()), remembers(other, self.head())) {
            (true, false) => return Age::Newer,
            (false, true) => return Age::Older,
            // A stamp occurs once in a history, so that both would be damage: treated as a divergence.
            (true, true) => return Age::Diverged,
            (false, false) => {}
        }
        let reach = LINEAGE_DEPTH as u64;
        if self.writes >= other.writes.saturating_add(reach) {
            Age::Newer
        } else if other.writes >= self.writes.saturating_add(reach) {
            Age::Older
        } else {
            Age::Diverged
        }
    }

    /// The stored form of the stamps: 16 bytes each, newest first.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.stamps().iter().flat_map(|stamp| *stamp.as_bytes()).collect()
    }

    /// Reads the stored form: a count of writes, and 1 to [`LINEAGE_DEPTH`] whole stamps, not more than writes; else
    /// nothing.
    pub fn from_parts(writes: u64, bytes: &[u8]) -> Option<Self> {
        let (chunks, rest) = bytes.as_chunks::<16>();
        let fits = rest.is_empty() && !chunks.is_empty() && chunks.len() <= LINEAGE_DEPTH;
        if !fits || writes < chunks.len() as u64 {
            return None;
        }
        let mut lineage = Self::new(Stamp(chunks[0]));
        for (slot, chunk) in lineage.stamps.iter_mut().zip(chunks) {
            *slot = Stamp(*chunk);
        }
        lineage.length = chunks.len();
        lineage.writes = writes;
        Some(lineage)
    }
}

impl fmt::Debug for Lineage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.stamps()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(number: u8) -> Stamp {
        Stamp::from_bytes([number; 16])
    }

    #[test]
    fn a_lineage_remembers_the_newest_eight() {
        let mut lineage = Lineage::new(stamp(1));
        for number in 2..=9 {
            lineage = lineage.pushed(stamp(number));
        }
        assert_eq!(lineage.head(), stamp(9));
        assert_eq!(lineage.stamps().len(), LINEAGE_DEPTH);
        assert!(!lineage.contains(stamp(1)));
        assert!(lineage.contains(stamp(2)));
        assert_eq!(lineage.before(stamp(9)), Some(stamp(8)));
        assert_eq!(lineage.before(stamp(2)), None);
    }

    #[test]
    fn the_stored_form_round_trips_and_refuses_the_rest() {
        let lineage = Lineage::new(stamp(1)).pushed(stamp(2)).pushed(stamp(3));
        assert_eq!(Lineage::from_parts(3, &lineage.to_bytes()), Some(lineage.clone()));
        assert_eq!(Lineage::from_parts(2, &lineage.to_bytes()), None, "more stamps than writes");
        for length in [0, 1, 15, 17, 16 * 9] {
            assert_eq!(Lineage::from_parts(99, &vec![7; length]), None, "{length} bytes");
        }
    }

    #[test]
    fn a_copy_that_is_behind_is_older_however_far() {
        let base = Lineage::new(stamp(0));
        let mut ahead = base.clone();
        for number in 1..=30 {
            ahead = ahead.pushed(stamp(number));
            assert_eq!((ahead.age(&base), base.age(&ahead)), (Age::Newer, Age::Older), "{number} writes");
        }
        assert_eq!(ahead.writes(), 31);
        assert_eq!(ahead.age(&ahead.clone()), Age::Same);
    }

    #[test]
    fn a_lineage_reaches_back_over_writes_that_it_remembers_and_that_did_not_leap() {
        let base = Lineage::new(stamp(0)).pushed(stamp(1));
        assert!(base.reaches(&base));
        let mut ahead = base.clone();
        for number in 2..9 {
            ahead = ahead.pushed(stamp(number));
            assert!(ahead.reaches(&base), "{number} writes");
            assert!(!base.reaches(&ahead), "{number} writes");
        }
        assert!(!ahead.pushed(stamp(9)).reaches(&base), "eight writes later it is forgotten");
        let leapt = base.pushed(stamp(2)).leapt();
        assert!(!leapt.reaches(&base) && !leapt.pushed(stamp(3)).reaches(&base));
        assert!(leapt.pushed(stamp(3)).reaches(&leapt));
        assert_eq!((leapt.age(&base), leapt.stamps().len()), (Age::Newer, 3));
        assert_eq!(Lineage::from_parts(leapt.writes(), &leapt.to_bytes()), Some(leapt));
    }

    #[test]
    fn a_write_that_was_tried_again_over_more_is_newer() {
        let base = Lineage::new(stamp(0));
        let (first, again) = (base.pushed(stamp(2)), base.pushed(stamp(1)).pushed(stamp(2)));
        assert_eq!((again.age(&first), first.age(&again)), (Age::Newer, Age::Older));
        let elsewhere = Lineage::new(stamp(9)).pushed(stamp(2));
        assert_eq!(first.age(&elsewhere), Age::Diverged);
    }

    #[test]
    fn copies_that_were_written_apart_have_diverged() {
        let base = Lineage::new(stamp(0)).pushed(stamp(1));
        let (one, other) = (base.pushed(stamp(2)), base.pushed(stamp(3)).pushed(stamp(4)));
        assert_eq!((one.age(&other), other.age(&one)), (Age::Diverged, Age::Diverged));
        let unrelated = Lineage::new(stamp(9));
        assert_eq!(unrelated.age(&base), Age::Diverged);
    }
}
