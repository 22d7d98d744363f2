//! A replica that is behind: for a while after a write, it still has what was there before.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use holdover_api::Stopwatch;
use hyper::header::{CONTENT_LENGTH, HeaderValue};
use serde_json::{Value, json};

use super::{Asked, TARGET, parsed};

/// A table's name and the key of an item in it, as JSON.
pub(super) type Item = (String, String);

#[derive(Debug)]
pub(super) struct Lag {
    length: Duration,
    key: &'static str,
    before: BTreeMap<Item, Old>,
}

#[derive(Debug)]
struct Old {
    /// What a read answered just before the write.
    answer: Bytes,
    since: Stopwatch,
}

/// A read that has to be made before a write, so that what was there is known afterwards.
pub(super) struct Look {
    pub(super) item: Item,
    pub(super) request: Asked,
}

impl Lag {
    pub(super) fn new(length: Duration, key: &'static str) -> Self {
        Self { length, key, before: BTreeMap::new() }
    }

    /// The look that a write needs; nothing for what is no write of one item.
    pub(super) fn look_before(&self, asked: &Asked) -> Option<Look> {
        if !matches!(asked.operation.as_str(), "PutItem" | "UpdateItem" | "DeleteItem") {
            return None;
        }
        let (table, key) = self.item_of(&parsed(&asked.body)?)?;
        let body = json!({ "TableName": table, "Key": key, "ConsistentRead": true }).to_string();
        let mut request = Asked { operation: "GetItem".to_owned(), body: Bytes::from(body), ..asked.clone() };
        request.head.headers.insert(TARGET, HeaderValue::from_static("DynamoDB_20120810.GetItem"));
        request.head.headers.insert(CONTENT_LENGTH, HeaderValue::from(request.body.len()));
        Some(Look { item: (table, key.to_string()), request })
    }

    /// Keeps what a look has shown. Of several writes in the time of the lag, the replica has seen none.
    pub(super) fn remember(&mut self, item: Item, answer: Bytes) {
        let length = self.length;
        self.before.retain(|_, old| old.since.elapsed() < length);
        self.before.entry(item).or_insert_with(|| Old { answer, since: Stopwatch::start() });
    }

    /// What the replica answers, if this is a read that it may answer and it is behind.
    pub(super) fn stale(&self, asked: &Asked) -> Option<Bytes> {
        if asked.operation != "GetItem" {
            return None;
        }
        let body = parsed(&asked.body)?;
        if body.get("ConsistentRead").and_then(Value::as_bool) == Some(true) {
            return None;
        }
        let (table, key) = self.item_of(&body)?;
        let old = self.before.get(&(table, key.to_string()))?;
        (old.since.elapsed() < self.length).then(|| old.answer.clone())
    }

    fn item_of(&self, body: &Value) -> Option<(String, Value)> {
        let table = body.get("TableName")?.as_str()?.to_owned();
        let key = match body.get("Key") {
            Some(key) => key.clone(),
            None => json!({ self.key: body.get("Item")?.get(self.key)? }),
        };
        Some((table, key))
    }
}
