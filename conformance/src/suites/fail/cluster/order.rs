//! FAIL-23 and FAIL-59: two writers, and a link that lets the second one pass first.

use holdover_api::{Error, On, Record, SaveAnswer, Stored, Write};

use super::tools::{BOTH, born, copy_of};
use crate::case::Ending;
use crate::drill::{Drill, settle};
use crate::proxy::{Behaviour, Direction};
use crate::require;
use crate::suites::fail::tools::{bounded, insist_live};
use crate::trial::{LIFETIME, Trial};

const ATTEMPTS: usize = 4;

/// FAIL-23.
pub(super) async fn overtaken(trial: Trial) -> Result<(), Ending> {
    in_turn(&trial, false).await
}

/// FAIL-59.
pub(super) async fn overtaken_by_one_that_is_cut_off(trial: Trial) -> Result<(), Ending> {
    in_turn(&trial, true).await
}

async fn in_turn(trial: &Trial, cut_off: bool) -> Result<(), Ending> {
    let mut overtakes = [0; 2];
    for attempt in 0..ATTEMPTS * BOTH.len() {
        let server = attempt % BOTH.len();
        if overtakes[server] == 0 {
            overtakes[server] += usize::from(once(trial, server, cut_off).await?);
        }
    }
    if overtakes.contains(&0) {
        return Err(Ending::Vacuous("a held link was given up before the other writer was through".into()));
    }
    Ok(())
}

/// One writer's way to a server is held while another writes, who knows that server only if he is cut off. Whether the
/// first one waited for it.
async fn once(trial: &Trial, server: usize, cut_off: bool) -> Result<bool, Ending> {
    let drill = Drill::pair(trial).await?;
    let [slow, quick] = [&drill.nodes[0].subject, &drill.nodes[1].subject];
    let key = born(slow, b"ann").await?;
    if cut_off {
        drill.cut_from(1, 1 - server).await?;
    }
    insist_live(quick, &key).await?;
    let base = insist_live(slow, &key).await?;
    let link = drill.nodes[0].link(server);
    let before = (link.counts().delayed, gave_up(&drill));
    link.set(Direction::Requests, Behaviour::Hold);
    let first = Write { base: Some(base), ..slow.write(On::Live, &[("cart", b"first"), ("slow", b"1")]) };
    let second = quick.write(On::Live, &[("cart", b"second"), ("quick", b"1")]);
    let slow_save = bounded("save", slow.store.save(&key, &first));
    let overtaking = async {
        bounded("a request", link.until(|counts| counts.delayed > before.0)).await?;
        let saved = bounded("save", quick.store.save(&key, &second)).await?;
        link.set(Direction::Requests, Behaviour::Pass);
        Ok::<_, Ending>(saved)
    };
    let (slow_saved, quick_saved) = tokio::join!(slow_save, overtaking);
    let both_saved = saved(&slow_saved?)? && saved(&quick_saved?)?;
    if !both_saved || gave_up(&drill) > before.1 {
        return Ok(false);
    }
    drill.heal().await?;
    if cut_off || !drill.copies.before_the_answer {
        settle(&drill, &[key]).await?;
    }
    // Each copy by itself has both writes, and the same one last.
    let mut copies = Vec::new();
    for server in BOTH {
        copies.push(with_both(copy_of(&drill, server, &key).await?)?);
    }
    require!(copies[0] == copies[1], "the copies ended in different orders: {copies:?}");
    drill.kill(1 - server).await?;
    insist_live(quick, &key).await?;
    Ok(true)
}

/// FAIL-60.
pub(super) async fn extended_by_one_that_is_cut_off(trial: Trial) -> Result<(), Ending> {
    for server in BOTH {
        let mut waited = false;
        for _ in 0..ATTEMPTS {
            waited = waited || extended(&trial, server).await?;
        }
        if !waited {
            return Err(Ending::Vacuous("a held link was given up before the touch was through".into()));
        }
    }
    Ok(())
}

/// As [`once`] with a touch in the place of the second write.
async fn extended(trial: &Trial, server: usize) -> Result<bool, Ending> {
    let drill = Drill::pair(trial).await?;
    let [slow, quick] = [&drill.nodes[0].subject, &drill.nodes[1].subject];
    let key = born(slow, b"ann").await?;
    drill.cut_from(1, 1 - server).await?;
    insist_live(quick, &key).await?;
    let base = insist_live(slow, &key).await?;
    let link = drill.nodes[0].link(server);
    let before = (link.counts().delayed, gave_up(&drill));
    link.set(Direction::Requests, Behaviour::Hold);
    let write = Write { base: Some(base), ..slow.write(On::Live, &[("slow", b"1")]) };
    let deadline = slow.now() + LIFETIME * 3;
    let save = bounded("save", slow.store.save(&key, &write));
    let touching = async {
        bounded("a request", link.until(|counts| counts.delayed > before.0)).await?;
        let touched = bounded("touch", quick.store.touch(&key, deadline)).await?;
        link.set(Direction::Requests, Behaviour::Pass);
        Ok::<_, Ending>(touched)
    };
    let (slow_saved, touched) = tokio::join!(save, touching);
    let both_done = saved(&slow_saved?)? && matches!(touched?, Ok(true));
    if !both_done || gave_up(&drill) > before.1 {
        return Ok(false);
    }
    drill.heal().await?;
    let settled = settle(&drill, &[key]).await?;
    let Some(record) = settled.into_iter().flatten().next() else {
        return Err(Ending::Failed("a session is gone (I2)".into()));
    };
    require!(record.attributes.contains_key("slow"), "an acknowledged write is lost (I2)");
    require!(record.deadline >= deadline, "an acknowledged extension is undone by a write beside it (S12)");
    Ok(true)
}

/// How often the first node did without a server.
pub(super) fn gave_up(drill: &Drill) -> u64 {
    let noticed = drill.nodes[0].noticed();
    noticed.failovers + noticed.half_copies
}

fn saved(result: &Result<SaveAnswer, Error>) -> Result<bool, Ending> {
    match result {
        Ok(SaveAnswer::Saved { .. }) => Ok(true),
        Ok(answer) => Err(Ending::Failed(format!("a merge into a live session answered {answer:?} (S6)"))),
        Err(_) => Ok(false),
    }
}

fn with_both(stored: Option<Stored>) -> Result<Record, Ending> {
    let Some(Stored::Record(record)) = stored else {
        return Err(Ending::Failed("a copy of an acknowledged write is missing (I2)".into()));
    };
    for name in ["slow", "quick"] {
        let there = record.attributes.contains_key(name);
        require!(there, "a copy lacks the acknowledged write of the {name} writer (I2)");
    }
    Ok(record)
}
