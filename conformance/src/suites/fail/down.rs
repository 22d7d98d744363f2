//! The server is away, and comes back.

use holdover_api::{InstallAnswer, On, SaveAnswer};

use super::tools::{Lane, all_unavailable, bench, every_operation, insist, insist_live, private};
use crate::case::Ending;
use crate::proxy::Break;
use crate::require;
use crate::trial::{LIFETIME, Trial};

/// FAIL-01.
pub(super) async fn killed(trial: Trial) -> Result<(), Ending> {
    let (trial, server) = private(&trial).await?;
    let node = trial.node().await?;
    let key = node.create(&[("user", b"ann")]).await?;
    bench(server.control.kill().await)?;
    all_unavailable(&every_operation(&node, &key).await?)
}

/// CON-26: as FAIL-01, but nothing listens at all and the server itself lives on.
pub(super) async fn unreachable(trial: Trial) -> Result<(), Ending> {
    let lane = Lane::open(&trial).await?;
    let key = lane.node.create(&[("user", b"ann")]).await?;
    lane.proxy.refuse().await;
    lane.proxy.break_connections(Break::Reset).await;
    all_unavailable(&every_operation(&lane.node, &key).await?)?;

    lane.proxy.heal().await;
    let loaded = insist_live(&lane.node, &key).await?;
    let alone = loaded.record.attributes.len() == 1;
    require!(alone, "operations on a server that could not be reached left their mark");
    Ok(())
}

/// FAIL-40.
pub(super) async fn restarted_while_idle(trial: Trial) -> Result<(), Ending> {
    let (trial, server) = private(&trial).await?;
    let node = trial.node().await?;
    let key = node.create(&[("user", b"ann")]).await?;
    every_operation(&node, &key).await?;
    bench(server.control.kill().await)?;
    bench(server.control.restart().await)?;

    let store = &node.store;
    let key = trial.key();
    let creation = node.creation(&[("user", b"bob")]);
    let created = insist("create", || store.save(&key, &creation)).await?;
    require!(matches!(created, SaveAnswer::Saved { .. }), "a create after the restart answered {created:?}");
    let loaded = insist_live(&node, &key).await?;
    let merge = node.write(On::Live, &[("page", b"2")]);
    let merged = insist("save", || store.save(&key, &merge)).await?;
    require!(matches!(merged, SaveAnswer::Saved { .. }), "a save after the restart answered {merged:?}");
    let touched = insist("touch", || store.touch(&key, node.now() + LIFETIME * 2)).await?;
    require!(touched, "a touch after the restart found no session");
    let stored = insist("inspect", || store.inspect(&key)).await?;
    let Some(stored) = stored else {
        return Err(Ending::Failed("inspect found nothing after the restart".into()));
    };
    require!(stored.lineage().contains(loaded.record.head()), "the lineage lost a write at the restart");
    let installed = insist("install", || store.install(&key, Some(stored.standing()), &stored)).await?;
    require!(
        matches!(installed, InstallAnswer::Installed),
        "an install after the restart answered {installed:?}"
    );
    insist("delete", || store.delete(&key)).await?;
    require!(node.load(&key).await?.is_none(), "a delete after the restart left the session");
    Ok(())
}
