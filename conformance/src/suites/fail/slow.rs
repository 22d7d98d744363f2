//! The server, or the network, takes for ever.

use holdover_api::{On, SaveAnswer, SessionStoreExt};
use tokio::task::JoinSet;

use super::tools::{
    BOUND, Lane, all_unavailable, bench, bounded, every_operation, insist, insist_live, insist_load, private,
    unavailable,
};
use crate::case::Ending;
use crate::proxy::{Behaviour, Direction};
use crate::require;
use crate::trial::Trial;

const AT_ONCE: usize = 32;
const LARGE: usize = 64 * 1024;
/// The large record needs far longer than any operation may take.
const BYTES_PER_SECOND: usize = 2 * 1024;

/// FAIL-07.
pub(super) async fn requests_lost(trial: Trial) -> Result<(), Ending> {
    let lane = Lane::open(&trial).await?;
    let key = lane.node.create(&[("user", b"ann")]).await?;
    lane.proxy.set(Direction::Requests, Behaviour::Swallow);
    all_unavailable(&every_operation(&lane.node, &key).await?)?;
    require!(lane.proxy.counts().swallowed_bytes > 0, "no request was lost");

    lane.proxy.heal().await;
    let loaded = insist_live(&lane.node, &key).await?;
    let alone = loaded.record.attributes.len() == 1;
    require!(alone, "a request that never arrived took effect");
    Ok(())
}

/// FAIL-10.
pub(super) async fn late_answers(trial: Trial) -> Result<(), Ending> {
    let lane = Lane::open(&trial).await?;
    let other = trial.node().await?;
    let key = lane.node.create(&[("user", b"ann")]).await?;
    lane.proxy.set(Direction::Responses, Behaviour::Delay(BOUND * 2));
    let mut loads = JoinSet::new();
    for _ in 0..AT_ONCE {
        let node = lane.node.clone();
        loads.spawn(async move { bounded("one of many loads", node.store.load_latest(&key)).await });
    }
    while let Some(ended) = loads.join_next().await {
        match ended.map_err(|error| Ending::Error(error.to_string()))?? {
            Err(error) => unavailable(&error)?,
            Ok(_) => {
                return Err(Ending::Failed("a load was answered before the answer can have arrived".into()));
            }
        }
    }
    require!(lane.proxy.counts().delayed > 0, "no answer was delayed");
    other.load_live(&key).await?;

    lane.proxy.heal().await;
    insist_live(&lane.node, &key).await?;
    Ok(())
}

/// FAIL-11.
pub(super) async fn paused(trial: Trial) -> Result<(), Ending> {
    let (trial, server) = private(&trial).await?;
    let node = trial.node().await?;
    let kept = node.create(&[("user", b"ann")]).await?;
    let target = node.create(&[("user", b"bob")]).await?;
    bench(server.control.pause().await)?;
    // Twice: on the connection that was open, and on a new one, which the kernel accepts though nobody is there.
    for _ in 0..2 {
        all_unavailable(&every_operation(&node, &target).await?)?;
    }
    bench(server.control.resume().await)?;

    let loaded = insist_live(&node, &kept).await?;
    let whole = loaded.record.attributes.get("user").is_some_and(|value| value == "ann");
    require!(whole, "a session changed while the server was paused");
    let write = node.write(On::Live, &[("page", b"2")]);
    let answer = insist("save", || node.store.save(&kept, &write)).await?;
    require!(matches!(answer, SaveAnswer::Saved { .. }), "a save after the pause answered {answer:?}");
    insist("delete", || node.store.delete(&target)).await?;
    require!(insist_load(&node, &target).await?.is_none(), "a delete after the pause left the session (I1)");
    Ok(())
}

/// FAIL-12.
pub(super) async fn narrow(trial: Trial) -> Result<(), Ending> {
    let lane = Lane::open(&trial).await?;
    let other = trial.node().await?;
    let key = lane.node.create(&[("a", b"old"), ("m", b"old"), ("z", b"old")]).await?;
    lane.node.load_live(&key).await?;
    let length = LARGE.min(lane.node.capabilities().max_bytes / 2);
    let large = vec![b'n'; length];
    let write = lane.node.write(On::Live, &[("a", b"new"), ("m", &large), ("z", b"new")]);
    lane.proxy.set(Direction::Requests, Behaviour::Slow(BYTES_PER_SECOND));
    let result = bounded("a save through a narrow line", lane.node.store.save(&key, &write)).await?;
    require!(lane.proxy.counts().delayed > 0, "nothing was slowed down");
    if let Err(error) = &result {
        unavailable(error)?;
    }
    lane.proxy.heal().await;
    insist_live(&lane.node, &key).await?;

    let record = other.load_live(&key).await?.record;
    let new = |name: &str| record.attributes.get(name).is_some_and(|value| value != "old");
    let parts = [new("a"), new("m"), new("z"), record.lineage.contains(write.stamp)];
    let whole = parts == [true; 4] || parts == [false; 4];
    require!(whole, "a write that was cut short took effect in part (S4): {parts:?}");
    if result.is_ok() {
        require!(parts == [true; 4], "a save was acknowledged and did not take effect");
    }
    Ok(())
}
