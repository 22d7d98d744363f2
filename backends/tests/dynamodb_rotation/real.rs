//! Short periods of real time, several nodes, tables that take their time.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use holdover_api::{
    Clock, Deadline, ErrorKind, Freshness, ManualClock, On, SaveAnswer, SessionStore, Stamp, SystemClock,
    Timestamp, Write, pause, within,
};
use holdover_backends::dynamodb::DynamoDb;
use holdover_conformance::servers::{self, Recipe, Server};
use holdover_rotation::{Rules, Schedule};

use crate::support::{key, write};

const PERIOD: Duration = Duration::from_secs(4);
const LEASE: Duration = Duration::from_secs(2);
const CROSSINGS: u64 = 5;

fn schedule() -> Schedule {
    let rules = Rules {
        max_skew: Duration::from_millis(250),
        refresh: Duration::from_millis(300),
        lead: Duration::from_millis(2500),
        settle: Duration::from_millis(1200),
        grace: Duration::from_secs(1),
        ..Rules::new(PERIOD, LEASE)
    };
    Schedule::for_exams(rules).unwrap()
}

/// A clock that is off by so much.
#[derive(Debug)]
struct Skewed {
    ahead: Duration,
    behind: Duration,
}

impl Clock for Skewed {
    fn now(&self) -> Timestamp {
        SystemClock.now() + self.ahead - self.behind
    }
}

fn skewed(ahead: u64, behind: u64) -> Arc<dyn Clock> {
    Arc::new(Skewed { ahead: Duration::from_millis(ahead), behind: Duration::from_millis(behind) })
}

async fn node(url: &str, clock: Arc<dyn Clock>) -> Arc<DynamoDb> {
    DynamoDb::connect_by(url, clock, schedule()).await.unwrap()
}

fn url(server: &Server) -> String {
    let own = server.url().replace("expiry=none", "expiry=rotation&period=1h&keeper=off");
    format!("{own}&connect_timeout=2s&response_timeout=4s")
}

/// Every write that was acknowledged is there, on every node, over and over the boundaries.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_over_the_boundaries_by_nodes_whose_clocks_differ() {
    let slow = Recipe { more_arguments: vec!["--createTableMs 300".to_owned()], ..servers::dynamodb() };
    let server = Server::start(&slow).await.unwrap();
    let url = url(&server);
    let nodes =
        [node(&url, skewed(0, 0)).await, node(&url, skewed(80, 0)).await, node(&url, skewed(0, 80)).await];
    let keepers: Vec<_> = nodes
        .iter()
        .filter_map(|node| node.keeper())
        .map(|keeper| tokio::spawn(async move { keeper.run(pending(), |_| {}).await }))
        .collect();
    let ended = Arc::new(AtomicBool::new(false));
    let mut users = Vec::new();
    for user in 1..=4_u8 {
        users.push(tokio::spawn(use_a_session(user, nodes.clone(), Arc::clone(&ended))));
    }
    let first = schedule().generation(SystemClock.now());
    while schedule().generation(SystemClock.now()).number() < first.number() + CROSSINGS {
        pause(Duration::from_millis(20)).await;
    }
    ended.store(true, Ordering::Release);
    let mut writes = 0;
    for user in users {
        writes += user.await.unwrap();
    }
    println!("{writes} writes over {CROSSINGS} boundaries");
    for keeper in keepers {
        keeper.abort();
    }
    let names = nodes[0].keeper().unwrap().refresh().await.unwrap().iter().count();
    assert!(names <= 6, "{names} tables are left");
}

/// One user, whose requests go to one node after the other: each sees all that was acknowledged before.
async fn use_a_session(user: u8, nodes: [Arc<DynamoDb>; 3], ended: Arc<AtomicBool>) -> u64 {
    let key = key(user);
    let deadline = || Deadline::AtLeast(SystemClock.now() + LEASE - Duration::from_millis(200));
    let on = On::Absent { created: SystemClock.now() };
    let create = Write { deadline: deadline(), ..write(on, "n", user) };
    assert!(matches!(nodes[0].save(&key, &create).await.unwrap(), SaveAnswer::Saved { .. }));
    let mut writes = 1_u64;
    while !ended.load(Ordering::Acquire) {
        let node = &nodes[usize::try_from(writes).unwrap() % nodes.len()];
        let loaded = node.load(&key, Freshness::Latest).await.unwrap();
        let loaded = loaded.unwrap_or_else(|| panic!("user {user} was logged out after {writes} writes"));
        assert_eq!(loaded.record.lineage.writes(), writes, "user {user}: a write is lost, or was made twice");
        let mut bytes = [user; 16];
        bytes[..8].copy_from_slice(&writes.to_le_bytes());
        let on = if writes.is_multiple_of(2) { On::Head(loaded.record.head()) } else { On::Live };
        let mut next =
            Write { stamp: Stamp::from_bytes(bytes), deadline: deadline(), ..write(on, "n", user) };
        next.base = Some(loaded);
        let answer = node.save(&key, &next).await.unwrap();
        assert!(matches!(answer, SaveAnswer::Saved { .. }), "user {user}: {answer:?}");
        writes += 1;
        if writes.is_multiple_of(5) {
            assert!(node.touch(&key, deadline().moment()).await.unwrap(), "user {user}: a touch");
        }
    }
    nodes[1].delete(&key).await.unwrap();
    for node in &nodes {
        assert!(node.load(&key, Freshness::Latest).await.unwrap().is_none(), "user {user} is logged out");
    }
    writes
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_others_are_left_alone_and_a_node_whose_clock_is_off_touches_none() {
    let server = Server::start(&servers::dynamodb()).await.unwrap();
    let url = url(&server);
    let theirs = url.replace("holdover-test?", "holdover-test-beta_2024?");
    let theirs = theirs.replace("expiry=rotation&period=1h&keeper=off", "expiry=none");
    holdover_backends::connect(&theirs).await.unwrap();
    let store = node(&url, Arc::new(SystemClock)).await;
    let keeper = store.keeper().unwrap();
    let refusal = store.census().await.unwrap_err();
    assert_eq!(refusal.kind(), ErrorKind::Misconfigured, "nobody scans the tables of a server: {refusal}");
    let looked = keeper.refresh().await.unwrap();
    assert!(looked.iter().count() >= 1);

    let ahead = Arc::new(ManualClock::at(SystemClock.now() + Duration::from_secs(3600)));
    let strayed = DynamoDb::connect_by(&url, Arc::clone(&ahead) as Arc<dyn Clock>, schedule());
    // It finds the table of the others, and may even use it; what it must not do is to make or drop one.
    let strayed = within(Duration::from_secs(20), strayed).await;
    if let Some(Ok(strayed)) = strayed {
        let report = strayed.keeper().unwrap().tick().await;
        assert!(report.held.is_some() && report.created.is_none() && report.dropped.is_empty(), "{report:?}");
    }
    let left = keeper.refresh().await.unwrap();
    for table in looked.iter() {
        assert!(left.get(table.generation).is_some(), "a table of the present was dropped");
    }
    holdover_backends::connect(&theirs.replace("create=true", "create=false")).await.unwrap();
}
