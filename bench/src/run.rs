//! The measurement: four kinds of request, each over every kind of session.

use std::time::Duration;

use clap::Args;

use crate::Failure;
use crate::app::Kind;
use crate::client::request;
use crate::commands::Commands;
use crate::load::{Pace, drive};
use crate::machine::{busy_seconds, cpu_seconds, now, processors};
use crate::report::{Figures, Report};
use crate::server::{App, Redis};

const SESSIONS: usize = 400;
const WARM_UP: Duration = Duration::from_millis(300);

/// The load of the second measurement: requests a second that every row answers without being busy all the time.
pub const EQUAL_LOAD: f64 = 4000.0;

/// How to measure.
#[derive(Clone, Debug, Args)]
pub struct Options {
    /// Every figure is the median of so many rounds.
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// How long each measurement takes.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Only the kinds of request whose name holds this.
    #[arg(long, default_value = "")]
    only: String,
    /// Only the lines whose name holds this, and the raw handlers.
    #[arg(long, default_value = "")]
    rows: String,
}

/// One kind of request.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub name: &'static str,
    pub rows: Vec<Row>,
}

/// One line of a table: a request to an application.
#[derive(Clone, Debug)]
pub struct Row {
    pub label: &'static str,
    pub kind: Kind,
    pub method: &'static str,
    pub path: &'static str,
}

impl Row {
    const fn new(label: &'static str, kind: Kind, method: &'static str, path: &'static str) -> Self {
        Self { label, kind, method, path }
    }

    /// What it is compared with: the raw handler in the same framework.
    pub fn baseline(&self) -> Kind {
        match self.kind {
            Kind::ActixRaw | Kind::Actix | Kind::ActixRolling => Kind::ActixRaw,
            _ => Kind::Raw,
        }
    }

    pub fn is_baseline(&self) -> bool {
        self.kind == self.baseline()
    }
}

const RAW: &str = "axum, raw `redis`";
const RAW_MAP: &str = "axum, raw `redis`, a map of JSON values";
const ACTIX_RAW: &str = "actix-web, raw `redis`";
const TOWER: &str = "tower-sessions";
const TOWER_ALWAYS: &str = "tower-sessions, `always_save`";
const TOWER_ALWAYS_ONE: &str = "tower-sessions, `always_save`, one connection";
const ACTIX: &str = "actix-session";
const ACTIX_EVERY: &str = "actix-session, `OnEveryRequest`";
const HOLDOVER: &str = "**holdover**";
const HOLDOVER_UPDATE: &str = "**holdover**, atomic `update`";
const HOLDOVER_EVERY: &str = "**holdover**, every request due";

pub const UNTOUCHED: &str = "Session untouched";
pub const READ: &str = "Read";
pub const MODIFY: &str = "Modify";
pub const ROLLING: &str = "Read with rolling expiry";

fn scenarios() -> [Scenario; 4] {
    let untouched = |label, kind| Row::new(label, kind, "GET", "/untouched");
    let read = |label, kind| Row::new(label, kind, "GET", "/read");
    let modify = |label, kind| Row::new(label, kind, "POST", "/modify");
    let rolling = |label, kind| Row::new(label, kind, "GET", "/rolling");
    [
        Scenario {
            name: UNTOUCHED,
            rows: vec![
                untouched("actix-web, no session", Kind::ActixRaw),
                untouched(ACTIX, Kind::Actix),
                untouched(TOWER_ALWAYS, Kind::TowerAlwaysSave),
                untouched(TOWER, Kind::Tower),
                untouched(HOLDOVER, Kind::Holdover),
                untouched("axum, no session", Kind::Raw),
            ],
        },
        Scenario {
            name: READ,
            rows: vec![
                read(ACTIX_RAW, Kind::ActixRaw),
                read(ACTIX, Kind::Actix),
                read(TOWER, Kind::Tower),
                read(HOLDOVER, Kind::Holdover),
                read(RAW, Kind::Raw),
                read(RAW_MAP, Kind::RawMap),
            ],
        },
        Scenario {
            name: MODIFY,
            rows: vec![
                modify(ACTIX_RAW, Kind::ActixRaw),
                modify(ACTIX, Kind::Actix),
                modify(TOWER, Kind::Tower),
                modify(HOLDOVER, Kind::Holdover),
                modify(RAW, Kind::Raw),
                Row::new(HOLDOVER_UPDATE, Kind::Holdover, "POST", "/update"),
                modify(RAW_MAP, Kind::RawMap),
            ],
        },
        Scenario {
            name: ROLLING,
            rows: vec![
                rolling(ACTIX_RAW, Kind::ActixRaw),
                rolling(ACTIX_EVERY, Kind::ActixRolling),
                rolling(TOWER_ALWAYS_ONE, Kind::TowerAlwaysSaveOneConnection),
                rolling(TOWER_ALWAYS, Kind::TowerAlwaysSave),
                rolling(HOLDOVER, Kind::Holdover),
                rolling(HOLDOVER_EVERY, Kind::HoldoverEveryTouch),
                rolling(RAW, Kind::Raw),
            ],
        },
    ]
}

