//! The exam that every Holdover store takes.
//!
//! A store is examined through a [`Harness`]: it opens handles, and says what may be done below the store. Hand it to
//! [`main`] in a test with `harness = false`, and every case of every suite becomes a test by name; or run the
//! command `holdover-conformance --store <url>` on a store that a URL can name. README.md shows both.
//!
//! Cases are in [`suites`]; the small broken stores that prove that each case can fail are in [`mutants`].

mod case;
mod crossings;
mod drill;
mod harness;
pub mod history;
mod libtest;
mod memory;
pub mod mutants;
pub mod proxy;
mod random;
mod raw;
mod report;
pub mod rotation;
mod run;
pub mod servers;
mod soak;
pub mod suites;
mod transcript;
mod trial;

pub use case::{Applies, Case, Ending, Running, Scope, Verdict};
pub use crossings::{Crossed, crossings};
pub use harness::{
    Cluster, ClusterServer, Copies, Harness, Node, Noticed, PrivateCluster, PrivateServer, PrivateSet, Raw,
    Seat, Seated, ServerControl, SetControl,
};
pub use libtest::{SEED_VARIABLE, case_name, fresh_seed, main, main_of, parse_seed};
pub use memory::MemoryHarness;
pub use random::Random;
pub use raw::RawCopies;
pub use report::{Outcome, Report, Status};
pub use run::{CASE_LIMIT, case_seed, examine, run_case, run_case_in, scope_of};
pub use soak::{SoakLength, SoakReport, soak};
pub use transcript::{Grade, Graded, Score, TRANSCRIPT_SCHEMA, Transcript};
pub use trial::{LIFETIME, Subject, Trial};

/// Compiles the examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// Compiles the example of the page for authors.
#[cfg(doctest)]
#[doc = include_str!("../../docs/your-own-store.md")]
struct YourOwnStore;
