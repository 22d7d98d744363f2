//! Many nodes: each session lives on one of them, or on two.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use holdover_api::{
    Capabilities, Clock, Error, ErrorKind, Freshness, InstallAnswer, Loaded, Operation, SaveAnswer,
    SessionKey, SessionStore, Standing, Stored, Timestamp, Write,
};
use serde::{Deserialize, Serialize};

use crate::failover::{Copies, Failover, FailoverCounts, FailoverSettings, Shared};
use crate::node::Node;

/// The most nodes that a ring may have.
pub const MOST_NODES: usize = 64;

/// A node of a [`Ring`].
#[derive(Clone, Debug)]
pub struct RingNode {
    /// By what the node is known: it decides which sessions live there, so it has to stay the same when the node moves to
    /// another address, and be the same for every application node.
    pub name: String,
    /// The node's store.
    pub store: Arc<dyn SessionStore>,
}

/// How a ring keeps sessions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RingSettings {
    /// On how many nodes each session lives: 1 or 2. By default 2.
    pub copies: u8,
    /// How the pairs work, if there are two.
    pub failover: FailoverSettings,
}

impl Default for RingSettings {
    fn default() -> Self {
        Self { copies: 2, failover: FailoverSettings::default() }
    }
}

/// Spreads sessions over nodes by rendezvous hashing: `ring(memcached, memcached, memcached)`.
///
/// Every application node computes the same place from the session's key and the names of the nodes; nothing is
/// remembered, and neither the cookie nor the id knows of nodes. When a node is added to n others, one session in n + 1
/// moves to it, and no other does; when one is removed, only its sessions move. (Thaler and Ravishankar, "Using name-based
/// mappings to increase hit rates", IEEE/ACM Transactions on Networking 6(1), 1998.)
///
/// With two copies the pair of a session is the two nodes that score highest, the higher one as the head (see
/// [`failover`](crate::failover)). Adding or removing *one* node at a time leaves each session at least one of its nodes,
/// from which the other is filled when the session is next looked at: nothing is lost, also while application nodes with
/// the old list and with the new one run side by side; only an extension of a session may be undone in that time, so that it
/// ends as early as if nobody had extended it, because a touch leaves no mark in a lineage. With one copy the sessions that move are lost to their users.
///
/// ```
/// use std::sync::Arc;
/// use holdover_api::{Clock, Memory, SystemClock};
/// use holdover_layers::ring::{Ring, RingNode, RingSettings};
///
/// let node = |name: &str| RingNode { name: name.to_owned(), store: Arc::new(Memory::new()) };
/// let clock: Arc<dyn Clock> = Arc::new(SystemClock);
/// let nodes = vec![node("a"), node("b"), node("c")];
/// let ring = Ring::new(nodes, &RingSettings::default(), &clock)?;
/// assert_eq!(ring.to_string(), "ring(memory, memory, memory)");
/// # Ok::<(), holdover_api::Error>(())
/// ```
#[derive(Debug)]
pub struct Ring {
    name: String,
    seeds: Vec<u64>,
    places: Places,
    shared: Arc<Shared>,
    capabilities: Capabilities,
}

#[derive(Debug)]
enum Places {
    /// A store for each node.
    Single(Vec<Arc<dyn SessionStore>>),
    /// A pair for each head and each tail, `head * nodes + tail`; nothing where both are the same node.
    Pairs(Vec<Option<Failover>>),
}

impl Ring {
    /// A ring of these nodes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Misconfigured`] for no nodes, more than [`MOST_NODES`], two of one name, more copies than nodes, or
    /// neither one nor two copies.
    pub fn new(nodes: Vec<RingNode>, settings: &RingSettings, clock: &Arc<dyn Clock>) -> Result<Self, Error> {
        check(&nodes, settings.copies)?;
        let stores: Vec<String> = nodes.iter().map(|node| node.store.to_string()).collect();
        let name = format!("ring({})", stores.join(", "));
        let seeds = nodes.iter().map(|node| seed(&node.name)).collect();
        let shared = Arc::new(Shared::new());
        let places = if settings.copies == 1 {
            Places::Single(nodes.into_iter().map(|node| node.store).collect())
        } else {
            Places::Pairs(pairs(nodes, &settings.failover, clock, &shared))
        };
        let capabilities = places.capabilities();
        Ok(Self { name, seeds, places, shared, capabilities })
    }

    /// Asks every node since when it has been up, as [`Failover::prepare`] does.
    ///
    /// # Errors
    ///
    /// Both nodes of a pair do not answer.
    pub async fn prepare(&self) -> Result<(), Error> {
        let Places::Pairs(pairs) = &self.places else {
            return Ok(());
        };
        let nodes = self.seeds.len();
        for head in 0..nodes {
            let tail = (head + 1) % nodes;
            if let Some(pair) = &pairs[head * nodes + tail] {
                pair.prepare().await?;
            }
        }
        Ok(())
    }

