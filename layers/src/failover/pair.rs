//! Runs the chain on two nodes: the I/O of an operation, step by step.

use std::sync::Arc;

use holdover_api::{
    Clock, Error, ErrorKind, InstallAnswer, Operation, SessionKey, Standing, Stored, Timestamp,
};

use super::chain::{Backlog, Chain};
use super::counts::Counts;
use super::protocol::{Answer, Ask, Conduct, Outcome, Place, Seen, Sight, Step};
use super::run::Run;
use super::settings::{Backup, FailoverSettings};
use super::shared::{Shared, Turn};
use crate::node::{Miss, Node};

/// Two nodes and how they are worked with.
#[derive(Debug)]
pub(crate) struct Pair {
    name: String,
    head: Arc<Node>,
    tail: Arc<Node>,
    settings: FailoverSettings,
    clock: Arc<dyn Clock>,
    shared: Arc<Shared>,
    max_bytes: usize,
}

/// How an operation ended, and what it saw on the way.
pub(crate) struct Ended {
    pub(crate) answer: Answer,
    pub(crate) chain: Chain,
}

impl Pair {
    pub(crate) fn new(
        head: Arc<Node>,
        tail: Arc<Node>,
        settings: FailoverSettings,
        clock: Arc<dyn Clock>,
        shared: Arc<Shared>,
    ) -> Self {
        let name = format!("failover({}, {})", head.store(), tail.store());
        let max_bytes = head.store().capabilities().max_bytes.min(tail.store().capabilities().max_bytes);
        Self { name, head, tail, settings, clock, shared, max_bytes }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(super) const fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    pub(crate) const fn settings(&self) -> &FailoverSettings {
        &self.settings
    }

    pub(crate) const fn node(&self, place: Place) -> &Arc<Node> {
        match place {
            Place::Head => &self.head,
            Place::Tail => &self.tail,
        }
    }

    pub(crate) fn counts(&self) -> &Arc<Counts> {
        &self.shared.counts
    }

    /// Whether a head that is one write ahead of the tail may be a write under way that will be over in a moment.
    pub(super) fn waits_for_writers(&self) -> bool {
        self.settings.backup == Backup::Before && self.head.is_steady() && self.tail.is_steady()
    }

    /// What both nodes are taken to show before they are asked; nothing if one of them is given up, so that it is better
    /// to ask.
    pub(crate) fn assume(&self, seen: &Seen) -> Option<Sight> {
        let both_up = self.head.is_up() && self.tail.is_up();
        both_up.then(|| Sight { head: seen.clone(), tail: seen.clone() })
    }

    /// Runs an operation to its end. `assumed` is what both nodes are taken to show at first; they are only asked if a
    /// write on that is refused, or if it leads to anything but a write.
    pub(crate) async fn run(
        self: &Arc<Self>,
        operation: Operation,
        key: &SessionKey,
        ask: Ask,
        assumed: Option<Sight>,
    ) -> Result<Ended, Error> {
        let conduct = self.conduct(self.settings.backup);
        let mut run = Run::new(self, operation, key);
        let turn = run.turn().await?;
        let (mut chain, first) = self.begin(ask, conduct, assumed);
        let answer = run.go(&mut chain, first).await?;
        self.count(operation, &chain, run.wrote());
        if chain.half() && run.wrote() && !self.settings.half_copies {
            let message = "only one of two nodes holds it, and the settings ask for both";
            return Err(Error::new(ErrorKind::Unavailable, operation, self.name.clone(), message));
        }
        if let Some(backlog) = chain.take_backlog() {
            self.follow_up(*key, backlog, turn).await;
        }
        Ok(Ended { answer, chain })
    }

    fn begin(&self, ask: Ask, conduct: Conduct, assumed: Option<Sight>) -> (Chain, Step) {
        if let Some(sight) = assumed {
            let mut chain = Chain::new(ask.clone(), conduct);
            let step = chain.seen(self.clock.now(), sight);
            if matches!(step, Step::Install { repair: false, .. }) {
                return (chain, step);
            }
        }
        (Chain::new(ask, conduct), Step::Read)
    }

    fn conduct(&self, backup: Backup) -> Conduct {
        Conduct {
            answers_before_tail: backup == Backup::After,
            head_commits: self.settings.backup == Backup::After,
            bury_until: self.clock.now() + self.settings.max_lease + self.settings.max_skew,
            rules: self.settings.rules,
        }
    }

    /// Whether a node that was born then can still lack a session that is alive.
    pub(super) fn is_complete(&self, birth: Timestamp) -> bool {
        birth + self.settings.max_lease + self.settings.max_skew <= self.clock.now()
    }

    fn count(&self, operation: Operation, chain: &Chain, wrote: bool) {
        if chain.diverged() {
            self.counts().diverged(&self.name);
            tracing::warn!(store = %self.name, "two copies each held a write that the other lacked; one was given up");
        }
        if !chain.reached_head() {
            self.counts().failed_over(&self.name, operation);
        }
        if chain.half() && wrote {
            self.counts().half_copy(&self.name, operation);
        }
    }

    /// Gives the tail what it lacks, behind the answer while there is room for that.
    ///
    /// A writer hands its turn on, so that what it left to do is done before the next write of this application node to
    /// that session. What a reader found may be old by then: whoever has the turn looks again.
    async fn follow_up(self: &Arc<Self>, key: SessionKey, backlog: Backlog, turn: Option<Turn>) {
        let pair = Arc::clone(self);
        let work = async move {
            let (turn, backlog) = match turn {
                Some(turn) => (turn, Some(backlog)),
                None => (pair.shared.turn(&key).await, None),
            };
            pair.catch_up(&key, backlog).await;
            drop(turn);
        };
        match self.shared.room_behind_the_answer() {
            Some(room) => {
                tokio::spawn(async move {
                    work.await;
                    drop(room);
                });
            }
            None => work.await,
        }
    }

    async fn catch_up(&self, key: &SessionKey, backlog: Option<Backlog>) {
        if let Some((over, new)) = backlog
            && matches!(self.install(Place::Tail, key, over, &new).await, Ok(Outcome::Installed))
        {
            return;
        }
        // Another writer's follow-up came first, or the tail has lost something: whoever looks makes them equal.
        let mut chain = Chain::new(Ask::Inspect, self.conduct(Backup::Before));
        let mut run = Run::new(self, Operation::Inspect, key);
        if let Err(error) = run.go(&mut chain, Step::Read).await {
            tracing::debug!(store = %self.name, error = %error, "a backup could not be written behind its answer");
        }
        self.count(Operation::Inspect, &chain, false);
    }

    pub(super) async fn install(
        &self,
        place: Place,
        key: &SessionKey,
        over: Option<Standing>,
        new: &Stored,
    ) -> Result<Outcome, Miss> {
        let node = self.node(place);
        match node.call(node.store().install(key, over, new)).await {
            Ok(InstallAnswer::Installed) => Ok(Outcome::Installed),
            Ok(InstallAnswer::Refused { stored }) => Ok(Outcome::Refused(stored.map(Arc::new))),
            Err(Miss::Unreachable) => Ok(Outcome::Unreachable),
            Err(failed) => Err(failed),
        }
    }

    pub(super) async fn show(
        &self,
        place: Place,
        operation: Operation,
        key: &SessionKey,
    ) -> Result<Seen, Miss> {
        let node = self.node(place);
        let seen = match node.call(node.store().inspect(key)).await {
            Ok(Some(stored)) => Seen::Copy(Arc::new(stored)),
            Ok(None) => Seen::Nothing,
            Err(Miss::Unreachable) => Seen::Unreachable,
            Err(Miss::Failed(error))
                if operation == Operation::Delete && error.kind() == ErrorKind::Corrupt =>
            {
                // What cannot be read can still be destroyed.
                match node.call(node.store().delete(key)).await {
                    Ok(()) => Seen::Nothing,
                    Err(Miss::Unreachable) => Seen::Unreachable,
                    Err(failed) => return Err(failed),
                }
            }
            Err(failed) => return Err(failed),
        };
        Ok(seen)
    }
}
