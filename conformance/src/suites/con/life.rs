//! From creation to deletion.

use holdover_api::{On, SaveAnswer, SessionKey};

use super::{always, conflict, gone, saved};
use crate::case::{Case, Ending};
use crate::require;
use crate::trial::{LIFETIME, Subject, Trial};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(
            "CON-01",
            a_created_session_is_loaded,
            always,
            "S2, S5: what was created is there, byte for byte, with its head, its beginning and its end."
        ),
        case!(
            "CON-02",
            a_load_of_an_unknown_key_creates_nothing,
            always,
            "I8: otherwise anybody fills the store with sessions by inventing ids, and an invented id is adopted \
             (rails#2039, cherrypy#709)."
        ),
        case!(
            "CON-03",
            a_write_to_an_unknown_key_is_gone,
            always,
            "S8, I8: a save that creates what is not there adopts invented ids and revives what was destroyed."
        ),
        case!(
            "CON-04",
            a_touch_of_an_unknown_key_leaves_no_husk,
            always,
            "S12, S13: a touch that creates leaves a record without attributes, and every later load fails \
             (spring-session#3347, #2021)."
        ),
        case!(
            "CON-05",
            a_deletion_of_nothing_is_fine,
            always,
            "S14: a logout that is tried again, or that comes after expiry, is not an error."
        ),
        case!(
            "CON-06",
            a_second_creation_conflicts,
            always,
            "S5: a create that overwrites gives one session to two users (tower-sessions#180)."
        ),
        case!(
            "CON-07",
            deleted_stays_deleted,
            always,
            "S8, S15, I1: after a logout nothing brings the session back: no merge, no compare-and-set, no touch \
             (CVE-2025-46336)."
        ),
        case!(
            "CON-08",
            a_second_deletion_is_fine,
            always,
            "S14: a retry of a logout whose answer was lost succeeds."
        ),
    ]
}

async fn a_created_session_is_loaded(trial: Trial) -> Result<(), Ending> {
    let node = trial.node().await?;
    let key = trial.key();
    let mut write = node.creation(&[("a", b"1"), ("b", b"2")]);
    let began = trial.now() - LIFETIME;
    write.on = On::Absent { created: began };
    let previous = saved(&node.save(&key, &write).await?, "a create")?;
    require!(previous.is_none(), "a create says that it replaced something");
    let record = node.load_live(&key).await?.record;
    let attributes: Vec<(&str, &[u8])> =
        record.attributes.iter().map(|(name, value)| (name.as_str(), &value[..])).collect();
    require!(
        attributes == [("a", &b"1"[..]), ("b", b"2")],
        "the attributes differ from those created: {attributes:?}"
    );
    require!(record.lineage.stamps() == [write.stamp], "the lineage is not the create's stamp alone");
    require!(record.created == began, "the beginning of the session was not kept");
    require!(record.deadline == write.deadline.moment(), "the deadline is not the one asked for");
    Ok(())
}

/// Nothing may be there, whichever way one looks.
async fn nothing_there(node: &Subject, key: &SessionKey, after: &str) -> Result<(), Ending> {
    require!(node.load(key).await?.is_none(), "a session is there after {after}");
    let stored = node.store.inspect(key).await;
    let stored = stored.map_err(|error| Ending::Failed(format!("inspect failed after {after}: {error}")))?;
    require!(stored.is_none(), "something is stored after {after}: {stored:?}");
    let Some(raw) = node.trial().harness().raw() else {
        return Ok(());
    };
    let count = raw.count(node.trial().place()).await.map_err(Ending::Error)?;
    require!(count == 0, "{count} sessions are stored after {after}");
    Ok(())
}

