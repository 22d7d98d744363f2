//! Measures four ways to keep a session in Redis, for the choice that backends/src/redis/README.md explains.
//!
//! Start a server first; this program starts nothing, and deletes what it wrote:
//!
//! ```text
//! redis-server --port 6390 --save '' --appendonly no &
//! cargo run --release -p holdover-backends --features redis --example redis_layout -- redis://127.0.0.1:6390
//! ```

mod layout;
#[allow(dead_code, reason = "the library's own file; not everything in it is measured")]
#[path = "../../src/redis/merge.rs"]
mod merge;
#[allow(dead_code, reason = "the library's own file; not everything in it is measured")]
#[path = "../../src/redis/script.rs"]
mod script;

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use holdover_api::{Clock, Lineage, Record, SessionKey, Stamp, SystemClock, Timestamp};
use redis::aio::MultiplexedConnection;

use crate::layout::{ALL, Layout, write_of};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const TASKS: usize = 64;
const ROUNDS: usize = 5;
const ATTRIBUTES: usize = 11;
const LIFETIME: Duration = Duration::from_secs(1800);
const WRITERS: usize = 60;

/// One size of sessions.
struct Size {
    name: &'static str,
    value_bytes: usize,
    pairs: usize,
}

const SIZES: [Size; 3] = [
    Size { name: "1 KB", value_bytes: 75, pairs: 24_000 },
    Size { name: "10 KB", value_bytes: 910, pairs: 8_000 },
    Size { name: "100 KB", value_bytes: 9_200, pairs: 1_280 },
];

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Work {
    Load,
    LoadAndMerge,
}

/// What one round of one layout gave.
#[derive(Clone, Copy, Default)]
struct Figures {
    per_second: f64,
    server_micros: f64,
    client_micros: f64,
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let Some(url) = std::env::args().nth(1) else {
        return Err("say where the server is: redis_layout redis://127.0.0.1:6390".into());
    };
    let client = redis::Client::open(url)?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    connection.set_response_timeout(Duration::from_secs(30));
    for layout in ALL {
        layout.prepare(&mut connection).await?;
    }
    println!(
        "{TASKS} tasks, one connection, load + merge of one attribute of {ATTRIBUTES}; medians of {ROUNDS} rounds\n"
    );
    println!(
        "| session | layout | server us/load | client us/load | pairs/s | server us/pair | client us/pair |"
    );
    println!("|---|---|---|---|---|---|---|");
    for size in &SIZES {
        measure_size(&mut connection, size).await?;
    }
    println!("\n{WRITERS} writers merge into one 1 KB session at once\n");
    println!("| layout | ms | tried again | exchanges |");
    println!("|---|---|---|---|");
    for layout in ALL {
        contend(&mut connection, layout).await?;
    }
    Ok(())
}

async fn measure_size(connection: &mut MultiplexedConnection, size: &Size) -> Outcome<()> {
    let mut rounds: Vec<(Layout, Vec<Figures>, Vec<Figures>)> =
        ALL.iter().map(|layout| (*layout, Vec::new(), Vec::new())).collect();
    for layout in ALL {
        for task in 0..TASKS {
            layout.create(connection, &key(task), &record(size.value_bytes)).await?;
        }
    }
    for round in 0..ROUNDS {
        // Another order each round, so that nobody always runs first.
        for index in 0..rounds.len() {
            let position = (index + round) % rounds.len();
            let (layout, loads, pairs) = &mut rounds[position];
            loads.push(run_round(connection, *layout, size, Work::Load).await?);
            pairs.push(run_round(connection, *layout, size, Work::LoadAndMerge).await?);
        }
    }
    for (layout, loads, pairs) in &rounds {
        println!(
            "| {} | {} | {:.1} | {:.1} | {:.0} | {:.1} | {:.1} |",
            size.name,
            layout.name(),
            median(loads, |figures| figures.server_micros),
            median(loads, |figures| figures.client_micros),
            median(pairs, |figures| figures.per_second),
            median(pairs, |figures| figures.server_micros),
            median(pairs, |figures| figures.client_micros),
        );
    }
    clean(connection).await
}

async fn run_round(
    connection: &mut MultiplexedConnection,
    layout: Layout,
    size: &Size,
    work: Work,
) -> Outcome<Figures> {
    let server_before = server_micros(connection).await?;
    let client_before = client_micros()?;
    let begun = instant();
    let mut tasks = Vec::new();
    for task in 0..TASKS {
        let connection = connection.clone();
        let (pairs, value) = (size.pairs / TASKS, vec![b'x'; size.value_bytes]);
        tasks.push(tokio::spawn(run_task(connection, layout, work, task, pairs, value)));
    }
    for task in tasks {
        task.await??;
    }
    let elapsed = begun.elapsed().as_secs_f64();
    let pairs = (size.pairs / TASKS * TASKS) as f64;
    Ok(Figures {
        per_second: pairs / elapsed,
        server_micros: (server_micros(connection).await? - server_before) / pairs,
        client_micros: (client_micros()? - client_before) / pairs,
    })
}

