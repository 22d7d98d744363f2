//! The same session, kept by the store and by the bare driver.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use holdover_api::{
    Clock, Deadline, Delta, On, OsEntropy, SaveAnswer, SessionKey, SessionStore, SessionStoreExt, Stamp,
    SystemClock, Write,
};
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, DateTime, Document, RawDocumentBuf, doc};
use mongodb::options::{Acknowledgment, ClientOptions, WriteConcern};
use mongodb::{Client, Collection};

use crate::Failure;
use crate::measure::{Line, Settings, table};

/// A session has so many attributes, as many as that of the other measurements.
const ATTRIBUTES: usize = 11;

const LIFETIME: Duration = Duration::from_secs(3600);

/// More than any operation takes, so that none is cut short.
const PATIENCE: &str = "response_timeout=20s";

pub(crate) async fn compare(url: &str, settings: &Settings) -> Result<(), Failure> {
    for kilobytes in [1, 10, 100] {
        let bare = documents(url, true).await?;
        let store = holdover_backends::connect(&format!("{url}?{PATIENCE}&collection=s{kilobytes}")).await?;
        let value = vec![b'x'; kilobytes * 1024 / ATTRIBUTES];
        let sessions = Arc::new(fill(&store, &bare, settings.tasks, &value).await?);
        let loads = [find(&bare, &sessions), load("holdover: load".to_owned(), &store, &sessions)];
        table(&format!("Load, {kilobytes} KB"), &loads, settings).await?;
        let saves = [
            set_one(&bare, &sessions, &value),
            replace(&bare, &sessions, &value),
            unguarded(&bare, &sessions, &value),
            save("holdover: save of one attribute".to_owned(), &store, &sessions, &value),
        ];
        table(&format!("Save of one attribute in {kilobytes} KB, majority and journal"), &saves, settings)
            .await?;
    }
    Ok(())
}

pub(crate) async fn concerns(single: &str, set: &str, settings: &Settings) -> Result<(), Failure> {
    let value = vec![b'x'; 1024 / ATTRIBUTES];
    for (what, url) in
        [("one server", format!("{single}?{PATIENCE}")), ("a set of three", format!("{set}&{PATIENCE}"))]
    {
        let mut lines = Vec::new();
        for (name, concern) in
            [("w=1", "&w=1"), ("w=1, journal", "&w=1&journal=true"), ("majority, journal: as it comes", "")]
        {
            let store = holdover_backends::connect(&format!("{url}{concern}")).await?;
            let sessions = Arc::new(create(&store, settings.tasks, &value).await?);
            lines.push(save(name.to_owned(), &store, &sessions, &value));
        }
        table(&format!("Save of one attribute in 1 KB on {what}"), &lines, settings).await?;
    }
    Ok(())
}

fn load(name: String, store: &Arc<dyn SessionStore>, sessions: &Arc<Vec<SessionKey>>) -> Line {
    let (store, sessions) = (Arc::clone(store), Arc::clone(sessions));
    Line::new(name, move |task| {
        let (store, key) = (Arc::clone(&store), sessions[task]);
        Box::pin(async move { store.load_latest(&key).await?.map(drop).ok_or_else(|| "it is gone".into()) })
    })
}

fn save(name: String, store: &Arc<dyn SessionStore>, sessions: &Arc<Vec<SessionKey>>, value: &[u8]) -> Line {
    let (store, sessions, value) = (Arc::clone(store), Arc::clone(sessions), Bytes::copy_from_slice(value));
    Line::new(name, move |task| {
        let (store, key, value) = (Arc::clone(&store), sessions[task], value.clone());
        Box::pin(async move {
            let mut delta = Delta::default();
            delta.set("a0", fresh(&value));
            match store.save(&key, &write(On::Live, delta)?).await? {
                SaveAnswer::Saved { .. } => Ok(()),
                other => Err(format!("{other:?}").into()),
            }
        })
    })
}

fn find(bare: &Collection<RawDocumentBuf>, sessions: &Arc<Vec<SessionKey>>) -> Line {
    let (bare, sessions) = (bare.clone(), Arc::clone(sessions));
    Line::new("driver: find", move |task| {
        let (bare, id) = (bare.clone(), sessions[task].to_string());
        Box::pin(async move {
            bare.find_one(doc! { "_id": id }).await?.map(drop).ok_or_else(|| "it is gone".into())
        })
    })
}

/// The cheapest write that there is: nothing is compared, and nothing but the one field is sent.
fn set_one(bare: &Collection<RawDocumentBuf>, sessions: &Arc<Vec<SessionKey>>, value: &[u8]) -> Line {
    let (bare, sessions, value) = (bare.clone(), Arc::clone(sessions), value.to_vec());
    Line::new("driver: update of one field, no condition", move |task| {
        let (bare, id, value) = (bare.clone(), sessions[task].to_string(), binary(&fresh(&value)));
        Box::pin(async move {
            bare.update_one(doc! { "_id": id }, doc! { "$set": { "a.a0": value } }).await?;
            Ok(())
        })
    })
}

