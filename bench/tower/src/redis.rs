//! The Redis store of tower-sessions, set up as its README does it, with what its client has against silence: it connects
//! again, and no request waits for longer than a second.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use holdover_api::{Error, ErrorKind, Operation, SessionKey, SessionStore, Timestamp};
use holdover_conformance::servers::{self, Server};
use holdover_conformance::{Harness, Node, PrivateServer, Raw};
use tokio::sync::OnceCell;
use tower_sessions_redis_store::RedisStore;
use tower_sessions_redis_store::fred::prelude::{
    ClientLike, Config, ConnectionConfig, Error as RedisError, KeysInterface, PerformanceConfig, Pool,
    ReconnectPolicy,
};

use crate::core_14::core::SessionStore as _;
use crate::core_14::core::session::Record;
use crate::core_14::store::{Wrapped, fill, frame_of, id_at, is_at};

const NAME: &str = concat!("tower-sessions-redis-store ", "0.16.0");
/// As the README of the store has it.
const CONNECTIONS: usize = 6;
/// The client's own default is a second; the exam resets a hundred connections within a minute.
const RECONNECT_MILLIS: u32 = 20;
const PATIENCE: Duration = Duration::from_secs(1);

/// Opens stores on one Redis, which is empty when the run begins and ends with it.
pub(crate) struct RedisHarness {
    address: SocketAddr,
    /// For the suite's own look below the store.
    below: Arc<Below>,
}

impl RedisHarness {
    pub(crate) fn over(server: &Server) -> Self {
        let address = server.address();
        Self { address, below: Arc::new(Below { address, pool: OnceCell::new() }) }
    }
}

async fn connected(address: SocketAddr, connections: usize) -> Result<Pool, RedisError> {
    let config = Config::from_url(&format!("redis://{address}"))?;
    let performance = PerformanceConfig { default_command_timeout: PATIENCE, ..PerformanceConfig::default() };
    let connection = ConnectionConfig {
        connection_timeout: PATIENCE,
        internal_command_timeout: PATIENCE,
        ..ConnectionConfig::default()
    };
    let policy = Some(ReconnectPolicy::new_constant(0, RECONNECT_MILLIS));
    let pool = Pool::new(config, Some(performance), Some(connection), policy, connections)?;
    pool.init().await?;
    Ok(pool)
}

#[async_trait]
impl Harness for RedisHarness {
    fn name(&self) -> String {
        NAME.to_owned()
    }

    async fn open(&self, node: Node) -> Result<Arc<dyn SessionStore>, Error> {
        let pool = connected(node.via.unwrap_or(self.address), CONNECTIONS).await;
        let refused = |error| {
            let message = "no connection to the server";
            Error::new(ErrorKind::Unavailable, Operation::Connect, NAME, message).caused_by(error)
        };
        let store = RedisStore::new(pool.map_err(refused)?);
        Ok(Arc::new(Wrapped { name: NAME, store, place: node.place, clock: node.clock, shared: true }))
    }

    fn raw(&self) -> Option<Arc<dyn Raw>> {
        Some(Arc::clone(&self.below) as Arc<dyn Raw>)
    }

    fn address(&self) -> Option<SocketAddr> {
        Some(self.address)
    }

    async fn private_server(&self) -> Option<Result<PrivateServer, String>> {
        let over = |server: &Server| -> Arc<dyn Harness> { Arc::new(Self::over(server)) };
        servers::private(&servers::redis_durable(), over).await
    }
}

/// Below the store: the bytes of a session are the frame in its record.
struct Below {
    address: SocketAddr,
    pool: OnceCell<Pool>,
}

fn told(error: impl fmt::Display) -> String {
    error.to_string()
}

impl Below {
    async fn pool(&self) -> Result<&Pool, String> {
        self.pool.get_or_try_init(|| connected(self.address, 1)).await.map_err(told)
    }

    async fn record(&self, place: &str, key: &SessionKey) -> Result<Option<Record>, String> {
        RedisStore::new(self.pool().await?.clone()).load(&id_at(place, key)).await.map_err(told)
    }
}

#[async_trait]
impl Raw for Below {
    async fn overwrite(&self, place: &str, key: &SessionKey, bytes: &[u8]) -> Result<(), String> {
        let Some(mut record) = self.record(place, key).await? else {
            return Err("nothing is stored that could be overwritten".to_owned());
        };
        fill(&mut record, place, bytes);
        RedisStore::new(self.pool().await?.clone()).save(&record).await.map_err(told)
    }

    async fn read(&self, place: &str, key: &SessionKey) -> Result<Option<Vec<u8>>, String> {
        Ok(self.record(place, key).await?.as_ref().and_then(frame_of))
    }

    async fn native_deadline(
        &self,
        place: &str,
        key: &SessionKey,
    ) -> Result<Option<Option<Timestamp>>, String> {
        let pool = self.pool().await?;
        let moment: i64 = pool.pexpire_time(id_at(place, key).to_string()).await.map_err(told)?;
        Ok(match (u64::try_from(moment), moment) {
            (Ok(moment), _) => Some(Some(Timestamp::from_millis(moment))),
            (Err(_), -2) => None,
            (Err(_), _) => Some(None),
        })
    }

    async fn count(&self, place: &str) -> Result<usize, String> {
        let pool = self.pool().await?;
        let (mut cursor, mut keys) = ("0".to_owned(), Vec::new());
        loop {
            let (next, page): (String, Vec<String>) =
                pool.scan_page(cursor, "*", Some(1000), None).await.map_err(told)?;
            keys.extend(page);
            cursor = next;
            if cursor == "0" {
                break;
            }
        }
        // A scan may name a key twice.
        keys.sort_unstable();
        keys.dedup();
        let mut count = 0;
        for key in keys {
            let Ok(id) = key.parse() else { continue };
            let record = RedisStore::new(pool.clone()).load(&id).await.map_err(told)?;
            count += usize::from(record.is_some_and(|record| is_at(&record, place)));
        }
        Ok(count)
    }
}
