//! The harness over flawed stores.

use std::fmt;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use holdover_api::{Error, SessionKey, SessionStore, Timestamp};

use super::base::{Flaw, Flawed, Shelf, Sound};
use crate::harness::{Harness, Node, Raw};

type MakeFlaw = dyn Fn() -> Arc<dyn Flaw> + Send + Sync;

/// A harness over the sound base with one flaw. Nodes with the same place share sessions.
pub struct MutantHarness {
    name: &'static str,
    shelf: Arc<Shelf>,
    turn: Arc<Mutex<()>>,
    make: Box<MakeFlaw>,
}

impl MutantHarness {
    /// A harness over stores with the flaw that `make` makes, once for each node.
    pub fn of(
        name: &'static str,
        make: impl Fn() -> Arc<dyn Flaw> + Send + Sync + 'static,
    ) -> Arc<dyn Harness> {
        Arc::new(Self { name, shelf: Arc::default(), turn: Arc::default(), make: Box::new(make) })
    }

    /// The base without any flaw, which passes everything.
    pub fn sound() -> Arc<dyn Harness> {
        Self::of("sound", || Arc::new(Sound))
    }
}

impl fmt::Debug for MutantHarness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MutantHarness({})", self.name)
    }
}

#[async_trait]
impl Harness for MutantHarness {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    async fn open(&self, node: Node) -> Result<Arc<dyn SessionStore>, Error> {
        let server = (Arc::clone(&self.shelf), Arc::clone(&self.turn));
        let flaw = (self.make)();
        Ok(Arc::new(Flawed::new(self.name, node.place, node.clock, server, flaw)))
    }

    fn raw(&self) -> Option<Arc<dyn Raw>> {
        Some(Arc::new(RawShelf { shelf: Arc::clone(&self.shelf), flaw: (self.make)() }))
    }
}

/// What lies on the shelf, past the store.
struct RawShelf {
    shelf: Arc<Shelf>,
    flaw: Arc<dyn Flaw>,
}

#[async_trait]
impl Raw for RawShelf {
    async fn overwrite(&self, place: &str, key: &SessionKey, bytes: &[u8]) -> Result<(), String> {
        let mut cells = self.shelf.cells();
        let Some(cell) = cells.get_mut(&self.flaw.name(place, key)) else {
            return Err("nothing is stored that could be overwritten".to_owned());
        };
        cell.bytes = bytes.to_vec().into();
        Ok(())
    }

    async fn read(&self, place: &str, key: &SessionKey) -> Result<Option<Vec<u8>>, String> {
        let cells = self.shelf.cells();
        Ok(cells.get(&self.flaw.name(place, key)).map(|cell| cell.bytes.to_vec()))
    }

    async fn native_deadline(
        &self,
        place: &str,
        key: &SessionKey,
    ) -> Result<Option<Option<Timestamp>>, String> {
        let cells = self.shelf.cells();
        Ok(cells.get(&self.flaw.name(place, key)).map(|cell| cell.native_deadline))
    }

    async fn count(&self, place: &str) -> Result<usize, String> {
        let prefix = format!("{place}:");
        Ok(self.shelf.cells().keys().filter(|name| name.starts_with(&prefix)).count())
    }
}
