//! A replica set of several servers, which a test can break.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use holdover_api::{pause, within};
use tokio::task::JoinSet;

use super::bson::Document;
use super::{NAME, talk};
use crate::harness::ServerControl;
use crate::servers::ServerError;
use crate::servers::process::Server;
use crate::servers::recipe::Recipe;

/// For one look at all members. A frozen one costs it.
const GLANCE: Duration = Duration::from_millis(300);
/// For one command to one member.
const PATIENCE: Duration = Duration::from_secs(5);
/// For a command that waits for other members.
const LONG_PATIENCE: Duration = Duration::from_secs(40);
const LONG_PATIENCE_MILLIS: i32 = 30_000;
/// For what a set does by itself, such as an election: generous, for a busy machine.
const SETTLED_WITHIN: Duration = Duration::from_secs(60);
const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// So many times in an election time-out members ask each other whether they are there.
const HEARTBEATS: u128 = 5;

/// Keeps a secondary from fetching. What it had fetched already would still be applied if it was elected: then a write
/// that the primary alone acknowledged would outlive the primary by luck.
const HOLD: &str = "stopReplProducer";

/// Keeps a primary that hears from the others of its successor from giving way.
const STAY: &str = "blockHeartbeatStepdown";

/// A replica set on ports of 127.0.0.1. Dropping it kills its members and removes what they stored.
///
/// A member is killed, paused and restarted through [`members`](Self::members); what only the set can do is here. As a
/// [`ServerControl`] the set does the same to all members.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use holdover_conformance::ServerControl;
/// use holdover_conformance::servers::{self, MongodbSet};
///
/// let set = MongodbSet::start(&servers::mongodb(), 3, MongodbSet::ELECTION_TIMEOUT).await?;
/// let first = set.primary().await?;
/// set.members()[first].kill().await?;
/// assert_ne!(set.primary().await?, first);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct MongodbSet {
    members: Vec<Arc<Server>>,
}

/// What a set is begun with, of members on these ports.
pub(super) fn configuration(ports: &[u16], election_timeout: Option<Duration>) -> Document {
    let member = |(number, port): (i32, &u16)| {
        Document::default().with("_id", number).with("host", format!("127.0.0.1:{port}"))
    };
    let members: Vec<Document> = (0..).zip(ports).map(member).collect();
    let configuration = Document::default().with("_id", NAME).with("version", 1).with("members", members);
    let Some(timeout) = election_timeout else {
        return configuration;
    };
    let millis = |millis: u128| i32::try_from(millis).unwrap_or(i32::MAX);
    let settings = Document::default()
        .with("electionTimeoutMillis", millis(timeout.as_millis()))
        .with("heartbeatIntervalMillis", millis((timeout.as_millis() / HEARTBEATS).max(1)))
        .with("heartbeatTimeoutSecs", millis(u128::from(timeout.as_secs()).max(1)))
        // Everybody copies from the primary, so that a member that is held holds back nobody else.
        .with("chainingAllowed", false);
    configuration.with("settings", settings)
}

impl MongodbSet {
    /// Short, so that a test does not wait the ten seconds that members usually wait for a silent primary.
    pub const ELECTION_TIMEOUT: Duration = Duration::from_millis(1500);

    /// Starts so many members as `recipe` has it, and returns when one of them is primary and the others have all that
    /// it has. A primary that falls silent for `election_timeout` is replaced.
    ///
    /// # Errors
    ///
    /// [`ServerError::NotFound`] if this machine has no program for it, else [`ServerError::Failed`].
    pub async fn start(
        recipe: &Recipe,
        members: usize,
        election_timeout: Duration,
    ) -> Result<Self, ServerError> {
        let recipe = recipe
            .clone()
            .with_argument(format!("--replSet {NAME}"))
            .with_argument("--oplogSize 64")
            // For the switches that make a secondary lag, and a primary stay.
            .with_argument("--setParameter enableTestCommands=1");
        let mut starting = JoinSet::new();
        for _ in 0..members {
            let recipe = recipe.clone();
            starting.spawn(async move { Server::start(&recipe).await });
        }
        let mut started = Vec::new();
        while let Some(server) = starting.join_next().await {
            let server = server.map_err(|error| ServerError::Failed(error.to_string()))?;
            started.push(Arc::new(server?));
        }
        let set = Self { members: started };
        set.begin(election_timeout).await.map_err(|why| {
            ServerError::Failed(format!("begin a replica set of {members} mongodb servers: {why}"))
        })?;
        Ok(set)
    }

