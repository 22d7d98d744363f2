//! FAIL-68: an extension that others see half way, and take back.

use holdover_api::{Deadline, On, SaveAnswer, SessionKey, Timestamp, Write};

use super::order::gave_up;
use super::tools::{BOTH, born, or_unavailable};
use crate::case::Ending;
use crate::drill::{Drill, settle};
use crate::proxy::{Behaviour, Direction, Proxy};
use crate::require;
use crate::suites::fail::tools::{bounded, insist_live};
use crate::trial::{LIFETIME, Subject, Trial};

const ATTEMPTS: usize = 4;

/// FAIL-68. A session has one first server, which may be either.
pub(super) async fn taken_back(trial: Trial) -> Result<(), Ending> {
    for attempt in 0..ATTEMPTS * BOTH.len() {
        if once(&trial, attempt % BOTH.len()).await? {
            return Ok(());
        }
    }
    Err(Ending::Vacuous("nobody has seen an extension that was half way".into()))
}

/// One node extends a session and cannot go on to one server; another takes back what it sees. Whether it saw it.
async fn once(trial: &Trial, server: usize) -> Result<bool, Ending> {
    let drill = Drill::pair(trial).await?;
    let [slow, quick] = [&drill.nodes[0].subject, &drill.nodes[1].subject];
    let key = born(slow, b"ann").await?;
    insist_live(quick, &key).await?;
    insist_live(slow, &key).await?;
    let before = gave_up(&drill);
    let (far, early) = (slow.now() + LIFETIME * 3, slow.now() + LIFETIME / 2);
    let (held, other) = (drill.nodes[0].link(server), drill.nodes[0].link(1 - server));

    let touch = bounded("touch", slow.store.touch(&key, far));
    tokio::pin!(touch);
    let overtaking = async {
        let answers = (held.counts().responses, other.counts().delayed);
        other.set(Direction::Responses, Behaviour::Hold);
        stop_before_writing(held, other, answers).await;
        take_back(quick, &key, far, early).await
    };
    let taken_back = tokio::select! {
        ended = &mut touch => {
            ended?.ok();
            return Ok(false);
        }
        taken_back = overtaking => taken_back?,
    };
    held.set(Direction::Requests, Behaviour::Pass);
    let touched = touch.await?;
    let unhurt = matches!(or_unavailable(touched)?, Some(true)) && gave_up(&drill) == before;
    let settled = settle(&drill, &[key]).await?;
    let Some(record) = settled.into_iter().flatten().next() else {
        return Err(Ending::Failed("a session is gone (I2)".into()));
    };
    require!(
        !taken_back || record.deadline == early,
        "an extension that was seen, and taken back by another write, is made a second time"
    );
    Ok(taken_back && unhurt)
}

/// Lets the look at both servers through, and shuts one link before anything is written there: the answer of the other
/// server is kept until it is shut. `answers` is what had been answered, and kept, before.
async fn stop_before_writing(held: &Proxy, other: &Proxy, answers: (usize, usize)) {
    held.until(|counts| counts.responses > answers.0).await;
    other.until(|counts| counts.delayed > answers.1).await;
    let waiting = held.counts().delayed;
    held.set(Direction::Requests, Behaviour::Hold);
    other.set(Direction::Responses, Behaviour::Pass);
    held.until(|counts| counts.delayed > waiting).await;
}

/// Whether the extension was seen, and another write says that the session ends early all the same.
async fn take_back(
    node: &Subject,
    key: &SessionKey,
    far: Timestamp,
    early: Timestamp,
) -> Result<bool, Ending> {
    let seen = insist_live(node, key).await?.record.deadline;
    let write = Write { deadline: Deadline::Exactly(early), ..node.write(On::Live, &[("taken back", b"1")]) };
    let saved = or_unavailable(bounded("save", node.store.save(key, &write)).await?)?;
    Ok(seen >= far && matches!(saved, Some(SaveAnswer::Saved { .. })))
}
