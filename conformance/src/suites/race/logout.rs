//! Logout against everybody else: RACE-05 to RACE-09. Nothing brings a destroyed session back (I1).

use std::sync::Arc;

use holdover_api::{SaveAnswer, Stored};
use tokio::sync::Barrier;

use super::support::{case, on_head, on_live, require_dead, step_aside, together, two_nodes};
use crate::case::{Case, Ending};
use crate::history::{Answer, Call, Outcome, Recorder, Who};
use crate::require;
use crate::trial::{LIFETIME, Subject, Trial};

const LOAD_ROUNDS: usize = 200;
const STORM_SESSIONS: usize = 200;
const STORM_WIDTH: usize = 20;
const STORM_LATE_SAVES: usize = 50;
const ROUNDS: usize = 3;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(
            "RACE-05",
            "a_logout_beats_a_slow_writer",
            "A request that loaded the session before a logout saves afterwards. Stores that upsert log the user in \
             again (CVE-2025-46336, connect-redis#328, express-session#632). Here it is Gone (S8), on every node, \
             and stays so after the old deadline.",
            |trial| Box::pin(slow_writer(trial)),
        ),
        case(
            "RACE-06",
            "a_logout_beats_a_slow_toucher_and_no_husk_is_left",
            "A rolling expiry that arrives after the logout must not create a record without content \
             (spring-session#3347, zinin/tomcat-redis-session#5).",
            |trial| Box::pin(slow_toucher(trial)),
        ),
        case(
            "RACE-07",
            "a_load_that_straddles_a_logout_does_not_undo_it",
            "The load itself may answer what was there before. The next one must see nothing: a load that puts back \
             what it has read, to renew a time-out or to fill a copy, undoes the logout (lettuce#3481).",
            |trial| Box::pin(straddling_load(trial)),
        ),
        case(
            "RACE-08",
            "eight_logouts_at_once_all_succeed",
            "Deleting what somebody else has just deleted is fine (S14): the user asked for exactly that.",
            |trial| Box::pin(many_logouts(trial)),
        ),
        case(
            "RACE-09",
            "no_session_survives_a_storm_of_writers_around_its_logout",
            "Two hundred sessions, each with three writers and two touchers, all of which have read it, and one \
             logout in between. None is alive in the end (I1).",
            |trial| Box::pin(storm(trial)),
        ),
    ]
}

async fn slow_writer(trial: Trial) -> Result<(), Ending> {
    let (one, two) = two_nodes(&trial).await?;
    let key = one.create(&[("user", b"ada")]).await?;
    let read = one.load_live(&key).await?;
    two.load_live(&key).await?;
    let merge = on_live(&one, &read, &[("late", b"1")]);
    let compare = on_head(&one, &read, &[("late", b"1")]);
    two.delete(&key).await?;

    for write in [&merge, &compare, &merge] {
        let answer = one.save(&key, write).await?;
        require!(matches!(answer, SaveAnswer::Gone), "a save after the logout answered {answer:?}");
    }
    let head = read.record.head();
    require_dead(&one, &key, head).await?;
    require_dead(&two, &key, head).await?;

    trial.clock().advance(LIFETIME * 2);
    require_dead(&one, &key, head).await?;
    require_dead(&two, &key, head).await
}

async fn slow_toucher(trial: Trial) -> Result<(), Ending> {
    let (one, two) = two_nodes(&trial).await?;
    let key = one.create(&[("user", b"ada")]).await?;
    let read = one.load_live(&key).await?;
    two.delete(&key).await?;
    for _ in 0..2 {
        let touched = one.touch(&key, one.now() + LIFETIME * 2).await?;
        require!(!touched, "a touch after the logout answered that the session lives");
    }
    for node in [&one, &two] {
        let kept = node.store.inspect(&key).await;
        require!(
            !matches!(kept, Ok(Some(Stored::Record(_)))),
            "the touch left a husk behind: a record without its content"
        );
        require_dead(node, &key, read.record.head()).await?;
    }
    Ok(())
}

async fn straddling_load(trial: Trial) -> Result<(), Ending> {
    let (one, two) = two_nodes(&trial).await?;
    let recorder = Arc::new(Recorder::new());
    for round in 0..LOAD_ROUNDS {
        straddle(&trial, (&one, &two), &recorder, round).await?;
    }
    let met = (0..LOAD_ROUNDS).filter(|round| {
        let history = recorder.of_session(*round);
        history.len() == 2 && history[0].overlaps(&history[1])
    });
    if met.count() == 0 {
        return Err(Ending::Vacuous("no load was under way during a logout".into()));
    }
    Ok(())
}

