//! The index that removes what is over: made, found again, and never replaced.

use std::time::Duration;

use holdover_api::{ErrorKind, within};
use holdover_conformance::SetControl;
use holdover_conformance::servers::{self, MongodbSet, Server};
use mongodb::IndexModel;
use mongodb::bson::{Document, doc};
use mongodb::options::IndexOptions;

use crate::help::{client, sessions};
use crate::support::open;

async fn indexes(url: &str) -> Vec<Document> {
    let database = client(url).await.default_database().unwrap();
    let answer = database.run_command(doc! { "listIndexes": "sessions" }).await.unwrap();
    let batch = answer.get_document("cursor").unwrap().get_array("firstBatch").unwrap();
    batch.iter().map(|index| index.as_document().unwrap().clone()).collect()
}

async fn refusal(url: &str) -> String {
    let error = holdover_backends::connect(url).await.expect_err("the index is another");
    assert_eq!(error.kind(), ErrorKind::Misconfigured, "{error}");
    error.message().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_index_is_made_once() {
    let server = Server::start(&servers::mongodb()).await.unwrap();
    let message = refusal(&format!("{}?create=false", server.url())).await;
    assert!(message.contains("createIndex({e: 1}"), "{message}");
    open(server.url()).await;
    let made = indexes(server.url()).await;
    assert_eq!(made.len(), 2, "{made:?}");
    assert_eq!(made[1].get_document("key").unwrap(), &doc! { "e": 1 });
    assert_eq!(made[1].get_i32("expireAfterSeconds").unwrap(), 0);
    open(server.url()).await;
    open(&format!("{}?create=false", server.url())).await;
    assert_eq!(indexes(server.url()).await, made);
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_start_together_make_it_once() {
    let server = Server::start(&servers::mongodb()).await.unwrap();
    let starting = (0..8).map(|_| {
        let url = server.url().to_owned();
        tokio::spawn(async move { open(&url).await })
    });
    for node in starting.collect::<Vec<_>>() {
        node.await.unwrap();
    }
    assert_eq!(indexes(server.url()).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_with_other_options_is_named_and_stays() {
    let server = Server::start(&servers::mongodb()).await.unwrap();
    let documents = sessions(server.url()).await;
    let others = [
        (IndexOptions::default(), "expires nothing"),
        (IndexOptions::builder().expire_after(Duration::from_secs(3600)).build(), "expireAfterSeconds"),
        (
            IndexOptions::builder()
                .expire_after(Duration::ZERO)
                .partial_filter_expression(doc! { "t": true })
                .build(),
            "partial",
        ),
    ];
    for (options, part) in others {
        let index = IndexModel::builder().keys(doc! { "e": 1 }).options(options).build();
        let name = documents.create_index(index).await.unwrap().index_name;
        let before = indexes(server.url()).await;
        for create in ["", "?create=false"] {
            let message = refusal(&format!("{}{create}", server.url())).await;
            assert!(message.contains(part), "{message}");
        }
        assert_eq!(indexes(server.url()).await, before);
        documents.drop_index(name).await.unwrap();
    }
    open(server.url()).await;
}

/// Longer than an operation on sessions may take by the URL.
const A_WHILE: Duration = Duration::from_millis(1500);

#[tokio::test(flavor = "multi_thread")]
async fn an_index_may_take_a_majority_longer_than_an_operation_does() {
    let set = MongodbSet::start(&servers::mongodb(), 3, Duration::from_secs(10)).await.unwrap();
    set.hold_replicas().await.unwrap();
    let url = format!("{}&response_timeout=1s&connect_timeout=10s", set.url());
    let mut connecting = tokio::spawn(async move { holdover_backends::connect(&url).await });
    let early = within(A_WHILE, &mut connecting).await;
    assert!(early.is_none(), "no majority has the index yet: {early:?}");
    set.release_replicas().await.unwrap();
    connecting.await.unwrap().unwrap();
}
