//! What two copies cost on the wire, one operation at a time.

use std::time::Duration;

use holdover_api::{On, SaveAnswer, SessionKey, SessionStoreExt, Write, pause, within};

use super::tools::{BOTH, born};
use crate::case::Ending;
use crate::drill::{AppNode, Drill, PATIENCE};
use crate::proxy::{Behaviour, Direction};
use crate::require;
use crate::suites::fail::tools::{bounded, insist_live};
use crate::trial::{LIFETIME, Trial};

const ROUNDS: usize = 5;
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

/// What a read costs: one call for each copy.
const READ: usize = 2;
/// What a request costs that has read and then writes: two calls for each copy.
const READ_AND_WRITE: usize = 4;

/// FAIL-54.
pub(super) async fn calls(trial: Trial) -> Result<(), Ending> {
    let drill = Drill::pair(&trial).await?;
    for node in &drill.nodes {
        warm(&drill, node).await?;
    }
    let node = &drill.nodes[0];
    for _ in 0..ROUNDS {
        let subject = &node.subject;
        let (key, write) = (trial.key(), subject.creation(&[("user", b"ann")]));
        let (cost, created) = counted(&drill, &key, subject.store.save(&key, &write)).await;
        require!(matches!(created, Ok(SaveAnswer::Saved { .. })), "a create answered {created:?}");
        require!(cost <= READ_AND_WRITE, "a create took {cost} calls, and {READ_AND_WRITE} are enough");

        let (read, loaded) = counted(&drill, &key, subject.load_live(&key)).await;
        let loaded = loaded?;
        require!(read == READ, "a read took {read} calls, and has to take {READ}");
        let write = subject.write(On::Head(loaded.record.head()), &[("page", b"2")]);
        let write = Write { base: Some(loaded), ..write };
        let (save, saved) = counted(&drill, &key, subject.save(&key, &write)).await;
        require!(matches!(saved?, SaveAnswer::Saved { .. }), "a save on what was just read was refused");
        let cost = read + save;
        require!(
            cost == READ_AND_WRITE,
            "a request that reads and writes took {cost} calls, and has to take {READ_AND_WRITE}"
        );
        let (cost, touched) = counted(&drill, &key, subject.touch(&key, subject.now() + LIFETIME * 2)).await;
        require!(touched?, "a touch found no session");
        require!(cost <= READ_AND_WRITE, "a touch took {cost} calls, and {READ_AND_WRITE} are enough");
        let (cost, deleted) = counted(&drill, &key, subject.delete(&key)).await;
        deleted?;
        require!(cost <= READ_AND_WRITE, "a logout took {cost} calls, and {READ_AND_WRITE} are enough");
    }
    at_once(&drill).await
}

/// Both copies are asked at the same time: each question is on its way before either is answered.
async fn at_once(drill: &Drill) -> Result<(), Ending> {
    let node = &drill.nodes[0];
    let key = born(&node.subject, b"ann").await?;
    copied(drill, &key).await;
    insist_live(&node.subject, &key).await?;
    let before: Vec<_> = node.links().map(crate::proxy::Proxy::counts).collect();
    for link in node.links() {
        link.set(Direction::Responses, Behaviour::Hold);
    }
    let load = bounded("load", node.subject.store.load_latest(&key));
    let asked = async {
        for (link, before) in node.links().zip(&before) {
            bounded("both questions", link.until(|counts| counts.requests > before.requests)).await?;
        }
        for link in node.links() {
            link.set(Direction::Responses, Behaviour::Pass);
        }
        Ok::<(), Ending>(())
    };
    let (loaded, asked) = tokio::join!(load, asked);
    asked?;
    require!(matches!(loaded?, Ok(Some(_))), "a load of a live session failed");
    // Whoever asks one after the other has given the first up before it asked the second, and its connection with it.
    insist_live(&node.subject, &key).await?;
    for (link, before) in node.links().zip(&before) {
        let after = link.counts();
        let kept = after.connections == before.connections && after.requests == before.requests + READ;
        require!(kept, "the copies are asked one after the other: a read costs two round trips");
    }
    Ok(())
}

/// FAIL-55.
pub(super) async fn quiet(trial: Trial) -> Result<(), Ending> {
    let drill = Drill::pair(&trial).await?;
    for node in &drill.nodes {
        warm(&drill, node).await?;
    }
    let [busy, idle] = [&drill.nodes[0], &drill.nodes[1]];
    let key = born(&busy.subject, b"ann").await?;
    copied(&drill, &key).await;
    let before = [asked(busy), asked(idle)];
    for _ in 0..ROUNDS {
        insist_live(&busy.subject, &key).await?;
    }
    let rise = asked(busy) - before[0];
    require!(rise == ROUNDS * READ, "{ROUNDS} reads were {rise} calls: something else asks, too");
    // A whole time-out passes for the busy node while nobody uses the idle one.
    for server in BOTH {
        drill.pause(server).await?;
        insist_live(&busy.subject, &key).await?;
        drill.resume(server).await?;
        insist_live(&busy.subject, &key).await?;
    }
    let rise = asked(idle) - before[1];
    require!(rise == 0, "a node that nobody uses made {rise} calls");
    Ok(())
}

/// Every operation once: connections are open, scripts are loaded, everybody knows the servers.
async fn warm(drill: &Drill, node: &AppNode) -> Result<(), Ending> {
    let subject = &node.subject;
    let key: SessionKey = born(subject, b"warm").await?;
    let loaded = insist_live(subject, &key).await?;
    for on in [On::Live, On::Head(loaded.record.head())] {
        subject.save(&key, &subject.write(on, &[("warm", b"1")])).await?;
    }
    subject.touch(&key, subject.now() + LIFETIME * 2).await?;
    subject.load(&subject.trial().key()).await?;
    subject.delete(&key).await?;
    copied(drill, &key).await;
    Ok(())
}

fn asked(node: &AppNode) -> usize {
    node.links().map(|link| link.counts().requests).sum()
}

/// What an operation costs, with what it leaves to be done after its answer.
async fn counted<T>(drill: &Drill, key: &SessionKey, work: impl Future<Output = T>) -> (usize, T) {
    let before = asked(&drill.nodes[0]);
    let done = work.await;
    if !drill.copies.before_the_answer {
        copied(drill, key).await;
    }
    (asked(&drill.nodes[0]) - before, done)
}

/// Waits until both copies are the same, past the proxies that count.
async fn copied(drill: &Drill, key: &SessionKey) {
    let equal = async {
        loop {
            let [one, other] = [drill.below()[0].inspect(key).await, drill.below()[1].inspect(key).await];
            if matches!((one, other), (Ok(one), Ok(other)) if one == other) {
                return;
            }
            pause(BETWEEN_LOOKS).await;
        }
    };
    // Copies that stay apart are another case's matter.
    let _ = within(PATIENCE, equal).await;
}
