//! Units and dollars against sums made by hand.

use std::time::Duration;

use holdover_rotation::planner::{
    Cost, Estimate, Expiry, HOURS_PER_MONTH, Kind, Prices, Units, Workload, WorkloadError, ancestor_capacity,
    estimate,
};
use holdover_rotation::{Rules, Schedule};
use proptest::prelude::proptest;

const PRICES: Prices = Prices::US_EAST_1_AS_OF_2026_11;
const HOUR: Duration = Duration::from_secs(3_600);
const DAYS: Duration = Duration::from_secs(2 * 86_400);

fn rotation(period: Duration, lease: Duration) -> Expiry {
    Expiry::Rotation(Schedule::new(Rules::new(period, lease)).unwrap())
}

fn planned(workload: &Workload, expiry: Expiry) -> Estimate {
    estimate(workload, expiry, &PRICES).unwrap()
}

fn near(left: f64, right: f64) -> bool {
    (left - right).abs() <= 1e-9 * left.abs().max(right.abs()).max(1.0)
}

#[track_caller]
fn assert_near(left: f64, right: f64) {
    assert!(near(left, right), "{left} is not {right}");
}

#[test]
fn reads_round_up_to_4_kb_and_writes_to_1_kb() {
    for (bytes, reads, writes) in [
        (0, 1.0, 1.0),
        (1, 1.0, 1.0),
        (512, 1.0, 1.0),
        (1_024, 1.0, 1.0),
        (1_025, 1.0, 2.0),
        (1_536, 1.0, 2.0),
        (2_560, 1.0, 3.0),
        (4_096, 1.0, 4.0),
        (4_097, 2.0, 5.0),
        (4_608, 2.0, 5.0),
        (9_216, 3.0, 9.0),
        (409_600, 100.0, 400.0),
    ] {
        assert_eq!(Units::read(bytes), Units { read: reads, write: 0.0 }, "{bytes}");
        assert_eq!(Units::eventual_read(bytes), Units { read: reads / 2.0, write: 0.0 }, "{bytes}");
        assert_eq!(Units::write(bytes), Units { read: 0.0, write: writes }, "{bytes}");
    }
    // A page of 1 MB, eventually consistent.
    assert_eq!(Units::scan(1_048_576.0), Units { read: 128.0, write: 0.0 });
    assert_eq!(Units::scan(0.0), Units::default());
}

/// `t = s·r`: the formula, and its example of 2 kB and 100 requests a second, with the read unit of today.
#[test]
fn throughput_is_size_times_requests() {
    assert_eq!(ancestor_capacity(2_000, 100.0), Units { read: 100.0, write: 200.0 });
    assert_eq!(ancestor_capacity(1_000, 10.0), Units { read: 10.0, write: 10.0 });
    for (bytes, reads, writes) in [(512, 1.0, 1.0), (1_536, 1.0, 2.0), (2_560, 1.0, 3.0), (9_216, 3.0, 9.0)] {
        for rate in [10.0, 50.0, 100.0] {
            let expected = Units { read: reads * rate, write: writes * rate };
            assert_eq!(ancestor_capacity(bytes, rate), expected);
        }
    }
}

/// The cost of a million requests with a session of 1.5 KB, on demand.
#[test]
fn a_million_operations_cost_what_the_table_of_facts_says() {
    let million = |each: Units| {
        let seconds = HOURS_PER_MONTH * 3_600.0;
        PRICES.on_demand(each * (1_000_000.0 / seconds)).total()
    };
    let bytes = 1_536;
    assert_near(million(Units::read(bytes)), 0.125);
    assert_near(million(Units::write(bytes)), 1.25);
    assert_near(million(Units::write(900)), 0.625);
    assert_near(million(Units::write(bytes) * 0.1), 0.125);
    assert_near(million(Units::read(0) * 2.0), 0.25);
}

#[test]
fn a_provisioned_unit_costs_what_the_table_of_facts_says() {
    let one = PRICES.provisioned(Units { read: 1.0, write: 1.0 });
    assert_near(one.reads, 0.0949);
    assert_near(one.writes, 0.4745);
    assert_eq!(PRICES.provisioned(Units::default()), one, "less than one unit cannot be had");
    assert_near(PRICES.provisioned(Units { read: 1.2, write: 9.01 }).writes, 4.745);
}

