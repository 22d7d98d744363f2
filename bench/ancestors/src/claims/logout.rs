//! M19: a request that is under way when its user logs out.

use std::sync::Arc;

use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::job::{Failure, Job, Work, create, read};
use crate::lab::{Lab, System};

const TRIALS: usize = 50;

/// What the cookies of sessions come to after their logout.
#[derive(Default)]
pub(crate) struct Ended {
    alive: usize,
    /// A row without a session: an error to whoever comes with the cookie. d-s-m leaves such.
    broken: usize,
}

impl Ended {
    /// How many are alive, of how many if that is said, and how many errors there were.
    pub(crate) fn told(&self, of: &str) -> String {
        match self.broken {
            0 => format!("{}{of}", self.alive),
            broken => format!("{}{of} ({broken} errors)", self.alive),
        }
    }
}

/// How many of fifty sessions are alive again when a request that had begun before the logout has ended after it.
pub(crate) async fn resurrections(system: System, work: Work) -> Result<Ended, Failure> {
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
    let mut ended = Ended::default();
    for id in ids {
        match read(two.as_ref(), &id).await {
            Ok(answer) => ended.alive += usize::from(answer.found),
            Err(_) if system == System::Dsm => ended.broken += 1,
            Err(failed) => return Err(failed),
        }
    }
    Ok(ended)
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
        let of = format!(" of {TRIALS}");
        println!("| {} | {} | {} |", system.name(), reader.told(&of), writer.told(&of));
    }
    Ok(())
}
