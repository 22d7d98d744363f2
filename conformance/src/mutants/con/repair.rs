//! Stores that repair wrongly, and stores that misread what they keep.

use async_trait::async_trait;
use bytes::Bytes;
use holdover_api::frame::{self, FrameError};
use holdover_api::{
    Error, InstallAnswer, InstallVerdict, Lineage, Operation, Record, SessionKey, Stamp, Standing, Stored,
    Timestamp, Verdict, Write, judge, judge_install,
};

use crate::mutants::shapes::{InstallsAlways, RetriedInstallRefused};
use crate::mutants::{Flaw, Flawed, Mutant};
use crate::trial::LIFETIME;

pub(super) fn mutants() -> Vec<Mutant> {
    vec![
        mutant!(
            "con-m50l",
            InstallsNewLineage,
            "an installation keeps only the head of the lineage",
            ["CON-50"]
        ),
        mutant!("con-m50x", InstallsDeadline, "an installation never shortens the deadline", ["CON-50"]),
        mutant!(
            "con-m51i",
            InstallsAlways,
            "an installation does not look at what is there",
            ["CON-51", "CON-52"]
        ),
        mutant!(
            "con-m51n",
            InstallsOverNothing,
            "an installation over a head is made where nothing is",
            ["CON-51"]
        ),
        mutant!(
            "con-m51d",
            InstallsOverTouched,
            "an installation does not notice a touch of what it replaces",
            ["CON-51"]
        ),
        mutant!(
            "con-m52i",
            RetriedInstallRefused,
            "an installation that has happened is refused when it comes again",
            ["CON-52"]
        ),
        mutant!("con-m25h", CreatesOverTombstone, "a create over a tombstone is made", ["CON-53"]),
        mutant!(
            "con-m25w",
            WritesThroughTombstone,
            "a tombstone that is written to is a session again",
            ["CON-53"]
        ),
        mutant!("con-m25i", HidesTombstone, "an inspection does not see tombstones", ["CON-53", "CON-51"]),
        mutant!("con-m54", InspectExtends, "an inspection extends the session", ["CON-54"]),
        mutant!("con-m54h", InspectMovesHead, "an inspection moves the head", ["CON-54"]),
        mutant!(
            "con-m51",
            CorruptIsAbsent,
            "a record that cannot be read is taken for none",
            ["CON-27", "CON-30"]
        ),
        mutant!(
            "con-m51b",
            CorruptBlocksDelete,
            "a record that cannot be read cannot be deleted",
            ["CON-27"]
        ),
        mutant!(
            "con-m51t",
            CorruptIsTruncated,
            "a record that cannot be read is read as an empty one",
            ["CON-27", "CON-29", "CON-30"]
        ),
        mutant!("con-m50", ReadsNewer, "a newer format is read all the same", ["CON-29"]),
    ]
}

/// What stands in the place of an installed record.
async fn install_as(
    store: &Flawed,
    key: &SessionKey,
    over: Option<Standing>,
    new: &Stored,
    change: impl Fn(&mut Record, Option<&Stored>) + Send,
) -> Result<InstallAnswer, Error> {
    let before = store.get(key, Operation::Install)?;
    let answer = store.sound_install(key, over, new)?;
    if let (InstallAnswer::Installed, Stored::Record(record)) = (&answer, new) {
        let mut changed = record.clone();
        change(&mut changed, before.as_ref());
        store.put(key, Some(&Stored::Record(changed)));
    }
    Ok(answer)
}

struct InstallsNewLineage;

#[async_trait]
impl Flaw for InstallsNewLineage {
    async fn install(
        &self,
        store: &Flawed,
        key: &SessionKey,
        over: Option<Standing>,
        new: &Stored,
    ) -> Result<InstallAnswer, Error> {
        install_as(store, key, over, new, |record, _| record.lineage = Lineage::new(record.head())).await
    }
}

struct InstallsDeadline;

#[async_trait]
impl Flaw for InstallsDeadline {
    async fn install(
        &self,
        store: &Flawed,
        key: &SessionKey,
        over: Option<Standing>,
        new: &Stored,
    ) -> Result<InstallAnswer, Error> {
        install_as(store, key, over, new, |record, before| {
            let standing = before.map(Stored::deadline).unwrap_or_default();
            record.deadline = record.deadline.max(standing);
        })
        .await
    }
}

struct InstallsOverNothing;

