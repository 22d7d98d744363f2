//! The settings of a layer, and what is wrong with them.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use holdover_api::{Clock, Codec, Entropy, FailurePolicy, PolicyError, SessionPolicy, SessionStore};

use crate::cookie::{Cookie, CookieSettings, SameSite};
use crate::layer::SessionLayer;

/// Settings for a [`SessionLayer`], from [`SessionLayer::builder`]. Clone it for a second layer that differs a little.
///
/// What is not set stays as in [`SessionLayer::new`], which is right for production. `HttpOnly`, an explicit
/// `SameSite` and an id of 256 bits are not settings.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use holdover_api::Memory;
/// use holdover_http::{SameSite, SessionLayer};
///
/// let layer = SessionLayer::builder(Arc::new(Memory::new()))
///     .with_idle_timeout(Duration::from_secs(15 * 60))
///     .with_absolute_timeout(Duration::from_secs(8 * 60 * 60))
///     .with_same_site(SameSite::Strict)
///     .build()?;
/// assert_eq!(layer.cookie_name(), "__Host-id");
/// # Ok::<(), holdover_http::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "settings do nothing until `build` makes a layer of them"]
pub struct SessionLayerBuilder {
    policy: SessionPolicy,
    cookie: CookieSettings,
}

impl SessionLayerBuilder {
    pub(crate) fn new(store: Arc<dyn SessionStore>) -> Self {
        Self { policy: SessionPolicy::new(store), cookie: CookieSettings::default() }
    }

    /// Names the cookie. By default `__Host-id`, or `__Secure-id` with a domain or a path other than `/`.
    ///
    /// Two applications on one host need two names, or each ends the sessions of the other.
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.cookie.name = Some(name.into());
        self
    }

    /// Chooses which requests from other sites carry the cookie. By default [`SameSite::Lax`].
    pub fn with_same_site(mut self, same_site: SameSite) -> Self {
        self.cookie.same_site = same_site;
        self
    }

    /// Shares the cookie with all hosts under a domain. By default only the host that set it gets it.
    ///
    /// Every host under the domain can then overwrite the cookie: `__Host-` is not possible any more.
    pub fn with_domain(mut self, domain: impl Into<String>) -> Self {
        self.cookie.domain = Some(domain.into());
        self
    }

    /// Sends the cookie only with requests under a path. By default `/`. It is no protection between paths.
    pub fn with_path(mut self, path: impl Into<String>) -> Self {
        self.cookie.path = path.into();
        self
    }

    /// Keeps the cookie when the browser is closed: it gets a `Max-Age` until the session's deadline, 400 days at the
    /// most, and is sent again whenever the session was extended. By default it ends with the browser's own session.
    pub fn with_persistent_cookie(mut self) -> Self {
        self.cookie.persistent = true;
        self
    }

    /// Gives a page that is embedded in other sites a cookie for each of these sites (`Partitioned`, CHIPS). It goes
    /// with [`SameSite::None`].
    pub fn with_partitioned(mut self) -> Self {
        self.cookie.partitioned = true;
        self
    }

    /// Sends the cookie over plain HTTP, too, under the name `id`: for development only. Anyone on the network can
    /// read such a cookie.
    ///
    /// Browsers treat `http://localhost` differently from one another; with this setting all of them keep the cookie.
    /// Building such a layer logs a warning.
    pub fn insecure_development_cookies(mut self) -> Self {
        self.cookie.secure = false;
        self
    }

    /// Ends a session that nobody has used for so long. By default 30 minutes.
    pub fn with_idle_timeout(mut self, idle: Duration) -> Self {
        self.policy = self.policy.with_idle_timeout(idle);
        self
    }

    /// Ends a session so long after it began, however much it is used. By default 24 hours.
    pub fn with_absolute_timeout(mut self, absolute: Duration) -> Self {
        self.policy = self.policy.with_absolute_timeout(absolute);
        self
    }

    /// Extends a session that is only read once this share of the idle time has passed. By default 0.1.
    pub fn with_touch_share(mut self, share: f64) -> Self {
        self.policy = self.policy.with_touch_share(share);
        self
    }

    /// Gives up a call of the store after so long. By default one second.
    pub fn with_call_timeout(mut self, limit: Duration) -> Self {
        self.policy = self.policy.with_call_timeout(limit);
        self
    }

    /// Lets requests read what was the latest at most so long ago, where the store has it at hand (a near cache). By
    /// default every read is the latest.
    pub fn with_read_staleness(mut self, staleness: Duration) -> Self {
        self.policy = self.policy.with_read_staleness(staleness);
        self
    }

    /// Refuses sessions of more than so many bytes. By default 384 KiB.
    pub fn with_max_bytes(mut self, max_bytes: usize) -> Self {
        self.policy = self.policy.with_max_bytes(max_bytes);
        self
    }

    /// Writes attributes in this format. By default JSON. What is stored in another is still read.
    pub fn with_codec(mut self, codec: Codec) -> Self {
        self.policy = self.policy.with_codec(codec);
        self
    }

    /// Chooses what happens while the store cannot answer. By default [`FailurePolicy::Closed`].
    ///
    /// Routes that need another policy get a layer of their own, beside the first and not around or inside it.
    pub fn with_failure_policy(mut self, policy: FailurePolicy) -> Self {
        self.policy = self.policy.with_failure_policy(policy);
        self
    }

    /// Takes the time from another clock, for tests. The store's clock should be the same one.
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.policy = self.policy.with_clock(clock);
        self
    }

    /// Draws ids from another source of randomness, for tests of its failure.
    pub fn with_entropy(mut self, entropy: Arc<dyn Entropy>) -> Self {
        self.policy = self.policy.with_entropy(entropy);
        self
    }

    /// The layer, unless a browser would drop its cookie or its time-outs cannot work.
    pub fn build(self) -> Result<SessionLayer, ConfigError> {
        self.policy.validate().map_err(ConfigError::Policy)?;
        let cookie = Cookie::new(&self.cookie)?;
        if !self.cookie.secure {
            tracing::warn!(
                cookie = cookie.name(),
                "session cookies go over plain http: for development only"
            );
        }
        Ok(SessionLayer::from_parts(self.policy, cookie))
    }
}

