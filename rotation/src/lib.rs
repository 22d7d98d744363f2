//! Expiry by dropping whole tables, for stores in which deleting sessions one by one costs money.
//!
//! Pure: no client library is named here. `README.md` has the protocol ("seal and carry") and its argument.

pub mod carry;
mod generation;
mod keeper;
mod names;
mod plan;
pub mod planner;
mod schedule;

pub use generation::Generation;
pub use keeper::{
    Attempt, ControlError, ControlPlane, Created, Description, Dropped, Failure, Keeper, Page, Report,
    ServerTime,
};
pub use names::{NameError, Names};
pub use plan::{Held, Offset, Plan, plan};
pub use schedule::{
    LeaseTooLong, MAX_PERIOD, MAX_TABLES_READ, MIN_PERIOD, Rules, RulesError, Schedule, Stale, Table,
    TableState, Tables, View,
};
