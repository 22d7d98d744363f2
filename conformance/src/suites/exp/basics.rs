//! Life and death by the deadline: EXP-01, EXP-02, EXP-04 to EXP-08, EXP-13 and EXP-14.

use std::sync::Arc;

use holdover_api::{Clock, Deadline, ManualClock, On, SaveAnswer};

use super::support::{MILLISECOND, at, create_until, merge_until, require_alive, require_expired};
use crate::case::{Case, Ending};
use crate::require;
use crate::suites::race::support::{case, must_save, on_head, two_nodes};
use crate::trial::{LIFETIME, Trial};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = life_and_death();
    cases.extend(extensions());
    cases
}

fn life_and_death() -> Vec<Case> {
    vec![
        case(
            "EXP-01",
            "a_session_is_alive_until_its_deadline",
            "Nobody is logged out early: half way and one millisecond before the deadline the session is there, \
             on every node.",
            |trial| Box::pin(alive_before(trial)),
        ),
        case(
            "EXP-02",
            "a_session_is_dead_from_its_deadline_on",
            "At the deadline no load sees it, and no save or touch brings it back (I4, I1), although servers remove \
             it up to a minute (MongoDB) or days (DynamoDB) later.",
            |trial| Box::pin(dead_after(trial)),
        ),
        case(
            "EXP-13",
            "no_husk_is_left_by_a_touch_or_save_at_the_deadline",
            "A request that read the session just before its deadline touches and saves just after. Nothing is \
             stored: a node whose clock is still before the deadline sees the old record, or nothing.",
            |trial| Box::pin(husk(trial)),
        ),
        case(
            "EXP-14",
            "a_request_that_spans_the_deadline_is_told_that_the_session_is_gone",
            "Loaded alive, thought for two lifetimes, saved: a typed answer, not a new session and not a silent \
             success (phpredis#1411).",
            |trial| Box::pin(spanning_request(trial)),
        ),
    ]
}

fn extensions() -> Vec<Case> {
    vec![
        case(
            "EXP-04",
            "touches_keep_a_session_alive_and_it_dies_after_the_last",
            "Rolling expiry: five touches, each before the deadline, from alternating nodes; then none.",
            |trial| Box::pin(sliding(trial)),
        ),
        case(
            "EXP-05",
            "a_load_alone_extends_nothing",
            "Who polls must not keep a session alive that its user has left; only a touch or a save extends.",
            |trial| Box::pin(loads_do_not_extend(trial)),
        ),
        case(
            "EXP-06",
            "a_save_extends_and_its_retry_does_not",
            "A save moves the deadline with the content. Its retry carries the same absolute moment: it changes \
             nothing, however much later it comes (I3).",
            |trial| Box::pin(saves_extend(trial)),
        ),
        case(
            "EXP-07",
            "every_session_has_its_own_deadline",
            "A short and a long session side by side; a store with one time-out for all kills the long one \
             (aws-dynamodb-session-tomcat#7).",
            |trial| Box::pin(own_deadlines(trial)),
        ),
        case(
            "EXP-08",
            "exactly_shortens_and_at_least_never_does",
            "A write may end a session sooner, if it says so, or later; without saying so it only ever extends \
             (S10, S12).",
            |trial| Box::pin(shorter_and_longer(trial)),
        ),
    ]
}

async fn alive_before(trial: Trial) -> Result<(), Ending> {
    let (one, two) = two_nodes(&trial).await?;
    let deadline = trial.now() + LIFETIME;
    let key = one.create(&[("user", b"ada")]).await?;
    for moment in [trial.now(), trial.now() + LIFETIME / 2, deadline - MILLISECOND] {
        trial.clock().set(moment);
        require_alive(&one, &key, deadline).await?;
        require_alive(&two, &key, deadline).await?;
    }
    Ok(())
}

async fn dead_after(trial: Trial) -> Result<(), Ending> {
    let (one, two) = two_nodes(&trial).await?;
    let deadline = trial.now() + LIFETIME;
    let key = one.create(&[("user", b"ada")]).await?;
    let last = require_alive(&one, &key, deadline).await?;
    for moment in [deadline, deadline + MILLISECOND, deadline + LIFETIME] {
        trial.clock().set(moment);
        require_expired(&[&one, &two], &key, &last).await?;
    }
    Ok(())
}

async fn sliding(trial: Trial) -> Result<(), Ending> {
    let (one, two) = two_nodes(&trial).await?;
    let start = trial.now();
    let key = one.create(&[("user", b"ada")]).await?;
    for turn in 1..=5_u32 {
        at(&trial, start, 0.6 * f64::from(turn));
        let node = if turn % 2 == 0 { &one } else { &two };
        let deadline = node.now() + LIFETIME;
        let touched = node.touch(&key, deadline).await?;
        require!(touched, "touch {turn} of a live session answered that there is none");
        require_alive(&one, &key, deadline).await?;
        require_alive(&two, &key, deadline).await?;
    }
    let last_deadline = trial.now() + LIFETIME;
    trial.clock().set(last_deadline - MILLISECOND);
    let last = require_alive(&two, &key, last_deadline).await?;
    trial.clock().set(last_deadline);
    require_expired(&[&one, &two], &key, &last).await
}

