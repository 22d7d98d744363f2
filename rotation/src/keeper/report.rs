//! What a keeper's tick came to.

use std::time::Duration;

use super::control::{ControlError, Created, Dropped};
use crate::generation::Generation;
use crate::plan::{Held, Offset};

/// What one tick saw, did and left alone: for logs and metrics.
#[derive(Debug, Default)]
pub struct Report {
    /// How many tables of ours there were; nothing if that could not be found out, and then nothing was done.
    pub tables: Option<usize>,
    /// The list of tables was refused, so that the tables were looked at by their names.
    pub by_name: bool,
    /// How many tables have the same base and another period. They are left alone: a configuration that was replaced, whose
    /// tables somebody may drop, or one that disagrees with this one.
    pub of_other_periods: usize,
    /// By how much the server's clock is ahead.
    pub offset: Option<Offset>,
    /// Why tables were left alone.
    pub held: Option<Held>,
    /// The table that was asked for.
    pub created: Option<(Generation, Created)>,
    /// The tables whose end was asked for.
    pub dropped: Vec<(Generation, Dropped)>,
    /// What failed; the next tick tries again.
    pub failures: Vec<Failure>,
}

/// A call that failed.
#[derive(Debug)]
pub struct Failure {
    /// What was attempted.
    pub attempt: Attempt,
    /// How it failed.
    pub error: ControlError,
}

/// What a tick attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Attempt {
    /// Asking for the server's time.
    Time,
    /// Listing the tables. If it alone failed they were looked at by name, and the tick went on.
    List,
    /// Looking at tables one by one.
    Describe,
    /// Creating a table.
    Create(Generation),
    /// Dropping a table.
    Drop(Generation),
}

impl Attempt {
    /// A name for logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::List => "list",
            Self::Describe => "describe",
            Self::Create(_) => "create",
            Self::Drop(_) => "drop",
        }
    }
}

impl Report {
    /// Whether everything that was attempted worked, and nothing was held back.
    pub fn is_well(&self) -> bool {
        self.failures.is_empty() && self.held.is_none()
    }

    /// Whether tables are on their way, so that it is worth looking again soon.
    pub(super) fn is_under_way(&self) -> bool {
        self.created.is_some() || !self.dropped.is_empty()
    }

    /// The longest delay that a failed call asked for.
    pub(super) fn suggested_delay(&self) -> Duration {
        let delays = self.failures.iter().filter_map(|failure| failure.error.suggested_delay());
        delays.max().unwrap_or_default()
    }
}
