//! Clocks that disagree: EXP-15 to EXP-20.

use std::sync::Arc;
use std::time::Duration;

use holdover_api::{Clock, ManualClock, SessionKey, Timestamp};

use super::support::{HOUR, MILLISECOND, at, require_alive, require_expired};
use crate::case::{Case, Ending};
use crate::require;
use crate::suites::race::support::{case, must_save, on_live, step_aside, together};
use crate::trial::{LIFETIME, Subject, Trial};

const SECOND: Duration = Duration::from_secs(1);
const ROUNDS: usize = 100;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(
            "EXP-15",
            "a_slow_node_does_not_shorten_what_a_fast_node_granted",
            "A node that is a second ahead extends the session, then one that is a second behind. The later \
             deadline stays (S10, S12): with last-writer-wins the lease shrinks after it was granted.",
            |trial| Box::pin(slow_node(trial)),
        ),
        case(
            "EXP-16",
            "a_node_that_is_ahead_sees_the_end_early_and_ends_it_for_nobody_else",
            "Near the deadline, a node that is a second ahead already calls the session dead. All others keep it \
             to the end.",
            |trial| Box::pin(slightly_ahead(trial)),
        ),
        case(
            "EXP-17",
            "a_clock_that_steps_back_neither_extends_nor_shortens",
            "One node's clock steps back an hour. Its touches and saves ask for deadlines in the past and change \
             nothing.",
            |trial| Box::pin(steps_back(trial)),
        ),
        case(
            "EXP-18",
            "a_clock_that_steps_forward_an_hour_destroys_nothing",
            "One node's clock jumps ahead by an hour. For it every session is dead; whatever it does then, for the \
             others they live on, unchanged (aws-dynamodb-session-tomcat#11).",
            |trial| Box::pin(steps_forward(trial)),
        ),
        case(
            "EXP-19",
            "a_node_that_is_ahead_does_not_clear_away_what_another_extends",
            "A node that is ahead looks at a session that it calls dead while another node extends it. A reaper that \
             decides on what it read and then deletes kills the session that was just extended.",
            |trial| Box::pin(reaper_and_touch(trial)),
        ),
        case(
            "EXP-20",
            "over_an_expired_record_a_new_one_can_be_created_and_stays",
            "An expired record is nothing: a create succeeds over it, even while others look at it and clear it \
             away.",
            |trial| Box::pin(reaper_and_create(trial)),
        ),
    ]
}

/// A node whose clock shows another time.
async fn node_at(trial: &Trial, now: Timestamp) -> Result<(Subject, Arc<ManualClock>), Ending> {
    let clock = Arc::new(ManualClock::at(now));
    let node = trial.node_with_clock(Arc::clone(&clock) as Arc<dyn Clock>).await?;
    Ok((node, clock))
}

async fn slow_node(trial: Trial) -> Result<(), Ending> {
    let right = trial.node().await?;
    let (fast, _) = node_at(&trial, trial.now() + SECOND).await?;
    let (slow, _) = node_at(&trial, trial.now() - SECOND).await?;
    let touched = right.create(&[("user", b"ada")]).await?;
    let granted = fast.now() + LIFETIME;
    require!(fast.touch(&touched, granted).await?, "a touch of a live session found none");
    require!(slow.touch(&touched, slow.now() + LIFETIME).await?, "a touch of a live session found none");
    require_alive(&right, &touched, granted).await?;

    let saved = right.create(&[("user", b"ada")]).await?;
    fast.merge(&saved, &[("by", b"fast")]).await?;
    slow.merge(&saved, &[("by", b"slow")]).await?;
    require_alive(&right, &saved, granted).await?;
    let read = slow.load_live(&saved).await?;
    must_save(&slow, &saved, &on_live(&slow, &read, &[("by", b"slow")])).await?;
    let last = require_alive(&right, &saved, granted).await?;
    trial.clock().set(granted);
    require_expired(&[&right], &saved, &last).await
}

async fn slightly_ahead(trial: Trial) -> Result<(), Ending> {
    let right = trial.node().await?;
    let deadline = trial.now() + LIFETIME;
    let key = right.create(&[("user", b"ada")]).await?;
    let last = require_alive(&right, &key, deadline).await?;
    let (ahead, clock) = node_at(&trial, trial.now() + SECOND).await?;
    require_alive(&ahead, &key, deadline).await?;
    trial.clock().set(deadline - SECOND);
    clock.set(deadline);
    require_expired(&[&ahead], &key, &last).await?;
    require_alive(&right, &key, deadline).await?;
    trial.clock().set(deadline - MILLISECOND);
    require_alive(&right, &key, deadline).await?;
    trial.clock().set(deadline);
    require_expired(&[&right], &key, &last).await
}

