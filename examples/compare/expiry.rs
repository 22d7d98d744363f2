//! How late ended sessions disappear from storage, and what that costs. Reads never see them, however long they lie there:
//! that is the exam's business.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use holdover::api::{
    Clock, Deadline, Delta, On, SaveAnswer, SessionKey, Stamp, Stopwatch, SystemClock, Write, pause,
};
use holdover::{Memory, SessionStore, Timestamp};
use holdover_backends::dynamodb::DynamoDb;
use holdover_conformance::Random;
use holdover_rotation::{Rules, Schedule};

use crate::below::Below;
use crate::machine::processor_seconds;
use crate::result::Expiry;
use crate::stacks::{Fallible, Program, Stack, Stand};

const AT_ONCE: usize = 16;
const PROBES: usize = 64;
const BYTES: usize = 256;
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);
/// Tables that follow each other are too slow to watch with periods of an hour.
const PERIOD: Duration = Duration::from_secs(20);
const LEASE: Duration = Duration::from_secs(19);
const ROTATING: &str = "dynamodb://local/sessions?expiry=rotation&period=1h&keeper=off&response_timeout=5s";

/// Why ended sessions of a stack are not watched; nothing if they are.
pub(crate) fn not_watched(stack: &Stack) -> Option<&'static str> {
    match stack.name.as_str() {
        "memory" | "redis" | "memcached" | "mongodb" | "dynamodb-rotation" => None,
        "redis-near" | "redis-pair" => Some("Each server expires as Redis does."),
        "memcached-pair" | "memcached-behind" => Some("Each server expires as Memcached does."),
        "dynamodb-ttl" => Some(
            "The time to live of DynamoDB works in the background, within days by its documentation; the embedded one \
             removes only while it is being asked.",
        ),
        _ => Some("Nobody removes anything here, or nobody can look below the store."),
    }
}

/// A store, and a view of what it keeps.
struct Watched {
    store: Arc<dyn SessionStore>,
    below: Below,
    stand: Stand,
}

impl Watched {
    async fn start(stack: &Stack) -> Fallible<Self> {
        let stand = Stand::start(stack).await??;
        let address = stand.addresses().first().copied();
        let (store, below): (Arc<dyn SessionStore>, Below) = match (stack.programs.first(), address) {
            (Some(program), Some(address)) => {
                let below = match program {
                    Program::Redis => Below::Redis(address),
                    Program::Memcached => Below::Memcached(address),
                    _ => Below::Mongodb(address),
                };
                (stand.open().await?, below)
            }
            _ if stack.is_rotating() => {
                let schedule = Schedule::for_exams(Rules::new(PERIOD, LEASE))?;
                let store = DynamoDb::connect_by(ROTATING, Arc::new(SystemClock), schedule).await?;
                let keeper = store.keeper().ok_or("the tables have no keeper")?;
                let keeping = tokio::spawn(async move { keeper.run(std::future::pending(), |_| {}).await });
                (Arc::clone(&store) as Arc<_>, Below::Tables(store, keeping.abort_handle()))
            }
            _ => {
                let memory = Memory::new();
                (Arc::new(memory.clone()), Below::Memory(memory))
            }
        };
        Ok(Self { store, below, stand })
    }

    fn processor_seconds(&self) -> Option<f64> {
        processor_seconds(self.stand.servers.first()?.process_id()?).ok()
    }

    async fn create(&self, key: SessionKey, stamp: Stamp, ends: Timestamp) -> Fallible<()> {
        let mut delta = Delta::default();
        delta.set("text", vec![b'x'; BYTES]);
        let on = On::Absent { created: SystemClock.now() };
        let write = Write { on, delta, stamp, deadline: Deadline::Exactly(ends), base: None };
        match self.store.save(&key, &write).await? {
            SaveAnswer::Saved { .. } => Ok(()),
            _ => Err("a new session was refused".into()),
        }
    }

