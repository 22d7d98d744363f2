//! What a keeper does with a store that does not work.

use std::sync::Arc;
use std::time::Duration;

use holdover_api::{Clock, ErrorKind, Stopwatch, pause};
use holdover_rotation::{Attempt, Created, Generation, Report};
use tokio::sync::oneshot;

use super::control::{Call, Server, Trouble, names};
use super::{DAWN, HOUR, dawn, hourly, secs};

fn attempts(report: &Report) -> Vec<Attempt> {
    report.failures.iter().map(|failure| failure.attempt).collect()
}

#[tokio::test]
async fn a_create_that_fails_is_reported_and_tried_again() {
    let server = Server::new();
    let keeper = server.keeper();
    server.trouble(Call::Create, Trouble::Refused);
    let report = keeper.tick().await;
    assert_eq!((attempts(&report), report.created), (vec![Attempt::Create(DAWN)], None));
    server.heal();
    assert_eq!(keeper.tick().await.created, Some((DAWN, Created::Begun)));
}

#[tokio::test]
async fn creates_that_are_refused_for_periods_leave_the_last_table_in_use_and_everything_in_place() {
    let server = Server::new();
    let keeper = server.keeper();
    keeper.tick().await;
    server.trouble(Call::Create, Trouble::Refused);
    for _ in 0..3 {
        server.clock.advance(HOUR);
        let report = keeper.tick().await;
        assert_eq!((report.tables, report.dropped.len(), report.is_well()), (Some(1), 0, false));
        let view = hourly().view(server.clock.now(), &keeper.tables()).unwrap();
        assert_eq!((view.write, view.read), (Some(DAWN), vec![DAWN]));
    }
    server.heal();
    let present = Generation::new(DAWN.number() + 3);
    assert_eq!(keeper.tick().await.created, Some((present, Created::Begun)));
    let late = server.clock.now();
    server.clock.advance(HOUR + secs(300 + 4 + 9));
    assert_eq!(keeper.tick().await.dropped.len(), 0, "sessions were written late into the old table");
    server.clock.set(late + HOUR + secs(300 + 4 + 10 + 1));
    assert_eq!(keeper.tick().await.dropped.len(), 1);
}

#[tokio::test]
async fn while_the_list_is_refused_tables_are_looked_at_by_name() {
    let server = Server::new();
    let (keeper, other) = (server.keeper(), server.keeper());
    keeper.tick().await;
    other.tick().await;
    server.trouble(Call::List, Trouble::Refused);
    server.clock.set(dawn() + HOUR - secs(300));
    let report = keeper.tick().await;
    assert_eq!((report.by_name, attempts(&report)), (true, vec![Attempt::List]));
    assert_eq!(report.created, Some((DAWN.next(), Created::Begun)));
    let seen = other.refresh().await.unwrap();
    assert_eq!(seen.newest().map(|table| table.generation), Some(DAWN.next()), "what another node created");
}

#[tokio::test]
async fn a_node_that_never_saw_the_list_does_not_guess() {
    let server = Server::new();
    server.keeper().tick().await;
    server.trouble(Call::List, Trouble::Refused);
    let keeper = server.keeper();
    let report = keeper.tick().await;
    assert_eq!((report.tables, attempts(&report)), (None, vec![Attempt::List]));
    assert_eq!(keeper.refresh().await.unwrap_err().kind(), ErrorKind::Denied);
    assert!(hourly().view(server.clock.now(), &keeper.tables()).is_err());
}

#[tokio::test]
async fn a_node_that_saw_the_list_long_ago_does_not_guess_either() {
    let server = Server::new();
    let keeper = server.keeper();
    keeper.tick().await;
    server.trouble(Call::List, Trouble::Refused);
    server.clock.advance(HOUR * 40);
    let report = keeper.tick().await;
    assert_eq!((report.tables, attempts(&report)), (None, vec![Attempt::List]));
}

