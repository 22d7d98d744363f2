//! Two copies of every session, on two stores: a primary and a backup for stores that have none.
//!
//! **What it tolerates: one fault a session between two accesses.** One node may crash and come back empty, hang, come
//! back with old data, or be cut off from any of the application nodes: no write that was acknowledged is lost (I2), no
//! session comes back after a logout (I1), and every live session is found (I5). Two faults before anybody has looked at
//! the session (both nodes restarted; the head cut off, then the tail) can lose writes. Where that can be seen it is
//! counted ([`FailoverCounts`]) and logged; more needs three nodes and a majority. An application node that dies in the
//! middle of an operation counts as a fault of the sessions it was working on.
//!
//! The first store is the *head*, the second the *tail*. A read asks both at once. A write goes to the head, then to the
//! tail, each time on the condition that exactly what was read is still there. Copies that differ are made equal before
//! anything is answered. A logout leaves a tombstone. A node that has been restarted less than a lease ago is not believed
//! when it says that a session is not there. The protocol and its proofs: [`Chain`], and the model in `layers/tests/model`.
//!
//! # Where it differs from a store with one copy
//!
//! - After a delete a create under the same key is refused, for `max_lease` (S5). Ids are drawn anew, so nobody meets it.
//! - While the head cannot be reached, a touch is kept as a write without changes: the tail's lineage grows by it, and a
//!   compare-and-set on the head before may be refused without need (S13). Otherwise a writer between head and tail would
//!   undo it unseen.
//! - A write that moves the deadline back needs both nodes, or is unavailable: the other copy would outlive it.
//! - An operation that eight other writes have overtaken while it was on its way (four, where the head could not be reached)
//!   ends as unavailable with unknown effect.
//! - So does a touch that was on its way, and that a write to the tail alone has overtaken. The next one extends the session.
//! - A touch that is on its way when the head loses its memory, beside a write of another application node, may be lost
//!   though it was answered: the session then ends when that write says. Touches leave no mark that would be missed (S13).
//! - A node that comes back with *most* of its memory, such as a Redis that has lost its last second, is believed when it
//!   says that a session is not there while the other node cannot be reached: two faults again.
//! - A tombstone that somebody installs, as the renewal of an id does, stands for as long as they say.
//!
//! # What it costs
//!
//! | request, both nodes up | calls | round trips |
//! |---|---|---|
//! | read | 2 | 1 |
//! | read, then write | 4 | 3 |
//! | create | 2 | 2 |
//! | logout | 4 | 3 |
//!
//! A *call* is one operation of a node's store: one exchange for Redis, and for Memcached, whose store remembers the
//! compare token of what it has just read.

mod chain;
mod counts;
mod pair;
mod plan;
mod protocol;
mod run;
mod settings;
mod shared;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use holdover_api::{
    Attributes, Capabilities, CheapReads, Clock, Error, ErrorKind, Expiry, Freshness, InstallAnswer, Lineage,
    Loaded, On, Operation, OsEntropy, Record, SaveAnswer, SessionKey, SessionStore, Stamp, Standing, Stored,
    Survives, Timestamp, Token, Write, Writes,
};

pub use chain::{Backlog, Chain};
pub(crate) use counts::Counts;
pub use counts::{Copies, FailoverCounts};
pub(crate) use pair::{Ended, Pair};
pub use protocol::{Answer, Ask, Conduct, Outcome, Place, Rules, Seen, Sight, Step};
pub use settings::{Backup, FailoverSettings};
pub(crate) use shared::Shared;

pub use crate::node::NODE_BIRTH;
use crate::node::{Miss, Node};

/// Two stores as one that keeps each session on both: `failover(memcached, memcached)`.
///
/// See the [module](self) for what it tolerates and what it costs. Application nodes have to name the two stores in the
/// same order. The cookie and the id know nothing of nodes.
///
/// ```
/// use std::sync::Arc;
/// use holdover_api::{Memory, SystemClock};
/// use holdover_layers::failover::{Failover, FailoverSettings};
///
/// let (head, tail) = (Arc::new(Memory::new()), Arc::new(Memory::new()));
/// let pair = Failover::new(head, tail, FailoverSettings::default(), Arc::new(SystemClock));
/// assert_eq!(pair.to_string(), "failover(memory, memory)");
/// assert_eq!(pair.counts().repairs, 0);
/// ```
#[derive(Clone, Debug)]
pub struct Failover {
    pair: Arc<Pair>,
}

