//! Servers are added and removed for good: a share of the sessions moves, and none is lost.

use std::sync::Arc;

use holdover_api::{Clock, SessionKey};

use super::tools::{copy_of, everywhere, sessions};
use crate::case::Ending;
use crate::drill::{Drill, Ledger, Load, audit, settle};
use crate::require;
use crate::trial::Trial;

/// With three servers and two copies a third of them stays where it was: with so many sessions it is next to impossible
/// that all of them, or none, move.
const MANY: usize = 40;

async fn open(trial: &Trial, members: &[usize]) -> Result<Drill, Ending> {
    Drill::open(trial, Arc::clone(trial.clock()) as Arc<dyn Clock>, 3, members).await
}

/// FAIL-47.
pub(super) async fn added(trial: Trial) -> Result<(), Ending> {
    let mut drill = open(&trial, &[0, 1]).await?;
    let keys = sessions(&drill, MANY).await?;
    let ledger = deployed(&mut drill, &[0, 1, 2], Arc::default()).await?;
    everywhere(&drill, &keys).await?;
    settle(&drill, &keys).await?;
    let moved = held_by(&drill, 2, &keys).await?;
    require!(0 < moved && moved < keys.len(), "of {MANY} sessions {moved} moved to the new server");
    audit(&drill, &ledger).await?;
    // What has moved is worth as much as what has stayed.
    drill.kill(0).await?;
    everywhere(&drill, &keys).await
}

/// FAIL-48.
pub(super) async fn removed(trial: Trial) -> Result<(), Ending> {
    let mut drill = open(&trial, &[0, 1, 2]).await?;
    let keys = sessions(&drill, MANY).await?;
    settle(&drill, &keys).await?;
    let held = held_by(&drill, 2, &keys).await?;
    require!(0 < held && held < keys.len(), "of {MANY} sessions {held} lie on one server of three");
    let ledger = deployed(&mut drill, &[0, 1], Arc::default()).await?;
    drill.kill(2).await?;
    everywhere(&drill, &keys).await?;
    drill.restart(2).await?;
    settle(&drill, &keys).await?;
    audit(&drill, &ledger).await?;
    drill.kill(0).await?;
    everywhere(&drill, &keys).await
}

/// Deploys another configuration, one node after the other, under load: for a while each node has another one.
async fn deployed(drill: &mut Drill, members: &[usize], ledger: Arc<Ledger>) -> Result<Arc<Ledger>, Ending> {
    let mut ledger = ledger;
    for node in (0..drill.nodes.len()).rev() {
        let load = Load::start_untouched(drill, ledger).await?;
        load.goes_on(60).await?;
        ledger = load.end().await?;
        drill.deploy(node, members).await?;
    }
    let load = Load::start_untouched(drill, ledger).await?;
    load.goes_on(60).await?;
    load.end().await
}

async fn held_by(drill: &Drill, server: usize, keys: &[SessionKey]) -> Result<usize, Ending> {
    let mut held = 0;
    for key in keys {
        held += usize::from(copy_of(drill, server, key).await?.is_some());
    }
    Ok(held)
}
