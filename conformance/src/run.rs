//! Runs one case, whatever the store does meanwhile: panics, hangs and lies end in a verdict.

use std::any::Any;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use holdover_api::{Stopwatch, within};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::case::{Applies, Case, Ending, Scope, Verdict};
use crate::harness::{Harness, Node};
use crate::random::Random;
use crate::report::{Outcome, Report};
use crate::trial::Trial;

/// How long a case may take before it counts as hanging.
pub const CASE_LIMIT: Duration = Duration::from_secs(60);

/// The seed of one case: the same for the same master seed and id, whatever else runs.
pub fn case_seed(master: u64, case_id: &str) -> u64 {
    // FNV-1a: tiny, and the same for ever.
    let mut hash = 0xCBF2_9CE4_8422_2325_u64;
    for byte in case_id.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
    }
    Random::new(master ^ hash).next()
}

/// Finds out what is examined: what the store claims and what the harness can do.
///
/// Opens one handle, and asks for a private server, a private cluster and a private set once.
pub async fn scope_of(harness: &Arc<dyn Harness>) -> Result<Scope, Ending> {
    let harness = Arc::clone(harness);
    guarded(CASE_LIMIT, async move {
        let trial = Trial::new(Arc::clone(&harness), "scope", 0)?;
        let node =
            Node { place: trial.place().to_owned(), clock: Arc::clone(trial.clock()) as Arc<_>, via: None };
        let store = harness
            .open(node)
            .await
            .map_err(|error| Ending::Error(format!("no handle could be opened: {error}")))?;
        Ok(Scope {
            capabilities: store.capabilities(),
            raw: harness.raw().is_some(),
            frames: harness.raw().is_some_and(|raw| raw.keeps_frames()),
            proxied: harness.address().is_some(),
            servers: harness.private_server().await.is_some(),
            copies: harness.copies(),
            clusters: harness.private_cluster(harness.copies().count).await.is_some(),
            sets: harness.private_set().await.is_some(),
            rotates: harness.longest_lease().is_some(),
            worlds: harness.rotation().is_some(),
        })
    })
    .await
}

/// Cases that are under way at the same time: they mostly wait for the store.
const CASES_AT_A_TIME: usize = 4;

/// Puts cases to a store, a few at a time, and answers what is examined and what came of it, in the order of the cases.
///
/// Needs a multi-threaded runtime, as [`run_case`] does. [`Transcript`](crate::Transcript) shows it.
///
/// # Errors
///
/// As [`scope_of`]: no handle could be opened.
pub async fn examine(
    harness: &Arc<dyn Harness>,
    cases: Vec<Case>,
    seed: u64,
) -> Result<(Scope, Report), Ending> {
    let scope = scope_of(harness).await?;
    let places = Arc::new(Semaphore::new(CASES_AT_A_TIME));
    let mut running = JoinSet::new();
    for (number, case) in cases.into_iter().enumerate() {
        let (harness, places) = (Arc::clone(harness), Arc::clone(&places));
        running.spawn(async move {
            let _place = places.acquire().await;
            let since = Stopwatch::start();
            let verdict = run_case_in(&harness, &scope, &case, seed, CASE_LIMIT).await;
            (number, Outcome { case, verdict, took: since.elapsed() })
        });
    }
    let mut numbered = running.join_all().await;
    numbered.sort_by_key(|(number, _)| *number);
    Ok((scope, Report { outcomes: numbered.into_iter().map(|(_, outcome)| outcome).collect() }))
}

/// Puts one case to one store.
///
/// `seed` is the master seed of the run; the case derives its own from it. Needs a multi-threaded runtime, so that a
/// store that blocks its thread cannot stop the clock.
///
/// ```no_run
/// # use std::sync::Arc;
/// # use holdover_conformance::{Harness, Verdict, run_case, suites};
/// # async fn example(harness: Arc<dyn Harness>) {
/// for case in suites::all() {
///     let verdict = run_case(&harness, &case, 42).await;
///     println!("{} {}", case.id, verdict.word());
/// }
/// # }
/// ```
pub async fn run_case(harness: &Arc<dyn Harness>, case: &Case, seed: u64) -> Verdict {
    match scope_of(harness).await {
        Ok(scope) => run_case_in(harness, &scope, case, seed, CASE_LIMIT).await,
        Err(ending) => Verdict::Ended(ending),
    }
}

/// As [`run_case`] where the scope is known already, and with a limit of its own.
pub async fn run_case_in(
    harness: &Arc<dyn Harness>,
    scope: &Scope,
    case: &Case,
    seed: u64,
    limit: Duration,
) -> Verdict {
    match (case.applies)(scope) {
        Applies::Yes => {}
        Applies::No(reason) => return Verdict::NotApplicable(reason.to_owned()),
        Applies::NotRun(reason) => return Verdict::NotRun(reason.to_owned()),
    }
    let trial = match Trial::new(Arc::clone(harness), case.id, case_seed(seed, case.id)) {
        Ok(trial) => trial,
        Err(ending) => return Verdict::Ended(ending),
    };
    let run = case.run;
    match guarded(limit, async move { run(trial).await }).await {
        Ok(()) => Verdict::Pass,
        Err(ending) => Verdict::Ended(ending),
    }
}

/// Runs `work` on a task of its own: a panic or a hang in it is an ending.
async fn guarded<T: Send + 'static>(
    limit: Duration,
    work: impl Future<Output = Result<T, Ending>> + Send + 'static,
) -> Result<T, Ending> {
    let mut task = tokio::spawn(work);
    let Some(joined) = within(limit, &mut task).await else {
        task.abort();
        return Err(Ending::Failed(format!(
            "nothing came of it within {} s: the store hangs",
            limit.as_secs_f64()
        )));
    };
    joined.unwrap_or_else(|error| match error.try_into_panic() {
        Ok(payload) => Err(Ending::Failed(format!("panic: {}", panic_text(payload.as_ref())))),
        Err(error) => Err(Ending::Error(format!("the case was stopped: {error}"))),
    })
}

fn panic_text(payload: &(dyn Any + Send)) -> &str {
    if let Some(text) = payload.downcast_ref::<&str>() {
        return text;
    }
    payload.downcast_ref::<String>().map_or("without a message", String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_of_a_case_follows_from_the_run_and_the_case() {
        assert_eq!(case_seed(1, "CON-01"), case_seed(1, "CON-01"));
        assert_ne!(case_seed(1, "CON-01"), case_seed(2, "CON-01"));
        assert_ne!(case_seed(1, "CON-01"), case_seed(1, "CON-02"));
    }

    #[tokio::test]
    async fn panics_and_hangs_are_endings() {
        let panicked = guarded(CASE_LIMIT, async {
            if CASE_LIMIT > Duration::ZERO {
                panic!("out of order");
            }
            Ok(())
        });
        assert_eq!(panicked.await, Err(Ending::Failed("panic: out of order".to_owned())));
        let hung = guarded(Duration::from_millis(5), std::future::pending::<Result<(), Ending>>()).await;
        assert!(matches!(hung, Err(Ending::Failed(text)) if text.contains("hangs")));
    }
}
