//! What lies in the server, below the store.

use async_trait::async_trait;
use holdover_api::{SessionKey, Timestamp};
use holdover_conformance::Raw;
use redis::FromRedisValue;

pub(crate) struct RawRedis {
    url: String,
}

impl RawRedis {
    pub(crate) fn new(url: &str) -> Self {
        let url = url.split('?').next().unwrap_or_default().to_owned();
        Self { url }
    }

    async fn ask<T: FromRedisValue>(&self, cmd: &redis::Cmd) -> Result<T, String> {
        let failed = |error: redis::RedisError| format!("ask the server: {error}");
        let client = redis::Client::open(self.url.as_str()).map_err(failed)?;
        let mut connection = client.get_multiplexed_async_connection().await.map_err(failed)?;
        cmd.query_async(&mut connection).await.map_err(failed)
    }
}

fn command(name: &str, place: &str, key: &SessionKey) -> redis::Cmd {
    let mut cmd = redis::cmd(name);
    cmd.arg(format!("{place}:{key}"));
    cmd
}

#[async_trait]
impl Raw for RawRedis {
    async fn overwrite(&self, place: &str, key: &SessionKey, bytes: &[u8]) -> Result<(), String> {
        let mut cmd = command("SET", place, key);
        cmd.arg(bytes).arg("KEEPTTL");
        self.ask(&cmd).await
    }

    async fn read(&self, place: &str, key: &SessionKey) -> Result<Option<Vec<u8>>, String> {
        self.ask(&command("GET", place, key)).await
    }

    async fn native_deadline(
        &self,
        place: &str,
        key: &SessionKey,
    ) -> Result<Option<Option<Timestamp>>, String> {
        let answer: i64 = self.ask(&command("PEXPIRETIME", place, key)).await?;
        Ok(match answer {
            -2 => None,
            -1 => Some(None),
            millis => Some(u64::try_from(millis).ok().map(Timestamp::from_millis)),
        })
    }

    async fn count(&self, place: &str) -> Result<usize, String> {
        let mut cmd = redis::cmd("KEYS");
        cmd.arg(format!("{place}:*"));
        let keys: Vec<String> = self.ask(&cmd).await?;
        Ok(keys.len())
    }
}
