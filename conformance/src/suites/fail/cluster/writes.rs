//! A write that reaches one copy and not the other, or whose answer is lost on the way.

use holdover_api::{Effect, Error, On, SaveAnswer, SessionKey, Write};

use super::tools::{BOTH, born, everywhere, or_unavailable, sessions};
use crate::case::Ending;
use crate::drill::{Drill, settle};
use crate::proxy::{Behaviour, Break, Direction, Proxy};
use crate::require;
use crate::suites::fail::tools::{bounded, insist, insist_live};
use crate::trial::{LIFETIME, Subject, Trial};

const ROUNDS: usize = 6;

/// FAIL-22.
pub(super) async fn evicted(trial: Trial) -> Result<(), Ending> {
    let drill = Drill::pair(&trial).await?;
    let keys = sessions(&drill, 6).await?;
    for server in BOTH {
        settle(&drill, &keys).await?;
        for key in &keys {
            let removed = drill.below()[server].delete(key).await;
            removed.map_err(|error| Ending::Error(format!("remove a copy: {error}")))?;
        }
        let (first, rest) = keys.split_at(2);
        everywhere(&drill, first).await?;
        for key in rest {
            let node = &drill.nodes[1].subject;
            node.merge(key, &[("after", b"1")]).await?;
            require!(node.touch(key, node.now() + LIFETIME * 2).await?, "a touch found no session");
        }
        settle(&drill, &keys).await?;
    }
    everywhere(&drill, &keys).await
}

/// What goes wrong between a node and a server when it wants to write.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    RequestsLost,
    AnswerCut,
    Refused,
}

async fn trouble(link: &Proxy, kind: Trouble) {
    match kind {
        Trouble::RequestsLost => link.set(Direction::Requests, Behaviour::Swallow),
        Trouble::AnswerCut => link.cut_response(0, 0, Break::Reset),
        Trouble::Refused => {
            link.refuse().await;
            link.break_connections(Break::Reset).await;
        }
    }
}

/// FAIL-24.
pub(super) async fn failed_on_one(trial: Trial) -> Result<(), Ending> {
    let drill = Drill::pair(&trial).await?;
    let node = &drill.nodes[0].subject;
    for server in BOTH {
        for kind in [Trouble::RequestsLost, Trouble::AnswerCut, Trouble::Refused] {
            let key = born(node, b"ann").await?;
            let old = insist_live(node, &key).await?;
            node.merge(&key, &[("page", b"1")]).await?;
            let base = insist_live(node, &key).await?;
            trouble(drill.nodes[0].link(server), kind).await;
            let good = Write { base: Some(base), ..node.write(On::Live, &[("good", b"1")]) };
            let good = bounded("save", node.store.save(&key, &good)).await?;
            let stale = node.write(On::Head(old.record.head()), &[("stale", b"1")]);
            let stale = Write { base: Some(old), ..stale };
            let stale = bounded("save", node.store.save(&key, &stale)).await?;
            drill.heal().await?;

            let settled = settle(&drill, &[key]).await?;
            let Some(record) = settled.into_iter().flatten().next() else {
                return Err(Ending::Failed(format!("{kind:?}: a session is gone (I2)")));
            };
            honest(&good, record.attributes.contains_key("good"), kind)?;
            honest(&stale, record.attributes.contains_key("stale"), kind)?;
            require!(!record.attributes.contains_key("stale"), "{kind:?}: a stale write got through (S7)");
        }
    }
    Ok(())
}

/// An answer means what it says: acknowledged is there, refused and sworn to be without effect is not.
fn honest(result: &Result<SaveAnswer, Error>, there: bool, kind: Trouble) -> Result<(), Ending> {
    match result {
        Ok(SaveAnswer::Saved { .. }) => require!(there, "{kind:?}: an acknowledged write is lost (I2)"),
        Ok(answer) => require!(!there, "{kind:?}: a write is there that was answered {answer:?}"),
        Err(error) if error.effect() == Effect::None => {
            require!(!there, "{kind:?}: a write is there whose error swore that it had no effect");
        }
        Err(_) => {}
    }
    Ok(())
}