#[test]
fn the_first_gigabytes_are_free() {
    let gigabyte = 1_073_741_824.0;
    assert_near(PRICES.storage(gigabyte * 25.0), 0.0);
    assert_near(PRICES.storage(gigabyte * 26.0), 0.25);
    assert_near(Cost { reads: 1.0, writes: 2.0, storage: 4.0 }.total(), 7.0);
}

fn rate(estimate: &Estimate, kind: Kind) -> f64 {
    estimate.lines.iter().find(|line| line.kind == kind).map_or(0.0, |line| line.per_second)
}

/// 100 requests a second, 20 a session of 2 000 bytes: 5 sessions begin a second, 95 requests load one, 19 change one. A
/// visit of 600 s is shorter than half of the idle time, so that its changes extend the lease often enough.
#[test]
fn a_workload_by_hand() {
    let workload = Workload { unknown_per_second: 8.0, ..Workload::default() };
    let ttl = planned(&workload, Expiry::NativeTtl { lingers: DAYS });
    for (kind, per_second) in [
        (Kind::Load, 95.0),
        (Kind::Unknown, 8.0),
        (Kind::Create, 5.0),
        (Kind::Save, 19.0),
        (Kind::Touch, 0.0),
        (Kind::Delete, 0.5),
    ] {
        assert_near(rate(&ttl, kind), per_second);
    }
    assert_near(ttl.per_second.read, 95.0 + 8.0);
    assert_near(ttl.per_second.write, (5.0 + 19.0 + 0.5) * 2.0);
    assert_near(ttl.stored_bytes, 5.0 * 2_100.0 * (600.0 + 1_800.0 + 172_800.0));
    assert_near(ttl.on_demand.reads, 103.0 * 2.628 * 0.125);
    assert_near(ttl.on_demand.writes, 49.0 * 2.628 * 0.625);
    assert_near(ttl.provisioned.writes, 49.0 * 0.4745);

    // One visit in six meets a boundary. Until one of five requests moves the session each looks in two tables.
    let rotating = planned(&workload, rotation(HOUR, HOUR / 2));
    let moves = 5.0 / 6.0;
    assert_near(rate(&rotating, Kind::Move), moves);
    assert_near(rate(&rotating, Kind::Miss), moves * 5.0);
    let searched = (3_600.0 + 1_800.0 + 4.0) / 3_600.0;
    assert_near(rate(&rotating, Kind::Unknown), 8.0 * searched);
    assert_near(rotating.per_second.read, 95.0 + 8.0 * searched + moves * 5.0);
    assert_near(rotating.per_second.write, (5.0 + 19.0 + 0.5 + moves) * 2.0);
    assert_near(rotating.stored_bytes, (5.0 + moves) * 2_100.0 * (1_800.0 + 1_800.0 + 4.0 + 10.0));
    assert_eq!((rotating.tables_read, rotating.tables), (2, 2));

    let every = HOUR * 12;
    let scanning = planned(&workload, Expiry::Scan { every });
    let bytes = 5.0 * 2_100.0 * (600.0 + 1_800.0 + 21_600.0);
    assert_near(scanning.stored_bytes, bytes);
    assert_near(rate(&scanning, Kind::Expire), 4.5);
    assert_near(scanning.per_second.read, 103.0 + (bytes / 4_096.0).ceil() / 2.0 / 43_200.0);
    assert_near(scanning.per_second.write, (5.0 + 19.0 + 0.5 + 4.5) * 2.0);
}

/// The ancestor's "roughly twice the cost": as many tables stand on average as their life has periods.
#[test]
fn provisioned_rotation_pays_for_every_table_that_stands() {
    let day = HOUR * 24;
    let rules = Rules { max_skew: Duration::ZERO, grace: Duration::ZERO, ..Rules::new(day, day) };
    let rotating = planned(&Workload::default(), Expiry::Rotation(Schedule::new(rules).unwrap()));
    let factor = 2.0 + 600.0 / 86_400.0;
    assert_near(rotating.capacity.write, rotating.per_second.write * factor);
    assert_near(rotating.capacity.read, rotating.per_second.read * factor);
    assert_eq!((rotating.tables, rotating.tables_read), (3, 2));
}

