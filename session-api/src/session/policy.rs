//! The settings of an application's sessions.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, SystemClock, Timestamp, within};
use crate::codec::Codec;
use crate::entropy::{Entropy, EntropyError, OsEntropy};
use crate::error::{Error, ErrorKind, Operation};
use crate::id::SessionId;
use crate::session::failure::SessionError;
use crate::session::handle::Session;
use crate::stamp::Stamp;
use crate::store::{Freshness, SessionStore};

/// Ends a session that nobody has used for half an hour.
pub const DEFAULT_IDLE_TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// Ends every session after a day, used or not (NIST SP 800-63B-4, 2.2.3: at most 24 h at AAL2).
pub const DEFAULT_ABSOLUTE_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// Extends a session that is only read once a tenth of the idle time has passed.
pub const DEFAULT_TOUCH_SHARE: f64 = 0.1;

/// The largest session: 384 KiB, which every store can hold (DynamoDB's limit is 400 KB with names).
pub const DEFAULT_MAX_SESSION_BYTES: usize = 384 * 1024;

/// The longest that one call of the store may take.
pub const DEFAULT_CALL_TIMEOUT: Duration = Duration::from_secs(1);

/// The longest time-out that can be asked for: ten years.
const MAX_TIMEOUT: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// What happens to a request while the store cannot answer. Never silent: the response carries a mark and a warning
/// is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FailurePolicy {
    /// A failed load or a failed commit fails the request with 503, even if the handler ignored the error.
    #[default]
    Closed,
    /// Loads as with `Closed`, but a commit that fails because the store cannot answer lets the response through:
    /// the changes are lost, the cookie stays as it is. For routes that hardly write.
    ReadOnly,
    /// A failed load gives an empty session that refuses changes, and nothing is ever written back over what could
    /// not be read. For routes that also serve anonymous visitors.
    Anonymous,
}

/// The settings of an application's sessions, and the store that keeps them: it opens sessions and commits them.
///
/// The HTTP layer does this for each request; use it directly where there is no HTTP. Sessions need a tokio runtime with
/// its timer enabled, for the time-out of store calls.
///
/// ```
/// use std::sync::Arc;
/// use holdover_api::{CookieChange, Memory, SessionPolicy};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build()?.block_on(async {
/// let policy = SessionPolicy::new(Arc::new(Memory::new()));
/// let session = policy.open(None);
/// session.insert("greeting", "hello").await?;
/// let CookieChange::Set { id, .. } = session.commit().await?.cookie else { unreachable!() };
///
/// let session = policy.open(Some(id));
/// assert_eq!(session.get::<String>("greeting").await?.as_deref(), Some("hello"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct SessionPolicy(Arc<Settings>);

#[derive(Clone)]
struct Settings {
    store: Arc<dyn SessionStore>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    codec: Codec,
    idle: Duration,
    absolute: Duration,
    touch_share: f64,
    max_bytes: usize,
    call_timeout: Duration,
    read_staleness: Duration,
    on_failure: FailurePolicy,
}

impl SessionPolicy {
    /// Safe settings over `store`: idle 30 min, absolute 24 h, at most 384 KiB, 1 s a call, JSON, closed on failure.
    pub fn new(store: Arc<dyn SessionStore>) -> Self {
        Self(Arc::new(Settings {
            store,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(OsEntropy),
            codec: Codec::Json,
            idle: DEFAULT_IDLE_TIMEOUT,
            absolute: DEFAULT_ABSOLUTE_TIMEOUT,
            touch_share: DEFAULT_TOUCH_SHARE,
            max_bytes: DEFAULT_MAX_SESSION_BYTES,
            call_timeout: DEFAULT_CALL_TIMEOUT,
            read_staleness: Duration::ZERO,
            on_failure: FailurePolicy::Closed,
        }))
    }

    fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// Ends a session that nobody has used for so long.
    #[must_use]
    pub fn with_idle_timeout(self, idle: Duration) -> Self {
        self.with(|settings| settings.idle = idle)
    }

    /// Ends a session so long after it began, however much it is used. A renewal of the id does not start it again.
    #[must_use]
    pub fn with_absolute_timeout(self, absolute: Duration) -> Self {
        self.with(|settings| settings.absolute = absolute)
    }

    /// Extends a session that is only read once this share of the idle time has passed, from 0 (every request
    /// touches the store) to 1 (a session that is only read ends after the idle time).
    #[must_use]
    pub fn with_touch_share(self, share: f64) -> Self {
        self.with(|settings| settings.touch_share = share)
    }

    /// Refuses sessions of more than so many bytes, before anything is sent.
    #[must_use]
    pub fn with_max_bytes(self, max_bytes: usize) -> Self {
        self.with(|settings| settings.max_bytes = max_bytes)
    }

    /// Writes attributes in this format. What is stored in another is still read.
    #[must_use]
    pub fn with_codec(self, codec: Codec) -> Self {
        self.with(|settings| settings.codec = codec)
    }

    /// Gives up a call of the store after so long.
    #[must_use]
    pub fn with_call_timeout(self, limit: Duration) -> Self {
        self.with(|settings| settings.call_timeout = limit)
    }

