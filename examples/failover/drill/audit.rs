//! What is left at the end: every acknowledged write on both application nodes, and nobody who has logged out.

use std::collections::BTreeSet;
use std::error::Error;
use std::sync::atomic::Ordering;

use holdover::api::{Clock, Stored, SystemClock};

use super::load::{World, missing};
use crate::nodes::Stage;

#[derive(Debug, Default)]
struct Found {
    acknowledged: usize,
    lost: usize,
    twice: usize,
    vanished: usize,
    failed: usize,
}

/// Looks at everything through both application nodes and past them, prints it, and answers whether it is as promised.
pub(crate) async fn audit(world: &World, stage: &Stage) -> Result<bool, Box<dyn Error>> {
    let mut found = Found::default();
    look_at_the_living(world, &mut found).await;
    let logged_out = world.logged_out();
    let mut alive = BTreeSet::new();
    for node in [0, 1] {
        for (number, id) in logged_out.iter().enumerate() {
            match world.tokens(node, id).await {
                Ok(None) => {}
                Ok(Some(_)) => {
                    alive.insert(number);
                }
                Err(_) => found.failed += 1,
            }
        }
    }
    for server in stage.each_server().await? {
        for (number, id) in logged_out.iter().enumerate() {
            let now = SystemClock.now();
            if matches!(server.inspect(&id.key()).await?, Some(Stored::Record(record)) if record.is_live(now))
            {
                alive.insert(number);
            }
        }
    }

    let seen = &world.broken;
    let lost = found.lost as u64 + seen.lost.load(Ordering::Relaxed);
    let vanished = found.vanished as u64 + seen.vanished.load(Ordering::Relaxed);
    let resurrected = alive.len() as u64 + seen.resurrected.load(Ordering::Relaxed);
    println!("\n| at the end, through both application nodes | |\n|---|--:|");
    println!("| acknowledged writes | {} |", found.acknowledged);
    println!("| of them lost, now or in a read meanwhile | {lost} |");
    println!("| there twice | {} |", found.twice);
    println!("| live sessions not found, now or meanwhile | {vanished} |");
    println!("| sessions logged out | {} |", logged_out.len());
    println!("| of them seen or changed afterwards, or left alive on a server | {resurrected} |");
    println!("| questions of the audit that failed | {} |", found.failed);
    Ok(lost == 0 && found.twice == 0 && vanished == 0 && resurrected == 0 && found.failed == 0)
}

async fn look_at_the_living(world: &World, found: &mut Found) {
    for ledger in world.live() {
        let acknowledged = ledger.acknowledged().clone();
        found.acknowledged += acknowledged.len();
        let mut most_missing = 0;
        for node in [0, 1] {
            match world.tokens(node, &ledger.id).await {
                Ok(Some(mut tokens)) => {
                    most_missing = most_missing.max(missing(&acknowledged, &tokens));
                    let before = tokens.len();
                    tokens.sort_unstable();
                    tokens.dedup();
                    found.twice += before - tokens.len();
                }
                Ok(None) => found.vanished += 1,
                Err(_) => found.failed += 1,
            }
        }
        found.lost += most_missing;
    }
}
