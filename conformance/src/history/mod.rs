//! Histories of concurrent clients, and the checkers that say whether a store could have produced them.
//!
//! A [`Recorder`] notes when each call was invoked and when it returned, by one counter for all clients, so that the
//! order of two calls that did not overlap is certain. [`check_linearizable`] then asks whether some order of the calls
//! that respects these times gives every answer when [`judge`](holdover_api::judge) plays them one after the other.
//! [`AppendLog`] is a second opinion that needs no search: lists only grow, so that what every reader saw has to be a
//! beginning of what is there in the end.
//!
//! ```
//! use std::sync::Arc;
//!
//! use holdover_api::{Clock, Memory, SessionKey, SessionStore, SystemClock};
//! use holdover_conformance::history::{
//!     Call, DEFAULT_BUDGET, Linearizability, Recorder, Who, check_linearizable,
//! };
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let store: Arc<dyn SessionStore> = Arc::new(Memory::new());
//! let (recorder, key) = (Recorder::new(), SessionKey::from_bytes([7; 32]));
//! let who = Who { client: 0, node: 0, store: &*store, session: 0, key: &key };
//! recorder.call(who, Call::Delete, 0).await;
//! recorder.call(who, Call::Load, 0).await;
//!
//! let history = recorder.of_session(0);
//! let verdict = check_linearizable(SystemClock.now(), None, &history, DEFAULT_BUDGET);
//! assert!(matches!(verdict, Linearizability::Linearizable(_)));
//! # });
//! # Ok::<(), std::io::Error>(())
//! ```

mod action;
mod append;
mod model;
mod recorder;
mod report;
mod wgl;

pub use action::{Action, Answer, Call, Outcome};
pub use append::{AppendLog, AppendOutcome, AppendRequest, AppendToken};
pub use model::{Deletion, step};
pub use recorder::{Recorder, Who};
pub use report::timeline;
pub use wgl::{DEFAULT_BUDGET, Linearizability, Stuck, check_linearizable, check_linearizable_with};