    /// What its pairs have noticed so far.
    pub fn counts(&self) -> FailoverCounts {
        self.shared.counts.snapshot()
    }

    /// A hand on what its pairs notice, to be kept where the ring itself goes under other layers.
    pub fn copies(&self) -> Copies {
        Copies::of(Arc::clone(&self.shared.counts))
    }

    /// The nodes that a session lives on, by their position in the list: the one that scores highest, and the next.
    pub fn nodes_of(&self, key: &SessionKey) -> (usize, Option<usize>) {
        let mut best = (0, 0);
        let mut next: Option<(u64, usize)> = None;
        for (index, seed) in self.seeds.iter().enumerate() {
            let score = score(*seed, key);
            if index == 0 {
                best = (score, index);
            } else if score > best.0 {
                next = Some(best);
                best = (score, index);
            } else if next.is_none_or(|(second, _)| score > second) {
                next = Some((score, index));
            }
        }
        (best.1, next.map(|(_, index)| index))
    }

    fn store_of(&self, key: &SessionKey) -> &dyn SessionStore {
        let (head, tail) = self.nodes_of(key);
        match &self.places {
            Places::Single(stores) => &*stores[head],
            Places::Pairs(pairs) => {
                let tail = tail.unwrap_or(head);
                let pair = pairs[head * self.seeds.len() + tail].as_ref();
                pair.expect("a ring of pairs has two nodes, and two nodes are a pair")
            }
        }
    }
}

fn check(nodes: &[RingNode], copies: u8) -> Result<(), Error> {
    let refuse = |message: String| {
        Err(Error::new(ErrorKind::Misconfigured, Operation::Connect, "ring", message).without_effect())
    };
    if nodes.is_empty() || nodes.len() > MOST_NODES {
        return refuse(format!("a ring has 1 to {MOST_NODES} nodes, and these are {}", nodes.len()));
    }
    if !(1..=2).contains(&copies) {
        return refuse("a session has 1 or 2 copies: set copies to one of them".to_owned());
    }
    if usize::from(copies) > nodes.len() {
        return refuse("two copies need two nodes: name another node, or set copies=1".to_owned());
    }
    let mut names: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
    names.sort_unstable();
    if names.windows(2).any(|pair| pair[0] == pair[1]) {
        return refuse("two nodes of the ring have the same name: each may be named once".to_owned());
    }
    Ok(())
}

fn pairs(
    nodes: Vec<RingNode>,
    settings: &FailoverSettings,
    clock: &Arc<dyn Clock>,
    shared: &Arc<Shared>,
) -> Vec<Option<Failover>> {
    let node = |node: RingNode| {
        Arc::new(Node::new(node.store, Arc::clone(clock), settings.patience(), Arc::clone(&shared.counts)))
    };
    let nodes: Vec<Arc<Node>> = nodes.into_iter().map(node).collect();
    let mut pairs = Vec::with_capacity(nodes.len() * nodes.len());
    for (head_index, head) in nodes.iter().enumerate() {
        for (tail_index, tail) in nodes.iter().enumerate() {
            let pair = || {
                let (head, tail) = (Arc::clone(head), Arc::clone(tail));
                Failover::of(head, tail, settings.clone(), Arc::clone(clock), Arc::clone(shared))
            };
            pairs.push((head_index != tail_index).then(pair));
        }
    }
    pairs
}

impl Places {
    /// What every place can do.
    fn capabilities(&self) -> Capabilities {
        let all: Vec<Capabilities> = match self {
            Self::Single(stores) => stores.iter().map(|store| store.capabilities()).collect(),
            Self::Pairs(pairs) => pairs.iter().flatten().map(SessionStore::capabilities).collect(),
        };
        let least = all.into_iter().reduce(crate::failover::least);
        least.expect("a ring has nodes, and a ring of pairs has two")
    }
}

/// FNV-1a: the same on every machine and in every version, which a ring depends on.
fn seed(name: &str) -> u64 {
    let mut hash = 0xCBF2_9CE4_8422_2325_u64;
    for byte in name.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
    }
    hash
}

