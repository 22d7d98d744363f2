//! A memory store that remembers what it was asked, fails where it is told to, and takes its time.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use holdover_api::{
    Capabilities, Error, ErrorKind, Freshness, InstallAnswer, Loaded, Memory, Operation, Record, SaveAnswer,
    SessionKey, SessionStore, Stored, Timestamp, Write,
};

/// One call of the store.
pub(crate) type Call = Operation;

/// How an operation fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// An error before anything happened.
    Refuse(ErrorKind),
    /// The same, with a suggestion when to try again.
    RefuseFor(ErrorKind, Duration),
    /// It happens, and the answer is lost.
    LoseAnswer,
    /// It never answers.
    Stall,
    /// It panics.
    Panic,
}

pub(crate) struct Probe {
    memory: Memory,
    calls: Mutex<Vec<Call>>,
    keys: Mutex<BTreeSet<SessionKey>>,
    faults: Mutex<HashMap<Operation, Fault>>,
    yields: AtomicUsize,
}

/// What the probe says in its errors, and what must never reach a client.
pub(crate) const STORE_TEXT: &str = "10.1.2.3:6379 said no";

impl Probe {
    pub(crate) fn over(memory: Memory) -> Self {
        Self {
            memory,
            calls: Mutex::default(),
            keys: Mutex::default(),
            faults: Mutex::default(),
            yields: AtomicUsize::new(0),
        }
    }

    /// Every operation gives way so often before its effect, and so often again after it.
    pub(crate) fn give_way(&self, times: usize) {
        self.yields.store(times, Ordering::Relaxed);
    }

    pub(crate) fn fail(&self, operation: Operation, kind: ErrorKind) {
        self.set(operation, Fault::Refuse(kind));
    }

    pub(crate) fn fail_for(&self, operation: Operation, kind: ErrorKind, delay: Duration) {
        self.set(operation, Fault::RefuseFor(kind, delay));
    }

    pub(crate) fn lose_answers(&self, operation: Operation) {
        self.set(operation, Fault::LoseAnswer);
    }

    pub(crate) fn stall(&self, operation: Operation) {
        self.set(operation, Fault::Stall);
    }

    pub(crate) fn panic(&self, operation: Operation) {
        self.set(operation, Fault::Panic);
    }

    pub(crate) fn recover(&self) {
        self.faults.lock().unwrap().clear();
    }

    fn set(&self, operation: Operation, fault: Fault) {
        self.faults.lock().unwrap().insert(operation, fault);
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    pub(crate) fn forget_calls(&self) {
        self.calls.lock().unwrap().clear();
    }

    /// Whether anything was ever asked about this session.
    pub(crate) fn was_asked_about(&self, key: &SessionKey) -> bool {
        self.keys.lock().unwrap().contains(key)
    }

    /// Every live session that any call has ever named.
    pub(crate) async fn live(&self) -> Vec<(SessionKey, Record)> {
        let keys: Vec<_> = self.keys.lock().unwrap().iter().copied().collect();
        let mut live = Vec::new();
        for key in keys {
            if let Some(loaded) = self.memory.load(&key, Freshness::Latest).await.unwrap() {
                live.push((key, Record::clone(&loaded.record)));
            }
        }
        live
    }

    /// The names of the attributes of each live session.
    pub(crate) async fn live_names(&self) -> Vec<Vec<String>> {
        let live = self.live().await;
        live.into_iter().map(|(_, record)| record.attributes.into_keys().collect()).collect()
    }

    async fn around<T>(
        &self,
        operation: Operation,
        key: &SessionKey,
        effect: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        self.calls.lock().unwrap().push(operation);
        self.keys.lock().unwrap().insert(*key);
        let fault = self.faults.lock().unwrap().get(&operation).copied();
        let yields = self.yields.load(Ordering::Relaxed);
        for _ in 0..yields {
            tokio::task::yield_now().await;
        }
        match fault {
            Some(Fault::Refuse(kind)) => return Err(Error::new(kind, operation, "probe", STORE_TEXT)),
            Some(Fault::RefuseFor(kind, delay)) => {
                return Err(Error::new(kind, operation, "probe", STORE_TEXT).retry_after(delay));
            }
            Some(Fault::Stall) => std::future::pending().await,
            Some(Fault::Panic) => panic!("the store panics because a test told it to"),
            Some(Fault::LoseAnswer) | None => {}
        }
        let answer = effect.await;
        for _ in 0..yields {
            tokio::task::yield_now().await;
        }
        if fault == Some(Fault::LoseAnswer) {
            return Err(Error::new(ErrorKind::Unavailable, operation, "probe", STORE_TEXT));
        }
        answer
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("probe")
    }
}

impl fmt::Debug for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Probe")
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl SessionStore for Probe {
    fn capabilities(&self) -> Capabilities {
        self.memory.capabilities()
    }

    async fn load(&self, key: &SessionKey, freshness: Freshness) -> Result<Option<Loaded>, Error> {
        self.around(Operation::Load, key, self.memory.load(key, freshness)).await
    }

    async fn save(&self, key: &SessionKey, write: &Write) -> Result<SaveAnswer, Error> {
        self.around(Operation::Save, key, self.memory.save(key, write)).await
    }

    async fn touch(&self, key: &SessionKey, deadline: Timestamp) -> Result<bool, Error> {
        self.around(Operation::Touch, key, self.memory.touch(key, deadline)).await
    }

    async fn delete(&self, key: &SessionKey) -> Result<(), Error> {
        self.around(Operation::Delete, key, self.memory.delete(key)).await
    }

    async fn inspect(&self, key: &SessionKey) -> Result<Option<Stored>, Error> {
        self.around(Operation::Inspect, key, self.memory.inspect(key)).await
    }

    async fn install(
        &self,
        key: &SessionKey,
        over: Option<holdover_api::Standing>,
        new: &Stored,
    ) -> Result<InstallAnswer, Error> {
        self.around(Operation::Install, key, self.memory.install(key, over, new)).await
    }
}
