//! The time-lapse: sessions in use, tables that come and go below them, and a watch on both.

mod history;
mod load;
mod screen;
pub(crate) mod world;

use std::error::Error;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use holdover::api::{Clock, SystemClock, pause};
use holdover::{SessionPolicy, SessionStore};
use holdover_backends::dynamodb::DynamoDb;
use holdover_rotation::{Rules, Schedule};

use history::History;
use screen::Screen;
use world::World;

/// Rules come with the schedule; the URL has to name some all the same.
const URL: &str = "dynamodb://local/sessions?expiry=rotation&period=1h&keeper=off&response_timeout=5s";

/// How often tables and sessions are looked at.
const BETWEEN_LOOKS: Duration = Duration::from_millis(200);

/// How the time-lapse is run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) period: Duration,
    /// It ends when so many boundaries between periods have been crossed.
    pub(crate) boundaries: u64,
    pub(crate) sessions: usize,
    pub(crate) clients: usize,
    /// Whether the picture is redrawn in place.
    pub(crate) redraws: bool,
}

/// What it came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Summary {
    pub(crate) boundaries: u64,
    pub(crate) acknowledged: u64,
    pub(crate) lost: u64,
    pub(crate) vanished: u64,
    pub(crate) resurrected: u64,
    pub(crate) tables_made: usize,
    pub(crate) tables_dropped: usize,
    /// Questions of the audit at the end without an answer: nobody knows what they would have shown.
    pub(crate) unanswered: u64,
}

impl Summary {
    pub(crate) const fn is_as_promised(&self) -> bool {
        self.lost == 0 && self.vanished == 0 && self.resurrected == 0 && self.unanswered == 0
    }
}

/// Runs it, shows it, and audits what is left.
pub(crate) async fn run(settings: Settings) -> Result<Summary, Box<dyn Error>> {
    let idle = settings.period / 2;
    let schedule = Schedule::for_exams(Rules::new(settings.period, idle))?;
    let store = DynamoDb::connect_by(URL, Arc::new(SystemClock), schedule).await?;
    let keeper = store.keeper().ok_or("the tables have no keeper")?;
    let keeping = tokio::spawn(async move { keeper.run(pending(), |_| {}).await });
    let policy = SessionPolicy::new(Arc::clone(&store) as Arc<dyn SessionStore>)
        .with_idle_timeout(idle)
        .with_call_timeout(Duration::from_secs(10));
    let world = Arc::new(World::new(policy, settings.sessions).await?);
    let load = load::start(&world, settings.clients);

    let mut screen = Screen::new(settings);
    let mut history = History::begin(&world, &store, schedule);
    loop {
        history.look(&world, &store, SystemClock.now()).await?;
        screen.show(&history, &world);
        if history.boundaries() >= settings.boundaries {
            break;
        }
        pause(BETWEEN_LOOKS).await;
    }
    world.over.store(true, Ordering::Relaxed);
    load.join_all().await;
    // The audit is by the tables as they are: the keeper goes on meanwhile.
    let unanswered = world.audit().await;
    keeping.abort();
    let summary = Summary {
        boundaries: history.boundaries(),
        acknowledged: world.counts.acknowledged.load(Ordering::Relaxed),
        lost: world.broken.lost.load(Ordering::Relaxed),
        vanished: world.broken.vanished.load(Ordering::Relaxed),
        resurrected: world.broken.resurrected.load(Ordering::Relaxed),
        tables_made: history.made,
        tables_dropped: history.dropped,
        unanswered,
    };
    screen::print_summary(&summary, &world);
    Ok(summary)
}
