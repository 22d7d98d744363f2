//! What a DynamoDB keeps, past the store.

use std::collections::HashMap;

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Builder, Credentials, Region};
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use holdover_api::{SessionKey, Timestamp};
use holdover_conformance::Raw;
use tokio::sync::OnceCell;

/// The attributes of the store's layout that the suite looks at.
const KEY: &str = "k";
const FORMAT: &str = "f";
const ATTRIBUTES: &str = "a";
const REMOVE_AFTER: &str = "x";

/// Reaches the keys of the suite directly.
pub(crate) struct RawDynamoDb {
    url: String,
    prefix: String,
    client: OnceCell<Client>,
}

impl RawDynamoDb {
    /// `url` as the store has it: `dynamodb://[key:secret@]region/table?…`. May hold a secret: never printed.
    pub(crate) fn new(url: &str, prefix: &str) -> Self {
        Self { url: url.to_owned(), prefix: prefix.to_owned(), client: OnceCell::new() }
    }

    async fn client(&self) -> &Client {
        self.client.get_or_init(|| connected(&self.url)).await
    }

    fn table(&self) -> &str {
        let path = self.url.split_once("://").and_then(|(_, rest)| rest.split_once('/'));
        path.and_then(|(_, path)| path.split('?').next()).unwrap_or_default()
    }

    fn key(&self, place: &str, key: &SessionKey) -> AttributeValue {
        AttributeValue::S(format!("{}:{place}:{key}", self.prefix))
    }

    /// Removes every key of the run.
    pub(crate) async fn remove_all(&self) -> Result<(), String> {
        for key in self.keys(&format!("{}:", self.prefix)).await? {
            let request = self.client().await.delete_item().table_name(self.table()).key(KEY, key);
            request.send().await.map_err(failed)?;
        }
        Ok(())
    }

    /// The keys of what is stored at a place, whatever its state.
    pub(crate) async fn keys_of(&self, place: &str) -> Result<Vec<String>, String> {
        let keys = self.keys(&format!("{}:{place}:", self.prefix)).await?;
        Ok(keys.into_iter().filter_map(|key| key.as_s().ok().cloned()).collect())
    }

    /// What is stored, by the beginning of its key.
    async fn keys(&self, beginning: &str) -> Result<Vec<AttributeValue>, String> {
        let mut keys = Vec::new();
        let mut from = None;
        loop {
            let request = self
                .client()
                .await
                .scan()
                .table_name(self.table())
                .consistent_read(true)
                .projection_expression(KEY)
                .filter_expression(format!("begins_with({KEY}, :beginning)"))
                .expression_attribute_values(":beginning", AttributeValue::S(beginning.to_owned()))
                .set_exclusive_start_key(from);
            let page = request.send().await.map_err(failed)?;
            keys.extend(page.items.unwrap_or_default().into_iter().filter_map(|mut item| item.remove(KEY)));
            from = page.last_evaluated_key;
            if from.is_none() {
                return Ok(keys);
            }
        }
    }

    async fn item(
        &self,
        place: &str,
        key: &SessionKey,
    ) -> Result<Option<HashMap<String, AttributeValue>>, String> {
        let request = self.client().await.get_item().table_name(self.table()).consistent_read(true);
        let answer = request.key(KEY, self.key(place, key)).send().await.map_err(failed)?;
        Ok(answer.item)
    }
}

/// A client of the suite's own, with the SDK's retries: what the store's is set to is none of its business.
pub(crate) async fn connected(url: &str) -> Client {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let (login, region) = authority
        .rsplit_once('@')
        .map_or((None, authority), |(login, region)| (login.split_once(':'), region));
    let transport =
        aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let region = Region::new(region.to_owned());
    let mut settings = match login {
        Some((key, secret)) => Builder::new()
            .behavior_version(BehaviorVersion::latest())
            .credentials_provider(Credentials::new(key, secret, None, None, "url")),
        None => {
            let chain = aws_config::defaults(BehaviorVersion::latest()).region(region.clone());
            Builder::from(&chain.http_client(transport.clone()).load().await)
        }
    };
    let endpoint = url.split(['?', '&']).find_map(|parameter| parameter.strip_prefix("endpoint="));
    settings.set_endpoint_url(endpoint.map(str::to_owned));
    Client::from_conf(settings.region(region).http_client(transport).build())
}

fn failed(error: impl std::error::Error) -> String {
    let beneath = std::iter::successors(error.source(), |error| error.source());
    let text = beneath.fold(error.to_string(), |text, error| format!("{text}: {error}"));
    format!("the server could not be asked below the store: {text}")
}

