//! What a Redis keeps, past the store.

use async_trait::async_trait;
use holdover_api::{SessionKey, Timestamp};
use holdover_conformance::Raw;
use redis::aio::MultiplexedConnection;
use redis::{AsyncCommands, Client, RedisError};

/// How often a time-out is read before it is given up.
const READINGS: usize = 100;

/// Reaches the keys of the suite directly.
pub(crate) struct RawRedis {
    url: String,
    prefix: String,
}

impl RawRedis {
    /// `url` as the store has it: the client ignores the store's own parameters.
    pub(crate) fn new(url: &str, prefix: &str) -> Self {
        let plain = url.split('?').next().unwrap_or_default();
        Self { url: plain.to_owned(), prefix: prefix.to_owned() }
    }

    async fn connection(&self) -> Result<MultiplexedConnection, String> {
        let client = Client::open(self.url.as_str()).map_err(failed)?;
        client.get_multiplexed_async_connection().await.map_err(failed)
    }

    /// Removes every key of the run.
    pub(crate) async fn remove_all(&self) -> Result<(), String> {
        let mut connection = self.connection().await?;
        for key in self.keys(&format!("{}:*", self.prefix)).await? {
            let () = connection.unlink(key).await.map_err(failed)?;
        }
        Ok(())
    }

    async fn keys(&self, pattern: &str) -> Result<Vec<String>, String> {
        let mut connection = self.connection().await?;
        let mut found = connection.scan_match::<_, String>(pattern).await.map_err(failed)?;
        let mut keys = Vec::new();
        while let Some(key) = found.next_item().await {
            keys.push(key.map_err(failed)?);
        }
        // A scan may name a key twice.
        keys.sort_unstable();
        keys.dedup();
        Ok(keys)
    }

    fn key(&self, place: &str, key: &SessionKey) -> String {
        format!("{}:{place}:{key}", self.prefix)
    }
}

/// `TIME` answers seconds and microseconds.
const fn milliseconds((seconds, micros): (u64, u64)) -> u64 {
    seconds * 1_000 + micros / 1_000
}

#[allow(clippy::needless_pass_by_value, reason = "the shape that map_err takes")]
fn failed(error: RedisError) -> String {
    format!("the server could not be asked below the store: {error}")
}

#[async_trait]
impl Raw for RawRedis {
    async fn overwrite(&self, place: &str, key: &SessionKey, bytes: &[u8]) -> Result<(), String> {
        let mut connection = self.connection().await?;
        let mut command = redis::cmd("SET");
        command.arg(self.key(place, key)).arg(bytes).arg("XX").arg("KEEPTTL");
        let done: Option<String> = command.query_async(&mut connection).await.map_err(failed)?;
        done.map(drop).ok_or_else(|| "nothing is stored that could be overwritten".to_owned())
    }

    async fn read(&self, place: &str, key: &SessionKey) -> Result<Option<Vec<u8>>, String> {
        let mut connection = self.connection().await?;
        connection.get(self.key(place, key)).await.map_err(failed)
    }

    async fn native_deadline(
        &self,
        place: &str,
        key: &SessionKey,
    ) -> Result<Option<Option<Timestamp>>, String> {
        let mut connection = self.connection().await?;
        let key = self.key(place, key);
        for _ in 0..READINGS {
            // PEXPIRETIME would say it, but Redis has it only since 7.0. Two readings of the server's clock in the same
            // millisecond make the sum exact.
            let mut reading = redis::pipe();
            reading.atomic().cmd("TIME").cmd("PTTL").arg(&key).cmd("TIME");
            let (before, remaining, after): ((u64, u64), i64, (u64, u64)) =
                reading.query_async(&mut connection).await.map_err(failed)?;
            let now = milliseconds(before);
            match (u64::try_from(remaining), remaining) {
                (Err(_), -2) => return Ok(None),
                (Err(_), _) => return Ok(Some(None)),
                (Ok(remaining), _) if milliseconds(after) == now => {
                    return Ok(Some(Some(Timestamp::from_millis(now + remaining))));
                }
                (Ok(_), _) => {}
            }
        }
        Err(format!("the server's clock never stood still for a reading in {READINGS} attempts"))
    }

    async fn count(&self, place: &str) -> Result<usize, String> {
        let keys = self.keys(&format!("{}:{place}:*", self.prefix)).await?;
        Ok(keys.len())
    }
}
