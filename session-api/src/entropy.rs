//! Where random bytes come from.

use std::fmt;

/// A source of cryptographically secure random bytes.
///
/// Production code uses [`OsEntropy`]. Tests replace it to show that failing randomness is an error and that a
/// repeated id is never shared by two users.
pub trait Entropy: fmt::Debug + Send + Sync + 'static {
    /// Fills `bytes` completely, or fails.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError>;
}

/// The operating system's generator.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        getrandom::fill(bytes).map_err(|error| EntropyError { reason: error.to_string() })
    }
}

/// The source of randomness failed, so nothing was drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntropyError {
    reason: String,
}

impl EntropyError {
    /// An error with the source's own reason.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into() }
    }
}

impl fmt::Display for EntropyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "drawing random bytes failed: {}", self.reason)
    }
}

impl std::error::Error for EntropyError {}
