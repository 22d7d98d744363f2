//! What it costs on DynamoDB to keep sessions, by the way in which they expire.
//!
//! The units of each operation are exact ([`Units`]); how many there are of it follows from averages
//! ([`Workload`]); prices are an input ([`Prices`]). The first formula of this kind was the ancestor's `t = s·r`
//! ([`ancestor_capacity`]): throughput is size times requests.

mod estimate;
mod prices;
mod units;
mod workload;

pub use estimate::{Estimate, Expiry, Kind, Line, RECORD_OVERHEAD_BYTES, ancestor_capacity, estimate};
pub use prices::{Cost, HOURS_PER_MONTH, Prices};
pub use units::{MAX_RECORD_BYTES, READ_UNIT_BYTES, Units, WRITE_UNIT_BYTES};
pub use workload::{Workload, WorkloadError};
