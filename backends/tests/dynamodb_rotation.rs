//! Tables that follow each other, on the embedded DynamoDB: by a clock that is moved by hand, and by short periods of real
//! time with several nodes.

#[path = "dynamodb_rotation/real.rs"]
mod real;
#[allow(dead_code, reason = "the specification is one table's")]
mod support;

use std::sync::Arc;
use std::time::Duration;

use holdover_api::{
    Clock, Deadline, Effect, ErrorKind, Freshness, InstallAnswer, Loaded, ManualClock, On, SaveAnswer,
    SessionStore, SessionStoreExt, Stored, SystemClock, Timestamp, Write,
};
use holdover_backends::dynamodb::{Census, Consumed, DynamoDb};
use holdover_rotation::{Created, Dropped, Keeper};

use crate::support::{key, stamp, write};

const HOUR: Duration = Duration::from_secs(3600);
const LEASE: Duration = Duration::from_secs(1800);

/// A store on tables of an hour each, in the middle of a period, and the hand on its clock.
struct Stage {
    store: Arc<DynamoDb>,
    keeper: Arc<Keeper>,
    clock: Arc<ManualClock>,
}

impl Stage {
    async fn set() -> Self {
        // Not before the system's time, by which the database says when a table was made.
        let hours = SystemClock.now().as_millis() / 3_600_000 + 1;
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(hours * 3_600_000 + 1_800_000)));
        let url = "dynamodb://local/sessions?expiry=rotation&period=1h&max_lease=30m&keeper=off";
        let store = DynamoDb::connect_with_clock(url, Arc::clone(&clock) as Arc<dyn Clock>).await.unwrap();
        let keeper = store.keeper().unwrap();
        Self { store, keeper, clock }
    }

    /// Moves to the same minute of the next period; the keeper comes by every minute.
    async fn next_period(&self) {
        for _ in 0..60 {
            self.clock.advance(Duration::from_secs(60));
            let report = self.keeper.tick().await;
            assert!(report.is_well(), "{report:?}");
        }
    }

    /// A write that keeps the session for as long as the tables allow.
    fn write(&self, on: On, name: &str, number: u8) -> Write {
        Write { deadline: Deadline::AtLeast(self.clock.now() + LEASE), ..write(on, name, number) }
    }

    fn create(&self, number: u8) -> Write {
        self.write(On::Absent { created: self.clock.now() }, "a", number)
    }

    /// To just before the boundary, and over it: a session that was written then is live on both sides.
    fn to_the_end_of_the_period(&self) {
        self.clock.advance(HOUR / 2 - Duration::from_secs(60));
    }

    async fn over_the_boundary(&self) {
        for _ in 0..2 {
            self.keeper.tick().await;
            self.clock.advance(Duration::from_secs(60));
        }
        self.keeper.tick().await;
    }

    async fn load(&self, number: u8) -> Option<Loaded> {
        self.store.load(&key(number), Freshness::Latest).await.unwrap()
    }

    async fn saved(&self, number: u8, write: &Write) {
        let answer = self.store.save(&key(number), write).await.unwrap();
        assert!(matches!(answer, SaveAnswer::Saved { .. }), "{answer:?}");
    }
}

struct Bill<'a> {
    stage: &'a Stage,
    before: Consumed,
}

impl<'a> Bill<'a> {
    fn of(stage: &'a Stage) -> Self {
        Self { stage, before: stage.store.consumed() }
    }

    fn spent(&mut self, what: &str, requests: u64, reads: f64, writes: f64) {
        let after = self.stage.store.consumed();
        let spent = (
            after.requests - self.before.requests,
            after.read_units - self.before.read_units,
            after.write_units - self.before.write_units,
        );
        assert_eq!(spent, (requests, reads, writes), "{what}: requests, read units, write units");
        self.before = after;
    }
}

#[tokio::test]
async fn a_session_in_use_lives_through_many_periods_and_old_tables_go() {
    let stage = Stage::set().await;
    stage.saved(1, &stage.create(1)).await;
    for number in 2..=30_u8 {
        for _ in 0..20 {
            stage.clock.advance(Duration::from_secs(60));
            let report = stage.keeper.tick().await;
            assert!(report.is_well(), "{report:?}");
        }
        stage.saved(1, &stage.write(On::Live, &format!("w{number}"), number)).await;
        let record = stage.load(1).await.expect("it is in use").record;
        assert_eq!(
            (record.attributes.len(), record.lineage.writes()),
            (usize::from(number), u64::from(number))
        );
        let tables = stage.keeper.tables().iter().count();
        assert!(tables <= 4, "{tables} tables");
    }
}

#[tokio::test]
async fn a_session_that_is_not_used_ends_at_its_deadline_wherever_it_is() {
    let stage = Stage::set().await;
    stage.to_the_end_of_the_period();
    stage.saved(1, &stage.create(1)).await;
    let deadline = stage.load(1).await.unwrap().record.deadline;
    stage.over_the_boundary().await;
    assert!(stage.load(1).await.is_some(), "it is in the table before");
    stage.clock.set(deadline - Duration::from_millis(1));
    assert!(stage.load(1).await.is_some());
    stage.clock.set(deadline);
    assert!(stage.load(1).await.is_none());
    let answer = stage.store.save(&key(1), &stage.write(On::Live, "b", 2)).await.unwrap();
    assert!(matches!(answer, SaveAnswer::Gone));
}

