//! A read and a compare-and-set of what was read, as a request that changes its session makes them, through three
//! clients: `cargo run --release --manifest-path bench/Cargo.toml -p holdover-bench-memcached`.

mod ours;
#[path = "../../../backends/src/row.rs"]
mod row;

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_memcached::{AsciiProtocol, MetaProtocol};
use clap::Parser;
use holdover_conformance::servers::{self, Server};
use memcache::exp::{AsyncMetaClient, Meta, MetaClientBuilder};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::ours::Ours;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The longest wait for an answer, which every client gets.
const PATIENCE: Duration = Duration::from_secs(2);

/// Ticks of the processor's time in `/proc`, a second: fixed on Linux.
const TICKS: f64 = 100.0;

/// Compares three Memcached clients over one server of its own.
#[derive(Parser)]
struct Arguments {
    /// How many tasks make pairs, one after the other, each on a key of its own.
    #[arg(long, default_value_t = 64)]
    tasks: usize,
    /// How many bytes a value has.
    #[arg(long, default_value_t = 1024)]
    bytes: usize,
    /// How many rounds; each measures every client, the next goes the other way round.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// How long each client is measured in a round, in milliseconds.
    #[arg(long, default_value_t = 2000)]
    millis: u64,
}

/// A client, and how it is shared by the tasks.
#[derive(Clone)]
enum Client {
    Ours(Arc<Ours>),
    Memcache(AsyncMetaClient),
    AsyncMemcached(Arc<Vec<Mutex<async_memcached::Client>>>),
}

impl Client {
    async fn pair(&self, task: usize, key: &str, exptime: i32) -> Result<(), Failure> {
        match self {
            Self::Ours(client) => Ok(client.pair(key, exptime).await?),
            Self::Memcache(client) => {
                let read = client.get(key).meta(Meta::default().cas()).send().await?;
                let (value, cas) = read.value.zip(read.item.cas).ok_or("nothing was read")?;
                let set =
                    client.set(key, value).ttl_raw(exptime.unsigned_abs()).compare_cas(cas).return_cas();
                let written = set.send().await?;
                written.applied().then_some(()).ok_or_else(|| "the write lost a race".into())
            }
            Self::AsyncMemcached(clients) => {
                let mut client = clients[task % clients.len()].lock().await;
                let read = timeout(PATIENCE, client.meta_get(key, false, None, Some(&["v", "c"]))).await??;
                let read = read.ok_or("nothing was read")?;
                let (value, cas) = read.data.zip(read.cas).ok_or("nothing was read")?;
                let (cas, exptime) = (format!("C{cas}"), format!("T{exptime}"));
                let flags = [cas.as_str(), exptime.as_str(), "c"];
                timeout(PATIENCE, client.meta_set(key, value.as_slice(), false, None, Some(&flags)))
                    .await??;
                Ok(())
            }
        }
    }
}

/// What one client did in one round.
#[derive(Clone, Copy)]
struct Measured {
    pairs_a_second: f64,
    client_micros: f64,
    server_micros: f64,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse();
    let server = Server::start(&servers::memcached()).await?;
    let process = server.process_id().ok_or("the server is not running")?;
    let keys: Arc<Vec<String>> =
        Arc::new((0..arguments.tasks).map(|task| format!("holdover:{task:064x}")).collect());
    let exptime = i32::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() + 3600)?;
    fill(server.address(), &keys, arguments.bytes).await?;

    let clients = clients(server.address(), arguments.tasks).await?;
    let mut rounds: Vec<Vec<Measured>> = vec![Vec::new(); clients.len()];
    for round in 0..=arguments.rounds {
        let mut order: Vec<usize> = (0..clients.len()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for index in order {
            let length = Duration::from_millis(arguments.millis);
            let measured = measure(&clients[index].1, &keys, exptime, process, length).await?;
            // The first round is a warm-up.
            if round > 0 {
                rounds[index].push(measured);
            }
        }
    }
    report(&arguments, &clients, &rounds);
    Ok(())
}

