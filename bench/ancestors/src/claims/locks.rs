//! M12, M13, M14, M15: what the ancestor's lock holds, what it costs, and compare-and-set beside it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::of;
use crate::job::{Failure, Job, Manager, Work, create, read};
use crate::lab::{Lab, System};
use crate::msm::{Locking, Msm, Settings};

const HOLDS: [u64; 5] = [100, 900, 1_500, 4_000, 6_000];
const CONTENDERS: [usize; 4] = [1, 2, 4, 8];
const SESSIONS: usize = 10;

/// The nodes at once, each with one request that counts and holds its session for so long; ten sessions in parallel.
/// Answers the lost counts, and the time until the last of the requests has ended.
async fn counted(nodes: &[Arc<dyn Manager>], hold: Duration) -> Result<(usize, Duration), Failure> {
    let mut ids = Vec::new();
    for _ in 0..SESSIONS {
        ids.push(create(nodes[0].as_ref()).await?);
    }
    let begun = Instant::now();
    let mut requests = JoinSet::new();
    for id in &ids {
        for node in nodes {
            let (node, id) = (Arc::clone(node), id.clone());
            requests.spawn(async move { node.request(Some(&id), Job::holding(Work::Count, hold)).await });
        }
    }
    while let Some(request) = requests.join_next().await {
        request??;
    }
    let took = begun.elapsed();
    for node in nodes {
        node.settled().await;
    }
    let mut lost = 0;
    for id in ids {
        let counted = usize::try_from(read(nodes[0].as_ref(), &id).await?.n.unwrap_or(0))?;
        lost += nodes.len().saturating_sub(counted);
    }
    Ok((lost, took))
}

async fn nodes_of(lab: &Lab, count: usize) -> Result<Vec<Arc<dyn Manager>>, Failure> {
    let mut nodes = Vec::new();
    for _ in 0..count {
        nodes.push(lab.node_aside().await?);
    }
    Ok(nodes)
}

/// M12.
pub(crate) async fn holds() -> Result<(), Failure> {
    println!(
        "\nM12: two requests at once, each counts and holds its session; lost counts of ten sessions, and how long both took\n"
    );
    println!(
        "The lock is waited for for 1 s and kept for 5 s (the defaults). Predicted: none lost below 1.13 s, all beyond.\n"
    );
    println!(
        "| held for | m-s-m, lock all | took | **ours**, a pair, `update` | took |\n|---|---|---|---|---|"
    );
    let (theirs, ours) = (Lab::of(System::Msm(Locking::All, true)).await?, Lab::of(System::OursPair).await?);
    let (theirs_at, ours_at) = (nodes_of(&theirs, 2).await?, nodes_of(&ours, 2).await?);
    for hold in HOLDS.map(Duration::from_millis) {
        let (one, two) = (counted(&theirs_at, hold).await?, counted(&ours_at, hold).await?);
        println!(
            "| {hold:?} | {} | {:.1} s | {} | {:.1} s |",
            of(one.0, SESSIONS),
            one.1.as_secs_f64(),
            of(two.0, SESSIONS),
            two.1.as_secs_f64()
        );
    }
    Ok(())
}

/// M13, M15.
pub(crate) async fn contention() -> Result<(), Failure> {
    println!(
        "\nM13, M15: so many nodes count on one session at once and hold it for 20 ms; calls of a request, lost counts, time;"
    );
    println!(
        "predicted: 8 and 4 alone; more asks for the lock as waiting doubles; four calls more for each lost race\n"
    );
    println!(
        "| nodes | m-s-m, lock all | lost | took | **ours**, a pair, `update` | lost | took |\n|---|---|---|---|---|---|---|"
    );
    let hold = Duration::from_millis(20);
    for count in CONTENDERS {
        let mut cells = Vec::new();
        for system in [System::Msm(Locking::All, true), System::OursPair] {
            let lab = Lab::of(system).await?;
            let nodes = nodes_of(&lab, count).await?;
            // What creating and looking costs is not counted.
            let (creates, looks) = if system == System::OursPair { (2, 2) } else { (4, 8) };
            let checks = || nodes.iter().map(|node| node.health_checks()).sum::<u64>();
            let before = (lab.calls().await?, checks());
            let (lost, took) = counted(&nodes, hold).await?;
            nodes[0].settled().await;
            let around = u64::try_from(SESSIONS)? * (creates + looks);
            let asked = (lab.calls().await? - before.0 - (checks() - before.1)).saturating_sub(around);
            let each = asked as f64 / (SESSIONS * count) as f64;
            cells.push(format!("{each:.1} | {} | {:.2} s", of(lost, SESSIONS * count), took.as_secs_f64()));
        }
        println!("| {count} | {} |", cells.join(" | "));
    }
    Ok(())
}

/// M14.
pub(crate) async fn auto() -> Result<(), Failure> {
    println!(
        "\nM14: requests for locks of 100 reads by one node; predicted for auto: the first of each address\n"
    );
    println!("| | one address | a query of its own each |\n|---|---|---|");
    for (name, locking) in [
        ("lock all", Locking::All),
        ("lock auto", Locking::Auto),
        ("lock by address (`/change`)", Locking::Uri("POST /change")),
        ("lock none", Locking::None),
    ] {
        let lab = Lab::of(System::Msm(locking, true)).await?;
        let at = [lab.servers[0].address(), lab.servers[1].address()];
        let mut cells = Vec::new();
        for own in [false, true] {
            let node = Msm::new(&at, Settings::new(locking, true));
            let id = create(&node).await?;
            for number in 0..100 {
                let uri = if own { format!("GET /page?number={number}") } else { "GET /page".to_owned() };
                node.request(Some(&id), Job::of(Work::Read).at(uri)).await?;
            }
            node.settled().await;
            cells.push(node.lock_asks().to_string());
        }
        println!("| {name} | {} |", cells.join(" | "));
    }
    Ok(())
}
