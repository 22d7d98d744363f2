//! Renewals of an id, as a login makes them: RACE-14 to RACE-16. They go through the session policy, which creates the
//! new record first, buries the old one then, and moves the cookie last.

use std::sync::Arc;
use std::time::Duration;

use holdover_api::{Clock, CookieChange, Session, SessionError, SessionId, SessionPolicy, SessionStore};

use super::interrupted::{Interrupted, Step};
use super::support::{case, together, two_nodes};
use crate::case::{Case, Ending};
use crate::require;
use crate::trial::{LIFETIME, Subject, Trial};

const ROUNDS: usize = 20;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(
            "RACE-14",
            "a_request_in_flight_neither_revives_an_id_that_a_login_retired_nor_loses_its_write",
            "Requests that loaded the session before a login save, update and touch after it: they are told that \
             it is gone, and the old id stays dead; if a save revived it, a planted id would come back to life \
             (session fixation). What another request writes while the renewal is under way is carried over (I2).",
            |trial| Box::pin(in_flight(trial)),
        ),
        case(
            "RACE-15",
            "of_two_renewals_of_one_id_one_wins_and_one_session_lives",
            "Two logins at once, one of them stopped between its creation and its burial, and twenty pairs as they \
             come: one gets a new id, the other is told that the session is gone, and never do two copies live.",
            |trial| Box::pin(two_renewals(trial)),
        ),
        case(
            "RACE-16",
            "a_crash_in_the_middle_of_a_renewal_leaves_the_old_session_or_the_new_one",
            "The node dies before and after each of the two steps. Until the burial the old session lives with the \
             rights that it had, and no cookie knows the new one; from then on the new one lives. Deleting first \
             and creating then loses the session (tower-sessions).",
            |trial| Box::pin(crash(trial)),
        ),
    ]
}

/// A policy on one node, or on a store in front of it.
pub(in crate::suites) fn policy(
    node: &Subject,
    store: Arc<dyn SessionStore>,
    clock: Arc<dyn Clock>,
) -> SessionPolicy {
    SessionPolicy::new(store)
        .with_clock(clock)
        .with_idle_timeout(LIFETIME)
        .with_absolute_timeout(LIFETIME * 6)
        .with_max_bytes(node.capabilities().max_bytes.min(16 * 1024))
        .with_call_timeout(Duration::from_secs(20))
}

fn plain(trial: &Trial, node: &Subject) -> SessionPolicy {
    policy(node, Arc::clone(&node.store), Arc::clone(trial.clock()) as Arc<dyn Clock>)
}

/// A failure of a session where none is expected.
pub(in crate::suites) fn failed(step: &'static str) -> impl Fn(SessionError) -> Ending {
    move |error| Ending::Failed(format!("{step} failed: {error}"))
}

/// Begins a session with a user in it and answers its id.
pub(in crate::suites) async fn begin(policy: &SessionPolicy) -> Result<SessionId, Ending> {
    let session = policy.open(None);
    session.insert("user", "visitor").await.map_err(failed("insert"))?;
    new_id(session.commit().await.map(|committed| committed.cookie))
        .map_err(failed("the first commit"))?
        .ok_or_else(|| Ending::Failed("the commit of a new session sets no cookie".into()))
}

/// The id that the cookie has to get, if any.
fn new_id(cookie: Result<CookieChange, SessionError>) -> Result<Option<SessionId>, SessionError> {
    Ok(match cookie? {
        CookieChange::Set { id, .. } => Some(id),
        _ => None,
    })
}

/// Renews the id of a session and gives it rights, as a login does. `None` if it was told that the session is gone.
pub(in crate::suites) async fn log_in(session: &Session) -> Result<Option<SessionId>, Ending> {
    match renew(session).await {
        Ok(Some(id)) => Ok(Some(id)),
        Ok(None) => Err(Ending::Failed("a renewal did not move the cookie".into())),
        Err(SessionError::Gone) => Ok(None),
        Err(error) => Err(Ending::Failed(format!("a renewal failed: {error}"))),
    }
}

async fn renew(session: &Session) -> Result<Option<SessionId>, SessionError> {
    session.cycle_id().await?;
    session.insert("role", "member").await?;
    new_id(session.commit().await.map(|committed| committed.cookie))
}

