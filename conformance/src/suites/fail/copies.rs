//! Copies while the store is away.

use std::time::Duration;

use holdover_api::{Error, Freshness, Loaded, SessionKey, pause};

use super::tools::{Lane, bounded, insist_load, unavailable};
use crate::case::Ending;
use crate::proxy::Break;
use crate::require;
use crate::suites::race::support::require_dead;
use crate::trial::{LIFETIME, Subject, Trial};

/// The bound that a reader names: it passes before the reader asks.
const BOUND: Duration = Duration::from_millis(50);

/// FAIL-35.
pub(super) async fn through_an_outage(trial: Trial) -> Result<(), Ending> {
    let lane = Lane::open(&trial).await?;
    let other = trial.node().await?;
    let key = lane.node.create(&[("user", b"ann")]).await?;
    let read = lane.node.load_live(&key).await?;
    lane.proxy.refuse().await;
    lane.proxy.break_connections(Break::Reset).await;

    match load(&lane.node, &key, Freshness::Within(LIFETIME)).await? {
        Ok(Some(copy)) => require!(copy.record == read.record, "a copy is not what was read"),
        Ok(None) => return Err(Ending::Failed("an outage was read as an absence".into())),
        Err(error) => unavailable(&error)?,
    }
    let latest = load(&lane.node, &key, Freshness::Latest).await?;
    require_unavailable(latest, "a reader of the latest")?;
    pause(BOUND).await;
    let late = load(&lane.node, &key, Freshness::Within(BOUND)).await?;
    require_unavailable(late, "a reader that accepts less than the age of any copy")?;

    other.delete(&key).await?;
    lane.proxy.heal().await;
    let seen = insist_load(&lane.node, &key).await?;
    require!(seen.is_none(), "a session that another node ended during the outage is back");
    require_dead(&lane.node, &key, read.record.head()).await?;
    let seen = lane.node.load_within(&key, LIFETIME).await?;
    require!(seen.is_none(), "a node has seen that the session is gone, and serves a copy of it");
    Ok(())
}

type Answer = Result<Option<Loaded>, Error>;

async fn load(node: &Subject, key: &SessionKey, freshness: Freshness) -> Result<Answer, Ending> {
    bounded("load", node.store.load(key, freshness)).await
}

fn require_unavailable(answer: Answer, who: &str) -> Result<(), Ending> {
    match answer {
        Err(error) => unavailable(&error),
        Ok(Some(_)) => Err(Ending::Failed(format!("{who} got a copy while the store was away"))),
        Ok(None) => {
            Err(Ending::Failed(format!("{who} was told that there is nothing while the store was away")))
        }
    }
}
