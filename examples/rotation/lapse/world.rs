//! The sessions, and what their users were promised.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use holdover::api::{Clock, CookieChange, SystemClock};
use holdover::{SessionError, SessionId, SessionPolicy, Timestamp};

/// The attribute that each change raises by one.
const COUNT: &str = "count";

/// A session that several clients use, and what they were promised of it.
pub(crate) struct Ledger {
    id: SessionId,
    acknowledged: AtomicU64,
    /// It is not to end before, in milliseconds, by what was acknowledged.
    lives_until: AtomicU64,
}

impl Ledger {
    /// Whether it had to be there at a moment.
    fn is_live(&self, at: Timestamp) -> bool {
        at.as_millis() < self.lives_until.load(Ordering::SeqCst)
    }
}

/// What has happened so far.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) requests: AtomicU64,
    pub(crate) failed: AtomicU64,
    /// Changes of sessions in use that were acknowledged.
    pub(crate) acknowledged: AtomicU64,
    /// Visitors who came once and left their session behind.
    pub(crate) left_behind: AtomicU64,
    pub(crate) logged_out: AtomicU64,
    /// Sessions in use that nobody came to use in time.
    pub(crate) timed_out: AtomicU64,
}

/// What has happened that must not.
#[derive(Default)]
pub(crate) struct Broken {
    pub(crate) lost: AtomicU64,
    /// Not found before their deadline: their users were logged out.
    pub(crate) vanished: AtomicU64,
    /// Seen or changed after their log-out.
    pub(crate) resurrected: AtomicU64,
}

/// Everything that the tasks of the load share.
pub(crate) struct World {
    policy: SessionPolicy,
    regulars: Vec<Mutex<Arc<Ledger>>>,
    logged_out: Mutex<Vec<SessionId>>,
    pub(crate) counts: Counts,
    pub(crate) broken: Broken,
    /// How the last request that failed did so.
    failure: Mutex<Option<String>>,
    pub(crate) over: AtomicBool,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn add(count: &AtomicU64, more: u64) {
    count.fetch_add(more, Ordering::Relaxed);
}

impl World {
    pub(crate) async fn new(policy: SessionPolicy, sessions: usize) -> Result<Self, SessionError> {
        let mut regulars = Vec::new();
        for _ in 0..sessions {
            regulars.push(Mutex::new(Arc::new(created(&policy).await?)));
        }
        Ok(Self {
            policy,
            regulars,
            logged_out: Mutex::default(),
            counts: Counts::default(),
            broken: Broken::default(),
            failure: Mutex::default(),
            over: AtomicBool::default(),
        })
    }

    pub(crate) fn idle(&self) -> Duration {
        self.policy.idle_timeout()
    }

    pub(crate) fn regulars(&self) -> usize {
        self.regulars.len()
    }

    pub(crate) fn failure(&self) -> Option<String> {
        locked(&self.failure).clone()
    }

    /// Counts a request, and how it failed if it did.
    pub(crate) async fn request(&self, work: impl Future<Output = Result<(), SessionError>>) {
        add(&self.counts.requests, 1);
        if let Err(error) = work.await {
            add(&self.counts.failed, 1);
            *locked(&self.failure) = Some(error.to_string());
        }
    }

    /// Reads a session in use; what had been acknowledged before has to be there. Then changes it, if that is wanted.
    pub(crate) async fn use_session(&self, number: usize, changes: bool) -> Result<(), SessionError> {
        let slot = &self.regulars[number % self.regulars.len()];
        let ledger = Arc::clone(&locked(slot));
        let session = self.policy.open(Some(ledger.id.clone()));
        if !self.look(&ledger, session.get(COUNT)).await? {
            return self.start_anew(slot, &ledger).await;
        }
        if !changes {
            // The touch that a session in use now and then needs, which rotation has to carry on as well.
            if let CookieChange::Refresh { deadline, .. } = session.commit().await?.cookie {
                ledger.lives_until.fetch_max(deadline.as_millis(), Ordering::SeqCst);
            }
            return Ok(());
        }
        let began = SystemClock.now();
        session.update(COUNT, |count: Option<u64>| count.unwrap_or_default() + 1).await?;
        ledger.acknowledged.fetch_add(1, Ordering::SeqCst);
        ledger.lives_until.fetch_max((began + self.idle()).as_millis(), Ordering::SeqCst);
        add(&self.counts.acknowledged, 1);
        Ok(())
    }

