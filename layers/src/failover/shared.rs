//! What all pairs of a ring share.

use std::sync::Arc;

use holdover_api::SessionKey;
use tokio::sync::{Mutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

use super::counts::Counts;

/// Sessions that share a turn wait for each other; there are many.
const TURNS: usize = 1024;

/// How many tails may be written behind their answers at a time; beyond, writers wait for theirs.
const BACKLOG: usize = 1024;

/// The right to write to a session, among the writers of this application node.
pub(crate) type Turn = OwnedMutexGuard<()>;

/// Counts, turns and room for what is done behind answers.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) counts: Arc<Counts>,
    turns: Vec<Arc<Mutex<()>>>,
    backlog: Arc<Semaphore>,
}

impl Shared {
    pub(crate) fn new() -> Self {
        let turns = std::iter::repeat_with(Arc::default).take(TURNS).collect();
        Self { counts: Arc::default(), turns, backlog: Arc::new(Semaphore::new(BACKLOG)) }
    }

    /// Waits for the turn to write to a session.
    pub(crate) async fn turn(&self, key: &SessionKey) -> Turn {
        let [low, high, ..] = *key.as_bytes();
        let turn = &self.turns[usize::from(u16::from_le_bytes([low, high])) % TURNS];
        Arc::clone(turn).lock_owned().await
    }

    /// Room for one follow-up behind an answer, if there is any.
    pub(crate) fn room_behind_the_answer(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.backlog).try_acquire_owned().ok()
    }
}
