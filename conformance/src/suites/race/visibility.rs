//! What others may see: RACE-17, RACE-18, RACE-22 and RACE-23.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use holdover_api::{Deadline, Delta, ErrorKind, On, SaveAnswer, SessionKey, Stored, Timestamp, Write};

use super::support::{
    all_read, case, must_save, number, on_head, on_live, step_aside, together, two_nodes, until,
};
use crate::case::{Case, Ending};
use crate::require;
use crate::trial::{LIFETIME, Subject, Trial};

const WRITES: u64 = 200;
const ROUNDS: usize = 5;
const SEEN_AT_LEAST: usize = 3;
const HANDOVERS: usize = 100;
/// A store that takes more than this in one record is not asked to refuse one: it would cost too much to send.
const LARGEST_REFUSAL: usize = 8 * 1024 * 1024;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(
            "RACE-17",
            "nothing_of_a_refused_write_is_ever_visible",
            "A write that was told Conflict, Gone or TooLarge has had no effect at all (S4, S11): a retry would \
             otherwise count twice.",
            |trial| Box::pin(refused_writes(trial)),
        ),
        case(
            "RACE-18",
            "readers_see_whole_writes_only",
            "A write sets three attributes and the deadline. Readers on another node see all of it or none (S4): \
             stores that write content and time-out in two steps show mixtures, and a crash between them leaves an \
             immortal session (spring-session#2469, #3357).",
            |trial| Box::pin(whole_writes(trial)),
        ),
        case(
            "RACE-22",
            "what_one_node_acknowledged_every_other_node_reads",
            "A browser's next request lands on another node. It must see what the one before was promised (S2): \
             caches in each process break this (tower-sessions#20, keycloak#29592).",
            |trial| Box::pin(read_your_writes(trial)),
        ),
        case(
            "RACE-23",
            "reads_that_alternate_between_nodes_never_go_back",
            "While somebody writes, a browser's requests alternate between two nodes. What they read never becomes \
             older (S2).",
            |trial| Box::pin(monotonic_reads(trial)),
        ),
    ]
}

async fn refused_writes(trial: Trial) -> Result<(), Ending> {
    let (one, two) = two_nodes(&trial).await?;
    let key = one.create(&[("n", b"0")]).await?;
    let stale = one.load_live(&key).await?;
    must_save(&two, &key, &on_head(&two, &stale, &[("n", b"1")])).await?;
    let before = two.load_live(&key).await?.record;

    let stale_deadline = Deadline::AtLeast(one.now() + LIFETIME * 5);
    let refused = until(on_head(&one, &stale, &[("n", b"2"), ("stale", b"1")]), stale_deadline);
    let mut removing = until(on_head(&one, &stale, &[]), stale_deadline);
    removing.delta.remove("n");
    let created = until(one.creation(&[("n", b"3"), ("created", b"1")]), stale_deadline);
    for write in [&refused, &removing, &created] {
        let answer = one.save(&key, write).await?;
        require!(matches!(answer, SaveAnswer::Conflict { .. }), "{:?} answered {answer:?}", write.on);
    }
    too_large(&one, &key).await?;
    for node in [&one, &two] {
        let seen = node.load_live(&key).await?.record;
        require!(*seen == *before, "a refused write changed the record from {before:?} to {seen:?}");
    }

    one.delete(&key).await?;
    let answer = one.save(&key, &one.write(On::Live, &[("gone", b"1")])).await?;
    require!(matches!(answer, SaveAnswer::Gone), "a save on a destroyed session answered {answer:?}");
    match two.save(&key, &two.creation(&[("n", b"9")])).await? {
        SaveAnswer::Saved { .. } => {}
        // A tombstone may be in the way (S5): then there is no new session to look at.
        SaveAnswer::Gone => {
            require!(one.load(&key).await?.is_none(), "a create that was refused made a session");
            return Ok(());
        }
        answer @ SaveAnswer::Conflict { .. } => {
            return Err(Ending::Failed(format!(
                "a create where a session was destroyed answered {answer:?}"
            )));
        }
    }
    for node in [&one, &two] {
        let seen = node.load_live(&key).await?.record;
        require!(seen.attributes.len() == 1, "the new session holds {:?}", seen.attributes.keys());
        require!(seen.lineage.stamps().len() == 1, "the new session remembers writes of the old one");
    }
    Ok(())
}

async fn too_large(node: &Subject, key: &SessionKey) -> Result<(), Ending> {
    let limit = node.capabilities().max_bytes;
    if limit > LARGEST_REFUSAL {
        return Ok(());
    }
    let oversized = vec![b'x'; limit + 1];
    let write = node.write(On::Live, &[("n", b"4"), ("oversized", &oversized)]);
    match node.store.save(key, &write).await {
        Err(error) if error.kind() == ErrorKind::TooLarge => Ok(()),
        answer => Err(Ending::Failed(format!("a save over the size limit answered {answer:?}"))),
    }
}

async fn whole_writes(trial: Trial) -> Result<(), Ending> {
    let mut seen = BTreeSet::new();
    for _ in 0..ROUNDS {
        seen.extend(whole_writes_round(&trial).await?);
        if seen.len() >= SEEN_AT_LEAST {
            return Ok(());
        }
    }
    Err(Ending::Vacuous(format!("the readers saw only {} of {WRITES} states", seen.len())))
}

