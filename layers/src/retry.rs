//! Tries again what failed and may work the next time.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use holdover_api::{
    Capabilities, Effect, Error, ErrorKind, Freshness, InstallAnswer, Loaded, Operation, SaveAnswer,
    SessionKey, SessionStore, Standing, Stopwatch, Stored, Timestamp, Write, pause, within,
};
use metrics::counter;
use serde::{Deserialize, Serialize};

use crate::duration;
use crate::layer::Layer;
use crate::metrics::names;
use crate::metrics::outcome::Outcome;
use crate::timeout::too_late;

/// Tries operations again: `retry(redis)`.
///
/// Every operation of a store is idempotent, so that all of them are tried again, whatever the effect of the failure:
/// [`ErrorKind::Unavailable`] and [`ErrorKind::Throttled`], after a pause. Other failures are returned at once: the next
/// attempt would end as they did.
///
/// It gives up when the deadline would pass, when the budget is used up, or when the store asks to wait longer than the
/// deadline allows, and then returns the last failure. Its effect is [`Effect::Unknown`] if that of any attempt was.
///
/// What idempotence cannot cover, and a short deadline keeps rare: a save whose stamp eight later writes have pushed out of
/// the lineage ([`LINEAGE_DEPTH`](holdover_api::LINEAGE_DEPTH)) is not recognised, a touch extends once more what another
/// writer has shortened in between, and a delete also ends a session that was created under the same key in between, which
/// sessions never are: ids are drawn.
///
/// ```
/// use std::time::Duration;
/// use holdover_layers::Retry;
///
/// let retry: Retry = serde_json::from_str(r#"{"deadline": "500ms", "budget_share": 0.1}"#)?;
/// assert_eq!(retry.deadline, Duration::from_millis(500));
/// assert_eq!(retry.first_pause, Retry::default().first_pause);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// The longest that an operation may take with all its attempts and pauses. By default 900 ms: below the call
    /// time-out of a [`SessionPolicy`](holdover_api::SessionPolicy), which would otherwise drop the operation and lose
    /// what was known about its failure.
    #[serde(with = "duration::positive")]
    pub deadline: Duration,
    /// The longest first pause; each later one may be twice as long. A pause is drawn between nothing and its longest
    /// (full jitter), so that nodes which failed together do not come back together. By default 20 ms.
    #[serde(with = "duration")]
    pub first_pause: Duration,
    /// No pause is longer, save where the store asks for more. By default 250 ms.
    #[serde(with = "duration")]
    pub max_pause: Duration,
    /// How many retries each operation pays for, whoever makes them, from 0 to 1: in an outage the store gets at most so
    /// much more to do. By default 0.2.
    #[serde(deserialize_with = "duration::deserialize_share")]
    pub budget_share: f64,
    /// How many retries can be saved up, and are there to begin with: enough for a blip in quiet times. By default 100.
    pub budget_reserve: u32,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            deadline: Duration::from_millis(900),
            first_pause: Duration::from_millis(20),
            max_pause: Duration::from_millis(250),
            budget_share: 0.2,
            budget_reserve: 100,
        }
    }
}

impl Layer for Retry {
    fn layer(&self, inner: Arc<dyn SessionStore>) -> Arc<dyn SessionStore> {
        let budget = Budget::new(self.budget_share, self.budget_reserve);
        let name = inner.to_string();
        Arc::new(Retrying { inner, name, settings: self.clone(), budget })
    }
}

#[derive(Debug)]
struct Retrying {
    inner: Arc<dyn SessionStore>,
    /// The inner store's, printed once.
    name: String,
    settings: Retry,
    budget: Budget,
}

