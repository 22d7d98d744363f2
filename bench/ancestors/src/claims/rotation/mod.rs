//! M5, M7: tables that follow each other on a real server: under load over boundaries, and when a table comes late.

pub(crate) mod late;
pub(crate) mod load;
mod users;

use std::sync::Arc;
use std::time::Duration;

use holdover::SessionPolicy;
use holdover_api::{Clock, SystemClock, Timestamp};
use holdover_backends::dynamodb::DynamoDb;
use holdover_conformance::servers::{self, Recipe, Server};
use holdover_rotation::{Rules, Schedule};

use crate::dsm::{Dsm, Times};
use crate::job::{Failure, Manager};
use crate::lab::{System, dynamodb_url};
use crate::ours::{Ours, PATIENCE};

pub(crate) const SYSTEMS: [System; 2] = [System::Dsm, System::OursDynamodb];

/// Application nodes, to which a user's requests go in no order.
type Nodes = [Arc<dyn Manager>; 3];

/// A clock that is off by so much.
#[derive(Debug)]
struct Skewed {
    ahead: Duration,
    behind: Duration,
}

impl Clock for Skewed {
    fn now(&self) -> Timestamp {
        SystemClock.now() + self.ahead - self.behind
    }
}

/// One clock that is right, one that is ahead, and one that is behind.
fn clocks(off: Duration) -> [Arc<dyn Clock>; 3] {
    let none = Duration::ZERO;
    [(none, none), (off, none), (none, off)]
        .map(|(ahead, behind)| Arc::new(Skewed { ahead, behind }) as Arc<dyn Clock>)
}

/// The times that both live by.
#[derive(Clone, Copy)]
struct Terms {
    idle: Duration,
    theirs: Times,
    ours: Rules,
}

impl Terms {
    const fn period(&self) -> Duration {
        self.theirs.period
    }

    /// How far into a period it is.
    fn phase(&self) -> Duration {
        let millis = self.period().as_millis();
        let into = u128::from(SystemClock.now().as_millis()) % millis;
        Duration::from_millis(u64::try_from(into).unwrap_or(0))
    }

    async fn until_phase(&self, phase: Duration) {
        let period = self.period();
        let wait = if self.phase() <= phase { phase - self.phase() } else { period + phase - self.phase() };
        tokio::time::sleep(wait).await;
    }
}

async fn node(
    system: System,
    server: &Server,
    clock: Arc<dyn Clock>,
    terms: Terms,
) -> Result<Arc<dyn Manager>, Failure> {
    if system == System::Dsm {
        let endpoint = format!("http://{}", server.address());
        return Ok(Arc::new(Dsm::start(&endpoint, clock, terms.theirs, terms.idle).await?));
    }
    let (url, schedule) = (dynamodb_url(server.address(), server), Schedule::for_exams(terms.ours)?);
    let store = DynamoDb::connect_by(&url, Arc::clone(&clock), schedule).await?;
    let policy = SessionPolicy::new(store).with_clock(clock).with_idle_timeout(terms.idle);
    Ok(Arc::new(Ours::with_policy(policy.with_call_timeout(PATIENCE))))
}

/// How far nodes are apart: their clocks, and the moments at which they were started and from which each counts the second
/// until it looks at its clock again.
#[derive(Clone, Copy, Debug, Default)]
struct Apart {
    clocks: Duration,
    starts: Duration,
}

async fn nodes(system: System, server: &Server, apart: Apart, terms: Terms) -> Result<Nodes, Failure> {
    let [one, two, three] = clocks(apart.clocks);
    let one = node(system, server, one, terms).await?;
    tokio::time::sleep(apart.starts).await;
    let two = node(system, server, two, terms).await?;
    tokio::time::sleep(apart.starts).await;
    Ok([one, two, node(system, server, three, terms).await?])
}

/// A server whose tables take so long to come.
fn server(table: Duration) -> Recipe {
    let more = format!("--createTableMs {}", table.as_millis());
    Recipe { more_arguments: vec![more], ..servers::dynamodb() }
}
