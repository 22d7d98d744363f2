//! The largest record, to the byte.

use holdover_api::{ErrorKind, On, SaveAnswer, Stored, frame};

use super::{always, saved};
use crate::case::{Applies, Case, Ending, Scope};
use crate::require;
use crate::trial::{Subject, Trial};

/// Records beyond this are not made by a test.
const LARGEST_TESTED: usize = 64 * 1024 * 1024;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(
            "CON-19",
            the_size_limit_is_exact_and_refuses_whole_writes,
            testable_limit,
            "S4, S11: one byte under the limit and the limit itself fit; one byte over is refused as too large, with \
             the old record intact and nothing half-done."
        ),
        case!(
            "CON-34",
            capabilities_are_constant_and_honest,
            always,
            "The negative twin of every claim: what a store claims is the same at every call and on every node, and \
             what can be looked up below the store agrees with it."
        ),
    ]
}

fn testable_limit(scope: &Scope) -> Applies {
    if scope.capabilities.max_bytes > LARGEST_TESTED {
        return Applies::No("the store's limit is larger than a test can fill: give it a lower one");
    }
    Applies::Yes
}

/// The longest value of one attribute `v`, with which a record that has seen `writes` writes is exactly at the limit.
fn value_at_limit(node: &Subject, writes: usize) -> usize {
    const HEADER: usize = frame::HEAD_OFFSET + 8;
    let overhead = HEADER + 16 * writes + frame::attribute_size("v".len(), 0);
    node.capabilities().max_bytes.saturating_sub(overhead)
}

async fn refused_as_too_large(
    result: Result<SaveAnswer, holdover_api::Error>,
    what: &str,
) -> Result<(), Ending> {
    match result {
        Ok(answer) => Err(Ending::Failed(format!("{what} has to be too large, and it answered {answer:?}"))),
        Err(error) if error.kind() == ErrorKind::TooLarge => Ok(()),
        Err(error) => Err(Ending::Failed(format!("{what} has to be too large, and it failed with: {error}"))),
    }
}

async fn the_size_limit_is_exact_and_refuses_whole_writes(trial: Trial) -> Result<(), Ending> {
    let node = trial.node().await?;
    let largest = vec![b'x'; value_at_limit(&node, 1) + 1];
    let (over, at, under) = (&largest[..], &largest[1..], &largest[2..]);

    let refused = trial.key();
    let creation = node.creation(&[("v", over)]);
    refused_as_too_large(node.store.save(&refused, &creation).await, "a create one byte over").await?;
    require!(node.load(&refused).await?.is_none(), "a create that was too large made a session");
    for value in [under, at] {
        let key = node.create(&[("v", value)]).await?;
        let loaded = node.load_live(&key).await?.record;
        require!(loaded.attributes["v"] == *value, "a record at the limit came back with other bytes");
    }

    let key = node.create(&[("v", b"old"), ("w", b"old")]).await?;
    let before = node.load_live(&key).await?.record;
    for on in [On::Live, On::Head(before.head())] {
        let mut write = node.write(on, &[("v", over), ("x", b"new")]);
        write.delta.remove("w");
        write.deadline = holdover_api::Deadline::Exactly(before.deadline + crate::trial::LIFETIME);
        refused_as_too_large(node.store.save(&key, &write).await, "a write one byte over").await?;
        let after = node.load_live(&key).await?.record;
        require!(after == before, "a write that was too large changed the session");
    }
    let mut record = (*before).clone();
    record.attributes.insert("v".to_owned(), over.to_vec().into());
    let installed = node.store.install(&key, Some(before.standing()), &Stored::Record(record)).await;
    let kind = installed.map_err(|error| error.kind());
    require!(
        matches!(kind, Err(ErrorKind::TooLarge)),
        "an installation over the limit has to be too large, and it answered {kind:?}"
    );

    let mut fitting = node.write(On::Live, &[("v", &largest[..value_at_limit(&node, 2)])]);
    fitting.delta.remove("w");
    saved(&node.save(&key, &fitting).await?, "a merge whose result is exactly at the limit")?;
    Ok(())
}

async fn capabilities_are_constant_and_honest(trial: Trial) -> Result<(), Ending> {
    let node = trial.node().await?;
    let claimed = node.capabilities();
    let key = node.create(&[("a", b"1")]).await?;
    node.merge(&key, &[("a", b"2")]).await?;
    node.load_live(&key).await?;
    let again = node.capabilities();
    require!(again == claimed, "the claims changed from ({claimed}) to ({again})");
    let other = trial.node().await?.capabilities();
    require!(other == claimed, "another node of the same store claims ({other}) instead of ({claimed})");
    require!(claimed.max_bytes >= 64 * 1024, "a limit of {} bytes holds no session", claimed.max_bytes);

    let Some(raw) = trial.harness().raw() else {
        return Ok(());
    };
    let native = raw.native_deadline(trial.place(), &key).await.map_err(Ending::Error)?;
    let Some(native) = native else {
        return Err(Ending::Error("the harness finds nothing below the store where a session is".to_owned()));
    };
    require!(
        node.has_no_native_deadlines() || native.is_some(),
        "the store claims to expire by itself, and what it stored never would"
    );
    Ok(())
}
