//! One table: each change is one conditional write to it, and what has expired is the time to live's to remove.

use std::sync::Arc;

use holdover_api::{
    Clock, Freshness, InstallAnswer, InstallVerdict, Loaded, On, Record, SaveAnswer, Stamp, Standing, Stored,
    Timestamp, Verdict, Write, frame, judge, judge_install, judge_touch,
};

use super::access::head_of;
use super::error::{Cause, Failure};
use super::layout::{self, Item, LONGEST_NAME};
use super::statement::{Kept, Moves, Statement, added};
use super::table::{Answer, Replaced, Table};

/// The store's operations on one table.
#[derive(Debug)]
pub(super) struct OneTable {
    pub(super) table: Table,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) max_bytes: usize,
}

/// What was found under a key, and how large it is at most.
struct Found {
    stored: Stored,
    room: usize,
}

/// Whether a record is larger than may be stored.
pub(super) fn is_too_large(record: &Record, max_bytes: usize) -> bool {
    frame::size(record) > max_bytes || record.attributes.keys().any(|name| name.len() >= LONGEST_NAME)
}

impl OneTable {
    /// What is there.
    pub(super) async fn inspect_at(&self, name: &str) -> Result<Option<Stored>, Failure> {
        Ok(self.read(name).await?.map(|found| found.stored))
    }

    async fn read(&self, name: &str) -> Result<Option<Found>, Failure> {
        self.table.get(name, true).await?.map(found).transpose()
    }

    /// What is there after a refusal: the server says so along with it, or has to be asked.
    async fn after_refusal(&self, name: &str, item: Option<Item>) -> Result<Option<Found>, Failure> {
        match item {
            Some(item) => found(item).map(Some),
            None => self.read(name).await,
        }
    }

    /// A write over what nobody has read. Nothing if it has to be read first.
    async fn save_unread(&self, name: &str, write: &Write) -> Result<Option<Attempt>, Failure> {
        let now = self.clock.now();
        if let On::Absent { created } = write.on {
            let record = Record::first(&write.delta, write.stamp, created, write.deadline.moment());
            if is_too_large(&record, self.max_bytes) {
                return Ok(None);
            }
            return self
                .put(name, &Stored::Record(record), Statement::over_nothing(now), now)
                .await
                .map(Some);
        }
        let standing = write.base.as_ref().map(|base| base.record.deadline);
        let moves = Moves::of(write.deadline, standing);
        match Statement::merge(write, moves, now, self.max_bytes, Kept::Alone) {
            Some(statement) => self.merge(name, write, statement).await.map(Some),
            None => Ok(None),
        }
    }

    async fn merge(&self, name: &str, write: &Write, statement: Statement) -> Result<Attempt, Failure> {
        // What a compare and set replaced is known without asking.
        let asks = if matches!(write.on, On::Head(_)) { Replaced::Nothing } else { Replaced::Old };
        match self.table.update(name, statement, asks).await? {
            Answer::Refused(item) => Ok(Attempt::Refused(item)),
            Answer::Done(replaced) => {
                let previous = match write.on {
                    On::Head(head) => Some(head),
                    On::Live | On::Absent { .. } => replaced.and_then(|replaced| head_of(&replaced)),
                };
                Ok(Attempt::Done(previous))
            }
        }
    }

    async fn put(
        &self,
        name: &str,
        new: &Stored,
        statement: Statement,
        now: Timestamp,
    ) -> Result<Attempt, Failure> {
        match self.table.put(layout::encode_expiring(name, new, now), statement).await? {
            Answer::Done(_) => Ok(Attempt::Done(None)),
            Answer::Refused(item) => Ok(Attempt::Refused(item)),
        }
    }

    /// Writes what the judge says over what was found, if that is still there.
    async fn apply(
        &self,
        name: &str,
        write: &Write,
        found: Option<&Found>,
        record: Record,
    ) -> Result<Attempt, Failure> {
        if is_too_large(&record, self.max_bytes) {
            return Err(Failure::unsent(Cause::TooLarge));
        }
        let now = self.clock.now();
        let Some(found) = found.filter(|found| !found.stored.is_over(now)) else {
            if !matches!(write.on, On::Absent { .. }) {
                // It ended between the judgement and now: read again.
                return Ok(Attempt::Refused(None));
            }
            return self.put(name, &Stored::Record(record), Statement::over_nothing(now), now).await;
        };
        let standing = found.stored.standing();
        if found.room + added(&write.delta) <= self.max_bytes || write.delta.clears() {
            let moves = Moves::of(write.deadline, Some(standing.deadline));
            if let Some(statement) = Statement::merge(write, moves, now, self.max_bytes, Kept::Alone) {
                return self.merge(name, write, statement).await;
            }
        }
        match self.put(name, &Stored::Record(record), Statement::over(standing, now), now).await? {
            Attempt::Done(_) => Ok(Attempt::Done(Some(standing.head))),
            refused @ Attempt::Refused(_) => Ok(refused),
        }
    }

