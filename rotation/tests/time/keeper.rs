//! What a keeper does with a store that works.

use std::sync::Arc;
use std::time::Duration;

use holdover_api::{Clock, ManualClock};
use holdover_rotation::{Created, Dropped, Generation, Held, Keeper, Names, Rules, Schedule, TableState};
use tokio::sync::Semaphore;

use super::control::{Call, Server, names};
use super::{DAWN, HOUR, dawn, hourly, secs};

fn past(age: u64) -> Generation {
    Generation::new(DAWN.number() - age)
}

/// A server that has these tables of ours, each created in good time.
fn server_with(generations: &[Generation]) -> Arc<Server> {
    let server = Server::new();
    for generation in generations {
        let created = hourly().begins(*generation) - secs(500);
        server.with(|store| store.tables.insert(names().name(*generation), created));
    }
    server
}

#[tokio::test]
async fn the_first_tick_creates_the_present_table_and_the_next_one_leaves_it_alone() {
    let server = Server::new();
    let keeper = server.keeper();
    let first = keeper.tick().await;
    assert_eq!((first.tables, first.created), (Some(0), Some((DAWN, Created::Begun))));
    let second = keeper.tick().await;
    assert_eq!((second.tables, second.created, second.is_well()), (Some(1), None, true));
    assert_eq!(server.names(), [names().name(DAWN)]);
    let now = server.clock.now();
    assert_eq!(hourly().view(now, &keeper.tables()).unwrap().write, Some(DAWN));
}

#[tokio::test]
async fn five_nodes_at_once_make_one_table_and_no_failure() {
    let mut server = Server::default();
    server.gate = Some(Semaphore::new(0));
    let server = Arc::new(server);
    let keepers: Vec<Keeper> = (0..5).map(|_| server.keeper()).collect();
    // All of them see nothing before any of them gets on.
    let open = async {
        while server.count(Call::List) < 5 {
            tokio::task::yield_now().await;
        }
        server.gate.as_ref().unwrap().add_permits(5);
    };
    let [a, b, c, d, e] = keepers.iter().map(Keeper::tick).collect::<Vec<_>>().try_into().ok().unwrap();
    let (a, b, c, d, e, ()) = tokio::join!(a, b, c, d, e, open);
    let created = [a, b, c, d, e].map(|report| {
        assert!(report.is_well());
        report.created.unwrap().1
    });
    assert_eq!(created.iter().filter(|created| **created == Created::Begun).count(), 1);
    assert_eq!(server.names(), [names().name(DAWN)]);
}

#[tokio::test]
async fn old_tables_are_dropped_and_those_of_others_are_not() {
    let server = server_with(&[past(4), past(3), past(2), past(1), DAWN]);
    let foreign = [
        "sessions",
        "sessions-beta_p0003600_001799982000",
        "sessions_20260101_000000x",
        "sessions_p0003600_00179998200",
        "sessions_p0003600_001799982001",
        "sessions_p0086400_001799971200",
    ];
    for name in foreign {
        server.with(|store| store.tables.insert(name.to_owned(), dawn() - HOUR * 9));
    }
    let report = server.keeper().tick().await;
    assert_eq!(report.dropped, [(past(4), Dropped::Begun), (past(3), Dropped::Begun)]);
    assert_eq!(report.of_other_periods, 1);
    let mut left: Vec<String> = foreign.map(str::to_owned).to_vec();
    left.extend([past(2), past(1), DAWN].map(|generation| names().name(generation)));
    left.sort();
    assert_eq!(server.names(), left);
}

#[tokio::test]
async fn more_than_a_page_of_tables_hides_none_of_ours() {
    let server = server_with(&[past(1), DAWN]);
    for number in 0..250 {
        let [before, behind] = [format!("a-{number:03}"), format!("z-{number:03}")];
        server.with(|store| store.tables.extend([before, behind].map(|name| (name, dawn()))));
    }
    let report = server.keeper().tick().await;
    assert_eq!((report.tables, report.created, report.dropped.len()), (Some(2), None, 0));
    assert_eq!(server.count(Call::List), 6);
    assert_eq!(server.count(Call::Describe), 2);
    assert_eq!(server.names().len(), 502);
}

#[tokio::test]
async fn a_node_whose_clock_is_off_does_nothing_and_says_so() {
    let server = server_with(&[past(1), DAWN]);
    let after_a_period = Arc::new(ManualClock::at(server.clock.now() + HOUR));
    let before = Arc::new(ManualClock::at(server.clock.now() - HOUR * 3));
    for clock in [after_a_period, before] {
        let report = server.keeper_with(clock).tick().await;
        assert_eq!(report.held, Some(Held::ClockOff));
        assert_eq!((report.tables, report.created, report.dropped.len()), (Some(2), None, 0));
        assert!(!report.is_well());
    }
    assert_eq!(server.names().len(), 2);
    assert_eq!(server.count(Call::Create) + server.count(Call::Drop), 0);
}

