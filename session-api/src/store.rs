//! The contract between sessions and whatever keeps them.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use crate::capabilities::Capabilities;
use crate::clock::Timestamp;
use crate::error::Error;
use crate::id::SessionKey;
use crate::record::{Standing, Stored};
use crate::stamp::Stamp;
use crate::write::{Loaded, Write};

/// How new the answer of a load has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// S2: it sees every acknowledged write of anybody.
    Latest,
    /// S3: any copy whose lineage holds this stamp will do; without one, as `Latest`.
    AtLeast(Stamp),
    /// I7: a copy that was the latest at most so long ago will do, unless this handle's own answers have shown that it
    /// is outdated; without one, as `Latest`.
    Within(Duration),
}

/// The answer to a save.
#[derive(Clone, Debug)]
pub enum SaveAnswer {
    /// The write has taken effect, now or in an earlier attempt.
    Saved {
        /// The head that it replaced, if there was one and it is still known.
        previous: Option<Stamp>,
    },
    /// Something else is there than the write stands on. Nothing was changed.
    Conflict {
        /// What is there, if the store had it at hand.
        current: Option<Loaded>,
    },
    /// No live session is there. Nothing was changed, and nothing was brought back (I1).
    Gone,
}

/// The answer to an installation.
#[derive(Clone, Debug)]
pub enum InstallAnswer {
    /// Exactly this is now stored.
    Installed,
    /// Something else was stored than was expected. Nothing was changed.
    Refused {
        /// What is stored.
        stored: Option<Stored>,
    },
}

/// Keeps sessions. Always held as `Arc<dyn SessionStore>`; conveniences are in
/// [`SessionStoreExt`](crate::SessionStoreExt).
///
/// The promises S1 to S17 are numbered; each has at least one trial in the conformance suite. `Display` names the
/// store as errors and metrics do (`redis`, `retry(redis)`) and never shows a password.
///
/// Every operation is idempotent: it may be tried again after any failure, whatever its
/// [`Effect`](crate::Effect). Every operation ends within a time that the store's configuration names. Dropping the
/// future of an operation leaves the whole effect or none, and the store usable.
///
/// There are no default methods, so that a wrapper cannot forget one: give each wrapper
/// `#[deny(clippy::missing_trait_methods)]`.
///
/// ```
/// use std::sync::Arc;
/// use holdover_api::{Memory, OsEntropy, SessionId, SessionStore, SessionStoreExt};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let store: Arc<dyn SessionStore> = Arc::new(Memory::new());
/// let key = SessionId::draw(&OsEntropy)?.key();
/// assert!(store.load_latest(&key).await?.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[async_trait]
pub trait SessionStore: fmt::Display + fmt::Debug + Send + Sync + 'static {
    /// What this store can do: constant for the life of the value.
    fn capabilities(&self) -> Capabilities;

    /// Reads the live record under `key`, or nothing.
    ///
    /// - S1: never a record that has reached its deadline.
    /// - S2: with [`Freshness::Latest`], sees every acknowledged write of anybody.
    /// - S3: with [`Freshness::AtLeast`], may answer from the cheapest copy whose lineage holds that stamp, and falls
    ///   back to `Latest` where none does.
    /// - I7: with [`Freshness::Within`], may answer a record that was the latest at most so long ago, but never one that
    ///   this handle has shown to be outdated by acknowledging a write, a touch or a delete, or by answering `Conflict`
    ///   or `Gone`; and an absence is never from a copy. Most stores answer as with `Latest`.
    async fn load(&self, key: &SessionKey, freshness: Freshness) -> Result<Option<Loaded>, Error>;

    /// Makes one conditional write, as [`judge`](crate::judge) says.
    ///
    /// - S4: all of the delta or none of it, together with the deadline.
    /// - S5: `Absent` creates only if nothing live is there, and never over a tombstone.
    /// - S6: `Live` merges by attribute, never conflicts, and never loses another writer's attribute.
    /// - S7: `Head` writes only on exactly that record.
    /// - S8: `Live` and `Head` where nothing live is there answer `Gone`: never a resurrection (I1).
    /// - S9: a stamp that is already in the lineage answers `Saved`, without a second effect (I3).
    /// - S10: the deadline only moves later, unless the write says `Exactly`.
    /// - S11: over the size limit, [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge) and no effect.
    async fn save(&self, key: &SessionKey, write: &Write) -> Result<SaveAnswer, Error>;

    /// Extends a live session to `deadline`; answers whether one was there.
    ///
    /// - S12: only ever extends.
    /// - S13: changes neither attributes nor lineage, and never carries them.
    async fn touch(&self, key: &SessionKey, deadline: Timestamp) -> Result<bool, Error>;

    /// Destroys whatever is under `key`.
    ///
    /// - S14: fine when nothing is there.
    /// - S15: once acknowledged, no load sees the session and no pending write brings it back (I1). A pending *create*
    ///   is not such a write: until it is answered its id is known to nobody, so that nobody can have deleted it.
    async fn delete(&self, key: &SessionKey) -> Result<(), Error>;

    /// Reads what is stored, a tombstone included, or nothing. For layers and tools.
    ///
    /// What has reached its deadline may be answered or not.
    ///
    /// - S16: never changes anything.
    async fn inspect(&self, key: &SessionKey) -> Result<Option<Stored>, Error>;

    /// Stores exactly `new`, lineage included, if and only if exactly `over` is stored: nothing, or this head with this
    /// deadline.
    ///
    /// For the repair of a copy, burial, moving between stores, import.
    ///
    /// - S17: exactly this, or nothing. `load`, `save` and `touch` then see a tombstone as nothing alive, and a create
    ///   over one is refused. An installation that has already happened answers `Installed`.
    async fn install(
        &self,
        key: &SessionKey,
        over: Option<Standing>,
        new: &Stored,
    ) -> Result<InstallAnswer, Error>;
}
