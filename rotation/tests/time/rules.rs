//! What is refused before it can do harm (R12).

use std::time::Duration;

use holdover_rotation::{MAX_TABLES_READ, Rules, RulesError, Schedule};
use proptest::prelude::{Strategy, any, proptest};

use super::{HOUR, hourly, secs};

fn refusal(rules: Rules) -> Option<RulesError> {
    Schedule::new(rules).err()
}

#[test]
fn the_defaults_go_together_for_every_period() {
    for period in [60, 61, 90, 120, 359, 360, 3_600, 86_400, 30 * 86_400] {
        let period = secs(period);
        for lease in [secs(1), period / 2, period, period * 3] {
            assert_eq!(refusal(Rules::new(period, lease)), None, "{period:?} {lease:?}");
        }
    }
    for period in [1, 4, 10] {
        assert!(Schedule::for_exams(Rules::new(secs(period), secs(period))).is_ok(), "{period}");
    }
}

#[test]
fn periods_are_whole_seconds_from_a_minute_to_thirty_days() {
    let shortest = secs(60);
    for period in [secs(0), secs(59), secs(30 * 86_400 + 1), Duration::MAX] {
        assert_eq!(refusal(Rules::new(period, secs(30))), Some(RulesError::Period { shortest }));
    }
    assert_eq!(refusal(Rules::new(Duration::from_millis(60_500), HOUR)), Some(RulesError::PartOfASecond));
    assert!(Schedule::for_exams(Rules::new(Duration::from_millis(999), secs(1))).is_err());
}

#[test]
fn rules_that_contradict_each_other_are_refused() {
    let rules = Rules::new(HOUR, HOUR);
    assert_eq!(refusal(Rules { max_lease: Duration::ZERO, ..rules }), Some(RulesError::NoLease));
    assert_eq!(refusal(Rules { max_skew: HOUR / 2, ..rules }), Some(RulesError::Skew));
    assert_eq!(refusal(Rules { refresh: Duration::ZERO, ..rules }), Some(RulesError::NoRefresh));
    assert_eq!(refusal(Rules { lead: HOUR + secs(1), ..rules }), Some(RulesError::Lead));
    assert_eq!(refusal(Rules { lead: secs(67), ..rules }), Some(RulesError::Lead));
    for settle in [secs(35), secs(30 * 86_400 + 1), Duration::MAX] {
        assert_eq!(refusal(Rules { settle, ..rules }), Some(RulesError::Settle));
    }
    assert_eq!(refusal(Rules { grace: Duration::MAX, ..rules }), Some(RulesError::Grace));
    assert_eq!(refusal(Rules { settle: secs(36), lead: secs(68), ..rules }), None);
}

#[test]
fn a_lease_so_long_that_too_many_tables_are_read_is_refused() {
    let rules = |periods| Rules::new(HOUR, HOUR * periods);
    assert_eq!(refusal(rules(8)), None);
    assert_eq!(refusal(rules(9)), Some(RulesError::TooManyTables { tables: 11 }));
    assert_eq!(
        refusal(Rules::new(HOUR, Duration::MAX)).map(|error| error.to_string().is_empty()),
        Some(false)
    );
}

#[test]
fn tables_to_read_are_counted_as_the_protocol_says() {
    assert_eq!(Rules::new(HOUR, HOUR / 2).tables_read(), 2);
    assert_eq!(Rules::new(HOUR, HOUR - secs(4)).tables_read(), 2);
    assert_eq!(Rules::new(HOUR, HOUR).tables_read(), 3);
    assert_eq!(Rules::new(HOUR, HOUR * 2).tables_read(), 4);
}

#[test]
fn refusals_are_lower_case_and_say_what_to_do() {
    let error = RulesError::TooManyTables { tables: 26 };
    let text = "leases so much longer than the period need 26 tables read for one session, and 10 is the most; \
                choose a longer period";
    assert_eq!(error.to_string(), text);
    let now = super::dawn();
    let refused = hourly().check_lease(now, now + HOUR + secs(1)).unwrap_err();
    let text = "the deadline is further ahead than the longest lease of 3600s for which tables are kept";
    assert_eq!(refused.to_string(), text);
    assert_eq!(hourly().check_lease(now, now + HOUR), Ok(()));
}

fn durations() -> impl Strategy<Value = Duration> {
    (any::<u8>(), any::<u64>()).prop_map(|(shift, millis)| Duration::from_millis(millis >> (shift % 64)))
}

proptest! {
    #[test]
    fn no_rules_whatever_make_it_panic_and_none_that_pass_read_too_much(
        period in durations(), max_lease in durations(), max_skew in durations(), refresh in durations(),
        lead in durations(), settle in durations(), grace in durations(),
    ) {
        let period = secs(period.as_secs());
        let rules = Rules { period, max_lease, max_skew, refresh, lead, settle, grace };
        if let Ok(schedule) = Schedule::for_exams(rules) {
            assert!(schedule.rules().tables_read() <= MAX_TABLES_READ);
        }
    }
}