#[tokio::test]
async fn operations_cost_what_the_readme_says() {
    let stage = Stage::set().await;
    let mut bill = Bill::of(&stage);
    stage.saved(1, &stage.create(1)).await;
    bill.spent("a create", 1, 0.0, 1.0);
    let loaded = stage.load(1).await;
    bill.spent("a load from the present table", 1, 1.0, 0.0);
    let merge = Write { base: loaded, ..stage.write(On::Live, "b", 2) };
    stage.saved(1, &merge).await;
    bill.spent("a save in the present table", 1, 0.0, 1.0);
    stage.clock.advance(Duration::from_secs(1));
    assert!(stage.store.touch(&key(1), stage.clock.now() + LEASE).await.unwrap());
    bill.spent("a touch in the present table", 1, 0.0, 1.0);

    stage.to_the_end_of_the_period();
    stage.saved(1, &stage.write(On::Live, "b", 3)).await;
    stage.saved(2, &stage.create(12)).await;
    stage.over_the_boundary().await;
    bill.before = stage.store.consumed();
    let loaded = stage.load(1).await;
    bill.spent("a load of what is in the table before", 2, 2.0, 0.0);
    let merge = Write { base: loaded, ..stage.write(On::Live, "b", 4) };
    stage.saved(1, &merge).await;
    bill.spent("the first save after a boundary, of what was loaded: a seal and a put", 2, 0.0, 2.0);
    stage.load(1).await;
    bill.spent("a load of what was carried on", 1, 1.0, 0.0);
    assert!(stage.store.touch(&key(2), stage.clock.now() + LEASE).await.unwrap());
    bill.spent("the first touch after a boundary: refused, two reads, a seal and a put", 5, 2.0, 2.0);
    stage.store.delete(&key(1)).await.unwrap();
    bill.spent("a logout", 1, 0.0, 1.0);
    assert!(stage.load(9).await.is_none());
    bill.spent("a load of nothing, shortly after a boundary", 2, 2.0, 0.0);
}

#[tokio::test]
async fn a_logout_in_the_old_table_stays_one_in_the_new() {
    let stage = Stage::set().await;
    stage.to_the_end_of_the_period();
    stage.saved(1, &stage.create(1)).await;
    let loaded = stage.load(1).await;
    stage.over_the_boundary().await;
    stage.store.delete(&key(1)).await.unwrap();
    assert!(stage.load(1).await.is_none());
    let late = Write { base: loaded, ..stage.write(On::Live, "late", 2) };
    assert!(matches!(stage.store.save(&key(1), &late).await.unwrap(), SaveAnswer::Gone));
    assert!(!stage.store.touch(&key(1), stage.clock.now() + LEASE).await.unwrap());
    assert!(matches!(stage.store.save(&key(1), &stage.create(3)).await.unwrap(), SaveAnswer::Gone));
    assert!(matches!(stage.store.inspect(&key(1)).await.unwrap(), Some(Stored::Tombstone(_))));
}

#[tokio::test]
async fn a_write_that_is_repeated_after_its_session_was_carried_on_has_no_second_effect() {
    let stage = Stage::set().await;
    stage.to_the_end_of_the_period();
    stage.saved(1, &stage.create(1)).await;
    let write = stage.write(On::Live, "n", 2);
    stage.saved(1, &write).await;
    stage.over_the_boundary().await;
    stage.saved(1, &stage.write(On::Live, "m", 3)).await;
    let answer = stage.store.save(&key(1), &write).await.unwrap();
    assert!(matches!(answer, SaveAnswer::Saved { previous } if previous == Some(stamp(1))), "{answer:?}");
    assert_eq!(stage.load(1).await.unwrap().record.lineage.writes(), 3);
    let on_head = stage.write(On::Head(stamp(2)), "n", 4);
    assert!(matches!(stage.store.save(&key(1), &on_head).await.unwrap(), SaveAnswer::Conflict { .. }));
    stage.saved(1, &stage.write(On::Head(stamp(3)), "n", 5)).await;
}

#[tokio::test]
async fn deltas_that_no_expression_holds_are_carried_on_as_well() {
    let stage = Stage::set().await;
    stage.to_the_end_of_the_period();
    stage.saved(1, &stage.create(1)).await;
    stage.over_the_boundary().await;
    let mut many = stage.write(On::Live, "b", 2);
    for number in 0..200 {
        many.delta.set(format!("attribute-{number}"), vec![1; 4]);
    }
    stage.saved(1, &many).await;
    let mut cleared = stage.write(On::Live, "b", 3);
    cleared.delta.clear();
    assert_eq!(stage.load(1).await.unwrap().record.attributes.len(), 202);
    stage.saved(1, &cleared).await;
    assert_eq!(stage.load(1).await.unwrap().record.attributes.len(), 0);
}