/// Twenty writing requests in a period cost twenty-one writes.
#[test]
fn a_session_pays_one_more_write_for_each_period() {
    let workload = Workload {
        requests_per_second: 1.0,
        changing: 1.0,
        requests_per_session: 1_000_001.0,
        visit: HOUR * 50_000,
        ..Workload::default()
    };
    let rotating = planned(&workload, rotation(HOUR, HOUR));
    let a_period = rotating.per_second.write / 2.0 / workload.sessions_per_second() / 50_000.0;
    assert!((a_period - 21.0).abs() < 0.001, "{a_period}");
}

#[test]
fn a_session_that_only_reads_is_touched_when_half_of_its_idle_time_has_gone() {
    let reading = Workload { changing: 0.0, visit: HOUR, idle: HOUR / 2, ..Workload::default() };
    assert_near(reading.touches_per_second(), 5.0 * 4.0);
    let writing = Workload { changing: 0.1, ..reading };
    assert_near(writing.touches_per_second(), 5.0 * (4.0 - 1.9));
    let rare = Workload { requests_per_session: 3.0, ..reading };
    assert_near(rare.touches_per_second(), 100.0 / 3.0 * 2.0);
    let single = Workload { requests_per_session: 1.0, ..reading };
    assert_near(single.touches_per_second(), 0.0);
    assert_near(planned(&single, rotation(HOUR, HOUR)).per_second.write, 2.0 * (100.0 + 10.0));
}

#[test]
fn workloads_that_no_application_has_are_refused() {
    let refusal = |change: fn(&mut Workload)| {
        let mut workload = Workload::default();
        change(&mut workload);
        estimate(&workload, Expiry::Scan { every: HOUR }, &PRICES).err()
    };
    assert_eq!(refusal(|workload| workload.requests_per_second = f64::NAN), Some(WorkloadError::Rate));
    assert_eq!(refusal(|workload| workload.unknown_per_second = -1.0), Some(WorkloadError::Rate));
    assert_eq!(refusal(|workload| workload.changing = 1.01), Some(WorkloadError::Share));
    assert_eq!(refusal(|workload| workload.logouts = f64::NAN), Some(WorkloadError::Share));
    assert_eq!(
        refusal(|workload| workload.requests_per_session = 0.5),
        Some(WorkloadError::RequestsPerSession)
    );
    assert_eq!(refusal(|workload| workload.session_bytes = 0), Some(WorkloadError::SessionBytes));
    assert_eq!(refusal(|workload| workload.session_bytes = 409_601), Some(WorkloadError::SessionBytes));
    assert_eq!(refusal(|workload| workload.idle = Duration::ZERO), Some(WorkloadError::Idle));
    let text = "a session has to have between 1 and 409600 bytes";
    assert_eq!(WorkloadError::SessionBytes.to_string(), text);
}

proptest! {
    #[test]
    fn every_workload_that_passes_has_finite_costs(
        requests in 0.0..1e9_f64, bytes in 1_u64..=409_600, changing in 0.0..=1.0_f64, each in 1.0..1e6_f64,
        visit in 0_u64..1 << 40, idle in 1_u64..1 << 40, lingers in 0_u64..=u64::MAX,
    ) {
        let workload = Workload {
            requests_per_second: requests,
            session_bytes: bytes,
            changing,
            requests_per_session: each,
            visit: Duration::from_secs(visit),
            idle: Duration::from_secs(idle),
            ..Workload::default()
        };
        let lingers = Duration::from_secs(lingers);
        for expiry in [rotation(HOUR, HOUR), Expiry::NativeTtl { lingers }, Expiry::Scan { every: lingers }] {
            let estimate = planned(&workload, expiry);
            assert!(estimate.on_demand.total().is_finite() && estimate.provisioned.total().is_finite());
            assert!(estimate.lines.iter().all(|line| line.per_second >= 0.0));
            // What rotation or a scan adds comes on top of what requests take.
            let requests_alone = planned(&workload, Expiry::NativeTtl { lingers }).per_second;
            assert!(estimate.per_second.write >= requests_alone.write);
        }
    }

    #[test]
    fn units_grow_with_the_size_and_never_undercut_it(bytes in 0_u64..=409_600) {
        assert!(Units::read(bytes).read * 4_096.0 >= bytes as f64);
        assert!(Units::write(bytes).write * 1_024.0 >= bytes as f64);
        assert!(Units::read(bytes + 1).read >= Units::read(bytes).read);
        assert!(Units::write(bytes + 1).write >= Units::write(bytes).write);
    }
}