async fn straddle(
    trial: &Trial,
    (one, two): (&Subject, &Subject),
    recorder: &Arc<Recorder>,
    round: usize,
) -> Result<(), Ending> {
    let key = one.create(&[("user", b"ada")]).await?;
    let before = two.load_live(&key).await?.record.as_ref().clone();
    let sides = [(one.clone(), Call::Load), (two.clone(), Call::Delete)];
    let clients = sides.into_iter().enumerate().map(|(client, (node, call))| {
        let recorder = Arc::clone(recorder);
        let pauses = trial.below(3);
        async move {
            let who = Who { client, node: client, store: &*node.store, session: round, key: &key };
            Ok(recorder.call(who, call, pauses).await)
        }
    });
    for outcome in together(clients).await? {
        match outcome {
            Outcome::Answered(Answer::Deleted | Answer::Loaded(None)) => {}
            Outcome::Answered(Answer::Loaded(Some(record))) => {
                require!(record == before, "the load answered {record:?}, which nobody has written");
            }
            outcome => return Err(Ending::Failed(format!("a load or a delete ended as {outcome:?}"))),
        }
    }
    for node in [one, two] {
        let seen = node.load(&key).await?;
        require!(seen.is_none(), "a load that straddled the logout brought the session back");
    }
    Ok(())
}

async fn many_logouts(trial: Trial) -> Result<(), Ending> {
    let (one, two) = two_nodes(&trial).await?;
    for _ in 0..10 {
        let key = one.create(&[("user", b"ada")]).await?;
        let read = one.load_live(&key).await?;
        let gate = Arc::new(Barrier::new(8));
        let clients = (0..8).map(|client| {
            let node = if client % 2 == 0 { one.clone() } else { two.clone() };
            let gate = Arc::clone(&gate);
            async move {
                gate.wait().await;
                node.delete(&key).await
            }
        });
        together(clients).await?;
        require_dead(&one, &key, read.record.head()).await?;
        require_dead(&two, &key, read.record.head()).await?;
    }
    Ok(())
}

async fn storm(trial: Trial) -> Result<(), Ending> {
    let mut late = 0;
    for _ in 0..ROUNDS {
        late += storm_round(&trial).await?;
        if late >= STORM_LATE_SAVES {
            return Ok(());
        }
    }
    Err(Ending::Vacuous(format!("only {late} saves came after the logout of their session")))
}

/// Answers how many saves came after the logout.
async fn storm_round(trial: &Trial) -> Result<usize, Ending> {
    let (one, two) = two_nodes(trial).await?;
    let mut late = 0;
    for _ in 0..STORM_SESSIONS / STORM_WIDTH {
        let sessions = (0..STORM_WIDTH).map(|_| {
            let (trial, one, two) = (trial.clone(), one.clone(), two.clone());
            async move { storm_session(&trial, &one, &two).await }
        });
        late += together(sessions).await?.iter().sum::<usize>();
    }
    Ok(late)
}

async fn storm_session(trial: &Trial, one: &Subject, two: &Subject) -> Result<usize, Ending> {
    const CLIENTS: usize = 6;
    let key = one.create(&[("user", b"ada")]).await?;
    let gate = Arc::new(Barrier::new(CLIENTS));
    let clients = (0..CLIENTS).map(|client| {
        let node = if client % 2 == 0 { one.clone() } else { two.clone() };
        let gate = Arc::clone(&gate);
        let pauses = trial.below(8);
        async move {
            let read = node.load_live(&key).await?;
            gate.wait().await;
            step_aside(pauses).await;
            let write = match client {
                0 => return node.delete(&key).await.map(|()| false),
                1 | 2 => return node.touch(&key, node.now() + LIFETIME * 2).await.map(|_| false),
                3 => on_head(&node, &read, &[("late", b"1")]),
                _ => on_live(&node, &read, &[("late", b"1")]),
            };
            let answer = node.save(&key, &write).await?;
            Ok(matches!(answer, SaveAnswer::Gone))
        }
    });
    let late = together(clients).await?.into_iter().filter(|was_late| *was_late).count();
    for node in [one, two] {
        let seen = node.load(&key).await?;
        require!(seen.is_none(), "a session is alive after its logout was acknowledged");
    }
    Ok(late)
}
