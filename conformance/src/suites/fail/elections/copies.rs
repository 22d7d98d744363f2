//! One replica stands still, and may be read.
//!
//! Where several replicas may be read it is chance which one is, so that everything is asked often; and a case in which
//! nobody was ever answered from the one that lags has shown nothing.

use holdover_api::{Deadline, On, SessionKey, Stamp, Timestamp, Write};

use super::tools::{Set, at_least, saved};
use crate::case::Ending;
use crate::require;
use crate::suites::fail::tools::bench;
use crate::trial::{LIFETIME, Subject, Trial};

/// How often each node asks.
const ROUNDS: usize = 30;

fn never_behind() -> Ending {
    Ending::Vacuous("no read was answered from the replica that lags".into())
}

/// FAIL-64.
pub(super) async fn no_older_than_asked_for(trial: Trial) -> Result<(), Ending> {
    let set = Set::start(&trial).await?;
    let writer = &set.nodes[0];
    let (key, first) = born(writer).await?;
    set.restore().await?;
    bench(set.control().hold_a_replica().await)?;
    let write = writer.write(On::Live, &[("page", b"2")]);
    saved(writer, &key, &write).await?;
    let (unheard_of, own) = born(writer).await?;
    let mut behind = 0;
    for _ in 0..ROUNDS {
        for node in &set.nodes {
            behind += usize::from(!holds(node, &key, first, write.stamp).await?);
            let latest = node.load_live(&key).await?;
            require!(
                latest.record.lineage.contains(write.stamp),
                "the latest was read from a replica that lags (S2)"
            );
            require!(
                holds(node, &key, write.stamp, write.stamp).await?,
                "a reader of a known write was answered from a replica that lacks it (S3)"
            );
            require!(
                holds(node, &key, trial.stamp(), write.stamp).await?,
                "a reader of a write that no copy has was answered an older record than the latest (S3)"
            );
            holds(node, &unheard_of, own, own).await?;
        }
    }
    if behind == 0 {
        return Err(never_behind());
    }
    bench(set.control().release_replicas().await)?;
    set.restore().await?;
    for node in &set.nodes {
        require!(
            holds(node, &key, first, write.stamp).await?,
            "a replica has caught up, and is read as before"
        );
    }
    Ok(())
}

/// A new session and the stamp of its birth.
async fn born(node: &Subject) -> Result<(SessionKey, Stamp), Ending> {
    let key = node.create(&[("page", b"1")]).await?;
    let head = node.load_live(&key).await?.record.head();
    Ok((key, head))
}

/// Whether what is read from any copy with the one write holds the other; it has to be there.
async fn holds(node: &Subject, key: &SessionKey, asked_for: Stamp, wanted: Stamp) -> Result<bool, Ending> {
    let Some(loaded) = at_least(node, key, asked_for).await? else {
        return Err(Ending::Failed("a live session was absent where a replica may be read (I5)".into()));
    };
    Ok(loaded.record.lineage.contains(wanted))
}

/// FAIL-65.
pub(super) async fn deadlines_have_moved(trial: Trial) -> Result<(), Ending> {
    let set = Set::start(&trial).await?;
    let begun = trial.now();
    let writer = &set.nodes[0];
    let (plain, born_plain) = born(writer).await?;
    let (touched, born_touched) = born(writer).await?;
    let (extended, born_extended) = born(writer).await?;
    let (shortened, born_shortened) = born(writer).await?;
    set.restore().await?;
    bench(set.control().hold_a_replica().await)?;
    require!(
        writer.touch(&touched, begun + LIFETIME * 2).await?,
        "a touch of a live session answered that there is none"
    );
    let extend = until(writer, &extended, Deadline::AtLeast(begun + LIFETIME * 2)).await?;
    let shorten = until(writer, &shortened, Deadline::Exactly(begun + LIFETIME / 2)).await?;
    for (key, birth, moved) in [(&extended, born_extended, extend), (&shortened, born_shortened, shorten)] {
        behind(&set, key, birth, moved).await?;
    }

    let at = |moment: Timestamp| trial.clock().set(moment);
    at(begun + LIFETIME / 2);
    all(&set, &shortened, shorten, false).await?;
    all(&set, &plain, born_plain, true).await?;
    at(begun + LIFETIME);
    all(&set, &plain, born_plain, false).await?;
    for (key, known) in [(&touched, born_touched), (&extended, born_extended), (&extended, extend)] {
        all(&set, key, known, true).await?;
    }
    at(begun + LIFETIME * 2);
    for (key, known) in [(&touched, born_touched), (&extended, born_extended), (&extended, extend)] {
        all(&set, key, known, false).await?;
    }
    Ok(())
}

async fn until(node: &Subject, key: &SessionKey, deadline: Deadline) -> Result<Stamp, Ending> {
    let write = Write { deadline, ..node.write(On::Live, &[]) };
    saved(node, key, &write).await?;
    Ok(write.stamp)
}

/// Somebody reads a session without its last write.
async fn behind(set: &Set, key: &SessionKey, birth: Stamp, last: Stamp) -> Result<(), Ending> {
    for _ in 0..ROUNDS {
        for node in &set.nodes {
            if !holds(node, key, birth, last).await? {
                return Ok(());
            }
        }
    }
    Err(never_behind())
}

/// Whether both who knows of this write and who asks for the latest see the session on every node, or nobody does.
async fn all(set: &Set, key: &SessionKey, known: Stamp, there: bool) -> Result<(), Ending> {
    let told =
        if there { "an extended session is absent (I5)" } else { "a session is read past its deadline (I4)" };
    for _ in 0..ROUNDS {
        for node in &set.nodes {
            let nearby = at_least(node, key, known).await?;
            require!(nearby.is_some() == there, "where a replica lags and may be read {told}");
        }
    }
    for node in &set.nodes {
        require!(node.load(key).await?.is_some() == there, "to a reader of the latest {told}");
    }
    Ok(())
}
