//! The store: each change is a compare-and-set on one key.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use async_trait::async_trait;
use holdover_api::{
    Capabilities, CheapReads, Clock, Error, Freshness, InstallAnswer, InstallVerdict, Loaded, On, Operation,
    Record, SESSION_KEY_LENGTH, SaveAnswer, SessionKey, SessionStore, Standing, Stored, Survives,
    SystemClock, Timestamp, Verdict, Write, Writes, judge, judge_install, judge_touch,
};

use super::NAME;
use super::expiry::EXPIRY;
use super::link::Link;
use super::place::{Found, Place};
use super::usage::{Usage, usage};
use crate::url::Parts;

/// Sessions in one Memcached server. [`connect`](crate::connect) makes one, and so does [`Memcached::connect`].
///
/// They do not outlive the server, and the server may evict them: [`Memcached::usage`] tells.
pub struct Memcached {
    link: Link,
    clock: Arc<dyn Clock>,
    prefix: String,
    max_bytes: usize,
}

impl Memcached {
    /// Opens the store that a URL names, as [`connect`](crate::connect) does, for those who want to watch it.
    ///
    /// # Errors
    ///
    /// As [`connect`](crate::connect).
    ///
    /// ```no_run
    /// use holdover_backends::memcached::Memcached;
    ///
    /// # async fn example() -> Result<(), holdover_api::Error> {
    /// let store = Memcached::connect("memcached://10.0.0.1:11211").await?;
    /// println!("evicted so far: {}", store.usage().await?.evictions);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn connect(url: &str) -> Result<Arc<Self>, Error> {
        Self::connect_with_clock(url, Arc::new(SystemClock)).await
    }

    /// As [`Memcached::connect`], with another clock: it decides what has expired.
    ///
    /// # Errors
    ///
    /// As [`connect`](crate::connect).
    pub async fn connect_with_clock(url: &str, clock: Arc<dyn Clock>) -> Result<Arc<Self>, Error> {
        super::open(&Parts::of(url)?, clock).await
    }

    pub(super) const fn new(link: Link, clock: Arc<dyn Clock>, prefix: String, max_bytes: usize) -> Self {
        Self { link, clock, prefix, max_bytes }
    }

    /// Asks the server how full it is and how many sessions it has evicted: one exchange.
    ///
    /// # Errors
    ///
    /// The server cannot be asked, or does not say.
    pub async fn usage(&self) -> Result<Usage, Error> {
        usage(&self.link).await
    }

    /// Begins an operation on one key.
    async fn place<'a>(&'a self, operation: Operation, key: &'a SessionKey) -> Result<Place<'a>, Error> {
        let line = self.link.line().await.map_err(|failure| failure.into_error(operation))?;
        let mut name = String::with_capacity(self.prefix.len() + SESSION_KEY_LENGTH);
        name.push_str(&self.prefix);
        // Writing to a string cannot fail.
        let _ = write!(name, "{key}");
        Ok(Place { operation, line, key, name, max_bytes: self.max_bytes })
    }

    /// A write over what nobody has read: a create, or one on a record that is remembered. Nothing if that did not
    /// work out, or cannot: then it has changed nothing, and what is there has to be read.
    async fn save_unread(&self, place: &Place<'_>, write: &Write) -> Result<Option<SaveAnswer>, Error> {
        let found = match write.on {
            On::Absent { .. } => None,
            On::Live | On::Head(_) => match place.recall() {
                Some(found) => Some(found),
                None => return Ok(None),
            },
        };
        let now = self.clock.now();
        // Only what the server compares may be acted on; anything else that a memory says may be out of date.
        let Verdict::Apply { record, previous } = judge(now, stored(found.as_ref()), write) else {
            return Ok(None);
        };
        if !record.is_live(now) || place.is_too_large(&record) {
            return Ok(None);
        }
        let done = place.put_record(found.map(|found| found.cas), &record, now).await?;
        Ok(done.then_some(SaveAnswer::Saved { previous }))
    }

    async fn save_at(&self, place: &Place<'_>, write: &Write) -> Result<SaveAnswer, Error> {
        if let Some(answer) = self.save_unread(place, write).await? {
            return Ok(answer);
        }
        loop {
            let found = place.read().await?;
            let now = self.clock.now();
            match judge(now, stored(found.as_ref()), write) {
                Verdict::Apply { record, previous } => {
                    if place.put_record(found.map(|found| found.cas), &record, now).await? {
                        return Ok(SaveAnswer::Saved { previous });
                    }
                }
                Verdict::Repeated { previous } => return Ok(SaveAnswer::Saved { previous }),
                Verdict::Conflict => {
                    let current = found
                        .and_then(|Found { stored, cas }| Some(place.hand_out(stored.into_live(now)?, cas)));
                    return Ok(SaveAnswer::Conflict { current });
                }
                Verdict::Gone => return Ok(SaveAnswer::Gone),
            }
        }
    }

    async fn touch_at(&self, place: &Place<'_>, deadline: Timestamp) -> Result<bool, Error> {
        if let Some(found) = place.recall()
            && let Extension::To(record) = extension(&found.stored, deadline, self.clock.now())
            && place.put_record(Some(found.cas), &record, self.clock.now()).await?
        {
            return Ok(true);
        }
        loop {
            let Some(found) = place.read().await? else {
                return Ok(false);
            };
            let now = self.clock.now();
            match extension(&found.stored, deadline, now) {
                Extension::OfNothing => return Ok(false),
                Extension::None => return Ok(true),
                Extension::To(record) => {
                    if place.put_record(Some(found.cas), &record, now).await? {
                        return Ok(true);
                    }
                }
            }
        }
    }

    async fn install_at(
        &self,
        place: &Place<'_>,
        over: Option<Standing>,
        new: &Stored,
    ) -> Result<InstallAnswer, Error> {
        let now = self.clock.now();
        if !new.is_over(now) {
            let token = match over {
                None => Some(None),
                Some(over) if over.deadline <= now => None,
                Some(over) => place.recall_token(over).map(Some),
            };
            if let Some(token) = token
                && place.put_stored(token, new, now).await?
            {
                return Ok(InstallAnswer::Installed);
            }
        }
        loop {
            let found = place.read().await?;
            let now = self.clock.now();
            match judge_install(now, stored(found.as_ref()), over, new) {
                InstallVerdict::Apply => {
                    if place.put_stored(found.map(|found| found.cas), new, now).await? {
                        return Ok(InstallAnswer::Installed);
                    }
                }
                InstallVerdict::Repeated => return Ok(InstallAnswer::Installed),
                InstallVerdict::Refused => {
                    let stored = found.map(|found| found.stored).filter(|stored| !stored.is_over(now));
                    return Ok(InstallAnswer::Refused { stored });
                }
            }
        }
    }
}