#[async_trait]
impl Raw for RawDynamoDb {
    /// Where the bytes are not an item as [`text`] writes one, no server would take them: then they stand where the
    /// attributes were, and the rest of the item, such as its deadline, stays as it was.
    async fn overwrite(&self, place: &str, key: &SessionKey, bytes: &[u8]) -> Result<(), String> {
        let Some(mut item) = self.item(place, key).await? else {
            return Err("nothing is stored that could be overwritten".to_owned());
        };
        match parsed(bytes) {
            Some(whole) => {
                item = whole;
                item.insert(KEY.to_owned(), self.key(place, key));
            }
            None => {
                item.insert(ATTRIBUTES.to_owned(), AttributeValue::B(Blob::new(bytes)));
            }
        }
        let request = self.client().await.put_item().table_name(self.table()).set_item(Some(item));
        request.send().await.map(drop).map_err(failed)
    }

    async fn read(&self, place: &str, key: &SessionKey) -> Result<Option<Vec<u8>>, String> {
        Ok(self.item(place, key).await?.map(|item| text(&item, "").into_bytes()))
    }

    async fn native_deadline(
        &self,
        place: &str,
        key: &SessionKey,
    ) -> Result<Option<Option<Timestamp>>, String> {
        let Some(item) = self.item(place, key).await? else {
            return Ok(None);
        };
        let Some(AttributeValue::N(seconds)) = item.get(REMOVE_AFTER) else {
            return Ok(Some(None));
        };
        let seconds: u64 = seconds.parse().map_err(|_| format!("the time to live is {seconds:?}"))?;
        Ok(Some(Some(Timestamp::from_millis(seconds.saturating_mul(1000)))))
    }

    async fn count(&self, place: &str) -> Result<usize, String> {
        Ok(self.keys_of(place).await?.len())
    }

    fn keeps_frames(&self) -> bool {
        false
    }

    fn made_newer(&self, stored: &[u8]) -> Vec<Vec<u8>> {
        let Some(mut item) = parsed(stored) else {
            return Vec::new();
        };
        item.insert(FORMAT.to_owned(), AttributeValue::N("2".to_owned()));
        vec![text(&item, "").into_bytes()]
    }
}

/// An item as text: a line for each value, in the order of names: its path, its type, and itself. Bytes are written as
/// hexadecimal digits, and so are the names in a map.
fn text(item: &HashMap<String, AttributeValue>, map: &str) -> String {
    let mut lines: Vec<String> = item.iter().map(|(name, value)| line(name, value, map)).collect();
    lines.sort();
    lines.concat()
}

fn line(name: &str, value: &AttributeValue, map: &str) -> String {
    let name = if map.is_empty() { name.to_owned() } else { format!("{map}/{}", hex(name.as_bytes())) };
    match value {
        AttributeValue::S(text) => format!("{name} S {}\n", hex(text.as_bytes())),
        AttributeValue::N(number) => format!("{name} N {number}\n"),
        AttributeValue::B(bytes) => format!("{name} B {}\n", hex(bytes.as_ref())),
        AttributeValue::Bool(flag) => format!("{name} BOOL {flag}\n"),
        AttributeValue::Null(flag) => format!("{name} NULL {flag}\n"),
        AttributeValue::M(within) => format!("{name} M \n{}", text(within, &name)),
        other => format!("{name} ? {other:?}\n"),
    }
}

/// The item that [`text`] wrote, and nothing for any other text.
fn parsed(bytes: &[u8]) -> Option<HashMap<String, AttributeValue>> {
    let whole = std::str::from_utf8(bytes).ok()?.strip_suffix('\n')?;
    let mut item = HashMap::new();
    for line in whole.split('\n') {
        let (path, rest) = line.split_once(' ')?;
        let (kind, value) = rest.split_once(' ')?;
        let value = match kind {
            "S" => AttributeValue::S(String::from_utf8(unhex(value)?).ok()?),
            "N" => AttributeValue::N(value.to_owned()),
            "B" => AttributeValue::B(Blob::new(unhex(value)?)),
            "BOOL" => AttributeValue::Bool(value.parse().ok()?),
            "NULL" => AttributeValue::Null(value.parse().ok()?),
            "M" => AttributeValue::M(HashMap::new()),
            _ => return None,
        };
        match path.split_once('/') {
            None => item.insert(path.to_owned(), value),
            Some((map, name)) => {
                let AttributeValue::M(within) = item.get_mut(map)? else { return None };
                within.insert(String::from_utf8(unhex(name)?).ok()?, value)
            }
        };
    }
    Some(item)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).ok());
    pairs
        .map(|pair| pair.filter(|pair| pair.len() == 2).and_then(|pair| u8::from_str_radix(pair, 16).ok()))
        .collect()
}
