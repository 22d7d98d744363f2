//! What outlives the death of the server.

use std::sync::Arc;

use holdover_api::{On, SaveAnswer, SessionKey, Survives, Write};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::tools::{bench, bounded, insist, insist_load, private, swears_no_effect};
use crate::case::Ending;
use crate::require;
use crate::trial::{LIFETIME, Subject, Trial};

const WRITERS: usize = 4;
/// How many writes are acknowledged before the server is killed.
const ACKNOWLEDGED: usize = 60;

/// FAIL-02.
pub(super) async fn restart_keeps_what_is_claimed(trial: Trial) -> Result<(), Ending> {
    let (trial, server) = private(&trial).await?;
    let node = trial.node().await?;
    let key = node.create(&[("user", b"ann"), ("cart", b"0")]).await?;
    node.merge(&key, &[("cart", b"1")]).await?;
    let deadline = node.now() + LIFETIME * 3;
    require!(node.touch(&key, deadline).await?, "a touch found no session");
    let before = node.load_live(&key).await?;

    bench(server.control.kill().await)?;
    bench(server.control.restart().await)?;
    let after = insist_load(&node, &key).await?;
    match (node.capabilities().survives, after) {
        (_, Some(after)) => {
            require!(
                after.record == before.record,
                "the session came back from a restart, but not as it was"
            );
        }
        (Survives::Nothing, None) => {}
        (Survives::Restart | Survives::NodeLoss, None) => {
            return Err(Ending::Failed(
                "the session is gone, and the store claims that it survives a restart".into(),
            ));
        }
    }
    Ok(())
}

/// FAIL-03.
pub(super) async fn acknowledged_means_durable(trial: Trial) -> Result<(), Ending> {
    let (trial, server) = private(&trial).await?;
    let (acknowledged, mut count) = watch::channel(0);
    let acknowledged = Arc::new(acknowledged);
    let mut writers = JoinSet::new();
    let mut keys = Vec::new();
    for number in 0..WRITERS {
        let node = trial.node().await?;
        let key = node.create(&[]).await?;
        keys.push((key, node.clone()));
        writers.spawn(write_until_it_fails(number, node, key, Arc::clone(&acknowledged)));
    }
    let enough = async { count.wait_for(|count| *count >= ACKNOWLEDGED).await.is_ok() };
    let enough = bounded("a stream of writes", enough).await?;
    bench(server.control.kill().await)?;
    let mut kept = vec![Vec::new(); WRITERS];
    let mut denied = vec![None; WRITERS];
    while let Some(ended) = writers.join_next().await {
        let stream = ended.map_err(|error| Ending::Error(error.to_string()))??;
        kept[stream.writer] = stream.acknowledged;
        denied[stream.writer] = stream.denied;
    }
    require!(enough, "the writers ended before the server was killed");

    bench(server.control.restart().await)?;
    for ((key, node), (kept, denied)) in keys.iter().zip(kept.iter().zip(&denied)) {
        let Some(loaded) = insist_load(node, key).await? else {
            let volatile = node.capabilities().survives == Survives::Nothing;
            require!(volatile, "a session is gone, and the store claims that it survives a restart");
            continue;
        };
        let attributes = &loaded.record.attributes;
        let lost: Vec<_> = kept.iter().filter(|name| !attributes.contains_key(*name)).collect();
        require!(
            lost.is_empty(),
            "of {} acknowledged writes, these did not survive (I2): {lost:?}",
            kept.len()
        );
        let undone = denied.as_ref().is_none_or(|name| !attributes.contains_key(name));
        require!(undone, "a write whose error swore that it had no effect survived");
    }
    Ok(())
}

struct Stream {
    writer: usize,
    acknowledged: Vec<String>,
    /// The write that failed, if the error swore that it had no effect.
    denied: Option<String>,
}

async fn write_until_it_fails(
    writer: usize,
    node: Subject,
    key: SessionKey,
    count: Arc<watch::Sender<usize>>,
) -> Result<Stream, Ending> {
    let mut acknowledged = Vec::new();
    loop {
        let name = format!("token-{}", acknowledged.len());
        let write = node.write(On::Live, &[(&name, b"1")]);
        let result = bounded("save", node.store.save(&key, &write)).await?;
        match &result {
            Ok(SaveAnswer::Saved { .. }) => {
                acknowledged.push(name);
                count.send_modify(|count| *count += 1);
            }
            Ok(answer) => {
                return Err(Ending::Failed(format!("a merge into a live session answered {answer:?}")));
            }
            Err(_) => {
                let denied = swears_no_effect(&result).then_some(name);
                return Ok(Stream { writer, acknowledged, denied });
            }
        }
    }
}

/// FAIL-41.
pub(super) async fn logout_outlives_a_crash(trial: Trial) -> Result<(), Ending> {
    let (trial, server) = private(&trial).await?;
    let node = trial.node().await?;
    let key = node.create(&[("user", b"ann")]).await?;
    node.delete(&key).await?;
    bench(server.control.kill().await)?;
    bench(server.control.restart().await)?;

    let loaded = insist_load(&node, &key).await?;
    require!(loaded.is_none(), "a session that was logged out came back with the server (I1)");
    let merge = node.write(On::Live, &[("user", b"ann")]);
    let answer = insist("save", || node.store.save(&key, &merge)).await?;
    require!(
        matches!(answer, SaveAnswer::Gone),
        "a write to a session that was logged out answered {answer:?}"
    );
    Ok(())
}

/// FAIL-25.
pub(super) async fn stale_write_after_a_restart(trial: Trial) -> Result<(), Ending> {
    let (trial, server) = private(&trial).await?;
    let stale = trial.node().await?;
    let other = trial.node().await?;
    let key = stale.create(&[("cart", b"old")]).await?;
    let base = stale.load_live(&key).await?;
    bench(server.control.kill().await)?;
    bench(server.control.restart().await)?;

    let head = write_after_restart(&trial, &other, &key).await?;
    let mut expected = head.stamp;
    for _ in 0..4 {
        // A new stamp each time, and the same old base: as soon as a reused version number fits, it gets through.
        let write = stale.write(On::Head(base.record.head()), &[("cart", b"stale")]);
        let write = Write { base: Some(base.clone()), ..write };
        let answer = insist("save", || stale.store.save(&key, &write)).await?;
        let refused = matches!(answer, SaveAnswer::Conflict { .. });
        require!(refused, "a write on a version from before the restart answered {answer:?}");
        let loaded = other.load_live(&key).await?;
        require!(loaded.record.head() == expected, "a write that was refused changed the session");
        let next = other.write(On::Live, &[("cart", b"new")]);
        other.save(&key, &next).await?;
        expected = next.stamp;
    }
    Ok(())
}

/// Somebody else's write: a merge where the session survived, else a session under the same key.
async fn write_after_restart(trial: &Trial, other: &Subject, key: &SessionKey) -> Result<Write, Ending> {
    let survived = insist_load(other, key).await?.is_some();
    let on = if survived { On::Live } else { On::Absent { created: trial.now() } };
    let write = other.write(on, &[("cart", b"new")]);
    let answer = insist("save", || other.store.save(key, &write)).await?;
    require!(matches!(answer, SaveAnswer::Saved { .. }), "a write after the restart answered {answer:?}");
    Ok(write)
}
