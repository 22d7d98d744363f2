//! A drill: servers of its own, a store that keeps copies on them, clients that never stop, faults, and an audit.
//!
//! Two application nodes reach every server through a proxy each, so that a fault may strike for one of them only. The
//! load's ledger knows what was acknowledged, what was sworn to have had no effect and what is uncertain; the audit
//! compares that with what every node reads and with what lies on every server, once everything is healed and settled.

mod audit;
mod ledger;
mod load;
mod nodes;

use std::sync::Arc;
use std::time::Duration;

use holdover_api::{Clock, SessionStore, SessionStoreExt, pause, within};

pub(crate) use audit::{audit, audit_above, findings, settle};
pub(crate) use ledger::{Fate, Finding, Kind, Ledger, Session};
pub(crate) use load::Load;
pub(crate) use nodes::AppNode;

use crate::case::Ending;
use crate::harness::{Copies, Node, Noticed, PrivateCluster};
use crate::proxy::Break;
use crate::trial::{Subject, Trial};

/// Within this time everything that was asked for has to happen: far more than is needed, for a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// How many application nodes there are.
const NODES: usize = 2;

/// A running cluster with its application nodes.
pub(crate) struct Drill {
    pub(crate) trial: Trial,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) nodes: Vec<AppNode>,
    pub(crate) copies: Copies,
    cluster: PrivateCluster,
    /// A plain store on each server.
    below: Vec<Arc<dyn SessionStore>>,
}

impl Drill {
    /// Two servers, two application nodes that know both, and the trial's clock.
    pub(crate) async fn pair(trial: &Trial) -> Result<Self, Ending> {
        let clock = Arc::clone(trial.clock()) as Arc<dyn Clock>;
        Self::open(trial, clock, 2, &[0, 1]).await
    }

    /// So many servers, of which the application nodes know those named.
    pub(crate) async fn open(
        trial: &Trial,
        clock: Arc<dyn Clock>,
        servers: usize,
        members: &[usize],
    ) -> Result<Self, Ending> {
        let harness = trial.harness();
        let cluster = match harness.private_cluster(servers).await {
            Some(Ok(cluster)) if cluster.servers.len() == servers => cluster,
            Some(Ok(_)) => return Err(Ending::Error("the cluster has another number of servers".into())),
            Some(Err(why)) => return Err(Ending::Error(why)),
            None => return Err(Ending::Error(format!("the harness starts no cluster of {servers}"))),
        };
        let mut below = Vec::new();
        for server in 0..servers {
            let place = trial.place().to_owned();
            let node = Node { place, clock: Arc::clone(&clock), via: None };
            let copy = cluster.stores.copy(server, node).await;
            below.push(copy.map_err(|error| Ending::Error(format!("open a copy: {error}")))?);
        }
        let copies = harness.copies();
        let mut drill = Self { trial: trial.clone(), clock, nodes: Vec::new(), copies, cluster, below };
        drill.seat(members).await?;
        Ok(drill)
    }

    async fn seat(&mut self, members: &[usize]) -> Result<(), Ending> {
        for _ in 0..NODES {
            let node = AppNode::open(&self.trial, &self.clock, &self.cluster, members).await?;
            self.nodes.push(node);
        }
        Ok(())
    }

    /// Opens one application node anew, over these servers, as a deployment of another configuration does.
    pub(crate) async fn deploy(&mut self, node: usize, members: &[usize]) -> Result<(), Ending> {
        self.nodes[node] = AppNode::open(&self.trial, &self.clock, &self.cluster, members).await?;
        Ok(())
    }

    /// The stores of all nodes.
    pub(crate) fn subjects(&self) -> Vec<Subject> {
        self.nodes.iter().map(|node| node.subject.clone()).collect()
    }

    /// The plain store on each server.
    pub(crate) fn below(&self) -> &[Arc<dyn SessionStore>] {
        &self.below
    }

    /// Ends a server at once; what it held is lost.
    pub(crate) async fn kill(&self, server: usize) -> Result<(), Ending> {
        self.cluster.servers[server].control.kill().await.map_err(Ending::Error)
    }

    /// Starts a server again, empty.
    pub(crate) async fn restart(&self, server: usize) -> Result<(), Ending> {
        self.cluster.servers[server].control.restart().await.map_err(Ending::Error)
    }

    /// Freezes a server: it accepts connections and answers nothing.
    pub(crate) async fn pause(&self, server: usize) -> Result<(), Ending> {
        self.cluster.servers[server].control.pause().await.map_err(Ending::Error)
    }

    /// Lets it go on, with what it held and with what waits before it.
    pub(crate) async fn resume(&self, server: usize) -> Result<(), Ending> {
        self.cluster.servers[server].control.resume().await.map_err(Ending::Error)
    }

    /// Cuts a server off from every application node: connections are reset, new ones refused.
    pub(crate) async fn cut(&self, server: usize) -> Result<(), Ending> {
        for node in 0..self.nodes.len() {
            self.cut_from(node, server).await?;
        }
        Ok(())
    }

    /// Cuts a server off from one application node.
    pub(crate) async fn cut_from(&self, node: usize, server: usize) -> Result<(), Ending> {
        let link = self.nodes[node].link(server);
        let cut = async {
            link.refuse().await;
            link.break_connections(Break::Reset).await;
        };
        within(PATIENCE, cut).await.ok_or_else(|| Ending::Error("a proxy does not close its port".into()))
    }

    /// Ends every fault of every link.
    pub(crate) async fn heal(&self) -> Result<(), Ending> {
        let healed = async {
            for link in self.nodes.iter().flat_map(AppNode::links) {
                link.heal().await;
            }
        };
        within(PATIENCE, healed).await.ok_or_else(|| Ending::Error("a proxy does not open its port".into()))
    }

    /// Waits until every node asks these servers again.
    pub(crate) async fn rejoined(&self, servers: &[usize]) -> Result<(), Ending> {
        self.asked_again(|server| servers.contains(&server)).await
    }

    /// Waits until every node asks every server that it knows: as long as one does not, a further fault is a second one.
    async fn whole(&self) -> Result<(), Ending> {
        self.asked_again(|_| true).await
    }

    /// Two lookups in a row reach a server, of which one may be a probe.
    async fn asked_again(&self, wanted: impl Fn(usize) -> bool) -> Result<(), Ending> {
        let all = async {
            for node in &self.nodes {
                for (_, link) in node.links.iter().filter(|(server, _)| wanted(*server)) {
                    let mut reached = 0;
                    while reached < 2 {
                        let before = link.counts().requests;
                        let _ = node.subject.store.load_latest(&self.trial.key()).await;
                        if link.counts().requests > before {
                            reached += 1;
                            continue;
                        }
                        reached = 0;
                        pause(BETWEEN_LOOKS).await;
                    }
                }
            }
        };
        let told = "a server is back, and a node does not ask it again";
        within(PATIENCE, all).await.ok_or_else(|| Ending::Failed(told.into()))
    }

    /// What the nodes have noticed together.
    pub(crate) fn noticed(&self) -> Noticed {
        let mut sum = Noticed::default();
        for noticed in self.nodes.iter().map(AppNode::noticed) {
            sum.failovers += noticed.failovers;
            sum.repairs += noticed.repairs;
            sum.divergences += noticed.divergences;
            sum.losses += noticed.losses;
            sum.half_copies += noticed.half_copies;
        }
        sum
    }
}
