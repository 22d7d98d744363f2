//! The primary steps down, dies, freezes.

use holdover_api::{On, SessionKey, Stamp};

use super::tools::{Set, bounded, saved};
use crate::case::Ending;
use crate::require;
use crate::suites::fail::tools::bench;
use crate::trial::{Subject, Trial};

const STEPS: usize = 3;

/// Reads on each node at once after a waking.
const READS: usize = 100;

/// FAIL-61.
pub(super) async fn handed_over(trial: Trial) -> Result<(), Ending> {
    let set = Set::start(&trial).await?;
    let load = set.load().await?;
    for _ in 0..STEPS {
        bench(set.control().step_down().await)?;
        load.goes_on(60).await?;
    }
    set.audit(load, 20).await
}

/// FAIL-62.
pub(super) async fn killed(trial: Trial) -> Result<(), Ending> {
    let set = Set::start(&trial).await?;
    let load = set.load().await?;
    bench(set.control().kill_primary().await)?;
    bench(set.control().elected().await)?;
    load.goes_on(100).await?;
    set.audit(load, 50).await
}

/// FAIL-63.
pub(super) async fn frozen(trial: Trial) -> Result<(), Ending> {
    let set = Set::start(&trial).await?;
    let key = set.nodes[0].create(&[("awake", b"1")]).await?;
    let load = set.load().await?;
    bench(set.control().keep_primary_unaware().await)?;
    bench(set.control().pause_primary().await)?;
    bench(set.control().elected().await)?;
    load.goes_on(100).await?;
    let write = set.nodes[0].write(On::Live, &[("asleep", b"1")]);
    bounded("save", saved(&set.nodes[0], &key, &write)).await??;
    bench(set.control().resume().await)?;
    let [first, second] = &set.nodes;
    let (seen_first, seen_second) =
        tokio::join!(never_older(first, &key, write.stamp), never_older(second, &key, write.stamp));
    seen_first.and(seen_second)?;
    // And writes find the one that may take them.
    load.goes_on(100).await?;
    set.audit(load, 50).await
}

/// Every read of the latest sees this write.
async fn never_older(node: &Subject, key: &SessionKey, stamp: Stamp) -> Result<(), Ending> {
    for _ in 0..READS {
        let loaded = bounded("load", node.load_live(key)).await??;
        require!(
            loaded.record.lineage.contains(stamp),
            "the latest is older than what was acknowledged while a primary slept (S2)"
        );
    }
    Ok(())
}
