//! The clock of tokio is paused: ages are exact.

mod ages;
mod changes;
mod overtaken;

use std::sync::Arc;
use std::time::Duration;

use holdover_api::{Clock, Freshness, SessionKey, SessionStore, SystemClock};
use holdover_layers::NearCache;

use crate::stage::{Stage, value};

/// Longer than any test takes.
const ANY: Duration = Duration::from_secs(3_600);

fn over(stage: &Arc<Stage>) -> Arc<dyn SessionStore> {
    with_clock(stage, Arc::new(SystemClock))
}

fn with_clock(stage: &Arc<Stage>, clock: Arc<dyn Clock>) -> Arc<dyn SessionStore> {
    let settings = NearCache { max_age: ANY, ..NearCache::default() };
    settings.layer_with_clock(Arc::clone(stage) as Arc<dyn SessionStore>, clock)
}

/// What a reader sees that accepts any copy.
async fn seen(store: &Arc<dyn SessionStore>, key: &SessionKey) -> Option<String> {
    value(store.load(key, Freshness::Within(ANY)).await.unwrap())
}

/// Reads, so that there is a copy from now.
async fn keep_copy(store: &Arc<dyn SessionStore>, key: &SessionKey) {
    assert!(store.load(key, Freshness::Latest).await.unwrap().is_some());
}
