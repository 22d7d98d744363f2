//! The exam, on each layer and on a stack of them over memory: `cargo test -p holdover-layers --all-features --test
//! memory_stacks [filter]`.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use holdover_api::{Clock, Error, SessionStore};
use holdover_conformance::{Harness, MemoryHarness, Node};
use holdover_layers::{Faults, Layer, Metrics, NearCache, Retry, Timeout, Trace};

type Stack = fn(Arc<dyn SessionStore>, Arc<dyn Clock>) -> Arc<dyn SessionStore>;

/// Puts layers around the memory store: each node has its own, as each process would.
struct Stacked {
    name: &'static str,
    stack: Stack,
    memory: MemoryHarness,
}

impl Stacked {
    fn of(name: &'static str, stack: Stack) -> Arc<dyn Harness> {
        Arc::new(Self { name, stack, memory: MemoryHarness::default() })
    }
}

#[async_trait]
impl Harness for Stacked {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    async fn open(&self, node: Node) -> Result<Arc<dyn SessionStore>, Error> {
        let clock = Arc::clone(&node.clock);
        Ok((self.stack)(self.memory.open(node).await?, clock))
    }
}

/// The exam is about answers: a machine that builds beside it must not make it run out of time.
const PATIENCE: Duration = Duration::from_secs(5);

fn timeout(inner: Arc<dyn SessionStore>) -> Arc<dyn SessionStore> {
    Timeout { limit: PATIENCE }.layer(inner)
}

fn retry(inner: Arc<dyn SessionStore>) -> Arc<dyn SessionStore> {
    Retry { deadline: PATIENCE * 2, ..Retry::default() }.layer(inner)
}

fn near_cache(inner: Arc<dyn SessionStore>, clock: Arc<dyn Clock>) -> Arc<dyn SessionStore> {
    // Longer than any case takes: what a copy may not be is then up to the bound of the reader.
    NearCache { max_age: Duration::from_secs(600), ..NearCache::default() }.layer_with_clock(inner, clock)
}

/// Faults that retries hide: they come at once, and as many as it takes.
///
/// No answer is lost here. A delete or a touch that has happened and is tried again acts a second time on what is there by
/// then, and the exam, other than users, creates sessions anew under keys that it has deleted. What becomes of lost answers
/// is shown in `tests/layers/retry.rs`, operation by operation.
fn retried_faults(inner: Arc<dyn SessionStore>) -> Arc<dyn SessionStore> {
    let faults = Faults { seed: 7, share_failed_before: 0.1, share_failed_after: 0.1, ..Faults::default() };
    let retry = Retry {
        deadline: PATIENCE,
        first_pause: Duration::ZERO,
        budget_share: 1.0,
        budget_reserve: 1_000,
        ..Retry::default()
    };
    retry.layer(faults.layer(inner))
}

fn main() -> ExitCode {
    holdover_conformance::main_of(vec![
        Stacked::of("retry(memory)", |memory, _| retry(memory)),
        Stacked::of("timeout(memory)", |memory, _| timeout(memory)),
        Stacked::of("metrics(memory)", |memory, _| Metrics::default().layer(memory)),
        Stacked::of("trace(memory)", |memory, _| Trace {}.layer(memory)),
        Stacked::of("near_cache(memory)", near_cache),
        Stacked::of("faults(memory)", |memory, _| Faults::default().layer(memory)),
        Stacked::of("retry(faults(memory))", |memory, _| retried_faults(memory)),
        Stacked::of("metrics(near_cache(retry(timeout(memory))))", |memory, clock| {
            Metrics::default().layer(near_cache(retry(timeout(memory)), clock))
        }),
    ])
}
