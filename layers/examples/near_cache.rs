//! How long a hit of the near cache takes, beside the same load from the memory store:
//! `cargo run --release -p holdover-layers --features near-cache --example near_cache`.

#![allow(clippy::disallowed_methods, reason = "a measurement reads the clock")]

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use holdover_api::{
    Clock, Deadline, Delta, Entropy, Freshness, Memory, On, OsEntropy, SessionKey, SessionStore, Stamp,
    SystemClock, Write,
};
use holdover_layers::{Layer, NearCache};

const SESSIONS: usize = 10_000;
const ROUNDS: usize = 5;
const LOADS: usize = 400_000;
/// A session of some 0.5 KB: eight attributes of 40 bytes.
const ATTRIBUTES: usize = 8;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let memory: Arc<dyn SessionStore> = Arc::new(Memory::new());
    let hour = Duration::from_secs(3_600);
    let cache = NearCache { max_age: hour, ..NearCache::default() }.layer(Arc::clone(&memory));
    let mut keys = Vec::with_capacity(SESSIONS);
    for _ in 0..SESSIONS {
        let key = create(&memory).await?;
        cache.load(&key, Freshness::Latest).await?;
        keys.push(key);
    }
    println!("{SESSIONS} sessions, {ROUNDS} rounds of {LOADS} loads each, alternating, one thread");
    let (mut from_memory, mut from_cache) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        from_memory.push(measure(&memory, &keys, Freshness::Latest).await?);
        from_cache.push(measure(&cache, &keys, Freshness::Within(hour)).await?);
    }
    let memory = middle(from_memory);
    let cache = middle(from_cache);
    println!("memory      {memory}");
    println!("near cache  {cache}");
    println!("a hit takes {:.2} of the same load from memory (medians)", cache.median / memory.median);
    Ok(())
}

async fn create(store: &Arc<dyn SessionStore>) -> Result<SessionKey, Box<dyn Error>> {
    let mut bytes = [0; 32];
    OsEntropy.fill(&mut bytes)?;
    let key = SessionKey::from_bytes(bytes);
    let now = SystemClock.now();
    let mut delta = Delta::default();
    for number in 0..ATTRIBUTES {
        delta.set(format!("attribute-{number}"), vec![b'x'; 40]);
    }
    let deadline = Deadline::AtLeast(now + Duration::from_secs(3_600));
    let stamp = Stamp::draw(&OsEntropy)?;
    let write = Write { on: On::Absent { created: now }, delta, stamp, deadline, base: None };
    store.save(&key, &write).await?;
    Ok(key)
}

struct Figures {
    a_second: f64,
    median: f64,
    p99: f64,
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:>9.0} loads a second, median {:>6.0} ns, p99 {:>6.0} ns (each with the clock's own cost)",
            self.a_second, self.median, self.p99
        )
    }
}

async fn measure(
    store: &Arc<dyn SessionStore>,
    keys: &[SessionKey],
    freshness: Freshness,
) -> Result<Figures, Box<dyn Error>> {
    // Once without looking at the clock in between, for the rate; once with, for the distribution.
    let begun = Instant::now();
    for key in keys.iter().cycle().take(LOADS) {
        store.load(key, freshness).await?.ok_or("a session is missing")?;
    }
    let a_second = 1.0 / (begun.elapsed().as_secs_f64() / u32::try_from(LOADS).map(f64::from)?);
    let mut times = Vec::with_capacity(LOADS);
    for key in keys.iter().cycle().take(LOADS) {
        let begun = Instant::now();
        let loaded = store.load(key, freshness).await?;
        times.push(begun.elapsed());
        loaded.ok_or("a session is missing")?;
    }
    times.sort_unstable();
    let nanos = |position: usize| times[position].as_secs_f64() * 1e9;
    Ok(Figures { a_second, median: nanos(LOADS / 2), p99: nanos(LOADS / 100 * 99) })
}

/// The round with the middle median.
fn middle(mut rounds: Vec<Figures>) -> Figures {
    rounds.sort_by(|one, other| one.median.total_cmp(&other.median));
    rounds.swap_remove(rounds.len() / 2)
}