fn stored(found: Option<&Found>) -> Option<&Stored> {
    Some(&found?.stored)
}

/// What a touch comes to.
enum Extension {
    /// No live session is there.
    OfNothing,
    /// The session lasts long enough as it is.
    None,
    /// This record, in the place of that one.
    To(Box<Record>),
}

fn extension(stored: &Stored, deadline: Timestamp, now: Timestamp) -> Extension {
    match (judge_touch(now, Some(stored), deadline), stored) {
        (Some(deadline), Stored::Record(record)) if deadline > record.deadline => {
            Extension::To(Box::new(Record { deadline, ..record.clone() }))
        }
        (Some(_), _) => Extension::None,
        (None, _) => Extension::OfNothing,
    }
}

impl fmt::Display for Memcached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAME)
    }
}

impl fmt::Debug for Memcached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memcached")
            .field("link", &self.link)
            .field("prefix", &self.prefix)
            .field("max_bytes", &self.max_bytes)
            .finish_non_exhaustive()
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl SessionStore for Memcached {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            writes: Writes::WholeRecord,
            expiry: EXPIRY,
            cheap_reads: CheapReads::None,
            survives: Survives::Nothing,
            shared: true,
            max_bytes: self.max_bytes,
        }
    }

    async fn load(&self, key: &SessionKey, _freshness: Freshness) -> Result<Option<Loaded>, Error> {
        let place = self.place(Operation::Load, key).await?;
        place.load(|| self.clock.now()).await
    }

    async fn save(&self, key: &SessionKey, write: &Write) -> Result<SaveAnswer, Error> {
        let place = self.place(Operation::Save, key).await?;
        place.insist(self.save_at(&place, write)).await
    }

    async fn touch(&self, key: &SessionKey, deadline: Timestamp) -> Result<bool, Error> {
        let place = self.place(Operation::Touch, key).await?;
        place.insist(self.touch_at(&place, deadline)).await
    }

    async fn delete(&self, key: &SessionKey) -> Result<(), Error> {
        // One copy, and no write creates what is not alive: absence is proof enough, no tombstone is needed.
        let place = self.place(Operation::Delete, key).await?;
        place.remove(None).await.map(drop)
    }

    async fn inspect(&self, key: &SessionKey) -> Result<Option<Stored>, Error> {
        let place = self.place(Operation::Inspect, key).await?;
        let found = place.read().await?;
        Ok(found.map(|found| found.stored))
    }

    async fn install(
        &self,
        key: &SessionKey,
        over: Option<Standing>,
        new: &Stored,
    ) -> Result<InstallAnswer, Error> {
        let place = self.place(Operation::Install, key).await?;
        place.insist(self.install_at(&place, over, new)).await
    }
}
