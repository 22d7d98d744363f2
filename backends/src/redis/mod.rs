//! Sessions in Redis or Valkey: one string a session, which holds the frame, and a script for each change.
//!
//! `README.md` beside this file has the URL's parameters, the reasons for the layout with the figures, what a failover
//! loses, and the settings that a server should have.

mod config;
mod error;
mod link;
mod merge;
mod script;
mod store;

use std::sync::Arc;

use holdover_api::{Clock, Error, ErrorKind, Operation, SessionStore, Survives};
use redis::Value;

use self::config::{Claim, Config};
use self::link::Link;
pub use self::store::Redis;
use crate::url::Parts;

/// How the store prints itself.
const NAME: &str = "redis";

/// The oldest server that has what the scripts use (`SET … PXAT`).
const OLDEST: (u32, u32) = (6, 2);

/// Opens the store that a URL names; fails if the server cannot be reached now.
pub(crate) async fn connect(
    parts: &Parts<'_>,
    clock: Arc<dyn Clock>,
) -> Result<Arc<dyn SessionStore>, Error> {
    let config = Config::parse(parts)?;
    let link = Link::new(config.source()?, config.connect_timeout, config.response_timeout);
    let survives = introduce(&link, config.survives).await?;
    let store = Redis::new(link, clock, config.prefix, config.max_bytes, survives);
    Ok(Arc::new(store))
}

/// Connects, refuses a server that is too old, and finds out what its sessions survive.
async fn introduce(link: &Link, claim: Claim) -> Result<Survives, Error> {
    let failed = |failure: error::Failure| failure.into_error(Operation::Connect);
    link.connect().await.map_err(failed)?;
    let reports = match link.query(&redis::cmd("INFO")).await {
        Ok(value) => texts(value),
        // A user who may not ask may keep sessions all the same.
        Err(failure) if failure.is_not_permitted() => Vec::new(),
        Err(failure) => return Err(failed(failure)),
    };
    if reports.iter().filter_map(|report| version(report)).any(|version| version < OLDEST) {
        let message = "the server is older than redis 6.2; upgrade it";
        return Err(Error::new(ErrorKind::Misconfigured, Operation::Connect, NAME, message).without_effect());
    }
    let appends = |report: &String| field(report, "aof_enabled") == Some("1");
    Ok(match claim {
        Claim::Stated(survives) => survives,
        Claim::AskServer if !reports.is_empty() && reports.iter().all(appends) => Survives::Restart,
        Claim::AskServer => Survives::Nothing,
    })
}

/// The reports of the server, or of every node of the cluster.
fn texts(value: Value) -> Vec<String> {
    match value {
        Value::BulkString(text) => vec![String::from_utf8_lossy(&text).into_owned()],
        Value::VerbatimString { text, .. } => vec![text],
        Value::Map(nodes) => nodes.into_iter().flat_map(|(_, report)| texts(report)).collect(),
        _ => Vec::new(),
    }
}

fn field<'a>(report: &'a str, name: &str) -> Option<&'a str> {
    report.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
}

fn version(report: &str) -> Option<(u32, u32)> {
    let mut numbers = field(report, "redis_version")?.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_read() {
        let report =
            "# Server\r\nredis_version:6.0.16\r\nredis_mode:standalone\r\n# Persistence\r\naof_enabled:1\r\n";
        assert_eq!(version(report), Some((6, 0)));
        assert!(version(report) < Some(OLDEST));
        assert_eq!(field(report, "aof_enabled"), Some("1"));
        assert_eq!(field(report, "aof"), None);
        assert_eq!(version("redis_version:7.2.4\r\nserver_name:valkey\r\n"), Some((7, 2)));
        assert_eq!(version("redis_version:unknown"), None);
        let nodes = Value::Map(vec![(Value::Nil, Value::BulkString(b"a:1".to_vec()))]);
        assert_eq!(texts(nodes), ["a:1"]);
    }
}
