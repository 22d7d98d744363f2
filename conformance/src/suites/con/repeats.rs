//! The same call again, as after an answer that was lost: it is done once and answered each time (S9, I3).

use holdover_api::{Deadline, LINEAGE_DEPTH, On, SessionKey, Write};

use super::{always, saved};
use crate::case::{Case, Ending};
use crate::require;
use crate::trial::{LIFETIME, Subject, Trial};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(
            "CON-44",
            a_repeated_creation_is_saved_once,
            always,
            "S9, I3: a create whose answer was lost is tried again; it must not find itself in the way."
        ),
        case!(
            "CON-45",
            a_repeated_merge_is_saved_once,
            always,
            "S9, I3: a retry that happens twice undoes what others wrote in between."
        ),
        case!(
            "CON-46",
            a_repeated_swap_is_saved_once,
            always,
            "S9, I3: a store that only compares versions reports a writer's own success as a conflict, and the \
             framework then counts twice (in 39 of 40 runs of our spike)."
        ),
        case!(
            "CON-47",
            a_retry_does_not_stretch_the_session,
            always,
            "S9, S10: a write that has happened is not done again, not even its deadline."
        ),
        case!(
            "CON-48",
            a_repeated_touch_and_deletion_change_nothing_more,
            always,
            "S12, S14, I3: every operation may be tried again after any failure."
        ),
    ]
}

/// Repeats `write` right away and after each of the later writes that a lineage still remembers, up to the last
/// moment: it has to be answered as saved, and to change nothing.
async fn repeat_while_remembered(node: &Subject, key: &SessionKey, write: &Write) -> Result<(), Ending> {
    // What is stored forgets it with the last of the later writes; a store may have it from elsewhere.
    let replaced = node.load_live(key).await?.record.lineage.before(write.stamp);
    for later in 0..LINEAGE_DEPTH {
        let before = node.load_live(key).await?.record;
        require!(
            before.lineage.contains(write.stamp),
            "the lineage has forgotten a write after {later} others"
        );
        let what = format!("a write that is tried again after {later} others");
        let previous = saved(&node.save(key, write).await?, &what)?;
        require!(previous.is_none() || previous == replaced, "{what} names a head that it did not replace");
        let after = node.load_live(key).await?.record;
        require!(after == before, "{what} changed {before:?} into {after:?}");
        if later + 1 < LINEAGE_DEPTH {
            node.merge(key, &[("a", format!("later {later}").as_bytes())]).await?;
        }
    }
    Ok(())
}

async fn a_repeated_creation_is_saved_once(trial: Trial) -> Result<(), Ending> {
    let node = trial.node().await?;
    let key = trial.key();
    let create = node.creation(&[("a", b"first")]);
    saved(&node.save(&key, &create).await?, "a create")?;
    repeat_while_remembered(&node, &key, &create).await
}

async fn a_repeated_merge_is_saved_once(trial: Trial) -> Result<(), Ending> {
    let node = trial.node().await?;
    let key = node.create(&[("a", b"0"), ("b", b"0")]).await?;
    let mut merge = node.write(On::Live, &[("a", b"mine")]);
    merge.delta.remove("b");
    saved(&node.save(&key, &merge).await?, "a merge")?;
    repeat_while_remembered(&node, &key, &merge).await
}

async fn a_repeated_swap_is_saved_once(trial: Trial) -> Result<(), Ending> {
    let node = trial.node().await?;
    let key = node.create(&[("a", b"0")]).await?;
    let loaded = node.load_live(&key).await?;
    let mut swap = node.write(On::Head(loaded.record.head()), &[("a", b"mine")]);
    swap.base = Some(loaded);
    saved(&node.save(&key, &swap).await?, "a compare-and-set")?;
    repeat_while_remembered(&node, &key, &swap).await
}

async fn a_retry_does_not_stretch_the_session(trial: Trial) -> Result<(), Ending> {
    let node = trial.node().await?;
    let key = node.create(&[("a", b"0")]).await?;
    let mut write = node.write(On::Live, &[("a", b"1")]);
    saved(&node.save(&key, &write).await?, "a merge")?;
    let before = node.load_live(&key).await?.record;
    // A careless retry layer computes the deadline anew; the stamp says that nothing is left to do.
    for deadline in
        [Deadline::AtLeast(before.deadline + LIFETIME), Deadline::Exactly(before.deadline - LIFETIME / 2)]
    {
        write.deadline = deadline;
        saved(&node.save(&key, &write).await?, "a retry with another deadline")?;
        let after = node.load_live(&key).await?.record;
        require!(after == before, "a retry moved the deadline");
    }
    Ok(())
}

async fn a_repeated_touch_and_deletion_change_nothing_more(trial: Trial) -> Result<(), Ending> {
    let node = trial.node().await?;
    let key = node.create(&[("a", b"0")]).await?;
    let later = trial.now() + LIFETIME + LIFETIME;
    require!(node.touch(&key, later).await?, "a touch says that a live session is gone");
    let before = node.load_live(&key).await?.record;
    for _ in 0..3 {
        require!(node.touch(&key, later).await?, "a repeated touch says that a live session is gone");
    }
    let after = node.load_live(&key).await?.record;
    require!(after == before, "a repeated touch changed the session");
    node.delete(&key).await?;
    node.delete(&key).await?;
    require!(!node.touch(&key, later).await?, "a repeated touch after a deletion found the session");
    require!(node.load(&key).await?.is_none(), "the session is there after two deletions");
    Ok(())
}