    async fn begin(&self, election_timeout: Duration) -> Result<(), String> {
        let ports: Vec<u16> = self.members.iter().map(|member| member.address().port()).collect();
        let begin =
            Document::default().with("replSetInitiate", configuration(&ports, Some(election_timeout)));
        self.ask_patiently(0, begin).await?;
        // Else its members would wait for a primary to fall silent before they elect their first. It is refused until
        // they have heard of the set.
        let elected = async {
            let step_up = Document::default().with("replSetStepUp", 1);
            while self.ask_patiently(0, step_up.clone()).await.is_err() && self.primary_now().await.is_none()
            {
                pause(BETWEEN_LOOKS).await;
            }
        };
        within(SETTLED_WITHIN, elected).await.ok_or("no member was elected")?;
        self.until_replicated().await
    }

    /// The members, in the order in which they are numbered.
    pub fn members(&self) -> &[Arc<Server>] {
        &self.members
    }

    /// Where to connect, as a URL that names every member.
    pub fn url(&self) -> String {
        let hosts: Vec<String> = self.members.iter().map(|member| member.address().to_string()).collect();
        format!("mongodb://{}/{NAME}?replicaSet={NAME}", hosts.join(","))
    }

    /// Where to connect to reach one member alone, whatever it is in the set.
    pub fn url_of(&self, member: usize) -> String {
        format!("mongodb://{}/{NAME}?directConnection=true", self.members[member].address())
    }

    /// The number of the member that accepts writes. If there is none, it waits for the election.
    ///
    /// # Errors
    ///
    /// No member was elected within a minute.
    pub async fn primary(&self) -> Result<usize, String> {
        let elected = async {
            loop {
                if let Some(primary) = self.primary_now().await {
                    return primary;
                }
                pause(BETWEEN_LOOKS).await;
            }
        };
        let none = || "wait for a primary: no member was elected".to_owned();
        within(SETTLED_WITHIN, elected).await.ok_or_else(none)
    }

    /// The number of the member that accepts writes at this moment, if one does.
    pub async fn primary_now(&self) -> Option<usize> {
        let mut asking = JoinSet::new();
        for (number, member) in self.members.iter().enumerate() {
            let address = member.address();
            asking.spawn(async move { term_of_primary(address).await.map(|term| (term, number)) });
        }
        // One that was replaced and has not noticed yet has an older term.
        asking.join_all().await.into_iter().flatten().max().map(|(_, number)| number)
    }

    /// Makes the primary hand over to another member in good order, and returns when that one accepts writes. Answers
    /// the new primary's number.
    ///
    /// # Errors
    ///
    /// No other member can take over.
    pub async fn step_down(&self) -> Result<usize, String> {
        let former = self.primary().await?;
        let step_down =
            Document::default().with("replSetStepDown", 30).with("secondaryCatchUpPeriodSecs", 10);
        self.ask_patiently(former, step_down).await?;
        let handed_over = async {
            loop {
                match self.primary_now().await {
                    Some(now) if now != former => return now,
                    _ => pause(BETWEEN_LOOKS).await,
                }
            }
        };
        let none = || "step down: no other member took over".to_owned();
        let primary = within(SETTLED_WITHIN, handed_over).await.ok_or_else(none)?;
        // It may be elected again, so that a test can go round.
        self.ask(former, Document::default().with("replSetFreeze", 0)).await?;
        Ok(primary)
    }

