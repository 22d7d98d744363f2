//! Lost updates: two requests of one session that overlap, on two application nodes.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::of;
use crate::job::{Failure, Job, Manager, Work, create, read};
use crate::lab::{Lab, System};

const TRIALS: usize = 50;
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

pub(crate) async fn run() -> Result<(), Failure> {
    println!("\nLost updates of two requests that overlap for 50 ms, on two nodes; pairs that lost one\n");
    println!("| | an attribute each | one counter |\n|---|---|---|");
    for system in System::ALL {
        let (each, counter) = (updates(system, false).await?, updates(system, true).await?);
        println!("| {} | {} | {} |", system.name(), of(each, TRIALS), of(counter, TRIALS));
    }
    Ok(())
}