/// What libraries do that keep a session as one value: the whole of it, over whatever is there.
fn replace(bare: &Collection<RawDocumentBuf>, sessions: &Arc<Vec<SessionKey>>, value: &[u8]) -> Line {
    let (bare, sessions, value) = (bare.clone(), Arc::clone(sessions), value.to_vec());
    Line::new("driver: replacement of the whole document, no condition", move |task| {
        let (bare, id) = (bare.clone(), sessions[task].to_string());
        let document = RawDocumentBuf::try_from(&document(&id, &fresh(&value)));
        Box::pin(async move {
            bare.replace_one(doc! { "_id": id }, document?).await?;
            Ok(())
        })
    })
}

/// What the store sends, but for the bound on the size.
fn unguarded(bare: &Collection<RawDocumentBuf>, sessions: &Arc<Vec<SessionKey>>, value: &[u8]) -> Line {
    let (bare, sessions, value) = (bare.clone(), Arc::clone(sessions), value.to_vec());
    Line::new("driver: as the store does it, without the bound on the size", move |task| {
        let (bare, id, value) = (bare.clone(), sessions[task].to_string(), fresh(&value));
        let stamp = binary(&value[..16.min(value.len())]);
        let filter = doc! { "_id": id, "e": { "$gt": DateTime::now() }, "l": { "$ne": stamp.clone() } };
        let change = doc! {
            "$set": { "a.a0": binary(&value) },
            "$push": { "l": { "$each": [stamp], "$position": 0, "$slice": 8 } },
            "$inc": { "w": 1_i64 },
            "$max": { "e": DateTime::from_millis(i64::MAX / 2) },
        };
        Box::pin(async move {
            let before =
                bare.find_one_and_update(filter, change).projection(doc! { "_id": 0, "l": 1 }).await?;
            before.map(drop).ok_or_else(|| "it is gone".into())
        })
    })
}

/// The value with another beginning each time: a server does nothing, and waits for nobody, where nothing changes.
fn fresh(value: &[u8]) -> Vec<u8> {
    static WRITES: AtomicU64 = AtomicU64::new(0);
    let number = WRITES.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    let mut fresh = value.to_vec();
    let length = number.len().min(fresh.len());
    fresh[..length].copy_from_slice(&number[..length]);
    fresh
}

/// The sessions of the bare driver, written with the store's own write concern or with that of the server.
async fn documents(url: &str, by_majority: bool) -> Result<Collection<RawDocumentBuf>, Failure> {
    let mut options = ClientOptions::parse(url).await?;
    options.max_pool_size = Some(10);
    if by_majority {
        options.write_concern =
            Some(WriteConcern::builder().w(Acknowledgment::Majority).journal(true).build());
    }
    Ok(Client::with_options(options)?.database("holdover").collection("bare"))
}

async fn fill(
    store: &Arc<dyn SessionStore>,
    bare: &Collection<RawDocumentBuf>,
    sessions: usize,
    value: &[u8],
) -> Result<Vec<SessionKey>, Failure> {
    let keys = create(store, sessions, value).await?;
    for key in &keys {
        let document = RawDocumentBuf::try_from(&document(&key.to_string(), value))?;
        bare.insert_one(document).await?;
    }
    Ok(keys)
}

async fn create(
    store: &Arc<dyn SessionStore>,
    sessions: usize,
    value: &[u8],
) -> Result<Vec<SessionKey>, Failure> {
    let mut keys = Vec::new();
    for _ in 0..sessions {
        let key = holdover_api::SessionId::draw(&OsEntropy)?.key();
        let mut delta = Delta::default();
        for number in 0..ATTRIBUTES {
            delta.set(format!("a{number}"), value.to_vec());
        }
        store.save(&key, &write(On::Absent { created: SystemClock.now() }, delta)?).await?;
        keys.push(key);
    }
    Ok(keys)
}

fn write(on: On, delta: Delta) -> Result<Write, Failure> {
    let deadline = Deadline::AtLeast(SystemClock.now() + LIFETIME);
    Ok(Write { on, delta, stamp: Stamp::draw(&OsEntropy)?, deadline, base: None })
}

fn document(id: &str, value: &[u8]) -> Document {
    let attributes: Document = (0..ATTRIBUTES).map(|number| (format!("a{number}"), binary(value))).collect();
    doc! { "_id": id, "a": attributes, "e": DateTime::from_millis(i64::MAX / 2) }
}

fn binary(bytes: &[u8]) -> Bson {
    Bson::Binary(Binary { subtype: BinarySubtype::Generic, bytes: bytes.to_vec() })
}
