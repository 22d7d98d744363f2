//! `inspect` and `install`, on which repair, burial and moving between stores rest.

use holdover_api::{
    Attributes, Deadline, Error, InstallAnswer, Lineage, On, Record, SaveAnswer, SessionKey, SessionStoreExt,
    Standing, Stored, Tombstone,
};

use super::{always, gone, saved};
use crate::case::{Case, Ending};
use crate::require;
use crate::trial::{LIFETIME, Subject, Trial};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(
            "CON-50",
            an_installation_is_exactly_what_was_given,
            always,
            "S17: a copy that is repaired has to end with the same lineage, deadline and beginning as its source."
        ),
        case!(
            "CON-51",
            an_installation_stands_on_exactly_what_was_expected,
            always,
            "S17: repair works from what it has seen; if that has changed, be it only by a touch, it must not win."
        ),
        case!(
            "CON-52",
            a_repeated_installation_is_installed,
            always,
            "S17, I3: an installation whose answer was lost is tried again, and recognised."
        ),
        case!(
            "CON-53",
            a_tombstone_is_nothing_alive,
            always,
            "S8, S15, S17, I1: under a tombstone nothing is loaded, written, touched or created; only inspect sees it."
        ),
        case!(
            "CON-54",
            an_inspection_changes_nothing,
            always,
            "S16: a tool that looks at a session must not extend it, move its head or clear it away."
        ),
    ]
}

#[allow(clippy::needless_pass_by_value, reason = "the shape that map_err takes")]
fn failed(error: Error) -> Ending {
    Ending::Failed(format!("an operation failed where it has to succeed: {error}"))
}

async fn install(
    node: &Subject,
    key: &SessionKey,
    over: Option<Standing>,
    new: &Stored,
) -> Result<InstallAnswer, Ending> {
    node.store.install(key, over, new).await.map_err(failed)
}

fn installed(answer: &InstallAnswer, what: &str) -> Result<(), Ending> {
    match answer {
        InstallAnswer::Installed => Ok(()),
        InstallAnswer::Refused { .. } => {
            Err(Ending::Failed(format!("{what} has to be installed, and was refused")))
        }
    }
}

async fn refused(
    node: &Subject,
    key: &SessionKey,
    over: Option<Standing>,
    new: &Stored,
    what: &str,
) -> Result<(), Ending> {
    let before = node.store.inspect(key).await.map_err(failed)?;
    match install(node, key, over, new).await? {
        InstallAnswer::Installed => {
            return Err(Ending::Failed(format!("{what} has to be refused, and was installed")));
        }
        InstallAnswer::Refused { stored } => {
            require!(stored == before, "the refusal of {what} answers something else than what is stored");
        }
    }
    let after = node.store.inspect(key).await.map_err(failed)?;
    require!(after == before, "{what} was refused and changed what is stored");
    Ok(())
}

/// A record that no save of this store has made: a copy from elsewhere.
fn record(trial: &Trial, writes: usize) -> Record {
    let mut lineage = Lineage::new(trial.stamp());
    for _ in 1..writes {
        lineage = lineage.pushed(trial.stamp());
    }
    let attributes: Attributes =
        [("from".to_owned(), "elsewhere".into()), ("n".to_owned(), trial.bytes(9).into())].into();
    Record { attributes, lineage, created: trial.now() - LIFETIME, deadline: trial.now() + LIFETIME }
}

fn tombstone_over(trial: &Trial, lineage: &Lineage) -> Stored {
    Stored::Tombstone(Tombstone { lineage: lineage.pushed(trial.stamp()), deadline: trial.now() + LIFETIME })
}

async fn an_installation_is_exactly_what_was_given(trial: Trial) -> Result<(), Ending> {
    let node = trial.node().await?;
    for writes in [1, 3, 8] {
        let key = trial.key();
        let first = record(&trial, writes);
        installed(&install(&node, &key, None, &Stored::Record(first.clone())).await?, "a copy over nothing")?;
        let loaded = node.load_live(&key).await?.record;
        require!(*loaded == first, "a copy of {writes} writes is loaded as {loaded:?} instead of {first:?}");
        let seen = node.store.inspect(&key).await.map_err(failed)?;
        require!(
            seen == Some(Stored::Record(first.clone())),
            "inspect sees something else than was installed"
        );

        let mut second = record(&trial, writes);
        second.deadline = first.deadline - LIFETIME / 2;
        second.attributes.remove("n");
        let over = Some(first.standing());
        installed(
            &install(&node, &key, over, &Stored::Record(second.clone())).await?,
            "a copy over the expected head",
        )?;
        let loaded = node.load_live(&key).await?.record;
        require!(*loaded == second, "a copy over another one was mixed with it");
        node.merge(&key, &[("next", b"1")]).await?;
        let merged = node.load_live(&key).await?.record;
        require!(
            merged.lineage.stamps()[1..] == second.lineage.stamps()[..writes.min(7)],
            "a merge lost the lineage"
        );
    }
    Ok(())
}

