//! What an error says of its effect, under every fault of the network.

use holdover_api::{Error, On, SaveAnswer, SessionKey};

use super::tools::{Lane, bounded, insist, insist_live, insist_load, swears_no_effect};
use crate::case::Ending;
use crate::proxy::{Behaviour, Break, Direction, Proxy};
use crate::require;
use crate::trial::{LIFETIME, Subject, Trial};

/// What the network does to one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Refused,
    RequestSwallowed,
    ResponseSwallowed,
    ResponseCut,
    ResponseReset,
    BrokenWithTheRequestUnderway,
    BrokenWithTheResponseUnderway,
}

const FAULTS: [Fault; 7] = [
    Fault::Refused,
    Fault::RequestSwallowed,
    Fault::ResponseSwallowed,
    Fault::ResponseCut,
    Fault::ResponseReset,
    Fault::BrokenWithTheRequestUnderway,
    Fault::BrokenWithTheResponseUnderway,
];

impl Fault {
    /// Runs an operation under this fault, and heals.
    async fn strike<T>(
        self,
        proxy: &Proxy,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<Result<T, Error>, Ending> {
        match self {
            Self::Refused => {
                proxy.refuse().await;
                proxy.break_connections(Break::Close).await;
            }
            Self::RequestSwallowed => proxy.set(Direction::Requests, Behaviour::Swallow),
            Self::ResponseSwallowed => proxy.set(Direction::Responses, Behaviour::Swallow),
            Self::ResponseCut => proxy.cut_response(0, 0, Break::Close),
            Self::ResponseReset => proxy.cut_response(0, 1, Break::Reset),
            Self::BrokenWithTheRequestUnderway => proxy.set(Direction::Requests, Behaviour::Hold),
            Self::BrokenWithTheResponseUnderway => proxy.set(Direction::Responses, Behaviour::Hold),
        }
        let held = matches!(self, Self::BrokenWithTheRequestUnderway | Self::BrokenWithTheResponseUnderway);
        let before = proxy.counts().delayed;
        let breaking = async {
            if held {
                proxy.until(|counts| counts.delayed > before).await;
                proxy.break_connections(Break::Reset).await;
            }
        };
        let (result, ()) = bounded("an operation", async { tokio::join!(work, breaking) }).await?;
        proxy.heal().await;
        Ok(result)
    }
}

/// FAIL-06.
pub(super) async fn an_oath_is_kept(trial: Trial) -> Result<(), Ending> {
    let lane = Lane::open(&trial).await?;
    let other = trial.node().await?;
    let mut errors = 0;
    for fault in FAULTS {
        let failed = [
            a_save(&lane, &other, fault).await?,
            a_create(&trial, &lane, &other, fault).await?,
            a_touch(&lane, &other, fault).await?,
            a_delete(&lane, &other, fault).await?,
        ];
        errors += failed.iter().filter(|failed| **failed).count();
    }
    if errors < FAULTS.len() {
        return Err(Ending::Vacuous(format!(
            "only {errors} operations failed under {} faults",
            FAULTS.len()
        )));
    }
    Ok(())
}

fn broken_oath(fault: Fault, what: &str) -> Ending {
    Ending::Failed(format!("{what} took effect although its error swore that it had none ({fault:?})"))
}

async fn a_save(lane: &Lane, other: &Subject, fault: Fault) -> Result<bool, Ending> {
    let key = other.create(&[]).await?;
    let write = lane.node.write(On::Live, &[("token", b"1")]);
    let result = fault.strike(&lane.proxy, lane.node.store.save(&key, &write)).await?;
    settled(&lane.node, &key).await?;
    let there = other.load_live(&key).await?.record.lineage.contains(write.stamp);
    match &result {
        Ok(answer) => acknowledged(answer, there, fault)?,
        Err(_) if swears_no_effect(&result) && there => return Err(broken_oath(fault, "a save")),
        Err(_) => {}
    }
    Ok(result.is_err())
}

async fn a_create(trial: &Trial, lane: &Lane, other: &Subject, fault: Fault) -> Result<bool, Ending> {
    let key = trial.key();
    let write = lane.node.creation(&[]);
    let result = fault.strike(&lane.proxy, lane.node.store.save(&key, &write)).await?;
    settled(&lane.node, &key).await?;
    let there = other.load(&key).await?.is_some();
    match &result {
        Ok(answer) => acknowledged(answer, there, fault)?,
        Err(_) if swears_no_effect(&result) && there => return Err(broken_oath(fault, "a create")),
        Err(_) => {}
    }
    Ok(result.is_err())
}

async fn a_touch(lane: &Lane, other: &Subject, fault: Fault) -> Result<bool, Ending> {
    let key = other.create(&[]).await?;
    let before = other.load_live(&key).await?.record.deadline;
    let deadline = other.now() + LIFETIME * 2;
    let result = fault.strike(&lane.proxy, lane.node.store.touch(&key, deadline)).await?;
    let after = insist_live(&lane.node, &key).await?.record.deadline;
    if let Ok(found) = &result {
        require!(*found && after == deadline, "a touch was acknowledged and did not take effect ({fault:?})");
    } else if swears_no_effect(&result) && after != before {
        return Err(broken_oath(fault, "a touch"));
    }
    Ok(result.is_err())
}

async fn a_delete(lane: &Lane, other: &Subject, fault: Fault) -> Result<bool, Ending> {
    let key = other.create(&[]).await?;
    let result = fault.strike(&lane.proxy, lane.node.store.delete(&key)).await?;
    let gone = insist_load(&lane.node, &key).await?.is_none();
    if result.is_ok() {
        require!(gone, "a delete was acknowledged and did not take effect ({fault:?})");
    } else if swears_no_effect(&result) && gone {
        return Err(broken_oath(fault, "a delete"));
    }
    Ok(result.is_err())
}

fn acknowledged(answer: &SaveAnswer, there: bool, fault: Fault) -> Result<(), Ending> {
    let saved = matches!(answer, SaveAnswer::Saved { .. });
    require!(
        saved && there,
        "a save answered {answer:?} and its write is {there:?} in the store ({fault:?})"
    );
    Ok(())
}

/// Waits until the node is of use again.
async fn settled(node: &Subject, key: &SessionKey) -> Result<(), Ending> {
    insist("load", || node.store.inspect(key)).await.map(drop)
}
