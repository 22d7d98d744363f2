//! What two copies cost beside one: requests a second and the time of the processor, in interleaved rounds.

use std::error::Error;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use holdover::api::{CookieChange, Stopwatch, SystemClock, pause};
use holdover::{SessionError, SessionId, SessionPolicy, SessionStore};
use holdover_conformance::servers::Server;
use holdover_layers::failover::{Backup, Failover, FailoverSettings};
use tokio::task::JoinSet;

use crate::figures::{median, quantile};
use crate::nodes::Kind;

/// Beside a number, a session of 1 KB: ten attributes.
const ATTRIBUTES: usize = 10;
const VALUE: usize = 90;

/// How it is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) tasks: usize,
    pub(crate) rounds: usize,
    pub(crate) length: Duration,
}

#[derive(Clone, Copy, Debug)]
enum Request {
    Read,
    Modify,
}

/// A store, its servers, and a session for each task.
struct Setup {
    name: &'static str,
    policy: SessionPolicy,
    servers: Vec<Server>,
    sessions: Vec<SessionId>,
}

/// What one store did in one round.
#[derive(Clone, Copy)]
struct Measured {
    requests_a_second: f64,
    client_micros: f64,
    server_micros: f64,
}

/// Measures and prints.
pub(crate) async fn run(settings: Settings) -> Result<(), Box<dyn Error>> {
    let setups = set_up(settings.tasks).await?;
    println!(
        "{} tasks, each with a session of 1 KB of its own; medians of {} interleaved rounds of {} ms (least–most)",
        settings.tasks,
        settings.rounds,
        settings.length.as_millis()
    );
    if setups.len() < 4 {
        println!("Redis is not measured: build with --features redis as well.");
    }
    for request in [Request::Read, Request::Modify] {
        let mut rounds: Vec<Vec<Measured>> = vec![Vec::new(); setups.len()];
        // The first round is a warm-up.
        for round in 0..=settings.rounds {
            let mut order: Vec<usize> = (0..setups.len()).collect();
            if round % 2 == 1 {
                order.reverse();
            }
            for index in order {
                let measured = measure(&setups[index], request, settings.length).await?;
                if round > 0 {
                    rounds[index].push(measured);
                }
            }
        }
        print(request, &setups, &rounds);
    }
    Ok(())
}

async fn set_up(tasks: usize) -> Result<Vec<Setup>, Box<dyn Error>> {
    let mut setups = vec![
        single("one Memcached", Kind::Memcached, tasks).await?,
        pair("two Memcached, backup before the answer", Backup::Before, tasks).await?,
        pair("two Memcached, backup behind the answer", Backup::After, tasks).await?,
    ];
    if cfg!(feature = "redis") {
        setups.push(single("one Redis", Kind::Redis, tasks).await?);
    }
    Ok(setups)
}

async fn single(name: &'static str, kind: Kind, tasks: usize) -> Result<Setup, Box<dyn Error>> {
    let server = Server::start(&kind.recipe()).await?;
    let store = holdover::connect(server.url()).await?;
    Ok(Setup::over(name, store, vec![server], tasks).await?)
}

async fn pair(name: &'static str, backup: Backup, tasks: usize) -> Result<Setup, Box<dyn Error>> {
    let recipe = Kind::Memcached.recipe();
    let servers = vec![Server::start(&recipe).await?, Server::start(&recipe).await?];
    let (head, tail) =
        (holdover::connect(servers[0].url()).await?, holdover::connect(servers[1].url()).await?);
    let settings = FailoverSettings { backup, ..FailoverSettings::default() };
    let pair = Failover::new(head, tail, settings, Arc::new(SystemClock));
    pair.prepare().await?;
    Ok(Setup::over(name, Arc::new(pair), servers, tasks).await?)
}

impl Setup {
    async fn over(
        name: &'static str,
        store: Arc<dyn SessionStore>,
        servers: Vec<Server>,
        tasks: usize,
    ) -> Result<Self, SessionError> {
        let policy = SessionPolicy::new(store);
        let mut sessions = Vec::new();
        for _ in 0..tasks {
            let session = policy.open(None);
            for number in 0..ATTRIBUTES {
                session.insert(&format!("attribute-{number}"), "x".repeat(VALUE)).await?;
            }
            session.insert("n", 0_u64).await?;
            if let CookieChange::Set { id, .. } = session.commit().await?.cookie {
                sessions.push(id);
            }
        }
        Ok(Self { name, policy, servers, sessions })
    }

