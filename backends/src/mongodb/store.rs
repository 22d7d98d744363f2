//! The store: each operation is one command on one document.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use holdover_api::{
    Capabilities, CheapReads, Clock, Error, Expiry, Freshness, InstallAnswer, InstallVerdict, Loaded, On,
    Operation, Record, SaveAnswer, SessionKey, SessionStore, Standing, Stored, Survives, Timestamp, Verdict,
    Write, Writes, frame, judge, judge_install, judge_touch,
};

use mongodb::bson::Document;

use super::NAME;
use super::effort::Effort;
use super::error::Failure;
use super::place::{Place, Reached};
use super::write::{self, Fit, Size};

/// How late the server removes what has expired: its monitor looks once a minute, and takes its time where much has
/// expired at once. Reads never see it, whatever the server does.
const EXPIRY_LAG: Duration = Duration::from_secs(120);

/// Sessions in a MongoDB collection. [`connect`](crate::connect) makes one.
pub struct Mongodb {
    place: Place,
    clock: Arc<dyn Clock>,
    max_bytes: usize,
    patience: Duration,
    survives: Survives,
}

impl Mongodb {
    pub(super) const fn new(
        place: Place,
        clock: Arc<dyn Clock>,
        max_bytes: usize,
        patience: Duration,
        survives: Survives,
    ) -> Self {
        Self { place, clock, max_bytes, patience, survives }
    }

    const fn effort(&self, operation: Operation) -> Effort<'_> {
        Effort { place: &self.place, operation, patience: self.patience }
    }

    /// One attempt at a write: made at once, and looked into only if it was not taken.
    async fn save_once(
        &self,
        reached: Arc<Reached>,
        key: &SessionKey,
        write: &Write,
    ) -> Result<Option<SaveAnswer>, Failure> {
        let at_once = match write.on {
            On::Absent { created } => self.create(&reached, key, write, created).await?,
            On::Live | On::Head(_) => self.merge(&reached, key, write).await?,
        };
        if at_once.is_some() {
            return Ok(at_once);
        }
        let found = reached.read(key).await?;
        let now = self.clock.now();
        match judge(now, found.as_ref(), write) {
            Verdict::Repeated { previous } => Ok(Some(SaveAnswer::Saved { previous })),
            Verdict::Conflict => {
                let current = found.and_then(|stored| stored.into_live(now)).map(Loaded::from);
                Ok(Some(SaveAnswer::Conflict { current }))
            }
            Verdict::Gone => Ok(Some(SaveAnswer::Gone)),
            Verdict::Apply { record, previous } => {
                let size = frame::size(&record);
                if size > self.max_bytes {
                    return Err(Failure::TooLarge(self.max_bytes));
                }
                match previous {
                    // On this record and no other, its size is known.
                    Some(head) => {
                        let filter = write::precondition(key, write, Some(head), now);
                        change(&reached, filter, write, Size::Is(size)).await
                    }
                    None => Ok(None),
                }
            }
        }
    }

    async fn create(
        &self,
        reached: &Reached,
        key: &SessionKey,
        write: &Write,
        created: Timestamp,
    ) -> Result<Option<SaveAnswer>, Failure> {
        let record = Record::first(&write.delta, write.stamp, created, write.deadline.moment());
        if frame::size(&record) > self.max_bytes {
            return Ok(None);
        }
        let over = write::over(key, self.clock.now());
        let is_done = reached.put_new(key, &Stored::Record(record), over).await?;
        Ok(is_done.then_some(SaveAnswer::Saved { previous: None }))
    }

    /// Changes a live record without a look at it, if that cannot bring it over the limit.
    async fn merge(
        &self,
        reached: &Reached,
        key: &SessionKey,
        write: &Write,
    ) -> Result<Option<SaveAnswer>, Failure> {
        let mut filter = write::precondition(key, write, None, self.clock.now());
        match write::fit(write, self.max_bytes) {
            Fit::Surely(size) => change(reached, filter, write, size).await,
            Fit::Below(bound, size) => {
                filter.extend(write::of_size(bound));
                change(reached, filter, write, size).await
            }
            Fit::Unclear => Ok(None),
        }
    }

    async fn touch_once(
        &self,
        reached: Arc<Reached>,
        key: &SessionKey,
        deadline: Timestamp,
    ) -> Result<Option<bool>, Failure> {
        let live = write::live(key, self.clock.now());
        if reached.extend(live, deadline).await? {
            return Ok(Some(true));
        }
        // Nothing alive was there; unless it cannot be read, which is not the same.
        let found = reached.read(key).await?;
        let is_live = judge_touch(self.clock.now(), found.as_ref(), deadline).is_some();
        Ok((!is_live).then_some(false))
    }

    async fn install_once(
        &self,
        reached: Arc<Reached>,
        key: &SessionKey,
        over: Option<Standing>,
        new: &Stored,
    ) -> Result<Option<InstallAnswer>, Failure> {
        let now = self.clock.now();
        let is_done = match over {
            None => reached.put_new(key, new, write::over(key, now)).await?,
            Some(over) => reached.replace(key, new, write::standing(key, over, now)).await?,
        };
        if is_done {
            return Ok(Some(InstallAnswer::Installed));
        }
        let found = reached.read(key).await?;
        let now = self.clock.now();
        match judge_install(now, found.as_ref(), over, new) {
            InstallVerdict::Apply => Ok(None),
            InstallVerdict::Repeated => Ok(Some(InstallAnswer::Installed)),
            InstallVerdict::Refused => {
                let stored = found.filter(|stored| !stored.is_over(now));
                Ok(Some(InstallAnswer::Refused { stored }))
            }
        }
    }
}