/// How strongly a session is drawn to a node: both are well mixed already, the key being a SHA-256, and the last step is
/// the finalizer of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
fn score(seed: u64, key: &SessionKey) -> u64 {
    let (head, _) = key.as_bytes().split_first_chunk::<8>().expect("a key has 32 bytes");
    let mut mixed = (u64::from_le_bytes(*head) ^ seed.rotate_left(32)).wrapping_add(seed);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

impl fmt::Display for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl SessionStore for Ring {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    async fn load(&self, key: &SessionKey, freshness: Freshness) -> Result<Option<Loaded>, Error> {
        self.store_of(key).load(key, freshness).await
    }

    async fn save(&self, key: &SessionKey, write: &Write) -> Result<SaveAnswer, Error> {
        self.store_of(key).save(key, write).await
    }

    async fn touch(&self, key: &SessionKey, deadline: Timestamp) -> Result<bool, Error> {
        self.store_of(key).touch(key, deadline).await
    }

    async fn delete(&self, key: &SessionKey) -> Result<(), Error> {
        self.store_of(key).delete(key).await
    }

    async fn inspect(&self, key: &SessionKey) -> Result<Option<Stored>, Error> {
        self.store_of(key).inspect(key).await
    }

    async fn install(
        &self,
        key: &SessionKey,
        over: Option<Standing>,
        new: &Stored,
    ) -> Result<InstallAnswer, Error> {
        self.store_of(key).install(key, over, new).await
    }
}

#[cfg(test)]
mod tests {
    use holdover_api::{Memory, SystemClock};

    use super::*;

    fn ring(names: &[&str], copies: u8) -> Result<Ring, Error> {
        let node = |name: &&str| RingNode { name: (*name).to_owned(), store: Arc::new(Memory::new()) };
        let settings = RingSettings { copies, ..RingSettings::default() };
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        Ring::new(names.iter().map(node).collect(), &settings, &clock)
    }

    /// Keys as they come: digests, from a seed.
    fn keys(count: usize) -> impl Iterator<Item = SessionKey> {
        let mut random = fastrand::Rng::with_seed(42);
        (0..count).map(move |_| SessionKey::from_bytes(std::array::from_fn(|_| random.u8(..))))
    }

    #[test]
    fn a_new_node_takes_its_share_and_nothing_else_moves() {
        const KEYS: usize = 20_000;
        let names = ["a:1", "b:1", "c:1", "d:1", "e:1", "f:1", "g:1", "h:1", "i:1", "j:1"];
        for nodes in [1, 2, 3, 5, 9] {
            let (before, after) = (ring(&names[..nodes], 1).unwrap(), ring(&names[..=nodes], 1).unwrap());
            let moved: Vec<_> =
                keys(KEYS).map(|key| (before.nodes_of(&key).0, after.nodes_of(&key).0)).collect();
            let moved: Vec<_> = moved.into_iter().filter(|(old, new)| old != new).collect();
            assert!(moved.iter().all(|(_, new)| *new == nodes), "a session moved between old nodes");
            let expected = KEYS / (nodes + 1);
            let off = moved.len().abs_diff(expected);
            println!("{nodes} + 1 nodes: {} of {KEYS} moved, expected {expected}", moved.len());
            // Four standard deviations of a fair draw are below 1.5 % of the keys.
            assert!(off < KEYS / 60, "{} instead of {expected}", moved.len());
        }
    }

    #[test]
    fn one_node_more_or_less_leaves_every_session_a_copy() {
        let names = ["a:1", "b:1", "c:1", "d:1"];
        let (before, after) = (ring(&names[..3], 2).unwrap(), ring(&names, 2).unwrap());
        for key in keys(5_000) {
            let (head, tail) = before.nodes_of(&key);
            let (new_head, new_tail) = after.nodes_of(&key);
            let old = [Some(head), tail];
            assert!(old.contains(&Some(new_head)) || old.contains(&new_tail), "both copies moved");
        }
    }

    #[test]
    fn places_are_the_same_for_ever() {
        let ring = ring(&["a:11211", "b:11211", "c:11211"], 2).unwrap();
        let places =
            [1, 2, 3, 4, 5, 6, 7, 8].map(|number| ring.nodes_of(&SessionKey::from_bytes([number; 32])));
        assert_eq!(places, GOLDEN, "sessions would be looked for elsewhere after an upgrade");
    }

    /// Computed by a program of its own, from the description.
    const GOLDEN: [(usize, Option<usize>); 8] = [
        (1, Some(0)),
        (1, Some(0)),
        (2, Some(1)),
        (1, Some(2)),
        (0, Some(1)),
        (2, Some(0)),
        (2, Some(0)),
        (2, Some(1)),
    ];

    #[test]
    fn what_is_no_ring_is_refused() {
        for (names, copies) in
            [(&[][..], 1), (&["a"], 2), (&["a", "a"], 1), (&["a", "b"], 0), (&["a", "b"], 3)]
        {
            let error = ring(names, copies).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Misconfigured, "{names:?} {copies}");
        }
        assert!(ring(&["a"], 1).is_ok());
    }
}
