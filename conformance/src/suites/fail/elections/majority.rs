//! Every replica stands still: what is written, the primary alone has.

use std::sync::Arc;
use std::time::Duration;

use holdover_api::{
    Effect, Error, On, SaveAnswer, SessionKey, SessionStore, SessionStoreExt, Stamp, Write, pause, within,
};
use tokio::task::JoinHandle;

use super::tools::{Set, bounded, saved};
use crate::case::Ending;
use crate::require;
use crate::suites::fail::tools::{bench, unavailable};
use crate::trial::{LIFETIME, Subject, Trial};

/// A store that acknowledges what the primary alone has does it within this time; the others are still waiting.
const TOO_EARLY: Duration = Duration::from_secs(2);
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// FAIL-66.
pub(super) async fn not_acknowledged(trial: Trial) -> Result<(), Ending> {
    let set = Set::start(&trial).await?;
    let [first, second] = &set.nodes;
    let merged = first.create(&[("user", b"ann")]).await?;
    let touched = first.create(&[("user", b"ann")]).await?;
    let logged_out = first.create(&[("user", b"ann")]).await?;
    let fresh = trial.key();
    set.restore().await?;
    bench(set.control().hold_replicas().await)?;
    let merge = first.write(On::Live, &[("late", b"1")]);
    let birth = first.creation(&[("user", b"bob")]);
    let later = first.now() + LIFETIME * 2;
    let (save, again, create, touch, delete, read) = tokio::join!(
        bounded("save", first.store.save(&merged, &merge)),
        bounded("save", second.store.save(&merged, &merge)),
        bounded("create", first.store.save(&fresh, &birth)),
        bounded("touch", second.store.touch(&touched, later)),
        bounded("delete", second.store.delete(&logged_out)),
        bounded("load", readable(&set.nodes, &merged)),
    );
    read??;
    undecided("a save", save?)?;
    undecided("a save that was tried again", again?)?;
    undecided("a create", create?)?;
    undecided("a touch", touch?)?;
    undecided("a delete", delete?)?;

    bench(set.control().release_replicas().await)?;
    set.restore().await?;
    for key in [&merged, &fresh, &touched, &logged_out] {
        let (one, other) = (first.load(key).await?, second.load(key).await?);
        let alike = one.map(|loaded| loaded.record) == other.map(|loaded| loaded.record);
        require!(alike, "two nodes read different sessions once every replica has caught up");
    }
    saved(first, &merged, &merge).await?;
    saved(second, &fresh, &birth).await?;
    require!(second.touch(&touched, later).await?, "a touch did not find a live session (I2)");
    second.delete(&logged_out).await?;
    for node in &set.nodes {
        for (key, stamp) in [(&merged, merge.stamp), (&fresh, birth.stamp)] {
            once(node, key, stamp).await?;
        }
        require!(node.load_live(&touched).await?.record.deadline == later, "a touch was lost (S12)");
        require!(node.load(&logged_out).await?.is_none(), "a session lives after its logout (I1)");
    }
    set.untouched_are_there().await
}

/// Every node reads the session.
async fn readable(nodes: &[Subject], key: &SessionKey) -> Result<(), Ending> {
    for node in nodes {
        node.load_live(key).await?;
    }
    Ok(())
}

/// Neither an acknowledgement nor an oath.
fn undecided<T>(what: &str, result: Result<T, Error>) -> Result<(), Ending> {
    let Err(error) = result else {
        return Err(Ending::Failed(format!("{what} was acknowledged though the primary alone has it (I2)")));
    };
    unavailable(&error)?;
    require!(
        error.effect() == Effect::Unknown,
        "{what} may yet be undone or not, and the error swears: {error}"
    );
    Ok(())
}

/// The session has this write, and has it once.
async fn once(node: &Subject, key: &SessionKey, stamp: Stamp) -> Result<(), Ending> {
    let loaded = node.load_live(key).await?;
    let times = loaded.record.lineage.stamps().iter().filter(|known| **known == stamp).count();
    require!(times == 1, "an acknowledged write happened {times} times (I2, I3)");
    Ok(())
}

