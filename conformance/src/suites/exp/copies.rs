//! Copies and the deadline: EXP-24.

use std::time::Duration;

use holdover_api::{Deadline, Freshness, SessionKey};

use super::support::{MILLISECOND, merge_until, outrun_the_server};
use crate::case::{Case, Ending};
use crate::require;
use crate::suites::race::support::{case, must_save};
use crate::trial::{LIFETIME, Subject, Trial};

/// Whatever copy there is will do.
const ANY: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) fn cases() -> Vec<Case> {
    vec![case(
        "EXP-24",
        "no_copy_outlives_its_sessions_deadline",
        "A reader that accepts an old copy does not accept a dead session (I4): caches with a time-out of their own keep \
         people logged in. A session that was extended or shortened through the same node ends at the new moment, not \
         at the copy's.",
        |trial| Box::pin(copies_end(trial)),
    )]
}

async fn copies_end(trial: Trial) -> Result<(), Ending> {
    outrun_the_server(&trial);
    let node = trial.node().await?;
    let begun = trial.now();
    let plain = node.create(&[("user", b"ada")]).await?;
    let touched = node.create(&[("user", b"ada")]).await?;
    let shortened = node.create(&[("user", b"ada")]).await?;
    for key in [&plain, &touched, &shortened] {
        node.load_live(key).await?;
        require_there(&node, key, true).await?;
    }
    let found = node.touch(&touched, begun + LIFETIME * 2).await?;
    require!(found, "a touch of a live session answered that there is none");
    must_save(&node, &shortened, &merge_until(&node, Deadline::Exactly(begun + LIFETIME / 2))).await?;

    let ends = [(&shortened, LIFETIME / 2), (&plain, LIFETIME), (&touched, LIFETIME * 2)];
    for (key, lifetime) in ends {
        trial.clock().set(begun + lifetime - MILLISECOND);
        require_there(&node, key, true).await?;
        trial.clock().set(begun + lifetime);
        require_there(&node, key, false).await?;
    }
    Ok(())
}

/// Whether a reader that accepts any copy sees the session, and one that wants a write that it knows of.
async fn require_there(node: &Subject, key: &SessionKey, there: bool) -> Result<(), Ending> {
    let seen = node.load_within(key, ANY).await?;
    require!(seen.is_some() == there, "a reader that accepts a copy saw a session: {}", seen.is_some());
    let stamp = seen.map_or_else(|| node.trial().stamp(), |loaded| loaded.record.head());
    let seen = node.store.load(key, Freshness::AtLeast(stamp)).await;
    let seen = seen.map_err(|error| Ending::Failed(format!("load failed: {error}")))?;
    require!(seen.is_some() == there, "a reader of a known write saw a session: {}", seen.is_some());
    Ok(())
}
