//! Where the cases take place: two nodes over one store.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use holdover::api::{
    Capabilities, DEFAULT_MAX_SESSION_BYTES, Freshness, InstallAnswer, Loaded, SaveAnswer, SessionKey,
    Standing, Stored, SystemClock, Write,
};
use holdover::{Error, Memory, SessionLayerBuilder, SessionStore, Timestamp};
#[cfg(feature = "redis")]
use holdover_conformance::servers::{self, SharedServer};
use holdover_conformance::{self as examined, mutants};
use tokio::sync::Semaphore;

use crate::common::Node;

/// Longer than any case lasts, where a case itself holds up a call of the store.
const PATIENT: Duration = Duration::from_secs(60);

/// Makes a test on every store of each scenario, an `async fn(Kind)`.
macro_rules! on_each_store {
    ($($scenario:ident),+ $(,)?) => {
        mod on_memory {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $scenario() {
                super::$scenario($crate::stage::Kind::Memory).await;
            })+
        }

        #[cfg(feature = "redis")]
        mod on_redis {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $scenario() {
                super::$scenario($crate::stage::Kind::Redis).await;
            })+
        }

        #[cfg(feature = "dynamodb-local")]
        mod on_dynamodb {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $scenario() {
                super::$scenario($crate::stage::Kind::DynamoDb).await;
            })+
        }

        #[cfg(feature = "dynamodb-local")]
        mod on_tables_in_turn {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $scenario() {
                super::$scenario($crate::stage::Kind::TablesInTurn).await;
            })+
        }
    };
}

/// Which store.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Memory,
    #[cfg(feature = "redis")]
    Redis,
    /// The embedded one, with one table.
    #[cfg(feature = "dynamodb-local")]
    DynamoDb,
    /// The embedded one, with tables that follow each other.
    #[cfg(feature = "dynamodb-local")]
    TablesInTurn,
    /// A broken store, by its id; `sound` is the one that they are made from, which is not broken.
    Mutant(&'static str),
}

/// Two nodes over one store.
pub(crate) struct Stage {
    pub(crate) a: Node,
    pub(crate) b: Node,
    #[cfg(feature = "redis")]
    _server: Option<SharedServer>,
}

/// Two handles on one store, and the server below it.
struct Stores {
    first: Arc<dyn SessionStore>,
    second: Arc<dyn SessionStore>,
    #[cfg(feature = "redis")]
    server: Option<SharedServer>,
}

impl Stores {
    async fn open(kind: Kind) -> Self {
        match kind {
            Kind::Memory => {
                let store = Arc::new(Memory::new());
                Self {
                    first: Arc::<Memory>::clone(&store),
                    second: store,
                    #[cfg(feature = "redis")]
                    server: None,
                }
            }
            #[cfg(feature = "redis")]
            Kind::Redis => {
                let server = servers::shared(&servers::redis()).await.expect("a Redis for the tests");
                let first = holdover::connect(server.url()).await.expect("connect the first node");
                let second = holdover::connect(server.url()).await.expect("connect the second node");
                Self { first, second, server: Some(server) }
            }
            #[cfg(feature = "dynamodb-local")]
            Kind::DynamoDb => Self::inside("dynamodb://local/sessions?expiry=ttl").await,
            #[cfg(feature = "dynamodb-local")]
            Kind::TablesInTurn => {
                Self::inside("dynamodb://local/sessions?expiry=rotation&period=1h&keeper=on").await
            }
            Kind::Mutant(id) => {
                let harness = mutant(id);
                let node =
                    examined::Node { place: "stage".to_owned(), clock: Arc::new(SystemClock), via: None };
                let first = harness.open(node.clone()).await.expect("open the first node");
                let second = harness.open(node).await.expect("open the second node");
                Self {
                    first: TouchGate::opened(first),
                    second: TouchGate::opened(second),
                    #[cfg(feature = "redis")]
                    server: None,
                }
            }
        }
    }
}

#[cfg(feature = "dynamodb-local")]
impl Stores {
    /// A store that lives in this process: both nodes have the same.
    async fn inside(url: &str) -> Self {
        let store = holdover::connect(url).await.expect("connect both nodes");
        Self {
            first: Arc::clone(&store),
            second: store,
            #[cfg(feature = "redis")]
            server: None,
        }
    }
}

