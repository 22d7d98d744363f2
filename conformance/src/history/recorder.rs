//! Makes calls and writes down when and how they went.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use holdover_api::{
    Effect, Error, Loaded, Record, SaveAnswer, SessionKey, SessionStore, SessionStoreExt, Timestamp, Write,
};

use super::action::{Action, Answer, Call, Outcome};

/// Collects the history of all clients of one run.
#[derive(Debug, Default)]
pub struct Recorder {
    time: AtomicU64,
    actions: Mutex<Vec<Action>>,
}

impl Recorder {
    /// An empty history.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next moment: later than every moment given before, on any thread.
    pub fn tick(&self) -> u64 {
        self.time.fetch_add(1, Ordering::SeqCst)
    }

    /// Makes a call and writes it down. `around` yields run between the invocation and the call, and between the
    /// answer and the return, so that clients overlap even on a store that answers at once.
    ///
    /// After [`Outcome::Unknown`] the client has to go on under another number: it may still have that call under way.
    pub async fn call(&self, who: Who<'_>, call: Call, around: usize) -> Outcome {
        let invoked = self.tick();
        yields(around).await;
        let outcome = perform(who.store, who.key, &call).await;
        yields(around).await;
        let returned = self.tick();
        let action = Action {
            client: who.client,
            node: who.node,
            session: who.session,
            call,
            invoked,
            returned,
            outcome: outcome.clone(),
        };
        self.actions.lock().unwrap_or_else(PoisonError::into_inner).push(action);
        outcome
    }

    /// The calls about one session, in the order of their invocation.
    pub fn of_session(&self, session: usize) -> Vec<Action> {
        let actions = self.actions.lock().unwrap_or_else(PoisonError::into_inner);
        let mut of_session: Vec<Action> =
            actions.iter().filter(|action| action.session == session).cloned().collect();
        of_session.sort_by_key(|action| action.invoked);
        of_session
    }
}

/// Who makes a call, where, and about what.
#[derive(Clone, Copy, Debug)]
pub struct Who<'a> {
    /// The client's number.
    pub client: usize,
    /// The node's number.
    pub node: usize,
    /// The node.
    pub store: &'a dyn SessionStore,
    /// The session's number.
    pub session: usize,
    /// The session's key.
    pub key: &'a SessionKey,
}

async fn yields(count: usize) {
    for _ in 0..count {
        tokio::task::yield_now().await;
    }
}

async fn perform(store: &dyn SessionStore, key: &SessionKey, call: &Call) -> Outcome {
    let answer = match call {
        Call::Load => load(store, key).await,
        Call::Save(write) => save(store, key, write).await,
        Call::Touch(deadline) => touch(store, key, *deadline).await,
        Call::Delete => store.delete(key).await.map(|()| Answer::Deleted),
    };
    match answer {
        Ok(answer) => Outcome::Answered(answer),
        Err(error) if error.effect() == Effect::None => Outcome::Refused(error.to_string()),
        Err(error) => Outcome::Unknown(error.to_string()),
    }
}

async fn load(store: &dyn SessionStore, key: &SessionKey) -> Result<Answer, Error> {
    let loaded = store.load_latest(key).await?;
    Ok(Answer::Loaded(loaded.map(into_record)))
}

async fn save(store: &dyn SessionStore, key: &SessionKey, write: &Write) -> Result<Answer, Error> {
    Ok(match store.save(key, write).await? {
        SaveAnswer::Saved { previous } => Answer::Saved(previous),
        SaveAnswer::Conflict { current } => Answer::Conflict(current.map(into_record)),
        SaveAnswer::Gone => Answer::Gone,
    })
}

async fn touch(store: &dyn SessionStore, key: &SessionKey, deadline: Timestamp) -> Result<Answer, Error> {
    Ok(Answer::Touched(store.touch(key, deadline).await?))
}

fn into_record(loaded: Loaded) -> Record {
    Arc::unwrap_or_clone(loaded.record)
}
