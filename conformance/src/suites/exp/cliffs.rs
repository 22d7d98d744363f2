//! Lifetimes at which stores fall over: EXP-10 and EXP-11.

use std::sync::Arc;
use std::time::Duration;

use holdover_api::{
    Clock, Deadline, Effect, ErrorKind, ManualClock, SaveAnswer, SessionKey, Timestamp, Write,
};

use super::support::{DAY, MILLISECOND, create_until, merge_until, outrun_the_server, require_alive};
use crate::case::{Case, Ending};
use crate::require;
use crate::suites::race::support::{case, must_save, require_dead};
use crate::trial::{LIFETIME, Subject, Trial};

const SECOND: Duration = Duration::from_secs(1);
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(
            "EXP-10",
            "no_lifetime_makes_a_session_dead_at_once_or_immortal",
            "One millisecond, 999 ms, a second, thirty days (beyond which Memcached reads a number as a date: \
             php-memcached#142, symfony#23970), a second more, a year, 68 years (32 bits of seconds) and more than \
             any clock can count. Each is kept to the millisecond, in a create, a save and a touch; or refused by all of \
             them, where the harness says that the store keeps sessions only so long.",
            |trial| Box::pin(cliffs(trial)),
        ),
        case(
            "EXP-11",
            "a_deadline_in_the_past_ends_the_session_at_once",
            "Zero, or a moment that has passed, is not for ever: a create is born dead, a write with such a deadline \
             succeeds and ends the session, and neither leaves an immortal record behind.",
            |trial| Box::pin(already_over(trial)),
        ),
    ]
}

async fn cliffs(trial: Trial) -> Result<(), Ending> {
    outrun_the_server(&trial);
    let node = trial.node().await?;
    let late_clock = Arc::new(ManualClock::at(trial.now()));
    let late = trial.node_with_clock(Arc::clone(&late_clock) as Arc<dyn Clock>).await?;
    let lifetimes = [
        MILLISECOND,
        Duration::from_millis(999),
        SECOND,
        DAY * 30,
        DAY * 30 + SECOND,
        YEAR,
        YEAR * 68,
        Duration::from_millis(u64::MAX),
    ];
    let longest = trial.harness().longest_lease().unwrap_or(Duration::MAX);
    let (kept, refused): (Vec<_>, Vec<_>) = lifetimes.into_iter().partition(|lifetime| *lifetime <= longest);
    for lifetime in refused {
        is_refused(&trial, &node, trial.now() + lifetime).await.map_err(|ending| named(ending, lifetime))?;
    }
    for lifetime in kept {
        let deadline = trial.now() + lifetime;
        let created = create_until(&node, &trial, deadline).await?;
        let saved = node.create(&[("user", b"ada")]).await?;
        must_save(&node, &saved, &merge_until(&node, Deadline::Exactly(deadline))).await?;
        let touched = create_until(&node, &trial, trial.now() + MILLISECOND).await?;
        let answer = node.touch(&touched, deadline).await?;
        require!(answer, "a touch by {lifetime:?} answered that there is no session");
        for key in [created, saved, touched] {
            lives_exactly(&trial, (&node, &late, &late_clock), &key, deadline)
                .await
                .map_err(|ending| named(ending, lifetime))?;
        }
    }
    Ok(())
}

/// A store that does not keep sessions so long says so, to every kind of write, and has done nothing.
async fn is_refused(trial: &Trial, node: &Subject, deadline: Timestamp) -> Result<(), Ending> {
    let key = trial.key();
    let birth = Write { deadline: Deadline::AtLeast(deadline), ..node.creation(&[("user", b"ada")]) };
    let standing = node.create(&[("user", b"ada")]).await?;
    let answers = [
        node.store.save(&key, &birth).await.err(),
        node.store.save(&standing, &merge_until(node, Deadline::Exactly(deadline))).await.err(),
        node.store.touch(&standing, deadline).await.err(),
    ];
    for error in answers {
        let told = error.map(|error| (error.kind(), error.effect()));
        require!(
            told == Some((ErrorKind::Misconfigured, Effect::None)),
            "a deadline that the store does not keep to was answered with {told:?}"
        );
    }
    require!(node.load(&key).await?.is_none(), "a create that was refused has made a session");
    require_alive(node, &standing, trial.now() + LIFETIME).await?;
    Ok(())
}

async fn lives_exactly(
    trial: &Trial,
    (node, late, late_clock): (&Subject, &Subject, &ManualClock),
    key: &SessionKey,
    deadline: Timestamp,
) -> Result<(), Ending> {
    let record = require_alive(node, key, deadline).await?;
    late_clock.set(deadline - MILLISECOND);
    require_alive(late, key, deadline).await?;
    if let Some(raw) = trial.harness().raw() {
        let native = raw.native_deadline(trial.place(), key).await.map_err(Ending::Error)?;
        require!(native.is_some(), "below the store, a live session is not there");
        let never = native == Some(None);
        require!(!never || node.has_no_native_deadlines(), "the server would keep the session for ever");
    }
    late_clock.set(deadline);
    require_dead(late, key, record.head()).await
}

fn named(ending: Ending, lifetime: Duration) -> Ending {
    match ending {
        Ending::Failed(what) => {
            Ending::Failed(format!("with a lifetime of {} ms: {what}", lifetime.as_millis()))
        }
        other => other,
    }
}

async fn already_over(trial: Trial) -> Result<(), Ending> {
    let node = trial.node().await?;
    let now = trial.now();
    for moment in [Timestamp::default(), Timestamp::from_millis(1), now - LIFETIME, now - MILLISECOND, now] {
        let key = trial.key();
        let birth = Write { deadline: Deadline::AtLeast(moment), ..node.creation(&[("user", b"ada")]) };
        let answer = node.save(&key, &birth).await?;
        require!(
            matches!(answer, SaveAnswer::Saved { .. }),
            "a create that is born dead answered {answer:?}"
        );
        is_over(&trial, &node, &key, &birth).await?;

        let key = node.create(&[("user", b"ada")]).await?;
        let end = merge_until(&node, Deadline::Exactly(moment));
        must_save(&node, &key, &end).await?;
        is_over(&trial, &node, &key, &end).await?;

        let key = node.create(&[("user", b"ada")]).await?;
        must_save(&node, &key, &merge_until(&node, Deadline::AtLeast(moment))).await?;
        node.touch(&key, moment).await?;
        require_alive(&node, &key, now + LIFETIME).await?;
    }
    Ok(())
}

async fn is_over(trial: &Trial, node: &Subject, key: &SessionKey, write: &Write) -> Result<(), Ending> {
    require_dead(node, key, write.stamp).await?;
    let Some(raw) = trial.harness().raw() else {
        return Ok(());
    };
    let native = raw.native_deadline(trial.place(), key).await.map_err(Ending::Error)?;
    require!(
        native != Some(None) || node.has_no_native_deadlines(),
        "a deadline in the past left a record that the server keeps for ever"
    );
    Ok(())
}
