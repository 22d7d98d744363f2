//! Ours: a policy over the store that a URL names.

use std::time::Duration;

use async_trait::async_trait;
use holdover::api::CookieChange;
use holdover::{Session, SessionId, SessionPolicy};

use crate::job::{Answer, Failure, IDLE, Job, Manager, Work};

/// What a server that stands in for another one may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct Ours(SessionPolicy);

impl Ours {
    pub(crate) async fn connect(url: &str) -> Result<Self, Failure> {
        let policy = SessionPolicy::new(holdover::connect(url).await?).with_idle_timeout(IDLE);
        Ok(Self(policy))
    }

    /// The same, for a server that is slow because it stands in for another one.
    pub(crate) async fn patient(url: &str) -> Result<Self, Failure> {
        let policy = SessionPolicy::new(holdover::connect(url).await?).with_idle_timeout(IDLE);
        Ok(Self(policy.with_call_timeout(PATIENCE)))
    }

    pub(crate) const fn with_policy(policy: SessionPolicy) -> Self {
        Self(policy)
    }
}

async fn look(session: &Session) -> Result<Answer, Failure> {
    let attributes = session.attributes::<u64>().await?;
    let names: Vec<String> = attributes.keys().cloned().collect();
    Ok(Answer { id: None, found: !names.is_empty(), n: attributes.get("n").copied(), names })
}

#[async_trait]
impl Manager for Ours {
    async fn request(&self, id: Option<&str>, job: Job) -> Result<Answer, Failure> {
        let Job { work, meanwhile, .. } = job;
        let session = self.0.open(id.and_then(SessionId::parse));
        let seen = match work {
            Work::Untouched | Work::LogOut => Answer::default(),
            Work::Read | Work::Set(..) | Work::Count if id.is_some() => look(&session).await?,
            Work::Read | Work::Set(..) | Work::Count => Answer::default(),
        };
        meanwhile.await;
        match work {
            Work::Set(name, value) => session.insert(name, value).await?,
            Work::Count => {
                session.update("n", |n: Option<u64>| n.unwrap_or(0) + 1).await?;
            }
            Work::LogOut => session.flush().await?,
            Work::Untouched | Work::Read => {}
        }
        let id = match session.commit().await?.cookie {
            CookieChange::Set { id, .. } | CookieChange::Refresh { id, .. } => Some(id.expose().to_owned()),
            CookieChange::Keep => id.map(ToOwned::to_owned),
            CookieChange::Clear => None,
        };
        Ok(Answer { id, ..seen })
    }
}
