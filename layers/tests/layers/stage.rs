//! A memory store whose operations go as a script says.

use std::collections::VecDeque;
use std::fmt;
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use holdover_api::{
    Capabilities, Clock, Deadline, Delta, Effect, Error, ErrorKind, Freshness, InstallAnswer, Loaded, Memory,
    On, Operation, SaveAnswer, SessionKey, SessionStore, Stamp, Standing, Stored, SystemClock, Timestamp,
    Write,
};
use tokio::sync::Semaphore;

pub(crate) const LIFETIME: Duration = Duration::from_secs(600);

/// What becomes of one operation.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// It goes well.
    Play,
    /// It fails and did not happen; the error says so, or not.
    Fail(ErrorKind, Effect),
    /// It fails without an effect, and the store asks to wait so long.
    Busy(Duration),
    /// It happens, and nobody hears of it.
    Unheard,
    /// It happens, and never answers.
    Hang,
    /// It happens at once, and answers when the gate opens.
    AnswerAt(Arc<Gate>),
    /// It happens when the gate opens.
    HappenAt(Arc<Gate>),
}

/// Holds an operation until the test lets it go.
#[derive(Debug)]
pub(crate) struct Gate {
    reached: Semaphore,
    open: Semaphore,
}

impl Gate {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { reached: Semaphore::new(0), open: Semaphore::new(0) })
    }

    /// Waits until the operation stands before the gate.
    pub(crate) async fn reached(&self) {
        self.reached.acquire().await.unwrap().forget();
    }

    pub(crate) fn open(&self) {
        self.open.add_permits(1);
    }

    async fn pass(&self) {
        self.reached.add_permits(1);
        self.open.acquire().await.unwrap().forget();
    }
}

/// The store on stage.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) memory: Memory,
    script: Mutex<VecDeque<Act>>,
    afterwards: Mutex<Act>,
    calls: Mutex<Vec<Operation>>,
}

impl Stage {
    pub(crate) fn new() -> Arc<Self> {
        Self::with_clock(Arc::new(SystemClock))
    }

    pub(crate) fn with_clock(clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self {
            memory: Memory::new().with_clock(clock),
            script: Mutex::default(),
            afterwards: Mutex::new(Act::Play),
            calls: Mutex::default(),
        })
    }

    /// What becomes of the next operations; those after them go well.
    pub(crate) fn script(&self, acts: impl IntoIterator<Item = Act>) {
        self.script.lock().unwrap().extend(acts);
    }

    /// What becomes of every operation that no script is left for.
    pub(crate) fn always(&self, act: Act) {
        *self.afterwards.lock().unwrap() = act;
    }

    /// The operations that have reached the store since this was last asked.
    pub(crate) fn calls(&self) -> Vec<Operation> {
        std::mem::take(&mut *self.calls.lock().unwrap())
    }

    async fn act<T>(
        &self,
        operation: Operation,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        self.calls.lock().unwrap().push(operation);
        let act = self.script.lock().unwrap().pop_front();
        let act = act.unwrap_or_else(|| self.afterwards.lock().unwrap().clone());
        let error = |kind, text: &'static str| Error::new(kind, operation, "stage", text);
        match act {
            Act::Play => work.await,
            Act::Fail(kind, Effect::None) => Err(error(kind, "as the script says").without_effect()),
            Act::Fail(kind, Effect::Unknown) => Err(error(kind, "as the script says")),
            Act::Busy(delay) => {
                Err(error(ErrorKind::Throttled, "as the script says").without_effect().retry_after(delay))
            }
            Act::Unheard => {
                work.await?;
                Err(error(ErrorKind::Unavailable, "nobody heard"))
            }
            Act::Hang => {
                work.await?;
                pending().await
            }
            Act::AnswerAt(gate) => {
                let answer = work.await;
                gate.pass().await;
                answer
            }
            Act::HappenAt(gate) => {
                gate.pass().await;
                work.await
            }
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stage")
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl SessionStore for Stage {
    fn capabilities(&self) -> Capabilities {
        self.memory.capabilities()
    }

    async fn load(&self, key: &SessionKey, freshness: Freshness) -> Result<Option<Loaded>, Error> {
        self.act(Operation::Load, self.memory.load(key, freshness)).await
    }

    async fn save(&self, key: &SessionKey, write: &Write) -> Result<SaveAnswer, Error> {
        self.act(Operation::Save, self.memory.save(key, write)).await
    }

    async fn touch(&self, key: &SessionKey, deadline: Timestamp) -> Result<bool, Error> {
        self.act(Operation::Touch, self.memory.touch(key, deadline)).await
    }

    async fn delete(&self, key: &SessionKey) -> Result<(), Error> {
        self.act(Operation::Delete, self.memory.delete(key)).await
    }

    async fn inspect(&self, key: &SessionKey) -> Result<Option<Stored>, Error> {
        self.act(Operation::Inspect, self.memory.inspect(key)).await
    }

    async fn install(
        &self,
        key: &SessionKey,
        over: Option<Standing>,
        new: &Stored,
    ) -> Result<InstallAnswer, Error> {
        self.act(Operation::Install, self.memory.install(key, over, new)).await
    }
}

pub(crate) fn key(number: u8) -> SessionKey {
    SessionKey::from_bytes([number; 32])
}

/// A write of the attribute `n`, with a stamp of this number.
pub(crate) fn write(on: On, number: u8) -> Write {
    let mut delta = Delta::default();
    delta.set("n", number.to_string());
    let deadline = Deadline::AtLeast(SystemClock.now() + LIFETIME);
    Write { on, delta, stamp: Stamp::from_bytes([number; 16]), deadline, base: None }
}

pub(crate) fn creation(number: u8) -> Write {
    write(On::Absent { created: SystemClock.now() }, number)
}

pub(crate) fn saved(answer: &Result<SaveAnswer, Error>) -> bool {
    matches!(answer, Ok(SaveAnswer::Saved { .. }))
}

/// A session whose `n` is 1, made behind the layers' backs.
pub(crate) async fn create(stage: &Stage, number: u8) -> SessionKey {
    let key = key(number);
    assert!(saved(&stage.memory.save(&key, &creation(1)).await));
    key
}

/// What `n` is.
pub(crate) fn value(loaded: Option<Loaded>) -> Option<String> {
    let loaded = loaded?;
    let value = loaded.record.attributes.get("n")?;
    Some(String::from_utf8_lossy(value).into_owned())
}