#[tokio::test]
async fn what_was_known_stays_known_when_looking_fails() {
    let server = Server::new();
    let keeper = server.keeper();
    keeper.tick().await;
    keeper.refresh().await.unwrap();
    let before = keeper.tables();
    server.trouble(Call::List, Trouble::Refused);
    server.trouble(Call::Describe, Trouble::Refused);
    let report = keeper.tick().await;
    assert_eq!(attempts(&report), [Attempt::List, Attempt::Describe]);
    assert_eq!(keeper.tables(), before);
    assert!(hourly().view(server.clock.now() + secs(1_000), &keeper.tables()).is_ok(), "nothing is missing");
}

#[tokio::test]
async fn a_clock_that_cannot_be_compared_stops_the_keeping_and_not_the_looking() {
    let server = Server::new();
    server.trouble(Call::Time, Trouble::Refused);
    let report = server.keeper().tick().await;
    assert_eq!((attempts(&report), report.tables, report.created), (vec![Attempt::Time], Some(0), None));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_never_answers_is_not_waited_for() {
    let server = Server::new();
    server.trouble(Call::List, Trouble::Silent);
    let begun = Stopwatch::start();
    let error = server.keeper().refresh().await.unwrap_err();
    assert_eq!(error.to_string(), "the store did not answer within 10 s (unavailable)");
    assert!(begun.elapsed() < secs(11), "in the runtime's time, which is paused");
}

/// Runs a keeper for so long in the runtime's paused time, and counts its looks.
async fn looks_in(server: &Arc<Server>, time: Duration) -> usize {
    let keeper = server.keeper();
    let before = server.count(Call::List);
    keeper.run(pause(time), |_| ()).await;
    server.count(Call::List) - before
}

#[tokio::test(start_paused = true)]
async fn it_looks_often_enough_for_what_is_known_to_stay_fresh() {
    let server = Server::new();
    server.keeper().tick().await;
    // Refresh is 30 s: a pause is between 7.5 and 15 s.
    let looks = looks_in(&server, secs(600)).await;
    assert!((40..=81).contains(&looks), "{looks}");
}

#[tokio::test(start_paused = true)]
async fn while_a_table_is_being_created_it_looks_every_second() {
    let server = Server::new();
    server.with(|store| store.slow = HOUR);
    let looks = looks_in(&server, secs(100)).await;
    assert!((100..=201).contains(&looks), "{looks}");
}

#[tokio::test(start_paused = true)]
async fn failures_bring_it_back_soon_and_then_less_and_less_often() {
    let server = Server::new();
    server.trouble(Call::Create, Trouble::Refused);
    // At most 0.5 + 1 + 2 + 4 + 8 s for the first five pauses, and 15 s for each later one.
    let soon = looks_in(&server, Duration::from_millis(15_600)).await;
    assert!((6..=8).contains(&soon), "{soon}");
    let long = looks_in(&server, secs(615)).await;
    assert!((45..=90).contains(&long), "{long}");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_asks_for_time_gets_it() {
    let server = Server::new();
    server.trouble(Call::Create, Trouble::Busy(secs(50)));
    assert_eq!(looks_in(&server, secs(149)).await, 3);
    server.trouble(Call::Create, Trouble::Busy(HOUR));
    assert_eq!(looks_in(&server, secs(119)).await, 2, "and no more than a minute of it");
}

#[tokio::test]
async fn it_ends_when_it_is_told_to_and_shows_every_report() {
    let server = Server::new();
    let keeper = Arc::new(server.keeper());
    let (stop, stopped) = oneshot::channel::<()>();
    let mut stop = Some(stop);
    let mut reports = 0;
    let until = async move {
        let _told = stopped.await;
    };
    let watch = |report: &Report| {
        reports += 1;
        assert!(report.is_well());
        if let Some(stop) = stop.take() {
            stop.send(()).unwrap();
        }
    };
    keeper.run(until, watch).await;
    assert_eq!((reports, server.names()), (1, vec![names().name(DAWN)]));
}
