//! Ours or somebody else's.

use holdover_api::Timestamp;
use holdover_rotation::{Generation, NameError, Names, Rules, Schedule};
use proptest::prelude::{Strategy, any, proptest};

use super::{DAWN, HOUR, hourly, secs};

fn sessions() -> Names {
    Names::new("sessions", &hourly()).unwrap()
}

#[test]
fn a_name_is_base_period_and_beginning() {
    assert_eq!(sessions().name(DAWN), "sessions_p0003600_001800000000");
    assert_eq!(sessions().prefix(), "sessions_p0003600_");
    assert_eq!(sessions().name(Generation::new(0)), "sessions_p0003600_000000000000");
}

#[test]
fn what_is_named_otherwise_is_somebody_elses() {
    let foreign = [
        "",
        "sessions",
        "sessions_",
        "sessions_p0003600_",
        "sessions_p0003600_00180000000",
        "sessions_p0003600_0018000000000",
        "sessions_p0003600_001800000000x",
        "sessions_p0003600_001800000001",
        "sessions_p0003600_00180000000x",
        "sessions_p0003600_+01800000000",
        "sessions_p0003601_001800000000",
        "sessions_p3600_001800000000",
        "sessions_20260101_000000x",
        "sessions-beta_p0003600_001800000000",
        "sessions-beta_001800000000",
        "session_p0003600_001800000000",
        "Sessions_p0003600_001800000000",
        "my-sessions_p0003600_001800000000",
        "sessions_p0003600_999999999999",
        "sessions_p0003600_001800000000_p0003600_001800000000",
    ];
    for name in foreign {
        assert_eq!(sessions().generation(name), None, "{name}");
    }
    assert_eq!(sessions().generation("sessions_p0003600_001800000000"), Some(DAWN));
}

#[test]
fn tables_of_another_period_are_noticed_and_not_taken() {
    assert_eq!(sessions().other_period("sessions_p0086400_001800057600"), Some(secs(86_400)));
    for name in [
        "sessions_p0003600_001800000000",
        "sessions_p0000000_001800000000",
        "sessions_p0086400_001800057601",
        "sessions_p86400_001800057600",
        "sessions-beta_p0086400_001800057600",
        "sessions",
    ] {
        assert_eq!(sessions().other_period(name), None, "{name}");
    }
}

#[test]
fn bases_that_no_table_can_have_are_refused() {
    let refusal = |base: &str| Names::new(base, &hourly()).err();
    assert_eq!(refusal(""), Some(NameError::Empty));
    for base in ["a b", "a/b", "ä", "a:b", "a\n"] {
        assert_eq!(refusal(base), Some(NameError::Characters), "{base:?}");
    }
    assert_eq!(refusal(&"a".repeat(233)), None);
    assert_eq!(refusal(&"a".repeat(234)), Some(NameError::TooLong));
    assert_eq!(NameError::TooLong.to_string(), "the base of the tables' names has more than 233 characters");
}

fn schedules() -> impl Strategy<Value = Schedule> {
    (60_u64..=30 * 86_400)
        .prop_map(|period| Schedule::new(Rules::new(secs(period), HOUR.min(secs(period)))).unwrap())
}

proptest! {
    #[test]
    fn every_generation_has_a_name_that_leads_back_to_it(
        schedule in schedules(), base in "[a-zA-Z0-9_.-]{1,233}", millis in 0..=Timestamp::MAX.as_millis(),
    ) {
        let names = Names::new(&base, &schedule).unwrap();
        let generation = schedule.generation(Timestamp::from_millis(millis));
        let name = names.name(generation);
        assert_eq!(names.generation(&name), Some(generation));
        assert!((3..=255).contains(&name.len()));
        assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte)));
        assert_eq!(name.len(), base.len() + 22);
    }

    #[test]
    fn a_name_that_is_ours_is_the_name_of_its_generation(
        schedule in schedules(), name in "sessions_p[0-9]{7}_[0-9]{11,13}", exact in any::<bool>(), begin in 0_u64..4_000_000,
    ) {
        let period = schedule.rules().period.as_secs();
        let name = if exact { format!("sessions_p{period:07}_{:012}", begin * 17) } else { name };
        let names = Names::new("sessions", &schedule).unwrap();
        if let Some(generation) = names.generation(&name) {
            assert_eq!(names.name(generation), name);
            assert_eq!(names.other_period(&name), None);
        }
    }

    #[test]
    fn names_sort_by_time(schedule in schedules(), left in 0_u64..50_000, right in 0_u64..50_000) {
        let names = Names::new("s", &schedule).unwrap();
        let [earlier, later] = [left, right].map(Generation::new);
        assert_eq!(names.name(earlier).cmp(&names.name(later)), left.cmp(&right));
    }

    #[test]
    fn two_bases_or_two_periods_never_share_a_table(
        one in schedules(), other in schedules(), left in "[a-z_p0-9-]{1,30}", right in "[a-z_p0-9-]{1,30}",
        generation in 0_u64..10_000,
    ) {
        let ours = Names::new(&left, &one).unwrap();
        let theirs = Names::new(&right, &other).unwrap();
        let is_same = left == right && one.rules().period == other.rules().period;
        let name = theirs.name(Generation::new(generation));
        assert_eq!(ours.generation(&name).is_some(), is_same);
    }
}
