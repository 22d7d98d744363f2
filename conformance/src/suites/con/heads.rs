//! What a write stands on: any live record, or exactly the one that was read.

use std::collections::BTreeSet;

use bytes::Bytes;
use holdover_api::{Freshness, Loaded, On, Record, SaveAnswer, Token};

use super::{always, conflict, gone, saved};
use crate::case::{Case, Ending};
use crate::require;
use crate::trial::{LIFETIME, Trial};

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(
            "CON-09",
            every_write_moves_the_head_and_no_load_does,
            always,
            "S2, S7: a head that stands still lets a stale writer through; one that moves on a read makes every \
             compare-and-set fail."
        ),
        case!(
            "CON-10",
            a_stale_head_conflicts,
            always,
            "S7: the write of a request that read an older record has to be refused, or the other's is lost \
             (connect-redis#75)."
        ),
        case!(
            "CON-11",
            a_head_never_comes_back,
            always,
            "S7: a version that counts from one again after a deletion takes a stale write for a fresh one; \
             memcached's tokens do so after a restart."
        ),
        case!(
            "CON-37",
            a_merge_keeps_the_attributes_of_others,
            always,
            "S6: writing one attribute leaves the others as they are, whoever wrote them meanwhile."
        ),
        case!(
            "CON-38",
            the_base_of_a_write_decides_nothing,
            always,
            "S6, S7: the record that a writer has read is a hint. A store that believes it writes stale attributes \
             back."
        ),
        case!(
            "CON-39",
            a_conflict_leaves_nothing_behind,
            always,
            "S4, S7: a refused write that has stored half of itself is read by others (couchbase-aspnet#5)."
        ),
        case!(
            "CON-40",
            at_least_this_stamp_is_never_older,
            always,
            "S3: a cheap read may lag, but never behind the stamp that the caller has seen; an unknown stamp is no \
             absence."
        ),
    ]
}

async fn every_write_moves_the_head_and_no_load_does(trial: Trial) -> Result<(), Ending> {
    let node = trial.node().await?;
    let key = node.create(&[("a", b"0")]).await?;
    let mut heads = BTreeSet::new();
    for round in 0..6_u8 {
        let first = node.load_live(&key).await?.record;
        let second = node.load_live(&key).await?.record;
        require!(first == second, "two loads in a row differ");
        require!(heads.insert(first.head()), "a head occurred twice");
        let on = if round % 2 == 0 { On::Live } else { On::Head(first.head()) };
        let write = node.write(on, &[("a", &[round])]);
        let previous = saved(&node.save(&key, &write).await?, "a write in turn")?;
        require!(previous == Some(first.head()), "the write does not name the head that it replaced");
        let after = node.load_live(&key).await?.record;
        require!(after.lineage == first.lineage.pushed(write.stamp), "the lineage did not grow by the write");
        require!(after.created == first.created, "a write moved the beginning of the session");
    }
    Ok(())
}

async fn a_stale_head_conflicts(trial: Trial) -> Result<(), Ending> {
    let node = trial.node().await?;
    let key = node.create(&[("n", b"0")]).await?;
    let read = node.load_live(&key).await?.record.head();
    let first = node.write(On::Head(read), &[("n", b"first")]);
    saved(&node.save(&key, &first).await?, "a write on the head that was read")?;
    let answer = node.save(&key, &node.write(On::Head(read), &[("n", b"second")])).await?;
    conflict(&answer, "a write on a stale head")?;
    let record = node.load_live(&key).await?.record;
    require!(record.head() == first.stamp, "the refused write moved the head");
    require!(record.attributes["n"] == b"first"[..], "the refused write changed an attribute");
    if let SaveAnswer::Conflict { current: Some(current) } = answer {
        require!(current.record == record, "the refusal carries something else than what is there");
    }
    Ok(())
}

async fn a_head_never_comes_back(trial: Trial) -> Result<(), Ending> {
    let node = trial.node().await?;
    let key = trial.key();
    let mut old_heads = Vec::new();
    for _ in 0..10 {
        let create = node.creation(&[("a", b"1")]);
        if matches!(node.save(&key, &create).await?, SaveAnswer::Gone) {
            // The store remembers the deletion and refuses the key for good, which answers the question.
            return Ok(());
        }
        saved(&node.save(&key, &node.write(On::Live, &[("a", b"2")])).await?, "a merge")?;
        for head in &old_heads {
            let answer = node.save(&key, &node.write(On::Head(*head), &[("a", b"stale")])).await?;
            conflict(&answer, "a write on a head from before a deletion")?;
        }
        old_heads.push(node.load_live(&key).await?.record.head());
        node.delete(&key).await?;
    }
    Ok(())
}

