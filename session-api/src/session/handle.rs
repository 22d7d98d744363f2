//! The typed handle.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{Mutex, MutexGuard};

use crate::clock::Timestamp;
use crate::codec::Codec;
use crate::error::Operation;
use crate::id::SessionId;
use crate::session::failure::SessionError;
use crate::session::policy::{FailurePolicy, SessionPolicy};
use crate::session::state::{Fate, Sight, State};
use crate::write::Delta;

/// One request's session: a cheap handle whose clones share what they see and change.
///
/// The first look loads the session, once. Changes are kept in the handle and committed together, before the response
/// head leaves, whatever the response's status; [`update`](Self::update) alone is committed at once. Changes made
/// after that, for instance while a body streams, are not committed: call [`commit`](Self::commit).
///
/// Parallel requests never lose each other's attributes: a commit merges by attribute. For a new value that depends
/// on the old one use [`update`](Self::update). Nothing brings a destroyed session back: such a commit is
/// [`SessionError::Gone`].
///
/// | what a request does | store calls |
/// |---|---|
/// | never touches the session | 0 |
/// | reads | 1, and a touch if one is due |
/// | reads and changes, or `insert`, or `update` | 2 |
/// | sets without reading ([`insert_unread`](Self::insert_unread)) | 1 |
/// | creates, destroys | 1 |
/// | renews the id | 3 |
///
/// ```
/// # use std::sync::Arc;
/// # use holdover_api::{Memory, SessionError, SessionPolicy};
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// # let session = SessionPolicy::new(Arc::new(Memory::new())).open(None);
/// session.insert("theme", "dark").await?;
/// let visits = session.update("visits", |visits: Option<u64>| visits.unwrap_or(0) + 1).await?;
/// assert_eq!(visits, 1);
/// assert_eq!(session.remove::<String>("theme").await?.as_deref(), Some("dark"));
/// # Ok::<(), SessionError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Session(Arc<Shared>);

struct Shared {
    policy: SessionPolicy,
    used: AtomicBool,
    state: Mutex<State>,
}

impl Session {
    pub(super) fn new(policy: SessionPolicy, id: Option<SessionId>) -> Self {
        let state = Mutex::new(State::new(id));
        Self(Arc::new(Shared { policy, used: AtomicBool::new(false), state }))
    }

    pub(super) fn policy(&self) -> &SessionPolicy {
        &self.0.policy
    }

