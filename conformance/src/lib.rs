//! The exam that every Holdover store takes.

mod case;
mod harness;
pub mod mutants;
mod random;
pub mod suites;
mod trial;

pub use case::{Applies, Case, Ending, Running, Scope, Verdict};
pub use harness::{Harness, Node, PrivateServer, Raw, ServerControl};
pub use random::Random;
pub use trial::{LIFETIME, Subject, Trial};
