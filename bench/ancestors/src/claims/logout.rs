//! M19: a request that is under way when its user logs out.

use std::sync::Arc;

use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::of;
use crate::job::{Failure, Job, Work, create, read};
use crate::lab::{Lab, System};

const TRIALS: usize = 50;

/// How many of fifty sessions are alive again when a request that had begun before the logout has ended after it.
pub(crate) async fn resurrections(system: System, work: Work) -> Result<usize, Failure> {
    let lab = Lab::of(system).await?;
    let one = lab.node_aside().await?;
    let two = if system == System::Background { Arc::clone(&one) } else { lab.node_aside().await? };
    let mut trials = JoinSet::new();
    for _ in 0..TRIALS {
        let (one, two) = (Arc::clone(&one), Arc::clone(&two));
        let id = create(one.as_ref()).await?;
        trials.spawn(async move {
            let (looked, goes_on) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
            let job = Job::in_steps(work, Arc::clone(&looked), Arc::clone(&goes_on));
            let slow = {
                let (one, id) = (Arc::clone(&one), id.clone());
                tokio::spawn(async move { one.request(Some(&id), job).await })
            };
            looked.wait().await;
            two.request(Some(&id), Job::of(Work::LogOut)).await?;
            goes_on.wait().await;
            // Ours tells the request that its session is gone, which is an error of its commit.
            let _ = slow.await?;
            Ok::<String, Failure>(id)
        });
    }
    let mut ids = Vec::new();
    while let Some(trial) = trials.join_next().await {
        ids.push(trial??);
    }
    one.settled().await;
    two.settled().await;
    let mut alive = 0;
    for id in ids {
        alive += usize::from(read(two.as_ref(), &id).await?.found);
    }
    Ok(alive)
}

pub(crate) async fn run() -> Result<(), Failure> {
    println!(
        "\nM19: sessions that are alive after their logout, because a request had begun before it and ended after it;"
    );
    println!("predicted: all where the end of a request writes on no condition, none elsewhere\n");
    println!("| | a reader | a writer |\n|---|---|---|");
    for system in System::ALL {
        let reader = resurrections(system, Work::Read).await?;
        let writer = resurrections(system, Work::Set("a", 1)).await?;
        println!("| {} | {} | {} |", system.name(), of(reader, TRIALS), of(writer, TRIALS));
    }
    Ok(())
}
