//! What a MongoDB keeps, past the store.

use async_trait::async_trait;
use holdover_api::{SessionKey, Timestamp};
use holdover_conformance::Raw;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Document, RawDocumentBuf, doc};
use mongodb::error::Error;
use mongodb::{Client, Collection, Database};

/// The parameters of a URL that are the store's own: the client would refuse them.
const OF_THE_STORE: [&str; 5] = ["collection", "create", "max_bytes", "connect_timeout", "response_timeout"];

const DEFAULT_DATABASE: &str = "holdover";

/// Reaches the documents of the suite directly. Each place is a collection of its own.
pub(crate) struct RawMongodb {
    url: String,
    prefix: String,
}

impl RawMongodb {
    /// `url` as the store has it: without the store's own parameters it is the client's.
    pub(crate) fn new(url: &str, prefix: &str) -> Self {
        let (server, query) = url.split_once('?').unwrap_or((url, ""));
        let of_the_client = |pair: &&str| {
            let name = pair.split('=').next().unwrap_or_default();
            !name.is_empty() && !OF_THE_STORE.contains(&name)
        };
        let rest: Vec<&str> = query.split('&').filter(of_the_client).collect();
        Self { url: format!("{server}?{}", rest.join("&")), prefix: prefix.to_owned() }
    }

    /// The collection of a place. What follows the prefix of one run does not begin that of another.
    pub(crate) fn collection(prefix: &str, place: &str) -> String {
        format!("{prefix}.{place}")
    }

    async fn database(&self) -> Result<Database, String> {
        let client = Client::with_uri_str(&self.url).await.map_err(failed)?;
        Ok(client.default_database().unwrap_or_else(|| client.database(DEFAULT_DATABASE)))
    }

    async fn documents(&self, place: &str) -> Result<Collection<RawDocumentBuf>, String> {
        Ok(self.database().await?.collection(&Self::collection(&self.prefix, place)))
    }

    /// Removes every collection of the run.
    pub(crate) async fn remove_all(&self) -> Result<(), String> {
        let database = self.database().await?;
        let beginning = Self::collection(&self.prefix, "");
        for name in database.list_collection_names().await.map_err(failed)? {
            if name.starts_with(&beginning) {
                database.collection::<Document>(&name).drop().await.map_err(failed)?;
            }
        }
        Ok(())
    }
}

fn by(key: &SessionKey) -> Document {
    doc! { "_id": key.to_string() }
}

/// The document in `bytes`, if they are one, sound in all its parts, and of this session.
fn document(bytes: &[u8], key: &SessionKey) -> Option<RawDocumentBuf> {
    let raw = RawDocumentBuf::from_bytes(bytes.to_vec()).ok()?;
    let document = Document::try_from(&*raw).ok()?;
    (document.get_str("_id").ok()? == key.to_string()).then_some(raw)
}

/// How long after `e` the server removes a document, if it is told to.
async fn expiry(documents: &Collection<RawDocumentBuf>) -> Result<Option<u64>, String> {
    let mut indexes = documents.list_indexes().await.map_err(failed)?;
    while indexes.advance().await.map_err(failed)? {
        let index = indexes.deserialize_current().map_err(failed)?;
        if index.keys == doc! { "e": 1 }
            && let Some(after) = index.options.and_then(|options| options.expire_after)
        {
            return Ok(Some(after.as_secs()));
        }
    }
    Ok(None)
}

#[allow(clippy::needless_pass_by_value, reason = "the shape that map_err takes")]
fn failed(error: Error) -> String {
    format!("the server could not be asked below the store: {error}")
}

#[async_trait]
impl Raw for RawMongodb {
    /// Where the bytes are no document, no server would take them: then they stand where the attributes were, and the
    /// rest of the session's document, such as its deadline, stays as it was.
    async fn overwrite(&self, place: &str, key: &SessionKey, bytes: &[u8]) -> Result<(), String> {
        let documents = self.documents(place).await?;
        let done = match document(bytes, key) {
            Some(whole) => documents.replace_one(by(key), whole).await,
            None => {
                let bytes = Binary { subtype: BinarySubtype::Generic, bytes: bytes.to_vec() };
                documents.update_one(by(key), doc! { "$set": { "a": bytes } }).await
            }
        };
        match done.map_err(failed)?.matched_count {
            0 => Err("nothing is stored that could be overwritten".to_owned()),
            _ => Ok(()),
        }
    }

    async fn read(&self, place: &str, key: &SessionKey) -> Result<Option<Vec<u8>>, String> {
        let found = self.documents(place).await?.find_one(by(key)).await.map_err(failed)?;
        Ok(found.map(RawDocumentBuf::into_bytes))
    }

    async fn native_deadline(
        &self,
        place: &str,
        key: &SessionKey,
    ) -> Result<Option<Option<Timestamp>>, String> {
        let documents = self.documents(place).await?;
        let Some(found) = documents.find_one(by(key)).await.map_err(failed)? else {
            return Ok(None);
        };
        // What holds no date there, the server keeps for ever.
        let (Some(after), Ok(deadline)) = (expiry(&documents).await?, found.get_datetime("e")) else {
            return Ok(Some(None));
        };
        let deadline = u64::try_from(deadline.timestamp_millis()).unwrap_or(0);
        Ok(Some(Some(Timestamp::from_millis(deadline + after * 1000))))
    }

    async fn count(&self, place: &str) -> Result<usize, String> {
        let documents = self.documents(place).await?;
        let count = documents.count_documents(doc! {}).await.map_err(failed)?;
        usize::try_from(count).map_err(|error| error.to_string())
    }

    fn keeps_frames(&self) -> bool {
        false
    }

    fn made_newer(&self, stored: &[u8]) -> Vec<Vec<u8>> {
        let Ok(mut document) = Document::from_reader(stored) else {
            return Vec::new();
        };
        document.insert("v", 2);
        RawDocumentBuf::try_from(&document).map(|newer| vec![newer.into_bytes()]).unwrap_or_default()
    }
}
