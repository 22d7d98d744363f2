//! What an operation reads and writes.

use std::time::Duration;

use holdover_api::Timestamp;
use holdover_rotation::{Generation, Rules, Schedule, Stale, TableState, Tables, View};
use proptest::prelude::{Strategy, any, prop, proptest};

use super::{DAWN, HOUR, dawn, hourly, punctual, secs, seen, table};

fn previous() -> Generation {
    DAWN.previous().unwrap()
}

fn view(now: Timestamp, tables: &Tables) -> View {
    hourly().view(now, tables).unwrap()
}

#[test]
fn a_session_is_looked_for_in_the_present_table_and_in_the_one_before() {
    let tables = seen(dawn(), &[punctual(previous()), punctual(DAWN)]);
    let late = dawn() + HOUR - secs(10);
    assert_eq!(view(late, &tables), View { read: vec![DAWN, previous()], write: Some(DAWN) });
}

#[test]
fn the_next_table_is_read_as_soon_as_another_node_may_write_to_it() {
    let tables = seen(dawn(), &[punctual(DAWN), punctual(DAWN.next())]);
    let boundary = hourly().begins(DAWN.next());
    assert_eq!(view(boundary - Duration::from_millis(4_001), &tables).read, [DAWN]);
    let just_before = view(boundary - secs(4), &tables);
    assert_eq!(just_before, View { read: vec![DAWN.next(), DAWN], write: Some(DAWN) });
}

#[test]
fn a_table_is_read_until_its_last_lease_has_ended() {
    let tables = seen(dawn(), &[punctual(previous()), punctual(DAWN), punctual(DAWN.next())]);
    let last_lease = dawn() + HOUR;
    let just_before = last_lease - Duration::from_millis(1);
    assert_eq!(view(just_before, &tables).read, [DAWN.next(), DAWN, previous()]);
    assert_eq!(view(last_lease, &tables).read, [DAWN.next(), DAWN]);
    assert_eq!(hourly().drops_from(&tables, previous()), Some(last_lease + secs(4) + secs(10)));
}

#[test]
fn an_old_table_may_get_something_new_until_every_clock_and_operation_has_left_it() {
    let tables = seen(dawn(), &[punctual(previous()), punctual(DAWN)]);
    let common = |now| hourly().common(now, &tables, &view(now, &tables));
    let left = dawn() + secs(2 * 2 + 10);
    assert_eq!(common(left - Duration::from_millis(1)), Some(previous()));
    assert_eq!(common(left), Some(DAWN));
    let alone = seen(left, &[punctual(previous())]);
    assert_eq!(hourly().common(left, &alone, &view(left, &alone)), Some(previous()));
}

#[test]
fn while_the_present_table_is_missing_the_one_before_is_written_to() {
    let now = dawn() + secs(1_000);
    let tables = seen(now, &[punctual(previous())]);
    assert_eq!(view(now, &tables), View { read: vec![previous()], write: Some(previous()) });
    assert_eq!(hourly().end(&tables, previous()), None);
    assert_eq!(hourly().drops_from(&tables, previous()), None);
}

#[test]
fn a_late_table_has_the_one_before_it_read_and_kept_for_longer() {
    let created = dawn() + secs(1_000);
    let tables = seen(created, &[punctual(previous()), table(DAWN, TableState::Active, created)]);
    let end = created + secs(300);
    assert_eq!(hourly().end(&tables, previous()), Some(end));
    let now = end + HOUR - secs(4) - Duration::from_millis(1);
    let tables = seen(now, &[punctual(previous()), table(DAWN, TableState::Active, created)]);
    assert!(view(now, &tables).read.contains(&previous()));
    assert_eq!(hourly().drops_from(&tables, previous()), Some(end + HOUR + secs(14)));
}

#[test]
fn a_late_table_is_written_to_when_every_node_knows_of_it() {
    let created = dawn() + secs(1_000);
    let tables = |now| seen(now, &[punctual(previous()), table(DAWN, TableState::Active, created)]);
    let notice = secs(30 + 3 * 2);
    let before = created + notice - Duration::from_millis(1);
    assert_eq!(view(before, &tables(before)).write, Some(previous()));
    assert_eq!(view(created + notice, &tables(created + notice)).write, Some(DAWN));
}