    fn server_seconds(&self) -> Result<f64, Box<dyn Error>> {
        let mut seconds = 0.0;
        for server in &self.servers {
            let process = server.process_id().ok_or("the server is not running")?;
            seconds += processor_seconds(&process.to_string())?;
        }
        Ok(seconds)
    }
}

async fn serve(policy: &SessionPolicy, id: &SessionId, request: Request) -> Result<(), SessionError> {
    let session = policy.open(Some(id.clone()));
    match request {
        Request::Read => {
            session.get::<u64>("n").await?.ok_or(SessionError::Gone)?;
        }
        Request::Modify => {
            session.update("n", |n: Option<u64>| n.unwrap_or_default() + 1).await?;
        }
    }
    session.commit().await?;
    Ok(())
}

async fn measure(setup: &Setup, request: Request, length: Duration) -> Result<Measured, Box<dyn Error>> {
    let over = Arc::new(AtomicBool::default());
    let served = Arc::new(AtomicU64::default());
    let before = (processor_seconds("self")?, setup.server_seconds()?);
    let watch = Stopwatch::start();
    let mut tasks = JoinSet::new();
    for id in setup.sessions.iter().cloned() {
        let (policy, over, served) = (setup.policy.clone(), Arc::clone(&over), Arc::clone(&served));
        tasks.spawn(async move {
            while !over.load(Ordering::Relaxed) {
                serve(&policy, &id, request).await?;
                served.fetch_add(1, Ordering::Relaxed);
            }
            Ok::<(), SessionError>(())
        });
    }
    pause(length).await;
    over.store(true, Ordering::Relaxed);
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    let took = watch.elapsed().as_secs_f64();
    let after = (processor_seconds("self")?, setup.server_seconds()?);
    let served = served.load(Ordering::Relaxed) as f64;
    Ok(Measured {
        requests_a_second: served / took,
        client_micros: (after.0 - before.0) * 1e6 / served,
        server_micros: (after.1 - before.1) * 1e6 / served,
    })
}

/// Seconds that the threads of a process have had, user and system together.
fn processor_seconds(process: &str) -> Result<f64, Box<dyn Error>> {
    let mut nanoseconds = 0.0;
    for thread in fs::read_dir(format!("/proc/{process}/task"))? {
        let schedule = fs::read_to_string(thread?.path().join("schedstat"))?;
        let on_processor = schedule.split(' ').next().ok_or("schedstat has another form")?;
        nanoseconds += on_processor.parse::<f64>()?;
    }
    Ok(nanoseconds / 1e9)
}

fn print(request: Request, setups: &[Setup], rounds: &[Vec<Measured>]) {
    let what = match request {
        Request::Read => "read",
        Request::Modify => "modify: a read and a write",
    };
    println!(
        "\n| {what} | requests/s | ÷ one Memcached | client µs | ÷ one Memcached | ÷ one Redis | servers µs |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|");
    let redis = rounds.get(3).map_or(&[][..], |rounds| &rounds[..]);
    for (setup, measured) in setups.iter().zip(rounds) {
        let of = |pick: fn(&Measured) -> f64| median(measured.iter().map(pick).collect());
        println!(
            "| {} | {:.0} | {} | {:.1} | {} | {} | {:.1} |",
            setup.name,
            of(|measured| measured.requests_a_second),
            ratio(measured, &rounds[0], |measured| measured.requests_a_second),
            of(|measured| measured.client_micros),
            ratio(measured, &rounds[0], |measured| measured.client_micros),
            ratio(measured, redis, |measured| measured.client_micros),
            of(|measured| measured.server_micros),
        );
    }
}

/// The quotients within the rounds: their median, the least and the most.
fn ratio(measured: &[Measured], by: &[Measured], pick: fn(&Measured) -> f64) -> String {
    if by.is_empty() {
        return "–".to_owned();
    }
    let quotients: Vec<f64> = measured.iter().zip(by).map(|(one, other)| pick(one) / pick(other)).collect();
    let (least, most) = (quantile(quotients.clone(), 0.0), quantile(quotients.clone(), 1.0));
    format!("{:.2} ({least:.2}–{most:.2})", median(quotients))
}
