//! Lost updates: two requests of one session that overlap, on two application nodes.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::of;
use crate::job::{Failure, Job, Manager, Work, create, read};
use crate::lab::{Lab, System};

const TRIALS: usize = 50;
/// Of one session, one after the other.
const READS: usize = 500;
const HOLD: Duration = Duration::from_millis(50);

/// Two nodes, or one whose requests share the session's object: that manager needs its users to stay with their node.
async fn two(lab: &Lab, system: System) -> Result<[Arc<dyn Manager>; 2], Failure> {
    let one = lab.node_aside().await?;
    let two = if system == System::Background { Arc::clone(&one) } else { lab.node_aside().await? };
    Ok([one, two])
}

/// How many of fifty pairs of requests lose a write: each sets an attribute of its own, or both count.
pub(crate) async fn updates(system: System, counts: bool) -> Result<usize, Failure> {
    let lab = Lab::of(system).await?;
    let nodes = two(&lab, system).await?;
    let mut trials = JoinSet::new();
    for _ in 0..TRIALS {
        let [one, two] = nodes.clone();
        let id = create(one.as_ref()).await?;
        let works = if counts { [Work::Count; 2] } else { [Work::Set("a", 1), Work::Set("b", 1)] };
        trials.spawn(async move {
            let (first, second) = tokio::join!(
                one.request(Some(&id), Job::holding(works[0], HOLD)),
                two.request(Some(&id), Job::holding(works[1], HOLD))
            );
            first?;
            second?;
            Ok::<String, Failure>(id)
        });
    }
    let mut ids = Vec::new();
    while let Some(trial) = trials.join_next().await {
        ids.push(trial??);
    }
    for node in &nodes {
        node.settled().await;
    }
    let mut lost = 0;
    for id in ids {
        let seen = read(nodes[0].as_ref(), &id).await?;
        let kept = if counts { seen.n == Some(2) } else { seen.names == ["a", "b", "n"] };
        lost += usize::from(!kept);
    }
    Ok(lost)
}

/// M11: how many of so many reads on another node, so long after the answer to a write, do not see it.
async fn stale(system: System, think: Duration) -> Result<usize, Failure> {
    let lab = Lab::of(system).await?;
    let nodes = two(&lab, system).await?;
    let id = create(nodes[0].as_ref()).await?;
    let mut stale = 0;
    for value in 1..=READS {
        let write = Job::of(Work::Set("n", u64::try_from(value)?));
        nodes[0].request(Some(&id), write).await?;
        tokio::time::sleep(think).await;
        let seen = read(nodes[1].as_ref(), &id).await?;
        stale += usize::from(seen.n != Some(u64::try_from(value)?));
        nodes[0].settled().await;
        nodes[1].settled().await;
    }
    Ok(stale)
}

pub(crate) async fn stale_reads() -> Result<(), Failure> {
    println!(
        "\nM11: reads on another node that do not see what was acknowledged before, of {READS} each, so long after it;"
    );
    println!("predicted: some where the save is asynchronous and nothing waits for it, none elsewhere\n");
    println!("| | at once | after 1 ms | after 5 ms |\n|---|---|---|---|");
    for system in System::ALL {
        let mut cells = Vec::new();
        for millis in [0, 1, 5] {
            cells.push(stale(system, Duration::from_millis(millis)).await?.to_string());
        }
        println!("| {} | {} |", system.name(), cells.join(" | "));
    }
    Ok(())
}

pub(crate) async fn run() -> Result<(), Failure> {
    println!("\nLost updates of two requests that overlap for 50 ms, on two nodes; pairs that lost one;");
    println!("predicted: all without a lock or a condition, none with either\n");
    println!("| | an attribute each | one counter |\n|---|---|---|");
    for system in System::ALL {
        let (each, counter) = (updates(system, false).await?, updates(system, true).await?);
        println!("| {} | {} | {} |", system.name(), of(each, TRIALS), of(counter, TRIALS));
    }
    Ok(())
}