/// The note on a record that both nodes held when it was loaded.
struct Base {
    record: Arc<Record>,
    /// Which pair has noted it.
    pair: usize,
}

impl Failover {
    /// A pair of a head, which is written first, and a tail.
    pub fn new(
        head: Arc<dyn SessionStore>,
        tail: Arc<dyn SessionStore>,
        settings: FailoverSettings,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let shared = Arc::new(Shared::new());
        let node = |store| {
            Arc::new(Node::new(store, Arc::clone(&clock), settings.patience(), Arc::clone(&shared.counts)))
        };
        let (head, tail) = (node(head), node(tail));
        Self::of(head, tail, settings, clock, shared)
    }

    pub(crate) fn of(
        head: Arc<Node>,
        tail: Arc<Node>,
        settings: FailoverSettings,
        clock: Arc<dyn Clock>,
        shared: Arc<Shared>,
    ) -> Self {
        Self { pair: Arc::new(Pair::new(head, tail, settings, clock, shared)) }
    }

    /// Asks both nodes since when they have been up, so that it is known from now on. Optional; without it a node's life
    /// begins when it is first asked, and while the other cannot be reached it is not believed for a lease from then.
    ///
    /// # Errors
    ///
    /// Neither node answers.
    pub async fn prepare(&self) -> Result<(), Error> {
        let (head, tail) = tokio::join!(
            self.pair.node(Place::Head).recent_birth(),
            self.pair.node(Place::Tail).recent_birth()
        );
        match (head, tail) {
            (Err(Miss::Failed(error)), _) | (_, Err(Miss::Failed(error))) => Err(error),
            (Err(Miss::Unreachable), Err(Miss::Unreachable)) => {
                let message = "neither node answers; check their addresses and that they run";
                let store = self.pair.name().to_owned();
                Err(Error::new(ErrorKind::Unavailable, Operation::Connect, store, message).without_effect())
            }
            _ => Ok(()),
        }
    }

    /// What has been noticed so far.
    pub fn counts(&self) -> FailoverCounts {
        self.pair.counts().snapshot()
    }

    /// A hand on what is noticed, to be kept where the pair itself goes under other layers.
    pub fn copies(&self) -> Copies {
        Copies::of(Arc::clone(self.pair.counts()))
    }

    async fn run(
        &self,
        operation: Operation,
        key: &SessionKey,
        ask: Ask,
        assumed: Option<Sight>,
    ) -> Result<Ended, Error> {
        self.pair.run(operation, key, ask, assumed).await
    }

    /// Which pair this is: tokens of another are not its own.
    fn identity(&self) -> usize {
        Arc::as_ptr(&self.pair).addr()
    }

    fn loaded(&self, stored: Arc<Stored>, whole: bool) -> Option<Loaded> {
        let stored = Arc::try_unwrap(stored).unwrap_or_else(|shared| Stored::clone(&shared));
        let Stored::Record(record) = stored else {
            return None;
        };
        let record = Arc::new(record);
        let base = || Token::new(Base { record: Arc::clone(&record), pair: self.identity() });
        let token = whole.then(base);
        Some(Loaded { record, token })
    }

    /// What the nodes are taken to show, from what the write brings along: it saves asking them.
    fn assumed(&self, write: &Write) -> Option<Sight> {
        if matches!(write.on, On::Absent { .. }) {
            return self.pair.assume(&Seen::Nothing);
        }
        let base: &Base = write.base.as_ref()?.token.as_ref()?.get()?;
        if base.pair != self.identity() {
            return None;
        }
        self.pair.assume(&Seen::Copy(Arc::new(Stored::Record(Record::clone(&base.record)))))
    }

    fn stamp(&self, operation: Operation) -> Result<Stamp, Error> {
        Stamp::draw(&OsEntropy).map_err(|error| {
            let message = "no stamp could be drawn";
            Error::new(ErrorKind::Unexpected, operation, self.pair.name().to_owned(), message)
                .without_effect()
                .caused_by(error)
        })
    }

    fn broken(&self, operation: Operation) -> Error {
        let message = "the protocol ended in an answer to another question: a defect, please report it";
        Error::new(ErrorKind::Unexpected, operation, self.pair.name().to_owned(), message)
    }
}