async fn run_task(
    mut connection: MultiplexedConnection,
    layout: Layout,
    work: Work,
    task: usize,
    pairs: usize,
    value: Vec<u8>,
) -> Outcome<()> {
    let key = key(task);
    for pair in 0..pairs {
        let now = SystemClock.now();
        let base = layout.load(&mut connection, &key).await?;
        if work == Work::Load {
            continue;
        }
        let name = format!("attribute{}", pair % ATTRIBUTES);
        let write = write_of(&name, &value, stamp(task, pair, now), now + LIFETIME);
        layout.merge(&mut connection, &key, &base, &write, now).await?;
    }
    Ok(())
}

async fn contend(connection: &mut MultiplexedConnection, layout: Layout) -> Outcome<()> {
    let key = key(0);
    let mut figures = Vec::new();
    let mut retries_of_rounds = Vec::new();
    for _ in 0..ROUNDS {
        layout.create(connection, &key, &record(75)).await?;
        let barrier = Arc::new(tokio::sync::Barrier::new(WRITERS));
        let begun = instant();
        let mut tasks = Vec::new();
        for task in 0..WRITERS {
            let (mut connection, barrier) = (connection.clone(), Arc::clone(&barrier));
            tasks.push(tokio::spawn(async move {
                let now = SystemClock.now();
                let base = layout.load(&mut connection, &key).await?;
                barrier.wait().await;
                let write = write_of(&format!("writer{task}"), b"1", stamp(task, 0, now), now + LIFETIME);
                layout.merge(&mut connection, &key, &base, &write, now).await
            }));
        }
        let mut retries = 0;
        for task in tasks {
            retries += task.await??;
        }
        figures.push(begun.elapsed().as_secs_f64() * 1000.0);
        retries_of_rounds.push(retries as f64);
        let names = layout.load(connection, &key).await?.record.attributes.len();
        assert_eq!(names, ATTRIBUTES + WRITERS, "{} lost a write", layout.name());
    }
    let retries = median(&retries_of_rounds, |retries| *retries);
    let milliseconds = median(&figures, |milliseconds| *milliseconds);
    println!("| {} | {milliseconds:.2} | {retries:.0} | {:.0} |", layout.name(), retries + WRITERS as f64);
    clean(connection).await
}

fn record(value_bytes: usize) -> Record {
    let now = SystemClock.now();
    Record {
        attributes: (0..ATTRIBUTES)
            .map(|number| (format!("attribute{number}"), vec![b'v'; value_bytes].into()))
            .collect(),
        lineage: Lineage::new(Stamp::from_bytes([1; 16])),
        created: now,
        deadline: now + LIFETIME,
    }
}

fn key(number: usize) -> SessionKey {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&(number as u64).to_be_bytes());
    SessionKey::from_bytes(bytes)
}

fn stamp(task: usize, pair: usize, now: Timestamp) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&((task as u64) << 32 | pair as u64).to_be_bytes());
    bytes[8..].copy_from_slice(&now.as_millis().to_be_bytes());
    bytes
}

fn median<T>(figures: &[T], of: impl Fn(&T) -> f64) -> f64 {
    let mut sorted: Vec<f64> = figures.iter().map(of).collect();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

async fn clean(connection: &mut MultiplexedConnection) -> Outcome<()> {
    let keys: Vec<String> = redis::cmd("KEYS").arg("layout-*").query_async(connection).await?;
    for key in keys {
        let _: i64 = redis::cmd("DEL").arg(key).query_async(connection).await?;
    }
    Ok(())
}

async fn server_micros(connection: &mut MultiplexedConnection) -> Outcome<f64> {
    let report: String = redis::cmd("INFO").arg("cpu").query_async(connection).await?;
    let mut seconds = 0.0;
    for line in report.lines() {
        if let Some(value) =
            line.strip_prefix("used_cpu_user:").or_else(|| line.strip_prefix("used_cpu_sys:"))
        {
            seconds += value.trim().parse::<f64>()?;
        }
    }
    Ok(seconds * 1e6)
}

/// Of this process, in ticks of 10 ms, fine enough for a round of thousands of pairs.
fn client_micros() -> Outcome<f64> {
    let status = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = status.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
    Ok(ticks * 10_000.0)
}

#[allow(clippy::disallowed_methods, reason = "a measurement")]
fn instant() -> Instant {
    Instant::now()
}
