//! An application node dies, or sleeps, in the middle of an operation.

use holdover_api::{Error, Loaded, On, SaveAnswer, SessionKey, Write};

use super::tools::{Lane, bounded, insist_live};
use crate::case::Ending;
use crate::proxy::{Behaviour, Break, Direction};
use crate::require;
use crate::trial::{LIFETIME, Subject, Trial};

/// FAIL-28.
pub(super) async fn killed_in_a_save(trial: Trial) -> Result<(), Ending> {
    let other = trial.node().await?;
    for direction in [Direction::Requests, Direction::Responses] {
        let key = other.create(&[("a", b"old"), ("b", b"old")]).await?;
        let stamp = die_in_a_save(&trial, &key, direction).await?;
        let record = other.load_live(&key).await?.record;
        let new = |name: &str| record.attributes.get(name).is_some_and(|value| value == "new");
        let parts = [new("a"), new("b"), record.lineage.contains(stamp)];
        let whole = parts == [true; 3] || parts == [false; 3];
        require!(whole, "a node that died left half of its write behind (S4): {parts:?}");
        let save = other.merge(&key, &[("c", b"next")]);
        bounded("a save after another node had died", save).await??;
        other.delete(&key).await?;
        require!(
            other.load(&key).await?.is_none(),
            "a delete after another node had died left the session (I1)"
        );
    }
    Ok(())
}

/// A node of its own begins a save and is gone, connections and all, with the request or the answer on its way.
async fn die_in_a_save(
    trial: &Trial,
    key: &SessionKey,
    direction: Direction,
) -> Result<holdover_api::Stamp, Ending> {
    let lane = Lane::open(trial).await?;
    let read = lane.node.load_live(key).await?;
    let write = lane.node.write(On::Live, &[("a", b"new"), ("b", b"new")]);
    // With what it was made from, so that the write itself is on its way and not a read before it.
    let write = Write { base: Some(read), ..write };
    let stamp = write.stamp;
    lane.proxy.set(direction, Behaviour::Hold);
    let before = lane.proxy.counts().delayed;
    let (node, key) = (lane.node.clone(), *key);
    let save = tokio::spawn(async move { node.store.save(&key, &write).await });
    bounded("a request", lane.proxy.until(|counts| counts.delayed > before)).await?;
    save.abort();
    let _ = save.await;
    lane.proxy.break_connections(Break::Reset).await;
    Ok(stamp)
}

/// FAIL-29.
pub(super) async fn asleep_in_a_save(trial: Trial) -> Result<(), Ending> {
    let other = trial.node().await?;

    let key = other.create(&[("cart", b"old")]).await?;
    let answer = sleep_through(&trial, &key, Sleeper::Head, overtake(&other, &key)).await?;
    if let Ok(answer) = answer {
        let refused = answer == Woken::Refused;
        require!(refused, "a node that slept through another's write wrote over it");
    }
    let record = other.load_live(&key).await?.record;
    let kept = record.attributes.get("cart").is_some_and(|value| value == "new");
    require!(kept, "a node that woke up undid another's write (I2)");

    for sleeper in [Sleeper::Head, Sleeper::Live, Sleeper::Touch] {
        let key = other.create(&[("user", b"ann")]).await?;
        let answer = sleep_through(&trial, &key, sleeper, other.delete(&key)).await?;
        if let Ok(answer) = answer {
            require!(
                answer == Woken::Refused,
                "a node that slept through a logout was told that its {sleeper:?} worked"
            );
        }
        require!(other.load(&key).await?.is_none(), "a node that woke up brought a session back (I1)");
        require!(
            !other.touch(&key, other.now() + LIFETIME).await?,
            "a node that woke up left a husk behind (I1)"
        );
    }
    Ok(())
}

async fn overtake(other: &Subject, key: &SessionKey) -> Result<(), Ending> {
    other.merge(key, &[("cart", b"new")]).await
}

/// What the sleeping node was about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sleeper {
    Head,
    Live,
    Touch,
}

/// What it was told when it woke up, if it was not told of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Woken {
    Done,
    Refused,
}

/// A node's request waits on the wire while `meanwhile` happens, and then reaches the server.
async fn sleep_through(
    trial: &Trial,
    key: &SessionKey,
    sleeper: Sleeper,
    meanwhile: impl Future<Output = Result<(), Ending>>,
) -> Result<Result<Woken, Error>, Ending> {
    let lane = Lane::open(trial).await?;
    let node = lane.node.clone();
    let read = insist_live(&node, key).await?;
    lane.proxy.set(Direction::Requests, Behaviour::Hold);
    let before = lane.proxy.counts();
    let key = *key;
    let asleep = tokio::spawn(async move { act(&node, &key, sleeper, read).await });
    bounded("a request", lane.proxy.until(|counts| counts.delayed > before.delayed)).await?;
    meanwhile.await?;
    lane.proxy.heal().await;
    // The server has dealt with it when its answer comes; a node that has given up meanwhile has closed its connection.
    let dealt_with = lane.proxy.until(|counts| counts.responses > before.responses || counts.open == 0);
    bounded("the request of a node that woke up", dealt_with).await?;
    bounded("an operation of a node that woke up", asleep)
        .await?
        .map_err(|error| Ending::Error(error.to_string()))
}

async fn act(node: &Subject, key: &SessionKey, sleeper: Sleeper, read: Loaded) -> Result<Woken, Error> {
    let on = match sleeper {
        Sleeper::Head => On::Head(read.record.head()),
        Sleeper::Live => On::Live,
        Sleeper::Touch => {
            let found = node.store.touch(key, node.now() + LIFETIME).await?;
            return Ok(if found { Woken::Done } else { Woken::Refused });
        }
    };
    let write = node.write(on, &[("cart", b"asleep"), ("user", b"ann")]);
    let write = Write { base: Some(read), ..write };
    let answer = node.store.save(key, &write).await?;
    Ok(match answer {
        SaveAnswer::Saved { .. } => Woken::Done,
        SaveAnswer::Conflict { .. } | SaveAnswer::Gone => Woken::Refused,
    })
}
