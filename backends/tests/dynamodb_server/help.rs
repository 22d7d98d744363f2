//! The embedded DynamoDB behind a port, and short ways to ask it, past the store.

use std::collections::HashMap;
use std::net::SocketAddr;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Builder, Credentials, Region};
use aws_sdk_dynamodb::types::AttributeValue;
use holdover_api::SessionKey;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub(crate) const TABLE: &str = "sessions";

/// It ends with this value.
pub(crate) struct Embedded {
    pub(crate) address: SocketAddr,
    server: JoinHandle<()>,
}

impl Embedded {
    pub(crate) async fn start() -> Self {
        let database = dynoxide::Database::memory().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        Self { address, server: tokio::spawn(dynoxide::server::serve_on(listener, database)) }
    }

    pub(crate) fn url(&self, parameters: &str) -> String {
        url_at(self.address, parameters)
    }

    pub(crate) fn client(&self) -> Client {
        client_at(self.address)
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.server.abort();
    }
}

pub(crate) fn url_at(address: SocketAddr, parameters: &str) -> String {
    let patience = "connect_timeout=2s&response_timeout=5s";
    format!("dynamodb://test:test@us-east-1/{TABLE}?endpoint=http://{address}&{patience}{parameters}")
}

/// A plain client, without the store's settings.
pub(crate) fn client_at(address: SocketAddr) -> Client {
    let settings = Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .region(Region::from_static("us-east-1"))
        .endpoint_url(format!("http://{address}"))
        .http_client(aws_smithy_http_client::Builder::new().build_http());
    Client::from_conf(settings.build())
}

/// Everything that is stored under a session's key.
pub(crate) async fn item(client: &Client, key: &SessionKey) -> HashMap<String, AttributeValue> {
    let request = client.get_item().table_name(TABLE).key("k", AttributeValue::S(key.to_string()));
    request.consistent_read(true).send().await.unwrap().item.expect("it is stored")
}
