//! How writes and touches move the end of a session.

use std::time::Duration;

use holdover_api::{Deadline, On, SessionKey, Timestamp};

use super::{always, gone, saved};
use crate::case::{Case, Ending};
use crate::require;
use crate::trial::{LIFETIME, Subject, Trial};

const LATER: Duration = Duration::from_secs(60);

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(
            "CON-12",
            a_touch_keeps_attributes_and_head,
            always,
            "S12, S13: a touch that writes back what its request had loaded undoes the writes of others \
             (session-file-store#55), and one that moves the head makes them conflict."
        ),
        case!(
            "CON-13",
            a_write_never_leaves_a_session_without_end,
            always,
            "S4, S10: a write that drops the time-out leaves a session that never ends; Redis does so on a plain SET."
        ),
        case!(
            "CON-41",
            a_deadline_only_moves_later,
            always,
            "S10, S12: a node with a slow clock must not shorten the session that another node has promised."
        ),
        case!(
            "CON-42",
            exactly_means_exactly,
            always,
            "S1, S10: a policy may shorten a session on purpose, and a moment that has passed ends it at once."
        ),
        case!(
            "CON-43",
            an_expired_session_makes_room_for_a_new_one,
            always,
            "S1, S5, S8: at its deadline a session is over for every operation, and its key is free."
        ),
    ]
}

async fn deadline_of(node: &Subject, key: &SessionKey) -> Result<Timestamp, Ending> {
    Ok(node.load_live(key).await?.record.deadline)
}

async fn a_touch_keeps_attributes_and_head(trial: Trial) -> Result<(), Ending> {
    let (node, slow) = (trial.node().await?, trial.node().await?);
    let key = node.create(&[("a", b"1"), ("b", &[0, 255])]).await?;
    slow.load_live(&key).await?;
    node.merge(&key, &[("a", b"2")]).await?;
    let before = node.load_live(&key).await?.record;
    let later = before.deadline + LATER;
    require!(slow.touch(&key, later).await?, "a touch says that a live session is gone");
    let after = node.load_live(&key).await?.record;
    require!(after.attributes == before.attributes, "a touch changed attributes");
    require!(after.lineage == before.lineage, "a touch changed the lineage");
    require!(after.created == before.created, "a touch moved the beginning of the session");
    require!(after.deadline == later, "a touch did not move the deadline to where it was asked to");
    let swap = node.write(On::Head(before.head()), &[("a", b"3")]);
    saved(&node.save(&key, &swap).await?, "a write on the head that was read before a touch")?;
    Ok(())
}

async fn a_write_never_leaves_a_session_without_end(trial: Trial) -> Result<(), Ending> {
    let node = trial.node().await?;
    let key = node.create(&[("a", b"0")]).await?;
    let promised = deadline_of(&node, &key).await?;
    for round in 0..4_u8 {
        let head = node.load_live(&key).await?.record.head();
        let on = if round % 2 == 0 { On::Live } else { On::Head(head) };
        saved(&node.save(&key, &node.write(on, &[("a", &[round])])).await?, "a write")?;
        let deadline = deadline_of(&node, &key).await?;
        require!(deadline >= promised, "a write shortened the session");
        let Some(raw) = trial.harness().raw() else {
            continue;
        };
        let native = raw.native_deadline(trial.place(), &key).await.map_err(Ending::Error)?;
        match native {
            None => return Err(Ending::Failed("nothing is stored after a write".to_owned())),
            Some(None) => {
                require!(node.has_no_native_deadlines(), "a write dropped the server's own time-out");
            }
            Some(Some(native)) => {
                require!(native >= deadline, "the server would remove the session before its deadline");
            }
        }
    }
    Ok(())
}

async fn a_deadline_only_moves_later(trial: Trial) -> Result<(), Ending> {
    let node = trial.node().await?;
    let key = node.create(&[("a", b"1")]).await?;
    let promised = deadline_of(&node, &key).await?;
    let earlier = promised - LATER;

    require!(
        node.touch(&key, earlier).await?,
        "a touch with an earlier deadline says that the session is gone"
    );
    require!(deadline_of(&node, &key).await? == promised, "a touch shortened the session");
    require!(
        node.touch(&key, trial.now() - LATER).await?,
        "a touch with a past deadline says that the session is gone"
    );
    require!(deadline_of(&node, &key).await? == promised, "a touch into the past shortened the session");

    for moment in [earlier, trial.now() - LATER, promised + LATER] {
        let mut write = node.write(On::Live, &[("a", b"2")]);
        write.deadline = Deadline::AtLeast(moment);
        saved(&node.save(&key, &write).await?, "a write with another deadline")?;
        let expected = promised.max(moment);
        require!(
            deadline_of(&node, &key).await? == expected,
            "a write asked for at least a moment, and the deadline is not the later of the two"
        );
    }
    Ok(())
}

async fn exactly_means_exactly(trial: Trial) -> Result<(), Ending> {
    let node = trial.node().await?;
    let key = node.create(&[("a", b"1")]).await?;
    let promised = deadline_of(&node, &key).await?;
    for moment in [promised - LATER, promised + LATER] {
        let mut write = node.write(On::Live, &[("a", b"2")]);
        write.deadline = Deadline::Exactly(moment);
        saved(&node.save(&key, &write).await?, "a write with an exact deadline")?;
        require!(deadline_of(&node, &key).await? == moment, "the deadline is not exactly the one asked for");
    }
    for past in [trial.now(), trial.now() - LATER] {
        let ended = node.create(&[("a", b"1")]).await?;
        let mut last = node.write(On::Live, &[("a", b"2")]);
        last.deadline = Deadline::Exactly(past);
        saved(&node.save(&ended, &last).await?, "a write that ends the session")?;
        require!(
            node.load(&ended).await?.is_none(),
            "a session whose deadline was set into the past is loaded"
        );
        let late = node.save(&ended, &node.write(On::Live, &[("a", b"3")])).await?;
        gone(&late, "a write to a session that was ended")?;
    }
    Ok(())
}

async fn an_expired_session_makes_room_for_a_new_one(trial: Trial) -> Result<(), Ending> {
    let node = trial.node().await?;
    let key = node.create(&[("a", b"old")]).await?;
    let old = node.load_live(&key).await?.record;
    trial.clock().set(old.deadline);
    require!(node.load(&key).await?.is_none(), "a session is loaded at its deadline");
    gone(&node.save(&key, &node.write(On::Live, &[("a", b"2")])).await?, "a write to an expired session")?;
    let swap = node.write(On::Head(old.head()), &[("a", b"2")]);
    gone(&node.save(&key, &swap).await?, "a write on the head of an expired session")?;
    require!(!node.touch(&key, trial.now() + LIFETIME).await?, "a touch revived an expired session");
    require!(node.load(&key).await?.is_none(), "an expired session came back");
    let create = node.creation(&[("b", b"new")]);
    saved(&node.save(&key, &create).await?, "a create over an expired session")?;
    let record = node.load_live(&key).await?.record;
    require!(record.attributes.keys().eq(["b"]), "the new session has attributes of the expired one");
    require!(record.lineage.stamps() == [create.stamp], "the new session has the lineage of the expired one");
    Ok(())
}
