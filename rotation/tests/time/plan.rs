//! What is created, dropped and left alone.

use std::time::Duration;

use holdover_api::Timestamp;
use holdover_rotation::{Generation, Held, Offset, Plan, Rules, Schedule, Table, TableState, Tables, plan};
use proptest::prelude::{Just, Strategy, any, prop, prop_oneof, proptest};

use super::{DAWN, HOUR, dawn, hourly, punctual, secs, seen, table};

const AGREED: Option<Offset> = Some(Offset { least: 0, most: 0 });

fn planned(now: Timestamp, tables: &[Table]) -> Plan {
    plan(&hourly(), now, AGREED, &seen(now, tables), Duration::ZERO)
}

#[test]
fn a_missing_present_table_comes_first_and_alone() {
    let shortly_before_the_next = dawn() + HOUR - secs(1);
    for tables in [&[][..], &[punctual(Generation::new(DAWN.number() - 3))]] {
        assert_eq!(planned(shortly_before_the_next, tables).create, Some(DAWN));
    }
    assert_eq!(planned(shortly_before_the_next, &[punctual(DAWN)]).create, Some(DAWN.next()));
    assert_eq!(planned(shortly_before_the_next, &[punctual(DAWN), punctual(DAWN.next())]).create, None);
}

#[test]
fn the_next_table_is_created_when_the_lead_begins_or_in_its_first_quarter() {
    let tables = seen(dawn(), &[punctual(DAWN)]);
    let create = |now, jitter| plan(&hourly(), now, AGREED, &tables, jitter).create;
    let lead = dawn() + HOUR - secs(600);
    assert_eq!(create(lead - Duration::from_millis(1), Duration::ZERO), None);
    assert_eq!(create(lead, Duration::ZERO), Some(DAWN.next()));
    assert_eq!(create(lead + secs(99), secs(100)), None);
    assert_eq!(create(lead + secs(100), secs(100)), Some(DAWN.next()));
    assert_eq!(create(lead + secs(150), HOUR * 9), Some(DAWN.next()), "the rest of the lead remains");
}

#[test]
fn no_table_is_created_below_the_newest() {
    let newer = punctual(DAWN.next());
    assert_eq!(planned(dawn() + secs(5), &[newer]).create, None);
    let far = Generation::new(DAWN.number() + 7);
    let plan = planned(dawn() + secs(5), &[punctual(DAWN), table(far, TableState::Active, dawn())]);
    assert_eq!(plan, Plan { create: None, drop: vec![], held: Some(Held::TableAhead) });
}

#[test]
fn a_table_is_dropped_when_its_last_lease_has_ended_by_every_clock() {
    let tables = [punctual(DAWN), punctual(DAWN.next())];
    let from = dawn() + HOUR * 2 + secs(2 * 2) + secs(10);
    assert_eq!(planned(from - Duration::from_millis(1), &tables).drop, []);
    assert_eq!(planned(from, &tables).drop, [DAWN]);
    let behind = Some(Offset { least: -100, most: 900 });
    let tables = seen(from, &tables);
    assert_eq!(
        plan(&hourly(), from, behind, &tables, Duration::ZERO).drop,
        [],
        "not yet by the server's clock"
    );
    let later = from + Duration::from_millis(100);
    assert_eq!(plan(&hourly(), later, behind, &tables, Duration::ZERO).drop, [DAWN]);
}

#[test]
fn a_table_waits_for_the_one_after_it_to_be_ready() {
    let long_after = dawn() + HOUR * 9;
    let creating = table(DAWN.next(), TableState::Creating, dawn() + HOUR);
    assert_eq!(planned(long_after, &[punctual(DAWN), creating]).drop, []);
    assert_eq!(planned(long_after, &[punctual(DAWN)]).drop, [], "the last table stands");
}

#[test]
fn many_old_tables_are_dropped_oldest_first() {
    let old = (0..5).map(|age| punctual(Generation::new(DAWN.number() - age)));
    let tables: Vec<Table> = old.collect();
    let expected = [4, 3, 2].map(|age| Generation::new(DAWN.number() - age));
    assert_eq!(planned(dawn() + secs(1_000), &tables).drop, expected);
}

#[test]
fn a_node_whose_clock_is_off_or_unknown_touches_nothing() {
    let now = dawn() + HOUR * 4 + secs(4);
    let tables = seen(now, &[punctual(DAWN), punctual(DAWN.next())]);
    for (offset, held) in [
        (None, Held::ClockUnknown),
        (Some(Offset { least: 2_001, most: 3_100 }), Held::ClockOff),
        (Some(Offset { least: -3_700_000, most: -3_600_000 }), Held::ClockOff),
    ] {
        let expected = Plan { create: None, drop: vec![], held: Some(held) };
        assert_eq!(plan(&hourly(), now, offset, &tables, Duration::ZERO), expected);
    }
    let unsure = Some(Offset { least: -900, most: 2_900 });
    let plan = plan(&hourly(), now, unsure, &tables, Duration::ZERO);
    assert_eq!((plan.create, plan.drop, plan.held), (Some(hourly().generation(now)), vec![DAWN], None));
}

