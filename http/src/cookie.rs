//! The cookie: how it is written, and how it is read back.

use std::fmt;
use std::time::Duration;

use holdover_api::{SESSION_ID_LENGTH, SessionId};
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

use crate::config::ConfigError;

/// The longest lifetime that a browser grants, in seconds: 400 days. A longer one would be cut without a word.
const MAX_AGE_LIMIT: u64 = 400 * 24 * 60 * 60;

/// The largest name and value together that a browser keeps, in bytes.
const MAX_PAIR: usize = 4096;

/// The longest attribute value that a browser reads, in bytes.
const MAX_ATTRIBUTE: usize = 1024;

/// The longest host name, in bytes.
const MAX_HOST: usize = 253;

/// How much of a request's `Cookie` headers is searched, in bytes. More than that holds no id.
const MAX_SEARCHED: usize = 64 * 1024;

/// When a browser sends the cookie with requests that another site caused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SameSite {
    /// Never, not even when a link on another site is followed: a user who returns from a log-in elsewhere (OAuth)
    /// arrives without a session.
    Strict,
    /// Only when the user follows a link or is redirected with GET. The default.
    #[default]
    Lax,
    /// Always. The application then needs its own defence against forged requests (CSRF).
    None,
}

impl SameSite {
    const fn name(self) -> &'static str {
        match self {
            Self::Strict => "Strict",
            Self::Lax => "Lax",
            Self::None => "None",
        }
    }
}

/// What the builder was told of the cookie.
#[derive(Clone, Debug)]
pub(crate) struct CookieSettings {
    pub(crate) name: Option<String>,
    pub(crate) same_site: SameSite,
    pub(crate) domain: Option<String>,
    pub(crate) path: String,
    pub(crate) secure: bool,
    pub(crate) partitioned: bool,
    pub(crate) persistent: bool,
}

impl Default for CookieSettings {
    fn default() -> Self {
        Self {
            name: None,
            same_site: SameSite::Lax,
            domain: None,
            path: "/".to_owned(),
            secure: true,
            partitioned: false,
            persistent: false,
        }
    }
}

impl CookieSettings {
    /// The strictest name that these settings can carry, unless one was given.
    fn resolved_name(&self) -> &str {
        match &self.name {
            Some(name) => name,
            None if !self.secure => "id",
            None if self.is_host_only() => "__Host-id",
            None => "__Secure-id",
        }
    }

    fn is_host_only(&self) -> bool {
        self.domain.is_none() && self.path == "/"
    }

    /// Refuses what a browser would drop or would read differently.
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        let name = self.resolved_name();
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(ConfigError::CookieName);
        }
        if name.len() + SESSION_ID_LENGTH > MAX_PAIR {
            return Err(ConfigError::CookieTooLarge);
        }
        if self.domain.as_deref().is_some_and(|domain| !is_host(domain)) {
            return Err(ConfigError::CookieDomain);
        }
        if !is_path(&self.path) {
            return Err(ConfigError::CookiePath);
        }
        // Browsers match these prefixes whatever their case; `__Host-Http-` begins with `__Host-`.
        if has_prefix(name, "__Host-") && !(self.secure && self.is_host_only()) {
            return Err(ConfigError::HostPrefix);
        }
        if (has_prefix(name, "__Secure-") || has_prefix(name, "__Http-")) && !self.secure {
            return Err(ConfigError::SecurePrefix);
        }
        if self.same_site == SameSite::None && !self.secure {
            return Err(ConfigError::SameSiteNone);
        }
        if self.partitioned && !self.secure {
            return Err(ConfigError::Partitioned);
        }
        Ok(())
    }

    fn attributes(&self) -> String {
        let mut attributes = format!("; HttpOnly; SameSite={}", self.same_site.name());
        if self.partitioned {
            attributes.push_str("; Partitioned");
        }
        if self.secure {
            attributes.push_str("; Secure");
        }
        attributes.push_str("; Path=");
        attributes.push_str(&self.path);
        if let Some(domain) = &self.domain {
            attributes.push_str("; Domain=");
            attributes.push_str(domain);
        }
        attributes
    }
}

/// RFC 9110, section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_host(domain: &str) -> bool {
    let labels = domain.strip_prefix('.').unwrap_or(domain);
    let is_label = |label: &str| {
        let is_plain = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        !label.is_empty() && label.len() <= 63 && is_plain
    };
    labels.len() <= MAX_HOST && labels.split('.').all(is_label)
}

fn is_path(path: &str) -> bool {
    let is_plain = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b';');
    path.starts_with('/') && path.len() <= MAX_ATTRIBUTE && is_plain
}

