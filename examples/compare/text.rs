//! Numbers as people read them.

/// Milliseconds with as many digits as mean something.
pub(crate) fn ms(value: f64) -> String {
    match value.abs() {
        small if small < 0.1 => format!("{value:.3}"),
        small if small < 10.0 => format!("{value:.2}"),
        small if small < 100.0 => format!("{value:.1}"),
        _ => grouped(value),
    }
}

/// A whole number in groups of three digits.
pub(crate) fn grouped(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let mut text = String::new();
    for (number, digit) in digits.chars().enumerate() {
        if number > 0 && (digits.len() - number).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    if value <= -0.5 { format!("−{text}") } else { text }
}

/// One digit behind the point, and none where there is nothing behind it.
pub(crate) fn short(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

/// A share as a percentage.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// A quotient with as many digits as mean something.
pub(crate) fn ratio(value: f64) -> String {
    if value < 0.095 { format!("{value:.3}") } else { format!("{value:.2}") }
}

/// Minutes and seconds.
pub(crate) fn span(seconds: f64) -> String {
    let minutes = (seconds / 60.0).floor();
    if minutes < 1.0 {
        return format!("{seconds:.0} s");
    }
    format!("{minutes:.0} min {:.0} s", seconds - minutes * 60.0)
}

/// A span of which only the size matters.
pub(crate) fn long(seconds: f64) -> String {
    match seconds {
        few if few < 120.0 => format!("{few:.0}\u{a0}s"),
        some if some < 7_200.0 => format!("{:.0}\u{a0}min", some / 60.0),
        hours if hours < 172_800.0 => format!("{}\u{a0}h", short(hours / 3_600.0)),
        days => format!("{}\u{a0}days", short(days / 86_400.0)),
    }
}

/// A moment of Unix time, in milliseconds, as a date and a time in UTC.
pub(crate) fn moment(millis: u64) -> String {
    let (days, minutes) = (millis / 86_400_000, millis / 60_000 % 1_440);
    // Howard Hinnant's civil_from_days, for days since 1970.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year}-{month:02}-{day:02} {:02}:{:02} UTC", minutes / 60, minutes % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_as_many_digits_as_mean_something() {
        assert_eq!(ms(0.0042), "0.004");
        assert_eq!(ms(1.234), "1.23");
        assert_eq!(ms(12.34), "12.3");
        assert_eq!(ms(1234.5), "1\u{202f}234");
        assert_eq!(grouped(1_234_567.0), "1\u{202f}234\u{202f}567");
        assert_eq!(short(2.0), "2");
        assert_eq!(short(2.04), "2");
        assert_eq!(short(2.06), "2.1");
        assert_eq!(percent(0.256), "26 %");
        assert_eq!(span(61.0), "1 min 1 s");
        assert_eq!(long(60.0), "60\u{a0}s");
        assert_eq!(long(7_544.0), "2.1\u{a0}h");
        assert_eq!(long(604_800.0), "7\u{a0}days");
    }

    #[test]
    fn moments_are_dates() {
        assert_eq!(moment(0), "1970-01-01 00:00 UTC");
        assert_eq!(moment(951_782_400_000), "2000-02-29 00:00 UTC");
        assert_eq!(moment(1_764_041_100_000), "2025-11-25 03:25 UTC");
    }
}