impl Options {
    fn chosen(&self) -> Vec<Scenario> {
        let mut chosen = Vec::new();
        for mut scenario in scenarios() {
            let is_wanted = scenario.name.to_lowercase().contains(&self.only.to_lowercase());
            scenario.rows.retain(|row| row.is_baseline() || row.label.contains(&self.rows));
            if is_wanted {
                chosen.push(scenario);
            }
        }
        chosen
    }
}

/// Measures everything in every round, in one order and in the opposite order by turns: what changes slowly on the
/// machine changes for all, and figures of one round are compared with each other.
pub async fn run(options: &Options) -> Result<String, Failure> {
    let redis = Redis::start().await?;
    let mut report = Report::new(&redis.version().await?)?;
    for scenario in options.chosen() {
        let mut commands = Vec::new();
        for row in &scenario.rows {
            commands.push(Commands::count(row, &redis).await?);
        }
        report.add(scenario, commands);
    }
    for round in 0..options.rounds {
        for number in 0..report.scenarios() {
            eprintln!("round {} of {}: {}", round + 1, options.rounds, report.scenario(number).name);
            let rows = report.scenario(number).rows.clone();
            let mut order: Vec<usize> = (0..rows.len()).collect();
            if round % 2 == 1 {
                order.reverse();
            }
            for index in order {
                let figures = measure(&rows[index], &redis, options).await?;
                report.record(number, index, figures);
            }
        }
    }
    report.markdown(options.rounds, options.seconds)
}

/// One row once: a fresh process over an empty Redis, first as busy as it can be, then with the load that all get.
async fn measure(row: &Row, redis: &Redis, options: &Options) -> Result<Figures, Failure> {
    redis.empty().await?;
    let app = App::start(row.kind, redis.url()).await?;
    let cookies = app.seed(SESSIONS).await?;
    let requests: Vec<Vec<u8>> = cookies.iter().map(|cookie| request(row.method, row.path, cookie)).collect();
    let duration = Duration::from_secs_f64(options.seconds);
    drive(app.address(), &requests, Pace::Closed, WARM_UP).await?;

    let before = Usage::read(&app, redis)?;
    let begun = now();
    let latencies = drive(app.address(), &requests, Pace::Closed, duration).await?;
    let seconds = begun.elapsed().as_secs_f64();
    let used = Usage::read(&app, redis)?.since(&before);

    let before_equal = Usage::read(&app, redis)?;
    let equal = drive(app.address(), &requests, Pace::PerSecond(EQUAL_LOAD), duration).await?;
    let used_equal = Usage::read(&app, redis)?.since(&before_equal);
    app.stop().await?;

    let count = latencies.count() as f64;
    let of_others = used.machine - used.app - used.redis - used.this;
    Ok(Figures {
        per_second: count / seconds,
        p50: latencies.quantile(0.5),
        p99: latencies.quantile(0.99),
        app: used.app * 1e6 / count,
        redis: used.redis * 1e6 / count,
        app_at_equal_load: used_equal.app * 1e6 / equal.count() as f64,
        others: of_others / seconds / processors()? as f64,
    })
}

/// CPU time used so far, in seconds.
struct Usage {
    app: f64,
    redis: f64,
    this: f64,
    machine: f64,
}

impl Usage {
    fn read(app: &App, redis: &Redis) -> Result<Self, Failure> {
        Ok(Self {
            app: cpu_seconds(app.process()?)?,
            redis: cpu_seconds(redis.process()?)?,
            this: cpu_seconds(std::process::id())?,
            machine: busy_seconds()?,
        })
    }

    fn since(self, before: &Self) -> Self {
        Self {
            app: self.app - before.app,
            redis: self.redis - before.redis,
            this: self.this - before.this,
            machine: self.machine - before.machine,
        }
    }
}