async fn steps_back(trial: Trial) -> Result<(), Ending> {
    let right = trial.node().await?;
    let (stepped, clock) = node_at(&trial, trial.now()).await?;
    let start = trial.now();
    let deadline = start + LIFETIME;
    let key = stepped.create(&[("user", b"ada")]).await?;
    clock.step_back(HOUR);
    for share in [0.0, 0.5, 0.9] {
        at(&trial, start, share);
        require!(
            stepped.touch(&key, stepped.now() + LIFETIME).await?,
            "a touch of a live session found none"
        );
        stepped.merge(&key, &[("by", b"stepped")]).await?;
        require_alive(&stepped, &key, deadline).await?;
        require_alive(&right, &key, deadline).await?;
    }
    let last = require_alive(&right, &key, deadline).await?;
    trial.clock().set(deadline);
    require_expired(&[&right], &key, &last).await
}

async fn steps_forward(trial: Trial) -> Result<(), Ending> {
    let right = trial.node().await?;
    let deadline = trial.now() + LIFETIME;
    let mut keys = Vec::new();
    for _ in 0..5 {
        keys.push(right.create(&[("user", b"ada")]).await?);
    }
    let (fast, _) = node_at(&trial, trial.now() + HOUR).await?;
    for key in &keys {
        let before = require_alive(&right, key, deadline).await?;
        require_expired(&[&fast], key, &before).await?;
        let other = fast.create(&[("user", b"other")]).await?;
        fast.touch(&other, fast.now() + LIFETIME).await?;
        fast.delete(&other).await?;
        let after = require_alive(&right, key, deadline).await?;
        require!(before == after, "a node that is ahead changed a session that it calls dead");
    }
    for key in &keys {
        right.merge(key, &[("still", b"here")]).await?;
        require!(right.touch(key, deadline + HOUR * 2).await?, "the session is dead for the others, too");
        require_alive(&fast, key, deadline + HOUR * 2).await?;
    }
    Ok(())
}

async fn reaper_and_touch(trial: Trial) -> Result<(), Ending> {
    let right = trial.node().await?;
    let (fast, _) = node_at(&trial, trial.now() + HOUR).await?;
    for _ in 0..ROUNDS {
        let key = right.create(&[("user", b"ada")]).await?;
        let extended = trial.now() + HOUR * 2;
        let sides = [(fast.clone(), None), (right.clone(), Some(extended))];
        side_by_side(&trial, sides, key).await?;
        require_alive(&right, &key, extended).await?;
        require_alive(&fast, &key, extended).await?;
    }
    Ok(())
}

/// One node looks while the other extends.
async fn side_by_side(
    trial: &Trial,
    sides: [(Subject, Option<Timestamp>); 2],
    key: SessionKey,
) -> Result<(), Ending> {
    let clients = sides.map(|(node, deadline)| {
        let pauses = trial.below(3);
        async move {
            step_aside(pauses).await;
            let Some(deadline) = deadline else {
                return node.load(&key).await.map(|_| ());
            };
            require!(node.touch(&key, deadline).await?, "the session was dead when it was extended");
            Ok(())
        }
    });
    together(clients).await?;
    Ok(())
}

async fn reaper_and_create(trial: Trial) -> Result<(), Ending> {
    let right = trial.node().await?;
    let other = trial.node().await?;
    let mut keys = Vec::new();
    for _ in 0..ROUNDS {
        keys.push(right.create(&[("user", b"ada")]).await?);
    }
    trial.clock().advance(LIFETIME);
    let deadline = trial.now() + LIFETIME;
    for key in keys {
        let sides = [other.clone(), right.clone()].into_iter().enumerate().map(|(side, node)| {
            let pauses = trial.below(3);
            async move {
                step_aside(pauses).await;
                if side == 0 {
                    return node.load(&key).await.map(|_| ());
                }
                must_save(&node, &key, &node.creation(&[("user", b"grace")])).await
            }
        });
        together(sides).await?;
        for node in [&right, &other] {
            let record = require_alive(node, &key, deadline).await?;
            require!(
                record.attributes["user"] == b"grace"[..],
                "the expired record shines through the new one"
            );
            require!(
                record.lineage.stamps().len() == 1,
                "the new record remembers writes of the expired one"
            );
        }
    }
    Ok(())
}
