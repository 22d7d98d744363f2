//! A case: one question to a store, with an id, and the ways in which it can end.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use holdover_api::Capabilities;

use crate::harness::Copies;
use crate::trial::Trial;

/// The future of a running case.
pub type Running = Pin<Box<dyn Future<Output = Result<(), Ending>> + Send>>;

/// One question to a store. Cases are data: a suite is a list of them.
#[derive(Clone, Copy)]
pub struct Case {
    /// The id of the catalogue: `RACE-05`.
    pub id: &'static str,
    /// What the case shows, as a sentence in snake case: `a_logout_beats_a_slow_writer`.
    pub title: &'static str,
    /// What it means for users, and who had the bug.
    pub explain: &'static str,
    /// Whether it applies, given what the store claims and what the harness can do.
    pub applies: fn(&Scope) -> Applies,
    /// Asks the question.
    pub run: fn(Trial) -> Running,
}

impl Case {
    /// The suite: the part of the id before the dash, in lower case.
    pub fn suite(&self) -> String {
        self.id.split('-').next().unwrap_or_default().to_ascii_lowercase()
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.id, self.title)
    }
}

/// What is examined, as a case sees it when it decides whether it applies.
#[derive(Clone, Copy, Debug)]
pub struct Scope {
    /// What the store claims.
    pub capabilities: Capabilities,
    /// Whether the harness reaches below the store.
    pub raw: bool,
    /// Whether what it finds there are the frames of `holdover-api`.
    pub frames: bool,
    /// Whether a fault proxy can stand in front of the server.
    pub proxied: bool,
    /// Whether the harness can start private servers.
    pub servers: bool,
    /// How the store keeps copies.
    pub copies: Copies,
    /// Whether the harness can start clusters of private servers.
    pub clusters: bool,
    /// Whether the harness can start sets of servers that choose their primary.
    pub sets: bool,
    /// Whether sessions are in tables that follow each other: they are removed with their table.
    pub rotates: bool,
    /// Whether the harness can make worlds for the cases on such tables.
    pub worlds: bool,
}

/// Whether a case applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applies {
    /// It does.
    Yes,
    /// The question cannot be put to such a store, for this reason; its negative twin runs instead.
    No(&'static str),
    /// It could be put, but the harness lacks a hook: the run is then incomplete, never green.
    NotRun(&'static str),
}

/// How a case ends when it does not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The store broke its promise.
    Failed(String),
    /// The interleaving that the case is about never happened: not a pass.
    Vacuous(String),
    /// A checker gave up before it knew.
    Unknown(String),
    /// The bench itself broke.
    Error(String),
}

impl Ending {
    /// What happened.
    pub fn text(&self) -> &str {
        match self {
            Self::Failed(text) | Self::Vacuous(text) | Self::Unknown(text) | Self::Error(text) => text,
        }
    }
}

/// The verdict on one case. There is no skip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The promise held.
    Pass,
    /// It did not pass.
    Ended(Ending),
    /// The question cannot be put to this store.
    NotApplicable(String),
    /// The harness lacks what the case needs.
    NotRun(String),
}

impl Verdict {
    /// A word for reports.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Ended(Ending::Failed(_)) => "FAIL",
            Self::Ended(Ending::Vacuous(_)) => "vacuous",
            Self::Ended(Ending::Unknown(_)) => "unknown",
            Self::Ended(Ending::Error(_)) => "error",
            Self::NotApplicable(_) => "n/a",
            Self::NotRun(_) => "not run",
        }
    }

    /// Why, unless it passed.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Pass => None,
            Self::Ended(ending) => Some(ending.text()),
            Self::NotApplicable(reason) | Self::NotRun(reason) => Some(reason),
        }
    }
}

/// Ends the case as failed unless the condition holds.
#[macro_export]
macro_rules! require {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err($crate::Ending::Failed(format!($($message)+)));
        }
    };
}