    /// Makes a secondary lag from now on: it answers, and fetches nothing of what the primary writes. Nor does it count
    /// for a majority.
    ///
    /// # Errors
    ///
    /// The member is down, or is the primary.
    pub async fn hold_replication(&self, member: usize) -> Result<(), String> {
        if self.primary_now().await == Some(member) {
            return Err(
                "hold the replication of a member: it is the primary, which copies from nobody".into()
            );
        }
        let times = self.switch(member, HOLD, "alwaysOn").await?.number("count").unwrap_or(0);
        // What it is fetching just now it still makes visible.
        let held = Document::default()
            .with("waitForFailPoint", HOLD)
            .with("timesEntered", times + 1)
            .with("maxTimeMS", LONG_PATIENCE_MILLIS);
        self.ask_patiently(member, held).await.map(drop)
    }

    /// Lets a secondary catch up. Returns at once: see [`until_replicated`](Self::until_replicated).
    ///
    /// # Errors
    ///
    /// The member is down.
    pub async fn release_replication(&self, member: usize) -> Result<(), String> {
        self.switch(member, HOLD, "off").await.map(drop)
    }

    /// Keeps a primary from giving way when it hears that it was replaced: it goes on to answer reads with what it knew.
    ///
    /// # Errors
    ///
    /// The member is down.
    pub async fn keep_from_stepping_down(&self, member: usize) -> Result<(), String> {
        self.switch(member, STAY, "alwaysOn").await.map(drop)
    }

    /// Lets it give way. Returns at once.
    ///
    /// # Errors
    ///
    /// The member is down.
    pub async fn let_step_down(&self, member: usize) -> Result<(), String> {
        self.switch(member, STAY, "off").await.map(drop)
    }

    /// Returns when every member has what the primary has at this moment.
    ///
    /// # Errors
    ///
    /// One of them did not within half a minute.
    pub async fn until_replicated(&self) -> Result<(), String> {
        let everywhere = Document::default()
            .with("w", i32::try_from(self.members.len()).unwrap_or(i32::MAX))
            .with("wtimeout", LONG_PATIENCE_MILLIS);
        let note = Document::default()
            .with("appendOplogNote", 1)
            .with("data", Document::default())
            .with("writeConcern", everywhere);
        let primary = self.primary().await?;
        let answer = self.ask_patiently(primary, note).await?;
        match answer.get("writeConcernError") {
            None => Ok(()),
            Some(_) => Err("wait for every member: one of them did not catch up".to_owned()),
        }
    }

    async fn switch(&self, member: usize, failpoint: &str, mode: &str) -> Result<Document, String> {
        let switch = Document::default().with("configureFailPoint", failpoint).with("mode", mode);
        self.ask(member, switch).await
    }

    async fn ask(&self, member: usize, command: Document) -> Result<Document, String> {
        talk::command(self.members[member].address(), PATIENCE, "admin", command).await
    }

    async fn ask_patiently(&self, member: usize, command: Document) -> Result<Document, String> {
        talk::command(self.members[member].address(), LONG_PATIENCE, "admin", command).await
    }
}

/// The term for which a member was elected, if it accepts writes.
async fn term_of_primary(address: SocketAddr) -> Option<i64> {
    let ask = |name: &str| talk::command(address, GLANCE, "admin", Document::default().with(name, 1));
    let hello = ask("hello").await.ok()?;
    if !hello.is_true("isWritablePrimary") {
        return None;
    }
    ask("replSetGetStatus").await.ok()?.number("term")
}

#[async_trait]
impl ServerControl for MongodbSet {
    async fn kill(&self) -> Result<(), String> {
        for member in &self.members {
            member.kill().await?;
        }
        Ok(())
    }

    /// Returns when there is a primary again.
    async fn restart(&self) -> Result<(), String> {
        self.kill().await?;
        for member in &self.members {
            member.restart().await?;
        }
        self.primary().await.map(drop)
    }

    async fn pause(&self) -> Result<(), String> {
        for member in &self.members {
            member.pause().await?;
        }
        Ok(())
    }

    async fn resume(&self) -> Result<(), String> {
        for member in &self.members {
            member.resume().await?;
        }
        Ok(())
    }
}
