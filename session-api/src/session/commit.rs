//! The end of a request: its changes become one conditional write, and the cookie follows what was confirmed.

use std::sync::Arc;

use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind, Operation};
use crate::id::SessionId;
use crate::record::Record;
use crate::session::failure::SessionError;
use crate::session::handle::Session;
use crate::session::policy::FailurePolicy;
use crate::session::state::{Fate, Sight, State};
use crate::store::SaveAnswer;
use crate::write::{Deadline, Delta, Loaded, On, Write};

/// How many ids are drawn for one new session before the source of randomness is called broken.
const CREATE_ATTEMPTS: u32 = 4;

/// What a commit did.
#[derive(Clone, Debug)]
pub struct Committed {
    /// What the cookie has to follow.
    pub cookie: CookieChange,
    /// What the failure policy let pass, or a touch that failed: the response may go out, but not silently.
    pub degraded: Option<Arc<SessionError>>,
}

/// What the cookie has to follow: it moves only if this very request created, renewed or destroyed the session, or
/// has just confirmed it alive and extended it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CookieChange {
    /// Leave the cookie alone.
    Keep,
    /// The session has a new id.
    Set {
        /// The new id.
        id: SessionId,
        /// When the session ends.
        deadline: Timestamp,
    },
    /// The session under this id was extended: a cookie with a lifetime of its own follows.
    Refresh {
        /// The id, which has not changed.
        id: SessionId,
        /// When the session ends.
        deadline: Timestamp,
    },
    /// The session was destroyed.
    Clear,
}

impl Committed {
    pub(super) const fn keep() -> Self {
        Self { cookie: CookieChange::Keep, degraded: None }
    }
}

impl Session {
    /// Whether [`commit`](Self::commit) has anything to do or to report.
    pub async fn needs_commit(&self) -> bool {
        let state = self.untouched().await;
        if !state.delta.is_empty() || state.fate != Fate::Keep || state.cookie != CookieChange::Keep {
            return true;
        }
        match &state.sight {
            Sight::Failed(_) => true,
            Sight::Live(loaded) => self.due_touch(&loaded.record).is_some(),
            Sight::Unseen | Sight::Absent => false,
        }
    }

    /// Makes the changes durable, all of them or none, and says what the cookie has to follow.
    ///
    /// The HTTP layer calls it after the handler. A load that failed before makes the commit fail as well, even if
    /// the handler ignored it, unless the [`FailurePolicy`] says otherwise.
    pub async fn commit(&self) -> Result<Committed, SessionError> {
        let mut state = self.untouched().await;
        match self.settle(&mut state).await {
            Err(error) if self.lets_pass(&state, &error) => {
                Ok(Committed { cookie: CookieChange::Keep, degraded: Some(Arc::new(error)) })
            }
            outcome => outcome,
        }
    }

    fn lets_pass(&self, state: &State, error: &SessionError) -> bool {
        let load_failed = matches!(state.sight, Sight::Failed(_)) && state.fate != Fate::Destroy;
        match self.policy().failure_policy() {
            FailurePolicy::Closed => false,
            FailurePolicy::ReadOnly => error.is_outage() && !load_failed && state.fate == Fate::Keep,
            FailurePolicy::Anonymous => error.is_outage() && load_failed,
        }
    }

    /// Commits what is pending and leaves a state that stands on the result.
    pub(super) async fn settle(&self, state: &mut State) -> Result<Committed, SessionError> {
        let committed = match state.fate {
            Fate::Destroy => self.commit_destruction(state).await?,
            Fate::Renew => self.commit_renewal(state).await?,
            Fate::Keep => self.commit_changes(state).await?,
        };
        state.fate = Fate::Keep;
        state.delta = Delta::default();
        let owed = std::mem::replace(&mut state.cookie, CookieChange::Keep);
        match committed.cookie {
            CookieChange::Set { .. } | CookieChange::Clear => Ok(committed),
            // An update has created or renewed the session already: its cookie is still owed.
            CookieChange::Keep | CookieChange::Refresh { .. } if owed != CookieChange::Keep => {
                Ok(Committed { cookie: owed, ..committed })
            }
            CookieChange::Keep | CookieChange::Refresh { .. } => Ok(committed),
        }
    }

    pub(super) async fn commit_changes(&self, state: &mut State) -> Result<Committed, SessionError> {
        if let Sight::Failed(error) = &state.sight {
            return Err(error.clone());
        }
        if state.delta.is_empty() {
            return Ok(self.touch_if_due(state).await);
        }
        self.policy().fits(state.size())?;
        match (&state.sight, state.id.clone()) {
            (Sight::Live(loaded), Some(id)) => {
                let base = loaded.clone();
                self.merge(state, id, Some(base)).await
            }
            (Sight::Unseen, Some(id)) => self.merge(state, id, None).await,
            _ if state.delta.sets().is_empty() => Ok(Committed::keep()),
            _ => {
                let delta = state.delta.clone();
                self.create(state, &delta).await
            }
        }
    }

