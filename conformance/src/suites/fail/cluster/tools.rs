//! What the cases on copies share.

use holdover_api::{Error, On, SaveAnswer, SessionKey, SessionStoreExt, Stored};

use crate::case::{Applies, Ending, Scope};
use crate::drill::{Drill, Ledger};
use crate::require;
use crate::suites::fail::tools::{bounded, insist, insist_live, insist_load, unavailable};
use crate::trial::Subject;

/// Both servers of a pair, each in the role of the one that is broken.
pub(super) const BOTH: [usize; 2] = [0, 1];

/// For cases that break servers of their own, each of which holds a copy.
pub(super) fn with_copies(scope: &Scope) -> Applies {
    match (scope.copies.count, scope.clusters) {
        (0 | 1, _) => Applies::No("it keeps one copy"),
        (_, false) => Applies::NotRun("the harness starts no clusters of private servers"),
        (_, true) => Applies::Yes,
    }
}

/// For cases on what is on its way to the second copy.
pub(super) fn written_first(scope: &Scope) -> Applies {
    match with_copies(scope) {
        Applies::Yes if !scope.copies.before_the_answer => {
            Applies::No("it answers before the second copy is written, and says so")
        }
        applies => applies,
    }
}

/// For cases on copies of different kinds.
pub(super) fn of_several_kinds(scope: &Scope) -> Applies {
    match with_copies(scope) {
        Applies::Yes if !scope.copies.several_kinds => Applies::No("its copies are all of one kind"),
        applies => applies,
    }
}

/// For cases on servers that come and go for good.
pub(super) fn on_a_ring(scope: &Scope) -> Applies {
    match with_copies(scope) {
        Applies::Yes if !scope.copies.ring => Applies::No("its servers are as many as its copies"),
        applies => applies,
    }
}

/// The attribute by which a session of [`sessions`] is known.
const OWNER: &str = "owner";

/// New sessions that nobody but the case uses.
pub(super) async fn sessions(drill: &Drill, count: usize) -> Result<Vec<SessionKey>, Ending> {
    let mut keys = Vec::new();
    for number in 0..count {
        let node = &drill.nodes[number % drill.nodes.len()].subject;
        keys.push(born(node, number.to_string().as_bytes()).await?);
    }
    Ok(keys)
}

/// A new session, insisted on: a server may have been away a moment ago.
pub(super) async fn born(node: &Subject, owner: &[u8]) -> Result<SessionKey, Ending> {
    let key = node.trial().key();
    let write = node.creation(&[(OWNER, owner)]);
    let answer = insist("create", || node.store.save(&key, &write)).await?;
    require!(matches!(answer, SaveAnswer::Saved { .. }), "a create under a new key answered {answer:?}");
    Ok(key)
}

/// Every node reads every session, and its owner.
pub(super) async fn everywhere(drill: &Drill, keys: &[SessionKey]) -> Result<(), Ending> {
    for node in &drill.nodes {
        for (number, key) in keys.iter().enumerate() {
            let loaded = insist_live(&node.subject, key).await?;
            let owned = loaded.record.attributes.get(OWNER).is_some_and(|owner| *owner == number.to_string());
            require!(owned, "a session is not as its owner left it");
        }
    }
    Ok(())
}

/// No node reads the session, and none can write to it (I1).
pub(super) async fn dead_everywhere(drill: &Drill, key: &SessionKey) -> Result<(), Ending> {
    for node in &drill.nodes {
        let node = &node.subject;
        let loaded = insist_load(node, key).await?;
        require!(loaded.is_none(), "a session that was logged out is alive (I1)");
        let merge = node.write(On::Live, &[("zombie", b"1")]);
        let answer = insist("save", || node.store.save(key, &merge)).await?;
        require!(
            matches!(answer, SaveAnswer::Gone),
            "a write to a session that was logged out answered {answer:?} (I1)"
        );
    }
    Ok(())
}

/// What every node reads now is as the ledger knows it, though one server is away.
pub(super) async fn readable(drill: &Drill, ledger: &Ledger) -> Result<(), Ending> {
    for session in ledger.all() {
        for node in drill.nodes.iter().map(|node| &node.subject) {
            let read = if session.has_to_live() {
                Some(insist_load(node, &session.key).await?)
            } else {
                // Of a session that is no more one server by itself may have nothing to say.
                let loaded = bounded("load", node.store.load_latest(&session.key)).await?;
                or_unavailable(loaded)?
            };
            let Some(loaded) = read else { continue };
            if let Some(finding) = session.judge(loaded.as_ref().map(|loaded| &*loaded.record)).first() {
                return Err(Ending::Failed(format!("with one server away: {finding}")));
            }
        }
    }
    Ok(())
}

/// A load that may be answered, or not: but in time, and with no other error than that the store is unavailable.
pub(super) async fn found(node: &Subject, key: &SessionKey) -> Result<Option<bool>, Ending> {
    let result = bounded("load", node.store.load_latest(key)).await?;
    or_unavailable(result.map(|loaded| loaded.is_some()))
}

/// The answer, or nothing if the store was unavailable; any other error ends the case.
pub(super) fn or_unavailable<T>(result: Result<T, Error>) -> Result<Option<T>, Ending> {
    match result {
        Ok(answer) => Ok(Some(answer)),
        Err(error) => unavailable(&error).map(|()| None),
    }
}

/// What one copy is, looked at past the store; the server below may have been restarted.
pub(super) async fn copy_of(
    drill: &Drill,
    server: usize,
    key: &SessionKey,
) -> Result<Option<Stored>, Ending> {
    let below = &drill.below()[server];
    insist("inspect", || below.inspect(key)).await
}