/// FAIL-67.
pub(super) async fn dies_alone(trial: Trial) -> Result<(), Ending> {
    let set = Set::start(&trial).await?;
    let mut asked = Vec::new();
    for node in &set.nodes {
        let merged = node.create(&[("user", b"ann")]).await?;
        let logged_out = node.create(&[("user", b"ann")]).await?;
        let created = trial.key();
        asked.push((node, merged, Request::Save(node.write(On::Live, &[("page", b"2")]))));
        asked.push((node, created, Request::Save(node.creation(&[("user", b"bob")]))));
        asked.push((node, logged_out, Request::LogOut));
    }
    set.restore().await?;
    bench(set.control().hold_replicas().await)?;
    let asked: Vec<Asked> =
        asked.into_iter().map(|(node, key, request)| Asked::begin(node, key, request)).collect();
    let all = async {
        while !asked.iter().all(|asked| asked.answer.is_finished()) {
            pause(BETWEEN_LOOKS).await;
        }
    };
    within(TOO_EARLY, all).await;
    bench(set.control().kill_primary().await)?;
    bench(set.control().release_replicas().await)?;
    bench(set.control().elected().await)?;
    let mut acknowledged = Vec::new();
    for Asked { key, request, answer } in asked {
        let answer = bounded("an operation that was under way when the primary died", answer).await?;
        let answer = answer.map_err(|error| Ending::Error(format!("a task was stopped: {error}")))?;
        match answer {
            Ok(()) => acknowledged.push((key, request)),
            Err(ending) => ending.map_or(Ok(()), Err)?,
        }
    }
    is_there(&set, &acknowledged).await?;
    set.restore().await?;
    is_there(&set, &acknowledged).await?;
    set.untouched_are_there().await
}

/// What is asked of a session.
enum Request {
    Save(Write),
    LogOut,
}

/// An operation that is under way.
struct Asked {
    key: SessionKey,
    request: Request,
    /// Whether it was acknowledged; if not, how the case ends, unless nobody need know what became of it.
    answer: JoinHandle<Result<(), Option<Ending>>>,
}

impl Asked {
    fn begin(node: &Subject, key: SessionKey, request: Request) -> Self {
        let store = Arc::clone(&node.store);
        let answer = match &request {
            Request::Save(write) => tokio::spawn(save(store, key, write.clone())),
            Request::LogOut => tokio::spawn(async move { store.delete(&key).await.map_err(excused) }),
        };
        Self { key, request, answer }
    }
}

async fn save(store: Arc<dyn SessionStore>, key: SessionKey, write: Write) -> Result<(), Option<Ending>> {
    match store.save(&key, &write).await.map_err(excused)? {
        SaveAnswer::Saved { .. } => Ok(()),
        answer => {
            Err(Some(Ending::Failed(format!("a write that nothing stands against answered {answer:?} (I2)"))))
        }
    }
}

/// Nothing, if the error is one that the death of a primary explains.
#[allow(clippy::needless_pass_by_value, reason = "the shape that map_err takes")]
fn excused(error: Error) -> Option<Ending> {
    unavailable(&error).err()
}

/// Every node sees what was acknowledged.
async fn is_there(set: &Set, acknowledged: &[(SessionKey, Request)]) -> Result<(), Ending> {
    for node in &set.nodes {
        for (key, request) in acknowledged {
            let loaded = node.store.load_latest(key).await;
            let loaded =
                loaded.map_err(|error| Ending::Failed(format!("load after an election: {error}")))?;
            match request {
                Request::Save(write) => {
                    let kept = loaded.is_some_and(|loaded| loaded.record.lineage.contains(write.stamp));
                    require!(kept, "an acknowledged write died with the primary (I2)");
                }
                Request::LogOut => {
                    require!(loaded.is_none(), "a session lives after its logout: an election undid it (I1)");
                }
            }
        }
    }
    Ok(())
}
