//! The network loses a server, or the server sleeps: it comes back with what it held, which is old by then.

use super::tools::{BOTH, readable, sessions};
use crate::case::Ending;
use crate::drill::{Drill, Load, audit, settle};
use crate::require;
use crate::suites::fail::tools::{bounded, insist};
use crate::trial::Trial;
use holdover_api::{On, SaveAnswer, SessionKey};

/// FAIL-17, FAIL-26.
pub(super) async fn stale_after_a_cut(trial: Trial) -> Result<(), Ending> {
    for server in BOTH {
        let drill = Drill::pair(&trial).await?;
        let load = Load::start(&drill).await?;
        let load = load.strike(&drill, drill.cut(server)).await?;
        load.goes_on(100).await?;
        let load = load.relieve(&drill, drill.heal()).await?;
        load.goes_on(100).await?;
        alone(&drill, load, server).await?;
    }
    Ok(())
}

/// FAIL-44.
pub(super) async fn stale_after_a_sleep(trial: Trial) -> Result<(), Ending> {
    for server in BOTH {
        let drill = Drill::pair(&trial).await?;
        let load = Load::start(&drill).await?;
        let load = load.strike(&drill, drill.pause(server)).await?;
        load.goes_on(100).await?;
        let load = load.relieve(&drill, drill.resume(server)).await?;
        load.goes_on(100).await?;
        alone(&drill, load, server).await?;
    }
    Ok(())
}

/// After the audit the server that was away has everything, and is enough by itself.
async fn alone(drill: &Drill, load: Load, server: usize) -> Result<(), Ending> {
    let ledger = load.end().await?;
    audit(drill, &ledger).await?;
    drill.kill(1 - server).await?;
    readable(drill, &ledger).await
}

/// FAIL-18.
pub(super) async fn for_one_node_only(trial: Trial) -> Result<(), Ending> {
    for server in BOTH {
        let drill = Drill::pair(&trial).await?;
        let load = Load::start(&drill).await?;
        drill.cut_from(0, server).await?;
        load.goes_on(150).await?;
        drill.heal().await?;
        load.goes_on(50).await?;
        alone(&drill, load, server).await?;
    }
    Ok(())
}

/// FAIL-27.
pub(super) async fn flapping(trial: Trial) -> Result<(), Ending> {
    let drill = Drill::pair(&trial).await?;
    let server = trial.below(2);
    let mut load = Load::start(&drill).await?;
    for _ in 0..8 {
        load = load.strike(&drill, drill.cut(server)).await?;
        load.goes_on(5 + trial.below(40)).await?;
        load = load.relieve(&drill, drill.heal()).await?;
        load.goes_on(5 + trial.below(40)).await?;
    }
    alone(&drill, load, server).await
}

/// FAIL-19.
pub(super) async fn one_then_the_other(trial: Trial) -> Result<(), Ending> {
    for first in BOTH {
        let drill = Drill::pair(&trial).await?;
        let keys = sessions(&drill, 4).await?;
        settle(&drill, &keys).await?;
        drill.cut(first).await?;
        let early = write_all(&drill, &keys, "early").await?;
        // Each server has been away, and nobody has looked at the sessions in between.
        drill.cut(1 - first).await?;
        for node in &drill.nodes {
            node.link(first).heal().await;
        }
        let late = write_all(&drill, &keys, "late").await?;
        drill.heal().await?;
        let records = settle(&drill, &keys).await?;
        let mut lost = 0;
        for (number, record) in records.iter().enumerate() {
            let Some(record) = record else {
                return Err(Ending::Failed("two faults in a row made a session disappear".into()));
            };
            let kept = |name: &str| record.attributes.contains_key(name);
            lost += u64::from(early[number] && !kept("early")) + u64::from(late[number] && !kept("late"));
        }
        let counted = drill.noticed().divergences;
        require!(counted >= lost, "{lost} acknowledged writes are lost and {counted} divergences counted");
    }
    Ok(())
}

/// Merges into each session; whether each was acknowledged. A store may refuse to write what it cannot read.
async fn write_all(drill: &Drill, keys: &[SessionKey], name: &str) -> Result<Vec<bool>, Ending> {
    let node = &drill.nodes[0].subject;
    // The store has to have noticed which server is there now.
    let fresh = node.trial().key();
    let create = node.creation(&[]);
    insist("create", || node.store.save(&fresh, &create)).await?;
    let mut acknowledged = Vec::new();
    for key in keys {
        let write = node.write(On::Live, &[(name, b"1")]);
        let answer = bounded("save", node.store.save(key, &write)).await?;
        acknowledged.push(matches!(answer, Ok(SaveAnswer::Saved { .. })));
    }
    Ok(acknowledged)
}
