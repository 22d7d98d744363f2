//! What units cost.

use super::units::Units;

/// Hours in the month by which prices are quoted.
pub const HOURS_PER_MONTH: f64 = 730.0;

/// A price is for so many bytes.
const GIGABYTE: f64 = 1024.0 * 1024.0 * 1024.0;

/// Prices in US dollars. They are an input: look up those of your region and day.
///
/// ```
/// use holdover_rotation::planner::Prices;
///
/// let mine = Prices { per_million_writes: 0.7, ..Prices::US_EAST_1_AS_OF_2026_11 };
/// assert!(mine.per_million_reads < mine.per_million_writes);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prices {
    /// On demand, a million write request units.
    pub per_million_writes: f64,
    /// On demand, a million read request units.
    pub per_million_reads: f64,
    /// Provisioned, a write unit per second for an hour.
    pub per_write_unit_hour: f64,
    /// Provisioned, a read unit per second for an hour.
    pub per_read_unit_hour: f64,
    /// A gigabyte for a month.
    pub per_gigabyte_month: f64,
    /// So many gigabytes are free.
    pub free_gigabytes: f64,
}

impl Prices {
    /// Those of us-east-1, as collected in November 2026: on demand since the halving of November 2024. Second-hand, quoted
    /// by independent repositories from the vendor's page: look them up before you rely on them.
    pub const US_EAST_1_AS_OF_2026_11: Self = Self {
        per_million_writes: 0.625,
        per_million_reads: 0.125,
        per_write_unit_hour: 0.000_65,
        per_read_unit_hour: 0.000_13,
        per_gigabyte_month: 0.25,
        free_gigabytes: 25.0,
    };

    /// A month of so many units a second, each paid for as it is used.
    pub fn on_demand(&self, per_second: Units) -> Cost {
        let millions = HOURS_PER_MONTH * 3_600.0 / 1_000_000.0;
        Cost {
            reads: per_second.read * millions * self.per_million_reads,
            writes: per_second.write * millions * self.per_million_writes,
            storage: 0.0,
        }
    }

    /// A month of a capacity that is paid for whether it is used or not: whole units, and at least one of each.
    pub fn provisioned(&self, capacity: Units) -> Cost {
        Cost {
            reads: capacity.read.ceil().max(1.0) * HOURS_PER_MONTH * self.per_read_unit_hour,
            writes: capacity.write.ceil().max(1.0) * HOURS_PER_MONTH * self.per_write_unit_hour,
            storage: 0.0,
        }
    }

    /// A month of storage.
    pub fn storage(&self, bytes: f64) -> f64 {
        (bytes / GIGABYTE - self.free_gigabytes).max(0.0) * self.per_gigabyte_month
    }
}

/// What a month costs, in US dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// For reading.
    pub reads: f64,
    /// For writing.
    pub writes: f64,
    /// For keeping.
    pub storage: f64,
}

impl Cost {
    /// All of it.
    pub fn total(&self) -> f64 {
        self.reads + self.writes + self.storage
    }
}
