//! The embedded DynamoDB as the suite examines it: behind a port, so that several nodes share it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dynoxide::Database;
use holdover::SessionStore;
use holdover::api::{Error, ErrorKind, Operation, pause};
use holdover_conformance::rotation::{Rotation, World};
use holdover_conformance::{Harness, Node, Raw};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::exam::{PATIENT, PREFIX};
use crate::raw::RawDynamoDb;
use crate::stacks::Fallible;
use crate::world::Worlds;

/// How often it removes what has expired: by itself it does when it is asked.
const BETWEEN_SWEEPS: Duration = Duration::from_millis(500);

/// One table with a time to live. It ends with this value.
pub(crate) struct OneTable {
    url: String,
    address: SocketAddr,
    _serving: JoinSet<()>,
}

impl OneTable {
    pub(crate) async fn start() -> Fallible<Self> {
        let database = Database::memory()?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let swept = database.clone();
        let mut serving = JoinSet::new();
        serving.spawn(dynoxide::server::serve_on(listener, database));
        serving.spawn(async move {
            loop {
                pause(BETWEEN_SWEEPS).await;
                // What it could not remove now it removes later.
                let _ = swept.sweep_ttl();
            }
        });
        let url = format!(
            "dynamodb://test:test@us-east-1/sessions?expiry=ttl&create=true&endpoint=http://{address}&{PATIENT}"
        );
        Ok(Self { url, address, _serving: serving })
    }
}

#[async_trait]
impl Harness for OneTable {
    fn name(&self) -> String {
        "dynamodb (embedded)".to_owned()
    }

    async fn open(&self, node: Node) -> Result<Arc<dyn SessionStore>, Error> {
        let via = node.via.unwrap_or(self.address);
        let url = self.url.replace(&self.address.to_string(), &via.to_string());
        let url = format!("{url}&prefix={PREFIX}:{}:", node.place);
        holdover_backends::connect_with_clock(&url, node.clock).await
    }

    fn raw(&self) -> Option<Arc<dyn Raw>> {
        Some(Arc::new(RawDynamoDb::new(&self.url, PREFIX)))
    }

    fn address(&self) -> Option<SocketAddr> {
        Some(self.address)
    }
}

/// Tables that follow each other: each case on them has a world of its own.
pub(crate) struct InTurn(pub(crate) Worlds);

#[async_trait]
impl Harness for InTurn {
    fn name(&self) -> String {
        "dynamodb (rotating)".to_owned()
    }

    async fn open(&self, node: Node) -> Result<Arc<dyn SessionStore>, Error> {
        let failed = |why| Error::new(ErrorKind::Unavailable, Operation::Connect, "dynamodb", why);
        let world: Arc<dyn World> = self.0.world(node.clock.now()).await.map_err(failed)?;
        Ok(world.node(node.clock).await?.store)
    }

    fn longest_lease(&self) -> Option<Duration> {
        Some(self.0.terms().max_lease)
    }

    fn rotation(&self) -> Option<Arc<dyn Rotation>> {
        Some(Arc::new(self.0))
    }
}
