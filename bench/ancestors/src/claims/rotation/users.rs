//! Users who do one thing after the other, each request on another node, and what they see.

use std::ops::AddAssign;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::Nodes;
use crate::job::{Answer, Failure, Job, Manager, Work, random, read};

/// What users saw, and what an audit finds afterwards.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    pub(super) requests: usize,
    /// Requests that were answered by an error: that change something, and that only read.
    pub(super) failed_writes: usize,
    pub(super) failed_reads: usize,
    /// The first and the last moment of a failure.
    pub(super) failing: Option<(Instant, Instant)>,
    /// Requests that saw less than an earlier one of the same user.
    pub(super) older: usize,
    /// Increments that were acknowledged, and those of them that cannot be read in the end.
    pub(super) counted: u64,
    pub(super) lost: u64,
    /// Sessions that were not found although their user had come a short while before.
    pub(super) logged_out: usize,
    /// Logouts, and sessions that were found after theirs.
    pub(super) logouts: usize,
    pub(super) alive: usize,
}

impl AddAssign for Seen {
    fn add_assign(&mut self, other: Self) {
        self.requests += other.requests;
        self.failed_writes += other.failed_writes;
        self.failed_reads += other.failed_reads;
        self.failing = match (self.failing, other.failing) {
            (Some(one), Some(two)) => Some((one.0.min(two.0), one.1.max(two.1))),
            (one, two) => one.or(two),
        };
        self.older += other.older;
        self.counted += other.counted;
        self.lost += other.lost;
        self.logged_out += other.logged_out;
        self.logouts += other.logouts;
        self.alive += other.alive;
    }
}

impl Seen {
    fn fail(&mut self, writes: bool) {
        let now = Instant::now();
        if writes {
            self.failed_writes += 1;
        } else {
            self.failed_reads += 1;
        }
        self.failing = Some((self.failing.map_or(now, |failing| failing.0), now));
    }

    /// For how long requests failed.
    pub(super) fn failed_for(&self) -> Duration {
        self.failing.map_or(Duration::ZERO, |(first, last)| last.duration_since(first))
    }
}

/// Tells the users that it is over, and sums up what they saw.
pub(super) async fn all_seen(
    over: &AtomicBool,
    mut users: JoinSet<Result<Seen, Failure>>,
) -> Result<Seen, Failure> {
    over.store(true, Ordering::Relaxed);
    let mut seen = Seen::default();
    while let Some(user) = users.join_next().await {
        seen += user??;
    }
    Ok(seen)
}

/// A user, and the nodes.
#[derive(Clone)]
pub(super) struct User {
    pub(super) nodes: Nodes,
    pub(super) over: Arc<AtomicBool>,
    /// Between two requests, give or take a quarter.
    pub(super) pause: Duration,
    /// Who comes back within this time finds the session.
    pub(super) found_within: Duration,
}

/// What a user knows of the session in use.
struct Session {
    id: String,
    /// Increments that were acknowledged.
    counted: u64,
    /// What the counter was when it was seen or changed last.
    known: u64,
    used: Instant,
}

impl User {
    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    fn any(&self) -> Result<&dyn Manager, Failure> {
        Ok(self.nodes[usize::try_from(random()? % 3)?].as_ref())
    }

    async fn pause(&self) -> Result<(), Failure> {
        let percent = u32::try_from(75 + random()? % 50)?;
        tokio::time::sleep(self.pause * percent / 100).await;
        Ok(())
    }

    /// A session that holds something that no other one does.
    async fn create(&self, seen: &mut Seen) -> Result<Option<Session>, Failure> {
        let (used, own) = (Instant::now(), random()?);
        seen.requests += 1;
        match self.any()?.request(None, Job::of(Work::Set("user", own))).await {
            Ok(Answer { id: Some(id), .. }) => Ok(Some(Session { id, counted: 0, known: 0, used })),
            Ok(_) => Err("a new session has no cookie".into()),
            Err(_) => {
                seen.fail(true);
                Ok(None)
            }
        }
    }

    /// A request on any node. Whether there was a session; nothing if there was an error.
    async fn ask(
        &self,
        session: &mut Session,
        counts: bool,
        seen: &mut Seen,
    ) -> Result<Option<bool>, Failure> {
        let work = if counts { Work::Count } else { Work::Read };
        let since = session.used.elapsed();
        session.used = Instant::now();
        seen.requests += 1;
        let Ok(answer) = self.any()?.request(Some(&session.id), Job::of(work)).await else {
            seen.fail(counts);
            return Ok(None);
        };
        if !answer.found {
            seen.logged_out += usize::from(since + session.used.elapsed() < self.found_within);
            return Ok(Some(false));
        }
        let saw = answer.n.unwrap_or(0);
        seen.older += usize::from(saw < session.known);
        session.known = saw + u64::from(counts);
        session.counted += u64::from(counts);
        Ok(Some(true))
    }

    /// Counts twice and reads once, again and again, in one session as long as it is found.
    pub(super) async fn counts(self) -> Result<Seen, Failure> {
        let mut seen = Seen::default();
        let mut session = None;
        let mut turn = 0_u32;
        while !self.is_over() {
            let Some(own) = session.as_mut() else {
                session = self.create(&mut seen).await?;
                self.pause().await?;
                continue;
            };
            self.pause().await?;
            turn += 1;
            if self.ask(own, !turn.is_multiple_of(3), &mut seen).await? == Some(false) {
                // What was in it is gone with it, and not counted as lost besides.
                session = None;
            }
        }
        if let Some(session) = session {
            self.audit(&session, &mut seen).await?;
        }
        Ok(seen)
    }

    /// What is there in the end.
    async fn audit(&self, session: &Session, seen: &mut Seen) -> Result<(), Failure> {
        seen.counted += session.counted;
        match read(self.nodes[0].as_ref(), &session.id).await {
            Ok(answer) if answer.found => seen.lost += session.counted.saturating_sub(answer.n.unwrap_or(0)),
            Ok(_) => seen.logged_out += usize::from(session.used.elapsed() < self.found_within),
            Err(_) => {
                seen.lost += session.counted;
                seen.fail(false);
            }
        }
        Ok(())
    }

    /// Logs in, counts, logs out, and comes again with the cookie, on every node, at once and a little later.
    pub(super) async fn logs_out(self) -> Result<Seen, Failure> {
        let mut seen = Seen::default();
        while !self.is_over() {
            let created = self.create(&mut seen).await?;
            self.pause().await?;
            let Some(mut session) = created else { continue };
            for _ in 0..2 {
                self.ask(&mut session, true, &mut seen).await?;
                self.pause().await?;
            }
            seen.requests += 1;
            if self.any()?.request(Some(&session.id), Job::of(Work::LogOut)).await.is_err() {
                seen.fail(true);
                continue;
            }
            let mut is_alive = false;
            for later in [self.pause, self.pause * 10] {
                tokio::time::sleep(later).await;
                for node in &self.nodes {
                    seen.requests += 1;
                    match read(node.as_ref(), &session.id).await {
                        Ok(answer) => is_alive |= answer.found,
                        Err(_) => seen.fail(false),
                    }
                }
            }
            seen.logouts += 1;
            seen.alive += usize::from(is_alive);
        }
        Ok(seen)
    }
}