    async fn merge(
        &self,
        state: &mut State,
        id: SessionId,
        base: Option<Loaded>,
    ) -> Result<Committed, SessionError> {
        let policy = self.policy();
        let now = policy.now();
        // Without a base the session's beginning is unknown; the absolute time-out is enforced by every load.
        let created = base.as_ref().map_or(now, |loaded| loaded.record.created);
        let deadline = policy.lease(now, created);
        let write = Write {
            on: On::Live,
            delta: state.delta.clone(),
            stamp: policy.draw_stamp()?,
            deadline: Deadline::AtLeast(deadline),
            base,
        };
        match self.save(&id, &write).await? {
            SaveAnswer::Saved { .. } => {
                // Other writers may have merged as well: what the record is now, only the next look can tell.
                state.sight = Sight::Unseen;
                Ok(Committed { cookie: CookieChange::Refresh { id, deadline }, degraded: None })
            }
            SaveAnswer::Gone => Err(SessionError::Gone),
            SaveAnswer::Conflict { .. } => {
                Err(self.broken_promise("a merge into a live session conflicted (S6)"))
            }
        }
    }

    /// Creates the session under a fresh id. An id that is taken is never shared: another is drawn.
    pub(super) async fn create(&self, state: &mut State, delta: &Delta) -> Result<Committed, SessionError> {
        let now = self.policy().now();
        let (id, record) = self.create_record(delta, now).await?;
        let deadline = record.deadline;
        state.sight = Sight::Live(record.into());
        state.delta = Delta::default();
        state.id = Some(id.clone());
        Ok(Committed { cookie: CookieChange::Set { id, deadline }, degraded: None })
    }

    pub(super) async fn create_record(
        &self,
        delta: &Delta,
        created: Timestamp,
    ) -> Result<(SessionId, Record), SessionError> {
        let policy = self.policy();
        let deadline = policy.lease(policy.now(), created);
        for _ in 0..CREATE_ATTEMPTS {
            let id = policy.draw_id()?;
            let write = Write {
                on: On::Absent { created },
                delta: delta.clone(),
                stamp: policy.draw_stamp()?,
                deadline: Deadline::Exactly(deadline),
                base: None,
            };
            if let SaveAnswer::Saved { .. } = self.save(&id, &write).await? {
                let record = Record::first(&write.delta, write.stamp, created, deadline);
                return Ok((id, record));
            }
        }
        Err(self.broken_promise("every id that was drawn is taken: the source of randomness repeats itself"))
    }

    async fn commit_destruction(&self, state: &mut State) -> Result<Committed, SessionError> {
        // What was set after the destruction begins a new session, created first: a crash between the two leaves the
        // old session as it was, and no cookie for the new one.
        let successor = match state.delta.sets().is_empty() {
            true => None,
            false => {
                self.policy().fits(state.size())?;
                Some(self.create_record(&state.delta, self.policy().now()).await?)
            }
        };
        let is_there = !matches!(state.sight, Sight::Absent);
        if let (Some(id), true) = (&state.id, is_there) {
            let store = self.policy().store();
            let key = id.key();
            self.policy().call(Operation::Delete, store.delete(&key)).await?;
        }
        let clears = state.from_cookie;
        state.cookie = CookieChange::Keep;
        let Some((id, record)) = successor else {
            state.id = None;
            state.sight = Sight::Absent;
            let cookie = if clears { CookieChange::Clear } else { CookieChange::Keep };
            return Ok(Committed { cookie, degraded: None });
        };
        let deadline = record.deadline;
        state.sight = Sight::Live(record.into());
        state.id = Some(id.clone());
        Ok(Committed { cookie: CookieChange::Set { id, deadline }, degraded: None })
    }

    /// The deadline to touch the session with, if that is worth a call.
    fn due_touch(&self, record: &Record) -> Option<Timestamp> {
        let target = self.policy().lease(self.policy().now(), record.created);
        self.policy().is_touch_due(record.deadline, target).then_some(target)
    }

    /// Extends a session that was only looked at. A touch carries no attributes, and one that fails has cost nothing
    /// but a little lifetime: the answer that was read is right, so the request does not fail.
    async fn touch_if_due(&self, state: &State) -> Committed {
        let (Sight::Live(loaded), Some(id)) = (&state.sight, &state.id) else {
            return Committed::keep();
        };
        let Some(deadline) = self.due_touch(&loaded.record) else {
            return Committed::keep();
        };
        let store = self.policy().store();
        let key = id.key();
        match self.policy().call(Operation::Touch, store.touch(&key, deadline)).await {
            Ok(true) => {
                Committed { cookie: CookieChange::Refresh { id: id.clone(), deadline }, degraded: None }
            }
            Ok(false) => Committed::keep(),
            Err(error) => Committed { cookie: CookieChange::Keep, degraded: Some(Arc::new(error)) },
        }
    }

    pub(super) async fn save(&self, id: &SessionId, write: &Write) -> Result<SaveAnswer, SessionError> {
        let key = id.key();
        self.policy().call(Operation::Save, self.policy().store().save(&key, write)).await
    }

    pub(super) fn broken_promise(&self, message: &'static str) -> SessionError {
        let store = self.policy().store().to_string();
        Error::new(ErrorKind::Unexpected, Operation::Save, store, message).into()
    }
}
