//! After every fault the store heals and settles.

use holdover_api::{On, SaveAnswer, SessionKey};

use super::tools::{BOUND, Lane, bounded, insist, insist_live};
use crate::case::Ending;
use crate::proxy::{Behaviour, Break, Direction, Proxy};
use crate::require;
use crate::trial::Trial;

const ROUNDS: usize = 12;

/// FAIL-36.
pub(super) async fn settles(trial: Trial) -> Result<(), Ending> {
    let lane = Lane::open(&trial).await?;
    let other = trial.node().await?;
    let key = other.create(&[]).await?;
    let mut acknowledged = Vec::new();
    let first = trial.below(FAULTS.len());
    for round in 0..ROUNDS {
        let fault = FAULTS[(first + round) % FAULTS.len()];
        let name = format!("token-{round}");
        if strike(&lane, &key, &name, fault).await? {
            acknowledged.push(name);
        }
        lane.proxy.heal().await;
        let name = format!("healed-{round}");
        let write = lane.node.write(On::Live, &[(&name, b"1")]);
        let answer = insist("save", || lane.node.store.save(&key, &write)).await?;
        let saved = matches!(answer, SaveAnswer::Saved { .. });
        require!(saved, "a save after round {round} answered {answer:?}");
        acknowledged.push(name);
    }
    let here = insist_live(&lane.node, &key).await?.record;
    let there = other.load_live(&key).await?.record;
    require!(here == there, "two nodes see different sessions after everything has healed");
    let lost: Vec<_> = acknowledged.iter().filter(|name| !here.attributes.contains_key(*name)).collect();
    require!(lost.is_empty(), "acknowledged writes are lost (I2): {lost:?}");
    Ok(())
}

type Fault = (Direction, Behaviour, Option<Break>);

const FAULTS: [Fault; 6] = [
    (Direction::Requests, Behaviour::Pass, Some(Break::Reset)),
    (Direction::Requests, Behaviour::Pass, Some(Break::Close)),
    (Direction::Requests, Behaviour::Swallow, None),
    (Direction::Responses, Behaviour::Swallow, None),
    (Direction::Requests, Behaviour::Hold, Some(Break::Reset)),
    (Direction::Responses, Behaviour::Delay(BOUND), None),
];

/// Saves under a fault. Answers whether the save was acknowledged all the same.
async fn strike(lane: &Lane, key: &SessionKey, name: &str, fault: Fault) -> Result<bool, Ending> {
    let (direction, behaviour, end) = fault;
    let proxy: &Proxy = &lane.proxy;
    proxy.set(direction, behaviour);
    if let (Behaviour::Pass, Some(how)) = (behaviour, end) {
        proxy.refuse().await;
        proxy.break_connections(how).await;
    }
    let write = lane.node.write(On::Live, &[(name, b"1")]);
    let before = proxy.counts().delayed;
    let save = bounded("a save under a fault", lane.node.store.save(key, &write));
    let breaking = async {
        if let (Behaviour::Hold, Some(how)) = (behaviour, end) {
            proxy.until(|counts| counts.delayed > before).await;
            proxy.break_connections(how).await;
        }
    };
    let breaking = bounded("a request", breaking);
    let (result, broken) = tokio::join!(save, breaking);
    broken?;
    Ok(matches!(result?, Ok(SaveAnswer::Saved { .. })))
}
