//! On a cluster: sessions are spread over the nodes, each operation goes to the right one.

use holdover_api::{Clock, On, SaveAnswer, SessionStoreExt, SystemClock};
use holdover_conformance::servers::{self, Server};

use crate::help::ask;
use crate::sentinel::until;
use crate::support::{key, open, write};

const SLOTS: u32 = 16384;

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_spread_over_three_nodes() {
    let mut nodes = Vec::new();
    for _ in 0..3 {
        let recipe = servers::redis().with_argument("--cluster-enabled yes");
        nodes.push(Server::start(&recipe).await.unwrap());
    }
    form_cluster(&nodes).await;
    let hosts: Vec<String> = nodes.iter().map(|node| node.address().to_string()).collect();
    let store = open(&format!("redis+cluster://{}", hosts.join(","))).await;
    let created = SystemClock.now();
    for number in 1..=40 {
        let key = key(number);
        let answer = store.save(&key, &write(On::Absent { created }, "a", number)).await;
        assert!(matches!(answer, Ok(SaveAnswer::Saved { previous: None })), "{answer:?}");
        let mut second = write(On::Live, "b", number + 100);
        second.base = store.load_latest(&key).await.unwrap();
        assert!(matches!(store.save(&key, &second).await, Ok(SaveAnswer::Saved { .. })));
        assert!(store.touch(&key, second.deadline.moment()).await.unwrap());
        assert_eq!(store.load_latest(&key).await.unwrap().unwrap().record.attributes.len(), 2);
    }
    for node in &nodes {
        let sessions: i64 = ask(node.url(), &redis::cmd("DBSIZE")).await;
        assert!(sessions > 0, "each node keeps some");
    }
    store.delete(&key(1)).await.unwrap();
    assert!(store.load_latest(&key(1)).await.unwrap().is_none());
}

async fn form_cluster(nodes: &[Server]) {
    let count = u32::try_from(nodes.len()).unwrap();
    for (index, node) in (0_u32..).zip(nodes) {
        let mut slots = redis::cmd("CLUSTER");
        // One by one: Redis 6.2 has no ADDSLOTSRANGE.
        slots.arg("ADDSLOTS");
        for slot in SLOTS * index / count..SLOTS * (index + 1) / count {
            slots.arg(slot);
        }
        ask::<()>(node.url(), &slots).await;
        let mut meet = redis::cmd("CLUSTER");
        meet.arg("MEET").arg("127.0.0.1").arg(nodes[0].address().port());
        ask::<()>(node.url(), &meet).await;
    }
    let mut info = redis::cmd("CLUSTER");
    info.arg("INFO");
    for node in nodes {
        until(async || {
            let report: String = ask(node.url(), &info).await;
            report.contains("cluster_state:ok") && report.contains("cluster_known_nodes:3")
        })
        .await;
    }
}
