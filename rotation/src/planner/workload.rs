//! What an application does with its sessions.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use super::units::MAX_RECORD_BYTES;

/// What an application does with its sessions, on average.
///
/// ```
/// use holdover_rotation::planner::Workload;
///
/// let workload = Workload { requests_per_second: 500.0, session_bytes: 3_000, ..Workload::default() };
/// assert_eq!(workload.check(), Ok(()));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Workload {
    /// Requests with a session, a second.
    pub requests_per_second: f64,
    /// Requests with an id that leads to no session, a second.
    pub unknown_per_second: f64,
    /// A session as it is stored, with the names of its attributes.
    pub session_bytes: u64,
    /// The share of the requests that change the session, from 0 to 1.
    pub changing: f64,
    /// How many requests a session has, its first included.
    pub requests_per_session: f64,
    /// From a session's first request to its last.
    pub visit: Duration,
    /// After so much time without a request it expires.
    pub idle: Duration,
    /// The share of the sessions that end with a log-out, from 0 to 1.
    pub logouts: f64,
}

impl Default for Workload {
    /// 100 requests a second with 2 000 bytes each: one in five changes something, 20 are a visit of ten minutes, and half an
    /// hour without one is the end, which one session in ten does not wait for.
    fn default() -> Self {
        Self {
            requests_per_second: 100.0,
            unknown_per_second: 0.0,
            session_bytes: 2_000,
            changing: 0.2,
            requests_per_session: 20.0,
            visit: Duration::from_secs(600),
            idle: Duration::from_secs(1_800),
            logouts: 0.1,
        }
    }
}

/// Why a workload makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WorkloadError {
    /// A rate that is no number, or below zero.
    Rate,
    /// A share that is not between 0 and 1.
    Share,
    /// Less than one request a session, or no number of them.
    RequestsPerSession,
    /// Larger than DynamoDB stores, or nothing at all.
    SessionBytes,
    /// Sessions that expire at once.
    Idle,
}

impl fmt::Display for WorkloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rate => f.write_str("a rate of requests has to be a number from 0 on"),
            Self::Share => f.write_str("a share has to be a number from 0 to 1"),
            Self::RequestsPerSession => f.write_str("a session has at least one request"),
            Self::SessionBytes => write!(f, "a session has to have between 1 and {MAX_RECORD_BYTES} bytes"),
            Self::Idle => f.write_str("the idle time has to be longer than nothing"),
        }
    }
}

impl StdError for WorkloadError {}

impl Workload {
    /// Whether it makes sense.
    ///
    /// # Errors
    ///
    /// Rates, shares and sizes that no application has.
    pub fn check(&self) -> Result<(), WorkloadError> {
        let is_rate = |rate: f64| rate.is_finite() && rate >= 0.0;
        if !is_rate(self.requests_per_second) || !is_rate(self.unknown_per_second) {
            return Err(WorkloadError::Rate);
        }
        if !(0.0..=1.0).contains(&self.changing) || !(0.0..=1.0).contains(&self.logouts) {
            return Err(WorkloadError::Share);
        }
        if !self.requests_per_session.is_finite() || self.requests_per_session < 1.0 {
            return Err(WorkloadError::RequestsPerSession);
        }
        if self.session_bytes == 0 || self.session_bytes > MAX_RECORD_BYTES {
            return Err(WorkloadError::SessionBytes);
        }
        if self.idle.is_zero() {
            return Err(WorkloadError::Idle);
        }
        Ok(())
    }

    /// New sessions, a second.
    pub fn sessions_per_second(&self) -> f64 {
        self.requests_per_second / self.requests_per_session
    }

    /// Requests on a session that is there, a second. Each of them reads it.
    pub fn loads_per_second(&self) -> f64 {
        self.requests_per_second - self.sessions_per_second()
    }

    /// Requests that change a session that is there, a second.
    pub fn saves_per_second(&self) -> f64 {
        self.loads_per_second() * self.changing
    }

    /// Requests that only extend the lease, a second: one whenever half of the idle time has gone without a change, at most
    /// each that changes nothing.
    pub fn touches_per_second(&self) -> f64 {
        let needed = self.visit.as_secs_f64() / (self.idle.as_secs_f64() / 2.0);
        let changes = (self.requests_per_session - 1.0) * self.changing;
        let others = (self.requests_per_session - 1.0) * (1.0 - self.changing);
        self.sessions_per_second() * (needed - changes).clamp(0.0, others)
    }

    /// How many requests on average find the session in an older table before one moves it: the first that changes it, or
    /// the touch when half of the idle time has gone, or the end of the visit; the mover finds it there, too.
    pub(super) fn loads_before_a_move(&self) -> f64 {
        let loads = self.requests_per_session - 1.0;
        if loads < 1.0 {
            return loads;
        }
        let until_change = if self.changing > 0.0 { 1.0 / self.changing } else { f64::INFINITY };
        let gap = self.visit.as_secs_f64() / loads;
        let until_touch = if gap > 0.0 { self.idle.as_secs_f64() / 2.0 / gap } else { f64::INFINITY };
        until_change.min(until_touch).max(1.0).min(loads)
    }
}
