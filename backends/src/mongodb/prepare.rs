//! What the collection needs before it can hold sessions: a server that is new enough, and the TTL index.

use std::sync::Arc;
use std::time::Duration;

use futures_util::TryStreamExt;
use holdover_api::ErrorKind;
use mongodb::IndexModel;
use mongodb::bson::{Bson, Document, doc};
use mongodb::error::ErrorKind as Cause;
use mongodb::options::IndexOptions;

use super::error::Failure;
use super::place::Reached;

/// MongoDB 4.4: the first whose filters can ask for a document's size.
const OLDEST_WIRE_VERSION: i32 = 9;

/// The name of the index that we make.
const INDEX: &str = "holdover_expiry";

/// The server's code for a collection that is not there yet.
const NO_SUCH_COLLECTION: i32 = 26;

/// What the servers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deployment {
    /// One server.
    Single,
    /// A replica set, or shards made of them.
    Replicated,
}

/// Checks the servers and the index, which is made if it is not there and `create` says so. Never changes one.
///
/// `patience` is for a majority to have the index, which may take longer than any other write.
pub(super) async fn prepare(
    reached: Arc<Reached>,
    create: bool,
    patience: Duration,
) -> Result<Option<Deployment>, Failure> {
    let hello = reached.hello().await?;
    if hello.get_i32("maxWireVersion").is_ok_and(|version| version < OLDEST_WIRE_VERSION) {
        return Err(unfit("the server is older than mongodb 4.4; upgrade it"));
    }
    let has_index = match existing(&reached).await? {
        Some(index) => check(&index).map(|()| true)?,
        None => false,
    };
    if !has_index && create {
        let mut concern = reached.primary().write_concern().cloned().unwrap_or_default();
        concern.w_timeout = Some(patience);
        reached.primary().create_index(wanted()).write_concern(concern).await?;
    } else if !has_index {
        return Err(unfit(&format!(
            "the collection has no ttl index and create is false; run createIndex({{e: 1}}, {{name: \"{INDEX}\", \
             expireAfterSeconds: 0}}) on it"
        )));
    }
    let is_replicated = hello.contains_key("setName") || says(&hello, "msg", "isdbgrid");
    Ok(Some(if is_replicated { Deployment::Replicated } else { Deployment::Single }))
}

fn unfit(message: &str) -> Failure {
    Failure::Unfit(ErrorKind::Misconfigured, message.to_owned())
}

fn wanted() -> IndexModel {
    let options = IndexOptions::builder().name(INDEX.to_owned()).expire_after(Duration::ZERO).build();
    IndexModel::builder().keys(doc! { "e": 1 }).options(options).build()
}

/// The index on the deadline, or one that has its name.
async fn existing(reached: &Reached) -> Result<Option<Document>, Failure> {
    let listed = reached.primary().list_indexes().await;
    let mut indexes = match listed {
        Ok(indexes) => indexes.with_type::<Document>(),
        Err(error) if is_missing_collection(&error) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    while let Some(index) = indexes.try_next().await? {
        if is_on_deadline(&index) || says(&index, "name", INDEX) {
            return Ok(Some(index));
        }
    }
    Ok(None)
}

fn is_missing_collection(error: &mongodb::error::Error) -> bool {
    matches!(&*error.kind, Cause::Command(refusal) if refusal.code == NO_SUCH_COLLECTION)
}

fn says(document: &Document, field: &str, text: &str) -> bool {
    document.get_str(field).is_ok_and(|found| found == text)
}

fn is_on_deadline(index: &Document) -> bool {
    index.get_document("key").is_ok_and(|key| key.len() == 1 && key.contains_key("e"))
}

/// Whether an index removes what is over, all of it, and nothing else.
fn check(index: &Document) -> Result<(), Failure> {
    if !is_on_deadline(index) {
        return Err(unfit(
            "the collection's index holdover_expiry is not on `e`; drop it, or use another collection",
        ));
    }
    let after = match index.get("expireAfterSeconds") {
        Some(Bson::Int32(seconds)) => Some(f64::from(*seconds)),
        Some(Bson::Int64(seconds)) => Some(if *seconds == 0 { 0.0 } else { 1.0 }),
        Some(Bson::Double(seconds)) => Some(*seconds),
        _ => None,
    };
    match after {
        None => {
            Err(unfit("the collection's index on `e` expires nothing; drop it, or use another collection"))
        }
        Some(seconds) if seconds != 0.0 => Err(unfit(
            "the collection's index on `e` has another expireAfterSeconds than 0; change it with collMod, or use \
             another collection",
        )),
        Some(_) if index.contains_key("partialFilterExpression") => Err(unfit(
            "the collection's index on `e` is partial and would leave sessions behind; drop it, or use another \
             collection",
        )),
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
#[path = "prepare_tests.rs"]
mod tests;
