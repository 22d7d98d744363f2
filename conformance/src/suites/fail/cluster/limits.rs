//! Whatever is down, everything ends, and a server that is gone costs next to nothing.

use holdover_api::{On, SaveAnswer, SessionStoreExt};

use super::tools::{everywhere, found, sessions};
use crate::case::Ending;
use crate::drill::{AppNode, Drill};
use crate::require;
use crate::suites::fail::tools::{insist, insist_live};
use crate::trial::Trial;

/// Operations that follow the one that has found out.
const FOLLOWING: usize = 16;
/// How many of those may ask the server that is gone whether it is back.
const PROBES: usize = 2;

/// What a server's state can be without its memory being lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Up,
    Cut,
    Asleep,
}

/// FAIL-51.
pub(super) async fn every_lookup_ends(trial: Trial) -> Result<(), Ending> {
    let states = [State::Up, State::Cut, State::Asleep];
    let drill = Drill::pair(&trial).await?;
    let keys = sessions(&drill, 2).await?;
    for head in states {
        for tail in states {
            for (server, state) in [(0, head), (1, tail)] {
                match state {
                    State::Up => {}
                    State::Cut => drill.cut(server).await?,
                    State::Asleep => drill.pause(server).await?,
                }
            }
            for node in drill.nodes.iter().map(|node| &node.subject) {
                let known = found(node, &keys[0]).await?;
                let told = format!("a live session was absent with servers {head:?} and {tail:?}");
                require!(known != Some(false), "{told}");
                let unknown = found(node, &trial.key()).await?;
                let told = format!("a session was invented with servers {head:?} and {tail:?}");
                require!(unknown != Some(true), "{told}");
            }
            for (server, state) in [(0, head), (1, tail)] {
                if state == State::Asleep {
                    drill.resume(server).await?;
                }
            }
            drill.heal().await?;
            everywhere(&drill, &keys).await?;
        }
    }
    Ok(())
}

/// FAIL-52.
pub(super) async fn a_hung_server_is_asked_once(trial: Trial) -> Result<(), Ending> {
    for server in [0, 1] {
        let drill = Drill::pair(&trial).await?;
        let keys = sessions(&drill, 2).await?;
        everywhere(&drill, &keys).await?;
        drill.pause(server).await?;
        for node in &drill.nodes {
            insist_live(&node.subject, &keys[0]).await?;
            let asked = |node: &AppNode| node.link(server).counts().requests;
            let before = asked(node);
            goes_on(node, &keys).await?;
            let rise = asked(node) - before;
            require!(
                rise <= PROBES,
                "of {FOLLOWING} operations {rise} went on to ask a server that hangs, each for a whole time-out"
            );
        }
        drill.resume(server).await?;
        everywhere(&drill, &keys).await?;
    }
    Ok(())
}

/// FAIL-53.
pub(super) async fn a_dead_server_is_tried_once(trial: Trial) -> Result<(), Ending> {
    for server in [0, 1] {
        let drill = Drill::pair(&trial).await?;
        let keys = sessions(&drill, 2).await?;
        everywhere(&drill, &keys).await?;
        for node in &drill.nodes {
            node.link(server).break_connections(crate::proxy::Break::Reset).await;
        }
        drill.kill(server).await?;
        for node in &drill.nodes {
            insist_live(&node.subject, &keys[0]).await?;
            let tried = |node: &AppNode| node.link(server).counts().connections;
            let before = tried(node);
            goes_on(node, &keys).await?;
            let rise = tried(node) - before;
            require!(rise <= PROBES, "of {FOLLOWING} operations {rise} tried to connect to a dead server");
        }
        drill.restart(server).await?;
        everywhere(&drill, &keys).await?;
    }
    Ok(())
}

/// Operations of which none fails.
async fn goes_on(node: &AppNode, keys: &[holdover_api::SessionKey]) -> Result<(), Ending> {
    let node = &node.subject;
    for number in 0..FOLLOWING {
        let key = &keys[number % keys.len()];
        if number % 4 == 3 {
            let merge = node.write(On::Live, &[("page", b"1")]);
            let answer = insist("save", || node.store.save(key, &merge)).await?;
            require!(matches!(answer, SaveAnswer::Saved { .. }), "a merge answered {answer:?}");
        } else {
            let loaded = insist("load", || node.store.load_latest(key)).await?;
            require!(loaded.is_some(), "a live session is gone with one server");
        }
    }
    Ok(())
}
