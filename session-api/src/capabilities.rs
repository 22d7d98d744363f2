//! What a store can and cannot do: few claims, each tested to hold, and its absence tested to be honest.

use std::fmt;
use std::time::Duration;

/// What a store claims of itself, constant for the life of the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// How a write of some attributes reaches the store.
    pub writes: Writes,
    /// Who removes what has expired, and how late. Reads never see it, whatever is said here (I4).
    pub expiry: Expiry,
    /// What a load may be served from that does not ask for [`Freshness::Latest`](crate::Freshness::Latest).
    pub cheap_reads: CheapReads,
    /// What acknowledged writes outlive (I2).
    pub survives: Survives,
    /// Whether several processes see the same sessions.
    pub shared: bool,
    /// The largest record in bytes, as [`frame::size`](crate::frame::size) counts them.
    pub max_bytes: usize,
}

/// How a write of some attributes reaches the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writes {
    /// The store merges: a write of what nobody has read needs no read, and a merge never has to be tried again.
    ByAttribute,
    /// The whole record is read, changed and put back under a condition.
    WholeRecord,
}

/// Who removes expired records from storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// The store by itself, at most so long after the deadline.
    Native {
        /// The longest time that an expired record stays in storage.
        max_lag: Duration,
    },
    /// Nobody until room is needed: expired records stay, unread, until a write comes by.
    OnDemand,
}

/// What a load may be served from when it need not be the latest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheapReads {
    /// Every load is the latest.
    None,
    /// A copy that may lag.
    Replica,
    /// An eventually consistent read at a lower price.
    Eventual,
    /// A copy in this process, to readers that accept one.
    Cached {
        /// A copy that was the latest longer ago is never served, whatever a reader accepts.
        max_age: Duration,
    },
}

/// What acknowledged writes outlive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Survives {
    /// Nothing: the end of the process is the end of the sessions.
    Nothing,
    /// A restart of the store, even by `SIGKILL`.
    Restart,
    /// The loss of a node with its disk.
    NodeLoss,
}

impl fmt::Display for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let writes = match self.writes {
            Writes::ByAttribute => "by attribute",
            Writes::WholeRecord => "whole record",
        };
        let survives = match self.survives {
            Survives::Nothing => "nothing",
            Survives::Restart => "restart",
            Survives::NodeLoss => "node loss",
        };
        write!(f, "writes: {writes}; expiry: ")?;
        match self.expiry {
            Expiry::Native { max_lag } => write!(f, "native, at most {} s late", max_lag.as_secs_f64())?,
            Expiry::OnDemand => f.write_str("on demand")?,
        }
        f.write_str("; cheap reads: ")?;
        match self.cheap_reads {
            CheapReads::None => f.write_str("none")?,
            CheapReads::Replica => f.write_str("replica")?,
            CheapReads::Eventual => f.write_str("eventual")?,
            CheapReads::Cached { max_age } => write!(f, "cached, at most {} s old", max_age.as_secs_f64())?,
        }
        let shared = if self.shared { "yes" } else { "no" };
        write!(f, "; survives: {survives}; shared: {shared}; max bytes: {}", self.max_bytes)
    }
}
