//! The language of Holdover: what a session is, what a write means, and what a store promises.
//!
//! Applications use the facade crate `holdover`; this crate is for authors of stores and layers. Start with
//! [`SessionStore`] and [`judge`].
//!
//! # Invariants
//!
//! | name | invariant |
//! |---|---|
//! | I1 | no resurrection: once `delete` is acknowledged, no load sees that session and no pending write brings it back |
//! | I2 | no acknowledged write is lost, unless [`Capabilities::survives`] says that the event may lose it |
//! | I3 | a write takes effect at most once, however often it is retried |
//! | I4 | nothing is read past its deadline |
//! | I7 | a cache or a cheap copy never serves what is older than it promises |
//! | I8 | an id that the client invented is never adopted |

mod capabilities;
mod clock;
mod codec;
mod entropy;
mod error;
mod ext;
pub mod frame;
mod id;
mod judge;
mod memory;
mod record;
mod session;
mod stamp;
mod store;
mod write;

pub use capabilities::{Capabilities, CheapReads, Expiry, Survives, Writes};
pub use clock::{Clock, ManualClock, Stopwatch, SystemClock, Timestamp, pause, within};
pub use codec::{Codec, CodecError};
pub use entropy::{Entropy, EntropyError, OsEntropy};
pub use error::{Effect, Error, ErrorKind, Operation};
pub use ext::SessionStoreExt;
pub use id::{SESSION_ID_LENGTH, SESSION_KEY_LENGTH, SessionId, SessionKey};
pub use judge::{InstallVerdict, Verdict, judge, judge_install, judge_touch};
pub use memory::{DEFAULT_MAX_BYTES, DEFAULT_MAX_SESSIONS, Memory};
pub use record::{Attributes, Record, Standing, Stored, Tombstone};
#[cfg(feature = "axum")]
pub use session::MissingSessionLayer;
pub use session::{
    Committed, CookieChange, DEFAULT_ABSOLUTE_TIMEOUT, DEFAULT_CALL_TIMEOUT, DEFAULT_IDLE_TIMEOUT,
    DEFAULT_MAX_SESSION_BYTES, DEFAULT_TOUCH_SHARE, FailurePolicy, PolicyError, Session, SessionError,
    SessionPolicy,
};
pub use stamp::{Age, LINEAGE_DEPTH, Lineage, Stamp};
pub use store::{Freshness, InstallAnswer, SaveAnswer, SessionStore};
pub use write::{Deadline, Delta, Loaded, On, Token, Write};
