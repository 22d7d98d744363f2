//! Users at work over many boundaries, on nodes whose clocks differ and drift, and that start anew now and then, with tables
//! that are late now and then.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use holdover_api::{
    Clock, Deadline, Delta, On, SaveAnswer, SessionKey, SessionStoreExt, Stamp, Timestamp, Write,
};

use crate::random::Random;
use crate::rotation::{Call, Kept, NodeClock, Rotation, Terms, World};

const USERS: usize = 8;
/// Sessions that were logged out and are looked for again.
const REMEMBERED: usize = 16;
/// One table in so many is late.
const LATE_IN: usize = 10;
/// At one moment in so many a node starts anew, and knows nothing of the tables: about once a boundary.
const RESTART_IN: usize = 14;

/// What a run over many boundaries came to, if nothing was lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Crossed {
    /// Boundaries that were crossed.
    pub crossings: usize,
    /// Tables that came after their boundary.
    pub late: usize,
    /// Nodes that started anew.
    pub restarts: usize,
    /// Acknowledged writes, touches included.
    pub writes: usize,
    /// Loads, each of which saw all writes before it.
    pub loads: usize,
    /// Sessions that were logged out, and looked for on every node.
    pub logouts: usize,
    /// The most tables that there were at once.
    pub tables: usize,
}

impl fmt::Display for Crossed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { crossings, late, restarts, writes, loads, logouts, tables } = self;
        write!(
            f,
            "{crossings} boundaries, {late} with a late table, {restarts} restarts: {writes} writes and {loads} loads, \
             {logouts} logouts, at most {tables} tables"
        )
    }
}

/// Lets users work over so many boundaries on three nodes, and compares every answer with what was acknowledged. Within
/// three quarters of what the terms allow the clocks drift, each at every boundary.
///
/// # Errors
///
/// The first write that is lost or refused, session that is not found, or that comes back.
pub async fn crossings(
    rotation: &Arc<dyn Rotation>,
    now: Timestamp,
    count: usize,
    seed: u64,
) -> Result<Crossed, String> {
    let terms = rotation.terms();
    let world = rotation.world(now).await?;
    let mut nodes = Vec::new();
    let skew = most_ahead(&terms);
    for ahead in [0, -skew, skew] {
        let clock = Arc::new(NodeClock::new(world.clock(), ahead));
        nodes.push((start(&world, &clock).await?, clock));
    }
    let random = Random::new(seed);
    let mut run = Run {
        world,
        terms,
        nodes,
        random,
        users: Vec::new(),
        dead: Vec::new(),
        is_late: false,
        crossed: Crossed::default(),
    };
    for _ in 0..USERS {
        let user = run.login().await?;
        run.users.push(user);
    }
    for _ in 0..count {
        run.cross().await?;
    }
    Ok(run.crossed)
}

/// How far a clock may be off, in milliseconds.
fn most_ahead(terms: &Terms) -> i64 {
    i64::try_from(terms.max_skew.as_millis()).unwrap_or(i64::MAX) / 4 * 3
}

async fn start(world: &Arc<dyn World>, clock: &Arc<NodeClock>) -> Result<Kept, String> {
    let node = world.node(Arc::clone(clock) as Arc<dyn Clock>).await;
    node.map_err(|error| format!("a node does not start: {error}"))
}

/// A session, and what it holds by all that was acknowledged.
#[derive(Clone, Copy)]
struct User {
    key: SessionKey,
    value: u64,
    writes: u64,
}

struct Run {
    world: Arc<dyn World>,
    terms: Terms,
    nodes: Vec<(Kept, Arc<NodeClock>)>,
    random: Random,
    users: Vec<User>,
    dead: Vec<SessionKey>,
    /// No table can be made at the moment.
    is_late: bool,
    crossed: Crossed,
}

impl Run {
    /// From the middle of a period to the middle of the next, with most of the work around the boundary.
    async fn cross(&mut self) -> Result<(), String> {
        let Terms { period, lead, max_skew, .. } = self.terms;
        let millis = u64::try_from(period.as_millis()).unwrap_or(u64::MAX);
        let now = self.world.clock().now().as_millis();
        let boundary = Timestamp::from_millis((now / millis + 1) * millis);
        self.is_late = self.random.below(LATE_IN) == 0;
        if self.is_late {
            self.world.refuse(Call::Create, usize::MAX);
            self.crossed.late += 1;
        }
        let mut moments: Vec<Timestamp> = vec![boundary - lead, boundary - lead / 2];
        moments.extend([2.0, 1.0, 0.5].map(|share| boundary - max_skew.mul_f64(share)));
        moments.extend([0.0, 0.5, 1.0, 2.0].map(|share| boundary + max_skew.mul_f64(share)));
        moments.push(boundary + period / 8);
        for moment in moments {
            self.work_at(moment).await?;
        }
        self.world.heal();
        self.is_late = false;
        for moment in [period / 8 + Duration::from_secs(1), period / 4, period / 8 * 3, period / 2] {
            self.work_at(boundary + moment).await?;
        }
        self.crossed.crossings += 1;
        self.drift();
        let tables = self.world.tables().await?.len();
        self.crossed.tables = self.crossed.tables.max(tables);
        Ok(())
    }