async fn loads_do_not_extend(trial: Trial) -> Result<(), Ending> {
    let (one, two) = two_nodes(&trial).await?;
    let start = trial.now();
    let deadline = start + LIFETIME;
    let key = one.create(&[("user", b"ada")]).await?;
    let last = require_alive(&one, &key, deadline).await?;
    for share in [0.3, 0.6, 0.9] {
        at(&trial, start, share);
        require_alive(&one, &key, deadline).await?;
        require_alive(&two, &key, deadline).await?;
    }
    trial.clock().set(deadline);
    require_expired(&[&one, &two], &key, &last).await
}

async fn saves_extend(trial: Trial) -> Result<(), Ending> {
    let (one, two) = two_nodes(&trial).await?;
    let start = trial.now();
    let key = one.create(&[("user", b"ada")]).await?;
    at(&trial, start, 0.9);
    let deadline = trial.now() + LIFETIME;
    let write = one.write(On::Live, &[("seen", b"1")]);
    must_save(&one, &key, &write).await?;
    at(&trial, start, 1.5);
    require_alive(&two, &key, deadline).await?;

    must_save(&one, &key, &write).await?;
    must_save(&two, &key, &write).await?;
    let last = require_alive(&two, &key, deadline).await?;
    require!(last.lineage.stamps().len() == 2, "the retry of a save counts as another write");
    trial.clock().set(deadline);
    require_expired(&[&one, &two], &key, &last).await
}

async fn own_deadlines(trial: Trial) -> Result<(), Ending> {
    let (one, two) = two_nodes(&trial).await?;
    let start = trial.now();
    let short = create_until(&one, &trial, start + LIFETIME).await?;
    let long = create_until(&one, &trial, start + LIFETIME * 3).await?;
    let last = require_alive(&two, &short, start + LIFETIME).await?;
    at(&trial, start, 1.0);
    require_expired(&[&one, &two], &short, &last).await?;
    at(&trial, start, 2.5);
    let last = require_alive(&two, &long, start + LIFETIME * 3).await?;
    at(&trial, start, 3.0);
    require_expired(&[&one, &two], &long, &last).await
}

async fn shorter_and_longer(trial: Trial) -> Result<(), Ending> {
    let (one, two) = two_nodes(&trial).await?;
    let start = trial.now();
    let key = one.create(&[("user", b"ada")]).await?;
    let steps = [
        (Deadline::AtLeast(start + LIFETIME / 2), LIFETIME),
        (Deadline::Exactly(start + LIFETIME / 2), LIFETIME / 2),
        (Deadline::AtLeast(start + LIFETIME / 4), LIFETIME / 2),
        (Deadline::Exactly(start + LIFETIME * 4), LIFETIME * 4),
        (Deadline::AtLeast(start + LIFETIME * 5), LIFETIME * 5),
    ];
    for (asked, lifetime) in steps {
        must_save(&one, &key, &merge_until(&one, asked)).await?;
        require_alive(&two, &key, start + lifetime).await?;
    }
    let touched = two.touch(&key, start + LIFETIME / 8).await?;
    require!(touched, "a touch of a live session answered that there is none");
    let read = one.load_live(&key).await?;
    let shorten = on_head(&one, &read, &[("seen", b"2")]);
    let deadline = start + LIFETIME * 2;
    must_save(&one, &key, &holdover_api::Write { deadline: Deadline::Exactly(deadline), ..shorten }).await?;
    let last = require_alive(&two, &key, deadline).await?;
    trial.clock().set(deadline);
    require_expired(&[&one, &two], &key, &last).await
}

async fn husk(trial: Trial) -> Result<(), Ending> {
    let (one, two) = two_nodes(&trial).await?;
    let earlier = Arc::new(ManualClock::at(trial.now()));
    let past = trial.node_with_clock(Arc::clone(&earlier) as Arc<dyn Clock>).await?;
    let deadline = trial.now() + LIFETIME;
    let key = one.create(&[("user", b"ada")]).await?;
    trial.clock().set(deadline - MILLISECOND);
    let read = one.load_live(&key).await?;
    for moment in [deadline, deadline + MILLISECOND * 100] {
        trial.clock().set(moment);
        let touched = one.touch(&key, moment + LIFETIME).await?;
        require!(!touched, "a touch after the deadline answered that the session lives");
        for write in [one.write(On::Live, &[("late", b"1")]), on_head(&one, &read, &[("late", b"1")])] {
            let answer = one.save(&key, &write).await?;
            require!(matches!(answer, SaveAnswer::Gone), "a save after the deadline answered {answer:?}");
        }
        require_expired(&[&one, &two], &key, &read.record).await?;
        let kept = past.load(&key).await?;
        require!(
            kept.is_none_or(|kept| kept.record == read.record),
            "after its deadline, a touch or a save changed what is stored of the session"
        );
    }
    Ok(())
}

async fn spanning_request(trial: Trial) -> Result<(), Ending> {
    let (one, two) = two_nodes(&trial).await?;
    for on_exactly_that in [false, true] {
        let key = one.create(&[("user", b"ada")]).await?;
        let read = one.load_live(&key).await?;
        trial.clock().advance(LIFETIME * 2);
        let on = if on_exactly_that { On::Head(read.record.head()) } else { On::Live };
        let write = holdover_api::Write { base: Some(read.clone()), ..one.write(on, &[("late", b"1")]) };
        let answer = one.save(&key, &write).await?;
        require!(matches!(answer, SaveAnswer::Gone), "a save two lifetimes later answered {answer:?}");
        require_expired(&[&one, &two], &key, &read.record).await?;
    }
    Ok(())
}