    /// Whether it is there; what is missing is counted.
    async fn look(
        &self,
        ledger: &Ledger,
        read: impl Future<Output = Result<Option<u64>, SessionError>>,
    ) -> Result<bool, SessionError> {
        let promised = ledger.acknowledged.load(Ordering::SeqCst);
        let count = read.await?;
        if let Some(count) = count {
            add(&self.broken.lost, promised.saturating_sub(count));
            return Ok(true);
        }
        // It may have ended while the answer was on its way.
        let had_to_be_there = ledger.is_live(SystemClock.now());
        add(&self.broken.vanished, u64::from(had_to_be_there));
        Ok(false)
    }

    async fn start_anew(&self, slot: &Mutex<Arc<Ledger>>, over: &Arc<Ledger>) -> Result<(), SessionError> {
        let new = Arc::new(created(&self.policy).await?);
        let mut current = locked(slot);
        if Arc::ptr_eq(&current, over) {
            add(&self.counts.timed_out, 1);
            *current = new;
        }
        Ok(())
    }

    /// Somebody comes once and never again: their session ends by itself, and its room goes with its table.
    pub(crate) async fn leave_one_behind(&self) -> Result<(), SessionError> {
        created(&self.policy).await?;
        add(&self.counts.left_behind, 1);
        Ok(())
    }

    /// Somebody comes and logs out while a slow request of theirs is under way: it must not bring the session back.
    pub(crate) async fn log_out(&self) -> Result<(), SessionError> {
        let ledger = created(&self.policy).await?;
        let slow = self.policy.open(Some(ledger.id.clone()));
        slow.get::<u64>(COUNT).await?;
        let session = self.policy.open(Some(ledger.id.clone()));
        session.flush().await?;
        session.commit().await?;
        add(&self.counts.logged_out, 1);
        slow.insert("late", true).await?;
        let wrote = slow.commit().await.is_ok();
        add(&self.broken.resurrected, u64::from(wrote));
        locked(&self.logged_out).push(ledger.id);
        Ok(())
    }

    /// Looks at one of those who have logged out, whose session may have been in a table that is old by now.
    pub(crate) async fn look_back(&self, number: usize) -> Result<(), SessionError> {
        let id = {
            let logged_out = locked(&self.logged_out);
            let recent = &logged_out[logged_out.len().saturating_sub(200)..];
            if recent.is_empty() {
                return Ok(());
            }
            recent[number % recent.len()].clone()
        };
        let seen = self.policy.open(Some(id)).get::<u64>(COUNT).await?;
        add(&self.broken.resurrected, u64::from(seen.is_some()));
        Ok(())
    }

    /// Looks at every session in use and at everybody who has logged out; answers how many of the questions failed.
    pub(crate) async fn audit(&self) -> u64 {
        let mut failed = 0;
        for slot in &self.regulars {
            let ledger = Arc::clone(&locked(slot));
            let session = self.policy.open(Some(ledger.id.clone()));
            failed += u64::from(self.look(&ledger, session.get(COUNT)).await.is_err());
        }
        let logged_out = locked(&self.logged_out).clone();
        for id in logged_out {
            match self.policy.open(Some(id)).get::<u64>(COUNT).await {
                Ok(seen) => add(&self.broken.resurrected, u64::from(seen.is_some())),
                Err(_) => failed += 1,
            }
        }
        failed
    }
}

async fn created(policy: &SessionPolicy) -> Result<Ledger, SessionError> {
    let session = policy.open(None);
    session.insert(COUNT, 0_u64).await?;
    match session.commit().await?.cookie {
        CookieChange::Set { id, deadline } => Ok(Ledger {
            id,
            acknowledged: AtomicU64::new(0),
            lives_until: AtomicU64::new(deadline.as_millis()),
        }),
        // A session with an attribute and without an id has been created by nobody.
        _ => Err(SessionError::Gone),
    }
}
