//! Whose answer is it? Connections that break, and answers that come when nobody waits for them any more.

use holdover_api::{Error, Loaded, On, SaveAnswer, SessionKey, SessionStoreExt, Stamp};

use super::tools::{Lane, bounded, insist, insist_live, unavailable};
use crate::case::Ending;
use crate::proxy::{Behaviour, Break, Direction};
use crate::require;
use crate::trial::{Subject, Trial};

const RESETS: usize = 100;
/// Every so many resets, one strikes in the middle of an operation.
const IN_THE_MIDDLE: usize = 10;
/// How many operations follow each stray answer: one of them would meet it.
const AFTERWARDS: usize = 4;

const OWNER: &str = "owner";

/// A session that says whose it is.
struct Owned {
    key: SessionKey,
    owner: Vec<u8>,
    head: Stamp,
}

impl Owned {
    async fn new(node: &Subject, number: usize) -> Result<Self, Ending> {
        let owner = format!("sentinel of session {number}").into_bytes();
        let key = node.create(&[(OWNER, &owner)]).await?;
        let head = node.load_live(&key).await?.record.head();
        Ok(Self { key, owner, head })
    }

    /// Nobody may ever be shown somebody else's session.
    fn check(&self, loaded: Option<&Loaded>) -> Result<(), Ending> {
        let Some(loaded) = loaded else {
            return Err(Ending::Failed(
                "a load met the answer to another operation: the session is there".into(),
            ));
        };
        let own = loaded.record.attributes.get(OWNER).is_some_and(|owner| *owner == self.owner);
        require!(own, "a load was answered with ANOTHER USER'S session");
        Ok(())
    }

    fn check_result(&self, result: &Result<Option<Loaded>, Error>) -> Result<(), Ending> {
        match result {
            Ok(loaded) => self.check(loaded.as_ref()),
            Err(error) => unavailable(error),
        }
    }
}

/// FAIL-08.
pub(super) async fn resets(trial: Trial) -> Result<(), Ending> {
    let lane = Lane::open(&trial).await?;
    let mut sessions = Vec::new();
    for number in 0..4 {
        sessions.push(Owned::new(&lane.node, number).await?);
    }
    for round in 0..RESETS {
        let session = &sessions[trial.below(sessions.len())];
        if round % IN_THE_MIDDLE == 0 {
            reset_in_the_middle(&lane, session).await?;
        } else {
            lane.proxy.break_connections(Break::Reset).await;
        }
        let loaded = insist_live(&lane.node, &session.key).await?;
        session.check(Some(&loaded))?;
    }
    let broken = lane.proxy.counts().broken;
    if broken < RESETS / 2 {
        return Err(Ending::Vacuous(format!(
            "only {broken} connections were open when they were to be reset"
        )));
    }
    Ok(())
}

async fn reset_in_the_middle(lane: &Lane, session: &Owned) -> Result<(), Ending> {
    let proxy = &lane.proxy;
    proxy.set(Direction::Responses, Behaviour::Hold);
    let before = proxy.counts().delayed;
    let load = bounded("a load whose connection is reset", lane.node.store.load_latest(&session.key));
    let reset = async {
        let underway = proxy.until(|counts| counts.delayed > before);
        bounded("a request", underway).await?;
        proxy.break_connections(Break::Reset).await;
        proxy.heal().await;
        Ok::<(), Ending>(())
    };
    let (result, reset) = tokio::join!(load, reset);
    reset?;
    session.check_result(&result?)
}

/// FAIL-09.
pub(super) async fn stray_answers(trial: Trial) -> Result<(), Ending> {
    let lane = Lane::open(&trial).await?;
    let ann = Owned::new(&lane.node, 0).await?;
    let bob = Owned::new(&lane.node, 1).await?;
    let before = lane.proxy.counts().response_bytes;
    lane.node.load_live(&ann.key).await?;
    let length = lane.proxy.counts().response_bytes - before;
    for kept in [0, 1, length / 2, length.saturating_sub(1)] {
        cut(&lane, &ann, kept).await?;
        nobody_is_confused(&trial, &lane, &bob).await?;
    }
    for late in [Behaviour::Hold, Behaviour::Slow((length / 8).max(1))] {
        abandoned(&lane, &ann, late).await?;
        nobody_is_confused(&trial, &lane, &bob).await?;
        timed_out(&lane, &ann, late).await?;
        nobody_is_confused(&trial, &lane, &bob).await?;
    }
    Ok(())
}

/// The answer ends in the middle.
async fn cut(lane: &Lane, session: &Owned, kept: usize) -> Result<(), Ending> {
    lane.proxy.cut_response(0, kept, Break::Close);
    let result = bounded("a load whose answer is cut", lane.node.store.load_latest(&session.key)).await?;
    lane.proxy.heal().await;
    session.check_result(&result)
}

/// Whoever asked has gone away when the answer comes, all of it or half.
async fn abandoned(lane: &Lane, session: &Owned, late: Behaviour) -> Result<(), Ending> {
    lane.proxy.set(Direction::Responses, late);
    let before = lane.proxy.counts().delayed;
    let (node, key) = (lane.node.clone(), session.key);
    let load = tokio::spawn(async move { node.store.load_latest(&key).await });
    bounded("a request", lane.proxy.until(|counts| counts.delayed > before)).await?;
    load.abort();
    // Ended, not only asked to: its half of the connection is back or gone.
    let _ = load.await;
    lane.proxy.heal().await;
    Ok(())
}

/// Whoever asked has given up when the answer comes, all of it or half.
async fn timed_out(lane: &Lane, session: &Owned, late: Behaviour) -> Result<(), Ending> {
    lane.proxy.set(Direction::Responses, late);
    let loaded = bounded("a load whose answer is late", lane.node.store.load_latest(&session.key)).await?;
    let touched = lane.node.store.touch(&session.key, lane.node.now());
    let touched = bounded("a touch whose answer is late", touched).await?;
    lane.proxy.heal().await;
    session.check_result(&loaded)?;
    require!(touched.unwrap_or(true), "a touch met the answer to another operation: the session is there");
    Ok(())
}

/// The operations that come next get their own answers, or errors, but nobody else's.
async fn nobody_is_confused(trial: &Trial, lane: &Lane, session: &Owned) -> Result<(), Ending> {
    let store = &lane.node.store;
    for _ in 0..AFTERWARDS {
        let loaded = bounded("load", store.load_latest(&session.key)).await?;
        session.check_result(&loaded)?;
        let absent = trial.key();
        let touched = bounded("touch", store.touch(&absent, lane.node.now())).await?;
        require!(!touched.unwrap_or(false), "a touch of nothing met the answer to another operation");
        let stale = lane.node.write(On::Head(trial.stamp()), &[(OWNER, b"nobody")]);
        match bounded("save", store.save(&session.key, &stale)).await? {
            Ok(SaveAnswer::Conflict { current }) => {
                current.as_ref().map_or(Ok(()), |current| session.check(Some(current)))?;
            }
            Ok(answer) => {
                let told = format!(
                    "a save on a head that never was met the answer to another operation: {answer:?}"
                );
                return Err(Ending::Failed(told));
            }
            Err(error) => unavailable(&error)?,
        }
    }
    let loaded = insist("load", || store.load_latest(&session.key)).await?;
    session.check(loaded.as_ref())?;
    let unchanged = loaded.is_some_and(|loaded| loaded.record.head() == session.head);
    require!(unchanged, "a session was changed by nobody");
    Ok(())
}
