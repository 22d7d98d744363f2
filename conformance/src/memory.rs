//! The reference: the memory store, which is the executable specification.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use holdover_api::{Error, Memory, SessionStore};

use crate::harness::{Harness, Node};

/// A harness over [`Memory`]: each place has its own sessions, and two nodes of a place share them.
#[derive(Debug)]
pub struct MemoryHarness {
    template: fn() -> Memory,
    places: Mutex<HashMap<String, Memory>>,
}

impl MemoryHarness {
    /// A harness over memory stores that `template` makes.
    pub fn new(template: fn() -> Memory) -> Self {
        Self { template, places: Mutex::default() }
    }
}

impl Default for MemoryHarness {
    fn default() -> Self {
        Self::new(Memory::new)
    }
}

#[async_trait]
impl Harness for MemoryHarness {
    fn name(&self) -> String {
        "memory".to_owned()
    }

    async fn open(&self, node: Node) -> Result<Arc<dyn SessionStore>, Error> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = places.entry(node.place).or_insert_with(self.template);
        Ok(Arc::new(shared.clone().with_clock(node.clock)))
    }
}