/// Makes a write where its filter matches.
async fn change(
    reached: &Reached,
    filter: Document,
    write: &Write,
    size: Size,
) -> Result<Option<SaveAnswer>, Failure> {
    let previous = reached.change(filter, write::change(write, size)).await?;
    Ok(previous.map(|head| SaveAnswer::Saved { previous: Some(head) }))
}

impl fmt::Display for Mongodb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAME)
    }
}

impl fmt::Debug for Mongodb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mongodb")
            .field("place", &self.place)
            .field("max_bytes", &self.max_bytes)
            .field("survives", &self.survives)
            .finish_non_exhaustive()
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl SessionStore for Mongodb {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            writes: Writes::ByAttribute,
            expiry: Expiry::Native { max_lag: EXPIRY_LAG },
            cheap_reads: if self.place.reads_nearby() { CheapReads::Replica } else { CheapReads::None },
            survives: self.survives,
            shared: true,
            max_bytes: self.max_bytes,
        }
    }

    async fn load(&self, key: &SessionKey, freshness: Freshness) -> Result<Option<Loaded>, Error> {
        if let Freshness::AtLeast(stamp) = freshness
            && let Some(stored) = self.place.read_nearby(key, stamp).await
            // A copy that is over may have been extended since; one that is gone may be elsewhere.
            && let Some(record) = stored.into_live(self.clock.now())
        {
            return Ok(Some(record.into()));
        }
        let found = self
            .effort(Operation::Load)
            .make(|reached| async move { reached.read(key).await.map(Some) })
            .await?;
        // The time is asked after the answer: what expired on the way is not handed out (I4).
        Ok(found.and_then(|stored| stored.into_live(self.clock.now())).map(Loaded::from))
    }

    async fn save(&self, key: &SessionKey, write: &Write) -> Result<SaveAnswer, Error> {
        self.effort(Operation::Save).make(|reached| self.save_once(reached, key, write)).await
    }

    async fn touch(&self, key: &SessionKey, deadline: Timestamp) -> Result<bool, Error> {
        self.effort(Operation::Touch).make(|reached| self.touch_once(reached, key, deadline)).await
    }

    async fn delete(&self, key: &SessionKey) -> Result<(), Error> {
        // One copy, and no write creates what is not alive: absence is proof enough, no tombstone is needed.
        self.effort(Operation::Delete)
            .make(|reached| async move { reached.remove(key).await.map(Some) })
            .await
    }

    async fn inspect(&self, key: &SessionKey) -> Result<Option<Stored>, Error> {
        self.effort(Operation::Inspect).make(|reached| async move { reached.read(key).await.map(Some) }).await
    }

    async fn install(
        &self,
        key: &SessionKey,
        over: Option<Standing>,
        new: &Stored,
    ) -> Result<InstallAnswer, Error> {
        let operation = Operation::Install;
        if let Stored::Record(record) = new
            && frame::size(record) > self.max_bytes
        {
            return Err(Failure::TooLarge(self.max_bytes).into_error(operation).without_effect());
        }
        self.effort(operation).make(|reached| self.install_once(reached, key, over, new)).await
    }
}
