//! The soak: load for as long as wanted while faults strike, one at a time, each healed and settled before the next.

mod written;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use holdover_api::{Capabilities, Clock, SessionKey, SessionStoreExt, Stopwatch, SystemClock};

use crate::case::Ending;
use crate::drill::{Drill, Fate, Kind, Ledger, Load, Session, findings};
use crate::harness::Harness;
use crate::proxy::{Behaviour, Break, Direction};
use crate::random::Random;
use crate::trial::Trial;

/// So many sessions of a round are looked at once more after the next fault.
const CARRIED: usize = 40;
/// How many broken promises are told in words.
const TOLD: usize = 5;
const LATENCY: Duration = Duration::from_millis(5);
const RESETS: usize = 5;

/// How long a soak goes on.
#[derive(Clone, Copy, Debug)]
pub enum SoakLength {
    /// So many faults.
    Faults(usize),
    /// Until so much time has passed and the fault at hand is healed.
    Time(Duration),
}

impl SoakLength {
    fn is_over(self, faults: usize, since: &Stopwatch) -> bool {
        match self {
            Self::Faults(most) => faults >= most,
            Self::Time(limit) => since.elapsed() >= limit,
        }
    }
}

/// What a soak found.
#[derive(Clone, Debug, Default)]
pub struct SoakReport {
    /// What the store claims; nothing if it was never opened.
    pub claims: Option<Capabilities>,
    /// Operations that were answered.
    pub acknowledged: usize,
    /// Operations that failed: a fault may cost some, and none of them may have lied about its effect.
    pub errors: usize,
    /// Faults that struck.
    pub faults: usize,
    /// Acknowledged writes, or sessions, that were gone (I2).
    pub lost: usize,
    /// Sessions that lived after an acknowledged logout (I1).
    pub resurrected: usize,
    /// Writes that were there though they had been denied, or twice (I3).
    pub invented: usize,
    /// Answers that no fault of a server explains.
    pub strange: usize,
    /// The first broken promises in words.
    pub told: Vec<String>,
}

impl SoakReport {
    /// Whether every promise was kept.
    pub const fn is_sound(&self) -> bool {
        self.lost + self.resurrected + self.invented + self.strange == 0
    }

    fn add(&mut self, fault: &str, kind: Kind, text: &str) {
        match kind {
            Kind::Lost => self.lost += 1,
            Kind::Resurrected => self.resurrected += 1,
            Kind::Invented => self.invented += 1,
            Kind::Strange => self.strange += 1,
        }
        if self.told.len() < TOLD {
            self.told.push(format!("{fault}: {text}"));
        }
    }
}

impl fmt::Display for SoakReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operations = self.acknowledged + self.errors;
        write!(
            f,
            "{operations} operations, {} acknowledged, {} errors, {} faults, {} lost, {} resurrected, {} invented, \
             {} strange",
            self.acknowledged,
            self.errors,
            self.faults,
            self.lost,
            self.resurrected,
            self.invented,
            self.strange
        )
    }
}

/// Puts a store that keeps copies under load while faults strike, drawn from the seed, and audits after each of them.
///
/// `tell` hears of each fault. The plan follows from the seed; what the machine's scheduler does, does not.
///
/// ```no_run
/// # use std::sync::Arc;
/// # use std::time::Duration;
/// # use holdover_conformance::{Ending, Harness, SoakLength, soak};
/// # async fn example(harness: Arc<dyn Harness>) -> Result<(), Ending> {
/// let report = soak(&harness, 42, SoakLength::Time(Duration::from_secs(600)), |fault| println!("{fault}")).await?;
/// assert!(report.is_sound(), "{report}");
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// [`Ending::Failed`] if the store did not go on or did not settle after a fault, [`Ending::Error`] if the bench broke.
pub async fn soak(
    harness: &Arc<dyn Harness>,
    seed: u64,
    length: SoakLength,
    mut tell: impl FnMut(&str),
) -> Result<SoakReport, Ending> {
    let copies = harness.copies();
    if copies.count < 2 {
        return Err(Ending::Error("it keeps one copy: there is nothing that a fault would leave".into()));
    }
    let trial = Trial::new(Arc::clone(harness), "soak", seed)?;
    // Servers expire by the real time, and a soak may take longer than a session lives.
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let members: Vec<usize> = (0..copies.count + usize::from(copies.ring)).collect();
    let drill = Drill::open(&trial, clock, members.len(), &members).await?;
    let mut random = Random::new(seed);
    let claims = drill.nodes.first().map(|node| node.subject.store.capabilities());
    let mut report = SoakReport { claims, ..SoakReport::default() };
    let mut carried: Vec<Session> = Vec::new();
    let mut buried: Vec<SessionKey> = Vec::new();
    let since = Stopwatch::start();
    while !length.is_over(report.faults, &since) {
        let fault = Fault::draw(&mut random, &drill, members.len());
        tell(&fault.to_string());
        let ledger = round(&drill, fault, &mut random).await?;
        report.faults += 1;
        let progress = ledger.progress();
        report.acknowledged += progress.acknowledged;
        report.errors += progress.errors;
        let sessions = ledger.all();
        carried.extend(sessions.iter().cloned());
        for finding in ledger.findings().into_iter().chain(findings(&drill, &carried).await?) {
            report.add(&fault.to_string(), finding.kind, &finding.text);
        }
        buried.extend(
            sessions.iter().filter(|known| known.logout == Fate::Acknowledged).map(|known| known.key),
        );
        carried = sessions.into_iter().rev().take(CARRIED).collect();
    }
    for key in &buried {
        let loaded = drill.nodes[0].subject.store.load_latest(key).await;
        if matches!(loaded, Ok(Some(_))) {
            report.add(
                "in the end",
                Kind::Resurrected,
                "a session lives though its logout was acknowledged (I1)",
            );
        }
    }
    Ok(report)
}

