//! Behind Sentinel: the master is found, and found again when another has become it.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use holdover_api::{Clock, On, SaveAnswer, SessionStoreExt, SystemClock, pause, within};
use holdover_conformance::ServerControl;
use holdover_conformance::servers::{self, Server};

use crate::help::ask;
use crate::support::{key, open, write};

/// Killed when dropped.
struct Sentinel(Child);

impl Drop for Sentinel {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_new_master_is_found_after_a_failover() {
    let master = Server::start(&servers::redis()).await.unwrap();
    let port = master.address().port();
    let replica_of = format!("--replicaof 127.0.0.1 {port}");
    let replica = Server::start(&servers::redis().with_argument(replica_of)).await.unwrap();
    let (sentinel_url, _sentinel) = start_sentinel(&master);
    until(async || has_replica(&sentinel_url).await).await;

    let store = open(&format!("{}/main", sentinel_url.replace("redis://", "redis+sentinel://"))).await;
    let created = SystemClock.now();
    store.save(&key(1), &write(On::Absent { created }, "a", 1)).await.unwrap();
    until(async || dbsize(replica.url()).await == 1).await;

    master.kill().await.unwrap();
    // Until the sentinel has made the replica the master, every operation fails in a bounded time.
    until(async || store.load_latest(&key(1)).await.is_ok()).await;
    until(async || {
        matches!(store.save(&key(1), &write(On::Live, "b", 2)).await, Ok(SaveAnswer::Saved { .. }))
    })
    .await;
    let record = store.load_latest(&key(1)).await.unwrap().unwrap().record;
    assert_eq!(record.attributes.keys().collect::<Vec<_>>(), ["a", "b"]);
}

fn start_sentinel(master: &Server) -> (String, Sentinel) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let master_port = master.address().port();
    let config = format!(
        "port {port}\nbind 127.0.0.1\ndir {directory}\nsentinel monitor main 127.0.0.1 {master_port} 1\n\
         sentinel down-after-milliseconds main 300\nsentinel failover-timeout main 2000\n",
        directory = master.directory().display(),
    );
    let path = master.directory().join("sentinel.conf");
    std::fs::write(&path, config).unwrap();
    let child = Command::new("redis-server")
        .arg(&path)
        .arg("--sentinel")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    (format!("redis://127.0.0.1:{port}"), Sentinel(child))
}

async fn has_replica(sentinel_url: &str) -> bool {
    let client = redis::Client::open(sentinel_url).unwrap();
    let Ok(mut connection) = client.get_multiplexed_async_connection().await else {
        return false;
    };
    let mut cmd = redis::cmd("SENTINEL");
    cmd.arg("REPLICAS").arg("main");
    let replicas: Result<Vec<redis::Value>, _> = cmd.query_async(&mut connection).await;
    replicas.is_ok_and(|replicas| !replicas.is_empty())
}

async fn dbsize(url: &str) -> i64 {
    ask(url, &redis::cmd("DBSIZE")).await
}

/// Asks again until it is so; fails after half a minute.
pub(crate) async fn until(mut condition: impl AsyncFnMut() -> bool) {
    let waited = within(Duration::from_secs(30), async {
        while !condition().await {
            pause(Duration::from_millis(20)).await;
        }
    });
    waited.await.expect("it becomes so within 30 s");
}