fn mutant(id: &str) -> Arc<dyn examined::Harness> {
    if id == "sound" {
        return mutants::MutantHarness::sound();
    }
    let all = mutants::all();
    let mutant = all.iter().find(|mutant| mutant.id == id);
    let mutant = mutant.unwrap_or_else(|| panic!("there is no mutant {id}"));
    (mutant.make)()
}

impl Stage {
    pub(crate) async fn on(kind: Kind) -> Self {
        Self::with(kind, |builder| builder).await
    }

    /// Two nodes with settings of their own.
    pub(crate) async fn with(
        kind: Kind,
        configure: impl Fn(SessionLayerBuilder) -> SessionLayerBuilder,
    ) -> Self {
        Self::over(Stores::open(kind).await, configure).await
    }

    /// As [`with`](Self::with); the touches of node a wait at the gate.
    pub(crate) async fn gated(
        kind: Kind,
        configure: impl Fn(SessionLayerBuilder) -> SessionLayerBuilder,
    ) -> (Self, Arc<TouchGate>) {
        let mut stores = Stores::open(kind).await;
        let gate = TouchGate::closed(stores.first);
        stores.first = Arc::<TouchGate>::clone(&gate);
        let stage = Self::over(stores, |builder| configure(builder.with_call_timeout(PATIENT))).await;
        (stage, gate)
    }

    async fn over(stores: Stores, configure: impl Fn(SessionLayerBuilder) -> SessionLayerBuilder) -> Self {
        // Mutants hold less than the default.
        let limit = stores.first.capabilities().max_bytes.min(DEFAULT_MAX_SESSION_BYTES);
        let insecure = |builder: SessionLayerBuilder| {
            configure(builder.insecure_development_cookies().with_max_bytes(limit))
        };
        Self {
            a: Node::start("a", stores.first, insecure).await.expect("start node a"),
            b: Node::start("b", stores.second, insecure).await.expect("start node b"),
            #[cfg(feature = "redis")]
            _server: stores.server,
        }
    }

    pub(crate) fn nodes(&self) -> [&Node; 2] {
        [&self.a, &self.b]
    }
}

/// A store whose touches wait until the gate is opened, so that a reader can be as slow as a case wants.
#[derive(Debug)]
pub(crate) struct TouchGate {
    store: Arc<dyn SessionStore>,
    waiting: AtomicUsize,
    permits: Semaphore,
}

impl TouchGate {
    fn closed(store: Arc<dyn SessionStore>) -> Arc<Self> {
        Arc::new(Self { store, waiting: AtomicUsize::new(0), permits: Semaphore::new(0) })
    }

    fn opened(store: Arc<dyn SessionStore>) -> Arc<Self> {
        let gate = Self::closed(store);
        gate.open();
        gate
    }

    /// How many touches have come to the gate.
    pub(crate) fn arrived(&self) -> usize {
        self.waiting.load(Ordering::SeqCst)
    }

    pub(crate) fn open(&self) {
        self.permits.close();
    }
}

impl fmt::Display for TouchGate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "touch_gate({})", self.store)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl SessionStore for TouchGate {
    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }

    async fn load(&self, key: &SessionKey, freshness: Freshness) -> Result<Option<Loaded>, Error> {
        let loaded = self.store.load(key, freshness).await;
        // Others get a turn between load and save, so that a race takes place on a single core, too.
        tokio::task::yield_now().await;
        loaded
    }

    async fn save(&self, key: &SessionKey, write: &Write) -> Result<SaveAnswer, Error> {
        self.store.save(key, write).await
    }

    async fn touch(&self, key: &SessionKey, deadline: Timestamp) -> Result<bool, Error> {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        // There are no permits: this ends, with an error, when the semaphore is closed, which opens the gate.
        let _opened = self.permits.acquire().await;
        self.store.touch(key, deadline).await
    }

    async fn delete(&self, key: &SessionKey) -> Result<(), Error> {
        self.store.delete(key).await
    }

    async fn inspect(&self, key: &SessionKey) -> Result<Option<Stored>, Error> {
        self.store.inspect(key).await
    }

    async fn install(
        &self,
        key: &SessionKey,
        over: Option<Standing>,
        new: &Stored,
    ) -> Result<InstallAnswer, Error> {
        self.store.install(key, over, new).await
    }
}
