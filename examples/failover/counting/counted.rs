//! Two Memcached servers behind proxies that count, and requests of each kind, one at a time.

// A test takes this file as its own module, and the stand-ins of the bench take that one.
#[path = "memcached.rs"]
mod memcached;

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use holdover::api::{Clock, CookieChange, ManualClock, SystemClock, pause};
use holdover::{SessionId, SessionPolicy, SessionStore};
use holdover_conformance::proxy::{Behaviour, Direction, Proxy};
use holdover_conformance::servers::{self, Server};
use holdover_layers::failover::{Backup, Failover, FailoverSettings};

use memcached::commands;

/// More than a tenth of the idle time: a session that is read then is due to be extended.
const UNTIL_DUE: Duration = Duration::from_secs(4 * 60);
const BETWEEN_LOOKS: Duration = Duration::from_millis(1);
const NAME: &str = "name";

/// What a request does with its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It carries a cookie, and its handler does not look at the session.
    Untouched,
    Read,
    /// It reads, and the session has to be extended.
    ReadDue,
    Modify,
    /// It sets an attribute without having read anything.
    WriteUnread,
    /// The first write of a new visitor.
    Create,
    /// It renews the id.
    LogIn,
    LogOut,
}

impl Kind {
    pub(crate) const ALL: [Self; 8] = [
        Self::Untouched,
        Self::Read,
        Self::ReadDue,
        Self::Modify,
        Self::WriteUnread,
        Self::Create,
        Self::LogIn,
        Self::LogOut,
    ];
}

/// A pair of two servers of its own, every byte to which is seen.
pub(crate) struct Counted {
    policy: SessionPolicy,
    clock: Arc<ManualClock>,
    pair: Failover,
    /// The same servers past the proxies, and how often each was asked this way.
    aside: [Arc<dyn SessionStore>; 2],
    asked_aside: AtomicU64,
    proxies: [Proxy; 2],
    servers: [Server; 2],
}

impl Counted {
    pub(crate) async fn start(backup: Backup) -> Result<Self, Box<dyn Error>> {
        let clock = Arc::new(ManualClock::at(SystemClock.now()));
        let servers =
            [Server::start(&servers::memcached()).await?, Server::start(&servers::memcached()).await?];
        let proxies = [Proxy::start(servers[0].address()).await?, Proxy::start(servers[1].address()).await?];
        let open = async |address| {
            let clock = Arc::clone(&clock) as Arc<dyn Clock>;
            holdover_backends::connect_with_clock(&format!("memcached://{address}"), clock).await
        };
        let aside = [open(servers[0].address()).await?, open(servers[1].address()).await?];
        let (head, tail) = (open(proxies[0].address()).await?, open(proxies[1].address()).await?);
        let settings = FailoverSettings { backup, ..FailoverSettings::default() };
        let pair = Failover::new(head, tail, settings, Arc::clone(&clock) as Arc<dyn Clock>);
        pair.prepare().await?;
        let policy =
            SessionPolicy::new(Arc::new(pair.clone())).with_clock(Arc::clone(&clock) as Arc<dyn Clock>);
        Ok(Self { policy, clock, pair, aside, asked_aside: AtomicU64::default(), proxies, servers })
    }

    /// The pair, for a server over it.
    pub(crate) fn store(&self) -> Arc<dyn SessionStore> {
        Arc::new(self.pair.clone())
    }

    /// How many reads, writes and removals each server has got from the pair so far, the head first: as it counts them
    /// itself, without what was asked past the proxies.
    pub(crate) async fn calls(&self) -> Result<[u64; 2], Box<dyn Error>> {
        let aside = self.asked_aside.load(Ordering::Relaxed);
        let (head, tail) =
            (commands(self.servers[0].address()).await?, commands(self.servers[1].address()).await?);
        Ok([head - aside, tail - aside])
    }

    /// How many exchanges there were with each server so far, of whatever kind. What is under way on one connection at
    /// the same time makes one exchange.
    pub(crate) fn exchanges(&self) -> [usize; 2] {
        [self.proxies[0].counts().requests, self.proxies[1].counts().requests]
    }

    /// Lets every answer of either server take so much longer.
    pub(crate) fn delay_answers(&self, delay: Option<Duration>) {
        for proxy in &self.proxies {
            proxy.set(Direction::Responses, delay.map_or(Behaviour::Pass, Behaviour::Delay));
        }
    }

    /// A visitor whose session both servers hold, ready for a request of this kind; nobody for one that creates it.
    pub(crate) async fn visitor(&self, kind: Kind) -> Result<Option<SessionId>, Box<dyn Error>> {
        if kind == Kind::Create {
            return Ok(None);
        }
        let session = self.policy.open(None);
        session.insert(NAME, "ada").await?;
        let CookieChange::Set { id, .. } = session.commit().await?.cookie else {
            return Err("a new session sets no cookie".into());
        };
        self.until_equal(&id).await?;
        if kind == Kind::ReadDue {
            self.clock.advance(UNTIL_DUE);
        }
        Ok(Some(id))
    }

    /// One request: from the cookie to the answer. Answers the sessions whose copies it has changed.
    pub(crate) async fn request(
        &self,
        kind: Kind,
        id: Option<SessionId>,
    ) -> Result<Vec<SessionId>, Box<dyn Error>> {
        let session = self.policy.open(id.clone());
        match kind {
            Kind::Untouched => {}
            Kind::Read | Kind::ReadDue => {
                let name: Option<String> = session.get(NAME).await?;
                name.ok_or("the session is not there")?;
            }
            Kind::Modify | Kind::Create => session.insert(NAME, "grace").await?,
            Kind::WriteUnread => session.insert_unread(NAME, "grace").await?,
            Kind::LogIn => session.cycle_id().await?,
            Kind::LogOut => session.flush().await?,
        }
        let committed = session.commit().await?;
        let mut changed: Vec<SessionId> = id.into_iter().collect();
        match (kind, committed.cookie) {
            (Kind::Untouched | Kind::Read, CookieChange::Keep) | (Kind::LogOut, CookieChange::Clear) => {}
            (Kind::ReadDue | Kind::Modify | Kind::WriteUnread, CookieChange::Refresh { .. }) => {}
            (Kind::Create | Kind::LogIn, CookieChange::Set { id, .. }) => changed.push(id),
            (kind, other) => return Err(format!("{kind:?} ended with {other:?}").into()),
        }
        Ok(changed)
    }

    /// Returns when both servers hold the same of a session: what was left to do behind an answer is done.
    pub(crate) async fn until_equal(&self, id: &SessionId) -> Result<(), Box<dyn Error>> {
        let key = id.key();
        loop {
            self.asked_aside.fetch_add(1, Ordering::Relaxed);
            let (head, tail) = (self.aside[0].inspect(&key).await?, self.aside[1].inspect(&key).await?);
            if head == tail {
                return Ok(());
            }
            pause(BETWEEN_LOOKS).await;
        }
    }
}
