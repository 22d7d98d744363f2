//! How late ended sessions disappear from storage, and what that costs. Reads never see them, however long they lie there:
//! that is the exam's business.

use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use holdover::api::Expiry::OnDemand;
use holdover::api::{
    Clock, Deadline, Delta, On, SaveAnswer, SessionKey, Stamp, Stopwatch, SystemClock, Write, pause,
};
use holdover::{Memory, SessionStore, Timestamp};
use holdover_backends::dynamodb::DynamoDb;
use holdover_conformance::Random;
use holdover_conformance::servers::Recipe;
use holdover_rotation::{Rules, Schedule};

use crate::below::Below;
use crate::machine::processor_seconds;
use crate::result::Expiry;
use crate::stacks::{Fallible, Program, Stack, Stand};
use crate::text::{grouped, long};

const AT_ONCE: usize = 64;
/// Up to so many sessions end on all stores and in all numbers at the same time: that is mostly waiting.
pub(crate) const SIDE_BY_SIDE: usize = 10_000;
const PROBES_AT_LEAST: usize = 64;
const PROBES_AT_MOST: usize = 2_048;
/// A store that removes nothing by itself is not looked at for longer.
const IDLE: Duration = Duration::from_secs(60);
/// A Memcached keeps 64 MB unless it is told otherwise, which is room for a hundred thousand of these sessions.
const MEMCACHED_ROOM: &str = "-m 1024";
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
        _ if stack.is_given() => Some("Nobody looks below a store that was given."),
        _ => Some("Nobody removes anything here, or nobody can look below the store."),
    }
}

/// How long anybody waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// So many sessions are not made where that would take longer.
    pub(crate) making: Duration,
    /// For ended sessions to disappear.
    pub(crate) going: Duration,
}

fn roomy(program: Program) -> Recipe {
    match program {
        Program::Memcached => program.recipe().with_argument(MEMCACHED_ROOM),
        _ => program.recipe(),
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
        let stand = Stand::start_by(stack, roomy).await??;
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
    async fn fill(&self, drawn: impl Iterator<Item = Drawn>, ends: Timestamp) -> Fallible<()> {
        let creating = stream::iter(drawn).map(|(key, stamp)| self.create(key, stamp, ends));
        let mut created = creating.buffer_unordered(AT_ONCE);
        while let Some(made) = created.next().await {
            made?;
        }
        Ok(())
    }
}

/// How long it takes to make so many, by a few of them on servers of their own: what they leave must not be counted.
async fn estimate(stack: &Stack, count: usize, random: &mut Random) -> Fallible<Duration> {
    let tried = Watched::start(stack).await?;
    let far = SystemClock.now() + LEASE;
    // Connections are opened, and scripts loaded, once.
    tried.fill((0..AT_ONCE).map(|_| drawn(random)), far).await?;
    let probes = (count / 200).clamp(PROBES_AT_LEAST, PROBES_AT_MOST);
    let watch = Stopwatch::start();
    tried.fill((0..probes).map(|_| drawn(random)), far).await?;
    Ok(watch.elapsed().mul_f64(count as f64 / probes as f64))
}

/// What a new session needs that is drawn at random.
type Drawn = (SessionKey, Stamp);

fn drawn(random: &mut Random) -> Drawn {
    let (mut key, mut stamp) = ([0; 32], [0; 16]);
    random.fill(&mut key);
    random.fill(&mut stamp);
    (SessionKey::from_bytes(key), Stamp::from_bytes(stamp))
}

/// How long before their end one begins to make sessions that should take so long. Where others are made side by side, an
/// estimate is worth less.
fn lead(count: usize, estimate: Duration) -> Duration {
    let spare = if count > SIDE_BY_SIDE { 1.5 } else { 2.0 };
    Duration::from_secs(1) + estimate.mul_f64(spare)
}

/// Lets so many sessions end at once, and watches them go. A task of its own: what makes sessions for one store must not
/// wait for what makes them for another.
pub(crate) async fn measure(stack: &Stack, count: usize, seed: u64, limits: Limits) -> Fallible<Expiry> {
    let stack = stack.clone();
    tokio::spawn(async move { measured(&stack, count, seed, limits).await }).await?
}

async fn measured(stack: &Stack, count: usize, seed: u64, limits: Limits) -> Fallible<Expiry> {
    let watched = Watched::start(stack).await?;
    let is_idle = watched.store.capabilities().expiry == OnDemand;
    if is_idle && count > SIDE_BY_SIDE {
        return Err("it removes them when room is needed, and until then nothing is to be seen".into());
    }
    let mut random = Random::new(seed);
    let estimate = estimate(stack, count, &mut random).await?;
    let lead = lead(count, estimate);
    if stack.is_rotating() && lead > LEASE {
        return Err(format!(
            "making them would take longer than the {} for which they live",
            long(LEASE.as_secs_f64())
        )
        .into());
    }
    if estimate > limits.making {
        let (takes, limit) = (long(estimate.as_secs_f64()), long(limits.making.as_secs_f64()));
        return Err(format!(
            "making them would take about {takes}, and {limit} is as long as this run takes"
        )
        .into());
    }
    // What is there without sessions is not counted.
    let before = watched.below.count().await?;
    let ends = SystemClock.now() + lead;
    watched.fill((0..count).map(|_| drawn(&mut random)), ends).await?;
    if SystemClock.now() >= ends {
        return Err("they ended before they were all there: the machine is too busy".into());
    }
    let there = watched.below.count().await?.saturating_sub(before);
    if there < count && !stack.is_rotating() {
        let fit = grouped(there as f64);
        return Err(format!("only {fit} of them fit into the store as it is set up").into());
    }
    let going = if is_idle { limits.going.min(IDLE) } else { limits.going };
    watch(&watched, count, before, ends, going).await
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lead_leaves_time_to_spare_and_more_where_others_are_at_work() {
        let ten = Duration::from_secs(10);
        assert_eq!(lead(1_000_000, ten), Duration::from_secs(16));
        assert_eq!(lead(1_000, ten), Duration::from_secs(21));
    }
}
