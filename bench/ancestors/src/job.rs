//! What is asked of every stand-in, and of ours: one request, from the cookie to its end.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Barrier;

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;
pub(crate) type Waiting = Pin<Box<dyn Future<Output = ()> + Send>>;

/// How long a session lives when nobody uses it, unless a claim is about that.
pub(crate) const IDLE: Duration = Duration::from_secs(1800);

/// What a request does with its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    /// It carries a cookie, and does not look at the session.
    Untouched,
    Read,
    /// Sets the attribute of this name.
    Set(&'static str, u64),
    /// Adds one to `n`.
    Count,
    LogOut,
}

/// A request.
pub(crate) struct Job {
    /// The method, the path and the query.
    pub(crate) uri: String,
    pub(crate) work: Work,
    /// What the application does between looking at the session and the end of the request.
    pub(crate) meanwhile: Waiting,
}

impl Job {
    pub(crate) fn of(work: Work) -> Self {
        Self { uri: "GET /".to_owned(), work, meanwhile: Box::pin(async {}) }
    }

    /// It holds the session for so long.
    pub(crate) fn holding(work: Work, length: Duration) -> Self {
        Self { meanwhile: Box::pin(tokio::time::sleep(length)), ..Self::of(work) }
    }

    /// It tells that it has looked at the session, and goes on when it is told.
    pub(crate) fn in_steps(work: Work, looked: Arc<Barrier>, goes_on: Arc<Barrier>) -> Self {
        let meanwhile = Box::pin(async move {
            looked.wait().await;
            goes_on.wait().await;
        });
        Self { meanwhile, ..Self::of(work) }
    }

    pub(crate) fn at(self, uri: impl Into<String>) -> Self {
        Self { uri: uri.into(), ..self }
    }
}

/// What a request came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    /// The cookie that the client has afterwards.
    pub(crate) id: Option<String>,
    /// Whether there was a session.
    pub(crate) found: bool,
    /// What `n` was when the session was looked at.
    pub(crate) n: Option<u64>,
    /// What the attributes were, by name.
    pub(crate) names: Vec<String>,
}

/// One application node.
#[async_trait]
pub(crate) trait Manager: Send + Sync + 'static {
    /// One request. Without a cookie, or with one of no session, a request that sets something creates one.
    async fn request(&self, id: Option<&str>, job: Job) -> Result<Answer, Failure>;

    /// Returns when everything is done that was left to do behind answers.
    async fn settled(&self) {}

    /// How often it has asked a server only to learn whether it is there.
    fn health_checks(&self) -> u64 {
        0
    }
}

/// A new session with `n` = 0, and its cookie.
pub(crate) async fn create(manager: &dyn Manager) -> Result<String, Failure> {
    let answer = manager.request(None, Job::of(Work::Set("n", 0))).await?;
    manager.settled().await;
    answer.id.ok_or_else(|| "a new session has no cookie".into())
}

/// What `n` is.
pub(crate) async fn read(manager: &dyn Manager, id: &str) -> Result<Answer, Failure> {
    manager.request(Some(id), Job::of(Work::Read)).await
}

/// A random number for ids.
pub(crate) fn random() -> Result<u64, Failure> {
    let mut bytes = [0; 8];
    holdover_api::Entropy::fill(&holdover_api::OsEntropy, &mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}
