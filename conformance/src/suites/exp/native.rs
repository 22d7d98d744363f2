//! What the server does by itself: EXP-03, EXP-12, EXP-21, EXP-22 and EXP-23. These cases look below the store.

use std::sync::Arc;
use std::time::Duration;

use holdover_api::{
    Clock, Deadline, Expiry, On, Record, SaveAnswer, SessionKey, Stored, SystemClock, Timestamp, Write, pause,
};

use super::support::{HOUR, create_until, merge_until, require_alive, require_expired};
use crate::case::{Applies, Case, Ending, Scope};
use crate::harness::Raw;
use crate::require;
use crate::suites::race::support::{case, must_save, on_head, two_nodes};
use crate::trial::{LIFETIME, Subject, Trial};

/// How much later than the record's deadline the server's own may be: stores that count in seconds round up, and those
/// whose server's clock ticks in seconds keep two of them in hand, so that it is never early.
const ROUNDING: Duration = Duration::from_secs(3);
/// A server that may take longer is waited for only so long: the case is then vacuous.
const LONGEST_LAG: Duration = Duration::from_secs(30);
/// How much later than promised a busy machine may be.
const SLACK: Duration = Duration::from_secs(5);
const SCANNED: usize = 40;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        case(
            "EXP-03",
            "what_the_server_has_not_removed_yet_is_dead_all_the_same",
            "The record lies below the store, past its deadline. No load sees it and no write revives it: reads \
             never rest on the server's own expiry (I4).",
            |trial| Box::pin(not_removed_yet(trial)),
        ),
        case(
            "EXP-12",
            "after_many_writes_of_every_kind_nothing_is_immortal",
            "Every stored session carries the server's own time-out at its deadline, whatever was done to it last. \
             A `SET` without a time-out makes a session immortal; forgotten sessions then fill the server.",
            |trial| Box::pin(immortal_scan(trial)),
        ),
        case(
            "EXP-21",
            "the_time_out_of_the_server_does_not_depend_on_the_clock_of_the_node",
            "The deadline is absolute. A node whose clock is an hour off hands the server the same moment, not a \
             lifetime counted from its own wrong now.",
            |trial| Box::pin(node_clock_does_not_matter(trial)),
        ),
        case(
            "EXP-22",
            "the_server_removes_what_has_expired_by_itself",
            "In real time: within the lag that the store claims, an abandoned session no longer takes up room.",
            |trial| Box::pin(removed_in_time(trial)),
        ),
        case(
            "EXP-23",
            "the_time_out_of_the_server_is_the_deadline_after_every_kind_of_write",
            "Create, merge, compare and set, shorten, touch and install each leave the server's time-out at the \
             record's deadline, at most three seconds later and never earlier: a server that is early loses live sessions.",
            |trial| Box::pin(native_follows(trial)),
        ),
    ];
    for case in &mut cases {
        case.applies = if case.id == "EXP-03" { looks_below } else { has_own_expiry };
    }
    cases
}

fn looks_below(scope: &Scope) -> Applies {
    match (scope.raw, scope.capabilities.expiry) {
        (true, _) => Applies::Yes,
        (false, Expiry::OnDemand) => Applies::No("there is no server below this store that could be late"),
        (false, Expiry::Native { .. }) => Applies::NotRun("the harness does not reach below the store"),
    }
}

fn has_own_expiry(scope: &Scope) -> Applies {
    match scope.capabilities.expiry {
        Expiry::OnDemand => Applies::No("nothing but the store itself removes expired sessions"),
        Expiry::Native { .. } if scope.rotates => {
            Applies::No("sessions are removed with their table: the cases on rotation ask when")
        }
        Expiry::Native { .. } => looks_below(scope),
    }
}

fn raw_of(trial: &Trial) -> Result<Arc<dyn Raw>, Ending> {
    trial.harness().raw().ok_or_else(|| Ending::Error("the harness no longer reaches below the store".into()))
}

async fn not_removed_yet(trial: Trial) -> Result<(), Ending> {
    let raw = raw_of(&trial)?;
    let (one, two) = two_nodes(&trial).await?;
    let deadline = trial.now() + LIFETIME;
    let key = one.create(&[("user", b"ada")]).await?;
    let last = require_alive(&one, &key, deadline).await?;
    trial.clock().set(deadline);
    let stored = raw.count(trial.place()).await.map_err(Ending::Error)?;
    if stored != 1 {
        return Err(Ending::Vacuous("the server had removed the session before the case looked".into()));
    }
    require_expired(&[&two, &one], &key, &last).await
}

/// The server's own time-out is at the deadline of what the store sees, or up to [`ROUNDING`] later.
async fn native_fits(trial: &Trial, node: &Subject, key: &SessionKey, after: &str) -> Result<(), Ending> {
    let record = node.load_live(key).await?.record;
    let native = raw_of(trial)?.native_deadline(trial.place(), key).await.map_err(Ending::Error)?;
    let Some(native) = native else {
        return Err(Ending::Failed(format!("after {after}, a live session is not there below the store")));
    };
    let Some(native) = native else {
        return Err(Ending::Failed(format!("after {after}, the server would keep the session for ever")));
    };
    let early = record.deadline.since(native);
    require!(early.is_zero(), "after {after}, the server would remove the session {early:?} too early");
    let later = native.since(record.deadline);
    require!(later <= ROUNDING, "after {after}, the server would keep the session {later:?} too long");
    Ok(())
}

