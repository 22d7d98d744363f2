//! Readers that accept a copy: RACE-31 to RACE-36.
//!
//! A reader says how old a copy may be (`Freshness::Within`), and a store may serve one, or not. So these cases apply to
//! every store: what may not be served is the same for all.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use holdover_api::{On, SaveAnswer, SessionKey, pause};

use super::support::{
    case, must_conflict, number, on_head, require_dead, step_aside, text, together, two_nodes,
};
use crate::case::{Case, Ending};
use crate::require;
use crate::trial::{LIFETIME, Subject, Trial};

/// The bound where the bound itself is the question. Everything else is decided by answers, not by time.
const BOUND: Duration = Duration::from_millis(50);
/// Longer than any case takes: whatever copy there is will do.
const ANY: Duration = LIFETIME;
const ROUNDS: usize = 40;
const WRITERS: usize = 3;
/// How far a write is.
const BEFORE: u8 = 0;
const DURING: u8 = 1;
const AFTER: u8 = 2;
const NAMES: [&str; WRITERS] = ["a", "b", "c"];

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(
            "RACE-31",
            "another_nodes_write_is_read_within_the_bound_that_the_reader_names",
            "One node has read a session, another changes it. A reader that accepts what is a while old sees the change \
             after that while, any other at once (I7): caches that nobody invalidates show the old session until \
             they forget it (tower-sessions#20).",
            |trial| Box::pin(remote_write(trial)),
        ),
        case(
            "RACE-32",
            "another_nodes_logout_is_seen_within_the_bound_that_the_reader_names",
            "One node has read a session, another logs out. The session is dead for every writer and every reader of \
             the latest at once, and for one that accepts what is a while old after that while (I1, I7).",
            |trial| Box::pin(remote_logout(trial)),
        ),
        case(
            "RACE-33",
            "a_load_that_a_write_overtakes_leaves_no_old_copy_behind",
            "A load is on its way while the same node writes. It must not put what it has read back into a cache that \
             the write has just cleared (guava#1881, lettuce#3481): the old session would be served until the copy ages.",
            |trial| Box::pin(refill(trial)),
        ),
        case(
            "RACE-34",
            "a_refusal_shows_that_a_copy_is_outdated",
            "A write that was made from an old copy is refused. Whoever then reads on that node sees what refused it, \
             and not the copy once more, whatever age is accepted: otherwise a retry fails for ever.",
            |trial| Box::pin(refusal(trial)),
        ),
        case(
            "RACE-35",
            "absence_is_never_served_from_a_copy",
            "A node has looked for a session before another created it. A login that redirects to a node which \
             remembers that there was nothing would fail at random.",
            |trial| Box::pin(absence(trial)),
        ),
        case(
            "RACE-36",
            "after_concurrent_writes_a_copy_is_what_is_stored",
            "Several writes of one node meet. If store and cache take them in different orders the cache keeps what \
             the store has replaced, and shows it to the next request.",
            |trial| Box::pin(order(trial)),
        ),
    ]
}

/// Reads on this node, so that a store that keeps copies has one from now.
async fn keep_copy(node: &Subject, key: &SessionKey) -> Result<(), Ending> {
    node.load_live(key).await?;
    let kept = node.load_within(key, ANY).await?;
    require!(kept.is_some(), "a load that accepts a copy found nothing where a live session has to be");
    Ok(())
}

/// The value of `n` to a reader that accepts a copy so old.
async fn read_within(node: &Subject, key: &SessionKey, bound: Duration) -> Result<u64, Ending> {
    let loaded = node.load_within(key, bound).await?;
    let loaded = loaded.ok_or_else(|| Ending::Failed("a live session was not found".into()))?;
    Ok(number(&loaded.record, "n"))
}

async fn remote_write(trial: Trial) -> Result<(), Ending> {
    let (reader, writer) = two_nodes(&trial).await?;
    let key = reader.create(&[("n", b"1")]).await?;
    keep_copy(&reader, &key).await?;
    writer.merge(&key, &[("n", b"2")]).await?;
    let seen = read_within(&reader, &key, ANY).await?;
    require!([1, 2].contains(&seen), "a reader of what may be old saw {seen}, which was never written");
    // From here on the write is longer ago than the reader accepts.
    pause(BOUND).await;
    let seen = read_within(&reader, &key, BOUND).await?;
    require!(seen == 2, "{} ms after a write its node's neighbour still reads {seen}", BOUND.as_millis());

    keep_copy(&reader, &key).await?;
    writer.merge(&key, &[("n", b"3")]).await?;
    let seen = read_within(&reader, &key, Duration::ZERO).await?;
    require!(seen == 3, "a reader that accepts nothing old read {seen} after 3 was acknowledged");
    keep_copy(&reader, &key).await?;
    writer.merge(&key, &[("n", b"4")]).await?;
    let seen = number(&reader.load_live(&key).await?.record, "n");
    require!(seen == 4, "a reader of the latest read {seen} after 4 was acknowledged (S2)");
    let seen = read_within(&reader, &key, ANY).await?;
    require!(seen == 4, "the node has read 4 and then served {seen}");
    Ok(())
}