async fn a_merge_keeps_the_attributes_of_others(trial: Trial) -> Result<(), Ending> {
    let node = trial.node().await?;
    let key = node.create(&[("a", b"1"), ("b", b"1"), ("c", b"1")]).await?;
    let mut early = node.write(On::Live, &[("a", b"2")]);
    early.delta.remove("c");
    early.delta.remove("was never there");
    node.merge(&key, &[("b", b"2"), ("d", b"1")]).await?;
    saved(&node.save(&key, &early).await?, "a merge that was prepared before another")?;
    let attributes = node.load_live(&key).await?.record.attributes.clone();
    let expected: Vec<(String, Bytes)> = [("a", "2"), ("b", "2"), ("d", "1")]
        .map(|(name, value)| (name.to_owned(), Bytes::from_static(value.as_bytes())))
        .into();
    require!(
        attributes.clone().into_iter().eq(expected),
        "the merge of both writes should be a=2, b=2, d=1 and is {attributes:?}"
    );
    let mut clearing = node.write(On::Live, &[]);
    clearing.delta.clear();
    clearing.delta.set("e", "1");
    saved(&node.save(&key, &clearing).await?, "a write that clears")?;
    let record = node.load_live(&key).await?.record;
    require!(record.attributes.keys().eq(["e"]), "clearing and setting left {:?}", record.attributes);
    Ok(())
}

async fn the_base_of_a_write_decides_nothing(trial: Trial) -> Result<(), Ending> {
    let node = trial.node().await?;
    let key = node.create(&[("a", b"1"), ("b", b"1")]).await?;
    let stale = node.load_live(&key).await?;
    node.merge(&key, &[("b", b"2")]).await?;

    let mut merge = node.write(On::Live, &[("a", b"2")]);
    merge.base = Some(stale.clone());
    saved(&node.save(&key, &merge).await?, "a merge with a stale base")?;
    let record = node.load_live(&key).await?.record;
    require!(record.attributes["b"] == b"2"[..], "a stale base undid another writer's attribute");

    let mut swap = node.write(On::Head(stale.record.head()), &[("a", b"3")]);
    swap.base = Some(stale.clone());
    conflict(&node.save(&key, &swap).await?, "a write on a stale head with its base")?;

    let foreign = Loaded { record: stale.record, token: Some(Token::new("another store's note")) };
    let mut with_foreign_token = node.write(On::Live, &[("a", b"4")]);
    with_foreign_token.base = Some(foreign.clone());
    saved(&node.save(&key, &with_foreign_token).await?, "a merge with another store's token")?;

    let unknown = trial.key();
    let mut misplaced = node.write(On::Live, &[("a", b"5")]);
    misplaced.base = Some(foreign);
    gone(&node.save(&unknown, &misplaced).await?, "a write to an unknown key with another session's base")?;
    require!(node.load(&unknown).await?.is_none(), "a base alone made a session");
    Ok(())
}

async fn a_conflict_leaves_nothing_behind(trial: Trial) -> Result<(), Ending> {
    let node = trial.node().await?;
    let key = node.create(&[("a", b"1")]).await?;
    let before = node.load_live(&key).await?.record;
    let later = before.deadline + LIFETIME;
    let refused = [On::Head(trial.stamp()), On::Absent { created: trial.now() }];
    for on in refused {
        let mut write = node.write(on, &[("a", b"2"), ("b", b"2")]);
        write.deadline = holdover_api::Deadline::Exactly(later);
        conflict(&node.save(&key, &write).await?, "a write that does not fit")?;
        let after: std::sync::Arc<Record> = node.load_live(&key).await?.record;
        require!(after == before, "a refused write changed {before:?} into {after:?}");
    }
    Ok(())
}

async fn at_least_this_stamp_is_never_older(trial: Trial) -> Result<(), Ending> {
    let writer = trial.node().await?;
    let reader = trial.node().await?;
    let key = writer.create(&[("a", b"0")]).await?;
    for round in 1..=3_u8 {
        let write = writer.write(On::Live, &[("a", &[round])]);
        saved(&writer.save(&key, &write).await?, "a merge")?;
        for stamp in [write.stamp, trial.stamp()] {
            let read = reader.store.load(&key, Freshness::AtLeast(stamp)).await;
            let read = read.map_err(|error| Ending::Failed(format!("load failed: {error}")))?;
            let Some(loaded) = read else {
                return Err(Ending::Failed("a load that asks for a stamp found nothing".to_owned()));
            };
            require!(
                loaded.record.attributes["a"] == [round][..],
                "a load that asks for at least a stamp answered an older record"
            );
        }
    }
    Ok(())
}