#[tokio::test]
async fn a_server_that_tells_no_time_has_its_tables_left_alone() {
    let server = server_with(&[past(9), past(8)]);
    server.with(|store| store.tells_no_time = true);
    let report = server.keeper().tick().await;
    assert_eq!((report.held, report.offset), (Some(Held::ClockUnknown), None));
    assert_eq!((server.count(Call::Create), server.count(Call::Drop)), (0, 0));
}

#[tokio::test]
async fn a_table_far_ahead_is_reported_and_nothing_is_created_below_it() {
    let far = Generation::new(DAWN.number() + 4);
    let server = server_with(&[past(1), far]);
    let report = server.keeper().tick().await;
    assert_eq!((report.held, report.created), (Some(Held::TableAhead), None));
}

#[tokio::test]
async fn a_table_that_is_listed_before_it_can_be_described_counts_as_being_created() {
    let server = server_with(&[past(1), DAWN]);
    server.with(|store| store.undescribed.push(names().name(DAWN)));
    let keeper = server.keeper();
    let report = keeper.tick().await;
    assert_eq!((report.created, report.tables), (None, Some(2)));
    let table = keeper.tables().get(DAWN).unwrap();
    assert_eq!((table.state, table.created), (TableState::Creating, server.clock.now()));
}

#[tokio::test]
async fn a_look_is_shared_only_with_those_who_came_before_it_began() {
    let mut server = Server::default();
    server.gate = Some(Semaphore::new(0));
    let server = Arc::new(server);
    let keeper = Arc::new(server.keeper());
    let refresh = || {
        let keeper = Arc::clone(&keeper);
        tokio::spawn(async move { keeper.refresh().await.unwrap().as_of() })
    };
    let first = refresh();
    while server.count(Call::List) < 1 {
        tokio::task::yield_now().await;
    }
    // They come while the first one looks, and what it sees may be too old for them.
    let later = [refresh(), refresh(), refresh()];
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    server.clock.advance(secs(1));
    server.gate.as_ref().unwrap().add_permits(9);
    let first = first.await.unwrap();
    for look in later {
        assert_eq!(look.await.unwrap(), first + secs(1));
    }
    assert_eq!(server.count(Call::List), 2);
}

#[tokio::test]
async fn several_days_with_nodes_that_sleep_restart_and_disagree_keep_few_tables_and_lose_none() {
    let server = Server::new();
    server.with(|store| store.slow = secs(60));
    let clocks = [-1_900_i64, 0, 1_900].map(|ahead| {
        let by = Duration::from_millis(ahead.unsigned_abs());
        let now = server.clock.now();
        Arc::new(ManualClock::at(if ahead < 0 { now - by } else { now + by }))
    });
    let mut keepers = clocks.each_ref().map(|clock| server.keeper_with(Arc::clone(clock)));
    for round in 0..72 * 60_u32 {
        for (node, keeper) in keepers.iter_mut().enumerate() {
            let is_asleep = node == 0 && (round / 130) % 2 == 1;
            if is_asleep {
                continue;
            }
            if round % 101 == 0 {
                *keeper = server.keeper_with(Arc::clone(&clocks[node]));
            }
            let report = keeper.tick().await;
            assert!(report.is_well(), "{report:?}");
            let now = clocks[node].now();
            let view = hourly().view(now, &keeper.tables()).unwrap();
            let present = hourly().generation(now);
            assert!(view.write == Some(present) || round < 3, "round {round}: {view:?}");
            assert!(view.read.contains(&present.previous().unwrap()) || round < 60);
        }
        assert!(server.names().len() <= 4, "{:?}", server.names());
        server.clock.advance(secs(60));
        clocks.iter().for_each(|clock| clock.advance(secs(60)));
    }
}

#[tokio::test]
async fn a_keeper_names_what_it_keeps() {
    let server = Server::new();
    let schedule = Schedule::new(Rules::new(secs(60), secs(30))).unwrap();
    let minutely = Names::new("m", &schedule).unwrap();
    let control: Arc<Server> = Arc::clone(&server);
    let clock: Arc<ManualClock> = Arc::clone(&server.clock);
    let keeper = Keeper::new(schedule, minutely, control, clock);
    keeper.tick().await;
    assert_eq!(server.names(), ["m_p0000060_001800000000"]);
    assert_eq!((keeper.names().prefix(), keeper.schedule().rules().period), ("m_p0000060_", secs(60)));
}
