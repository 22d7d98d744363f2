//! DynamoDB's units: what one operation on a record of some size is billed.

use std::ops::{Add, AddAssign, Mul};

/// A read unit reads so much, strongly consistently.
pub const READ_UNIT_BYTES: u64 = 4 * 1024;

/// A write unit writes so much.
pub const WRITE_UNIT_BYTES: u64 = 1024;

/// The largest that a record may be, with the names of its attributes.
pub const MAX_RECORD_BYTES: u64 = 400 * 1024;

/// Read and write units: of one operation, or a rate of them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Units {
    /// Read units (RRU, or RCU per second).
    pub read: f64,
    /// Write units (WRU, or WCU per second).
    pub write: f64,
}

impl Units {
    /// One strongly consistent read: begun 4 KB count whole, and so does a record that is not there.
    ///
    /// ```
    /// use holdover_rotation::planner::Units;
    ///
    /// assert_eq!(Units::read(4_096).read, 1.0);
    /// assert_eq!(Units::read(4_097).read, 2.0);
    /// assert_eq!(Units::read(0).read, 1.0);
    /// ```
    pub fn read(bytes: u64) -> Self {
        Self { read: bytes.div_ceil(READ_UNIT_BYTES).max(1) as f64, write: 0.0 }
    }

    /// One eventually consistent read: half of a strong one.
    pub fn eventual_read(bytes: u64) -> Self {
        Self::read(bytes) * 0.5
    }

    /// One write: begun KB of the whole record count whole, before or after, whichever is larger, whatever of it changes.
    /// So do a deletion, and a write whose condition fails.
    ///
    /// ```
    /// use holdover_rotation::planner::Units;
    ///
    /// assert_eq!(Units::write(1_024).write, 1.0);
    /// assert_eq!(Units::write(1_025).write, 2.0);
    /// ```
    pub fn write(bytes: u64) -> Self {
        Self { read: 0.0, write: bytes.div_ceil(WRITE_UNIT_BYTES).max(1) as f64 }
    }

    /// An eventually consistent scan over so many bytes: it rounds up by pages, not by records.
    pub fn scan(bytes: f64) -> Self {
        Self { read: (bytes / READ_UNIT_BYTES as f64).ceil() / 2.0, write: 0.0 }
    }
}

impl Add for Units {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { read: self.read + other.read, write: self.write + other.write }
    }
}

impl AddAssign for Units {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Mul<f64> for Units {
    type Output = Self;

    fn mul(self, by: f64) -> Self {
        Self { read: self.read * by, write: self.write * by }
    }
}
