//! EXP: expiry.

use crate::case::Case;

/// The cases of this suite.
pub(super) fn cases() -> Vec<Case> {
    Vec::new()
}
