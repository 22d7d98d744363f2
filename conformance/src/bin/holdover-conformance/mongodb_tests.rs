//! What is reached below a store on the `mongod` of this machine. Without one these tests fail: `scripts/servers` fetches
//! it. They are not in the file of what they test, which is part of a test without a harness as well.

use std::time::Duration;

use holdover_api::{SessionKey, Timestamp};
use holdover_conformance::Raw;
use holdover_conformance::servers::{self, Server};
use mongodb::bson::{DateTime, Document, RawDocumentBuf, doc};
use mongodb::options::IndexOptions;
use mongodb::{Client, Collection, IndexModel};

use crate::mongodb::RawMongodb;

const KEY: SessionKey = SessionKey::from_bytes([7; 32]);
const DEADLINE: i64 = 33_000_000_000_123;

/// A server, what is reached below it for the run `run`, and the collection of its place `p-1` with one session.
async fn stored() -> (Server, RawMongodb, Collection<Document>) {
    let server = match Server::start(&servers::mongodb()).await {
        Ok(server) => server,
        Err(why) => panic!("{why}"),
    };
    let url = server.url();
    let raw = RawMongodb::new(&format!("{url}?collection=x&appName=t&max_bytes=7"), "run");
    let documents = Client::with_uri_str(url).await.unwrap().database("holdover").collection("run.p-1");
    let session = doc! { "_id": KEY.to_string(), "a": {}, "e": DateTime::from_millis(DEADLINE), "w": 1_i64 };
    documents.insert_one(session).await.unwrap();
    (server, raw, documents)
}

async fn kept(documents: &Collection<Document>) -> Document {
    documents.find_one(doc! {}).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_session_is_read_as_the_bytes_of_its_document() {
    let (_server, raw, documents) = stored().await;
    let bytes = raw.read("p-1", &KEY).await.unwrap().unwrap();
    let read = Document::try_from(RawDocumentBuf::from_bytes(bytes).unwrap()).unwrap();
    assert_eq!(read, kept(&documents).await);
    assert_eq!(raw.read("p-2", &KEY).await, Ok(None));
    assert_eq!(raw.count("p-1").await, Ok(1));
    assert_eq!(raw.count("p-2").await, Ok(0));
}

#[tokio::test]
async fn a_document_is_overwritten_whole() {
    let (_server, raw, documents) = stored().await;
    let newer = doc! { "_id": KEY.to_string(), "v": 2 };
    raw.overwrite("p-1", &KEY, RawDocumentBuf::try_from(&newer).unwrap().as_bytes()).await.unwrap();
    assert_eq!(kept(&documents).await, newer);
    assert!(raw.overwrite("p-1", &SessionKey::from_bytes([8; 32]), b"x").await.is_err());
}

#[tokio::test]
async fn bytes_that_are_no_document_stand_where_the_attributes_were() {
    let (_server, raw, documents) = stored().await;
    let whole = raw.read("p-1", &KEY).await.unwrap().unwrap();
    let mut unsound = whole.clone();
    let kind_of_the_second = 4 + 1 + 4 + 4 + 65;
    assert_eq!(unsound[kind_of_the_second], 3);
    unsound[kind_of_the_second] = 99;
    for bytes in [&b""[..], b"x", &whole[..20], &[&whole[..], b"tail"].concat(), &unsound] {
        raw.overwrite("p-1", &KEY, bytes).await.unwrap();
        let kept = kept(&documents).await;
        assert_eq!(kept.get_binary_generic("a").unwrap(), bytes);
        assert_eq!(kept.get_datetime("e").unwrap().timestamp_millis(), DEADLINE);
    }
}

#[tokio::test]
async fn a_session_expires_by_itself_where_an_index_says_so() {
    let (_server, raw, documents) = stored().await;
    assert_eq!(raw.native_deadline("p-1", &KEY).await, Ok(Some(None)));
    let options = IndexOptions::builder().expire_after(Duration::from_secs(2)).build();
    let index = IndexModel::builder().keys(doc! { "e": 1 }).options(options).build();
    documents.create_index(index).await.unwrap();
    let deadline = Timestamp::from_millis(33_000_000_002_123);
    assert_eq!(raw.native_deadline("p-1", &KEY).await, Ok(Some(Some(deadline))));
    documents.update_one(doc! {}, doc! { "$set": { "e": "never" } }).await.unwrap();
    assert_eq!(raw.native_deadline("p-1", &KEY).await, Ok(Some(None)));
    documents.delete_one(doc! {}).await.unwrap();
    assert_eq!(raw.native_deadline("p-1", &KEY).await, Ok(None));
}

#[tokio::test]
async fn the_collections_of_a_run_are_removed_and_no_others() {
    let (_server, raw, documents) = stored().await;
    let database = documents.client().database("holdover");
    database.create_collection("run2.p-1").await.unwrap();
    database.create_collection("run.p-2").await.unwrap();
    raw.remove_all().await.unwrap();
    assert_eq!(database.list_collection_names().await.unwrap(), ["run2.p-1"]);
}
