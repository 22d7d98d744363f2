//! Rolling expiry against writers: RACE-10 and RACE-11. A touch never carries data (S13).

use std::sync::Arc;

use holdover_api::SessionKey;
use tokio::sync::Barrier;

use super::support::{all_read, case, must_save, on_head, together, two_nodes};
use crate::case::{Case, Ending};
use crate::require;
use crate::trial::{LIFETIME, Subject, Trial};

const PAIRS: usize = 500;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(
            "RACE-10",
            "a_long_poll_does_not_undo_a_write_when_it_touches",
            "A slow reader loaded the session before the user logged out of an account, and extends it at its end. \
             A touch that writes back what was loaded logs the user in again (session-file-store#55).",
            |trial| Box::pin(long_poll(trial)),
        ),
        case(
            "RACE-11",
            "a_touch_and_a_save_at_the_same_instant_do_not_disturb_each_other",
            "Five hundred times a save on a head and a touch start together. The save never conflicts because of \
             the touch, is never lost to it, and the longer deadline stays.",
            |trial| Box::pin(same_instant(trial)),
        ),
    ]
}

async fn long_poll(trial: Trial) -> Result<(), Ending> {
    let (one, two) = two_nodes(&trial).await?;
    let key = one.create(&[("user", b"ada")]).await?;
    one.load_live(&key).await?;
    let read = two.load_live(&key).await?;
    must_save(&two, &key, &on_head(&two, &read, &[("user", b"-")])).await?;
    let written = two.load_live(&key).await?.record;

    let deadline = one.now() + LIFETIME * 2;
    let touched = one.touch(&key, deadline).await?;
    require!(touched, "a touch of a live session answered that there is none");
    all_read(&[&one, &two], &key, "user", "-").await?;
    let seen = one.load_live(&key).await?.record;
    require!(seen.lineage == written.lineage, "the touch changed the lineage");
    require!(seen.deadline == deadline, "the touch did not extend the session");
    Ok(())
}

async fn same_instant(trial: Trial) -> Result<(), Ending> {
    let (one, two) = two_nodes(&trial).await?;

    let key = one.create(&[("n", b"0")]).await?;
    let read = one.load_live(&key).await?;
    two.touch(&key, two.now() + LIFETIME * 2).await?;
    must_save(&one, &key, &on_head(&one, &read, &[("n", b"touched first")])).await?;
    two.touch(&key, two.now() + LIFETIME * 3).await?;
    all_read(&[&one, &two], &key, "n", "touched first").await?;

    for pair in 0..PAIRS {
        side_by_side(&one, &two, key, &pair.to_string()).await?;
    }
    Ok(())
}

async fn side_by_side(one: &Subject, two: &Subject, key: SessionKey, value: &str) -> Result<(), Ending> {
    let read = one.load_live(&key).await?;
    two.load_live(&key).await?;
    let deadline = read.record.deadline + LIFETIME;
    let write = on_head(one, &read, &[("n", value.as_bytes())]);
    let gate = Arc::new(Barrier::new(2));
    let sides = [(one.clone(), Some(write)), (two.clone(), None)].map(|(node, write)| {
        let gate = Arc::clone(&gate);
        async move {
            gate.wait().await;
            if let Some(write) = write {
                return must_save(&node, &key, &write).await;
            }
            let touched = node.touch(&key, deadline).await?;
            require!(touched, "a touch beside a save answered that there is no session");
            Ok(())
        }
    });
    together(sides).await?;
    all_read(&[one, two], &key, "n", value).await?;
    let seen = two.load_live(&key).await?.record;
    require!(seen.deadline >= deadline, "a save beside a touch shortened the session");
    Ok(())
}
