//! Under load over boundaries: what is lost, who is logged out, and who is alive after the logout.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use holdover_conformance::servers::Server;
use holdover_rotation::Rules;
use tokio::task::JoinSet;

use super::users::{Seen, User, all_seen};
use super::{Apart, SYSTEMS, Terms, nodes, server};
use crate::dsm::Times;
use crate::job::{Failure, random};
use crate::lab::System;

const PERIOD: Duration = Duration::from_secs(8);
const IDLE: Duration = Duration::from_secs(4);
const BOUNDARIES: u32 = 6;
/// By how much one node's clock is ahead, and another one's behind; and how long after each other they were started.
const APART: [(u64, u64); 3] = [(0, 0), (100, 0), (0, 333)];
/// So many users, with this pause between their requests: those who count, and those who log in and out all the time.
const COUNTING: [(usize, u64); 3] = [(8, 150), (8, 400), (8, 2_000)];
const LOGGING_OUT: (usize, u64) = (12, 120);
const A_TABLE_TAKES: Duration = Duration::from_millis(300);

/// The ancestor's clockwork as it was, but for the two times that have to fit into the period.
fn terms() -> Terms {
    let (headroom, limit) = (Duration::from_secs(2), Duration::from_secs(4));
    let rules = Rules::new(PERIOD, IDLE + Duration::from_secs(1));
    Terms {
        idle: IDLE,
        theirs: Times { headroom, limit, ..Times::original(PERIOD) },
        ours: Rules { max_skew: Duration::from_millis(250), ..rules },
    }
}

async fn under_load(system: System, apart: Apart) -> Result<Seen, Failure> {
    let terms = terms();
    let server = Server::start(&server(A_TABLE_TAKES)).await?;
    // In the first quarter, so that every boundary is one under load and the end is past the last one.
    terms.until_phase(PERIOD / 8).await;
    let nodes = nodes(system, &server, apart, terms).await?;
    let over = Arc::new(AtomicBool::default());
    let mut users = JoinSet::new();
    let habits = COUNTING.map(|group| (group, false)).into_iter().chain([(LOGGING_OUT, true)]);
    for ((count, pause), logs_out) in habits {
        for _ in 0..count {
            let (nodes, over) = (nodes.clone(), Arc::clone(&over));
            // Ours extends by a tenth of the idle time, so that a session may end so much earlier.
            let found_within = IDLE * 9 / 10 - apart.clocks * 2;
            let user = User { nodes, over, pause: Duration::from_millis(pause), found_within };
            let first = Duration::from_millis(random()? % 1_000);
            users.spawn(async move {
                tokio::time::sleep(first).await;
                if logs_out { user.logs_out().await } else { user.counts().await }
            });
        }
    }
    tokio::time::sleep(PERIOD * BOUNDARIES).await;
    terms.until_phase(PERIOD / 2).await;
    all_seen(&over, users).await
}

pub(crate) async fn run() -> Result<(), Failure> {
    let users: usize = COUNTING.iter().map(|(count, _)| count).sum();
    println!(
        "\nM7: {users} users count in a session each, a request every 0.15, 0.4 or 2 s, and {} log in and out all the time, on\n\
         three nodes in no order, over {BOUNDARIES} boundaries, tables of {PERIOD:?}. No two requests of a user overlap. A node of the\n\
         ancestor looks at its clock once a second from its start on. Predicted: around boundaries the ancestor loses, and\n\
         keeps alive, the more the further its nodes are apart; ours neither\n",
        LOGGING_OUT.0
    );
    println!(
        "| | clocks off by | started apart | requests | failed | increments lost | saw an older state | logged out | alive after logout |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for (clocks, starts) in APART {
        let apart = Apart { clocks: Duration::from_millis(clocks), starts: Duration::from_millis(starts) };
        for system in SYSTEMS {
            let seen = under_load(system, apart).await?;
            println!(
                "| {} | {clocks} ms | {starts} ms | {} | {} | {} of {} | {} | {} | {} of {} |",
                system.name(),
                seen.requests,
                seen.failed_writes + seen.failed_reads,
                seen.lost,
                seen.counted,
                seen.older,
                seen.logged_out,
                seen.alive,
                seen.logouts
            );
        }
    }
    Ok(())
}
