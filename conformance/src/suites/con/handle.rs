//! The handle that applications hold, over the store under examination: what it promises rests on what the store does.

use std::collections::VecDeque;
use std::fmt::Display;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use holdover_api::{
    Capabilities, Clock, CookieChange, DEFAULT_IDLE_TIMEOUT, Entropy, EntropyError, Error, Freshness,
    InstallAnswer, Loaded, OsEntropy, SaveAnswer, Session, SessionId, SessionKey, SessionPolicy,
    SessionStore, Standing, Stored, Timestamp, Write,
};

use super::always;
use crate::case::{Case, Ending};
use crate::require;
use crate::trial::Trial;

pub(super) fn cases() -> Vec<Case> {
    vec![
        case!(
            "CON-21",
            a_renamed_attribute_with_an_equal_value_is_kept,
            always,
            "S4, S6: a change is a change even if the values are the same ones under other names; a hash over values \
             misses it."
        ),
        case!(
            "CON-22",
            a_change_inside_a_value_is_kept,
            always,
            "S7: an element added to a list that is there already has to be there at the next request, from whichever \
             handle it came."
        ),
        case!(
            "CON-23",
            an_unchanged_request_writes_nothing,
            always,
            "S2, S13: a request that only reads, or writes what is there already, must not send the session back: \
             that is how slow readers undo the writes of others."
        ),
        case!(
            "CON-24",
            a_renewed_id_keeps_the_session_and_kills_the_old_id,
            always,
            "S15, S17, I1: after a login the old id is dead and the attributes are under the new one; the absolute \
             lifetime goes on from where it was."
        ),
        case!(
            "CON-25",
            a_drawn_id_that_is_taken_is_never_shared,
            always,
            "S5: if randomness repeats itself, the session that is there keeps its owner and the renewal draws again."
        ),
    ]
}

/// Ends the case as failed with what the handle said.
fn refused(what: &'static str) -> impl Fn(holdover_api::SessionError) -> Ending {
    move |error| Ending::Failed(format!("{what} failed: {error}"))
}

/// One request: opens, lets `work` use the session, commits, and answers the id that the browser then has.
struct Browser {
    policy: SessionPolicy,
    id: Option<SessionId>,
}

impl Browser {
    fn of(trial: &Trial, store: Arc<dyn SessionStore>) -> Self {
        let clock = Arc::clone(trial.clock()) as Arc<dyn Clock>;
        Self { policy: SessionPolicy::new(store).with_clock(clock), id: None }
    }

    fn open(&self) -> Session {
        self.policy.open(self.id.clone())
    }

    async fn commit(&mut self, session: &Session) -> Result<(), Ending> {
        let committed = session.commit().await.map_err(refused("a commit"))?;
        match committed.cookie {
            CookieChange::Set { id, .. } => self.id = Some(id),
            CookieChange::Clear => self.id = None,
            CookieChange::Keep | CookieChange::Refresh { .. } => {}
        }
        Ok(())
    }

    /// A request that sets one attribute.
    async fn sets(&mut self, name: &str, value: &[u32]) -> Result<(), Ending> {
        let session = self.open();
        session.insert(name, value).await.map_err(refused("an insert"))?;
        self.commit(&session).await
    }

    /// A request that reads one attribute.
    async fn reads(&mut self, name: &str) -> Result<Option<Vec<u32>>, Ending> {
        let session = self.open();
        let value = session.get(name).await.map_err(refused("a get"))?;
        self.commit(&session).await?;
        Ok(value)
    }
}

async fn a_renamed_attribute_with_an_equal_value_is_kept(trial: Trial) -> Result<(), Ending> {
    let node = trial.node().await?;
    let mut browser = Browser::of(&trial, node.store);
    browser.sets("old name", &[7]).await?;
    let session = browser.open();
    let value: Option<Vec<u32>> = session.remove("old name").await.map_err(refused("a removal"))?;
    session.insert("new name", value).await.map_err(refused("an insert"))?;
    browser.commit(&session).await?;
    require!(
        browser.reads("new name").await? == Some(vec![7]),
        "the attribute is not there under its new name"
    );
    require!(browser.reads("old name").await?.is_none(), "the attribute is still there under its old name");
    Ok(())
}

async fn a_change_inside_a_value_is_kept(trial: Trial) -> Result<(), Ending> {
    let node = trial.node().await?;
    let mut browser = Browser::of(&trial, node.store);
    browser.sets("list", &[1]).await?;
    let session = browser.open();
    let push = |list: Option<Vec<u32>>| [list.unwrap_or_default(), vec![2]].concat();
    session.update("list", push).await.map_err(refused("an update"))?;
    browser.commit(&session).await?;
    require!(browser.reads("list").await? == Some(vec![1, 2]), "an update of a list is lost");

    let session = browser.open();
    let mut list: Vec<u32> = session.get("list").await.map_err(refused("a get"))?.unwrap_or_default();
    list.push(3);
    session.insert("list", list).await.map_err(refused("an insert"))?;
    browser.commit(&session).await?;
    require!(browser.reads("list").await? == Some(vec![1, 2, 3]), "a list that was put back longer is lost");
    Ok(())
}