async fn role(policy: &SessionPolicy, id: &SessionId) -> Result<Option<String>, Ending> {
    policy.open(Some(id.clone())).get("role").await.map_err(failed("get"))
}

async fn is_alive(policy: &SessionPolicy, id: &SessionId) -> Result<bool, Ending> {
    let is_new = policy.open(Some(id.clone())).is_new().await.map_err(failed("a look"))?;
    Ok(!is_new)
}

/// A request that has looked at the session and has not finished.
async fn looked(policy: &SessionPolicy, id: &SessionId) -> Result<Session, Ending> {
    let session = policy.open(Some(id.clone()));
    let user: Option<String> = session.get("user").await.map_err(failed("get"))?;
    require!(user.is_some(), "a live session lacks its user");
    Ok(session)
}

async fn in_flight(trial: Trial) -> Result<(), Ending> {
    let (one, two) = two_nodes(&trial).await?;
    let (here, there) = (plain(&trial, &one), plain(&trial, &two));
    let old = begin(&here).await?;
    let saver = looked(&here, &old).await?;
    let updater = looked(&here, &old).await?;
    let reader = looked(&here, &old).await?;

    let Some(new) = log_in(&looked(&there, &old).await?).await? else {
        return Err(Ending::Failed("the only renewal was told that the session is gone".into()));
    };
    saver.insert("late", 1).await.map_err(failed("insert"))?;
    let saved = saver.commit().await;
    require!(matches!(saved, Err(SessionError::Gone)), "a save of a retired id answered {saved:?}");
    let updated = updater.update("late", |count: Option<u32>| count.unwrap_or_default() + 1).await;
    require!(matches!(updated, Err(SessionError::Gone)), "an update of a retired id answered {updated:?}");
    trial.clock().advance(LIFETIME / 2);
    let touched = reader.commit().await.map(|committed| committed.cookie);
    require!(matches!(touched, Ok(CookieChange::Keep)), "a touch of a retired id answered {touched:?}");

    for policy in [&here, &there] {
        require!(!is_alive(policy, &old).await?, "the id that the login retired is alive");
        require!(role(policy, &new).await?.as_deref() == Some("member"), "the login has lost its rights");
        let late: Option<u32> = policy.open(Some(new.clone())).get("late").await.map_err(failed("get"))?;
        require!(late.is_none(), "a write to the retired id reached the new one");
    }
    carried_over(&trial, &one, &there).await
}

/// A write to the old id between the creation of the new record and the burial of the old one.
async fn carried_over(trial: &Trial, one: &Subject, there: &SessionPolicy) -> Result<(), Ending> {
    let gate = Interrupted::new(Arc::clone(&one.store), Step::BeforeBurial);
    let slow =
        policy(one, Arc::clone(&gate) as Arc<dyn SessionStore>, Arc::clone(trial.clock()) as Arc<dyn Clock>);
    let old = begin(there).await?;
    let session = looked(&slow, &old).await?;
    let login = tokio::spawn(async move { log_in(&session).await });
    gate.reached().await;
    let other = looked(there, &old).await?;
    other.insert("basket", "full").await.map_err(failed("insert"))?;
    other.commit().await.map_err(failed("a commit beside a renewal"))?;
    gate.release();
    let joined = login.await.map_err(|error| Ending::Error(format!("the login came to grief: {error}")))?;
    let Some(new) = joined? else {
        return Err(Ending::Failed("a renewal that another request wrote into was told Gone".into()));
    };
    let basket: Option<String> = there.open(Some(new.clone())).get("basket").await.map_err(failed("get"))?;
    require!(basket.as_deref() == Some("full"), "what another request wrote during the renewal is lost (I2)");
    require!(!is_alive(there, &old).await?, "the id that the login retired is alive");
    require!(role(there, &new).await?.as_deref() == Some("member"), "the login has lost its rights");
    Ok(())
}

