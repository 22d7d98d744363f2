//! M27: a hash tells whether a session was changed; M34: compression. Both spend time to send less.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hasher};
use std::hint::black_box;
use std::io::{Read, Write};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use holdover_conformance::servers::{self, Server};
use holdover_conformance::{Random, fresh_seed};

use super::{median, of};
use crate::cache::Cache;
use crate::job::Failure;

const KILOBYTE: usize = 1024;
const ATTRIBUTES: usize = 16;
const BATCHES: usize = 9;
/// So much work is timed at once.
const BATCH: Duration = Duration::from_millis(20);
const PAIRS: usize = 100;

/// The time of one piece of work: the median of some batches.
fn timed(mut work: impl FnMut()) -> Duration {
    let mut took = Vec::new();
    for _ in 0..BATCHES {
        let (began, mut times) = (Instant::now(), 0);
        while began.elapsed() < BATCH {
            work();
            times += 1;
        }
        took.push(began.elapsed() / times);
    }
    median(took)
}

/// The time of a read of so many bytes from a Memcached on this machine: what there is to compare with.
async fn read(cache: &Cache, bytes: &[u8]) -> Result<Duration, Failure> {
    const READS: u32 = 200;
    cache.set("session", bytes, 0).await?;
    let mut took = Vec::new();
    for _ in 0..BATCHES {
        let began = Instant::now();
        for _ in 0..READS {
            black_box(cache.get("session").await?);
        }
        took.push(began.elapsed() / READS);
    }
    Ok(median(took))
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// Attributes of so many bytes together, put in in some order.
fn session(bytes: usize, random: &mut Random) -> HashMap<String, String> {
    let mut names: Vec<usize> = (0..ATTRIBUTES).collect();
    for place in 1..names.len() {
        names.swap(place, random.below(place + 1));
    }
    let value = "v".repeat(bytes / ATTRIBUTES);
    names.into_iter().map(|name| (format!("attribute-{name}"), value.clone())).collect()
}

fn hash(session: &HashMap<String, String>) -> Result<u64, Failure> {
    let mut hasher = DefaultHasher::new();
    hasher.write(&serde_json::to_vec(session)?);
    Ok(hasher.finish())
}

/// M27.
pub(crate) async fn hashes() -> Result<(), Failure> {
    println!(
        "\nM27: whether a session was changed, by a hash of what it is written as, and by a version; predicted: the hash costs\n\
         one serialisation a request, more the larger the session, and is wrong where the order of a map is not fixed\n"
    );
    let server = Server::start(&servers::memcached()).await?;
    let cache = Cache::new(server.address(), Duration::from_secs(1));
    let mut random = Random::new(fresh_seed()?);
    println!(
        "| bytes | hash | version | a read from Memcached | the hash, in reads |\n|---|---|---|---|---|"
    );
    for kilobytes in [1, 4, 16, 64, 256] {
        let session = session(kilobytes * KILOBYTE, &mut random);
        let by_hash = timed(|| {
            let _ = black_box(hash(black_box(&session)));
        });
        let versions = (random.below(2), random.below(2));
        let by_version = timed(|| {
            for _ in 0..1000 {
                let (one, other) = black_box(versions);
                black_box(one == other);
            }
        }) / 1000;
        let read = read(&cache, &serde_json::to_vec(&session)?).await?;
        println!(
            "| {kilobytes} KB | {:.1} µs | {} ns | {:.0} µs | {:.2} |",
            micros(by_hash),
            by_version.as_nanos(),
            micros(read),
            micros(by_hash) / micros(read)
        );
    }
    let mut wrong = 0;
    for _ in 0..PAIRS {
        // The same attributes, in two maps, as after a load.
        let (one, other) = (session(KILOBYTE, &mut random), session(KILOBYTE, &mut random));
        wrong += usize::from(one == other && hash(&one)? != hash(&other)?);
    }
    println!("\nEqual sessions whose hashes differ: {}.", of(wrong, PAIRS));
    Ok(())
}

/// Sessions as applications have them.
fn shapes(random: &mut Random) -> Vec<(&'static str, Vec<u8>)> {
    let token = |random: &mut Random, bytes: usize| -> String {
        (0..bytes / 2).map(|_| format!("{:02x}", random.below(256))).collect()
    };
    let user =
        format!("{{\"user\":{},\"name\":\"Ann Example\",\"roles\":[\"member\"]}}", random.below(1 << 20));
    let signed_in = format!("{{\"profile\":{user},\"csrf\":\"{}\"}}", token(random, 64));
    let mut shapes = vec![
        ("who it is", user.clone().into_bytes()),
        ("who it is, and a token", signed_in.into_bytes()),
        ("tokens of other services", format!("[\"{}\"]", token(random, 2 * KILOBYTE)).into_bytes()),
    ];
    for (name, items) in
        [("a cart of 5", 5), ("a cart of 20", 20), ("a list of 200", 200), ("a list of 700", 700)]
    {
        let mut lines = Vec::new();
        for _ in 0..items {
            let (article, price) = (random.below(1 << 24), random.below(10_000));
            lines.push(format!(
                "{{\"article\":{article},\"count\":{},\"price\":{price},\"note\":\"\"}}",
                1 + random.below(9)
            ));
        }
        shapes.push((name, format!("{{\"profile\":{user},\"items\":[{}]}}", lines.join(",")).into_bytes()));
    }
    shapes
}

fn compressed(bytes: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

fn decompressed(bytes: &[u8]) -> Result<Vec<u8>, Failure> {
    let mut whole = Vec::new();
    GzDecoder::new(bytes).read_to_end(&mut whole)?;
    Ok(whole)
}

/// M34.
pub(crate) async fn compression() -> Result<(), Failure> {
    println!(
        "\nM34: gzip, by the shape of a session; predicted: it pays from some size on, and a write unit of DynamoDB is a\n\
         kilobyte that was begun\n"
    );
    let server = Server::start(&servers::memcached()).await?;
    let cache = Cache::new(server.address(), Duration::from_secs(1));
    let mut random = Random::new(fresh_seed()?);
    println!(
        "| session | bytes | with gzip | write units | to compress and back | in reads from Memcached |"
    );
    println!("|---|---|---|---|---|---|");
    for (shape, bytes) in shapes(&mut random) {
        let small = compressed(&bytes)?;
        if decompressed(&small)? != bytes {
            return Err("gzip does not give back what it was given".into());
        }
        let both = timed(|| {
            let _ = black_box(compressed(black_box(&bytes)).and_then(|small| decompressed(&small)));
        });
        let read = read(&cache, &bytes).await?;
        let units = |bytes: &[u8]| bytes.len().div_ceil(KILOBYTE);
        println!(
            "| {shape} | {} | {} | {} → {} | {:.0} µs | {:.2} |",
            bytes.len(),
            small.len(),
            units(&bytes),
            units(&small),
            micros(both),
            micros(both) / micros(read)
        );
    }
    Ok(())
}
