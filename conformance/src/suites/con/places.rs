//! Which sessions are the same one, and who sees them.

use std::collections::BTreeMap;

use holdover_api::{On, SessionKey};

use super::{always, gone, saved};
use crate::case::{Case, Ending};
use crate::require;
use crate::trial::{LIFETIME, Trial};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(
            "CON-18",
            neighbouring_keys_are_different_sessions,
            always,
            "Keys that differ in one bit are two sessions: a key that is shortened, folded or read as text shares a \
             session between two users."
        ),
        case!(
            "CON-31",
            places_are_isolated,
            always,
            "Two applications with a prefix each share a server and nothing else."
        ),
        case!(
            "CON-32",
            two_handles_see_each_other,
            always,
            "S2: what one node has acknowledged, the other sees at once: creation, change, extension, deletion."
        ),
    ]
}

async fn neighbouring_keys_are_different_sessions(trial: Trial) -> Result<(), Ending> {
    let node = trial.node().await?;
    let base = *trial.key().as_bytes();
    let mut keys = vec![
        SessionKey::from_bytes(base),
        SessionKey::from_bytes([0; 32]),
        SessionKey::from_bytes([0xFF; 32]),
    ];
    for position in 0..base.len() {
        let mut neighbour = base;
        neighbour[position] ^= 1 << trial.below(8);
        keys.push(SessionKey::from_bytes(neighbour));
    }
    let mut swapped = base;
    swapped.reverse();
    keys.push(SessionKey::from_bytes(swapped));

    let mut owners = BTreeMap::new();
    for (number, key) in keys.iter().enumerate() {
        let owner = number.to_string();
        let create = node.creation(&[("owner", owner.as_bytes())]);
        saved(&node.save(key, &create).await?, "a create under a neighbouring key")?;
        owners.insert(*key, owner);
    }
    for (key, owner) in &owners {
        let record = node.load_live(key).await?.record;
        require!(record.attributes["owner"] == *owner.as_bytes(), "two keys share a session");
    }
    node.delete(&keys[0]).await?;
    for key in &keys[1..] {
        require!(node.load(key).await?.is_some(), "a deletion took a neighbouring session with it");
    }
    Ok(())
}

async fn places_are_isolated(trial: Trial) -> Result<(), Ending> {
    let here = trial.node().await?;
    let there = trial.elsewhere().node().await?;
    let key = here.create(&[("a", b"here")]).await?;
    require!(there.load(&key).await?.is_none(), "a session is seen from another place");
    gone(&there.save(&key, &there.write(On::Live, &[("a", b"there")])).await?, "a write from another place")?;
    require!(
        !there.touch(&key, trial.now() + LIFETIME).await?,
        "a touch from another place found the session"
    );
    there.delete(&key).await?;
    here.load_live(&key).await?;

    // A delete of nothing may leave a tombstone, so this is another key.
    let key = here.create(&[("a", b"here")]).await?;
    let create = there.creation(&[("a", b"there")]);
    saved(&there.save(&key, &create).await?, "a create under the same key at another place")?;
    let record = here.load_live(&key).await?.record;
    require!(record.attributes["a"] == b"here"[..], "a create at another place replaced the session here");
    here.delete(&key).await?;
    there.load_live(&key).await?;
    Ok(())
}

async fn two_handles_see_each_other(trial: Trial) -> Result<(), Ending> {
    let (one, two) = (trial.node().await?, trial.node().await?);
    let key = trial.key();
    require!(two.load(&key).await?.is_none(), "a session is there before it was created");
    saved(&one.save(&key, &one.creation(&[("a", b"0")])).await?, "a create")?;
    for round in 1..=5_u8 {
        let (writer, reader) = if round % 2 == 0 { (&one, &two) } else { (&two, &one) };
        let seen = reader.load_live(&key).await?.record;
        let write = writer.write(On::Head(seen.head()), &[("a", &[round])]);
        saved(&writer.save(&key, &write).await?, "a write on what the other node saw")?;
        let record = reader.load_live(&key).await?.record;
        require!(
            record.attributes["a"] == [round][..],
            "a node does not see what the other has acknowledged"
        );
        let later = record.deadline + LIFETIME;
        require!(writer.touch(&key, later).await?, "a touch says that a live session is gone");
        let extended = reader.load_live(&key).await?.record.deadline;
        require!(extended == later, "a node does not see that the other has extended the session");
    }
    one.delete(&key).await?;
    require!(two.load(&key).await?.is_none(), "a node still serves what the other has destroyed");
    gone(&two.save(&key, &two.write(On::Live, &[])).await?, "a write on the other node after a deletion")
}
