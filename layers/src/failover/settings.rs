//! The settings of a pair.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::protocol::Rules;
use crate::duration;
use crate::node::Patience;

/// When the backup is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backup {
    /// Before the answer: the loss of one node loses nothing that was acknowledged.
    #[default]
    Before,
    /// After the answer, in the background: a write waits for one node. What was acknowledged a moment before the head is
    /// lost may be lost with it; and while application nodes do not agree on which of the two can be reached, also after
    /// its return, what one of them acknowledges another may give up. Both are counted as divergences where they are met.
    After,
}

/// How a pair of nodes works. The defaults are for servers in one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FailoverSettings {
    /// When the backup is written. By default before the answer.
    pub backup: Backup,
    /// Whether a write is acknowledged while only one node can be reached. By default it is, and counted; else it fails
    /// as unavailable, and nothing that is acknowledged has ever fewer than two copies.
    pub half_copies: bool,
    /// The longest that one call to a node may take, after which the node is given up for a while. By default 250 ms.
    #[serde(with = "duration::positive")]
    pub node_timeout: Duration,
    /// The longest that an operation may take, rounds against other writers included. By default 900 ms: below the call
    /// time-out of a [`SessionPolicy`](holdover_api::SessionPolicy).
    #[serde(with = "duration::positive")]
    pub limit: Duration,
    /// The longest time from a write or a touch to the deadline that it sets: by default 24 h, the absolute time-out of a
    /// [`SessionPolicy`](holdover_api::SessionPolicy). Tombstones stand for so long, and a node that has been up for less
    /// cannot say that a session is not there. Sessions with longer leases need a longer one here.
    #[serde(with = "duration::positive")]
    pub max_lease: Duration,
    /// How far the clocks of application nodes may be apart. By default 5 s.
    #[serde(with = "duration")]
    pub max_skew: Duration,
    /// The pause before a node that was given up is probed; doubled each time that fails. By default 100 ms.
    #[serde(with = "duration::positive")]
    pub first_pause: Duration,
    /// No pause before a probe is longer. By default 2 s.
    #[serde(with = "duration::positive")]
    pub max_pause: Duration,
    /// For tests that take an ingredient of the protocol away.
    #[doc(hidden)]
    #[serde(skip)]
    pub rules: Rules,
}

impl Default for FailoverSettings {
    fn default() -> Self {
        Self {
            backup: Backup::Before,
            half_copies: true,
            node_timeout: Duration::from_millis(250),
            limit: Duration::from_millis(900),
            max_lease: Duration::from_secs(24 * 60 * 60),
            max_skew: Duration::from_secs(5),
            first_pause: Duration::from_millis(100),
            max_pause: Duration::from_secs(2),
            rules: Rules::ALL,
        }
    }
}

impl FailoverSettings {
    pub(crate) const fn patience(&self) -> Patience {
        Patience { limit: self.node_timeout, first_pause: self.first_pause, max_pause: self.max_pause }
    }
}