impl Retrying {
    async fn run<T, F>(&self, operation: Operation, attempt: impl Fn() -> F + Send + Sync) -> Result<T, Error>
    where
        T: Outcome,
        F: Future<Output = Result<T, Error>> + Send,
    {
        let begun = Stopwatch::start();
        self.budget.earn();
        let mut happened = Effect::None;
        let mut longest_pause = self.settings.first_pause.min(self.settings.max_pause);
        loop {
            let answer = within(self.left(begun), attempt()).await;
            let answer = answer.unwrap_or_else(|| Err(self.gave_out(operation)));
            self.count(operation, answer.outcome());
            let error = match answer {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if error.effect() == Effect::Unknown {
                happened = Effect::Unknown;
            }
            let next = longest_pause.mul_f64(fastrand::f64());
            let next = next.max(error.suggested_delay().unwrap_or_default());
            if !may_pass(&error) || next >= self.left(begun) || !self.budget.spend() {
                return Err(if happened == Effect::Unknown { error.with_unknown_effect() } else { error });
            }
            if !next.is_zero() {
                pause(next).await;
            }
            longest_pause = longest_pause.saturating_mul(2).min(self.settings.max_pause);
        }
    }

    fn left(&self, begun: Stopwatch) -> Duration {
        self.settings.deadline.saturating_sub(begun.elapsed())
    }

    /// The failure of an attempt that was still running at the deadline.
    fn gave_out(&self, operation: Operation) -> Error {
        too_late(operation, self.to_string(), self.settings.deadline)
    }

    fn count(&self, operation: Operation, outcome: &'static str) {
        let store = self.name.clone();
        counter!(names::ATTEMPTS, "store" => store, "operation" => operation.name(), "outcome" => outcome)
            .increment(1);
    }
}

/// Whether the next attempt may end otherwise.
fn may_pass(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Throttled)
}

/// Retries that all operations of a store share: each operation earns a part of one, each retry spends one.
#[derive(Debug)]
struct Budget {
    saved: Mutex<f64>,
    share: f64,
    reserve: f64,
}

impl Budget {
    fn new(share: f64, reserve: u32) -> Self {
        let reserve = f64::from(reserve);
        let share = if share.is_nan() { 0.0 } else { share.clamp(0.0, 1.0) };
        Self { saved: Mutex::new(reserve), share, reserve }
    }

    fn earn(&self) {
        let mut saved = self.saved.lock().unwrap_or_else(PoisonError::into_inner);
        *saved = (*saved + self.share).min(self.reserve.max(1.0));
    }

    fn spend(&self) -> bool {
        let mut saved = self.saved.lock().unwrap_or_else(PoisonError::into_inner);
        if *saved < 1.0 {
            return false;
        }
        *saved -= 1.0;
        true
    }
}

impl fmt::Display for Retrying {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "retry({})", self.inner)
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl SessionStore for Retrying {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn load(&self, key: &SessionKey, freshness: Freshness) -> Result<Option<Loaded>, Error> {
        self.run(Operation::Load, || self.inner.load(key, freshness)).await
    }

    async fn save(&self, key: &SessionKey, write: &Write) -> Result<SaveAnswer, Error> {
        self.run(Operation::Save, || self.inner.save(key, write)).await
    }

    async fn touch(&self, key: &SessionKey, deadline: Timestamp) -> Result<bool, Error> {
        self.run(Operation::Touch, || self.inner.touch(key, deadline)).await
    }

    async fn delete(&self, key: &SessionKey) -> Result<(), Error> {
        self.run(Operation::Delete, || self.inner.delete(key)).await
    }

    async fn inspect(&self, key: &SessionKey) -> Result<Option<Stored>, Error> {
        self.run(Operation::Inspect, || self.inner.inspect(key)).await
    }

    async fn install(
        &self,
        key: &SessionKey,
        over: Option<Standing>,
        new: &Stored,
    ) -> Result<InstallAnswer, Error> {
        self.run(Operation::Install, || self.inner.install(key, over, new)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_lets_a_share_through_once_its_reserve_is_spent() {
        let budget = Budget::new(0.25, 3);
        let spent = |budget: &Budget| std::iter::from_fn(|| budget.spend().then_some(())).count();
        assert_eq!(spent(&budget), 3);
        for _ in 0..8 {
            budget.earn();
        }
        assert_eq!(spent(&budget), 2);
        for _ in 0..1_000 {
            budget.earn();
        }
        assert_eq!(spent(&budget), 3, "no more than the reserve is saved up");
    }

    #[test]
    fn a_share_that_is_no_number_is_nothing() {
        let budget = Budget::new(f64::NAN, 0);
        budget.earn();
        assert!(!budget.spend());
    }
}