impl Flaw for InstallsOverNothing {
    fn judge_install(
        &self,
        now: Timestamp,
        stored: Option<&Stored>,
        over: Option<Standing>,
        new: &Stored,
    ) -> InstallVerdict {
        if stored.is_none() {
            return InstallVerdict::Apply;
        }
        judge_install(now, stored, over, new)
    }
}

struct InstallsOverTouched;

impl Flaw for InstallsOverTouched {
    fn judge_install(
        &self,
        now: Timestamp,
        stored: Option<&Stored>,
        over: Option<Standing>,
        new: &Stored,
    ) -> InstallVerdict {
        let deadline = stored.map(Stored::deadline);
        let over = over.map(|over| Standing { deadline: deadline.unwrap_or(over.deadline), ..over });
        judge_install(now, stored, over, new)
    }
}

struct CreatesOverTombstone;

impl Flaw for CreatesOverTombstone {
    fn judge(&self, now: Timestamp, stored: Option<&Stored>, write: &Write) -> Verdict {
        let records_only = stored.filter(|stored| matches!(stored, Stored::Record(_)));
        judge(now, records_only, write)
    }
}

struct WritesThroughTombstone;

impl Flaw for WritesThroughTombstone {
    fn judge(&self, now: Timestamp, stored: Option<&Stored>, write: &Write) -> Verdict {
        let Some(Stored::Tombstone(tombstone)) = stored else {
            return judge(now, stored, write);
        };
        let risen = Record {
            attributes: std::collections::BTreeMap::default(),
            lineage: tombstone.lineage.clone(),
            created: now,
            deadline: tombstone.deadline,
        };
        judge(now, Some(&Stored::Record(risen)), write)
    }
}

struct HidesTombstone;

#[async_trait]
impl Flaw for HidesTombstone {
    async fn inspect(&self, store: &Flawed, key: &SessionKey) -> Result<Option<Stored>, Error> {
        let stored = store.get(key, Operation::Inspect)?;
        Ok(stored.filter(|stored| matches!(stored, Stored::Record(_))))
    }
}

struct InspectExtends;

#[async_trait]
impl Flaw for InspectExtends {
    async fn inspect(&self, store: &Flawed, key: &SessionKey) -> Result<Option<Stored>, Error> {
        let stored = store.get(key, Operation::Inspect)?;
        store.sound_touch(key, store.now() + LIFETIME + LIFETIME)?;
        Ok(stored)
    }
}

struct InspectMovesHead;

#[async_trait]
impl Flaw for InspectMovesHead {
    async fn inspect(&self, store: &Flawed, key: &SessionKey) -> Result<Option<Stored>, Error> {
        let stored = store.get(key, Operation::Inspect)?;
        if let Some(Stored::Record(mut record)) = stored.clone() {
            record.lineage = record.lineage.pushed(Stamp::from_bytes([9; 16]));
            store.put(key, Some(&Stored::Record(record)));
        }
        Ok(stored)
    }
}

struct CorruptIsAbsent;

impl Flaw for CorruptIsAbsent {
    fn decode(&self, bytes: &Bytes) -> Result<Option<Stored>, FrameError> {
        Ok(frame::decode(bytes).ok())
    }
}

struct CorruptBlocksDelete;

#[async_trait]
impl Flaw for CorruptBlocksDelete {
    async fn delete(&self, store: &Flawed, key: &SessionKey) -> Result<(), Error> {
        store.get(key, Operation::Delete)?;
        store.sound_delete(key);
        Ok(())
    }
}

struct CorruptIsTruncated;

impl Flaw for CorruptIsTruncated {
    fn decode(&self, bytes: &Bytes) -> Result<Option<Stored>, FrameError> {
        let empty = Record {
            attributes: std::collections::BTreeMap::default(),
            lineage: Lineage::new(Stamp::from_bytes([0; 16])),
            created: Timestamp::default(),
            deadline: Timestamp::MAX,
        };
        Ok(Some(frame::decode(bytes).unwrap_or(Stored::Record(empty))))
    }
}

struct ReadsNewer;

impl Flaw for ReadsNewer {
    fn decode(&self, bytes: &Bytes) -> Result<Option<Stored>, FrameError> {
        let mut as_ours = bytes.to_vec();
        if let Some(version) = as_ours.first_mut().filter(|version| **version > frame::VERSION) {
            *version = frame::VERSION;
        }
        frame::decode(&as_ours.into()).map(Some)
    }
}
