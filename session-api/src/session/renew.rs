//! Renewal of an id: create the new record, bury the old one, and only then move the cookie.

use crate::error::{Effect, Operation};
use crate::ext::SessionStoreExt;
use crate::id::SessionId;
use crate::record::{Attributes, Record, Stored};
use crate::session::commit::{Committed, CookieChange};
use crate::session::failure::SessionError;
use crate::session::handle::Session;
use crate::session::state::{Sight, State};
use crate::stamp::Stamp;
use crate::store::{InstallAnswer, SaveAnswer};
use crate::write::{Deadline, Delta, Loaded, On, Write};

/// How many changes by other requests a renewal follows before it gives up.
const RENEWAL_ATTEMPTS: u32 = 1_000;

impl Session {
    /// A crash between creation and burial leaves the old session with the rights it had, and no cookie for the new
    /// one. What other requests write to the old session meanwhile is carried over (I2): the burial is conditional on
    /// the record that was copied. If the old session is destroyed meanwhile, so is the new one (I1).
    pub(super) async fn commit_renewal(&self, state: &mut State) -> Result<Committed, SessionError> {
        self.look(state).await?;
        let (Sight::Live(loaded), Some(old)) = (&state.sight, &state.id) else {
            return self.commit_changes(state).await;
        };
        self.policy().fits(state.size())?;
        let mut old_copy = loaded.clone();
        let delta = whole(&attributes_with(&old_copy.record, &state.delta));
        let (new, mut new_record) = self.create_record(&delta, old_copy.record.created).await?;
        for _ in 0..RENEWAL_ATTEMPTS {
            let stamp = self.policy().draw_stamp()?;
            match self.bury(old, &old_copy, stamp).await? {
                InstallAnswer::Installed => {
                    let deadline = new_record.deadline;
                    state.sight = Sight::Live(new_record.into());
                    state.id = Some(new.clone());
                    return Ok(Committed { cookie: CookieChange::Set { id: new, deadline }, degraded: None });
                }
                InstallAnswer::Refused { stored: Some(Stored::Record(changed)) } => {
                    old_copy = Loaded::from(changed);
                    new_record = self.carry_over(&new, &new_record, &old_copy.record, &state.delta).await?;
                }
                InstallAnswer::Refused { stored: Some(Stored::Tombstone(_)) | None } => {
                    let store = self.policy().store();
                    let key = new.key();
                    self.policy().call(Operation::Delete, store.delete(&key)).await?;
                    return Err(SessionError::Gone);
                }
            }
        }
        Err(SessionError::Contention { attempts: RENEWAL_ATTEMPTS })
    }

    /// Buries the old record. An answer that was lost is asked for once more: the stamp makes that safe, and giving up
    /// at once could leave a buried session whose successor nobody was told of.
    async fn bury(&self, id: &SessionId, copy: &Loaded, stamp: Stamp) -> Result<InstallAnswer, SessionError> {
        let store = self.policy().store();
        let key = id.key();
        match self.policy().call(Operation::Install, store.bury(&key, copy, stamp)).await {
            Err(SessionError::Store(error)) if error.effect() == Effect::Unknown => {
                self.policy().call(Operation::Install, store.bury(&key, copy, stamp)).await
            }
            outcome => outcome,
        }
    }

    /// Brings the new record, which nobody else knows yet, up to what the old one has become.
    async fn carry_over(
        &self,
        new: &SessionId,
        new_record: &Record,
        old_record: &Record,
        delta: &Delta,
    ) -> Result<Record, SessionError> {
        let write = Write {
            on: On::Head(new_record.head()),
            delta: whole(&attributes_with(old_record, delta)),
            stamp: self.policy().draw_stamp()?,
            deadline: Deadline::AtLeast(new_record.deadline),
            base: Some(Loaded::from(new_record.clone())),
        };
        match self.save(new, &write).await? {
            SaveAnswer::Saved { .. } => Ok(new_record.after(&write)),
            SaveAnswer::Conflict { .. } | SaveAnswer::Gone => {
                Err(self.broken_promise("a record that nobody else knows has changed (S7)"))
            }
        }
    }
}

fn attributes_with(record: &Record, delta: &Delta) -> Attributes {
    let mut attributes = record.attributes.clone();
    delta.apply(&mut attributes);
    attributes
}

/// A delta that leaves exactly these attributes.
fn whole(attributes: &Attributes) -> Delta {
    let mut delta = Delta::default();
    delta.clear();
    for (name, value) in attributes {
        delta.set(name.as_str(), value.clone());
    }
    delta
}