    /// Locks the state. Every public method but [`was_used`](Self::was_used) comes through here or `seen`.
    pub(super) async fn touched(&self) -> MutexGuard<'_, State> {
        self.0.used.store(true, Ordering::Relaxed);
        self.0.state.lock().await
    }

    pub(super) async fn untouched(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().await
    }

    /// Locks the state and makes sure that the session has been looked at.
    async fn seen(&self) -> Result<MutexGuard<'_, State>, SessionError> {
        let mut state = self.touched().await;
        self.look(&mut state).await?;
        Ok(state)
    }

    /// Loads the session unless it was loaded before.
    pub(super) async fn look(&self, state: &mut State) -> Result<(), SessionError> {
        if state.fate == Fate::Destroy {
            return Ok(());
        }
        match &state.sight {
            Sight::Absent | Sight::Live(_) => return Ok(()),
            Sight::Failed(error) => return self.tolerate(error.clone()),
            Sight::Unseen => {}
        }
        let Some(id) = &state.id else {
            state.sight = Sight::Absent;
            return Ok(());
        };
        let policy = self.policy();
        let key = id.key();
        match policy.call(Operation::Load, policy.store().load(&key, policy.freshness())).await {
            Ok(Some(loaded)) => {
                // Both time-outs are enforced from the record, whatever the store's own expiry does (I4).
                let now = policy.now();
                let ends = loaded.record.deadline.min(loaded.record.created + policy.absolute_timeout());
                state.sight = if now < ends { Sight::Live(loaded) } else { Sight::Absent };
                Ok(())
            }
            Ok(None) => {
                state.sight = Sight::Absent;
                Ok(())
            }
            Err(error) => {
                state.sight = Sight::Failed(error.clone());
                self.tolerate(error)
            }
        }
    }

    fn tolerate(&self, error: SessionError) -> Result<(), SessionError> {
        match self.policy().failure_policy() {
            FailurePolicy::Anonymous if error.is_outage() => Ok(()),
            FailurePolicy::Anonymous | FailurePolicy::Closed | FailurePolicy::ReadOnly => Err(error),
        }
    }

    /// Locks the state for a change: what could not be read is never written over, even where reads are tolerated.
    async fn changeable(&self) -> Result<MutexGuard<'_, State>, SessionError> {
        let state = self.seen().await?;
        match &state.sight {
            Sight::Failed(error) if state.fate != Fate::Destroy => Err(error.clone()),
            _ => Ok(state),
        }
    }

    /// Reads an attribute; nothing if there is none of that name.
    pub async fn get<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, SessionError> {
        let state = self.seen().await?;
        let value = state.value(name).cloned();
        drop(state);
        Ok(value.map(|bytes| Codec::decode(&bytes)).transpose()?)
    }

    /// Reads all attributes, each as the same type, such as `serde_json::Value`.
    pub async fn attributes<T: DeserializeOwned>(&self) -> Result<BTreeMap<String, T>, SessionError> {
        let attributes = self.seen().await?.attributes();
        let mut decoded = BTreeMap::new();
        for (name, value) in attributes {
            decoded.insert(name, Codec::decode(&value)?);
        }
        Ok(decoded)
    }

    /// Sets an attribute. Writing back the value that is there is not a change and costs no write.
    ///
    /// Fails with [`SessionError::TooLarge`] if the session would grow beyond the policy's limit; nothing is changed.
    pub async fn insert(&self, name: &str, value: impl Serialize + Send) -> Result<(), SessionError> {
        let bytes = self.policy().codec().encode(&value)?;
        let mut state = self.changeable().await?;
        self.policy().fits(state.size_with(name, &bytes))?;
        state.set(name, bytes);
        Ok(())
    }

    /// Sets an attribute without looking at the session: one store call instead of two where nothing is read.
    ///
    /// If the session turns out to be dead, the commit is [`SessionError::Gone`] and the cookie is left alone, where
    /// [`insert`](Self::insert) would have begun a new session: nobody can tell a session that died long ago from one
    /// that was renewed a moment ago, and moving the cookie would log the user out of the new one.
    pub async fn insert_unread(&self, name: &str, value: impl Serialize + Send) -> Result<(), SessionError> {
        let bytes = self.policy().codec().encode(&value)?;
        let mut state = self.touched().await;
        if let Sight::Failed(error) = &state.sight {
            return Err(error.clone());
        }
        self.policy().fits(state.size_with(name, &bytes))?;
        state.set(name, bytes);
        Ok(())
    }

    /// Removes an attribute and answers the value it had.
    ///
    /// An attribute that cannot be decoded stays, with an error; [`unset`](Self::unset) removes it.
    pub async fn remove<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, SessionError> {
        let mut state = self.changeable().await?;
        let Some(value) = state.value(name) else {
            return Ok(None);
        };
        let decoded = Codec::decode(value)?;
        state.delta.remove(name);
        Ok(Some(decoded))
    }

    /// Removes an attribute whatever it holds; answers whether there was one.
    pub async fn unset(&self, name: &str) -> Result<bool, SessionError> {
        let mut state = self.changeable().await?;
        let was_there = state.value(name).is_some();
        if was_there {
            state.delta.remove(name);
        }
        Ok(was_there)
    }

    /// Removes all attributes, also those that parallel requests set meanwhile. The session itself lives on.
    pub async fn clear(&self) -> Result<(), SessionError> {
        let mut state = self.changeable().await?;
        if state.attributes().is_empty() {
            return Ok(());
        }
        state.delta = Delta::default();
        if state.base().is_some() {
            state.delta.clear();
        }
        Ok(())
    }

    /// Destroys the session, as a log-out does. What is set afterwards begins a new session with a new id.
    ///
    /// Once the commit is acknowledged nothing brings the session back, on any node (I1). It works on a session that
    /// cannot be read, too. The commit clears the cookie, even if another request renewed the session meanwhile:
    /// whoever logs out is out, on this browser.
    pub async fn flush(&self) -> Result<(), SessionError> {
        let mut state = self.touched().await;
        state.fate = Fate::Destroy;
        state.delta = Delta::default();
        Ok(())
    }

    /// Gives the session a new id and keeps its attributes and its absolute time-out. Call it whenever rights change,
    /// at the latest when a user logs in, against session fixation.
    ///
    /// At the commit the new record is created before the old one is buried, and only then does the cookie move.
    pub async fn cycle_id(&self) -> Result<(), SessionError> {
        let mut state = self.touched().await;
        if state.fate == Fate::Keep {
            state.fate = Fate::Renew;
        }
        Ok(())
    }

    /// Drops all changes that are not committed yet.
    pub async fn revert(&self) {
        let mut state = self.touched().await;
        state.delta = Delta::default();
        state.fate = Fate::Keep;
    }

    /// Whether no live session was there when this request looked.
    pub async fn is_new(&self) -> Result<bool, SessionError> {
        Ok(self.seen().await?.base().is_none())
    }

    /// Whether there are no attributes.
    pub async fn is_empty(&self) -> Result<bool, SessionError> {
        Ok(self.seen().await?.attributes().is_empty())
    }

    /// When the session ends unless it is used again; nothing for a session that does not exist yet.
    pub async fn expires_at(&self) -> Result<Option<Timestamp>, SessionError> {
        Ok(self.seen().await?.base().map(|record| record.deadline))
    }

    /// When the session began; nothing for a session that does not exist yet.
    pub async fn created_at(&self) -> Result<Option<Timestamp>, SessionError> {
        Ok(self.seen().await?.base().map(|record| record.created))
    }

    /// Whether the handler looked at the session or changed it.
    pub fn was_used(&self) -> bool {
        self.0.used.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("used", &self.was_used()).finish_non_exhaustive()
    }
}
