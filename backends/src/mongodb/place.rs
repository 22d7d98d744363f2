//! Where the documents are: the collection, as readers and writers of the primary see it and as readers nearby do.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use holdover_api::{Error, Operation, SessionKey, Stamp, Stored, Timestamp, within};
use mongodb::bson::{Document, RawDocumentBuf, doc};
use mongodb::options::{ClientOptions, CollectionOptions, ReadPreference, SelectionCriteria};
use mongodb::{Client, Collection, Database};

use super::config::Config;
use super::document::{Unreadable, decode, encode, head_of, id};
use super::error::Failure;
use super::write;

/// How a found document is handed about; the driver need not understand it.
type Documents = Collection<RawDocumentBuf>;

/// The collection, through a client that is replaced when it has gone silent.
///
/// Why it is: the driver gives no time to the handshake of a new connection. If the network swallows the first of a
/// pool's connections, as many as it makes at a time, that pool waits for them for ever, even when the network has long
/// been healed. So when an operation has waited for as long as it may, and the same client has not answered anybody in
/// all that time, the next operation begins with a new client. Nothing of it runs in the background but the driver's own
/// watch over the servers.
pub(super) struct Place {
    options: ClientOptions,
    database: String,
    collection: String,
    patience_nearby: Duration,
    current: Mutex<Arc<Reached>>,
}

impl Place {
    pub(super) fn new(config: &Config, options: ClientOptions) -> Result<Self, Error> {
        let reached = Reached::new(&options, &config.database, &config.collection)
            .map_err(|failure| failure.into_error(Operation::Connect).without_effect())?;
        Ok(Self {
            options,
            database: config.database.clone(),
            collection: config.collection.clone(),
            patience_nearby: config.response_timeout / 4,
            current: Mutex::new(Arc::new(reached)),
        })
    }

    pub(super) fn reads_nearby(&self) -> bool {
        self.current().nearby.is_some()
    }

    pub(super) fn current(&self) -> Arc<Reached> {
        Arc::clone(&self.lock())
    }

    /// Lets go of a client that has answered nobody since `answers_before` was counted, unless another has replaced it
    /// already.
    pub(super) fn give_up(&self, silent: &Arc<Reached>, answers_before: u64) {
        let mut current = self.lock();
        if !Arc::ptr_eq(&current, silent) || silent.answers() != answers_before {
            return;
        }
        // It was made from these options before; should it fail now, the old one is as good as any.
        if let Ok(fresh) = Reached::new(&self.options, &self.database, &self.collection) {
            *current = Arc::new(fresh);
        }
    }

    /// What a member nearby has under a key, if it has seen the write of this stamp; nothing if it has not, or fails, or
    /// takes its time: the primary is asked then.
    pub(super) async fn read_nearby(&self, key: &SessionKey, at_least: Stamp) -> Option<Stored> {
        let reached = self.current();
        let nearby = reached.nearby.as_ref()?;
        let reading = async { nearby.find_one(doc! { "_id": id(key) }).await };
        let found = within(self.patience_nearby, reading).await?.ok()??;
        let stored = decode(found).ok()?;
        stored.lineage().contains(at_least).then_some(stored)
    }

    fn lock(&self) -> MutexGuard<'_, Arc<Reached>> {
        // Only whole values are put in, so that a panic elsewhere leaves nothing half done.
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The collection through one client: as readers and writers of the primary see it, and as readers nearby do.
pub(super) struct Reached {
    database: Database,
    primary: Documents,
    /// What may be read from, if anything but the primary may.
    nearby: Option<Documents>,
    answers: AtomicU64,
}

impl Reached {
    fn new(options: &ClientOptions, database: &str, collection: &str) -> Result<Self, Failure> {
        let elsewhere = options.selection_criteria.clone().filter(|criteria| !is_primary(criteria));
        let database = Client::with_options(options.clone())?.database(database);
        let through = |criteria: SelectionCriteria| {
            let options = CollectionOptions::builder().selection_criteria(criteria).build();
            database.collection_with_options(collection, options)
        };
        Ok(Self {
            primary: through(ReadPreference::Primary.into()),
            nearby: elsewhere.map(through),
            database,
            answers: AtomicU64::new(0),
        })
    }

    /// How often a server has answered, whatever it said.
    pub(super) fn answers(&self) -> u64 {
        self.answers.load(Ordering::Relaxed)
    }

    pub(super) fn note_answer(&self) {
        self.answers.fetch_add(1, Ordering::Relaxed);
    }

    /// The collection on the primary.
    pub(super) const fn primary(&self) -> &Documents {
        &self.primary
    }

    /// Asks the primary what it is.
    pub(super) async fn hello(&self) -> Result<Document, Failure> {
        let primary: SelectionCriteria = ReadPreference::Primary.into();
        Ok(self.database.run_command(doc! { "hello": 1 }).selection_criteria(primary).await?)
    }

    /// What is stored under a key, over or not.
    pub(super) async fn read(&self, key: &SessionKey) -> Result<Option<Stored>, Failure> {
        let found = self.primary.find_one(doc! { "_id": id(key) }).await?;
        Ok(found.map(decode).transpose()?)
    }

    /// Puts a document where nothing is, or where something is over. Whether it did.
    pub(super) async fn put_new(
        &self,
        key: &SessionKey,
        new: &Stored,
        over: Document,
    ) -> Result<bool, Failure> {
        let document = raw(&encode(key, new))?;
        match self.primary.replace_one(over, document).upsert(true).await {
            Ok(_) => Ok(true),
            Err(error) => match Failure::from(error) {
                failure if failure.is_duplicate() => Ok(false),
                failure => Err(failure),
            },
        }
    }

    /// Puts a document in the place of the one that a filter matches. Whether it did.
    pub(super) async fn replace(
        &self,
        key: &SessionKey,
        new: &Stored,
        filter: Document,
    ) -> Result<bool, Failure> {
        let document = raw(&encode(key, new))?;
        let result = self.primary.replace_one(filter, document).await?;
        Ok(result.matched_count > 0)
    }

    /// Changes the document that a filter matches; answers the head that it had.
    pub(super) async fn change(&self, filter: Document, change: Document) -> Result<Option<Stamp>, Failure> {
        let lineage_only = doc! { "_id": 0, "l": 1 };
        let before = self.primary.find_one_and_update(filter, change).projection(lineage_only).await?;
        let Some(before) = before else {
            return Ok(None);
        };
        match head_of(&before) {
            Some(head) => Ok(Some(head)),
            None => Err(Unreadable::Malformed.into()),
        }
    }

    /// Extends the live record under a key. Whether one was there.
    pub(super) async fn extend(&self, live: Document, deadline: Timestamp) -> Result<bool, Failure> {
        let result = self.primary.update_one(live, write::extension(deadline)).await?;
        Ok(result.matched_count > 0)
    }

    pub(super) async fn remove(&self, key: &SessionKey) -> Result<(), Failure> {
        self.primary.delete_one(doc! { "_id": id(key) }).await?;
        Ok(())
    }
}

fn is_primary(criteria: &SelectionCriteria) -> bool {
    matches!(criteria, SelectionCriteria::ReadPreference(ReadPreference::Primary))
}

/// A document that cannot be written down is larger than a document may be.
fn raw(document: &Document) -> Result<RawDocumentBuf, Failure> {
    RawDocumentBuf::try_from(document).map_err(|error| Failure::from(mongodb::error::Error::from(error)))
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place")
            .field("database", &self.database)
            .field("collection", &self.collection)
            .field("reads_nearby", &self.reads_nearby())
            .finish_non_exhaustive()
    }
}
