//! A node: it stores one copy, conditionally, and forgets everything when it crashes.

use std::sync::Arc;

use holdover_api::{InstallVerdict, Standing, Stored, Timestamp, judge_install};
use holdover_layers::failover::{Outcome, Seen};

/// The time, which stands still: whatever a deadline says lies ahead.
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_000);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Node {
    pub(crate) up: bool,
    /// It has crashed before, so that it may have forgotten a session.
    pub(crate) cold: bool,
    pub(crate) copy: Option<Arc<Stored>>,
}

impl Node {
    pub(crate) fn show(&self) -> Seen {
        match &self.copy {
            // A copy whose deadline has come shows nothing; only the model's broken burial makes one.
            Some(copy) if !copy.is_over(NOW) => Seen::Copy(Arc::clone(copy)),
            _ => Seen::Nothing,
        }
    }

    pub(crate) fn install(&mut self, over: Option<Standing>, new: &Arc<Stored>) -> Outcome {
        match judge_install(NOW, self.copy.as_deref(), over, new) {
            InstallVerdict::Apply => {
                self.copy = Some(Arc::clone(new));
                Outcome::Installed
            }
            InstallVerdict::Repeated => Outcome::Installed,
            InstallVerdict::Refused => Outcome::Refused(self.copy.clone()),
        }
    }

    pub(crate) fn crash(&mut self) {
        *self = Self { up: false, cold: true, copy: None };
    }
}
