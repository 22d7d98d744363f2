//! Parallel requests on one session: how many updates are lost that were answered with success.

use std::fmt::Write;

use clap::Args;

use crate::Failure;
use crate::app::Kind;
use crate::client::{Client, request};
use crate::machine;
use crate::server::{App, Redis};
use crate::shape::RaceResult;

/// How to race.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Every figure is the median of so many races.
    #[arg(long, default_value_t = 15)]
    rounds: usize,
    /// How many requests are under way at once.
    #[arg(long, default_value_t = 60)]
    parallel: usize,
}

/// What the requests of a race do with the session that they have loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    /// Each sets an attribute of its own.
    OwnAttribute,
    /// Each adds one to the same number: reads it, and sets it.
    ReadAndSet,
    /// The same, with what the library has for it.
    Update,
}

#[derive(Clone, Copy, Debug)]
struct Race {
    title: &'static str,
    change: Change,
    /// The work between load and save.
    hold_ms: u64,
    processes: usize,
}

const fn race(title: &'static str, change: Change, hold_ms: u64, processes: usize) -> Race {
    Race { title, change, hold_ms, processes }
}

const RACES: [Race; 8] = [
    race("own attribute, 0 ms", Change::OwnAttribute, 0, 1),
    race("own attribute, 5 ms", Change::OwnAttribute, 5, 1),
    race("own attribute, 5 ms, two processes", Change::OwnAttribute, 5, 2),
    race("counter by get and set, 0 ms", Change::ReadAndSet, 0, 1),
    race("counter by get and set, 5 ms", Change::ReadAndSet, 5, 1),
    race("counter by `update`, 0 ms", Change::Update, 0, 1),
    race("counter by `update`, 5 ms", Change::Update, 5, 1),
    race("counter by `update`, 5 ms, two processes", Change::Update, 5, 2),
];

const VARIANTS: [(&str, Kind); 6] = [
    ("axum, raw `redis`", Kind::RawMap),
    ("tower-sessions", Kind::Tower),
    ("tower-sessions, `always_save`", Kind::TowerAlwaysSave),
    ("actix-session", Kind::Actix),
    ("actix-session, `OnEveryRequest`", Kind::ActixRolling),
    ("**holdover**", Kind::Holdover),
];

/// Runs every race on every kind of session.
pub async fn run(options: &Options) -> Result<String, Failure> {
    let redis = Redis::start().await?;
    let mut text = String::new();
    writeln!(text, "{}\n", machine::describe(&redis.version().await?)?)?;
    writeln!(
        text,
        "Lost updates of {} parallel requests on one session: median of {} races (least–most).\n",
        options.parallel, options.rounds
    )?;
    write!(text, "| |")?;
    for race in RACES {
        write!(text, " {} |", race.title)?;
    }
    writeln!(text, "\n|---|{}", "--:|".repeat(RACES.len()))?;
    for (label, kind) in VARIANTS {
        eprintln!("races: {label}");
        write!(text, "| {label} |")?;
        for race in RACES {
            write!(text, " {} |", lost(race, kind, &redis, options).await?)?;
        }
        writeln!(text)?;
    }
    Ok(text)
}

/// The cell of one race and one kind of session.
async fn lost(race: Race, kind: Kind, redis: &Redis, options: &Options) -> Result<String, Failure> {
    if race.change == Change::Update && kind != Kind::Holdover {
        return Ok("–".to_owned());
    }
    redis.empty().await?;
    let mut apps = Vec::new();
    for _ in 0..race.processes {
        apps.push(App::start(kind, redis.url()).await?);
    }
    let mut clients = Vec::new();
    for number in 0..options.parallel {
        clients.push(Client::connect(apps[number % apps.len()].address()).await?);
    }
    let mut losses = Vec::new();
    let mut refusals = 0;
    for cookie in apps[0].seed(options.rounds).await? {
        let outcome = one_race(race, &cookie, &mut clients).await?;
        losses.push(outcome.lost);
        refusals += outcome.refused;
    }
    for app in apps {
        app.stop().await?;
    }
    losses.sort_unstable();
    let [least, .., most] = losses[..] else {
        return Err("a race needs at least two rounds".into());
    };
    let refused = if refusals == 0 { String::new() } else { format!(", {refusals} refused in all") };
    Ok(format!("{} ({least}–{most}){refused}", losses[losses.len() / 2]))
}

struct Outcome {
    /// Answered with success, and not there.
    lost: usize,
    /// Answered with something else.
    refused: usize,
}

async fn one_race(race: Race, cookie: &str, clients: &mut [Client]) -> Result<Outcome, Failure> {
    let hold = race.hold_ms;
    for (number, client) in clients.iter_mut().enumerate() {
        let path = match race.change {
            Change::OwnAttribute => format!("/race/set/{number}/{hold}"),
            Change::ReadAndSet => format!("/race/count/{hold}"),
            Change::Update => format!("/race/update/{hold}"),
        };
        client.send(&request("POST", &path, cookie)).await?;
    }
    let mut acknowledged = 0;
    for client in clients.iter_mut() {
        let status = client.status().await?;
        acknowledged += usize::from(status == 200);
    }
    let path = format!("/race/result/{}", clients.len());
    let client = &mut clients[0];
    client.exchange(&request("GET", &path, cookie)).await?;
    let result: RaceResult = serde_json::from_slice(client.body())?;
    let kept = match race.change {
        Change::OwnAttribute => result.attributes,
        Change::ReadAndSet | Change::Update => usize::try_from(result.counter)?,
    };
    if kept > acknowledged {
        return Err("more updates were kept than were acknowledged: the race proves nothing".into());
    }
    Ok(Outcome { lost: acknowledged - kept, refused: clients.len() - acknowledged })
}
