//! M20: what a node takes with it that saves in the background.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::of;
use crate::job::{Failure, Job, Manager, Work, create, random};
use crate::lab::{Lab, PASS, SAVED_WHEN_IDLE, System};

const SESSIONS: usize = 40;

/// How a user uses the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// Every 50 ms until the node dies.
    Always,
    /// Once, at a random moment of the last two seconds.
    Once,
}

/// What is lost when the node dies: sessions without their last acknowledged write, and how old the oldest such write is.
pub(crate) async fn lost(system: System, usage: Use) -> Result<(usize, Duration), Failure> {
    let lab = Lab::of(system).await?;
    let node = lab.node_aside().await?;
    // Let the first pass save the creation.
    let mut ids = Vec::new();
    for _ in 0..SESSIONS {
        ids.push(create(node.as_ref()).await?);
    }
    tokio::time::sleep(SAVED_WHEN_IDLE + PASS * 2).await;
    let length = Duration::from_secs(2);
    let dies = Instant::now() + length;
    let mut users = JoinSet::new();
    for id in ids {
        users.spawn(work(Arc::clone(&node), id, usage, dies));
    }
    let mut written = Vec::new();
    while let Some(user) = users.join_next().await {
        written.push(user??);
    }
    tokio::time::sleep_until(dies.into()).await;
    let died = Instant::now();
    drop(node);
    let after = lab.node_aside().await?;
    let (mut lost, mut oldest) = (0, Duration::ZERO);
    for (id, writes) in written {
        let kept = after.request(Some(&id), Job::of(Work::Read)).await?.n.unwrap_or(0);
        // The first write that is not there.
        if let Some((_, at)) = writes.iter().find(|(value, _)| *value > kept) {
            lost += 1;
            oldest = oldest.max(died.duration_since(*at));
        }
    }
    Ok((lost, oldest))
}

type Written = (String, Vec<(u64, Instant)>);

async fn work(node: Arc<dyn Manager>, id: String, usage: Use, dies: Instant) -> Result<Written, Failure> {
    let mut writes = Vec::new();
    if usage == Use::Once {
        let wait = random()? % u64::try_from(dies.duration_since(Instant::now()).as_millis())?;
        tokio::time::sleep(Duration::from_millis(wait)).await;
    }
    while Instant::now() < dies {
        let value = u64::try_from(writes.len())? + 1;
        node.request(Some(&id), Job::of(Work::Set("n", value))).await?;
        writes.push((value, Instant::now()));
        if usage == Use::Once {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok((id, writes))
}

pub(crate) async fn run() -> Result<(), Failure> {
    println!(
        "\nM20: a node dies; sessions without their last acknowledged write, and how old the oldest lost write is\n"
    );
    println!(
        "Saved when idle for {SAVED_WHEN_IDLE:?}, looked at every {PASS:?}: a hundredth of 30 s and 60 s."
    );
    println!("Predicted: what is younger than both together is lost, and all of what is never idle\n");
    println!("| | used | lost | oldest lost write | in the times of the original |\n|---|---|---|---|---|");
    for (system, usage) in [
        (System::Background, Use::Once),
        (System::Background, Use::Always),
        (System::OursMemcached, Use::Once),
        (System::OursMemcached, Use::Always),
    ] {
        let (lost, oldest) = lost(system, usage).await?;
        let scaled = if system == System::Background {
            format!("{:.0} s", oldest.as_secs_f64() * 100.0)
        } else {
            "–".to_owned()
        };
        println!(
            "| {} | {usage:?} | {} | {} ms | {scaled} |",
            system.name(),
            of(lost, SESSIONS),
            oldest.as_millis()
        );
    }
    Ok(())
}