async fn clients(server: SocketAddr, tasks: usize) -> Result<Vec<(String, Client)>, Failure> {
    let memcache =
        MetaClientBuilder::new().max_idle(tasks).io_timeout(Some(PATIENCE)).connect_async(server).await?;
    Ok(vec![
        ("ours, one connection".to_owned(), Client::Ours(Arc::new(Ours::new(server, PATIENCE)))),
        (format!("memcache 0.21, its own pool of {tasks}"), Client::Memcache(memcache)),
        (format!("async-memcached 0.9, {tasks} connections"), async_memcached(server, tasks).await?),
        ("async-memcached 0.9, 8 connections".to_owned(), async_memcached(server, 8).await?),
    ])
}

async fn async_memcached(server: SocketAddr, connections: usize) -> Result<Client, Failure> {
    let mut clients = Vec::new();
    for _ in 0..connections {
        clients.push(Mutex::new(async_memcached::Client::new(format!("tcp://{server}")).await?));
    }
    Ok(Client::AsyncMemcached(Arc::new(clients)))
}

async fn fill(server: SocketAddr, keys: &[String], bytes: usize) -> Result<(), Failure> {
    let mut client = async_memcached::Client::new(format!("tcp://{server}")).await?;
    let value = vec![b'x'; bytes];
    for key in keys {
        client.set(key.as_str(), value.as_slice(), None, None).await?;
    }
    Ok(())
}

async fn measure(
    client: &Client,
    keys: &Arc<Vec<String>>,
    exptime: i32,
    server: u32,
    length: Duration,
) -> Result<Measured, Failure> {
    let over = Arc::new(AtomicBool::default());
    let pairs = Arc::new(AtomicU64::default());
    let before = (processor_time("self")?, processor_time(&server.to_string())?);
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for task in 0..keys.len() {
        let (client, keys) = (client.clone(), Arc::clone(keys));
        let (over, pairs) = (Arc::clone(&over), Arc::clone(&pairs));
        tasks.spawn(async move {
            while !over.load(Ordering::Relaxed) {
                client.pair(task, &keys[task], exptime).await?;
                pairs.fetch_add(1, Ordering::Relaxed);
            }
            Ok::<(), Failure>(())
        });
    }
    tokio::time::sleep(length).await;
    over.store(true, Ordering::Relaxed);
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    let took = started.elapsed().as_secs_f64();
    let after = (processor_time("self")?, processor_time(&server.to_string())?);
    let pairs = pairs.load(Ordering::Relaxed) as f64;
    Ok(Measured {
        pairs_a_second: pairs / took,
        client_micros: (after.0 - before.0) * 1e6 / pairs,
        server_micros: (after.1 - before.1) * 1e6 / pairs,
    })
}

/// Seconds that a process has had, user and system together.
fn processor_time(process: &str) -> Result<f64, Failure> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name, in brackets, may hold anything; the rest is numbers.
    let numbers = stat.rsplit(')').next().ok_or("no stat")?;
    let mut times = numbers.split_whitespace().skip(11);
    let user: f64 = times.next().ok_or("no user time")?.parse()?;
    let system: f64 = times.next().ok_or("no system time")?.parse()?;
    Ok((user + system) / TICKS)
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

fn report(arguments: &Arguments, clients: &[(String, Client)], rounds: &[Vec<Measured>]) {
    println!(
        "{} tasks, values of {} bytes, medians of {} interleaved rounds of {} ms\n",
        arguments.tasks, arguments.bytes, arguments.rounds, arguments.millis
    );
    println!("| client | pairs/s | ÷ ours (least–most) | client µs/pair | server µs/pair |");
    println!("|---|---|---|---|---|");
    for ((name, _), measured) in clients.iter().zip(rounds) {
        let of = |pick: fn(&Measured) -> f64| median(measured.iter().map(pick).collect());
        let ratios: Vec<f64> = measured
            .iter()
            .zip(&rounds[0])
            .map(|(theirs, ours)| theirs.pairs_a_second / ours.pairs_a_second)
            .collect();
        let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
        let most = ratios.iter().copied().fold(0.0, f64::max);
        println!(
            "| {name} | {:.0} | {:.2} ({least:.2}–{most:.2}) | {:.1} | {:.1} |",
            of(|measured| measured.pairs_a_second),
            median(ratios),
            of(|measured| measured.client_micros),
            of(|measured| measured.server_micros),
        );
    }
}