impl fmt::Display for Failover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.pair.name())
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl SessionStore for Failover {
    fn capabilities(&self) -> Capabilities {
        let of = |place| self.pair.node(place).store().capabilities();
        let least = least(of(Place::Head), of(Place::Tail));
        let survives = match self.pair.settings().backup {
            Backup::Before => Survives::NodeLoss,
            Backup::After => least.survives,
        };
        Capabilities { writes: Writes::WholeRecord, cheap_reads: CheapReads::None, survives, ..least }
    }

    async fn load(&self, key: &SessionKey, _freshness: Freshness) -> Result<Option<Loaded>, Error> {
        let Ended { answer, chain } = self.run(Operation::Load, key, Ask::Load, None).await?;
        // Dropped first, so that the record need not be copied.
        drop(chain);
        match answer {
            Answer::Found(found, whole) => Ok(found.and_then(|stored| self.loaded(stored, whole))),
            _ => Err(self.broken(Operation::Load)),
        }
    }

    async fn save(&self, key: &SessionKey, write: &Write) -> Result<SaveAnswer, Error> {
        let ask = Ask::Save(Arc::new(Write { base: None, ..write.clone() }));
        let ended = self.run(Operation::Save, key, ask, self.assumed(write)).await?;
        match ended.answer {
            Answer::Saved(previous) => Ok(SaveAnswer::Saved { previous }),
            Answer::Conflict(current) => {
                let current = current.and_then(|stored| self.loaded(stored, ended.chain.is_settled()));
                Ok(SaveAnswer::Conflict { current })
            }
            Answer::Gone => Ok(SaveAnswer::Gone),
            _ => Err(self.broken(Operation::Save)),
        }
    }

    async fn touch(&self, key: &SessionKey, deadline: Timestamp) -> Result<bool, Error> {
        let stamp = self.stamp(Operation::Touch)?;
        let ended = self.run(Operation::Touch, key, Ask::Touch(deadline, stamp), None).await?;
        match ended.answer {
            Answer::Touched(touched) => Ok(touched),
            _ => Err(self.broken(Operation::Touch)),
        }
    }

    async fn delete(&self, key: &SessionKey) -> Result<(), Error> {
        let stamp = self.stamp(Operation::Delete)?;
        let ended = self.run(Operation::Delete, key, Ask::Delete(stamp), None).await?;
        match ended.answer {
            Answer::Deleted => Ok(()),
            _ => Err(self.broken(Operation::Delete)),
        }
    }

    async fn inspect(&self, key: &SessionKey) -> Result<Option<Stored>, Error> {
        let Ended { answer, chain } = self.run(Operation::Inspect, key, Ask::Inspect, None).await?;
        drop(chain);
        match answer {
            Answer::Found(found, _) => {
                Ok(found
                    .map(|stored| Arc::try_unwrap(stored).unwrap_or_else(|shared| Stored::clone(&shared))))
            }
            _ => Err(self.broken(Operation::Inspect)),
        }
    }

    async fn install(
        &self,
        key: &SessionKey,
        over: Option<Standing>,
        new: &Stored,
    ) -> Result<InstallAnswer, Error> {
        let assumed = self.pair.assume(&over.map_or(Seen::Nothing, stands_at));
        let ask = Ask::Install(over, Arc::new(new.clone()));
        let ended = self.run(Operation::Install, key, ask, assumed).await?;
        match ended.answer {
            Answer::Installed => Ok(InstallAnswer::Installed),
            Answer::Refused(stored) => {
                let stored = stored.map(|stored| Stored::clone(&stored));
                Ok(InstallAnswer::Refused { stored })
            }
            _ => Err(self.broken(Operation::Install)),
        }
    }
}

/// A copy that stands there, content unknown: an installation looks at nothing else, and the nodes compare it.
fn stands_at(over: Standing) -> Seen {
    let record = Record {
        attributes: Attributes::new(),
        lineage: Lineage::new(over.head),
        created: Timestamp::default(),
        deadline: over.deadline,
    };
    Seen::Copy(Arc::new(Stored::Record(record)))
}

/// What both can do.
pub(crate) fn least(one: Capabilities, other: Capabilities) -> Capabilities {
    let expiry = match (one.expiry, other.expiry) {
        (Expiry::Native { max_lag: one }, Expiry::Native { max_lag: other }) => {
            Expiry::Native { max_lag: one.max(other) }
        }
        _ => Expiry::OnDemand,
    };
    let writes = if one.writes == other.writes { one.writes } else { Writes::WholeRecord };
    let cheap_reads = if one.cheap_reads == other.cheap_reads { one.cheap_reads } else { CheapReads::None };
    Capabilities {
        writes,
        expiry,
        cheap_reads,
        survives: one.survives.min(other.survives),
        shared: one.shared && other.shared,
        max_bytes: one.max_bytes.min(other.max_bytes),
    }
}