async fn an_installation_stands_on_exactly_what_was_expected(trial: Trial) -> Result<(), Ending> {
    let node = trial.node().await?;
    let copy = Stored::Record(record(&trial, 2));
    let unknown = Standing { head: trial.stamp(), deadline: trial.now() + LIFETIME };
    refused(&node, &trial.key(), Some(unknown), &copy, "a copy over a head where nothing is").await?;

    let key = node.create(&[("a", b"1")]).await?;
    let old = node.load_live(&key).await?.record.standing();
    node.merge(&key, &[("a", b"2")]).await?;
    let untouched = node.load_live(&key).await?.record.standing();
    node.touch(&key, untouched.deadline + LIFETIME).await?;
    let current = node.load_live(&key).await?.record;
    let burial = tombstone_over(&trial, &current.lineage);
    for new in [&copy, &burial] {
        refused(&node, &key, None, new, "an installation over nothing where a session is").await?;
        refused(&node, &key, Some(old), new, "an installation over a head that has moved on").await?;
        refused(&node, &key, Some(unknown), new, "an installation over an unknown head").await?;
        refused(&node, &key, Some(untouched), new, "an installation over what has been touched since")
            .await?;
    }
    installed(
        &install(&node, &key, Some(current.standing()), &burial).await?,
        "a burial of exactly the record",
    )?;
    refused(&node, &key, None, &copy, "a copy over nothing where a tombstone is").await?;
    refused(&node, &key, Some(current.standing()), &copy, "a copy over the record that was buried").await?;
    installed(
        &install(&node, &key, Some(burial.standing()), &copy).await?,
        "a copy over exactly the tombstone",
    )?;
    node.load_live(&key).await?;
    Ok(())
}

async fn a_repeated_installation_is_installed(trial: Trial) -> Result<(), Ending> {
    let node = trial.node().await?;
    let key = trial.key();
    let copy = record(&trial, 3);
    for attempt in ["a copy", "the same copy again"] {
        installed(&install(&node, &key, None, &Stored::Record(copy.clone())).await?, attempt)?;
    }
    let burial = tombstone_over(&trial, &copy.lineage);
    for attempt in ["a burial", "the same burial again"] {
        installed(&install(&node, &key, Some(copy.standing()), &burial).await?, attempt)?;
    }
    let seen = node.store.inspect(&key).await.map_err(failed)?;
    require!(seen == Some(burial), "something else is stored than was installed last");

    // A copy that has been written to since is not the same any more: its retry may not undo the write.
    let written = trial.key();
    let other = record(&trial, 1);
    installed(&install(&node, &written, None, &Stored::Record(other.clone())).await?, "a copy")?;
    node.merge(&written, &[("since", b"1")]).await?;
    let before = node.load_live(&written).await?.record;
    install(&node, &written, None, &Stored::Record(other)).await?;
    let after = node.load_live(&written).await?.record;
    require!(after == before, "a repeated installation undid a write that came after it");
    Ok(())
}

async fn a_tombstone_is_nothing_alive(trial: Trial) -> Result<(), Ending> {
    let node = trial.node().await?;
    let key = node.create(&[("a", b"1")]).await?;
    let loaded = node.load_live(&key).await?;
    let burial = node.store.bury(&key, &loaded, trial.stamp()).await.map_err(failed)?;
    installed(&burial, "a burial of the record that was loaded")?;
    let stored = node.store.inspect(&key).await.map_err(failed)?;
    require!(matches!(stored, Some(Stored::Tombstone(_))), "inspect sees {stored:?} instead of a tombstone");

    let head = loaded.record.head();
    let tombstone_head = stored.as_ref().map(Stored::head).unwrap_or(head);
    for on in [On::Live, On::Head(head), On::Head(tombstone_head), On::Absent { created: trial.now() }] {
        let mut write = node.write(on, &[("a", b"2")]);
        write.base = Some(loaded.clone());
        write.deadline = Deadline::Exactly(trial.now() + LIFETIME + LIFETIME);
        let answer = node.save(&key, &write).await?;
        if matches!(on, On::Absent { .. }) {
            require!(!matches!(answer, SaveAnswer::Saved { .. }), "a create over a tombstone was saved");
        } else {
            gone(&answer, "a write under a tombstone")?;
        }
        require!(node.load(&key).await?.is_none(), "a write brought back what was buried");
    }
    require!(
        !node.touch(&key, trial.now() + LIFETIME + LIFETIME).await?,
        "a touch found life under a tombstone"
    );
    let after = node.store.inspect(&key).await.map_err(failed)?;
    require!(after == stored, "what came after the burial changed the tombstone");
    node.delete(&key).await?;
    require!(node.load(&key).await?.is_none(), "a deletion of a tombstone made a session");
    Ok(())
}

async fn an_inspection_changes_nothing(trial: Trial) -> Result<(), Ending> {
    let node = trial.node().await?;
    let unknown = trial.key();
    let seen = node.store.inspect(&unknown).await.map_err(failed)?;
    require!(seen.is_none(), "inspect sees {seen:?} under an unknown key");
    require!(node.load(&unknown).await?.is_none(), "an inspection made a session");

    let key = node.create(&[("a", b"1")]).await?;
    node.merge(&key, &[("b", b"2")]).await?;
    let before = node.load_live(&key).await?.record;
    let raw = trial.harness().raw();
    let mut pictures = Vec::new();
    for _ in 0..3 {
        let seen = node.store.inspect(&key).await.map_err(failed)?;
        require!(
            seen == Some(Stored::Record((*before).clone())),
            "inspect sees {seen:?} instead of {before:?}"
        );
        if let Some(raw) = &raw {
            let bytes = raw.read(trial.place(), &key).await.map_err(Ending::Error)?;
            let native = raw.native_deadline(trial.place(), &key).await.map_err(Ending::Error)?;
            pictures.push((bytes, native));
        }
    }
    require!(
        pictures.windows(2).all(|pair| pair[0] == pair[1]),
        "an inspection changed the stored bytes or time-out"
    );
    let after = node.load_live(&key).await?.record;
    require!(after == before, "an inspection changed the session");
    let swap = node.write(On::Head(before.head()), &[("a", b"3")]);
    saved(&node.save(&key, &swap).await?, "a write on a head from before an inspection")?;
    Ok(())
}
