//! What cases with several clients have in common.

use std::future::Future;

use holdover_api::{Deadline, Loaded, On, Record, SaveAnswer, SessionKey, Stamp, Write};
use tokio::task::JoinSet;

use crate::case::{Applies, Case, Ending, Running};
use crate::require;
use crate::trial::{Subject, Trial};

/// A case that applies to every store.
pub(in crate::suites) const fn case(
    id: &'static str,
    title: &'static str,
    explain: &'static str,
    run: fn(Trial) -> Running,
) -> Case {
    Case { id, title, explain, applies: |_| Applies::Yes, run }
}

/// Two nodes of one application.
pub(in crate::suites) async fn two_nodes(trial: &Trial) -> Result<(Subject, Subject), Ending> {
    Ok((trial.node().await?, trial.node().await?))
}

/// Several nodes of one application.
pub(in crate::suites) async fn nodes(trial: &Trial, count: usize) -> Result<Vec<Subject>, Ending> {
    let mut nodes = Vec::with_capacity(count);
    for _ in 0..count {
        nodes.push(trial.node().await?);
    }
    Ok(nodes)
}

/// Runs all clients at once and collects what they report; the first failure ends the case.
pub(in crate::suites) async fn together<T: Send + 'static>(
    clients: impl IntoIterator<Item = impl Future<Output = Result<T, Ending>> + Send + 'static>,
) -> Result<Vec<T>, Ending> {
    let mut running = JoinSet::new();
    for client in clients {
        running.spawn(client);
    }
    let mut reports = Vec::new();
    while let Some(joined) = running.join_next().await {
        let report = joined.map_err(|error| Ending::Error(format!("a client came to grief: {error}")))?;
        reports.push(report?);
    }
    Ok(reports)
}

/// Lets other clients go first, so many times.
pub(in crate::suites) async fn step_aside(times: usize) {
    for _ in 0..times {
        tokio::task::yield_now().await;
    }
}

/// A merge by a request that has read `base`.
pub(in crate::suites) fn on_live(node: &Subject, base: &Loaded, set: &[(&str, &[u8])]) -> Write {
    Write { base: Some(base.clone()), ..node.write(On::Live, set) }
}

/// A write by a request that has read `base` and insists on it.
pub(in crate::suites) fn on_head(node: &Subject, base: &Loaded, set: &[(&str, &[u8])]) -> Write {
    Write { base: Some(base.clone()), ..node.write(On::Head(base.record.head()), set) }
}

/// Saves what has to be saved.
pub(in crate::suites) async fn must_save(
    node: &Subject,
    key: &SessionKey,
    write: &Write,
) -> Result<(), Ending> {
    match node.save(key, write).await? {
        SaveAnswer::Saved { .. } => Ok(()),
        answer => Err(Ending::Failed(format!("a save that has to succeed answered {answer:?}"))),
    }
}

/// Saves what has to conflict, and answers the record to try again on: the one that the conflict carried, if any.
pub(in crate::suites) async fn must_conflict(
    node: &Subject,
    key: &SessionKey,
    write: &Write,
) -> Result<Loaded, Ending> {
    match node.save(key, write).await? {
        SaveAnswer::Conflict { current: Some(current) } => Ok(current),
        SaveAnswer::Conflict { current: None } => node.load_live(key).await,
        answer => Err(Ending::Failed(format!("a save on a head that has moved answered {answer:?}"))),
    }
}

/// A value as text, empty where there is none.
pub(in crate::suites) fn text(record: &Record, name: &str) -> String {
    let value = record.attributes.get(name);
    value.map(|bytes| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default()
}

/// A value as a number, 0 where there is none.
pub(in crate::suites) fn number(record: &Record, name: &str) -> u64 {
    text(record, name).parse().unwrap_or_default()
}

/// Every node sees exactly this value.
pub(in crate::suites) async fn all_read(
    nodes: &[&Subject],
    key: &SessionKey,
    name: &str,
    value: &str,
) -> Result<(), Ending> {
    for node in nodes {
        let seen = text(&node.load_live(key).await?.record, name);
        require!(seen == value, "`{name}` has to be `{value}` on every node and is `{seen}` on one");
    }
    Ok(())
}

/// What one atomic increment took.
pub(in crate::suites) struct Increment {
    /// How many saves it took.
    pub(in crate::suites) attempts: usize,
}

/// Adds one to a counter by compare and set, from the record that was read, and again from what each conflict carries.
pub(in crate::suites) async fn increment(
    node: &Subject,
    key: &SessionKey,
    name: &str,
    read: Loaded,
    budget: usize,
) -> Result<Increment, Ending> {
    let mut base = read;
    for attempt in 1..=budget {
        let next = (number(&base.record, name) + 1).to_string();
        match node.save(key, &on_head(node, &base, &[(name, next.as_bytes())])).await? {
            SaveAnswer::Saved { .. } => return Ok(Increment { attempts: attempt }),
            SaveAnswer::Conflict { current: Some(current) } => base = current,
            SaveAnswer::Conflict { current: None } => base = node.load_live(key).await?,
            SaveAnswer::Gone => {
                return Err(Ending::Failed("an increment of a live session answered Gone".into()));
            }
        }
    }
    Err(Ending::Failed(format!("an increment was not through after {budget} attempts")))
}

/// The session is dead on this node: no load sees it, and neither a merge, nor a write on its head, nor a touch brings
/// it back (I1).
pub(in crate::suites) async fn require_dead(
    node: &Subject,
    key: &SessionKey,
    head: Stamp,
) -> Result<(), Ending> {
    let seen = node.load(key).await?;
    require!(seen.is_none(), "a dead session was loaded");
    for on in [On::Live, On::Head(head)] {
        let answer = node.save(key, &node.write(on, &[("zombie", b"1")])).await?;
        require!(matches!(answer, SaveAnswer::Gone), "a save on a dead session ({on:?}) answered {answer:?}");
    }
    let touched = node.touch(key, node.now() + crate::LIFETIME).await?;
    require!(!touched, "a touch of a dead session answered that it lives");
    let seen = node.load(key).await?;
    require!(seen.is_none(), "a save or a touch brought a dead session back");
    Ok(())
}

/// The same write with another deadline.
pub(in crate::suites) fn until(write: Write, deadline: Deadline) -> Write {
    Write { deadline, ..write }
}