#[test]
fn the_first_table_of_all_is_written_to_at_once() {
    let tables = seen(dawn(), &[table(DAWN, TableState::Active, dawn())]);
    assert_eq!(view(dawn(), &tables), View { read: vec![DAWN], write: Some(DAWN) });
    let creating = seen(dawn(), &[table(DAWN, TableState::Creating, dawn())]);
    assert_eq!(view(dawn(), &creating), View { read: vec![DAWN], write: None });
}

#[test]
fn an_old_table_is_no_longer_written_to_when_nobody_would_look_there_any_more() {
    let created = dawn() + secs(1_000);
    let tables = |now| seen(now, &[punctual(previous()), table(DAWN, TableState::Creating, created)]);
    let end = created + secs(300);
    let before = end - Duration::from_millis(1);
    assert_eq!(view(before, &tables(before)).write, Some(previous()));
    assert_eq!(view(end, &tables(end)).write, None);
    assert_eq!(view(end, &tables(end)).read, [DAWN, previous()]);
}

#[test]
fn after_a_long_sleep_of_all_nodes_the_last_table_serves_until_the_present_one_does() {
    let now = dawn() + HOUR * 50;
    let present = hourly().generation(now);
    let alone = seen(now, &[punctual(DAWN)]);
    assert_eq!(view(now, &alone), View { read: vec![DAWN], write: Some(DAWN) });
    let both = seen(now, &[punctual(DAWN), table(present, TableState::Active, now)]);
    assert_eq!(view(now, &both), View { read: vec![present, DAWN], write: Some(DAWN) });
    assert_eq!(hourly().end(&both, DAWN), Some(now + secs(300)));
}

#[test]
fn a_table_below_one_that_was_there_first_is_never_written_to() {
    let late = table(DAWN, TableState::Active, dawn() + secs(2_000));
    let first = table(DAWN.next(), TableState::Active, dawn() + secs(1_999));
    let now = dawn() + secs(3_000);
    let tables = seen(now, &[punctual(previous()), late, first]);
    assert_eq!(view(now, &tables).write, Some(previous()));
}

#[test]
fn a_table_that_is_being_dropped_is_neither_read_nor_written() {
    let tables = seen(dawn(), &[table(previous(), TableState::Dropping, dawn() - HOUR), punctual(DAWN)]);
    assert_eq!(view(dawn(), &tables), View { read: vec![DAWN], write: Some(DAWN) });
}

#[test]
fn knowledge_is_needed_afresh_only_while_a_table_may_have_come() {
    let schedule = hourly();
    let both = seen(dawn() - secs(400), &[punctual(previous()), punctual(DAWN)]);
    assert!(schedule.view(dawn() + HOUR - secs(5), &both).is_ok(), "an hour old, and nothing is missing");
    assert_eq!(schedule.view(dawn() + HOUR - secs(4), &both), Err(Stale));
    let one = |as_of| seen(as_of, &[punctual(previous())]);
    let now = dawn() + secs(100);
    assert_eq!(schedule.view(now, &one(now - secs(30))), Err(Stale));
    assert!(schedule.view(now, &one(now - secs(29))).is_ok());
    assert_eq!(schedule.view(now, &one(now + secs(1))), Err(Stale), "the clock stepped back");
    assert_eq!(schedule.view(now, &Tables::unknown()), Err(Stale));
    assert_eq!(
        schedule.view(now, &seen(now - secs(1), &[])),
        Err(Stale),
        "nobody relies on having seen none"
    );
    assert_eq!(schedule.view(now, &seen(now, &[])), Ok(View { read: vec![], write: None }));
}

/// Any rules that pass.
fn schedules() -> impl Strategy<Value = Schedule> {
    (60_u64..=30 * 86_400, 1_u64..=800).prop_map(|(period, percent)| {
        let lease = secs(period) * u32::try_from(percent).unwrap() / 100;
        Schedule::new(Rules::new(secs(period), lease)).unwrap()
    })
}

/// Every moment that a store can hold.
fn moments() -> impl Strategy<Value = Timestamp> {
    (0..=Timestamp::MAX.as_millis()).prop_map(Timestamp::from_millis)
}

/// Zones from -12 to +14 hours, in minutes.
const ZONES: std::ops::RangeInclusive<i64> = -12 * 60..=14 * 60;

/// Seconds from the epoch to the beginning of the 29th of February in the leap year so many leap years after 1972.
fn leap_day(leap_years_after_1972: u64) -> Timestamp {
    let days = 2 * 365 + 31 + 28 + leap_years_after_1972 * (4 * 365 + 1);
    Timestamp::from_millis(days * 86_400_000)
}

