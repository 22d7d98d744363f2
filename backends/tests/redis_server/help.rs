//! Short ways to ask a Redis for the usual.

use redis::{Cmd, FromRedisValue};

/// Asks the server directly.
pub(crate) async fn ask<T: FromRedisValue>(url: &str, cmd: &Cmd) -> T {
    let client = redis::Client::open(url).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    cmd.query_async(&mut connection).await.unwrap()
}

/// How often the server has run each of these, inside scripts included.
pub(crate) async fn calls(url: &str, names: [&str; 4]) -> [u64; 4] {
    let mut cmd = redis::cmd("INFO");
    cmd.arg("commandstats");
    let report: String = ask(url, &cmd).await;
    names.map(|name| {
        let line = report.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{name}:calls=")));
        line.and_then(|line| line.split(',').next()?.parse().ok()).unwrap_or_default()
    })
}