async fn round(drill: &Drill, fault: Fault, random: &mut Random) -> Result<Arc<Ledger>, Ending> {
    let mut load = Load::start(drill).await?;
    load.presses_on(20 + random.below(100)).await?;
    load = fault.strike(drill, load).await?;
    load.presses_on(200 + random.below(200)).await?;
    load = load.relieve(drill, fault.lift(drill)).await?;
    load.presses_on(50 + random.below(100)).await?;
    load.end().await
}

#[derive(Clone, Copy, Debug)]
enum What {
    /// Dead for a while, and back empty.
    Dies,
    /// Dead and back at once, empty.
    Restarts,
    Freezes,
    IsCutOff,
    /// For one application node only.
    IsCutOffFrom(usize),
    AnswersLate,
    LosesItsConnections,
}

#[derive(Clone, Copy, Debug)]
struct Fault {
    server: usize,
    what: What,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "server {} ", self.server)?;
        match self.what {
            What::Dies => f.write_str("dies"),
            What::Restarts => f.write_str("restarts empty"),
            What::Freezes => f.write_str("freezes"),
            What::IsCutOff => f.write_str("is cut off"),
            What::IsCutOffFrom(node) => write!(f, "is cut off from node {node}"),
            What::AnswersLate => f.write_str("answers late"),
            What::LosesItsConnections => f.write_str("loses its connections"),
        }
    }
}

impl Fault {
    fn draw(random: &mut Random, drill: &Drill, servers: usize) -> Self {
        let server = random.below(servers);
        let what = match random.below(7) {
            0 => What::Dies,
            1 => What::Restarts,
            2 => What::Freezes,
            3 => What::IsCutOff,
            // Two nodes that know different servers need every copy written before the answer.
            4 if drill.copies.before_the_answer => What::IsCutOffFrom(random.below(drill.nodes.len())),
            4 => What::IsCutOff,
            5 => What::AnswersLate,
            _ => What::LosesItsConnections,
        };
        Self { server, what }
    }

    async fn strike(self, drill: &Drill, load: Load) -> Result<Load, Ending> {
        let server = self.server;
        match self.what {
            What::Dies => load.strike(drill, drill.kill(server)).await,
            What::Restarts => {
                let restart = async {
                    drill.kill(server).await?;
                    drill.restart(server).await?;
                    agreed(drill, server).await
                };
                load.strike(drill, restart).await
            }
            What::Freezes => load.strike(drill, drill.pause(server)).await,
            What::IsCutOff => load.strike(drill, drill.cut(server)).await,
            What::IsCutOffFrom(node) => load.strike(drill, drill.cut_from(node, server)).await,
            What::AnswersLate => {
                for node in &drill.nodes {
                    node.link(server).set(Direction::Responses, Behaviour::Delay(LATENCY));
                }
                Ok(load)
            }
            What::LosesItsConnections if drill.copies.before_the_answer => {
                for _ in 0..RESETS {
                    reset(drill, server).await;
                    load.presses_on(3).await?;
                }
                Ok(load)
            }
            What::LosesItsConnections => {
                let reset = async {
                    reset(drill, server).await;
                    agreed(drill, server).await
                };
                load.strike(drill, reset).await
            }
        }
    }

    async fn lift(self, drill: &Drill) -> Result<(), Ending> {
        match self.what {
            What::Dies => drill.restart(self.server).await?,
            What::Freezes => drill.resume(self.server).await?,
            _ => {}
        }
        drill.heal().await
    }
}

async fn reset(drill: &Drill, server: usize) {
    for node in &drill.nodes {
        node.link(server).break_connections(Break::Reset).await;
    }
}

/// Where writes are answered before every copy is written, the nodes have to agree on which servers are there.
async fn agreed(drill: &Drill, server: usize) -> Result<(), Ending> {
    if drill.copies.before_the_answer {
        return Ok(());
    }
    drill.rejoined(&[server]).await
}
