//! Several creators of one id: RACE-12 and RACE-13. A create never takes over what is there (S5).

use std::collections::HashSet;
use std::sync::Arc;

use holdover_api::{SaveAnswer, SessionKey};
use tokio::sync::Barrier;

use super::support::{all_read, case, together, two_nodes};
use crate::case::{Case, Ending};
use crate::require;
use crate::trial::{Subject, Trial};

const ROUNDS: usize = 50;
const CREATORS: usize = 8;
const CREATES: usize = 100;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(
            "RACE-12",
            "of_eight_creators_of_one_id_exactly_one_wins",
            "Eight requests create the same id at once. One is told that it did, seven are told that they did not, \
             and what is there is the winner's (S5). Check-then-insert lets two of them share a session \
             (tower-sessions#180).",
            |trial| Box::pin(one_id(trial)),
        ),
        case(
            "RACE-13",
            "two_nodes_with_the_same_random_numbers_never_share_a_session",
            "Two nodes draw the same ids, as after a fork or a cloned machine, and create a hundred sessions each. \
             No id has two owners: whoever comes second is refused and takes the next id.",
            |trial| Box::pin(same_ids(trial)),
        ),
    ]
}

async fn one_id(trial: Trial) -> Result<(), Ending> {
    let (one, two) = two_nodes(&trial).await?;
    for _ in 0..ROUNDS {
        let key = trial.key();
        let gate = Arc::new(Barrier::new(CREATORS));
        let creators = (0..CREATORS).map(|creator| {
            let node = if creator % 2 == 0 { one.clone() } else { two.clone() };
            let gate = Arc::clone(&gate);
            async move {
                let owner = creator.to_string();
                let write = node.creation(&[("owner", owner.as_bytes())]);
                gate.wait().await;
                match node.save(&key, &write).await? {
                    SaveAnswer::Saved { .. } => Ok(Some(owner)),
                    SaveAnswer::Conflict { .. } => Ok(None),
                    SaveAnswer::Gone => {
                        Err(Ending::Failed("a create over a live session answered Gone".into()))
                    }
                }
            }
        });
        let winners: Vec<String> = together(creators).await?.into_iter().flatten().collect();
        require!(
            winners.len() == 1,
            "{} of {CREATORS} creators of one id were told that it is theirs",
            winners.len()
        );
        all_read(&[&one, &two], &key, "owner", &winners[0]).await?;
    }
    Ok(())
}

async fn same_ids(trial: Trial) -> Result<(), Ending> {
    let (one, two) = two_nodes(&trial).await?;
    let drawn: Arc<Vec<SessionKey>> = Arc::new((0..CREATES * 2).map(|_| trial.key()).collect());
    let gate = Arc::new(Barrier::new(2));
    let creators = [("one", one.clone()), ("two", two.clone())].map(|(name, node)| {
        let (drawn, gate) = (Arc::clone(&drawn), Arc::clone(&gate));
        async move {
            gate.wait().await;
            let owned = create_until_full(&node, name, &drawn).await?;
            Ok((name, owned))
        }
    });
    let mut owners = HashSet::new();
    for (name, owned) in together(creators).await? {
        require!(owned.len() == CREATES, "node {name} found only {} free ids of {CREATES}", owned.len());
        for key in owned {
            require!(owners.insert(key), "one id was given to both nodes");
            all_read(&[&one, &two], &key, "owner", name).await?;
        }
    }
    Ok(())
}

async fn create_until_full(
    node: &Subject,
    name: &str,
    drawn: &[SessionKey],
) -> Result<Vec<SessionKey>, Ending> {
    let mut owned = Vec::new();
    for key in drawn {
        if owned.len() == CREATES {
            break;
        }
        let answer = node.save(key, &node.creation(&[("owner", name.as_bytes())])).await?;
        if matches!(answer, SaveAnswer::Saved { .. }) {
            owned.push(*key);
        }
    }
    Ok(owned)
}