/// Answers which states the readers saw.
async fn whole_writes_round(trial: &Trial) -> Result<BTreeSet<u64>, Ending> {
    let writer = trial.node().await?;
    let base = writer.now() + LIFETIME;
    let first = numbered(&writer, On::Absent { created: writer.now() }, 0, base);
    let key = trial.key();
    must_save(&writer, &key, &first).await?;
    let done = Arc::new(AtomicBool::new(false));

    let mut clients = Vec::new();
    for _ in 0..2 {
        let (reader, done) = (trial.node().await?, Arc::clone(&done));
        clients.push((reader, done, false));
    }
    clients.push((writer, done, true));
    let running = clients.into_iter().map(|(node, done, writes)| {
        let trial = trial.clone();
        async move {
            if !writes {
                return watch(&trial, &node, &key, base, &done).await;
            }
            let written = write_numbers(&node, &key, base).await;
            done.store(true, Ordering::SeqCst);
            written.map(|()| BTreeSet::new())
        }
    });
    let seen = together(running).await?;
    Ok(seen.into_iter().flatten().collect())
}

/// A write whose three attributes and deadline all say the same number.
fn numbered(node: &Subject, on: On, number: u64, base: Timestamp) -> Write {
    let mut delta = Delta::default();
    delta.clear();
    for name in ["a", "b", "c"] {
        delta.set(name, number.to_string().into_bytes());
    }
    let deadline = Deadline::Exactly(base + Duration::from_secs(number));
    Write { delta, deadline, ..node.write(on, &[]) }
}

async fn write_numbers(node: &Subject, key: &SessionKey, base: Timestamp) -> Result<(), Ending> {
    for number in 1..=WRITES {
        let on = if number % 3 == 0 { On::Head(node.load_live(key).await?.record.head()) } else { On::Live };
        must_save(node, key, &numbered(node, on, number, base)).await?;
        step_aside(2).await;
    }
    Ok(())
}

async fn watch(
    trial: &Trial,
    node: &Subject,
    key: &SessionKey,
    base: Timestamp,
    done: &AtomicBool,
) -> Result<BTreeSet<u64>, Ending> {
    let mut seen = BTreeSet::new();
    while !done.load(Ordering::SeqCst) {
        let record = node.load_live(key).await?.record;
        let values = ["a", "b", "c"].map(|name| number(&record, name));
        let until = base + Duration::from_secs(values[0]);
        require!(
            values == [values[0]; 3] && record.deadline == until,
            "a reader saw the mixture {values:?} with a deadline {} s after the first",
            record.deadline.since(base).as_secs()
        );
        seen.insert(values[0]);
        if let Some(raw) = trial.harness().raw() {
            let native = raw.native_deadline(trial.place(), key).await.map_err(Ending::Error)?;
            require!(
                native != Some(None) || node.has_no_native_deadlines(),
                "between two writes the session was immortal"
            );
        }
        step_aside(1).await;
    }
    let kept = node.store.inspect(key).await.ok().flatten();
    require!(matches!(kept, Some(Stored::Record(_))), "inspect does not see the record that loads see");
    Ok(seen)
}

async fn read_your_writes(trial: Trial) -> Result<(), Ending> {
    let (one, two) = two_nodes(&trial).await?;
    let key = one.create(&[("n", b"0")]).await?;
    two.load_live(&key).await?;
    for turn in 0..HANDOVERS {
        let (writer, reader) = if turn % 2 == 0 { (&one, &two) } else { (&two, &one) };
        let value = turn.to_string();
        let read = writer.load_live(&key).await?;
        must_save(writer, &key, &on_live(writer, &read, &[("n", value.as_bytes())])).await?;
        all_read(&[reader, writer], &key, "n", &value).await?;
    }
    one.delete(&key).await?;
    let seen = two.load(&key).await?;
    require!(seen.is_none(), "one node still sees a session whose logout another has acknowledged");
    Ok(())
}

async fn monotonic_reads(trial: Trial) -> Result<(), Ending> {
    let mut seen = 0;
    for _ in 0..ROUNDS {
        seen += monotonic_round(&trial).await?;
        if seen >= SEEN_AT_LEAST {
            return Ok(());
        }
    }
    Err(Ending::Vacuous(format!("the reader saw the value change only {seen} times")))
}

/// Answers how many values the reader saw.
async fn monotonic_round(trial: &Trial) -> Result<usize, Ending> {
    let (one, two) = two_nodes(trial).await?;
    let key = one.create(&[("n", b"0")]).await?;
    let done = Arc::new(AtomicBool::new(false));
    let clients = [false, true].map(|writes| {
        let (one, two, done) = (one.clone(), two.clone(), Arc::clone(&done));
        async move {
            if !writes {
                return read_alternately(&one, &two, &key, &done).await;
            }
            let written = count_up(&one, &two, &key).await;
            done.store(true, Ordering::SeqCst);
            written.map(|()| 0)
        }
    });
    Ok(together(clients).await?.into_iter().sum())
}

async fn count_up(one: &Subject, two: &Subject, key: &SessionKey) -> Result<(), Ending> {
    for value in 1..=WRITES {
        let node = if value % 2 == 0 { one } else { two };
        node.merge(key, &[("n", value.to_string().as_bytes())]).await?;
        step_aside(4).await;
    }
    Ok(())
}

async fn read_alternately(
    one: &Subject,
    two: &Subject,
    key: &SessionKey,
    done: &AtomicBool,
) -> Result<usize, Ending> {
    let mut seen = BTreeSet::new();
    let mut newest = 0;
    while !done.load(Ordering::SeqCst) {
        for node in [one, two] {
            let value = number(&node.load_live(key).await?.record, "n");
            require!(value >= newest, "a browser read {newest} on one node and then {value} on the other");
            newest = value;
            seen.insert(value);
            step_aside(1).await;
        }
    }
    Ok(seen.len())
}
