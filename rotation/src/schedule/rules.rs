//! The durations that a schedule follows, and which of them go together.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

/// The shortest period.
pub const MIN_PERIOD: Duration = Duration::from_secs(60);

/// The longest period: 30 days.
pub const MAX_PERIOD: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// So many tables at most may be read in search of one session. Each costs a read if the session is not there.
pub const MAX_TABLES_READ: u32 = 10;

/// The durations that a schedule follows. All nodes have to have the same.
///
/// ```
/// use std::time::Duration;
/// use holdover_rotation::Rules;
///
/// let day = Duration::from_secs(24 * 60 * 60);
/// let rules = Rules { max_skew: Duration::from_millis(500), ..Rules::new(day, day / 4) };
/// assert_eq!(rules.tables_read(), 2);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// How long each table is the one that is written to: whole seconds, from a minute to 30 days.
    pub period: Duration,
    /// The longest that a session's deadline may lie ahead when it is written. The longest idle time, and a moment more if
    /// clocks step back.
    pub max_lease: Duration,
    /// The most by which a node's clock may be off the server's. Data are safe whatever the clocks show; sessions are found
    /// near the boundaries, and live to the end of their leases, as long as this holds. By default 2 s, and less for periods
    /// below two minutes.
    pub max_skew: Duration,
    /// How old a node's knowledge of the tables may be where it matters, and how late the server's list of them. By default
    /// 30 s, and less for periods below six minutes.
    pub refresh: Duration,
    /// How long before its period a table is created, at the most; each node draws a moment in the first quarter of it. By
    /// default 10 minutes, or half of the period.
    pub lead: Duration,
    /// How long after a table was asked for the one before it is still written to, if the new one is not ready: beyond that
    /// writes are unavailable until it is. A table that is asked for at least so long before its period makes no
    /// difference; one that comes later has the one before it read for longer. By default half of the lead.
    pub settle: Duration,
    /// The longest life of one operation on the store, with all attempts: tables are kept so much longer. By default 10 s,
    /// and less for periods below a minute.
    pub grace: Duration,
}

impl Rules {
    /// The defaults for a period and the longest lease in it.
    pub fn new(period: Duration, max_lease: Duration) -> Self {
        let lead = Duration::from_secs(600).min(period / 2);
        Self {
            period,
            max_lease,
            max_skew: Duration::from_secs(2).min(period / 60),
            refresh: Duration::from_secs(30).min(period / 12),
            lead,
            settle: lead / 2,
            grace: Duration::from_secs(10).min(period / 6),
        }
    }

    /// How many tables may have to be read for one session, if no table is late: two for a lease below the period, and three
    /// near the boundaries for one as long as the period.
    pub const fn tables_read(&self) -> u32 {
        let span = self.max_lease.as_millis().saturating_add(2 * self.max_skew.as_millis());
        let period = if self.period.is_zero() { 1 } else { self.period.as_millis() };
        let boundaries = span.div_ceil(period);
        #[allow(clippy::cast_possible_truncation, reason = "capped just before")]
        if boundaries >= 1_000_000 { 1_000_000 } else { boundaries as u32 + 1 }
    }

    /// From when a table was asked for to when every node knows of it. What a node knows is `refresh` old at most by its own
    /// clock; the clock may have stepped by twice the skew meanwhile, and be off the server's now.
    pub(crate) fn notice(&self) -> Duration {
        self.refresh.saturating_add(self.max_skew.saturating_mul(3))
    }

    pub(crate) fn check(&self, shortest: Duration) -> Result<(), RulesError> {
        let Self { period, max_lease, max_skew, refresh, lead, settle, grace } = *self;
        if period < shortest || period > MAX_PERIOD {
            return Err(RulesError::Period { shortest });
        }
        if period.subsec_nanos() != 0 {
            return Err(RulesError::PartOfASecond);
        }
        if max_lease.is_zero() {
            return Err(RulesError::NoLease);
        }
        if max_skew >= period / 2 {
            return Err(RulesError::Skew);
        }
        if refresh.is_zero() {
            return Err(RulesError::NoRefresh);
        }
        if lead > period || lead / 2 < refresh.saturating_add(2 * max_skew) {
            return Err(RulesError::Lead);
        }
        if settle < self.notice() || settle > MAX_PERIOD {
            return Err(RulesError::Settle);
        }
        if grace > MAX_PERIOD {
            return Err(RulesError::Grace);
        }
        let tables = self.tables_read();
        if tables > MAX_TABLES_READ {
            return Err(RulesError::TooManyTables { tables });
        }
        Ok(())
    }
}

/// Why a schedule cannot work so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RulesError {
    /// The period is too short or too long.
    Period {
        /// The shortest that is allowed.
        shortest: Duration,
    },
    /// The period is not made of whole seconds.
    PartOfASecond,
    /// No lease is allowed at all.
    NoLease,
    /// Clocks may differ by a whole period.
    Skew,
    /// What is known of the tables would always be too old.
    NoRefresh,
    /// The next table would be created more than a period ahead, or too late for every node to know of it in time.
    Lead,
    /// Writes would stop before every node knows of a new table, or go on in an old one for more than 30 days.
    Settle,
    /// Tables would be kept for operations that take more than 30 days.
    Grace,
    /// One session would have to be looked for in too many tables.
    TooManyTables {
        /// In how many.
        tables: u32,
    },
}

impl fmt::Display for RulesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Period { shortest } => {
                write!(f, "the period has to be between {} s and 30 days", shortest.as_secs())
            }
            Self::PartOfASecond => f.write_str("the period has to be whole seconds"),
            Self::NoLease => f.write_str("the longest lease has to be longer than nothing"),
            Self::Skew => f.write_str("twice the skew of the clocks has to be less than the period"),
            Self::NoRefresh => f.write_str("the refresh time has to be longer than nothing"),
            Self::Lead => f.write_str(
                "the lead has to be at most the period, and at least twice the refresh time and four times the skew",
            ),
            Self::Settle => {
                f.write_str(
                    "the settling time has to be at least the refresh time and three times the skew, and at most 30 days",
                )
            }
            Self::Grace => f.write_str("the grace has to be at most 30 days"),
            Self::TooManyTables { tables } => write!(
                f,
                "leases so much longer than the period need {tables} tables read for one session, and \
                 {MAX_TABLES_READ} is the most; choose a longer period",
            ),
        }
    }
}

impl StdError for RulesError {}
