//! The usual layers in their usual order.

use std::sync::Arc;

use holdover_api::{Clock, Error, SessionStore};
use serde::{Deserialize, Serialize};

use crate::failover::Copies;
use crate::layer::Layer;
#[cfg(feature = "near-cache")]
use crate::near_cache::NearCache;
use crate::ring::{Ring, RingNode, RingSettings};
use crate::{Metrics, Retry, Timeout, Trace};

/// The usual layers, each there or not, in the order in which they belong: outermost first trace, metrics, near cache,
/// retry, time-out, and then the ring or the store itself.
///
/// Metrics stand outside, so that they count what the application asks and not what the layers below make of it. The near
/// cache stands outside retry, so that a hit costs nothing. Retry stands outside the time-out, so that each attempt has
/// its own. For any other order, use the layers by themselves: each is a [`Layer`].
///
/// It is a serde struct, so that it can stand in a configuration file:
///
/// ```
/// use std::sync::Arc;
/// use holdover_api::{Clock, Memory, SystemClock};
/// use holdover_layers::Stack;
///
/// let stack: Stack = serde_json::from_str(r#"{ "metrics": {}, "retry": { "deadline": "800ms" } }"#)?;
/// let clock: Arc<dyn Clock> = Arc::new(SystemClock);
/// let store = stack.over(Arc::new(Memory::new()), &clock);
/// assert_eq!(store.to_string(), "metrics(retry(memory))");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Stack {
    /// A tracing span for each operation.
    pub trace: Option<Trace>,
    /// Counts and durations, by the `metrics` facade.
    pub metrics: Option<Metrics>,
    /// Loaded records at hand, for readers that accept a copy.
    #[cfg(feature = "near-cache")]
    pub near_cache: Option<NearCache>,
    /// Further attempts.
    pub retry: Option<Retry>,
    /// A limit for each attempt.
    pub timeout: Option<Timeout>,
    /// How sessions are spread over several nodes; only [`over_nodes`](Self::over_nodes) uses it.
    pub ring: Option<RingSettings>,
}

impl Stack {
    /// Puts the layers around one store.
    pub fn over(&self, store: Arc<dyn SessionStore>, clock: &Arc<dyn Clock>) -> Arc<dyn SessionStore> {
        let mut store = store;
        let inner: [Option<&dyn Layer>; 2] = [as_layer(&self.timeout), as_layer(&self.retry)];
        for layer in inner.into_iter().flatten() {
            store = layer.layer(store);
        }
        store = self.with_near_cache(store, clock);
        let outer: [Option<&dyn Layer>; 2] = [as_layer(&self.metrics), as_layer(&self.trace)];
        for layer in outer.into_iter().flatten() {
            store = layer.layer(store);
        }
        store
    }

    /// Puts the layers around a ring of nodes, and tells what the ring notices.
    ///
    /// # Errors
    ///
    /// The nodes make no ring, as [`Ring::new`] says, or both nodes of a pair do not answer.
    pub async fn over_nodes(
        &self,
        nodes: Vec<RingNode>,
        clock: &Arc<dyn Clock>,
    ) -> Result<(Arc<dyn SessionStore>, Copies), Error> {
        let ring = Ring::new(nodes, &self.ring.clone().unwrap_or_default(), clock)?;
        ring.prepare().await?;
        let copies = ring.copies();
        Ok((self.over(Arc::new(ring), clock), copies))
    }

    #[cfg(feature = "near-cache")]
    fn with_near_cache(&self, store: Arc<dyn SessionStore>, clock: &Arc<dyn Clock>) -> Arc<dyn SessionStore> {
        match &self.near_cache {
            Some(near_cache) => near_cache.layer_with_clock(store, Arc::clone(clock)),
            None => store,
        }
    }

    #[cfg(not(feature = "near-cache"))]
    #[allow(clippy::unused_self, reason = "the same shape as with the feature")]
    fn with_near_cache(&self, store: Arc<dyn SessionStore>, _: &Arc<dyn Clock>) -> Arc<dyn SessionStore> {
        store
    }
}

fn as_layer<L: Layer>(layer: &Option<L>) -> Option<&dyn Layer> {
    layer.as_ref().map(|layer| layer as &dyn Layer)
}

#[cfg(test)]
mod tests {
    use holdover_api::{Memory, SystemClock};

    use super::*;

    #[test]
    fn every_layer_has_its_place() {
        let stack = Stack {
            trace: Some(Trace::default()),
            metrics: Some(Metrics::default()),
            #[cfg(feature = "near-cache")]
            near_cache: Some(NearCache::default()),
            retry: Some(Retry::default()),
            timeout: Some(Timeout::default()),
            ring: None,
        };
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let inner = if cfg!(feature = "near-cache") {
            "near_cache(retry(timeout(memory)))"
        } else {
            "retry(timeout(memory))"
        };
        assert_eq!(
            stack.over(Arc::new(Memory::new()), &clock).to_string(),
            format!("trace(metrics({inner}))")
        );
        assert_eq!(Stack::default().over(Arc::new(Memory::new()), &clock).to_string(), "memory");
    }

    #[test]
    fn a_stack_reads_back_as_it_was_written() {
        let text = r#"{"metrics":{},"retry":{"deadline":"800ms"},"ring":{"copies":1,"failover":{"backup":"after"}}}"#;
        let stack: Stack = serde_json::from_str(text).unwrap();
        let again: Stack = serde_json::from_str(&serde_json::to_string(&stack).unwrap()).unwrap();
        assert_eq!(again, stack);
        assert!(serde_json::from_str::<Stack>(r#"{"metric":{}}"#).is_err(), "a name that nobody knows");
    }

    #[tokio::test]
    async fn nodes_become_a_ring_under_the_layers() {
        let node = |name: &str| RingNode { name: name.to_owned(), store: Arc::new(Memory::new()) };
        let stack = Stack { retry: Some(Retry::default()), ..Stack::default() };
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let (store, copies) = stack.over_nodes(vec![node("a"), node("b")], &clock).await.unwrap();
        assert_eq!(store.to_string(), "retry(ring(memory, memory))");
        assert_eq!(copies.counts().repairs, 0);
        assert!(stack.over_nodes(vec![node("a")], &clock).await.is_err(), "two copies need two nodes");
    }
}
