//! The stores under examination, sound or with one ingredient taken away.

use std::sync::Arc;
use std::time::Duration;

use holdover_api::{Clock, SessionStore};
use holdover_conformance::{Noticed, Seated};
use holdover_layers::failover::{Backup, Failover, FailoverCounts, FailoverSettings};
use holdover_layers::ring::{Ring, RingNode, RingSettings};

/// What a store is made over: plain stores, each with the number of its server.
pub(crate) type Members = Vec<(usize, Arc<dyn SessionStore>)>;

/// Settings for small servers on a busy machine: a node is given up late and looked at again soon.
pub(crate) fn settings() -> FailoverSettings {
    let (node_timeout, limit) = (Duration::from_millis(300), Duration::from_secs(5));
    FailoverSettings { node_timeout, limit, ..FailoverSettings::default() }
}

/// A pair.
pub(crate) fn pair(members: Members, clock: Arc<dyn Clock>, settings: FailoverSettings) -> Seated {
    let mut stores = members.into_iter().map(|(_, store)| store);
    let (Some(head), Some(tail)) = (stores.next(), stores.next()) else {
        panic!("a pair is made over two servers");
    };
    let pair = Failover::new(head, tail, settings, clock);
    let counted = pair.clone();
    Seated { store: Arc::new(pair), noticed: Arc::new(move || noticed(counted.counts())) }
}

/// A pair that answers before the backup is written.
pub(crate) fn backed_up_later(members: Members, clock: Arc<dyn Clock>) -> Seated {
    pair(members, clock, FailoverSettings { backup: Backup::After, ..settings() })
}

/// A ring of as many nodes as there are.
pub(crate) fn ring(members: Members, clock: &Arc<dyn Clock>, settings: &RingSettings) -> Seated {
    let node = |(server, store): (usize, _)| RingNode { name: format!("server-{server}"), store };
    let nodes = members.into_iter().map(node).collect();
    let ring = Arc::new(Ring::new(nodes, settings, clock).expect("the names differ"));
    let counted = Arc::clone(&ring);
    Seated { store: ring, noticed: Arc::new(move || noticed(counted.counts())) }
}

fn noticed(counts: FailoverCounts) -> Noticed {
    Noticed {
        failovers: counts.failovers,
        repairs: counts.repairs,
        divergences: counts.divergences,
        losses: counts.losses,
        half_copies: counts.half_copies,
    }
}