#[tokio::test]
async fn an_installation_after_a_boundary_is_exact() {
    let stage = Stage::set().await;
    stage.to_the_end_of_the_period();
    stage.saved(1, &stage.create(1)).await;
    stage.over_the_boundary().await;
    let stored = stage.store.inspect(&key(1)).await.unwrap().unwrap();
    let answer = stage.store.install(&key(1), None, &stored).await.unwrap();
    assert!(matches!(answer, InstallAnswer::Installed), "the same is there already: {answer:?}");
    let store: Arc<dyn SessionStore> = Arc::clone(&stage.store) as _;
    let loaded = stage.load(1).await.unwrap();
    assert!(matches!(store.bury(&key(1), &loaded, stamp(2)).await.unwrap(), InstallAnswer::Installed));
    assert!(stage.load(1).await.is_none());
}

#[tokio::test]
async fn a_lease_that_is_longer_than_the_tables_are_kept_is_refused() {
    let stage = Stage::set().await;
    let deadline = stage.clock.now() + LEASE + Duration::from_millis(1);
    let long = Write { deadline: Deadline::AtLeast(deadline), ..stage.create(1) };
    let error = stage.store.save(&key(1), &long).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Misconfigured, Effect::None), "{error}");
    assert!(error.message().contains("max_lease"), "{error}");
    stage.saved(1, &stage.create(1)).await;
    let error = stage.store.touch(&key(1), deadline).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Misconfigured, Effect::None), "{error}");
}

#[tokio::test]
async fn tables_come_before_their_time_and_go_after_the_last_lease() {
    let stage = Stage::set().await;
    let (mut created, mut dropped) = (0, 0);
    for _ in 0..5 * 60 {
        stage.clock.advance(Duration::from_secs(60));
        let report = stage.keeper.tick().await;
        assert!(report.is_well(), "{report:?}");
        created += usize::from(matches!(report.created, Some((_, Created::Begun))));
        dropped += report.dropped.iter().filter(|(_, how)| *how == Dropped::Begun).count();
        let present = stage.keeper.schedule().generation(stage.clock.now());
        assert!(stage.keeper.tables().get(present).is_some(), "the present table is there before its time");
    }
    assert_eq!((created, dropped), (5, 4));
    stage.next_period().await;
}

#[tokio::test]
async fn a_census_says_which_table_holds_what() {
    let stage = Stage::set().await;
    stage.to_the_end_of_the_period();
    for number in 1..=4 {
        stage.saved(number, &stage.create(number)).await;
    }
    stage.over_the_boundary().await;
    stage.saved(1, &stage.write(On::Live, "b", 11)).await;
    stage.store.delete(&key(2)).await.unwrap();
    let count = |census: &Census| (census.live, census.carried_on, census.logged_out, census.ended);
    let tables = stage.store.census().await.unwrap();
    assert_eq!(tables.iter().map(count).collect::<Vec<_>>(), [(2, 1, 1, 0), (1, 0, 0, 0)], "{tables:?}");
    assert!(tables[0].table < tables[1].table && tables[0].known.is_some());
    stage.clock.advance(LEASE);
    let tables = stage.store.census().await.unwrap();
    assert_eq!(tables.iter().map(count).collect::<Vec<_>>(), [(0, 0, 0, 4), (0, 0, 0, 1)], "{tables:?}");
}

#[tokio::test]
async fn a_missing_keeper_costs_no_session_and_is_no_reason_to_stop() {
    let stage = Stage::set().await;
    stage.saved(1, &stage.create(1)).await;
    for number in 2..10 {
        stage.clock.advance(Duration::from_secs(1700));
        stage.saved(1, &stage.write(On::Live, "n", number)).await;
    }
    assert_eq!(stage.load(1).await.unwrap().record.lineage.writes(), 9);
}

#[tokio::test]
async fn without_tables_the_url_says_what_to_do() {
    let url = "dynamodb://local/sessions?expiry=rotation&period=1h&keeper=off&create=false";
    let error = DynamoDb::connect_with_clock(url, Arc::new(SystemClock)).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Misconfigured, Effect::None), "{error}");
    assert!(error.message().contains("keeper=on"), "{error}");
    for (url, expected) in [
        ("dynamodb://local/sessions?expiry=rotation&keeper=off", "period"),
        ("dynamodb://local/sessions?expiry=rotation&period=1h", "keeper"),
        ("dynamodb://local/sessions?expiry=rotation&period=1s&keeper=off", "period"),
        ("dynamodb://local/sessions?expiry=ttl&period=1h", "belongs to expiry=rotation"),
        ("dynamodb://local/sessions?expiry=rotation&period=1h&max_lease=99d&keeper=off", "tables"),
    ] {
        let error = holdover_backends::connect(url).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Misconfigured, "{url}: {error}");
        assert!(error.message().contains(expected), "{url}: {error}");
    }
}