fn has_prefix(name: &str, prefix: &str) -> bool {
    name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// What the `Cookie` headers of a request say of the session.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Presented {
    /// No cookie of our name.
    Nothing,
    /// One cookie of our name with a well-formed id, which may be invented all the same.
    Id(SessionId),
    /// One cookie of our name that cannot be an id of ours.
    Malformed,
    /// More than one cookie of our name: nobody can tell which of them is ours.
    Several,
    /// More bytes of cookies than are searched.
    Oversized,
}

/// The cookie of one layer: valid, and put together once.
#[derive(Clone)]
pub(crate) struct Cookie {
    name: String,
    attributes: String,
    clearing: HeaderValue,
    persistent: bool,
}

impl Cookie {
    /// The cookie that the settings describe, unless a browser would drop it.
    pub(crate) fn new(settings: &CookieSettings) -> Result<Self, ConfigError> {
        settings.validate()?;
        let name = settings.resolved_name().to_owned();
        let attributes = settings.attributes();
        let clearing = HeaderValue::try_from(format!("{name}={attributes}; Max-Age=0"))
            .map_err(|_| ConfigError::CookieName)?;
        Ok(Self { name, attributes, clearing, persistent: settings.persistent })
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Whether the cookie outlives the browser's session, so that it has to be sent again when a session is extended.
    pub(crate) const fn is_persistent(&self) -> bool {
        self.persistent
    }

    /// The `Set-Cookie` value that hands out `id`, for `remaining` if the cookie is persistent.
    ///
    /// It is marked sensitive, so that neither `Debug` nor header compression shows it.
    pub(crate) fn hand_out(&self, id: &SessionId, remaining: Duration) -> HeaderValue {
        const MAX_AGE_ROOM: usize = "; Max-Age=34560000".len();
        let length = self.name.len() + 1 + SESSION_ID_LENGTH + self.attributes.len() + MAX_AGE_ROOM;
        let mut text = String::with_capacity(length);
        text.push_str(&self.name);
        text.push('=');
        text.push_str(id.expose());
        text.push_str(&self.attributes);
        if self.persistent {
            // Rounded up: the cookie never ends before the session.
            let whole_seconds = remaining.as_secs().saturating_add(u64::from(remaining.subsec_nanos() > 0));
            text.push_str("; Max-Age=");
            text.push_str(&whole_seconds.min(MAX_AGE_LIMIT).to_string());
        }
        let mut value =
            HeaderValue::try_from(text).expect("name and attributes were checked, an id is base64url");
        value.set_sensitive(true);
        value
    }

    /// The `Set-Cookie` value that removes the cookie: the same attributes, or the browser would keep it.
    pub(crate) fn clear(&self) -> HeaderValue {
        self.clearing.clone()
    }

    /// Finds the session's id in the headers of a request.
    pub(crate) fn read(&self, headers: &HeaderMap) -> Presented {
        let mut found = None;
        let mut searched = 0;
        for header in headers.get_all(COOKIE) {
            searched += header.len();
            if searched > MAX_SEARCHED {
                return Presented::Oversized;
            }
            for pair in header.as_bytes().split(|byte| *byte == b';') {
                let Some(value) = self.value_in(pair) else { continue };
                if found.replace(value).is_some() {
                    return Presented::Several;
                }
            }
        }
        let Some(value) = found else { return Presented::Nothing };
        match std::str::from_utf8(value).ok().and_then(SessionId::parse) {
            Some(id) => Presented::Id(id),
            None => Presented::Malformed,
        }
    }

    /// Whether a `Set-Cookie` value sets or clears a cookie of this name.
    pub(crate) fn is_set_by(&self, set_cookie: &HeaderValue) -> bool {
        let pair = set_cookie.as_bytes().split(|byte| *byte == b';').next();
        let name = pair.and_then(|pair| pair.split(|byte| *byte == b'=').next());
        name.is_some_and(|name| name.trim_ascii() == self.name.as_bytes())
    }

    /// The value of a `name=value` pair, if the name is exactly ours.
    fn value_in<'h>(&self, pair: &'h [u8]) -> Option<&'h [u8]> {
        pair.trim_ascii().strip_prefix(self.name.as_bytes())?.strip_prefix(b"=")
    }
}

impl fmt::Debug for Cookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cookie")
            .field("name", &self.name)
            .field("attributes", &self.attributes)
            .field("persistent", &self.persistent)
            .finish()
    }
}

#[cfg(test)]
mod tests;
