//! What two copies cost beside one: requests a second and the time of the processor, in interleaved rounds.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use holdover::api::{CookieChange, Stopwatch, SystemClock, pause};
use holdover::{Error, SessionError, SessionId, SessionPolicy, SessionStore};
use holdover_conformance::servers::Server;
use holdover_layers::failover::{Backup, Failover, FailoverSettings};
use tokio::task::JoinSet;

use crate::figures::{median, quantile};
use crate::nodes::Kind;

/// Beside a number, a session of 1 KB: ten attributes.
const ATTRIBUTES: usize = 10;
const VALUE: usize = 90;

/// A machine that does something else for a moment must not end the measurement.
const PATIENCE: Duration = Duration::from_secs(5);
const PATIENT: &str = "?connect_timeout=5s&response_timeout=5s";

/// How it is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) tasks: usize,
    /// Each task uses so many sessions in turn.
    pub(crate) sessions: usize,
    pub(crate) rounds: usize,
    pub(crate) length: Duration,
}

#[derive(Clone, Copy, Debug)]
enum Request {
    Read,
    Modify,
}

/// A store, its servers, and sessions for each task.
struct Setup {
    name: &'static str,
    policy: SessionPolicy,
    servers: Vec<Server>,
    sessions: Vec<Vec<SessionId>>,
}

/// What one store did in one round.
#[derive(Clone, Copy)]
struct Measured {
    requests_a_second: f64,
    client_micros: f64,
    server_micros: f64,
}

/// Measures and prints.
pub(crate) async fn run(settings: Settings) -> Result<(), Box<dyn std::error::Error>> {
    let setups = set_up(settings).await?;
    println!(
        "{} tasks, each with {} sessions of 1 KB of its own in turn; medians of {} interleaved rounds of {} ms (least–most)",
        settings.tasks,
        settings.sessions,
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

async fn set_up(settings: Settings) -> Result<Vec<Setup>, Box<dyn std::error::Error>> {
    let mut setups = vec![
        single("one Memcached", Kind::Memcached, settings).await?,
        pair("two Memcached, backup before the answer", Backup::Before, settings).await?,
        pair("two Memcached, backup behind the answer", Backup::After, settings).await?,
    ];
    if cfg!(feature = "redis") {
        setups.push(single("one Redis", Kind::Redis, settings).await?);
    }
    Ok(setups)
}

async fn single(
    name: &'static str,
    kind: Kind,
    settings: Settings,
) -> Result<Setup, Box<dyn std::error::Error>> {
    let server = Server::start(&kind.recipe()).await?;
    let store = connect(&server).await?;
    Ok(Setup::over(name, store, vec![server], settings).await?)
}

async fn pair(
    name: &'static str,
    backup: Backup,
    settings: Settings,
) -> Result<Setup, Box<dyn std::error::Error>> {
    let recipe = Kind::Memcached.recipe();
    let servers = vec![Server::start(&recipe).await?, Server::start(&recipe).await?];
    let (head, tail) = (connect(&servers[0]).await?, connect(&servers[1]).await?);
    let patient =
        FailoverSettings { backup, node_timeout: PATIENCE, limit: PATIENCE, ..FailoverSettings::default() };
    let pair = Failover::new(head, tail, patient, Arc::new(SystemClock));
    pair.prepare().await?;
    Ok(Setup::over(name, Arc::new(pair), servers, settings).await?)
}

async fn connect(server: &Server) -> Result<Arc<dyn SessionStore>, Error> {
    holdover::connect(&format!("{}{PATIENT}", server.url())).await
}

impl Setup {
    async fn over(
        name: &'static str,
        store: Arc<dyn SessionStore>,
        servers: Vec<Server>,
        settings: Settings,
    ) -> Result<Self, SessionError> {
        let policy = SessionPolicy::new(store).with_call_timeout(PATIENCE);
        let mut sessions = Vec::new();
        for _ in 0..settings.tasks {
            let mut of_a_task = Vec::new();
            for _ in 0..settings.sessions {
                of_a_task.extend(create(&policy).await?);
            }
            sessions.push(of_a_task);
        }
        Ok(Self { name, policy, servers, sessions })
    }

    fn server_seconds(&self) -> Result<f64, Box<dyn std::error::Error>> {
        let mut seconds = 0.0;
        for server in &self.servers {
            let process = server.process_id().ok_or("the server is not running")?;
            seconds += processor_seconds(&process.to_string())?;
        }
        Ok(seconds)
    }
}

async fn create(policy: &SessionPolicy) -> Result<Option<SessionId>, SessionError> {
    let session = policy.open(None);
    for number in 0..ATTRIBUTES {
        session.insert(&format!("attribute-{number}"), "x".repeat(VALUE)).await?;
    }
    session.insert("n", 0_u64).await?;
    match session.commit().await?.cookie {
        CookieChange::Set { id, .. } => Ok(Some(id)),
        _ => Ok(None),
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

async fn measure(
    setup: &Setup,
    request: Request,
    length: Duration,
) -> Result<Measured, Box<dyn std::error::Error>> {
    let over = Arc::new(AtomicBool::default());
    let served = Arc::new(AtomicU64::default());
    let before = (processor_seconds("self")?, setup.server_seconds()?);
    let watch = Stopwatch::start();
    let mut tasks = JoinSet::new();
    for ids in &setup.sessions {
        let ids = ids.clone();
        let (policy, over, served) = (setup.policy.clone(), Arc::clone(&over), Arc::clone(&served));
        tasks.spawn(async move {
            for id in ids.iter().cycle() {
                if over.load(Ordering::Relaxed) {
                    break;
                }
                serve(&policy, id, request).await?;
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
fn processor_seconds(process: &str) -> Result<f64, Box<dyn std::error::Error>> {
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