    pub(super) async fn save_at(&self, name: &str, write: &Write) -> Result<SaveAnswer, Failure> {
        let mut refused = match self.save_unread(name, write).await? {
            Some(Attempt::Done(previous)) => return Ok(SaveAnswer::Saved { previous }),
            Some(Attempt::Refused(item)) => item,
            None => None,
        };
        loop {
            let found = self.after_refusal(name, refused).await?;
            let now = self.clock.now();
            match judge(now, stored(found.as_ref()), write) {
                Verdict::Apply { record, previous } => {
                    match self.apply(name, write, found.as_ref(), record).await? {
                        Attempt::Done(replaced) => {
                            return Ok(SaveAnswer::Saved { previous: replaced.or(previous) });
                        }
                        Attempt::Refused(item) => refused = item,
                    }
                }
                Verdict::Repeated { previous } => return Ok(SaveAnswer::Saved { previous }),
                Verdict::Conflict => {
                    let current = found.and_then(|found| found.stored.into_live(now)).map(Loaded::from);
                    return Ok(SaveAnswer::Conflict { current });
                }
                Verdict::Gone => return Ok(SaveAnswer::Gone),
            }
        }
    }

    pub(super) async fn touch_at(&self, name: &str, deadline: Timestamp) -> Result<bool, Failure> {
        loop {
            let now = self.clock.now();
            let answer = self
                .table
                .update(name, Statement::touch(deadline, now, Kept::Alone), Replaced::Nothing)
                .await?;
            let Answer::Refused(item) = answer else {
                return Ok(true);
            };
            let found = self.after_refusal(name, item).await?;
            match (judge_touch(self.clock.now(), stored(found.as_ref()), deadline), found) {
                (None, _) => return Ok(false),
                (Some(lasts), Some(found)) if lasts == found.stored.deadline() => return Ok(true),
                // Something changed between the refusal and the reading.
                (Some(_), _) => {}
            }
        }
    }

    pub(super) async fn install_at(
        &self,
        name: &str,
        over: Option<Standing>,
        new: &Stored,
    ) -> Result<InstallAnswer, Failure> {
        loop {
            let now = self.clock.now();
            let statement = match over {
                None => Statement::over_nothing(now),
                Some(over) => Statement::over(over, now),
            };
            let Attempt::Refused(item) = self.put(name, new, statement, now).await? else {
                return Ok(InstallAnswer::Installed);
            };
            let found = self.after_refusal(name, item).await?;
            let now = self.clock.now();
            match judge_install(now, stored(found.as_ref()), over, new) {
                InstallVerdict::Apply => {}
                InstallVerdict::Repeated => return Ok(InstallAnswer::Installed),
                InstallVerdict::Refused => {
                    let stored = found.map(|found| found.stored).filter(|stored| !stored.is_over(now));
                    return Ok(InstallAnswer::Refused { stored });
                }
            }
        }
    }

    pub(super) async fn load_at(&self, name: &str, freshness: Freshness) -> Result<Option<Loaded>, Failure> {
        if let Freshness::AtLeast(stamp) = freshness
            && let Some(item) = self.table.get(name, false).await?
            && let Ok((stored, _)) = layout::decode(item)
            && stored.lineage().contains(stamp)
            && let Some(record) = stored.into_live(self.clock.now())
        {
            return Ok(Some(record.into()));
        }
        let found = self.read(name).await?;
        // The time is asked after the answer: what expired on the way is not handed out (I4).
        let now = self.clock.now();
        Ok(found.and_then(|found| found.stored.into_live(now)).map(Loaded::from))
    }
}

/// How an attempt to write ended.
enum Attempt {
    /// It is done; with the head that it replaced, as far as that is known.
    Done(Option<Stamp>),
    /// Something else is there than the attempt stood on; with what it is, as far as that is known.
    Refused(Option<Item>),
}

fn found(item: Item) -> Result<Found, Failure> {
    let (stored, room) =
        layout::decode(item).map_err(|unreadable| Failure::unsent(Cause::Unreadable(unreadable)))?;
    Ok(Found { stored, room })
}

fn stored(found: Option<&Found>) -> Option<&Stored> {
    Some(&found?.stored)
}
