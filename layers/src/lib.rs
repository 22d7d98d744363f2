//! Decorators over any [`SessionStore`](holdover_api::SessionStore): a stack of layers is a store, and takes the same exam.
//!
//! ```
//! use std::sync::Arc;
//! use holdover_api::{Memory, SessionStore};
//! use holdover_layers::{Layer, Metrics, Retry, Timeout};
//!
//! let store: Arc<dyn SessionStore> = Arc::new(Memory::new());
//! let store = Timeout::default().layer(store);
//! let store = Retry::default().layer(store);
//! let store = Metrics::default().layer(store);
//! assert_eq!(store.to_string(), "metrics(retry(timeout(memory)))");
//! ```

pub mod duration;
pub mod failover;
mod faults;
mod late;
mod layer;
mod metrics;
#[cfg(feature = "near-cache")]
mod near_cache;
mod node;
mod retry;
pub mod ring;
mod stack;
mod timeout;
mod trace;
pub mod url;

pub use faults::Faults;
pub use layer::Layer;
pub use metrics::{Metrics, names};
#[cfg(feature = "near-cache")]
pub use near_cache::NearCache;
pub use retry::Retry;
pub use stack::Stack;
pub use timeout::Timeout;
pub use trace::Trace;