    /// So many sessions that end at one moment, all of them there before it.
    async fn fill(&self, count: usize, random: &mut Random, ends: Timestamp) -> Fallible<()> {
        let drawn: Vec<(SessionKey, Stamp)> = (0..count).map(|_| drawn(random)).collect();
        let creating = stream::iter(drawn).map(|(key, stamp)| self.create(key, stamp, ends));
        let results: Vec<Fallible<()>> = creating.buffer_unordered(AT_ONCE).collect().await;
        results.into_iter().collect()
    }

    /// How long it takes to make so many, with as much to spare.
    async fn lead(&self, count: usize, random: &mut Random) -> Fallible<Duration> {
        let mut took = Duration::ZERO;
        let far = SystemClock.now() + LEASE;
        for _ in 0..PROBES / AT_ONCE {
            let probes: Vec<(SessionKey, Stamp)> = (0..AT_ONCE).map(|_| drawn(random)).collect();
            let watch = Stopwatch::start();
            let creating = probes.iter().map(|(key, stamp)| self.create(*key, *stamp, far));
            for made in futures_util::future::join_all(creating).await {
                made?;
            }
            took += watch.elapsed();
            for (key, _) in &probes {
                self.store.delete(key).await?;
            }
        }
        let factor = count as f64 / PROBES as f64 * 2.0;
        Ok(Duration::from_secs(1) + took.mul_f64(factor))
    }
}

fn drawn(random: &mut Random) -> (SessionKey, Stamp) {
    let (mut key, mut stamp) = ([0; 32], [0; 16]);
    random.fill(&mut key);
    random.fill(&mut stamp);
    (SessionKey::from_bytes(key), Stamp::from_bytes(stamp))
}

/// Lets so many sessions end at once, and watches them go, for so long at most.
pub(crate) async fn measure(stack: &Stack, count: usize, seed: u64, limit: Duration) -> Fallible<Expiry> {
    let watched = Watched::start(stack).await?;
    let mut random = Random::new(seed);
    let lead = watched.lead(count, &mut random).await?;
    if stack.is_rotating() && lead > LEASE {
        return Err(format!("making {count} sessions takes longer than they live").into());
    }
    // What the probes left, such as tombstones of tables, is not counted.
    let before = watched.below.count().await?;
    let ends = SystemClock.now() + lead;
    watched.fill(count, &mut random, ends).await?;
    if SystemClock.now() >= ends {
        return Err("the sessions ended before they were all there: the machine is too busy".into());
    }
    let there = watched.below.count().await?.saturating_sub(before);
    if there < count && !stack.is_rotating() {
        return Err(format!("only {there} of {count} sessions fit into the store as it is set up").into());
    }
    watch(&watched, count, before, ends, limit).await
}

async fn watch(
    watched: &Watched,
    count: usize,
    before: usize,
    ends: Timestamp,
    limit: Duration,
) -> Fallible<Expiry> {
    pause(ends.since(SystemClock.now())).await;
    let mut expiry = Expiry { sessions: count, left: count, ..Expiry::default() };
    // Where the first look comes too late to see all of them, from the moment at which they ended.
    let mut used = (watched.processor_seconds(), None);
    loop {
        let left = watched.below.count().await?.saturating_sub(before);
        let late = SystemClock.now().since(ends);
        expiry.left = left.min(count);
        if left >= count {
            used.0 = watched.processor_seconds();
        }
        if left * 2 <= count && expiry.half_s.is_none() {
            expiry.half_s = Some(late.as_secs_f64());
        }
        if left == 0 {
            expiry.all_s = Some(late.as_secs_f64());
            used.1 = watched.processor_seconds();
        }
        if left == 0 || late >= limit {
            break;
        }
        pause(BETWEEN_LOOKS).await;
    }
    expiry.server_micros = used.0.zip(used.1).map(|(from, to)| (to - from) * 1e6 / count as f64);
    Ok(expiry)
}
