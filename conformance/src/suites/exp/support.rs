//! What cases about time have in common.

use std::time::Duration;

use holdover_api::{Deadline, On, Record, SessionKey, Timestamp, Write};

use crate::case::Ending;
use crate::require;
use crate::suites::race::support::require_dead;
use crate::trial::{LIFETIME, Subject, Trial};

pub(super) const HOUR: Duration = Duration::from_secs(60 * 60);
pub(super) const DAY: Duration = Duration::from_secs(24 * 60 * 60);
pub(super) const MILLISECOND: Duration = Duration::from_millis(1);

/// Moves the trial's clock a day ahead of the server's, which then removes nothing while the case runs.
pub(super) fn outrun_the_server(trial: &Trial) {
    trial.clock().advance(DAY);
}

/// Moves the clock to a share of [`LIFETIME`] after `start`.
pub(super) fn at(trial: &Trial, start: Timestamp, share: f64) {
    trial.clock().set(start + LIFETIME.mul_f64(share));
}

/// A session that was created with this deadline.
pub(super) async fn create_until(
    node: &Subject,
    trial: &Trial,
    deadline: Timestamp,
) -> Result<SessionKey, Ending> {
    let key = trial.key();
    let write = Write { deadline: Deadline::AtLeast(deadline), ..node.creation(&[("user", b"ada")]) };
    node.save(&key, &write).await?;
    Ok(key)
}

/// A merge with this deadline.
pub(super) fn merge_until(node: &Subject, deadline: Deadline) -> Write {
    Write { deadline, ..node.write(On::Live, &[("seen", b"1")]) }
}

/// The session is alive with exactly this deadline, and its content is there.
pub(super) async fn require_alive(
    node: &Subject,
    key: &SessionKey,
    deadline: Timestamp,
) -> Result<Record, Ending> {
    let now = node.now();
    let Some(loaded) = node.load(key).await? else {
        let left = deadline.since(now).as_millis();
        return Err(Ending::Failed(format!("a session was dead {left} ms before its deadline")));
    };
    let record = loaded.record.as_ref().clone();
    let found = record.deadline.as_millis();
    require!(found == deadline.as_millis(), "the deadline has to be {} and is {found}", deadline.as_millis());
    require!(record.attributes.contains_key("user"), "a live session has lost its content");
    Ok(record)
}

/// The session is dead, and stays so whatever is tried, on every node.
pub(super) async fn require_expired(
    nodes: &[&Subject],
    key: &SessionKey,
    last: &Record,
) -> Result<(), Ending> {
    for node in nodes {
        require_dead(node, key, last.head()).await?;
    }
    Ok(())
}
