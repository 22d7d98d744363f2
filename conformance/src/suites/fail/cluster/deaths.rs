//! Servers die and come back empty.

use holdover_api::{On, SaveAnswer, SessionKey};

use super::tools::{BOTH, born, copy_of, everywhere, found, or_unavailable, readable, sessions};
use crate::case::Ending;
use crate::drill::{Drill, Load, audit, settle};
use crate::require;
use crate::suites::fail::tools::{all_unavailable, bounded, every_operation, insist_live, unavailable};
use crate::trial::Trial;

const OWNED: usize = 8;

/// FAIL-14, FAIL-42.
pub(super) async fn one_dies(trial: Trial, server: usize) -> Result<(), Ending> {
    let drill = Drill::pair(&trial).await?;
    let keys = sessions(&drill, OWNED).await?;
    let load = Load::start(&drill).await?;
    let load = load.strike(&drill, drill.kill(server)).await?;
    load.goes_on(100).await?;
    everywhere(&drill, &keys).await?;
    let load = load.relieve(&drill, drill.restart(server)).await?;
    load.goes_on(50).await?;
    audit(&drill, &*load.end().await?).await?;
    everywhere(&drill, &keys).await
}

/// FAIL-15.
pub(super) async fn cold_restart(trial: Trial) -> Result<(), Ending> {
    for server in BOTH {
        let drill = Drill::pair(&trial).await?;
        let keys = sessions(&drill, OWNED).await?;
        if !drill.copies.before_the_answer {
            settle(&drill, &keys).await?;
        }
        drill.kill(server).await?;
        drill.restart(server).await?;
        everywhere(&drill, &keys).await?;
        // Reading has seeded it again: now it is the only one.
        settle(&drill, &keys).await?;
        drill.kill(1 - server).await?;
        everywhere(&drill, &keys).await?;
        drill.restart(1 - server).await?;
        everywhere(&drill, &keys).await?;
        settle(&drill, &keys).await?;
    }
    Ok(())
}

/// FAIL-58.
pub(super) async fn empty_and_alone(trial: Trial) -> Result<(), Ending> {
    for server in BOTH {
        let drill = Drill::pair(&trial).await?;
        let keys = sessions(&drill, 3).await?;
        if !drill.copies.before_the_answer {
            settle(&drill, &keys).await?;
        }
        drill.kill(server).await?;
        drill.restart(server).await?;
        drill.cut(1 - server).await?;
        drill.rejoined(&[server]).await?;
        for node in drill.nodes.iter().map(|node| &node.subject) {
            for key in &keys {
                require!(
                    found(node, key).await? != Some(false),
                    "an empty server was believed: nothing there"
                );
                let touched = bounded("touch", node.store.touch(key, node.now())).await?;
                require!(or_unavailable(touched)? != Some(false), "an empty server was believed by a touch");
                let write = node.write(On::Live, &[("page", b"2")]);
                let saved = bounded("save", node.store.save(key, &write)).await?;
                let gone = matches!(or_unavailable(saved)?, Some(SaveAnswer::Gone));
                require!(!gone, "an empty server was believed by a save: a live session is gone (I2)");
            }
        }
        drill.heal().await?;
        everywhere(&drill, &keys).await?;
        settle(&drill, &keys).await?;
    }
    Ok(())
}

/// FAIL-16.
pub(super) async fn both_cold(trial: Trial) -> Result<(), Ending> {
    let drill = Drill::pair(&trial).await?;
    let keys = sessions(&drill, OWNED).await?;
    for server in BOTH {
        drill.kill(server).await?;
    }
    for server in BOTH {
        drill.restart(server).await?;
    }
    // At once, when nobody knows yet what has happened, and once every node has found out.
    nothing_revives(&drill, &keys).await?;
    drill.rejoined(&BOTH).await?;
    let before = drill.noticed().losses;
    nothing_revives(&drill, &keys).await?;
    require!(drill.noticed().losses > before, "every copy was lost, and nobody counted it");
    for server in BOTH {
        for key in &keys {
            let stored = copy_of(&drill, server, key).await?;
            let live = stored.is_some_and(|stored| stored.as_live(trial.now()).is_some());
            require!(!live, "a husk was made of a session that was lost (I1)");
        }
    }
    let fresh = sessions(&drill, OWNED).await?;
    everywhere(&drill, &fresh).await
}