async fn two_renewals(trial: Trial) -> Result<(), Ending> {
    let (one, two) = two_nodes(&trial).await?;
    let (here, there) = (plain(&trial, &one), plain(&trial, &two));
    overtaken(&trial, &one, &there).await?;
    for _ in 0..ROUNDS {
        let old = begin(&here).await?;
        let logins = [looked(&here, &old).await?, looked(&there, &old).await?]
            .map(|session| async move { log_in(&session).await });
        let winners: Vec<SessionId> = together(logins).await?.into_iter().flatten().collect();
        require!(winners.len() == 1, "of two renewals of one id, {} succeeded", winners.len());
        require!(!is_alive(&here, &old).await?, "the id that both retired is alive");
        require!(
            role(&there, &winners[0]).await?.as_deref() == Some("member"),
            "the winner has lost its rights"
        );
    }
    Ok(())
}

/// The first renewal is stopped before its burial, the second goes through, the first goes on.
async fn overtaken(trial: &Trial, one: &Subject, there: &SessionPolicy) -> Result<(), Ending> {
    let gate = Interrupted::new(Arc::clone(&one.store), Step::BeforeBurial);
    let slow =
        policy(one, Arc::clone(&gate) as Arc<dyn SessionStore>, Arc::clone(trial.clock()) as Arc<dyn Clock>);
    let old = begin(there).await?;
    let session = looked(&slow, &old).await?;
    let login = tokio::spawn(async move { log_in(&session).await });
    gate.reached().await;
    let Some(winner) = log_in(&looked(there, &old).await?).await? else {
        return Err(Ending::Failed("a renewal that nobody had finished before was told Gone".into()));
    };
    gate.release();
    let joined = login.await.map_err(|error| Ending::Error(format!("the login came to grief: {error}")))?;
    require!(joined?.is_none(), "two renewals of one id both moved a cookie");
    for key in gate.created() {
        let copy = one.load(&key).await?;
        require!(copy.is_none(), "the copy that the slower renewal made is alive");
    }
    require!(!is_alive(there, &old).await?, "the id that both retired is alive");
    require!(role(there, &winner).await?.as_deref() == Some("member"), "the winner has lost its rights");
    Ok(())
}

async fn crash(trial: Trial) -> Result<(), Ending> {
    for at in [Step::BeforeCreate, Step::AfterCreate, Step::BeforeBurial, Step::AfterBurial] {
        crash_at(&trial, at).await.map_err(|ending| match ending {
            Ending::Failed(what) => Ending::Failed(format!("with a crash at {at:?}: {what}")),
            other => other,
        })?;
    }
    Ok(())
}

async fn crash_at(trial: &Trial, at: Step) -> Result<(), Ending> {
    let (one, two) = two_nodes(trial).await?;
    let there = plain(trial, &two);
    let old = begin(&there).await?;
    // A renewal keeps the session's beginning, which has to lie in the past for that to show.
    trial.clock().advance(LIFETIME / 10);
    let gate = Interrupted::new(Arc::clone(&one.store), at);
    let dying =
        policy(&one, Arc::clone(&gate) as Arc<dyn SessionStore>, Arc::clone(trial.clock()) as Arc<dyn Clock>);
    let session = looked(&dying, &old).await?;
    let login = tokio::spawn(async move { log_in(&session).await });
    gate.reached().await;
    login.abort();
    let ended = login.await;
    require!(ended.is_err(), "the login went on although it was stopped: {ended:?}");

    let mut copies = Vec::new();
    for key in gate.created() {
        copies.extend(two.load(&key).await?);
    }
    if at == Step::AfterBurial {
        require!(!is_alive(&there, &old).await?, "the buried session is alive");
        require!(copies.len() == 1, "neither the old session nor the new one is alive");
        let has_role = copies[0].record.attributes.contains_key("role");
        require!(has_role, "the new session lacks what the login set");
        return Ok(());
    }
    require!(is_alive(&there, &old).await?, "neither the old session nor a known new one is alive");
    require!(role(&there, &old).await?.is_none(), "the old session has got the rights of the login");
    let again = log_in(&looked(&there, &old).await?).await?;
    let Some(new) = again else {
        return Err(Ending::Failed("the user cannot log in again after the crash".into()));
    };
    require!(!is_alive(&there, &old).await?, "the id that the second login retired is alive");
    require!(is_alive(&there, &new).await?, "the second login is not alive");
    // The copy that nobody knows ends by itself.
    trial.clock().advance(LIFETIME);
    for key in gate.created() {
        require!(two.load(&key).await?.is_none(), "the copy that no cookie knows outlives its idle time");
    }
    Ok(())
}
