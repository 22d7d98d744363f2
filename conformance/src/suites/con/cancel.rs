//! Futures that are dropped on the way, as when a browser hangs up.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use holdover_api::{On, Record};

use super::{always, saved};
use crate::case::{Case, Ending};
use crate::require;
use crate::trial::{LIFETIME, Subject, Trial};

/// No store needs more wake-ups than this for one operation.
const MOST_POLLS: usize = 64;

pub(super) fn cases() -> Vec<Case> {
    vec![case!(
        "CON-35",
        a_dropped_operation_happens_wholly_or_not_at_all,
        always,
        "S4, I3: a request that is cut off at any await leaves the whole change or none, and the next one on the same \
         handle works."
    )]
}

/// Polls a future so many times and then drops it.
struct DropAfter<F> {
    work: Option<Pin<Box<F>>>,
    polls_left: usize,
}

impl<F: Future> Future for DropAfter<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let polls_left = self.polls_left;
        let Some(work) = self.work.as_mut().filter(|_| polls_left > 0) else {
            self.work = None;
            return Poll::Ready(None);
        };
        if let Poll::Ready(output) = work.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        self.polls_left -= 1;
        if self.polls_left > 0 {
            return Poll::Pending;
        }
        self.work = None;
        Poll::Ready(None)
    }
}

fn dropped_after<F: Future>(polls: usize, work: F) -> DropAfter<F> {
    DropAfter { work: Some(Box::pin(work)), polls_left: polls }
}

/// Both attributes are of the same write, or the record is torn.
fn whole(record: &Record) -> Result<(), Ending> {
    let (left, right) = (record.attributes.get("left"), record.attributes.get("right"));
    require!(left.is_some() && left == right, "half of a dropped write is stored: {:?}", record.attributes);
    Ok(())
}

async fn a_dropped_operation_happens_wholly_or_not_at_all(trial: Trial) -> Result<(), Ending> {
    let node = trial.node().await?;
    for polls in 0..MOST_POLLS {
        let created_whole = drop_a_creation(&trial, &node, polls).await?;
        let merged_whole = drop_a_merge(&node, polls).await?;
        let touched_whole = drop_a_touch_and_a_deletion(&trial, &node, polls).await?;
        if created_whole && merged_whole && touched_whole {
            return Ok(());
        }
    }
    Err(Ending::Vacuous(format!("an operation was not done after {MOST_POLLS} polls")))
}

/// Each answers whether the operation was done within so many polls, so that nothing was dropped.
async fn drop_a_creation(trial: &Trial, node: &Subject, polls: usize) -> Result<bool, Ending> {
    let key = trial.key();
    let create = node.creation(&[("left", b"1"), ("right", b"1")]);
    let finished = dropped_after(polls, node.store.save(&key, &create)).await;
    if let Some(loaded) = node.load(&key).await? {
        whole(&loaded.record)?;
    }
    saved(&node.save(&key, &create).await?, "a create that was dropped and is tried again")?;
    let record = node.load_live(&key).await?.record;
    whole(&record)?;
    require!(record.lineage.stamps() == [create.stamp], "a dropped create happened twice");
    Ok(finished.is_some())
}

async fn drop_a_merge(node: &Subject, polls: usize) -> Result<bool, Ending> {
    let key = node.create(&[("left", b"1"), ("right", b"1")]).await?;
    let merge = node.write(On::Live, &[("left", b"2"), ("right", b"2")]);
    let finished = dropped_after(polls, node.store.save(&key, &merge)).await;
    let between = node.load_live(&key).await?.record;
    whole(&between)?;
    saved(&node.save(&key, &merge).await?, "a merge that was dropped and is tried again")?;
    let record = node.load_live(&key).await?.record;
    whole(&record)?;
    require!(record.attributes["left"] == b"2"[..], "a merge was acknowledged and is not there");
    require!(record.lineage.stamps().len() == 2, "a dropped merge happened twice");
    Ok(finished.is_some())
}

async fn drop_a_touch_and_a_deletion(trial: &Trial, node: &Subject, polls: usize) -> Result<bool, Ending> {
    let key = node.create(&[("left", b"1"), ("right", b"1")]).await?;
    let before = node.load_live(&key).await?.record;
    let later = trial.now() + LIFETIME + LIFETIME;
    let touched = dropped_after(polls, node.store.touch(&key, later)).await;
    let after = node.load_live(&key).await?.record;
    require!(
        after.attributes == before.attributes && after.lineage == before.lineage,
        "a dropped touch changed more"
    );
    require!([before.deadline, later].contains(&after.deadline), "a dropped touch made up a deadline");

    let deleted = dropped_after(polls, node.store.delete(&key)).await;
    if let Some(loaded) = node.load(&key).await? {
        require!(deleted.is_none(), "a deletion was acknowledged and the session is there");
        whole(&loaded.record)?;
    }
    node.delete(&key).await?;
    require!(node.load(&key).await?.is_none(), "a deletion after a dropped one left the session there");
    Ok(touched.is_some() && deleted.is_some())
}
