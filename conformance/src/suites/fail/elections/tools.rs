//! What the cases on elections share: a set of their own, and two nodes on it.

use std::sync::Arc;
use std::time::Duration;

use holdover_api::{CheapReads, Freshness, Loaded, SaveAnswer, SessionKey, Stamp, Survives, Write, within};

use crate::case::{Applies, Ending, Scope};
use crate::drill::{Load, audit_above};
use crate::harness::{PrivateSet, SetControl};
use crate::suites::fail::tools::bench;
use crate::trial::{Subject, Trial};

/// Within this time every operation has to end: longer than the stores of a set wait for their servers to choose.
const BOUND: Duration = Duration::from_secs(30);

/// Sessions that nobody uses while the set is broken.
const UNTOUCHED: usize = 8;

/// For cases that break a set of their own.
pub(super) fn with_set(scope: &Scope) -> Applies {
    if !scope.sets {
        return Applies::No("no servers that choose their primary among themselves are below it");
    }
    if scope.capabilities.survives != Survives::NodeLoss {
        return Applies::No("it does not claim that what it acknowledges outlives one of its servers");
    }
    Applies::Yes
}

/// For cases on replicas that are read.
pub(super) fn with_replica_reads(scope: &Scope) -> Applies {
    match with_set(scope) {
        Applies::Yes if scope.capabilities.cheap_reads != CheapReads::Replica => {
            Applies::No("it reads no replicas, and says so")
        }
        applies => applies,
    }
}

/// A set of its own, and two application nodes on it.
pub(super) struct Set {
    pub(super) nodes: [Subject; 2],
    untouched: Vec<SessionKey>,
    private: PrivateSet,
}

impl Set {
    /// Starts it, with some sessions that every server has.
    pub(super) async fn start(trial: &Trial) -> Result<Self, Ending> {
        let private = match trial.harness().private_set().await {
            Some(Ok(private)) => private,
            Some(Err(why)) => return Err(Ending::Error(why)),
            None => return Err(Ending::Error("the harness starts no private set".into())),
        };
        let trial = trial.on(Arc::clone(&private.harness));
        let nodes = [trial.node().await?, trial.node().await?];
        let mut untouched = Vec::new();
        for node in nodes.iter().cycle().take(UNTOUCHED) {
            untouched.push(node.create(&[("user", b"ann")]).await?);
        }
        let set = Self { nodes, untouched, private };
        set.restore().await?;
        Ok(set)
    }

    pub(super) fn control(&self) -> &dyn SetControl {
        &*self.private.control
    }

    /// Clients on both nodes that no error may reach.
    pub(super) async fn load(&self) -> Result<Load, Ending> {
        Load::without_error(&self.nodes).await
    }

    /// Everybody is back, and has everything.
    pub(super) async fn restore(&self) -> Result<(), Ending> {
        bench(self.control().restore().await)
    }

    /// Everybody comes back under the load, which then ends; what it knows is compared with what is there.
    pub(super) async fn audit(&self, load: Load, more: usize) -> Result<(), Ending> {
        self.restore().await?;
        load.goes_on(more).await?;
        let ledger = load.end().await?;
        audit_above(&self.nodes, &ledger).await?;
        self.untouched_are_there().await
    }

    /// What nobody used is there on every node.
    pub(super) async fn untouched_are_there(&self) -> Result<(), Ending> {
        for node in &self.nodes {
            for key in &self.untouched {
                node.load_live(key).await?;
            }
        }
        Ok(())
    }
}

/// Waits for `work`, but no longer than any operation on a set may take.
pub(super) async fn bounded<T>(what: &str, work: impl Future<Output = T>) -> Result<T, Ending> {
    let ended = within(BOUND, work).await;
    ended.ok_or_else(|| Ending::Failed(format!("{what} had not ended after {} s", BOUND.as_secs())))
}

/// Saves what nothing stands against.
pub(super) async fn saved(node: &Subject, key: &SessionKey, write: &Write) -> Result<(), Ending> {
    match node.save(key, write).await? {
        SaveAnswer::Saved { .. } => Ok(()),
        answer => {
            Err(Ending::Failed(format!("a write that nothing stands against answered {answer:?} (I2)")))
        }
    }
}

/// Loads from any copy that has this write.
pub(super) async fn at_least(
    node: &Subject,
    key: &SessionKey,
    stamp: Stamp,
) -> Result<Option<Loaded>, Ending> {
    let loaded = node.store.load(key, Freshness::AtLeast(stamp)).await;
    loaded.map_err(|error| Ending::Failed(format!("load failed where it has to succeed: {error}")))
}
