//! The rows of which the table of errors of each store consists.

use holdover_api::{Effect, ErrorKind};

/// One row of a table: how a failure of a client is answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) kind: ErrorKind,
    pub(crate) effect: Effect,
    pub(crate) message: &'static str,
}

/// It certainly did nothing.
pub(crate) const fn refused(kind: ErrorKind, message: &'static str) -> Row {
    Row { kind, effect: Effect::None, message }
}

/// It may have happened, until a table proves otherwise.
pub(crate) const fn unclear(kind: ErrorKind, message: &'static str) -> Row {
    Row { kind, effect: Effect::Unknown, message }
}
