//! M23: a purge by every node; M24, M25: what Memcached makes of its times.

use std::time::Duration;

use holdover_conformance::servers::{self, Server};

use crate::cache::Cache;
use crate::job::{Failure, IDLE, Job, Work, create, read};
use crate::lab::{Lab, System};
use crate::ours::Ours;
use crate::upsert::Upsert;

const DAY: u64 = 24 * 60 * 60;
const TICKS: usize = 5;

/// M24.
pub(crate) async fn thirty_days() -> Result<(), Failure> {
    println!("\nM24: a time of more than thirty days is a date to Memcached, and one that has passed\n");
    println!("| | there a moment later |\n|---|---|");
    let server = Server::start(&servers::memcached()).await?;
    let cache = Cache::new(server.address(), Duration::from_secs(1));
    for (name, seconds) in [("set, 30 days", DAY * 30), ("set, 30 days and a second", DAY * 30 + 1)] {
        cache.set(&format!("a{seconds}"), b"value", seconds).await?;
        println!("| {name} | {} |", cache.get(&format!("a{seconds}")).await?.is_some());
    }
    let store = holdover::connect(&format!("memcached://{}", server.address())).await?;
    let policy = holdover::SessionPolicy::new(store)
        .with_absolute_timeout(Duration::from_secs(DAY * 400))
        .with_idle_timeout(Duration::from_secs(DAY * 30 + 1));
    let ours = Ours::with_policy(policy);
    let id = create(&ours).await?;
    println!("| **ours**, idle for 30 days and a second at most | {} |", read(&ours, &id).await?.found);
    Ok(())
}

/// M25.
pub(crate) async fn pings() -> Result<(), Failure> {
    println!(
        "\nM25: a key with two seconds to live, asked for every half second, after three; predicted: an add prolongs nothing\n"
    );
    println!("| by | alive |\n|---|---|");
    let server = Server::start(&servers::memcached()).await?;
    let cache = Cache::new(server.address(), Duration::from_secs(1));
    for touches in [false, true] {
        let key = if touches { "touched" } else { "pinged" };
        cache.set(key, b"value", 2).await?;
        for _ in 0..6 {
            tokio::time::sleep(Duration::from_millis(500)).await;
            if touches {
                cache.touch(key, 2).await?;
            } else {
                cache.add(key, b"p", 1).await?;
            }
        }
        let alive = cache.get(key).await?.is_some_and(|value| value == b"value");
        println!("| {} | {alive} |", if touches { "touch" } else { "add, the ancestor's ping" });
    }
    let store = holdover::connect(&format!("memcached://{}", server.address())).await?;
    let policy = holdover::SessionPolicy::new(store).with_idle_timeout(Duration::from_secs(2));
    let ours = Ours::with_policy(policy);
    let id = create(&ours).await?;
    for _ in 0..6 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        read(&ours, &id).await?;
    }
    println!("| **ours**, read | {} |", read(&ours, &id).await?.found);
    Ok(())
}

/// M23.
pub(crate) async fn purges() -> Result<(), Failure> {
    println!(
        "\nM23: commands on documents in {TICKS} ticks of the background thread, without a request; predicted: one a node and tick\n"
    );
    println!("| application nodes | purge by every node | **ours** |\n|---|---|---|");
    for count in [1, 2, 4] {
        let (theirs, ours) = (Lab::of(System::Upsert).await?, Lab::of(System::OursMongodb).await?);
        let url = theirs.servers[0].url();
        let mut nodes = Vec::new();
        for _ in 0..count {
            nodes.push((Upsert::connect(url).await?, ours.node_aside().await?));
        }
        create(&nodes[0].0).await?;
        let before = (theirs.calls().await?, ours.calls().await?);
        for _ in 0..TICKS {
            for (node, _) in &nodes {
                node.purge(IDLE).await?;
            }
        }
        let asked = (theirs.calls().await? - before.0, ours.calls().await? - before.1);
        println!("| {count} | {} | {} |", asked.0, asked.1);
    }
    println!("\nA session that is over and not purged yet, read by its cookie:\n");
    println!("| | served |\n|---|---|");
    let (theirs, ours) = (Lab::of(System::Upsert).await?, Lab::of(System::OursMongodb).await?);
    let node = theirs.node_aside().await?;
    let id = create(node.as_ref()).await?;
    let url = ours.servers[0].url();
    let policy =
        holdover::SessionPolicy::new(holdover::connect(url).await?).with_idle_timeout(Duration::from_secs(1));
    let policed = Ours::with_policy(policy);
    let own = create(&policed).await?;
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let served = node.request(Some(&id), Job::of(Work::Read)).await?.found;
    println!("| purge by every node, idle for 1.1 s of 1 s | {served} |");
    println!("| **ours**, the same | {} |", read(&policed, &own).await?.found);
    Ok(())
}
