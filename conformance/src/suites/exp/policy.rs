//! The absolute limit, which the policy adds to what stores do: EXP-09.

use std::sync::Arc;
use std::time::Duration;

use holdover_api::{Clock, SessionId, SessionPolicy, Timestamp};

use super::support::MILLISECOND;
use crate::case::{Case, Ending};
use crate::require;
use crate::suites::race::renewal::{begin, failed, log_in, policy};
use crate::suites::race::support::{case, two_nodes};
use crate::trial::Trial;

/// How often the user comes by: well within the idle time.
const VISIT: Duration = Duration::from_secs(5 * 60);

pub(super) fn cases() -> Vec<Case> {
    vec![case(
        "EXP-09",
        "use_and_renewals_do_not_stretch_the_absolute_limit",
        "A user comes by every five minutes, reads, writes, and logs in anew twice. The session lives to its \
         absolute limit, counted from its beginning, and not a millisecond longer: a stolen cookie that is kept \
         busy would otherwise work for ever (NIST SP 800-63B).",
        |trial| Box::pin(absolute_limit(trial)),
    )]
}

async fn absolute_limit(trial: Trial) -> Result<(), Ending> {
    let (one, two) = two_nodes(&trial).await?;
    let policies = [&one, &two]
        .map(|node| policy(node, Arc::clone(&node.store), Arc::clone(trial.clock()) as Arc<dyn Clock>));
    let created = trial.now();
    let limit = created + policies[0].absolute_timeout();
    let mut id = begin(&policies[0]).await?;
    for visit in 1_usize.. {
        trial.clock().advance(VISIT);
        if trial.now() >= limit {
            break;
        }
        let policy = &policies[visit % 2];
        id = come_by(policy, id, visit).await?;
        let session = policy.open(Some(id.clone()));
        let began = session.created_at().await.map_err(failed("a look"))?;
        require!(began == Some(created), "after visit {visit} the session began at {began:?}");
        let ends = session.expires_at().await.map_err(failed("a look"))?.unwrap_or_default();
        require!(ends > trial.now(), "after visit {visit} the session has no time left");
        require!(ends <= limit, "visit {visit} stretched the session beyond its absolute limit");
    }
    for (moment, alive) in [(limit - MILLISECOND, true), (limit, false), (limit + VISIT, false)] {
        lives_at(&trial, &policies, &id, (moment, alive)).await?;
    }
    let seen = one.load(&id.key()).await?;
    require!(seen.is_none(), "below the policy, the store still answers the session");
    Ok(())
}

/// One visit: a read, a write, or a login; answers the id from then on.
async fn come_by(policy: &SessionPolicy, id: SessionId, visit: usize) -> Result<SessionId, Ending> {
    let session = policy.open(Some(id.clone()));
    let is_new = session.is_new().await.map_err(failed("a look"))?;
    require!(!is_new, "at visit {visit} the session was dead");
    if visit == 4 || visit == 8 {
        let renewed = log_in(&session).await?;
        return renewed.ok_or_else(|| Ending::Failed("a renewal of a live session was told Gone".into()));
    }
    if visit.is_multiple_of(3) {
        session.insert("visits", visit).await.map_err(failed("insert"))?;
    }
    session.commit().await.map_err(failed("a commit"))?;
    Ok(id)
}

async fn lives_at(
    trial: &Trial,
    policies: &[SessionPolicy; 2],
    id: &SessionId,
    (moment, alive): (Timestamp, bool),
) -> Result<(), Ending> {
    trial.clock().set(moment);
    for policy in policies {
        let is_new = policy.open(Some(id.clone())).is_new().await.map_err(failed("a look"))?;
        require!(is_new != alive, "around its absolute limit the session is alive: {}", !is_new);
    }
    Ok(())
}
