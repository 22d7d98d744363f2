//! Requests as the middleware makes them: a cookie comes in, a handler uses the session or not, and it is committed.

use holdover::api::CookieChange;
use holdover::{SessionError, SessionId, SessionPolicy};
use serde::{Deserialize, Serialize};

const ATTRIBUTES: usize = 10;
/// What an attribute takes beside its text: its name and two quotation marks.
const AROUND: usize = "attribute-0".len() + 2;
const COUNT: &str = "n";

/// What a request does with its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Request {
    Untouched,
    Read,
    Modify,
    Create,
    LogIn,
    LogOut,
}

impl Request {
    pub(crate) const ALL: [Self; 6] =
        [Self::Untouched, Self::Read, Self::Modify, Self::Create, Self::LogIn, Self::LogOut];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Untouched => "untouched",
            Self::Read => "read",
            Self::Modify => "modify",
            Self::Create => "create",
            Self::LogIn => "log in",
            Self::LogOut => "log out",
        }
    }

    pub(crate) const fn about(self) -> &'static str {
        match self {
            Self::Untouched => "the cookie is there, the handler never looks at the session",
            Self::Read => "the handler reads the session",
            Self::Modify => {
                "the handler reads one value and changes it, without losing anybody else's change"
            }
            Self::Create => "a new visitor's first value is stored",
            Self::LogIn => "the session goes on under a new id, and the old id is worth nothing any more",
            Self::LogOut => "the session is destroyed",
        }
    }
}

/// A new session of about so many bytes.
pub(crate) async fn visitor(policy: &SessionPolicy, bytes: usize) -> Result<SessionId, SessionError> {
    let session = policy.open(None);
    let text = "x".repeat((bytes / ATTRIBUTES).saturating_sub(AROUND));
    for number in 0..ATTRIBUTES {
        session.insert(&format!("attribute-{number}"), &text).await?;
    }
    session.insert(COUNT, 0_u64).await?;
    match session.commit().await?.cookie {
        CookieChange::Set { id, .. } => Ok(id),
        _ => Err(SessionError::Gone),
    }
}

/// One request of a visitor; a create needs none.
pub(crate) async fn serve(
    policy: &SessionPolicy,
    id: &SessionId,
    request: Request,
    bytes: usize,
) -> Result<(), SessionError> {
    if request == Request::Create {
        return visitor(policy, bytes).await.map(drop);
    }
    let session = policy.open(Some(id.clone()));
    match request {
        Request::Untouched | Request::Create => {}
        Request::Read => drop(session.get::<u64>(COUNT).await?.ok_or(SessionError::Gone)?),
        Request::Modify => {
            session.update(COUNT, |count: Option<u64>| count.unwrap_or_default() + 1).await?;
        }
        Request::LogIn => session.cycle_id().await?,
        Request::LogOut => session.flush().await?,
    }
    session.commit().await?;
    Ok(())
}
