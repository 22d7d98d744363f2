//! What was done, when, and how it ended.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use holdover::SessionError;
use holdover_layers::failover::FailoverCounts;

/// How an operation failed: the kind of the store's error, or what else was in the way.
pub(crate) fn name_of(error: &SessionError) -> &'static str {
    match error {
        SessionError::Store(error) => error.kind().name(),
        SessionError::Gone => "gone",
        SessionError::Contention { .. } => "contention",
        _ => "other",
    }
}

/// One request of the load.
#[derive(Clone, Debug)]
pub(crate) struct Done {
    /// Which application node served it.
    pub(crate) node: usize,
    pub(crate) began: Duration,
    pub(crate) ended: Duration,
    /// Nothing if it was served.
    pub(crate) error: Option<&'static str>,
    /// How often this application node had given up a server when the request began.
    pub(crate) openings_before: u64,
    /// How many writes this application node had acknowledged with one copy when the request ended.
    pub(crate) half_copies_after: u64,
}

impl Done {
    pub(crate) fn took(&self) -> Duration {
        self.ended - self.began
    }
}

/// A part of the drill, which begins with what its name says.
#[derive(Clone, Debug)]
pub(crate) struct Phase {
    pub(crate) name: &'static str,
    pub(crate) began: Duration,
    pub(crate) ended: Duration,
    /// What each application node had noticed when it began.
    pub(crate) counts: [FailoverCounts; 2],
}

/// All requests so far.
#[derive(Default)]
pub(crate) struct Log(Mutex<Vec<Done>>);

impl Log {
    pub(crate) fn push(&self, done: Done) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(done);
    }

    pub(crate) fn take(&self) -> Vec<Done> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
