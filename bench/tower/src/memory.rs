//! The memory store of tower-sessions. This file is compiled for each version that is examined.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use holdover_api::{Error, SessionStore};
use holdover_conformance::{Harness, Node};

use super::store::Wrapped;
use super::{MEMORY, MemoryStore};

/// One store for each place, shared by the nodes of that place.
#[derive(Default)]
pub(crate) struct MemoryHarness(Mutex<HashMap<String, MemoryStore>>);

#[async_trait]
impl Harness for MemoryHarness {
    fn name(&self) -> String {
        MEMORY.to_owned()
    }

    async fn open(&self, node: Node) -> Result<Arc<dyn SessionStore>, Error> {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let store = places.entry(node.place.clone()).or_default().clone();
        Ok(Arc::new(Wrapped { name: MEMORY, store, place: node.place, clock: node.clock, shared: false }))
    }
}
