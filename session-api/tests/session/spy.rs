//! A store that counts calls, fails on demand, and lets a test act in the middle of a call.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use holdover_api::{
    Capabilities, Clock, Committed, CookieChange, Error, ErrorKind, Freshness, InstallAnswer, Loaded,
    ManualClock, Memory, Operation, SaveAnswer, Session, SessionId, SessionKey, SessionPolicy, SessionStore,
    Standing, Stored, SystemClock, Timestamp, Write,
};

type Hook = Box<dyn FnMut(Operation) -> Result<(), Error> + Send>;

/// The memory store with an ear at the door.
#[derive(Clone)]
pub(crate) struct Spy {
    inner: Memory,
    calls: Arc<Mutex<Vec<Operation>>>,
    hook: Arc<Mutex<Option<Hook>>>,
    lost: Arc<Mutex<Option<Operation>>>,
    freshness: Arc<Mutex<Option<Freshness>>>,
}

impl Spy {
    /// The calls since the last time this was asked.
    pub(crate) fn calls(&self) -> Vec<Operation> {
        std::mem::take(&mut *self.calls.lock().unwrap())
    }

    /// How new the last load had to be.
    pub(crate) fn freshness(&self) -> Option<Freshness> {
        *self.freshness.lock().unwrap()
    }

    /// Runs `hook` before every call; its error is the call's answer.
    pub(crate) fn on_call(&self, hook: impl FnMut(Operation) -> Result<(), Error> + Send + 'static) {
        *self.hook.lock().unwrap() = Some(Box::new(hook));
    }

    /// Every call fails as if the server were down.
    pub(crate) fn go_down(&self) {
        self.on_call(|operation| Err(Error::new(ErrorKind::Unavailable, operation, "spy", "refused")));
    }

    /// Every call works again.
    pub(crate) fn come_back(&self) {
        *self.hook.lock().unwrap() = None;
    }

    /// The next such call takes effect, and its answer is lost.
    pub(crate) fn lose_answer_of(&self, operation: Operation) {
        *self.lost.lock().unwrap() = Some(operation);
    }

    fn answer<T>(&self, operation: Operation, answer: T) -> Result<T, Error> {
        let mut lost = self.lost.lock().unwrap();
        if lost.take_if(|lost| *lost == operation).is_some() {
            return Err(Error::new(ErrorKind::Unavailable, operation, "spy", "the answer was lost"));
        }
        Ok(answer)
    }

    fn heard(&self, operation: Operation) -> Result<(), Error> {
        self.calls.lock().unwrap().push(operation);
        // The hook is taken out while it runs, so that it may use the store itself.
        let Some(mut hook) = self.hook.lock().unwrap().take() else {
            return Ok(());
        };
        let answer = hook(operation);
        self.hook.lock().unwrap().get_or_insert(hook);
        answer
    }

    /// How many sessions are stored and not buried, whatever their deadline.
    pub(crate) fn sessions(&self) -> usize {
        self.inner.len()
    }
}

impl fmt::Display for Spy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("spy")
    }
}

impl fmt::Debug for Spy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Spy")
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl SessionStore for Spy {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn load(&self, key: &SessionKey, freshness: Freshness) -> Result<Option<Loaded>, Error> {
        self.heard(Operation::Load)?;
        *self.freshness.lock().unwrap() = Some(freshness);
        self.inner.load(key, freshness).await
    }

    async fn save(&self, key: &SessionKey, write: &Write) -> Result<SaveAnswer, Error> {
        self.heard(Operation::Save)?;
        self.inner.save(key, write).await
    }

    async fn touch(&self, key: &SessionKey, deadline: Timestamp) -> Result<bool, Error> {
        self.heard(Operation::Touch)?;
        self.inner.touch(key, deadline).await
    }

    async fn delete(&self, key: &SessionKey) -> Result<(), Error> {
        self.heard(Operation::Delete)?;
        self.inner.delete(key).await
    }

    async fn inspect(&self, key: &SessionKey) -> Result<Option<Stored>, Error> {
        self.heard(Operation::Inspect)?;
        self.inner.inspect(key).await
    }

    async fn install(
        &self,
        key: &SessionKey,
        over: Option<Standing>,
        new: &Stored,
    ) -> Result<InstallAnswer, Error> {
        self.heard(Operation::Install)?;
        let answer = self.inner.install(key, over, new).await?;
        self.answer(Operation::Install, answer)
    }
}

/// A policy over a spied memory store with a clock that moves when told.
pub(crate) struct Bench {
    pub(crate) policy: SessionPolicy,
    pub(crate) store: Spy,
    pub(crate) clock: Arc<ManualClock>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        let inner = Memory::new().with_clock(Arc::clone(&clock) as Arc<dyn Clock>);
        let store = Spy {
            inner,
            calls: Arc::default(),
            hook: Arc::default(),
            lost: Arc::default(),
            freshness: Arc::default(),
        };
        let policy = SessionPolicy::new(Arc::new(store.clone()))
            .with_clock(Arc::clone(&clock) as Arc<dyn Clock>)
            .with_idle_timeout(Duration::from_secs(100))
            .with_absolute_timeout(Duration::from_secs(1_000));
        policy.validate().unwrap();
        Self { policy, store, clock }
    }

    /// A committed session with one attribute, `user`; the calls so far are forgotten.
    pub(crate) async fn logged_in(&self) -> SessionId {
        let session = self.policy.open(None);
        session.insert("user", "ada").await.unwrap();
        let id = new_id(&session.commit().await.unwrap());
        self.store.calls();
        id
    }

    pub(crate) fn open(&self, id: &SessionId) -> Session {
        self.policy.open(Some(id.clone()))
    }

    /// What a later request reads under an id.
    pub(crate) async fn read(&self, id: &SessionId, name: &str) -> Option<String> {
        self.open(id).get(name).await.unwrap()
    }
}

/// The id that a commit hands to the browser.
pub(crate) fn new_id(committed: &Committed) -> SessionId {
    match &committed.cookie {
        CookieChange::Set { id, .. } => id.clone(),
        other => panic!("expected a new id, got {other:?}"),
    }
}
