//! Nodes of the demonstration application inside this process, and a browser to use them with.

mod browser;
#[path = "../server/node/mod.rs"]
mod node;

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use holdover::api::{pause, within};
use holdover::{SessionLayerBuilder, SessionStore};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub(crate) use browser::{Answer, Browser};

/// How long a condition may take to come true: generous, for a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);
const BETWEEN_LOOKS: Duration = Duration::from_millis(2);

/// A node that listens on a port of its own. It ends when this value is dropped.
#[derive(Debug)]
pub(crate) struct Node {
    url: String,
    server: JoinHandle<()>,
}

impl Node {
    pub(crate) async fn start(
        name: &str,
        store: Arc<dyn SessionStore>,
        configure: impl FnOnce(SessionLayerBuilder) -> SessionLayerBuilder,
    ) -> Result<Self, Box<dyn Error>> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let app = node::app(name, store, configure)?;
        let server = tokio::spawn(async move {
            // It ends when it is aborted, and not before.
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self { url, server })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// How many operations of this kind the node has finished, whatever their outcome.
    pub(crate) async fn count(&self, operation: &str) -> u64 {
        let metrics = Browser::new().get(self, "/metrics").await.text;
        let wanted = format!("operation=\"{operation}\"");
        let is_wanted =
            |line: &&str| line.starts_with("holdover_store_operations_total{") && line.contains(&wanted);
        let value = |line: &str| line.rsplit(' ').next().and_then(|number| number.parse::<u64>().ok());
        metrics.lines().filter(is_wanted).filter_map(value).sum()
    }

    /// Sends a `PUT` that the node holds for so long, and returns when it has loaded the session.
    pub(crate) async fn slow_put(
        &self,
        browser: &Browser,
        name: &str,
        value: serde_json::Value,
        hold: Duration,
    ) -> JoinHandle<Answer> {
        let before = self.count("load").await;
        let path = format!("/api/session/attributes/{name}?hold_ms={}", hold.as_millis());
        let request = browser.request(self, "PUT", &path, Some(&value));
        let slow = tokio::spawn(request);
        until("the slow request has loaded the session", async || self.count("load").await > before).await;
        slow
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Returns when `holds` says so; panics if that takes too long.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let polling = async {
        while !holds().await {
            pause(BETWEEN_LOOKS).await;
        }
    };
    let came_true = within(PATIENCE, polling).await;
    assert!(came_true.is_some(), "not within {} s: {what}", PATIENCE.as_secs());
}
