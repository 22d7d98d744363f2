//! Which period a table belongs to.

/// A table's place in time: the number of whole periods from the Unix epoch to its beginning.
///
/// ```
/// use holdover_rotation::Generation;
///
/// let generation = Generation::new(489_000);
/// assert_eq!(generation.next().number(), 489_001);
/// assert_eq!(Generation::new(0).previous(), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(u64);

impl Generation {
    /// The generation of this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The one that follows it.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The one before it, if there is one.
    pub fn previous(self) -> Option<Self> {
        self.0.checked_sub(1).map(Self)
    }
}
