//! The atomic read-modify-write.

use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::clock::pause;
use crate::codec::Codec;
use crate::session::commit::CookieChange;
use crate::session::failure::SessionError;
use crate::session::handle::Session;
use crate::session::state::{Fate, Sight, State};
use crate::store::SaveAnswer;
use crate::write::{Deadline, Delta, Loaded, On, Write};

/// How many lost races an update takes: sixty writers on one session lose some sixty at the most.
const UPDATE_ATTEMPTS: u32 = 1_000;

/// After so many lost races in a row an update steps back for a moment, a little longer each time.
const PATIENCE: u32 = 16;

impl Session {
    /// Changes one attribute atomically: reads it, lets `change` make the new value, and writes it only if the
    /// session has not changed in between; otherwise it starts over with the record that was in the way.
    ///
    /// Answers the value that was committed. It is committed at once, together with all pending changes of this
    /// handle. `change` may be called several times: it should do nothing but compute. If it makes the value that is
    /// there already, nothing is written.
    ///
    /// Fails with [`SessionError::Gone`] if the session was destroyed meanwhile, and with
    /// [`SessionError::Contention`] after a thousand lost races in a row. After any other failure the change may or
    /// may not have been made.
    pub async fn update<T, F>(&self, name: &str, mut change: F) -> Result<T, SessionError>
    where
        T: Serialize + DeserializeOwned,
        F: FnMut(Option<T>) -> T,
    {
        let mut state = self.touched().await;
        if state.fate != Fate::Keep {
            let committed = self.settle(&mut state).await?;
            state.cookie = committed.cookie;
        }
        self.look(&mut state).await?;
        if let Sight::Failed(error) = &state.sight {
            return Err(error.clone());
        }
        for attempt in 0..UPDATE_ATTEMPTS {
            let old = state.value(name).map(|bytes| Codec::decode(bytes)).transpose()?;
            let new = change(old);
            let bytes = self.policy().codec().encode(&new)?;
            if state.value(name) == Some(&bytes) {
                return Ok(new);
            }
            self.policy().fits(state.size_with(name, &bytes))?;
            if self.try_update(&mut state, name, bytes).await? {
                return Ok(new);
            }
            if let Some(lost) = attempt.checked_sub(PATIENCE) {
                self.step_back(lost).await?;
            }
        }
        Err(SessionError::Contention { attempts: UPDATE_ATTEMPTS })
    }

    /// One attempt; false if the race was lost, in which case the state stands on the record that was in the way.
    async fn try_update(&self, state: &mut State, name: &str, bytes: Bytes) -> Result<bool, SessionError> {
        let mut delta = state.delta.clone();
        delta.set(name, bytes);
        let (Sight::Live(base), Some(id)) = (&state.sight, state.id.clone()) else {
            state.cookie = self.create(state, &delta).await?.cookie;
            return Ok(true);
        };
        let policy = self.policy();
        let deadline = policy.lease(policy.now(), base.record.created);
        let write = Write {
            on: On::Head(base.record.head()),
            delta,
            stamp: policy.draw_stamp()?,
            deadline: Deadline::AtLeast(deadline),
            base: Some(base.clone()),
        };
        match self.save(&id, &write).await? {
            SaveAnswer::Saved { .. } => {
                let updated = base.record.after(&write);
                let deadline = updated.deadline;
                state.sight = Sight::Live(updated.into());
                state.delta = Delta::default();
                if state.cookie == CookieChange::Keep {
                    state.cookie = CookieChange::Refresh { id, deadline };
                }
                Ok(true)
            }
            SaveAnswer::Conflict { current } => {
                self.stand_on(state, current).await?;
                Ok(false)
            }
            SaveAnswer::Gone => Err(SessionError::Gone),
        }
    }

    async fn stand_on(&self, state: &mut State, current: Option<Loaded>) -> Result<(), SessionError> {
        if let Some(current) = current {
            state.sight = Sight::Live(current);
            return Ok(());
        }
        state.sight = Sight::Unseen;
        self.look(state).await?;
        match state.sight {
            Sight::Live(_) => Ok(()),
            Sight::Absent | Sight::Unseen => Err(SessionError::Gone),
            Sight::Failed(ref error) => Err(error.clone()),
        }
    }

    /// A random moment, so that writers who keep colliding spread out.
    async fn step_back(&self, lost: u32) -> Result<(), SessionError> {
        let longest = u64::from((lost + 1).min(20));
        let random = self.policy().draw_stamp()?;
        let share = u64::from(random.as_bytes()[0]);
        pause(Duration::from_micros(longest * 1_000 * share / 255)).await;
        Ok(())
    }
}