/// Sessions that are nowhere are absent or, at worst, unavailable, and nothing that is done to them makes them anew.
async fn nothing_revives(drill: &Drill, keys: &[SessionKey]) -> Result<(), Ending> {
    for node in drill.nodes.iter().map(|node| &node.subject) {
        for key in keys {
            require!(found(node, key).await? != Some(true), "a session is read that no server holds");
            let write = node.write(On::Live, &[("husk", b"1")]);
            let saved = bounded("save", node.store.save(key, &write)).await?;
            if let Some(answer) = or_unavailable(saved)? {
                let refused = matches!(answer, SaveAnswer::Gone);
                require!(refused, "a write to a session that no server holds answered {answer:?}");
            }
            let touched = bounded("touch", node.store.touch(key, node.now())).await?;
            require!(or_unavailable(touched)? != Some(true), "a session is touched that no server holds");
        }
    }
    Ok(())
}

/// FAIL-43.
pub(super) async fn all_down(trial: Trial) -> Result<(), Ending> {
    let drill = Drill::pair(&trial).await?;
    let keys = sessions(&drill, OWNED).await?;
    for server in BOTH {
        drill.cut(server).await?;
    }
    nothing_works(&drill, &keys[0]).await?;
    drill.heal().await?;
    everywhere(&drill, &keys).await?;
    for server in BOTH {
        drill.pause(server).await?;
    }
    nothing_works(&drill, &keys[1]).await?;
    for server in BOTH {
        drill.resume(server).await?;
    }
    // What was asked of them meanwhile waits before them: only what nobody touched has to be as it was.
    for key in &keys[2..] {
        insist_live(&drill.nodes[0].subject, key).await?;
    }
    for server in BOTH {
        drill.kill(server).await?;
    }
    nothing_works(&drill, &keys[2]).await?;
    for server in BOTH {
        drill.restart(server).await?;
    }
    let fresh = sessions(&drill, 2).await?;
    everywhere(&drill, &fresh).await
}

/// Every operation says that the store is unavailable: no absence, no refusal, and no login that is acknowledged.
async fn nothing_works(drill: &Drill, key: &SessionKey) -> Result<(), Ending> {
    for node in drill.nodes.iter().map(|node| &node.subject) {
        all_unavailable(&every_operation(node, key).await?)?;
        let create = node.creation(&[("user", b"ann")]);
        let fresh = node.trial().key();
        match bounded("create", node.store.save(&fresh, &create)).await? {
            Ok(answer) => {
                return Err(Ending::Failed(format!("a create without any server answered {answer:?}")));
            }
            Err(error) => unavailable(&error)?,
        }
    }
    Ok(())
}

/// FAIL-45.
pub(super) async fn there_and_back(trial: Trial) -> Result<(), Ending> {
    let drill = Drill::pair(&trial).await?;
    let keys = sessions(&drill, OWNED).await?;
    let mut load = Load::start(&drill).await?;
    for server in [0, 1, 0] {
        load = load.strike(&drill, drill.kill(server)).await?;
        load.goes_on(60).await?;
        load = load.relieve(&drill, drill.restart(server)).await?;
        load.goes_on(20).await?;
        let ledger = load.end().await?;
        audit(&drill, &ledger).await?;
        everywhere(&drill, &keys).await?;
        settle(&drill, &keys).await?;
        load = Load::start_on(&drill, ledger).await?;
    }
    audit(&drill, &*load.end().await?).await
}

/// FAIL-46.
pub(super) async fn dies_again_at_once(trial: Trial) -> Result<(), Ending> {
    for server in BOTH {
        let drill = Drill::pair(&trial).await?;
        let load = Load::start(&drill).await?;
        let load = load.strike(&drill, drill.kill(server)).await?;
        load.goes_on(30).await?;
        drill.restart(server).await?;
        drill.kill(server).await?;
        load.goes_on(30).await?;
        let load = load.relieve(&drill, drill.restart(server)).await?;
        load.goes_on(30).await?;
        let ledger = load.end().await?;
        audit(&drill, &ledger).await?;
        drill.kill(1 - server).await?;
        readable(&drill, &ledger).await?;
        born(&drill.nodes[0].subject, b"next").await?;
    }
    Ok(())
}
