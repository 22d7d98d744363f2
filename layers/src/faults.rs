//! Makes operations fail, for tests and drills.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use fastrand::Rng;
use holdover_api::{
    Capabilities, Error, ErrorKind, Freshness, InstallAnswer, Loaded, Operation, SaveAnswer, SessionKey,
    SessionStore, Standing, Stored, Timestamp, Write, pause,
};
use serde::{Deserialize, Serialize};

use crate::duration;
use crate::layer::Layer;

/// Makes a share of operations fail, in every way in which a network can: `faults(memory)`. For tests and drills; by
/// default it does nothing.
///
/// An operation happens or not, and its caller hears of it or not:
///
/// | | the caller hears | the caller does not know |
/// |---|---|---|
/// | it happens | as without this layer | `share_unheard` |
/// | it does not happen | `share_failed_before` | `share_failed_after` |
///
/// The failures are [`ErrorKind::Unavailable`], with an honest effect. What happens to an operation follows from the seed
/// and from how many operations came before it.
///
/// ```
/// use std::sync::Arc;
/// use holdover_api::{Memory, SessionStore};
/// use holdover_layers::{Faults, Layer, Retry};
///
/// let faults = Faults { seed: 7, share_failed_before: 0.1, share_unheard: 0.1, ..Faults::default() };
/// let store = Retry::default().layer(faults.layer(Arc::new(Memory::new())));
/// assert_eq!(store.to_string(), "retry(faults(memory))");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Faults {
    /// What everything is drawn from.
    pub seed: u64,
    /// Fails before it is sent: it does not happen, and the error says so. From 0 to 1.
    #[serde(deserialize_with = "duration::deserialize_share")]
    pub share_failed_before: f64,
    /// Fails after it was sent, before it arrives: it does not happen, and nobody can know. From 0 to 1.
    #[serde(deserialize_with = "duration::deserialize_share")]
    pub share_failed_after: f64,
    /// Happens, and the answer is lost. From 0 to 1.
    #[serde(deserialize_with = "duration::deserialize_share")]
    pub share_unheard: f64,
    /// Each operation waits up to so long first.
    #[serde(with = "duration")]
    pub delay: Duration,
}

impl Layer for Faults {
    fn layer(&self, inner: Arc<dyn SessionStore>) -> Arc<dyn SessionStore> {
        let random = Mutex::new(Rng::with_seed(self.seed));
        Arc::new(Faulty { inner, settings: self.clone(), random })
    }
}

#[derive(Debug)]
struct Faulty {
    inner: Arc<dyn SessionStore>,
    settings: Faults,
    random: Mutex<Rng>,
}

/// What will become of one operation.
#[derive(Clone, Copy)]
enum Fate {
    Answered,
    FailedBefore,
    FailedAfter,
    Unheard,
}

impl Faulty {
    /// Always two draws an operation, so that the fates do not depend on the delay.
    fn draw(&self) -> (Fate, Duration) {
        let (dice, share) = {
            let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
            (random.f64(), random.f64())
        };
        let settings = &self.settings;
        let before = settings.share_failed_before;
        let after = before + settings.share_failed_after;
        let unheard = after + settings.share_unheard;
        let fate = match dice {
            dice if dice < before => Fate::FailedBefore,
            dice if dice < after => Fate::FailedAfter,
            dice if dice < unheard => Fate::Unheard,
            _ => Fate::Answered,
        };
        (fate, settings.delay.mul_f64(share))
    }

    async fn run<T>(
        &self,
        operation: Operation,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let (fate, delay) = self.draw();
        if !delay.is_zero() {
            pause(delay).await;
        }
        let failed = |why: &'static str| Error::new(ErrorKind::Unavailable, operation, self.to_string(), why);
        match fate {
            Fate::Answered => work.await,
            Fate::FailedBefore => Err(failed("a drill: it was not sent").without_effect()),
            Fate::FailedAfter => Err(failed("a drill: it was lost on the way")),
            Fate::Unheard => {
                work.await?;
                Err(failed("a drill: the answer was lost"))
            }
        }
    }
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "faults({})", self.inner)
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl SessionStore for Faulty {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn load(&self, key: &SessionKey, freshness: Freshness) -> Result<Option<Loaded>, Error> {
        self.run(Operation::Load, self.inner.load(key, freshness)).await
    }

    async fn save(&self, key: &SessionKey, write: &Write) -> Result<SaveAnswer, Error> {
        self.run(Operation::Save, self.inner.save(key, write)).await
    }

    async fn touch(&self, key: &SessionKey, deadline: Timestamp) -> Result<bool, Error> {
        self.run(Operation::Touch, self.inner.touch(key, deadline)).await
    }

    async fn delete(&self, key: &SessionKey) -> Result<(), Error> {
        self.run(Operation::Delete, self.inner.delete(key)).await
    }

    async fn inspect(&self, key: &SessionKey) -> Result<Option<Stored>, Error> {
        self.run(Operation::Inspect, self.inner.inspect(key)).await
    }

    async fn install(
        &self,
        key: &SessionKey,
        over: Option<Standing>,
        new: &Stored,
    ) -> Result<InstallAnswer, Error> {
        self.run(Operation::Install, self.inner.install(key, over, new)).await
    }
}
