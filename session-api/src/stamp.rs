//! Stamps, which make a write recognisable, and lineages, which remember the newest of them.

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

/// The newest stamps of a record, newest first: never empty, never more than [`LINEAGE_DEPTH`].
///
/// Stores keep it as one opaque field. It also orders copies: if the head of one copy occurs in the lineage of
/// another, the other is at least as new.
#[derive(Clone, PartialEq, Eq)]
pub struct Lineage {
    length: usize,
    stamps: [Stamp; LINEAGE_DEPTH],
}

impl Lineage {
    /// The lineage of a record that was just created.
    pub const fn new(first: Stamp) -> Self {
        let mut stamps = [Stamp([0; 16]); LINEAGE_DEPTH];
        stamps[0] = first;
        Self { length: 1, stamps }
    }

    /// The newest stamp: the version of the record.
    pub const fn head(&self) -> Stamp {
        self.stamps[0]
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
        Self { length, stamps }
    }

    /// The stored form: 16 bytes a stamp, newest first.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.stamps().iter().flat_map(|stamp| *stamp.as_bytes()).collect()
    }

    /// Reads the stored form; nothing unless it holds 1 to [`LINEAGE_DEPTH`] whole stamps.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (chunks, rest) = bytes.as_chunks::<16>();
        if !rest.is_empty() || chunks.is_empty() || chunks.len() > LINEAGE_DEPTH {
            return None;
        }
        let mut lineage = Self::new(Stamp(chunks[0]));
        for (slot, chunk) in lineage.stamps.iter_mut().zip(chunks) {
            *slot = Stamp(*chunk);
        }
        lineage.length = chunks.len();
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
        assert_eq!(Lineage::from_bytes(&lineage.to_bytes()), Some(lineage));
        for length in [0, 1, 15, 17, 16 * 9] {
            assert_eq!(Lineage::from_bytes(&vec![7; length]), None, "{length} bytes");
        }
    }
}