async fn native_follows(trial: Trial) -> Result<(), Ending> {
    let (one, two) = two_nodes(&trial).await?;
    let now = trial.now();
    let key = one.create(&[("user", b"ada")]).await?;
    native_fits(&trial, &two, &key, "a create").await?;
    must_save(&one, &key, &merge_until(&one, Deadline::AtLeast(now + LIFETIME * 2))).await?;
    native_fits(&trial, &two, &key, "a merge").await?;
    must_save(&one, &key, &merge_until(&one, Deadline::AtLeast(now))).await?;
    native_fits(&trial, &two, &key, "a merge that does not extend").await?;
    let read = two.load_live(&key).await?;
    must_save(&two, &key, &on_head(&two, &read, &[("n", b"1")])).await?;
    native_fits(&trial, &one, &key, "a write on a head").await?;
    must_save(&two, &key, &merge_until(&two, Deadline::Exactly(now + LIFETIME / 2))).await?;
    native_fits(&trial, &one, &key, "a write that shortens").await?;
    one.touch(&key, now + LIFETIME * 3).await?;
    native_fits(&trial, &two, &key, "a touch").await?;
    one.touch(&key, now + LIFETIME).await?;
    native_fits(&trial, &two, &key, "a touch that does not extend").await?;

    let read = two.load_live(&key).await?.record;
    let repaired = Record { lineage: read.lineage.pushed(trial.stamp()), ..read.as_ref().clone() };
    let installed = one.store.install(&key, Some(read.standing()), &Stored::Record(repaired)).await;
    require!(
        matches!(installed, Ok(holdover_api::InstallAnswer::Installed)),
        "an install over the stored head answered {installed:?}"
    );
    native_fits(&trial, &two, &key, "an install").await
}

async fn immortal_scan(trial: Trial) -> Result<(), Ending> {
    let (one, two) = two_nodes(&trial).await?;
    let mut keys = Vec::new();
    for _ in 0..SCANNED {
        keys.push(one.create(&[("user", b"ada")]).await?);
    }
    for _ in 0..SCANNED * 5 {
        let node = if trial.below(2) == 0 { &one } else { &two };
        let key = &keys[trial.below(SCANNED)];
        let moment = trial.now() + LIFETIME + Duration::from_secs(trial.below(600) as u64);
        match trial.below(4) {
            0 => must_save(node, key, &merge_until(node, Deadline::AtLeast(moment))).await?,
            1 => must_save(node, key, &merge_until(node, Deadline::Exactly(moment))).await?,
            2 => {
                let read = node.load_live(key).await?;
                must_save(node, key, &on_head(node, &read, &[("n", b"1")])).await?;
            }
            _ => require!(node.touch(key, moment).await?, "a touch of a live session found none"),
        }
    }
    let stored = raw_of(&trial)?.count(trial.place()).await.map_err(Ending::Error)?;
    require!(stored == SCANNED, "{SCANNED} sessions live and {stored} are stored");
    for key in &keys {
        native_fits(&trial, &one, key, "a random run").await?;
    }
    Ok(())
}

async fn node_clock_does_not_matter(trial: Trial) -> Result<(), Ending> {
    let now = trial.now();
    let right = trial.node().await?;
    for wrong_now in [now + HOUR, now - HOUR] {
        let wrong = trial.node_with_clock(Arc::new(holdover_api::ManualClock::at(wrong_now))).await?;
        let created = create_until(&wrong, &trial, now + HOUR * 3).await?;
        native_fits(&trial, &right, &created, "a create by a node whose clock is off").await?;
        must_save(&wrong, &created, &merge_until(&wrong, Deadline::AtLeast(now + HOUR * 4))).await?;
        native_fits(&trial, &right, &created, "a save by a node whose clock is off").await?;
        wrong.touch(&created, now + HOUR * 5).await?;
        native_fits(&trial, &right, &created, "a touch by a node whose clock is off").await?;
    }
    Ok(())
}

/// The one case that waits for real time to pass, because nothing else shows what the server does by itself.
async fn removed_in_time(trial: Trial) -> Result<(), Ending> {
    let raw = raw_of(&trial)?;
    let node = trial.node_with_clock(Arc::new(SystemClock)).await?;
    let Expiry::Native { max_lag } = node.capabilities().expiry else {
        return Err(Ending::Error("the store no longer claims to expire by itself".into()));
    };
    let deadline = SystemClock.now() + Duration::from_secs(1);
    let created = Write { deadline: Deadline::AtLeast(deadline), ..node.creation(&[("user", b"ada")]) };
    let key = trial.key();
    must_save(&node, &key, &created).await?;
    // A write after the create: many stores lose the time-out there.
    let saved = Write { deadline: Deadline::AtLeast(deadline), ..node.write(On::Live, &[("n", b"1")]) };
    if matches!(node.save(&key, &saved).await?, SaveAnswer::Gone) {
        return Err(Ending::Vacuous("the machine was too slow to write to a session of one second".into()));
    }
    let patience: Timestamp = deadline + max_lag.min(LONGEST_LAG) + SLACK;
    while SystemClock.now() < patience {
        if raw.count(trial.place()).await.map_err(Ending::Error)? == 0 {
            require!(SystemClock.now() >= deadline, "the server removed a session before its deadline");
            return Ok(());
        }
        pause(Duration::from_millis(20)).await;
    }
    if max_lag > LONGEST_LAG {
        return Err(Ending::Vacuous(format!("a lag of {max_lag:?} is longer than a case may take")));
    }
    Err(Ending::Failed(format!("{:?} after its deadline the session still takes up room", max_lag + SLACK)))
}
