//! Durations as people write them: `250ms`, `2s`. For settings, as `#[serde(with = "holdover_layers::duration")]`.

use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serializer};

/// The units, largest first, in nanoseconds.
const UNITS: [(&str, u128); 6] = [
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// The shortest text that [`parse`] reads back as exactly this duration.
///
/// ```
/// use std::time::Duration;
/// use holdover_layers::duration;
///
/// assert_eq!(duration::text(Duration::from_millis(250)), "250ms");
/// assert_eq!(duration::parse("2s"), Some(Duration::from_secs(2)));
/// assert_eq!(duration::parse("2"), None, "two what?");
/// ```
pub fn text(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    if nanos == 0 {
        return "0s".to_owned();
    }
    let whole = UNITS.iter().find(|(_, unit)| nanos.is_multiple_of(*unit));
    whole.map_or_else(String::new, |(name, unit)| format!("{}{name}", nanos / unit))
}

/// Reads a whole number with its unit: `ns`, `us`, `ms`, `s`, `m` or `h`.
pub fn parse(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(|character: char| !character.is_ascii_digit());
    let (_, unit) = UNITS.iter().find(|(name, _)| *name == &text[digits.len()..])?;
    // `u128` would take a sign.
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let nanos = digits.parse::<u128>().ok()?.checked_mul(*unit)?;
    let secs = u64::try_from(nanos / 1_000_000_000).ok()?;
    let rest = u32::try_from(nanos % 1_000_000_000).ok()?;
    Some(Duration::new(secs, rest))
}

/// Writes a duration as its text.
pub fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&text(*duration))
}

/// Reads a duration from its text.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).ok_or_else(|| D::Error::custom("expected a time with its unit, such as 250ms or 2s"))
}

/// Times that have to be longer than nothing.
pub(crate) mod positive {
    use std::time::Duration;

    use serde::Deserializer;
    use serde::de::Error as _;

    pub(crate) use super::serialize;

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let duration = super::deserialize(deserializer)?;
        if duration.is_zero() {
            return Err(D::Error::custom("expected a time above zero, such as 250ms or 2s"));
        }
        Ok(duration)
    }
}

/// Shares of something: from 0 to 1.
pub(crate) fn deserialize_share<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let share = f64::deserialize(deserializer)?;
    if (0.0..=1.0).contains(&share) {
        return Ok(share);
    }
    Err(D::Error::custom("expected a share, from 0 to 1"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_duration_reads_back_as_it_was(secs: u64, nanos in 0..1_000_000_000_u32) {
            let duration = Duration::new(secs, nanos);
            prop_assert_eq!(parse(&text(duration)), Some(duration));
        }

        #[test]
        fn no_text_makes_it_panic(given in ".{0,24}") {
            let _ = parse(&given);
        }
    }

    #[test]
    fn what_is_no_whole_number_with_a_unit_is_refused() {
        for wrong in
            ["", "5", "ms", "-5ms", "+5ms", "1.5s", "5 ms", "5MS", "5d", "s5", "99999999999999999999999h"]
        {
            assert_eq!(parse(wrong), None, "{wrong:?}");
        }
        assert_eq!(parse("0s"), Some(Duration::ZERO));
        assert_eq!(parse("90m"), Some(Duration::from_secs(5_400)));
    }
}
