//! Two copies of every session.
mod chain;
mod protocol;
pub use chain::{Backlog, Chain};
pub use protocol::{Answer, Ask, Conduct, Outcome, Place, Rules, Seen, Sight, Step};
