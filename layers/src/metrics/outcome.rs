//! How operations ended, in one word each: the `outcome` of metrics and spans.

use holdover_api::{Error, InstallAnswer, Loaded, SaveAnswer, Stored, frame};

/// The outcome of an operation whose caller did not wait for the end.
pub(crate) const DROPPED: &str = "dropped";

/// The answer of an operation, seen from outside.
pub(crate) trait Outcome {
    /// The word for it.
    fn outcome(&self) -> &'static str;

    /// How many bytes it brought.
    fn bytes(&self) -> Option<usize> {
        None
    }
}

impl Outcome for Option<Loaded> {
    fn outcome(&self) -> &'static str {
        if self.is_some() { "found" } else { "absent" }
    }

    fn bytes(&self) -> Option<usize> {
        self.as_ref().map(|loaded| frame::size(&loaded.record))
    }
}

impl Outcome for Option<Stored> {
    fn outcome(&self) -> &'static str {
        match self {
            Some(Stored::Record(_)) => "found",
            Some(Stored::Tombstone(_)) => "buried",
            None => "absent",
        }
    }
}

impl Outcome for SaveAnswer {
    fn outcome(&self) -> &'static str {
        match self {
            Self::Saved { .. } => "saved",
            Self::Conflict { .. } => "conflict",
            Self::Gone => "gone",
        }
    }
}

impl Outcome for InstallAnswer {
    fn outcome(&self) -> &'static str {
        match self {
            Self::Installed => "installed",
            Self::Refused { .. } => "refused",
        }
    }
}

/// Of a touch.
impl Outcome for bool {
    fn outcome(&self) -> &'static str {
        if *self { "touched" } else { "gone" }
    }
}

/// Of a delete.
impl Outcome for () {
    fn outcome(&self) -> &'static str {
        "deleted"
    }
}

impl<T: Outcome> Outcome for Result<T, Error> {
    fn outcome(&self) -> &'static str {
        match self {
            Ok(answer) => answer.outcome(),
            Err(error) => error.kind().name(),
        }
    }

    fn bytes(&self) -> Option<usize> {
        self.as_ref().ok().and_then(Outcome::bytes)
    }
}