proptest! {
    #[test]
    fn a_moment_belongs_to_the_generation_between_whose_ends_it_lies(schedule in schedules(), at in moments()) {
        let generation = schedule.generation(at);
        assert!(schedule.begins(generation) <= at);
        assert!(at < schedule.begins(generation.next()) || at == Timestamp::MAX);
    }

    #[test]
    fn generations_are_whole_periods_from_the_epoch_whatever_the_zone(
        schedule in schedules(), at in moments(), zone in ZONES,
    ) {
        // A node in another zone shows another wall time for the same moment, and nothing here can see it: the moment
        // alone decides, by one division.
        let seconds = at.as_millis() / 1_000;
        let wall = i64::try_from(seconds).unwrap() + zone * 60;
        let same = u64::try_from(wall - zone * 60).unwrap();
        let period = schedule.rules().period.as_secs();
        assert_eq!(schedule.generation(Timestamp::from_millis(same * 1_000)).number(), seconds / period);
        assert_eq!(schedule.generation(at).number(), seconds / period);
    }

    #[test]
    fn leap_days_are_days_as_any_other(leap_years in 0_u64..30, hours in 0_u64..24) {
        let day = Schedule::new(Rules::new(secs(86_400), secs(86_400))).unwrap();
        let leap = day.generation(leap_day(leap_years) + HOUR * u32::try_from(hours).unwrap());
        assert_eq!(day.begins(leap), leap_day(leap_years));
        assert_eq!(day.begins(leap.next()), leap_day(leap_years) + secs(86_400));
        assert_eq!(leap.number(), leap_day(leap_years).as_millis() / 86_400_000);
    }

    #[test]
    fn a_step_of_the_clock_there_and_back_changes_nothing(
        schedule in schedules(), at in moments(), step in 0_u64..40 * 86_400, ages in prop::collection::vec(0_u64..12, 0..6),
    ) {
        let present = schedule.generation(at).number();
        let tables = ages.iter().map(|age| {
            let generation = Generation::new(present.saturating_sub(*age));
            table(generation, TableState::Active, schedule.begins(generation))
        });
        let tables = Tables::seen(at, tables);
        let before = schedule.view(at, &tables);
        // What the stepped clock shows is answered or refused for its own sake, and leaves no trace.
        let _ahead = schedule.view(at + secs(step), &tables);
        let _behind = schedule.view(at - secs(step), &tables);
        assert_eq!(schedule.view(at, &tables), before);
    }

    #[test]
    fn what_is_written_can_be_read_by_every_clock_for_as_long_as_the_lease_runs(
        schedule in schedules(), phase in any::<u32>(), age in 0_u64..3, late in 0_u64..5_000, lead in 0_u64..700,
        after in any::<u32>(), skewed in -1_i8..=1,
    ) {
        let Rules { period, max_lease, max_skew, .. } = *schedule.rules();
        let writes_at = dawn() + period.mul_f64(f64::from(phase) / f64::from(u32::MAX));
        let present = schedule.generation(writes_at);
        let older = Generation::new(present.number() - 1 - age);
        let created = schedule.begins(present) + secs(late) - secs(lead);
        let all = [
            table(older, TableState::Active, schedule.begins(older) - schedule.rules().lead),
            table(present, TableState::Active, created),
        ];
        let known = if created > writes_at { &all[..1] } else { &all[..] };
        let write = schedule.view(writes_at, &seen(writes_at, known)).unwrap().write.unwrap();
        // A reader whose clock shows that the lease still runs, at a moment that can be after the write.
        let lease = max_lease.mul_f64(f64::from(after) / f64::from(u32::MAX));
        let reads_at = match skewed {
            -1 => (writes_at + lease).max(writes_at) - 2 * max_skew,
            0 => writes_at + lease,
            _ => writes_at + lease.min(max_lease - Duration::from_millis(1)),
        };
        if reads_at < writes_at + max_lease {
            let view = schedule.view(reads_at, &seen(reads_at, &all)).unwrap();
            assert!(view.read.contains(&write), "{write:?} is not among {:?}", view.read);
            let dropped = schedule.drops_from(&seen(reads_at, &all), write);
            assert!(dropped.is_none_or(|from| from > writes_at + max_lease + 2 * max_skew));
        }
    }
}