    /// The keepers come by, and every user has a request or two.
    async fn work_at(&mut self, moment: Timestamp) -> Result<(), String> {
        self.world.clock().set(moment);
        if self.random.below(RESTART_IN) == 0 {
            self.restart().await?;
        }
        for (node, _) in &self.nodes {
            node.keeper.tick().await;
        }
        for user in 0..USERS {
            self.load(user).await?;
            match self.random.below(8) {
                0 => self.touch(user).await?,
                1 => self.logout(user).await?,
                _ => self.save(user).await?,
            }
        }
        Ok(())
    }

    /// The clocks are off by something else from now on.
    fn drift(&mut self) {
        let most = most_ahead(&self.terms);
        let steps = usize::try_from(most * 2 + 1).unwrap_or(1);
        for (_, clock) in &self.nodes {
            let ahead = i64::try_from(self.random.below(steps)).unwrap_or_default() - most;
            clock.be_ahead(ahead);
        }
    }

    async fn restart(&mut self) -> Result<(), String> {
        let node = self.node();
        let clock = Arc::clone(&self.nodes[node].1);
        match start(&self.world, &clock).await {
            Ok(kept) => {
                self.nodes[node].0 = kept;
                self.crossed.restarts += 1;
                Ok(())
            }
            // It needs a table that nobody can make: the node before it is kept.
            Err(_) if self.is_late => Ok(()),
            Err(why) => Err(self.told(&why)),
        }
    }

    fn node(&mut self) -> usize {
        self.random.below(self.nodes.len())
    }

    fn write(&mut self, node: usize, on: On, value: u64) -> Write {
        let mut stamp = [0; 16];
        self.random.fill(&mut stamp);
        let mut delta = Delta::default();
        delta.set("n", value.to_le_bytes().to_vec());
        let deadline = Deadline::AtLeast(self.nodes[node].1.now() + self.terms.max_lease);
        Write { on, delta, stamp: Stamp::from_bytes(stamp), deadline, base: None }
    }

    async fn login(&mut self) -> Result<User, String> {
        let mut key = [0; 32];
        self.random.fill(&mut key);
        let (key, node) = (SessionKey::from_bytes(key), self.node());
        let created = self.nodes[node].1.now();
        let write = self.write(node, On::Absent { created }, 0);
        self.saved(node, &key, &write).await?;
        Ok(User { key, value: 0, writes: 1 })
    }

    async fn saved(&mut self, node: usize, key: &SessionKey, write: &Write) -> Result<(), String> {
        let answer = self.nodes[node].0.store.save(key, write).await;
        match answer {
            Ok(SaveAnswer::Saved { .. }) => {
                self.crossed.writes += 1;
                Ok(())
            }
            other => Err(self.told(&format!("a save of a live session came to {other:?}"))),
        }
    }

    async fn load(&mut self, user: usize) -> Result<(), String> {
        let node = self.node();
        let User { key, value, writes } = self.users[user];
        let loaded = self.nodes[node].0.store.load_latest(&key).await;
        let loaded = loaded.map_err(|error| self.told(&format!("a load failed: {error}")))?;
        let Some(loaded) = loaded else {
            return Err(self.told("a live session was not found (I5)"));
        };
        let read = (loaded.record.attributes.get("n").map(AsRef::as_ref), loaded.record.lineage.writes());
        if read != (Some(&value.to_le_bytes()[..]), writes) {
            return Err(self.told("an acknowledged write is lost, or was made twice (I2, I3)"));
        }
        self.crossed.loads += 1;
        // Half of the requests write on what they have read.
        if self.random.below(2) == 0 {
            let node = self.node();
            let on = On::Head(loaded.record.head());
            let write = Write { base: Some(loaded), ..self.write(node, on, value + 1) };
            self.saved(node, &key, &write).await?;
            self.users[user] = User { key, value: value + 1, writes: writes + 1 };
        }
        Ok(())
    }

    async fn save(&mut self, user: usize) -> Result<(), String> {
        let node = self.node();
        let User { key, value, writes } = self.users[user];
        let write = self.write(node, On::Live, value + 1);
        self.saved(node, &key, &write).await?;
        self.users[user] = User { key, value: value + 1, writes: writes + 1 };
        Ok(())
    }

    async fn touch(&mut self, user: usize) -> Result<(), String> {
        let node = self.node();
        let deadline = self.nodes[node].1.now() + self.terms.max_lease;
        match self.nodes[node].0.store.touch(&self.users[user].key, deadline).await {
            Ok(true) => {
                self.crossed.writes += 1;
                Ok(())
            }
            other => Err(self.told(&format!("a touch of a live session came to {other:?}"))),
        }
    }

    /// Logs a user out and in again; the last sessions that ended are looked for on every node.
    async fn logout(&mut self, user: usize) -> Result<(), String> {
        let (node, key) = (self.node(), self.users[user].key);
        let deleted = self.nodes[node].0.store.delete(&key).await;
        deleted.map_err(|error| self.told(&format!("a logout failed: {error}")))?;
        self.crossed.logouts += 1;
        if self.dead.len() == REMEMBERED {
            self.dead.remove(0);
        }
        self.dead.push(key);
        for (node, _) in &self.nodes {
            for key in &self.dead {
                match node.store.load_latest(key).await {
                    Ok(None) => {}
                    Ok(Some(_)) => return Err(self.told("a session came back after its logout (I1)")),
                    // Says nothing of the session: a server that starves must not be taken for a broken promise.
                    Err(error) => {
                        return Err(self.told(&format!("a session could not be looked for: {error}")));
                    }
                }
            }
        }
        self.users[user] = self.login().await?;
        Ok(())
    }

    fn told(&self, what: &str) -> String {
        format!("after {}: {what}", self.crossed)
    }
}
