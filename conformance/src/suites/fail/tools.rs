//! What the FAIL cases share: bounds, lanes through a proxy, servers of their own, every operation at once.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use holdover_api::{
    Effect, Error, ErrorKind, Lineage, Loaded, On, Operation, Record, SessionKey, SessionStoreExt, Stored,
    pause, within,
};

use crate::case::{Applies, Ending, Scope};
use crate::harness::PrivateServer;
use crate::proxy::Proxy;
use crate::trial::{LIFETIME, Subject, Trial};

/// Within this time every operation has to end, whatever happens to the server or the network. Stores end far sooner;
/// the bound is for a busy machine.
pub(super) const BOUND: Duration = Duration::from_secs(10);

/// Within this time a store has to be of use again once its server is.
pub(super) const RECOVERY: Duration = Duration::from_secs(5);

const BETWEEN_TRIES: Duration = Duration::from_millis(20);

const IN_PROCESS: &str = "its sessions live in this process: no server and no network stand between";

const SEVERAL_SERVERS: &str =
    "it keeps copies on several servers: each takes this case alone, and FAIL-14 and on break them together";

/// For cases that put the fault proxy before the server.
pub(super) fn with_proxy(scope: &Scope) -> Applies {
    if scope.copies.count > 1 {
        return Applies::No(SEVERAL_SERVERS);
    }
    match (scope.capabilities.shared, scope.proxied) {
        (false, _) => Applies::No(IN_PROCESS),
        (true, false) => Applies::NotRun("the harness names no address for the fault proxy to stand before"),
        (true, true) => Applies::Yes,
    }
}

/// For cases that break a server of their own.
pub(super) fn with_server(scope: &Scope) -> Applies {
    if scope.copies.count > 1 {
        return Applies::No(SEVERAL_SERVERS);
    }
    match (scope.capabilities.shared, scope.servers) {
        (false, _) => Applies::No(IN_PROCESS),
        (true, false) => Applies::NotRun("the harness starts no private servers that a case may break"),
        (true, true) => Applies::Yes,
    }
}

/// A proxy and a node that reaches the server through it.
pub(super) struct Lane {
    pub(super) proxy: Proxy,
    pub(super) node: Subject,
}

impl Lane {
    pub(super) async fn open(trial: &Trial) -> Result<Self, Ending> {
        let address = trial.harness().address();
        let address = address.ok_or_else(|| Ending::Error("the harness names no address".into()))?;
        let proxy = Proxy::start(address).await;
        let proxy = proxy.map_err(|error| Ending::Error(format!("start the proxy: {error}")))?;
        let node = trial.node_via(proxy.address()).await?;
        Ok(Self { proxy, node })
    }
}

/// A server that this case may break, and the trial against it.
pub(super) async fn private(trial: &Trial) -> Result<(Trial, PrivateServer), Ending> {
    match trial.harness().private_server().await {
        Some(Ok(server)) => Ok((trial.on(Arc::clone(&server.harness)), server)),
        Some(Err(why)) => Err(Ending::Error(why)),
        None => Err(Ending::Error("the harness starts no private server".into())),
    }
}

/// Turns what the bench could not do into the ending that it is.
pub(super) fn bench<T>(done: Result<T, String>) -> Result<T, Ending> {
    done.map_err(Ending::Error)
}

/// Waits for `work`, but no longer than any operation may take.
pub(super) async fn bounded<T>(what: &str, work: impl Future<Output = T>) -> Result<T, Ending> {
    let ended = within(BOUND, work).await;
    ended.ok_or_else(|| Ending::Failed(format!("{what} had not ended after {} s", BOUND.as_secs())))
}

/// Tries again while the store is unavailable, for as long as a recovery may take.
pub(super) async fn insist<T, F>(what: &str, mut attempt: impl FnMut() -> F) -> Result<T, Ending>
where
    F: Future<Output = Result<T, Error>>,
{
    let mut last = None;
    let trying = async {
        loop {
            match attempt().await {
                Ok(answer) => return Ok(answer),
                Err(error) if error.kind() == ErrorKind::Unavailable => last = Some(error),
                Err(error) => {
                    return Err(Ending::Failed(format!("{what} once the server was back: {error}")));
                }
            }
            pause(BETWEEN_TRIES).await;
        }
    };
    let done = within(RECOVERY, trying).await;
    done.unwrap_or_else(|| {
        let last = last.map_or_else(|| "no answer".to_owned(), |error| error.to_string());
        let limit = RECOVERY.as_secs();
        Err(Ending::Failed(format!(
            "{what} did not work again within {limit} s of the server's return: {last}"
        )))
    })
}

/// Loads once the store is of use again.
pub(super) async fn insist_load(node: &Subject, key: &SessionKey) -> Result<Option<Loaded>, Ending> {
    insist("load", || node.store.load_latest(key)).await
}

/// Loads what has to be there once the store is of use again.
pub(super) async fn insist_live(node: &Subject, key: &SessionKey) -> Result<Loaded, Ending> {
    let loaded = insist_load(node, key).await?;
    loaded.ok_or_else(|| Ending::Failed("load found nothing where a live session has to be".into()))
}

/// One operation and how it ended, its answer in words.
pub(super) type Outcome = (Operation, Result<String, Error>);

/// Puts every operation of the trait to a live session at once, each within the bound. They change it, if they work.
pub(super) async fn every_operation(node: &Subject, key: &SessionKey) -> Result<Vec<Outcome>, Ending> {
    let store = &node.store;
    let write = node.write(On::Live, &[("every", b"operation")]);
    let other = node.write(On::Live, &[]);
    let record = Record {
        attributes: Default::default(),
        lineage: Lineage::new(other.stamp),
        created: node.now(),
        deadline: node.now() + LIFETIME,
    };
    let over = record.standing();
    let new = Stored::Record(record);
    let (load, save, touch, delete, inspect, install) = tokio::join!(
        outcome(Operation::Load, store.load_latest(key)),
        outcome(Operation::Save, store.save(key, &write)),
        outcome(Operation::Touch, store.touch(key, node.now() + LIFETIME * 2)),
        outcome(Operation::Delete, store.delete(key)),
        outcome(Operation::Inspect, store.inspect(key)),
        outcome(Operation::Install, store.install(key, Some(over), &new)),
    );
    [load, save, touch, delete, inspect, install].into_iter().collect()
}

async fn outcome<T: Debug>(
    operation: Operation,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<Outcome, Ending> {
    let ended = bounded(operation.name(), work).await?;
    Ok((operation, ended.map(|answer| format!("{answer:?}"))))
}

/// Every outcome has to be the error of a store that cannot be reached: not an absence, not an answer, not a success.
pub(super) fn all_unavailable(outcomes: &[Outcome]) -> Result<(), Ending> {
    for (operation, outcome) in outcomes {
        match outcome {
            Ok(answer) => {
                let told = format!("{operation} answered {answer} though the server could not be reached");
                return Err(Ending::Failed(told));
            }
            Err(error) => unavailable(error)?,
        }
    }
    Ok(())
}

/// The error has to say that the store cannot be reached.
pub(super) fn unavailable(error: &Error) -> Result<(), Ending> {
    if error.kind() == ErrorKind::Unavailable {
        return Ok(());
    }
    Err(Ending::Failed(format!("a server that does not answer has to be unavailable, and was: {error}")))
}

/// Whether the error swears that nothing happened.
pub(super) fn swears_no_effect<T>(result: &Result<T, Error>) -> bool {
    matches!(result, Err(error) if error.effect() == Effect::None)
}
