//! The names of everything that the layers count and measure.
//!
//! | metric | kind | labels | what it counts |
//! |---|---|---|---|
//! | `holdover_operations_total` | counter | store, operation, outcome | operations as [`Metrics`](crate::Metrics) sees them, by how they ended |
//! | `holdover_operation_seconds` | histogram | store, operation | how long they took |
//! | `holdover_operation_bytes` | histogram | store, operation | sizes of loaded records, and of the changes that were sent |
//! | `holdover_conflicts_total` | counter | store, operation | writes that met another writer's: they were refused, nothing was lost (I2) |
//! | `holdover_prevented_resurrections_total` | counter | store, operation | writes and touches of what was no longer alive: it stayed dead (I1) |
//! | `holdover_attempts_total` | counter | store, operation, outcome | attempts of [`Retry`](crate::Retry), the first included |
//! | `holdover_cache_loads_total` | counter | store, outcome | loads that accepted a copy: outcome `hit` or `miss` |
//! | `holdover_failovers_total` | counter | store, operation | operations that the backup answered |
//! | `holdover_repairs_total` | counter | store | copies that were brought up to date |
//! | `holdover_divergences_total` | counter | store | times that two copies each held a write that the other lacked |
//! | `holdover_losses_total` | counter | store | times that both copies were cold: sessions may be lost |
//! | `holdover_breaker_openings_total` | counter | store | times that a node was given up for a while |
//! | `holdover_half_copy_acknowledgements_total` | counter | store, operation | writes that were acknowledged with one copy instead of two |
//!
//! The label `store` is a store's name as it prints itself, `operation` is that of
//! [`Operation::name`](holdover_api::Operation::name), and `outcome` one of these words:
//!
//! | operation | outcomes |
//! |---|---|
//! | load | `found`, `absent` |
//! | save | `saved`, `conflict`, `gone` |
//! | touch | `touched`, `gone` |
//! | delete | `deleted` |
//! | inspect | `found`, `buried`, `absent` |
//! | install | `installed`, `refused` |
//! | any | the names of [`ErrorKind`](holdover_api::ErrorKind::name), and `dropped` where the caller did not wait for the end |
//!
//! No label ever holds an id or a key.

use metrics::{Unit, describe_counter, describe_histogram};

/// Operations, by how they ended.
pub const OPERATIONS: &str = "holdover_operations_total";
/// How long operations took, in seconds.
pub const OPERATION_SECONDS: &str = "holdover_operation_seconds";
/// The sizes of loaded records and of sent changes, in bytes.
pub const OPERATION_BYTES: &str = "holdover_operation_bytes";
/// Writes that met another writer's.
pub const CONFLICTS: &str = "holdover_conflicts_total";
/// Writes and touches of what was no longer alive.
pub const PREVENTED_RESURRECTIONS: &str = "holdover_prevented_resurrections_total";
/// Attempts, the first of each operation included.
pub const ATTEMPTS: &str = "holdover_attempts_total";
/// Loads that accepted a copy.
pub const CACHE_LOADS: &str = "holdover_cache_loads_total";
/// Operations that the backup answered.
pub const FAILOVERS: &str = "holdover_failovers_total";
/// Copies that were brought up to date.
pub const REPAIRS: &str = "holdover_repairs_total";
/// Times that two copies each held a write that the other lacked.
pub const DIVERGENCES: &str = "holdover_divergences_total";
/// Times that both copies were cold.
pub const LOSSES: &str = "holdover_losses_total";
/// Times that a node was given up for a while.
pub const BREAKER_OPENINGS: &str = "holdover_breaker_openings_total";
/// Writes that were acknowledged with one copy instead of two.
pub const HALF_COPY_ACKNOWLEDGEMENTS: &str = "holdover_half_copy_acknowledgements_total";

/// Every counter, with its description.
const COUNTERS: [(&str, &str); 11] = [
    (OPERATIONS, "operations on sessions, by how they ended"),
    (CONFLICTS, "writes that met another writer's and were refused"),
    (PREVENTED_RESURRECTIONS, "writes and touches of sessions that were no longer alive"),
    (ATTEMPTS, "attempts of operations, the first included"),
    (CACHE_LOADS, "loads that accepted a copy, by whether there was one"),
    (FAILOVERS, "operations that the backup answered"),
    (REPAIRS, "copies that were brought up to date"),
    (DIVERGENCES, "times that two copies each held a write that the other lacked"),
    (LOSSES, "times that both copies were cold"),
    (BREAKER_OPENINGS, "times that a node was given up for a while"),
    (HALF_COPY_ACKNOWLEDGEMENTS, "writes that were acknowledged with one copy instead of two"),
];

/// Hands units and descriptions to the recorder that is installed. Optional; call it once, after installing it.
pub fn describe() {
    for (name, description) in COUNTERS {
        describe_counter!(name, description);
    }
    describe_histogram!(OPERATION_SECONDS, Unit::Seconds, "how long operations on sessions took");
    describe_histogram!(OPERATION_BYTES, Unit::Bytes, "sizes of loaded records and of sent changes");
}
