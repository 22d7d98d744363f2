//! Short ways to ask a MongoDB for the usual, past the store.

use std::ops::Sub;

use mongodb::bson::{Bson, Document, doc};
use mongodb::{Client, Collection};

/// What the server has counted since it was started, of what the store makes it do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Calls {
    /// `find`.
    pub(crate) reads: i64,
    /// `findAndModify`.
    pub(crate) changes: i64,
    /// `update`: a creation, a touch, an installation.
    pub(crate) updates: i64,
    pub(crate) removals: i64,
}

impl Sub for Calls {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self {
            reads: self.reads - before.reads,
            changes: self.changes - before.changes,
            updates: self.updates - before.updates,
            removals: self.removals - before.removals,
        }
    }
}

pub(crate) async fn client(url: &str) -> Client {
    Client::with_uri_str(url).await.unwrap()
}

/// The sessions of a URL that names no collection.
pub(crate) async fn sessions(url: &str) -> Collection<Document> {
    client(url).await.default_database().unwrap().collection("sessions")
}

/// The reads are those of the sessions alone: a member of a replica set reads for itself, too.
pub(crate) async fn calls(url: &str) -> Calls {
    let admin = client(url).await.database("admin");
    let status = admin.run_command(doc! { "serverStatus": 1 }).await.unwrap();
    let operations = status.get_document("opcounters").unwrap();
    let commands = status.get_document("metrics").unwrap().get_document("commands").unwrap();
    let top = admin.run_command(doc! { "top": 1 }).await.unwrap();
    let of_sessions = top.get_document("totals").unwrap().get_document("holdover.sessions").unwrap();
    Calls {
        reads: number(of_sessions.get_document("queries").unwrap(), "count"),
        changes: number(commands.get_document("findAndModify").unwrap(), "total"),
        updates: number(operations, "update"),
        removals: number(operations, "delete"),
    }
}

fn number(document: &Document, name: &str) -> i64 {
    match document.get(name) {
        Some(Bson::Int64(number)) => *number,
        Some(Bson::Int32(number)) => i64::from(*number),
        other => panic!("{name} is {other:?}"),
    }
}
