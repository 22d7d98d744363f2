//! A logout while one of the servers is away.

use holdover_api::SessionKey;

use super::tools::{BOTH, dead_everywhere, or_unavailable, sessions};
use crate::case::Ending;
use crate::drill::{Drill, Load, audit, settle};
use crate::require;
use crate::suites::fail::tools::{bounded, insist, insist_load};
use crate::trial::Trial;

const LOGOUTS: usize = 6;

/// More than a lineage remembers.
const WRITES: u64 = 12;

/// FAIL-20, FAIL-21.
pub(super) async fn while_away(trial: Trial, server: usize) -> Result<(), Ending> {
    for sleeps in [false, true] {
        let drill = Drill::pair(&trial).await?;
        let keys = sessions(&drill, LOGOUTS).await?;
        settle(&drill, &keys).await?;
        let mut load = Load::start(&drill).await?;
        load = if sleeps {
            load.strike(&drill, drill.pause(server)).await?
        } else {
            load.strike(&drill, drill.cut(server)).await?
        };
        let mut acknowledged = Vec::new();
        for key in &keys {
            acknowledged.push(log_out(&drill, key).await?);
        }
        load = if sleeps {
            load.relieve(&drill, drill.resume(server)).await?
        } else {
            load.relieve(&drill, drill.heal()).await?
        };
        for (key, acknowledged) in keys.iter().zip(acknowledged) {
            if acknowledged {
                // The first look after the return is on another node: it meets the session that slept through it.
                let seen = insist_load(&drill.nodes[1].subject, key).await?;
                require!(seen.is_none(), "the server came back and the session with it (I1)");
            } else {
                let node = &drill.nodes[0].subject;
                insist("delete", || node.store.delete(key)).await?;
            }
        }
        audit(&drill, &*load.end().await?).await?;
        settle(&drill, &keys).await?;
        drill.kill(1 - server).await?;
        for key in &keys {
            dead_everywhere(&drill, key).await?;
        }
    }
    Ok(())
}

/// Whether it was acknowledged. A store may refuse a logout that it cannot write everywhere, but has to say so.
async fn log_out(drill: &Drill, key: &SessionKey) -> Result<bool, Ending> {
    let node = &drill.nodes[0].subject;
    for _ in 0..3 {
        let deleted = bounded("delete", node.store.delete(key)).await?;
        if or_unavailable(deleted)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// FAIL-69.
pub(super) async fn of_a_session_thrown_out(trial: Trial) -> Result<(), Ending> {
    for server in BOTH {
        let drill = Drill::pair(&trial).await?;
        let node = &drill.nodes[0].subject;
        let keys = sessions(&drill, LOGOUTS).await?;
        for key in &keys {
            for number in 0..WRITES {
                node.merge(key, &[("n", number.to_string().as_bytes())]).await?;
            }
        }
        settle(&drill, &keys).await?;
        for key in &keys {
            let removed = drill.below()[1 - server].delete(key).await;
            removed.map_err(|error| Ending::Error(format!("remove a copy: {error}")))?;
        }
        drill.cut(server).await?;
        let mut acknowledged = Vec::new();
        for key in &keys {
            acknowledged.push(log_out(&drill, key).await?);
        }
        drill.heal().await?;
        for (key, acknowledged) in keys.iter().zip(acknowledged) {
            if !acknowledged {
                insist("delete", || node.store.delete(key)).await?;
            }
        }
        settle(&drill, &keys).await?;
        for key in &keys {
            dead_everywhere(&drill, key).await?;
        }
    }
    Ok(())
}

/// FAIL-50.
pub(super) async fn during_a_failover(trial: Trial) -> Result<(), Ending> {
    for server in BOTH {
        let drill = Drill::pair(&trial).await?;
        let keys = sessions(&drill, LOGOUTS).await?;
        let load = Load::start(&drill).await?;
        let load = load.strike(&drill, drill.kill(server)).await?;
        // At once, so that the first of them is what finds out that the server is gone.
        for (number, key) in keys.iter().enumerate() {
            let node = &drill.nodes[number % drill.nodes.len()].subject;
            insist("delete", || node.store.delete(key)).await?;
        }
        let load = load.relieve(&drill, drill.restart(server)).await?;
        for key in &keys {
            dead_everywhere(&drill, key).await?;
        }
        load.goes_on(30).await?;
        audit(&drill, &*load.end().await?).await?;
        settle(&drill, &keys).await?;
    }
    Ok(())
}
