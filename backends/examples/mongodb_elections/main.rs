//! Measures for how long a MongoDB answers nobody when its servers elect another primary.
//!
//! ```text
//! cargo run -p holdover-backends --features mongodb --example mongodb_elections
//! ```
//!
//! Starts sets of three on this machine, one with a short election time-out and one with the default of ten seconds, and
//! breaks the primary of each in three ways, three times. All that time one client writes, one reads the latest, one reads
//! what it knows from any member, and one writes with the store's default time-out. Told is the longest time between two
//! answers to each of the first three, and how many operations failed.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use holdover_api::{
    Clock, Deadline, Delta, Entropy, Freshness, On, OsEntropy, SessionKey, SessionStore, Stamp, Stopwatch,
    SystemClock, Write, pause,
};
use holdover_conformance::SetControl;
use holdover_conformance::servers::{self, MongodbSet};
use tokio::task::JoinSet;

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const MEMBERS: usize = 3;
const ROUNDS: usize = 3;
const TIMEOUTS: [Duration; 2] = [MongodbSet::ELECTION_TIMEOUT, Duration::from_secs(10)];

/// Longer than any election here.
const PATIENT: &str = "&response_timeout=60s";
const NEARBY: &str = "&response_timeout=60s&readPreference=secondaryPreferred";

/// Answers to every client before a primary is broken, and after another one is there.
const ANSWERS: u64 = 50;
const BREATH: Duration = Duration::from_millis(2);
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);
const LIFETIME: Duration = Duration::from_secs(3600);

/// What happens to the primary.
#[derive(Clone, Copy, Debug)]
enum Fault {
    StepDown,
    Kill,
    Freeze,
}

/// What a client asks for.
#[derive(Clone, Copy)]
enum Work {
    Write,
    ReadLatest,
    ReadNearby,
    WriteByDefault,
}

const WORKS: [Work; 4] = [Work::Write, Work::ReadLatest, Work::ReadNearby, Work::WriteByDefault];

/// What one client has seen.
#[derive(Default)]
struct Seen {
    answers: AtomicU64,
    errors: AtomicU64,
    longest_millis: AtomicU64,
}

#[tokio::main]
async fn main() -> Outcome<()> {
    for timeout in TIMEOUTS {
        println!("election time-out {} s", timeout.as_secs_f64());
        let set = MongodbSet::start(&servers::mongodb(), MEMBERS, timeout).await?;
        for fault in [Fault::StepDown, Fault::Kill, Fault::Freeze] {
            for _ in 0..ROUNDS {
                let seen = round(&set, fault).await?;
                set.restore().await?;
                tell(fault, &seen);
            }
        }
    }
    Ok(())
}

fn tell(fault: Fault, seen: &[Arc<Seen>; 4]) {
    let of = |work: Work| &seen[work as usize];
    let longest = |work| of(work).longest_millis.load(Ordering::Relaxed);
    let errors: u64 = [Work::Write, Work::ReadLatest, Work::ReadNearby]
        .map(|work| of(work).errors.load(Ordering::Relaxed))
        .iter()
        .sum();
    println!(
        "  {:<9} no answer to writes {:>6} ms, reads {:>6} ms, reads nearby {:>6} ms; failed {errors}; failed of the \
         writes with the default time-out {}",
        format!("{fault:?}"),
        longest(Work::Write),
        longest(Work::ReadLatest),
        longest(Work::ReadNearby),
        of(Work::WriteByDefault).errors.load(Ordering::Relaxed),
    );
}

/// Breaks the primary under all clients, and waits until each is served again.
async fn round(set: &MongodbSet, fault: Fault) -> Outcome<[Arc<Seen>; 4]> {
    let stop = Arc::new(AtomicBool::new(false));
    let seen: [Arc<Seen>; 4] = Default::default();
    let mut clients = JoinSet::new();
    for work in WORKS {
        let parameters = match work {
            Work::Write | Work::ReadLatest => PATIENT,
            Work::ReadNearby => NEARBY,
            Work::WriteByDefault => "",
        };
        let store = holdover_backends::connect(&format!("{}{parameters}", set.url())).await?;
        clients.spawn(client(store, work, Arc::clone(&seen[work as usize]), Arc::clone(&stop)));
    }
    all_answered(&seen).await;
    // The first operations make connections.
    for seen in &seen {
        seen.longest_millis.store(0, Ordering::Relaxed);
        seen.errors.store(0, Ordering::Relaxed);
    }
    match fault {
        Fault::StepDown => SetControl::step_down(set).await?,
        Fault::Kill => set.kill_primary().await?,
        Fault::Freeze => set.pause_primary().await?,
    }
    set.elected().await?;
    all_answered(&seen).await;
    if matches!(fault, Fault::Freeze) {
        SetControl::resume(set).await?;
        all_answered(&seen).await;
    }
    stop.store(true, Ordering::Relaxed);
    while let Some(ended) = clients.join_next().await {
        ended??;
    }
    Ok(seen)
}

/// Waits until every client has been answered often.
async fn all_answered(seen: &[Arc<Seen>; 4]) {
    let answers = |seen: &Arc<Seen>| seen.answers.load(Ordering::Relaxed);
    let wanted: Vec<u64> = seen.iter().map(|seen| answers(seen) + ANSWERS).collect();
    while seen.iter().zip(&wanted).any(|(seen, wanted)| answers(seen) < *wanted) {
        pause(BETWEEN_LOOKS).await;
    }
}

async fn client(
    store: Arc<dyn SessionStore>,
    work: Work,
    seen: Arc<Seen>,
    stop: Arc<AtomicBool>,
) -> Outcome<()> {
    let mut key = [0; 32];
    OsEntropy.fill(&mut key)?;
    let key = SessionKey::from_bytes(key);
    let birth = write(On::Absent { created: SystemClock.now() })?;
    store.save(&key, &birth).await?;
    let mut since = Stopwatch::start();
    while !stop.load(Ordering::Relaxed) {
        let answered = match work {
            Work::Write | Work::WriteByDefault => store.save(&key, &write(On::Live)?).await.map(drop),
            Work::ReadLatest => store.load(&key, Freshness::Latest).await.map(drop),
            Work::ReadNearby => store.load(&key, Freshness::AtLeast(birth.stamp)).await.map(drop),
        };
        match answered {
            Ok(()) => {
                let millis = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
                seen.longest_millis.fetch_max(millis, Ordering::Relaxed);
                seen.answers.fetch_add(1, Ordering::Relaxed);
                since = Stopwatch::start();
            }
            Err(_) => {
                seen.errors.fetch_add(1, Ordering::Relaxed);
            }
        }
        pause(BREATH).await;
    }
    Ok(())
}

fn write(on: On) -> Outcome<Write> {
    let mut delta = Delta::default();
    delta.set("page", vec![7; 100]);
    let deadline = Deadline::AtLeast(SystemClock.now() + LIFETIME);
    Ok(Write { on, delta, stamp: Stamp::draw(&OsEntropy)?, deadline, base: None })
}
