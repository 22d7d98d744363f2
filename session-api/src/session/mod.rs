//! The handle that an application holds, and the policy that opens and commits it.

mod commit;
#[cfg(feature = "axum")]
mod extract;
mod failure;
mod handle;
mod policy;
mod renew;
mod state;
mod update;

pub use commit::{Committed, CookieChange};
#[cfg(feature = "axum")]
pub use extract::MissingSessionLayer;
pub use failure::SessionError;
pub use handle::Session;
pub use policy::{
    DEFAULT_ABSOLUTE_TIMEOUT, DEFAULT_CALL_TIMEOUT, DEFAULT_IDLE_TIMEOUT, DEFAULT_MAX_SESSION_BYTES,
    DEFAULT_TOUCH_SHARE, FailurePolicy, PolicyError, SessionPolicy,
};
