//! What all layers have in common.

use std::fmt;
use std::sync::Arc;

use holdover_api::SessionStore;

/// Settings that know how to put a store around another one.
///
/// What comes out is a store like any other, and takes the same exam. It prints itself around the inner one, such as
/// `retry(redis)`, and its capabilities are the inner one's, save for what the layer changes.
///
/// ```
/// use std::sync::Arc;
/// use holdover_api::{Memory, SessionStore};
/// use holdover_layers::{Layer, Retry, Timeout};
///
/// // The first stands next to the store, the last outermost.
/// let layers: [Box<dyn Layer>; 2] = [Box::new(Timeout::default()), Box::new(Retry::default())];
/// let memory: Arc<dyn SessionStore> = Arc::new(Memory::new());
/// let store = layers.iter().fold(memory, |inner, layer| layer.layer(inner));
/// assert_eq!(store.to_string(), "retry(timeout(memory))");
/// ```
pub trait Layer: fmt::Debug + Send + Sync {
    /// Puts this layer around `inner`.
    fn layer(&self, inner: Arc<dyn SessionStore>) -> Arc<dyn SessionStore>;
}
