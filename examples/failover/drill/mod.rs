//! The failover drill: servers are killed, emptied, stopped and resumed under load, and every promise is checked.

mod audit;
mod load;
mod record;
mod report;

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use holdover::SessionId;
use holdover::api::pause;
use holdover_conformance::ServerControl;
use tokio::task::JoinSet;

use crate::nodes::{Kind, Stage};
use load::World;
use record::Phase;

/// How the drill is run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) store: Kind,
    pub(crate) servers: usize,
    pub(crate) clients: usize,
    pub(crate) sessions: usize,
    /// The length of a phase; the first moments of a fault have a third of it.
    pub(crate) phase: Duration,
    /// Whether every session is looked at between two faults, as the promise demands.
    pub(crate) looks: bool,
}

/// Runs the drill, prints what was seen, and answers whether every promise was kept.
pub(crate) async fn run(settings: Settings) -> Result<bool, Box<dyn Error>> {
    let Settings { store, servers, clients, sessions, phase, looks } = settings;
    let stage = Stage::set(store, servers).await?;
    println!(
        "\n{servers} {store:?} servers, 2 application nodes, {clients} clients in a closed loop over {sessions} sessions, and on each \
         application node a visitor every 10 ms. Server 1 {}.\n",
        if servers == 2 { "is the head, server 2 the tail" } else { "to 3 are a ring of pairs" }
    );
    let world = Arc::new(World::new(stage.nodes.clone(), sessions).await?);
    let load = load::start(&world, clients);
    let mut drill = Drill { world: Arc::clone(&world), phases: Vec::new(), phase, looks };
    drill.play(&stage).await?;
    world.over.store(true, Ordering::Relaxed);
    load.join_all().await;
    drill.end_phase();

    report::print(&drill.phases, &world.log.take());
    report::print_counts(&drill.phases, world.counts());
    audit::audit(&world, &stage).await
}

struct Drill {
    world: Arc<World>,
    phases: Vec<Phase>,
    phase: Duration,
    looks: bool,
}

impl Drill {
    async fn play(&mut self, stage: &Stage) -> Result<(), Box<dyn Error>> {
        let first_moments = self.phase / 3;
        self.begin("steady");
        pause(self.phase).await;

        self.begin("server 1 is killed");
        stage.servers[0].kill().await?;
        pause(first_moments).await;
        self.begin("… later, without it");
        pause(self.phase).await;
        self.begin("server 1 is restarted, empty");
        stage.servers[0].restart().await?;
        pause(self.phase).await;
        self.look_at_everything().await;
        self.begin("steady again");
        pause(self.phase).await;

        self.begin("server 2 is stopped");
        stage.servers[1].pause().await?;
        pause(first_moments).await;
        self.begin("… later, without it");
        pause(self.phase).await;
        self.begin("server 2 is resumed");
        stage.servers[1].resume().await?;
        pause(self.phase).await;
        self.look_at_everything().await;
        self.begin("steady again");
        pause(self.phase).await;

        self.begin("server 1 is killed, log-outs");
        stage.servers[0].kill().await?;
        self.log_a_quarter_out().await;
        pause(first_moments).await;
        self.begin("server 1 is restarted, empty");
        stage.servers[0].restart().await?;
        pause(self.phase).await;
        self.look_at_everything().await;
        self.begin("steady again");
        pause(self.phase).await;
        Ok(())
    }

    /// What follows belongs to this phase, the fault that begins it included.
    fn begin(&mut self, name: &'static str) {
        self.end_phase();
        let counts = self.world.counts();
        let began = self.world.watch.elapsed();
        self.phases.push(Phase { name, began, ended: began, counts });
    }

    fn end_phase(&mut self) {
        if let Some(phase) = self.phases.last_mut() {
            phase.ended = self.world.watch.elapsed();
        }
    }

    /// The promise is one fault a session between two accesses: before the next fault, every session has had one, those
    /// that were logged out as well.
    async fn look_at_everything(&self) {
        if !self.looks {
            return;
        }
        let mut ids: Vec<SessionId> = self.world.live().map(|ledger| ledger.id.clone()).collect();
        ids.extend(self.world.logged_out());
        for id in ids {
            // One that cannot be read is found by the audit.
            let _ = self.world.tokens(0, &id).await;
        }
    }

    async fn log_a_quarter_out(&self) {
        let sessions = self.world.sessions.len();
        let live = sessions - sessions / 4;
        self.world.live.store(live, Ordering::SeqCst);
        let mut going = JoinSet::new();
        for number in live..sessions {
            let world = Arc::clone(&self.world);
            going.spawn(async move {
                // One that fails was not promised; it is written down as a failed request.
                let _ = world.log_out(number % 2, &world.sessions[number].id).await;
            });
        }
        going.join_all().await;
    }
}