async fn an_unchanged_request_writes_nothing(trial: Trial) -> Result<(), Ending> {
    let node = trial.node().await?;
    let store =
        Arc::new(Counting { inner: node.store, saves: AtomicUsize::new(0), touches: AtomicUsize::new(0) });
    let mut browser = Browser::of(&trial, Arc::clone(&store) as Arc<dyn SessionStore>);
    browser.sets("a", &[1]).await?;
    let counts = || (store.saves.load(Ordering::Relaxed), store.touches.load(Ordering::Relaxed));
    require!(counts() == (1, 0), "a create took {:?} saves and touches", counts());

    require!(browser.reads("a").await? == Some(vec![1]), "the attribute is not there");
    require!(counts() == (1, 0), "a request that only reads led to {:?} saves and touches", counts());
    browser.sets("a", &[1]).await?;
    require!(counts() == (1, 0), "writing the same value again led to {:?} saves and touches", counts());
    let idle = browser.open();
    browser.commit(&idle).await?;
    require!(counts() == (1, 0), "a request that does nothing led to {:?} saves and touches", counts());

    trial.clock().advance(DEFAULT_IDLE_TIMEOUT / 2);
    for _ in 0..3 {
        require!(browser.reads("a").await? == Some(vec![1]), "the attribute is gone within the idle time");
    }
    require!(counts() == (1, 1), "after half the idle time, reads led to {:?} saves and touches", counts());
    Ok(())
}

async fn a_renewed_id_keeps_the_session_and_kills_the_old_id(trial: Trial) -> Result<(), Ending> {
    let node = trial.node().await?;
    let mut browser = Browser::of(&trial, Arc::clone(&node.store));
    browser.sets("basket", &[1, 2]).await?;
    let old = browser.id.clone();
    let began = browser.open().created_at().await.map_err(refused("created_at"))?;
    trial.clock().advance(DEFAULT_IDLE_TIMEOUT / 3);

    let session = browser.open();
    session.insert("user", [9_u32]).await.map_err(refused("an insert"))?;
    session.cycle_id().await.map_err(refused("a renewal"))?;
    browser.commit(&session).await?;
    require!(browser.id.is_some() && browser.id != old, "the renewal gave no new id");
    require!(browser.reads("basket").await? == Some(vec![1, 2]), "an attribute was lost in the renewal");
    require!(
        browser.reads("user").await? == Some(vec![9]),
        "a change of the same request was lost in the renewal"
    );
    let begins = browser.open().created_at().await.map_err(refused("created_at"))?;
    require!(begins == began, "the renewal began a new absolute lifetime");

    let Some(old) = old else {
        return Err(Ending::Failed("a create gave no id".to_owned()));
    };
    require!(node.load(&old.key()).await?.is_none(), "the old id is alive after the renewal");
    let mut slow = Browser { policy: browser.policy.clone(), id: Some(old) };
    require!(slow.reads("basket").await?.is_none(), "the old id still opens the session");
    Ok(())
}

async fn a_drawn_id_that_is_taken_is_never_shared(trial: Trial) -> Result<(), Ending> {
    let node = trial.node().await?;
    let (first, second, third) = (trial.bytes(32), trial.bytes(32), trial.bytes(32));
    let draws = VecDeque::from([first.clone(), second, first, third]);
    let entropy = Arc::new(Repeating(Mutex::new(draws)));
    let mut alice = Browser::of(&trial, node.store);
    alice.policy = alice.policy.with_entropy(entropy);
    let mut bob = Browser { policy: alice.policy.clone(), id: None };
    alice.sets("owner", &[1]).await?;
    bob.sets("owner", &[2]).await?;

    let session = bob.open();
    session.cycle_id().await.map_err(refused("a renewal"))?;
    bob.commit(&session).await?;
    require!(bob.id != alice.id, "two users have one id");
    require!(alice.reads("owner").await? == Some(vec![1]), "a renewal onto a taken id replaced its session");
    require!(
        bob.reads("owner").await? == Some(vec![2]),
        "a renewal that met a taken id lost its own session"
    );
    Ok(())
}

/// Gives these ids first, then the system's.
#[derive(Debug)]
struct Repeating(Mutex<VecDeque<Vec<u8>>>);

impl Entropy for Repeating {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        let mut draws = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if draws.front().is_none_or(|draw| draw.len() != bytes.len()) {
            return OsEntropy.fill(bytes);
        }
        bytes.copy_from_slice(&draws.pop_front().unwrap_or_default());
        Ok(())
    }
}

/// Counts the calls that write.
#[derive(Debug)]
struct Counting {
    inner: Arc<dyn SessionStore>,
    saves: AtomicUsize,
    touches: AtomicUsize,
}

impl Display for Counting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "counting({})", self.inner)
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl SessionStore for Counting {
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn load(&self, key: &SessionKey, freshness: Freshness) -> Result<Option<Loaded>, Error> {
        self.inner.load(key, freshness).await
    }

    async fn save(&self, key: &SessionKey, write: &Write) -> Result<SaveAnswer, Error> {
        self.saves.fetch_add(1, Ordering::Relaxed);
        self.inner.save(key, write).await
    }

    async fn touch(&self, key: &SessionKey, deadline: Timestamp) -> Result<bool, Error> {
        self.touches.fetch_add(1, Ordering::Relaxed);
        self.inner.touch(key, deadline).await
    }

    async fn delete(&self, key: &SessionKey) -> Result<(), Error> {
        self.inner.delete(key).await
    }

    async fn inspect(&self, key: &SessionKey) -> Result<Option<Stored>, Error> {
        self.inner.inspect(key).await
    }

    async fn install(
        &self,
        key: &SessionKey,
        over: Option<Standing>,
        new: &Stored,
    ) -> Result<InstallAnswer, Error> {
        self.inner.install(key, over, new).await
    }
}