#[test]
fn an_offset_is_as_exact_as_the_answer_and_its_journey() {
    let at = Timestamp::from_millis;
    let measured = |before, after| Offset::measured(at(before), at(after), at(7_000), secs(1));
    assert_eq!(measured(7_100, 7_350), Some(Offset { least: -350, most: 900 }));
    assert_eq!(measured(7_350, 7_100), None, "the clock stepped back meanwhile");
    let offset = Offset { least: -350, most: 900 };
    assert_eq!(offset.earliest(at(10_000)), at(9_650));
    assert!(!offset.is_beyond(Duration::ZERO));
}

fn tables(around: u64) -> impl Strategy<Value = Vec<Table>> {
    let state = prop_oneof![
        Just(TableState::Creating),
        Just(TableState::Active),
        Just(TableState::Active),
        Just(TableState::Dropping)
    ];
    let one = (0_u64..10, state, -900_i64..4_000).prop_map(move |(age, state, late)| {
        let generation = Generation::new(around + 2 - age);
        let begins = hourly().begins(generation);
        let by = secs(late.unsigned_abs());
        table(generation, state, if late < 0 { begins - by } else { begins + by })
    });
    prop::collection::btree_map(0_u64..10, one, 0..7).prop_map(|tables| {
        let mut tables: Vec<Table> = tables.into_values().collect();
        tables.sort_by_key(|table| table.generation);
        tables.dedup_by_key(|table| table.generation);
        tables
    })
}

proptest! {
    #[test]
    fn whatever_exists_nothing_is_created_below_the_newest_and_nothing_dropped_that_is_read(
        tables in tables(DAWN.number()), into in 0_u64..7_200, least in -4_000_i64..4_000, wide in 0_i64..1_200,
        jitter in 0_u64..900, reader in -2_000_i64..=2_000,
    ) {
        let (schedule, now) = (hourly(), dawn() + secs(into));
        let offset = Offset { least, most: least + wide };
        let seen = Tables::seen(now, tables.clone());
        let plan = plan(&schedule, now, Some(offset), &seen, secs(jitter));
        if let Some(create) = plan.create {
            assert!(seen.newest().is_none_or(|newest| newest.generation < create));
            assert!(create >= schedule.generation(now) && create <= schedule.generation(now).next());
        }
        // No node whose clock is within the skew of the server's still reads what is dropped.
        let server = offset.earliest(now);
        let by = Duration::from_millis(reader.unsigned_abs());
        let reads_at = if reader < 0 { server - by } else { server + by };
        let view = schedule.view(reads_at, &Tables::seen(reads_at, tables)).unwrap();
        for dropped in &plan.drop {
            assert!(!view.read.contains(dropped));
            assert_ne!(view.write, Some(*dropped));
            assert_ne!(seen.newest().map(|newest| newest.generation), Some(*dropped));
        }
    }

    #[test]
    fn done_twice_is_done_once(tables in tables(DAWN.number()), into in 0_u64..7_200) {
        let now = dawn() + secs(into);
        let first = planned(now, &tables);
        let mut after: Vec<Table> = tables;
        for table in after.iter_mut().filter(|table| first.drop.contains(&table.generation)) {
            table.state = TableState::Dropping;
        }
        after.extend(first.create.map(|generation| table(generation, TableState::Creating, now)));
        let second = planned(now, &after);
        assert!(second.drop.iter().all(|again| !first.drop.contains(again)));
        assert!(second.create.is_none() || second.create > first.create);
    }

    #[test]
    fn a_whole_life_keeps_few_tables_and_always_one_to_write_to(
        period in 60_u64..=86_400, share in 10_u32..=100, jitter in any::<u16>(), pace in 8_u32..16,
    ) {
        let period = secs(period);
        let schedule = Schedule::new(Rules::new(period, period * share / 100)).unwrap();
        let begun = schedule.begins(schedule.generation(dawn()));
        let (mut now, mut tables) = (begun, Vec::<Table>::new());
        let jitter = (schedule.rules().lead / 4).mul_f64(f64::from(jitter) / f64::from(u16::MAX));
        while now < begun + period * 4 {
            let plan = plan(&schedule, now, AGREED, &Tables::seen(now, tables.clone()), jitter);
            tables.retain(|table| !plan.drop.contains(&table.generation));
            tables.extend(plan.create.map(|generation| table(generation, TableState::Active, now)));
            assert!(tables.len() <= 4, "{tables:?}");
            let view = schedule.view(now, &Tables::seen(now, tables.clone())).unwrap();
            assert_eq!(view.write, Some(schedule.generation(now)));
            assert!(view.read.len() <= schedule.rules().tables_read() as usize);
            // A keeper comes by much more often.
            now = now + schedule.rules().lead / pace;
        }
    }
}
