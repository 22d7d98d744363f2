//! What a table is called: base, period and beginning.

use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use holdover_api::Timestamp;

use crate::generation::Generation;
use crate::schedule::Schedule;

/// Digits of a period, in seconds.
const PERIOD_DIGITS: usize = 7;

/// Digits of a beginning, in Unix seconds: they reach to the end of the year 9999.
const BEGIN_DIGITS: usize = 12;

/// What a base is followed by: `_p0086400_001789948800`.
const SUFFIX: usize = "_p".len() + PERIOD_DIGITS + "_".len() + BEGIN_DIGITS;

/// The longest name of a table.
const MAX_NAME: usize = 255;

/// The names of the tables of one base and one period.
///
/// Names have one length and sort by time. The period is part of them, so that a configuration with another period never
/// takes these tables for its own; what has another form or other digits is somebody else's.
///
/// ```
/// use std::time::Duration;
/// use holdover_api::Timestamp;
/// use holdover_rotation::{Names, Rules, Schedule};
///
/// let day = Duration::from_secs(86_400);
/// let schedule = Schedule::new(Rules::new(day, day))?;
/// let names = Names::new("sessions", &schedule)?;
/// let generation = schedule.generation(Timestamp::from_millis(1_790_000_000_000));
/// assert_eq!(names.name(generation), "sessions_p0086400_001789948800");
/// assert_eq!(names.generation("sessions_p0086400_001789948800"), Some(generation));
/// assert_eq!(names.generation("sessions_p0003600_001789948800"), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// Everything before the beginning.
    prefix: String,
    base_length: usize,
    period: u64,
}

/// Why a base cannot begin a table's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameError {
    /// There is none.
    Empty,
    /// The names would be longer than DynamoDB allows.
    TooLong,
    /// It has characters that DynamoDB does not allow.
    Characters,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the base of the tables' names is empty"),
            Self::TooLong => {
                write!(f, "the base of the tables' names has more than {} characters", MAX_NAME - SUFFIX)
            }
            Self::Characters => f.write_str(
                "the base of the tables' names has characters other than a-z, A-Z, 0-9, `_`, `.` and `-`",
            ),
        }
    }
}

impl StdError for NameError {}

impl Names {
    /// The names for a base in a schedule.
    ///
    /// # Errors
    ///
    /// A base that is empty, too long, or has other characters than a table's name may have.
    pub fn new(base: &str, schedule: &Schedule) -> Result<Self, NameError> {
        if base.is_empty() {
            return Err(NameError::Empty);
        }
        if !base.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte)) {
            return Err(NameError::Characters);
        }
        if base.len() > MAX_NAME - SUFFIX {
            return Err(NameError::TooLong);
        }
        let period = schedule.rules().period.as_secs();
        let prefix = format!("{base}_p{period:0PERIOD_DIGITS$}_");
        Ok(Self { prefix, base_length: base.len(), period })
    }

    /// The name of a generation's table.
    pub fn name(&self, generation: Generation) -> String {
        // Beyond the year 9999 there are no more names, and no more moments either.
        let latest = Timestamp::MAX.as_millis() / 1_000 / self.period;
        let begin = generation.number().min(latest) * self.period;
        format!("{}{begin:0BEGIN_DIGITS$}", self.prefix)
    }

    /// The generation of the table of this name; nothing if the table is somebody else's.
    pub fn generation(&self, name: &str) -> Option<Generation> {
        let begin = number(name.strip_prefix(&self.prefix)?, BEGIN_DIGITS)?;
        let is_ours = begin.is_multiple_of(self.period) && begin <= Timestamp::MAX.as_millis() / 1_000;
        is_ours.then(|| Generation::new(begin / self.period))
    }

    /// What all of the names begin with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The period of a table of the same base with another period: a configuration that has been replaced, or one that
    /// disagrees with this one. Such tables are left alone.
    pub fn other_period(&self, name: &str) -> Option<Duration> {
        let rest = name.strip_prefix(&self.prefix[..self.base_length])?.strip_prefix("_p")?;
        let (period, begin) = rest.split_once('_')?;
        let period = number(period, PERIOD_DIGITS)?;
        let begin = number(begin, BEGIN_DIGITS)?;
        let is_other = period != 0 && period != self.period && begin.is_multiple_of(period);
        is_other.then(|| Duration::from_secs(period))
    }
}

/// Exactly so many digits.
fn number(text: &str, digits: usize) -> Option<u64> {
    let is_number = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { text.parse().ok() } else { None }
}
