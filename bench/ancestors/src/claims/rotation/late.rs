//! M5: a table that comes late. A minute of the original is a second here.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use holdover_conformance::servers::Server;
use holdover_rotation::Rules;
use tokio::task::JoinSet;

use super::users::{Seen, User, all_seen};
use super::{Apart, SYSTEMS, Terms, nodes, server};
use crate::dsm::Times;
use crate::job::{Failure, Job, Manager, Work};
use crate::lab::System;

const SCALE: u32 = 60;
const PERIOD: Duration = Duration::from_secs(40);
const IDLE: Duration = Duration::from_secs(20);
/// Ours asks for a table so long before its period, or less by up to a quarter.
const LEAD: Duration = Duration::from_secs(10);
const USERS: usize = 12;
const PAUSE: Duration = Duration::from_millis(100);
/// How long a table takes, in milliseconds: half a minute to twelve minutes of the original.
const TAKES: [u64; 6] = [500, 1_500, 2_500, 4_000, 7_000, 12_000];

/// Both by their defaults for tables of forty minutes, a sixtieth of them; but for the skew that ours allows for, which the
/// server's way of telling the time would not bear.
fn terms() -> Terms {
    let minutes = PERIOD * SCALE;
    let rules = Rules::new(minutes, (IDLE + Duration::from_secs(1)) * SCALE);
    let shorter = |time: Duration| time / SCALE;
    Terms {
        idle: IDLE,
        theirs: Times::original(minutes).shorter(SCALE),
        ours: Rules {
            period: PERIOD,
            max_lease: shorter(rules.max_lease),
            max_skew: Duration::from_millis(250),
            refresh: shorter(rules.refresh),
            lead: LEAD.min(shorter(rules.lead)),
            settle: shorter(rules.settle),
            grace: Duration::from_secs(1),
        },
    }
}

/// Until the first table serves.
async fn serves(node: &dyn Manager) {
    while node.request(None, Job::of(Work::Set("user", 0))).await.is_err() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// One boundary whose table takes so long from being asked for to being ready.
async fn late(system: System, takes: Duration) -> Result<Seen, Failure> {
    let terms = terms();
    let server = Server::start(&server(takes)).await?;
    // The first table is there, and has been noticed, before ours asks for the second.
    terms.until_phase(PERIOD - LEAD - takes - Duration::from_secs(4)).await;
    let nodes = nodes(system, &server, Apart::default(), terms).await?;
    serves(nodes[0].as_ref()).await;
    let over = Arc::new(AtomicBool::default());
    let mut users = JoinSet::new();
    for _ in 0..USERS {
        let (nodes, over) = (nodes.clone(), Arc::clone(&over));
        users.spawn(User { nodes, over, pause: PAUSE, found_within: IDLE * 9 / 10 }.counts());
    }
    terms.until_phase(Duration::ZERO).await;
    tokio::time::sleep(takes + Duration::from_secs(4)).await;
    all_seen(&over, users).await
}

pub(crate) async fn run() -> Result<(), Failure> {
    println!(
        "\nM5: one boundary, whose table takes so long to come; {USERS} users, a request every {PAUSE:?}, on three nodes. Times are\n\
         the original's, of which a minute is a second here. The ancestor asks a minute ahead and waits for two at most, ours\n\
         asks seven and a half to ten ahead. Predicted: nothing up to three minutes; beyond that the ancestor fails from two\n\
         minutes past the boundary until the table is there, to read and to write; ours beyond seven and a half, to write\n"
    );
    println!(
        "| a table takes | | requests | failed to write | failed to read | for | increments lost | logged out |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for takes in TAKES.map(Duration::from_millis) {
        let [theirs, ours] = SYSTEMS.map(|system| late(system, takes));
        let (theirs, ours) = tokio::join!(theirs, ours);
        for (system, seen) in SYSTEMS.into_iter().zip([theirs?, ours?]) {
            println!(
                "| {:.1} min | {} | {} | {} | {} | {:.1} min | {} of {} | {} |",
                takes.as_secs_f64(),
                system.name(),
                seen.requests,
                seen.failed_writes,
                seen.failed_reads,
                seen.failed_for().as_secs_f64(),
                seen.lost,
                seen.counted,
                seen.logged_out
            );
        }
    }
    Ok(())
}
