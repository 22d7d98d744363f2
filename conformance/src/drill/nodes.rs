//! An application node of a drill.

use std::sync::Arc;

use holdover_api::Clock;

use crate::case::Ending;
use crate::harness::{Noticed, PrivateCluster, Seat, Seated};
use crate::proxy::Proxy;
use crate::trial::{Subject, Trial};

/// One application node: its store, and its own ways to the servers.
pub(crate) struct AppNode {
    pub(crate) subject: Subject,
    seated: Seated,
    /// The servers that it knows, each with the proxy that stands between.
    pub(super) links: Vec<(usize, Proxy)>,
}

impl AppNode {
    pub(super) async fn open(
        trial: &Trial,
        clock: &Arc<dyn Clock>,
        cluster: &PrivateCluster,
        members: &[usize],
    ) -> Result<Self, Ending> {
        let mut links = Vec::new();
        for member in members {
            let link = Proxy::start(cluster.servers[*member].address).await;
            links.push((*member, link.map_err(|error| Ending::Error(format!("start a proxy: {error}")))?));
        }
        let members = links.iter().map(|(member, link)| (*member, link.address())).collect();
        let seat = Seat { place: trial.place().to_owned(), clock: Arc::clone(clock), members };
        let seated = cluster.stores.open(seat).await;
        let seated = seated.map_err(|error| Ending::Error(format!("open: {error}")))?;
        let subject = trial.subject(Arc::clone(&seated.store), Arc::clone(clock));
        Ok(Self { subject, seated, links })
    }

    /// The way to a server that this node knows.
    pub(crate) fn link(&self, server: usize) -> &Proxy {
        let known = self.links.iter().find(|(member, _)| *member == server);
        &known.unwrap_or(&self.links[0]).1
    }

    /// Every way.
    pub(crate) fn links(&self) -> impl Iterator<Item = &Proxy> {
        self.links.iter().map(|(_, link)| link)
    }

    /// What its store has noticed.
    pub(crate) fn noticed(&self) -> Noticed {
        (self.seated.noticed)()
    }
}