async fn remote_logout(trial: Trial) -> Result<(), Ending> {
    let (reader, other) = two_nodes(&trial).await?;
    for at_once in [true, false] {
        let key = reader.create(&[("n", b"1")]).await?;
        keep_copy(&reader, &key).await?;
        let head = reader.load_live(&key).await?.record.head();
        other.delete(&key).await?;
        if !at_once {
            pause(BOUND).await;
            let seen = reader.load_within(&key, BOUND).await?;
            require!(seen.is_none(), "a logout is not seen {} ms later", BOUND.as_millis());
        }
        require_dead(&reader, &key, head).await?;
        let seen = reader.load_within(&key, ANY).await?;
        require!(seen.is_none(), "the node knows that the session is gone, and serves a copy of it");
    }
    Ok(())
}

async fn refill(trial: Trial) -> Result<(), Ending> {
    let mut met = 0;
    let node = trial.node().await?;
    for round in 0..ROUNDS {
        let deletes = round % 4 == 3;
        met += refill_round(&node, deletes).await?;
    }
    if met == 0 {
        return Err(Ending::Vacuous(format!("in {ROUNDS} rounds no load met a write")));
    }
    Ok(())
}

/// Loads while a write, or a deletion, is on its way. Answers how many loads met it.
async fn refill_round(node: &Subject, deletes: bool) -> Result<usize, Ending> {
    let key = node.create(&[("n", b"1")]).await?;
    let phase = Arc::new(AtomicU8::new(BEFORE));
    let clients = [false, true, false].map(|writes| {
        let (node, phase) = (node.clone(), Arc::clone(&phase));
        async move {
            if writes {
                phase.store(DURING, Ordering::SeqCst);
                let changed = change(&node, &key, deletes).await;
                phase.store(AFTER, Ordering::SeqCst);
                return changed.map(|()| 0);
            }
            let mut met = 0;
            while phase.load(Ordering::SeqCst) != AFTER {
                node.load(&key).await?;
                met += usize::from(phase.load(Ordering::SeqCst) != BEFORE);
                step_aside(1).await;
            }
            Ok(met)
        }
    });
    let met = together(clients).await?.into_iter().sum();
    let seen = node.load_within(&key, ANY).await?;
    let seen = seen.map(|loaded| number(&loaded.record, "n"));
    let wanted = (!deletes).then_some(2);
    require!(seen == wanted, "a node has acknowledged {wanted:?} and then serves {seen:?}");
    Ok(met)
}

async fn change(node: &Subject, key: &SessionKey, deletes: bool) -> Result<(), Ending> {
    step_aside(2).await;
    if deletes { node.delete(key).await } else { node.merge(key, &[("n", b"2")]).await }
}

async fn refusal(trial: Trial) -> Result<(), Ending> {
    let (node, other) = two_nodes(&trial).await?;
    let key = node.create(&[("n", b"1")]).await?;
    keep_copy(&node, &key).await?;
    let read = node.load_live(&key).await?;
    other.merge(&key, &[("n", b"2")]).await?;
    must_conflict(&node, &key, &on_head(&node, &read, &[("n", b"9")])).await?;
    let seen = read_within(&node, &key, ANY).await?;
    require!(seen == 2, "after a conflict the node serves {seen} and not what it conflicted with");

    keep_copy(&node, &key).await?;
    other.delete(&key).await?;
    let answer = node.save(&key, &node.write(On::Live, &[("n", b"9")])).await?;
    require!(matches!(answer, SaveAnswer::Gone), "a merge into a destroyed session answered {answer:?}");
    let seen = node.load_within(&key, ANY).await?;
    require!(seen.is_none(), "a node has said that the session is gone, and serves a copy of it");

    let key = node.create(&[("n", b"1")]).await?;
    keep_copy(&node, &key).await?;
    other.delete(&key).await?;
    let touched = node.touch(&key, node.now() + LIFETIME * 2).await?;
    require!(!touched, "a touch of a destroyed session answered that it lives");
    let seen = node.load_within(&key, ANY).await?;
    require!(seen.is_none(), "a touch has shown that the session is gone, and the node serves a copy of it");
    Ok(())
}

async fn absence(trial: Trial) -> Result<(), Ending> {
    let (node, other) = two_nodes(&trial).await?;
    let key = trial.key();
    for bound in [ANY, Duration::ZERO] {
        let seen = node.load_within(&key, bound).await?;
        require!(seen.is_none(), "a session was found that nobody has created");
    }
    let created = other.save(&key, &other.creation(&[("n", b"1")])).await?;
    require!(matches!(created, SaveAnswer::Saved { .. }), "a create answered {created:?}");
    let seen = read_within(&node, &key, ANY).await?;
    require!(seen == 1, "a new session was read as {seen}");
    Ok(())
}

async fn order(trial: Trial) -> Result<(), Ending> {
    let (node, other) = two_nodes(&trial).await?;
    let key = node.create(&[]).await?;
    for round in 0..ROUNDS {
        keep_copy(&node, &key).await?;
        let value = round.to_string();
        let writers = NAMES.map(|name| {
            let (node, value) = (node.clone(), value.clone());
            async move { node.merge(&key, &[(name, value.as_bytes())]).await }
        });
        together(writers).await?;
        // Whoever accepts a copy reads first: a reader of the latest would put it right.
        let copy = node.load_within(&key, ANY).await?;
        let stored = other.load_live(&key).await?.record;
        let head = copy.as_ref().map(|copy| copy.record.head());
        require!(
            head == Some(stored.head()),
            "after round {round} a node serves what the store has replaced"
        );
        let values = NAMES.map(|name| copy.as_ref().map(|copy| text(&copy.record, name)));
        let wanted = NAMES.map(|_| Some(value.clone()));
        require!(values == wanted, "after {value} was acknowledged for each, a node serves {values:?}");
    }
    Ok(())
}
