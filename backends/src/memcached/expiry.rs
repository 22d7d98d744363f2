//! When the server is to forget a session by itself, as the number that it reads.
//!
//! The server counts in whole seconds and reads a number of up to thirty days as a distance from now, a larger one as
//! seconds since 1970, zero as never, and what does not fit 32 bits signed as something else. The moment is handed over
//! as it is, so that it does not depend on the clock of the node that writes.

use std::time::Duration;

use holdover_api::{Expiry, Timestamp};

/// Whole seconds that the server keeps a session beyond its deadline, after rounding up: so the record's own deadline
/// always decides, to the millisecond.
const GRACE: u64 = 2;

/// The largest distance from now, in seconds; what is larger is a moment.
const LONGEST_DISTANCE: u64 = 30 * 24 * 60 * 60;

/// The last moment that fits the server's number: in January 2038.
const LAST_MOMENT: u64 = i32::MAX.unsigned_abs() as u64;

/// How late the room of an expired session may be taken back: the server looks at everything once an hour at the
/// latest, and sooner where it needs room. Nobody can read it any more from a few seconds after the deadline on.
pub(super) const EXPIRY: Expiry = Expiry::Native { max_lag: Duration::from_secs(60 * 60) };

/// The number for a session with this deadline, which has not passed yet.
///
/// - A moment beyond January 2038 becomes that: such a session is forgotten then, if nobody has written to it since.
/// - From then on there are only distances, of at most thirty days.
pub(super) fn exptime(deadline: Timestamp, now: Timestamp) -> i32 {
    let moment = deadline.as_millis().div_ceil(1000) + GRACE;
    let now = now.as_millis() / 1000;
    let number = if now < LAST_MOMENT && moment > LONGEST_DISTANCE {
        moment.min(LAST_MOMENT)
    } else {
        (moment - now.min(moment)).clamp(1, LONGEST_DISTANCE)
    };
    i32::try_from(number).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn exptime_in(lifetime: Duration) -> i64 {
        let now = at(NOW * 1000);
        i64::from(exptime(now + lifetime, now)) - i64::try_from(NOW).unwrap()
    }

    #[test]
    fn lifetimes_are_rounded_up_with_two_seconds_in_hand() {
        assert_eq!(exptime_in(Duration::from_millis(1)), 3);
        assert_eq!(exptime_in(Duration::from_millis(1000)), 3);
        assert_eq!(exptime_in(Duration::from_millis(1001)), 4);
    }

    #[test]
    fn thirty_days_and_more_are_nothing_special() {
        for days in [29, 30, 31, 365] {
            let lifetime = Duration::from_secs(days * 24 * 60 * 60);
            assert_eq!(exptime_in(lifetime), i64::try_from(lifetime.as_secs()).unwrap() + 2, "{days} days");
        }
    }

    #[test]
    fn what_does_not_fit_32_bits_is_the_last_moment_that_does() {
        let now = at(NOW * 1000);
        for deadline in
            [at(u64::MAX), at((LAST_MOMENT - 1) * 1000), now + Duration::from_secs(68 * 365 * 86_400)]
        {
            assert_eq!(exptime(deadline, now), i32::MAX);
        }
    }

    #[test]
    fn after_the_last_moment_only_distances_are_left() {
        let now = at((LAST_MOMENT + 9) * 1000);
        assert_eq!(exptime(now + Duration::from_millis(10), now), 3);
        assert_eq!(exptime(now + Duration::from_secs(600), now), 602);
        assert_eq!(exptime(at(u64::MAX), now), 30 * 24 * 60 * 60);
    }

    #[test]
    fn no_number_means_for_ever_or_the_past() {
        for now in [0, 1, LONGEST_DISTANCE, NOW, LAST_MOMENT - 1, LAST_MOMENT, LAST_MOMENT * 2] {
            for more in [1, 999, 1000, 86_400_000, 30 * 86_400_000, u64::MAX] {
                let number = exptime(at((now * 1000).saturating_add(more)), at(now * 1000));
                let is_distance = u64::from(number.unsigned_abs()) <= LONGEST_DISTANCE;
                let is_later = is_distance || u64::from(number.unsigned_abs()) > now;
                assert!(number > 0 && is_later, "{number} at {now} for {more}");
            }
        }
    }
}
