//! Once everything is healed: the copies become equal, and what was acknowledged is there.

use std::sync::Arc;

use holdover_api::{Record, SessionKey, SessionStoreExt, Stored, pause, within};

use super::ledger::{Ledger, Session};
use super::{BETWEEN_LOOKS, Drill, Finding, PATIENCE};
use crate::case::Ending;
use crate::trial::Subject;

/// Waits until every node asks every server again, and reads every session on every node until all nodes and all copies
/// agree. Answers what they agree on.
///
/// Reading is what repairs a copy, so that this also ends a fault for good.
pub(crate) async fn settle(drill: &Drill, keys: &[SessionKey]) -> Result<Vec<Option<Record>>, Ending> {
    drill.whole().await?;
    settled(&drill.subjects(), Some(drill), keys).await
}

/// Reads every session until all nodes agree on it, and all copies, where there is a look at them.
async fn settled(
    nodes: &[Subject],
    copies: Option<&Drill>,
    keys: &[SessionKey],
) -> Result<Vec<Option<Record>>, Ending> {
    let mut settled: Vec<Option<Option<Record>>> = vec![None; keys.len()];
    let mut last = String::new();
    let looking = async {
        loop {
            let mut open = 0;
            for (key, known) in keys.iter().zip(&mut settled) {
                if known.is_some() {
                    continue;
                }
                match agreed(nodes, copies, key).await {
                    Ok(record) => *known = Some(record),
                    Err(why) => {
                        last = why;
                        open += 1;
                    }
                }
            }
            if open == 0 {
                return;
            }
            pause(BETWEEN_LOOKS).await;
        }
    };
    if within(PATIENCE, looking).await.is_none() {
        let limit = PATIENCE.as_secs();
        return Err(Ending::Failed(format!("nothing settles within {limit} s of healing: {last}")));
    }
    Ok(settled.into_iter().flatten().collect())
}

/// What every node reads and enough servers hold, or why there is no such thing yet.
async fn agreed(
    nodes: &[Subject],
    copies: Option<&Drill>,
    key: &SessionKey,
) -> Result<Option<Record>, String> {
    let mut read: Option<Option<Record>> = None;
    for node in nodes {
        let loaded = node.store.load_latest(key).await.map_err(|error| error.to_string())?;
        let record = loaded.map(|loaded| Arc::unwrap_or_clone(loaded.record));
        if read.as_ref().is_some_and(|read| *read != record) {
            return Err("two nodes read different sessions".to_owned());
        }
        read = Some(record);
    }
    let read = read.flatten();
    if let Some(drill) = copies {
        held_alike(drill, key, read.as_ref()).await?;
    }
    Ok(read)
}

/// Whether enough servers hold what is read.
async fn held_alike(drill: &Drill, key: &SessionKey, read: Option<&Record>) -> Result<(), String> {
    let now = drill.clock.now();
    let mut equal = 0;
    for copy in drill.below() {
        let stored = copy.inspect(key).await.map_err(|error| format!("below: {error}"))?;
        equal += usize::from(stored.as_ref().and_then(|stored: &Stored| stored.as_live(now)) == read);
    }
    if equal < drill.copies.count {
        let what = if read.is_some() { "the session that is read" } else { "nothing alive, which is read" };
        return Err(format!("{equal} of {} copies hold {what}", drill.copies.count));
    }
    Ok(())
}

/// Settles, and compares what is there with what the ledger knows.
pub(crate) async fn audit(drill: &Drill, ledger: &Ledger) -> Result<(), Ending> {
    ledger.sound()?;
    sound(&findings(drill, &ledger.all()).await?)
}

/// As [`audit`], without a look below the stores of these nodes.
pub(crate) async fn audit_above(nodes: &[Subject], ledger: &Ledger) -> Result<(), Ending> {
    ledger.sound()?;
    let sessions = ledger.all();
    let records = settled(nodes, None, &keys(&sessions)).await?;
    sound(&judged(&sessions, &records))
}

/// Settles, and answers every broken promise.
pub(crate) async fn findings(drill: &Drill, sessions: &[Session]) -> Result<Vec<Finding>, Ending> {
    let records = settle(drill, &keys(sessions)).await?;
    Ok(judged(sessions, &records))
}

fn keys(sessions: &[Session]) -> Vec<SessionKey> {
    sessions.iter().map(|session| session.key).collect()
}

fn judged(sessions: &[Session], records: &[Option<Record>]) -> Vec<Finding> {
    sessions.iter().zip(records).flat_map(|(session, record)| session.judge(record.as_ref())).collect()
}

fn sound(found: &[Finding]) -> Result<(), Ending> {
    match found.first() {
        None => Ok(()),
        Some(first) => Err(Ending::Failed(format!("after healing: {first} (and {} more)", found.len() - 1))),
    }
}
