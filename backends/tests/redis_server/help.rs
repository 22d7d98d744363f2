//! Short ways to ask for the usual.

use std::sync::Arc;
use std::time::Duration;

use holdover_api::{Clock, Deadline, Delta, On, SessionKey, SessionStore, Stamp, SystemClock, Write};
use redis::{Cmd, FromRedisValue};

pub(crate) async fn open(url: &str) -> Arc<dyn SessionStore> {
    holdover_backends::connect(url).await.unwrap()
}

pub(crate) fn key(number: u8) -> SessionKey {
    SessionKey::from_bytes([number; 32])
}

pub(crate) fn stamp(number: u8) -> Stamp {
    Stamp::from_bytes([number; 16])
}

/// A write of one attribute that keeps the session for ten minutes.
pub(crate) fn write(on: On, name: &str, number: u8) -> Write {
    let mut delta = Delta::default();
    delta.set(name, vec![number; 20]);
    Write {
        on,
        delta,
        stamp: stamp(number),
        deadline: Deadline::AtLeast(SystemClock.now() + Duration::from_secs(600)),
        base: None,
    }
}

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