/// Settings that cannot work: a browser would drop such a cookie without a word, or every session would end at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The cookie's name is empty or not a token.
    CookieName,
    /// Name and value together are larger than a browser keeps.
    CookieTooLarge,
    /// The domain is not a host name.
    CookieDomain,
    /// The path is not an absolute path, holds characters that a cookie cannot carry, or is too long.
    CookiePath,
    /// The name begins with `__Host-`, and the cookie has a domain, another path than `/`, or is not secure.
    HostPrefix,
    /// The name begins with `__Secure-` or `__Http-`, and the cookie is not secure.
    SecurePrefix,
    /// `SameSite=None`, and the cookie is not secure.
    SameSiteNone,
    /// `Partitioned`, and the cookie is not secure.
    Partitioned,
    /// A time-out, a share or a limit makes no sense.
    Policy(PolicyError),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("building the session layer failed: ")?;
        match self {
            Self::CookieName => f.write_str(
                "a cookie name is made of letters, digits and !#$%&'*+-.^_`|~ and is not empty: choose another name",
            ),
            Self::CookieTooLarge => {
                f.write_str("browsers drop a cookie of more than 4096 bytes: choose a shorter name")
            }
            Self::CookieDomain => f.write_str(
                "a cookie domain is a host name such as example.org, in its ascii form and without a port: correct it",
            ),
            Self::CookiePath => f.write_str(
                "a cookie path begins with /, has no spaces, semicolons or control characters and at most 1024 bytes: \
                 correct it",
            ),
            Self::HostPrefix => f.write_str(
                "browsers drop a cookie whose name begins with __Host- unless it is secure, has the path / and no \
                 domain: leave the name to the builder, or drop the other setting",
            ),
            Self::SecurePrefix => f.write_str(
                "browsers drop a cookie whose name begins with __Secure- or __Http- unless it is secure: leave the \
                 name to the builder, or drop the insecure development cookies",
            ),
            Self::SameSiteNone => f.write_str(
                "browsers drop a cookie with SameSite=None unless it is secure: drop the insecure development cookies",
            ),
            Self::Partitioned => f.write_str(
                "browsers drop a partitioned cookie unless it is secure: drop the insecure development cookies",
            ),
            Self::Policy(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ConfigError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Policy(error) => Some(error),
            _ => None,
        }
    }
}
