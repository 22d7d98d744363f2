//! Many writers of one session: RACE-03 and RACE-37. All of them read before any of them writes, so that they race for
//! certain.

use std::sync::Arc;

use holdover_api::{SaveAnswer, SessionKey};
use tokio::sync::Barrier;

use super::support::{all_read, case, increment, nodes, on_live, together};
use crate::case::{Case, Ending};
use crate::require;
use crate::trial::{Subject, Trial};

const CLIENTS: usize = 8;
const INCREMENTS: usize = 50;
const MERGERS: usize = 60;
const WRITERS: usize = 32;
const NODES: usize = 4;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case(
            "RACE-03",
            "hammered_counters_are_exact_and_parallel_merges_all_stay",
            "Eight clients increment one counter fifty times each, and the total is exact (I2, I3). Sixty requests \
             that all read before any of them writes merge sixty attributes, and all sixty are there, without one \
             conflict (S6). Stores that put whole records back lose 94 to 98 % in this test.",
            |trial| Box::pin(hammer(trial)),
        ),
        case(
            "RACE-37",
            "a_writer_is_refused_at_most_once_for_each_other_writer",
            "Thirty-two clients increment one counter at once. A refusal always means that somebody else got \
             through, and the record that it carries is the newest, so that nobody needs more than thirty-two \
             attempts: false conflicts turn retries into storms (aws-dotnet-session-provider#1).",
            |trial| Box::pin(bounded_retries(trial)),
        ),
    ]
}

async fn hammer(trial: Trial) -> Result<(), Ending> {
    let nodes = nodes(&trial, NODES).await?;
    count_together(&nodes).await?;
    merge_together(&nodes).await
}

async fn count_together(nodes: &[Subject]) -> Result<(), Ending> {
    let key = nodes[0].create(&[("n", b"0")]).await?;
    let all_have_read = Arc::new(Barrier::new(CLIENTS));
    let clients = (0..CLIENTS).map(|client| {
        let node = nodes[client % nodes.len()].clone();
        let gate = Arc::clone(&all_have_read);
        async move {
            let first = node.load_live(&key).await?;
            gate.wait().await;
            let budget = CLIENTS * INCREMENTS;
            let mut attempts = increment(&node, &key, "n", first, budget).await?.attempts;
            for _ in 1..INCREMENTS {
                let read = node.load_live(&key).await?;
                attempts += increment(&node, &key, "n", read, budget).await?.attempts;
            }
            Ok(attempts)
        }
    });
    let attempts: usize = together(clients).await?.iter().sum();
    let total = CLIENTS * INCREMENTS;
    for node in nodes {
        all_read(&[node], &key, "n", &total.to_string()).await?;
    }
    require!(
        attempts >= total + CLIENTS - 1,
        "{CLIENTS} clients wrote on one head and only {} were refused",
        attempts - total
    );
    Ok(())
}

async fn merge_together(nodes: &[Subject]) -> Result<(), Ending> {
    let key = nodes[0].create(&[("kept", b"0")]).await?;
    let all_have_read = Arc::new(Barrier::new(MERGERS));
    let clients = (0..MERGERS).map(|client| {
        let node = nodes[client % nodes.len()].clone();
        let gate = Arc::clone(&all_have_read);
        async move {
            let read = node.load_live(&key).await?;
            gate.wait().await;
            let name = format!("a{client}");
            let answer = node.save(&key, &on_live(&node, &read, &[(&name, name.as_bytes())])).await?;
            require!(
                matches!(answer, SaveAnswer::Saved { .. }),
                "a merge into a live session answered {answer:?}"
            );
            Ok(())
        }
    });
    together(clients).await?;
    for node in nodes {
        none_lost(node, &key).await?;
    }
    Ok(())
}

async fn none_lost(node: &Subject, key: &SessionKey) -> Result<(), Ending> {
    let record = node.load_live(key).await?.record;
    let mut lost = Vec::new();
    for client in 0..MERGERS {
        let name = format!("a{client}");
        if record.attributes.get(&name).is_none_or(|value| *value != name.as_bytes()) {
            lost.push(name);
        }
    }
    require!(lost.is_empty(), "of {MERGERS} acknowledged attributes, {} are lost: {lost:?}", lost.len());
    require!(record.attributes.contains_key("kept"), "the attribute that was there before is lost");
    Ok(())
}

async fn bounded_retries(trial: Trial) -> Result<(), Ending> {
    let nodes = nodes(&trial, NODES).await?;
    let key = nodes[0].create(&[("n", b"0")]).await?;
    let all_have_read = Arc::new(Barrier::new(WRITERS));
    let clients = (0..WRITERS).map(|client| {
        let node = nodes[client % nodes.len()].clone();
        let gate = Arc::clone(&all_have_read);
        async move {
            let read = node.load_live(&key).await?;
            gate.wait().await;
            Ok(increment(&node, &key, "n", read, WRITERS).await?.attempts)
        }
    });
    let attempts = together(clients).await?;
    all_read(&[&nodes[0], &nodes[1]], &key, "n", &WRITERS.to_string()).await?;
    let refusals: usize = attempts.iter().sum::<usize>() - WRITERS;
    require!(refusals >= WRITERS - 1, "all wrote on one head and only {refusals} were refused");
    Ok(())
}