/// FAIL-49.
pub(super) async fn killed_in_a_write(trial: Trial) -> Result<(), Ending> {
    for server in BOTH {
        for direction in [Direction::Requests, Direction::Responses] {
            let drill = Drill::pair(&trial).await?;
            let [one, other] = [&drill.nodes[0].subject, &drill.nodes[1].subject];
            let key = born(one, b"ann").await?;
            let base = insist_live(one, &key).await?;
            let write = Write {
                base: Some(base.clone()),
                ..one.write(On::Head(base.record.head()), &[("token", b"1")])
            };
            let link = drill.nodes[0].link(server);
            let before = link.counts().delayed;
            link.set(direction, Behaviour::Hold);
            let save = bounded("a save whose server is killed", one.store.save(&key, &write));
            let killing = async {
                bounded("a request", link.until(|counts| counts.delayed > before)).await?;
                drill.kill(server).await?;
                link.heal().await;
                Ok::<(), Ending>(())
            };
            let (result, killed) = tokio::join!(save, killing);
            killed?;
            let result = result?;
            let loaded = insist_live(other, &key).await?;
            let there = |record: &holdover_api::Record| record.lineage.contains(write.stamp);
            if matches!(result, Ok(SaveAnswer::Saved { .. })) {
                require!(there(&loaded.record), "a write was acknowledged on the server that died only (I2)");
            }
            drill.restart(server).await?;
            if let Some(answer) = or_unavailable(result)? {
                let saved = matches!(answer, SaveAnswer::Saved { .. });
                require!(saved, "a write that nobody opposed was answered {answer:?}");
            }
            again(one, &key, &write, "token").await?;
            settle(&drill, &[key]).await?;
        }
    }
    Ok(())
}

/// The same write once more takes effect, once (S9, I3).
async fn again(node: &Subject, key: &SessionKey, write: &Write, name: &str) -> Result<(), Ending> {
    let answer = insist("save", || node.store.save(key, write)).await?;
    let saved = matches!(answer, SaveAnswer::Saved { .. });
    require!(saved, "the same write once more was answered {answer:?} (I3)");
    let record = insist_live(node, key).await?.record;
    require!(record.attributes.contains_key(name), "a write that was acknowledged is not there (I2)");
    let times = record.lineage.stamps().iter().filter(|stamp| **stamp == write.stamp).count();
    require!(times == 1, "a write that was tried again happened {times} times (I3)");
    Ok(())
}

/// FAIL-56.
pub(super) async fn answer_lost(trial: Trial) -> Result<(), Ending> {
    let drill = Drill::pair(&trial).await?;
    let node = &drill.nodes[0].subject;
    for server in BOTH {
        let link = drill.nodes[0].link(server);
        for round in 0..ROUNDS {
            let key = trial.key();
            let create = node.creation(&[("user", b"ann")]);
            // Each answer in turn: whatever calls an operation makes, one of the rounds loses the last of them.
            let lose = || link.cut_response(round / 2, 0, Break::Reset);
            lose();
            let created = bounded("create", node.store.save(&key, &create)).await?;
            not_refused(created)?;
            link.heal().await;
            again(node, &key, &create, "user").await?;

            let base = insist_live(node, &key).await?;
            let write = Write {
                base: Some(base.clone()),
                ..node.write(On::Head(base.record.head()), &[("n", b"1")])
            };
            lose();
            let saved = bounded("save", node.store.save(&key, &write)).await?;
            not_refused(saved)?;
            link.heal().await;
            again(node, &key, &write, "n").await?;

            lose();
            or_unavailable(bounded("delete", node.store.delete(&key)).await?)?;
            link.heal().await;
            insist("delete", || node.store.delete(&key)).await?;
            let settled = settle(&drill, &[key]).await?;
            require!(settled == [None], "a session lives though its logout was acknowledged (I1)");
        }
    }
    Ok(())
}

/// A write that nobody opposed may be acknowledged or unavailable, but never refused: that would be its own shadow.
fn not_refused(result: Result<SaveAnswer, Error>) -> Result<(), Ending> {
    match or_unavailable(result)? {
        None | Some(SaveAnswer::Saved { .. }) => Ok(()),
        Some(answer) => Err(Ending::Failed(format!("a write met its own shadow: {answer:?} (I3)"))),
    }
}

/// FAIL-57.
pub(super) async fn extended_on_one(trial: Trial) -> Result<(), Ending> {
    for server in BOTH {
        let drill = Drill::pair(&trial).await?;
        let [one, other] = [&drill.nodes[0].subject, &drill.nodes[1].subject];
        let key = born(one, b"ann").await?;
        settle(&drill, &[key]).await?;
        drill.cut(server).await?;
        let deadline = one.now() + LIFETIME * 3;
        let touched = insist("touch", || one.store.touch(&key, deadline)).await?;
        require!(touched, "a touch found no session");
        drill.heal().await?;
        let seen = insist_live(other, &key).await?;
        require!(
            seen.record.deadline == deadline,
            "an extension is not seen after the server's return (S12)"
        );
        settle(&drill, &[key]).await?;
        drill.kill(1 - server).await?;
        let seen = insist_live(other, &key).await?;
        require!(seen.record.deadline == deadline, "an extension died with the server that had it (S12)");
    }
    Ok(())
}
