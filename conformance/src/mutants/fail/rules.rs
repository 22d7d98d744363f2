//! Flaws in what a server makes of a request that it has seen before, or that comes too late.

use async_trait::async_trait;
use holdover_api::{
    Attributes, Error, ErrorKind, InstallVerdict, Lineage, On, Operation, Record, SessionKey, Stamp, Stored,
    Timestamp, Verdict, Write, judge, judge_install, judge_touch,
};

use crate::mutants::{Flaw, Flawed};

/// A compare-and-set that is tried again meets its own result and calls it a conflict.
pub(super) struct RetriedHeadConflicts;

impl Flaw for RetriedHeadConflicts {
    fn judge(&self, now: Timestamp, stored: Option<&Stored>, write: &Write) -> Verdict {
        match (judge(now, stored, write), write.on) {
            (Verdict::Repeated { .. }, On::Head(_)) => Verdict::Conflict,
            (verdict, _) => verdict,
        }
    }
}

/// A merge that is tried again is made again.
pub(super) struct RetriedMergeAppliesAgain;

impl Flaw for RetriedMergeAppliesAgain {
    fn judge(&self, now: Timestamp, stored: Option<&Stored>, write: &Write) -> Verdict {
        match (judge(now, stored, write), write.on) {
            (Verdict::Repeated { .. }, On::Live) => {
                let mut stamp = *write.stamp.as_bytes();
                stamp[0] ^= 0xFF;
                judge(now, stored, &Write { stamp: Stamp::from_bytes(stamp), ..write.clone() })
            }
            (verdict, _) => verdict,
        }
    }
}

/// A create that is tried again meets its own session and calls it a stranger's.
pub(super) struct RetriedCreateConflicts;

impl Flaw for RetriedCreateConflicts {
    fn judge(&self, now: Timestamp, stored: Option<&Stored>, write: &Write) -> Verdict {
        match (judge(now, stored, write), write.on) {
            (Verdict::Repeated { .. }, On::Absent { .. }) => Verdict::Conflict,
            (verdict, _) => verdict,
        }
    }
}

/// A touch adds what it asks for to what is there.
pub(super) struct TouchAdds;

impl Flaw for TouchAdds {
    fn judge_touch(&self, now: Timestamp, stored: Option<&Stored>, deadline: Timestamp) -> Option<Timestamp> {
        let extended = judge_touch(now, stored, deadline)?;
        let before = stored?.deadline();
        Some(if extended == before { extended + deadline.since(now) } else { extended })
    }
}

/// Deleting what is not there is an error.
pub(super) struct SecondDeleteFails;

#[async_trait]
impl Flaw for SecondDeleteFails {
    async fn delete(&self, store: &Flawed, key: &SessionKey) -> Result<(), Error> {
        if store.get(key, Operation::Delete)?.is_none() {
            return Err(store.error(ErrorKind::Unexpected, Operation::Delete));
        }
        store.put(key, None);
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
        over: Option<Stamp>,
        new: &Stored,
    ) -> InstallVerdict {
        match judge_install(now, stored, over, new) {
            InstallVerdict::Repeated => InstallVerdict::Refused,
            verdict => verdict,
        }
    }
}

/// Compare-and-set does not compare.
pub(super) struct IgnoresHead;

impl Flaw for IgnoresHead {
    fn judge(&self, now: Timestamp, stored: Option<&Stored>, write: &Write) -> Verdict {
        let on = if matches!(write.on, On::Head(_)) { On::Live } else { write.on };
        judge(now, stored, &Write { on, ..write.clone() })
    }
}

/// A save where nothing is left creates it.
pub(super) struct Upserts;

impl Flaw for Upserts {
    fn judge(&self, now: Timestamp, stored: Option<&Stored>, write: &Write) -> Verdict {
        match judge(now, stored, write) {
            Verdict::Gone => judge(now, stored, &Write { on: On::Absent { created: now }, ..write.clone() }),
            verdict => verdict,
        }
    }
}

/// A touch where nothing is left creates it.
pub(super) struct TouchCreates;

#[async_trait]
impl Flaw for TouchCreates {
    async fn touch(&self, store: &Flawed, key: &SessionKey, deadline: Timestamp) -> Result<bool, Error> {
        if store.get(key, Operation::Touch)?.is_none() {
            let husk = Record {
                attributes: Attributes::new(),
                lineage: Lineage::new(Stamp::from_bytes([0; 16])),
                created: store.now(),
                deadline,
            };
            store.put(key, Some(&Stored::Record(husk)));
            return Ok(false);
        }
        store.sound_touch(key, deadline)
    }
}