async fn a_load_of_an_unknown_key_creates_nothing(trial: Trial) -> Result<(), Ending> {
    let node = trial.node().await?;
    let key = trial.key();
    for _ in 0..3 {
        require!(node.load(&key).await?.is_none(), "a load of an unknown key found a session");
    }
    nothing_there(&node, &key, "loads of an unknown key").await?;
    let created = node.save(&key, &node.creation(&[("a", b"1")])).await?;
    saved(&created, "a create under a key that was only loaded")?;
    node.load_live(&key).await?;
    Ok(())
}

async fn a_write_to_an_unknown_key_is_gone(trial: Trial) -> Result<(), Ending> {
    let node = trial.node().await?;
    let key = trial.key();
    for on in [On::Live, On::Head(trial.stamp())] {
        let answer = node.save(&key, &node.write(on, &[("a", b"1")])).await?;
        gone(&answer, "a write to an unknown key")?;
        nothing_there(&node, &key, "a refused write").await?;
    }
    Ok(())
}

async fn a_touch_of_an_unknown_key_leaves_no_husk(trial: Trial) -> Result<(), Ending> {
    let node = trial.node().await?;
    let key = trial.key();
    let touched = node.touch(&key, trial.now() + LIFETIME).await?;
    require!(!touched, "a touch says that an unknown session is alive");
    nothing_there(&node, &key, "a touch of an unknown key").await
}

async fn a_deletion_of_nothing_is_fine(trial: Trial) -> Result<(), Ending> {
    let node = trial.node().await?;
    let key = trial.key();
    node.delete(&key).await?;
    require!(node.load(&key).await?.is_none(), "a deletion of nothing made a session");
    let answer = node.save(&key, &node.creation(&[("a", b"1")])).await?;
    if matches!(answer, SaveAnswer::Gone) {
        // The store remembers even this deletion, and keeps to it.
        require!(node.load(&key).await?.is_none(), "a create that was answered with gone made a session");
        return Ok(());
    }
    saved(&answer, "a create after a deletion of nothing")?;
    node.load_live(&key).await?;
    Ok(())
}

async fn a_second_creation_conflicts(trial: Trial) -> Result<(), Ending> {
    let node = trial.node().await?;
    let key = node.create(&[("owner", b"alice")]).await?;
    let second = node.creation(&[("owner", b"bob"), ("extra", b"1")]);
    conflict(&node.save(&key, &second).await?, "a second create under one key")?;
    let record = node.load_live(&key).await?.record;
    require!(
        record.attributes.get("owner").is_some_and(|owner| &owner[..] == b"alice"),
        "the second create replaced the first one's attributes"
    );
    require!(!record.attributes.contains_key("extra"), "the refused create left an attribute behind");
    Ok(())
}

async fn deleted_stays_deleted(trial: Trial) -> Result<(), Ending> {
    let node = trial.node().await?;
    let key = node.create(&[("a", b"1")]).await?;
    let loaded = node.load_live(&key).await?;
    let mut merge = node.write(On::Live, &[("a", b"2")]);
    merge.base = Some(loaded.clone());
    let mut swap = node.write(On::Head(loaded.record.head()), &[("a", b"3")]);
    swap.base = Some(loaded);
    node.delete(&key).await?;
    require!(node.load(&key).await?.is_none(), "the session is loaded right after its deletion");
    for write in [merge, swap] {
        gone(&node.save(&key, &write).await?, "a write that stands on a destroyed session")?;
        require!(node.load(&key).await?.is_none(), "a late write brought the session back");
    }
    let touched = node.touch(&key, trial.now() + LIFETIME).await?;
    require!(!touched, "a touch says that a destroyed session is alive");
    require!(node.load(&key).await?.is_none(), "a late touch brought the session back");
    Ok(())
}

async fn a_second_deletion_is_fine(trial: Trial) -> Result<(), Ending> {
    let node = trial.node().await?;
    let key = node.create(&[("a", b"1")]).await?;
    node.delete(&key).await?;
    node.delete(&key).await?;
    let answer = node.save(&key, &node.write(On::Live, &[("a", b"2")])).await?;
    gone(&answer, "a write after two deletions")
}
