//! The flaws that more than one suite has to catch.

use async_trait::async_trait;
use holdover_api::{
    Attributes, Error, ErrorKind, InstallVerdict, Lineage, On, Operation, Record, SessionKey, Stamp,
    Standing, Stored, Timestamp, Verdict, Write, judge, judge_install,
};

use super::base::{Flaw, Flawed};

/// Compare-and-set does not compare.
pub(super) struct IgnoresHead;

impl Flaw for IgnoresHead {
    fn judge(&self, now: Timestamp, stored: Option<&Stored>, write: &Write) -> Verdict {
        let on = if matches!(write.on, On::Head(_)) { On::Live } else { write.on };
        judge(now, stored, &Write { on, ..write.clone() })
    }
}

/// A save where nothing is left creates it.
pub(super) struct SaveUpserts;

impl Flaw for SaveUpserts {
    fn judge(&self, now: Timestamp, stored: Option<&Stored>, write: &Write) -> Verdict {
        match judge(now, stored, write) {
            Verdict::Gone => judge(now, None, &Write { on: On::Absent { created: now }, ..write.clone() }),
            verdict => verdict,
        }
    }
}

/// A touch where nothing is left says so, and leaves a husk.
pub(super) struct TouchCreates;

#[async_trait]
impl Flaw for TouchCreates {
    async fn touch(&self, store: &Flawed, key: &SessionKey, deadline: Timestamp) -> Result<bool, Error> {
        if store.sound_touch(key, deadline)? {
            return Ok(true);
        }
        let husk = Record {
            attributes: Attributes::new(),
            lineage: Lineage::new(Stamp::from_bytes([6; 16])),
            created: store.now(),
            deadline,
        };
        store.put(key, Some(&Stored::Record(husk)));
        Ok(false)
    }
}

/// Deleting what is not there is an error.
pub(super) struct DeleteOfNothingFails;

#[async_trait]
impl Flaw for DeleteOfNothingFails {
    async fn delete(&self, store: &Flawed, key: &SessionKey) -> Result<(), Error> {
        if store.get(key, Operation::Delete)?.is_none() {
            return Err(store.error(ErrorKind::Unexpected, Operation::Delete));
        }
        store.sound_delete(key);
        Ok(())
    }
}

/// An installation that is tried again meets its own result and is refused.
pub(super) struct RetriedInstallRefused;

impl Flaw for RetriedInstallRefused {
    fn judge_install(
        &self,
        now: Timestamp,
        stored: Option<&Stored>,
        over: Option<Standing>,
        new: &Stored,
    ) -> InstallVerdict {
        match judge_install(now, stored, over, new) {
            InstallVerdict::Repeated => InstallVerdict::Refused,
            verdict => verdict,
        }
    }
}

/// An installation does not look at what it replaces.
pub(super) struct InstallsAlways;

impl Flaw for InstallsAlways {
    fn judge_install(
        &self,
        _: Timestamp,
        _: Option<&Stored>,
        _: Option<Standing>,
        _: &Stored,
    ) -> InstallVerdict {
        InstallVerdict::Apply
    }
}