    /// Lets requests read what was the latest at most so long ago, where the store has it at hand (a near cache). By
    /// default every read is the latest.
    ///
    /// Another node's change, a logout among them, is then seen so much later. Writes rest on nothing stale: they are
    /// merged, compared or refused by the store, as ever.
    #[must_use]
    pub fn with_read_staleness(self, staleness: Duration) -> Self {
        self.with(|settings| settings.read_staleness = staleness)
    }

    /// Chooses what happens while the store cannot answer.
    #[must_use]
    pub fn with_failure_policy(self, policy: FailurePolicy) -> Self {
        self.with(|settings| settings.on_failure = policy)
    }

    /// Takes the time from another clock. The store's clock should be the same one.
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        self.with(|settings| settings.clock = clock)
    }

    /// Draws ids and stamps from another source, for tests of its failure.
    #[must_use]
    pub fn with_entropy(self, entropy: Arc<dyn Entropy>) -> Self {
        self.with(|settings| settings.entropy = entropy)
    }

    /// Refuses settings that cannot work.
    pub fn validate(&self) -> Result<(), PolicyError> {
        let settings = &*self.0;
        if settings.idle.is_zero() || settings.absolute.is_zero() || settings.call_timeout.is_zero() {
            return Err(PolicyError(
                "a time-out of zero would end everything at once: give idle, absolute and call time-outs",
            ));
        }
        if settings.idle > MAX_TIMEOUT || settings.absolute > MAX_TIMEOUT {
            return Err(PolicyError("an idle or absolute time-out of more than ten years is no time-out"));
        }
        if settings.absolute < settings.idle {
            return Err(PolicyError(
                "the absolute time-out is shorter than the idle one: the idle one would never act",
            ));
        }
        if !(0.0..=1.0).contains(&settings.touch_share) {
            return Err(PolicyError("the touch share is a part of the idle time-out: from 0 to 1"));
        }
        if settings.max_bytes == 0 {
            return Err(PolicyError("a limit of zero bytes leaves no room for a session"));
        }
        if settings.max_bytes > settings.store.capabilities().max_bytes {
            return Err(PolicyError(
                "the session limit is above what the store can hold: lower it, or raise the store's",
            ));
        }
        Ok(())
    }

    /// Opens the session that a cookie names, or a new one. No I/O: the first look at the session loads it.
    pub fn open(&self, id: Option<SessionId>) -> Session {
        Session::new(self.clone(), id)
    }

    /// The store.
    pub fn store(&self) -> &Arc<dyn SessionStore> {
        &self.0.store
    }

    /// The clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.clock
    }

    /// The idle time-out.
    pub fn idle_timeout(&self) -> Duration {
        self.0.idle
    }

    /// The absolute time-out.
    pub fn absolute_timeout(&self) -> Duration {
        self.0.absolute
    }

    /// What happens while the store cannot answer.
    pub fn failure_policy(&self) -> FailurePolicy {
        self.0.on_failure
    }

    /// How new what a request reads has to be.
    pub(super) fn freshness(&self) -> Freshness {
        if self.0.read_staleness.is_zero() {
            return Freshness::Latest;
        }
        Freshness::Within(self.0.read_staleness)
    }

    pub(super) fn codec(&self) -> Codec {
        self.0.codec
    }

    pub(super) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// Until when a session that is used now and began at `created` lives.
    pub(super) fn lease(&self, now: Timestamp, created: Timestamp) -> Timestamp {
        (now + self.0.idle).min(created + self.0.absolute)
    }

    /// Whether moving a deadline to `target` is worth a call of the store.
    pub(super) fn is_touch_due(&self, deadline: Timestamp, target: Timestamp) -> bool {
        target > deadline && target.since(deadline) >= self.0.idle.mul_f64(self.0.touch_share.clamp(0.0, 1.0))
    }

    pub(super) fn fits(&self, size: usize) -> Result<(), SessionError> {
        let limit = self.0.max_bytes;
        if size <= limit { Ok(()) } else { Err(SessionError::TooLarge { size, limit }) }
    }

    pub(super) fn draw_id(&self) -> Result<SessionId, EntropyError> {
        SessionId::draw(&*self.0.entropy)
    }

    pub(super) fn draw_stamp(&self) -> Result<Stamp, EntropyError> {
        Stamp::draw(&*self.0.entropy)
    }

    /// Runs one call of the store within the time-out.
    pub(super) async fn call<T>(
        &self,
        operation: Operation,
        call: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, SessionError> {
        let limit = self.0.call_timeout;
        let Some(answer) = within(limit, call).await else {
            let message = format!("no answer within {} ms", limit.as_millis());
            let store = self.0.store.to_string();
            return Err(Error::new(ErrorKind::Unavailable, operation, store, message).into());
        };
        Ok(answer?)
    }
}

impl fmt::Debug for SessionPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = &*self.0;
        f.debug_struct("SessionPolicy")
            .field("store", &settings.store.to_string())
            .field("idle", &settings.idle)
            .field("absolute", &settings.absolute)
            .field("touch_share", &settings.touch_share)
            .field("max_bytes", &settings.max_bytes)
            .field("codec", &settings.codec)
            .field("call_timeout", &settings.call_timeout)
            .field("read_staleness", &settings.read_staleness)
            .field("on_failure", &settings.on_failure)
            .finish_non_exhaustive()
    }
}

/// Settings that cannot work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PolicyError(&'static str);

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for PolicyError {}
