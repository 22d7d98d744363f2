//! Session ids, which only ever live in a cookie, and session keys, which are all that anything else sees.

use std::fmt;
use std::sync::OnceLock;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use sha2::{Digest, Sha256};

use crate::entropy::{Entropy, EntropyError};

/// Random bytes in an id: 256 bits, twice what OWASP ASVS 7.2.3 asks for.
const ID_BYTES: usize = 32;

/// Length of an id as text: 32 bytes in unpadded base64url.
pub const SESSION_ID_LENGTH: usize = 43;

/// Length of a key as text: 32 bytes in hexadecimal.
pub const SESSION_KEY_LENGTH: usize = 64;

/// The secret that a browser holds: 256 random bits as URL-safe text.
///
/// Only the cookie ever carries it. It has no `Display`, its `Debug` is redacted, and a store never sees it: a store
/// sees the [`SessionKey`].
///
/// ```
/// use holdover_api::{OsEntropy, SessionId};
///
/// let id = SessionId::draw(&OsEntropy)?;
/// let cookie_value = id.expose().to_owned();
/// assert_eq!(SessionId::parse(&cookie_value), Some(id));
/// # Ok::<(), holdover_api::EntropyError>(())
/// ```
#[derive(Clone)]
pub struct SessionId {
    text: String,
    /// Hashed when it is first asked for: a request that never touches its session never hashes.
    key: OnceLock<SessionKey>,
}

impl SessionId {
    /// Draws a new id. Fails when the source of randomness does: a weak id is never made.
    pub fn draw(entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        let mut random = [0_u8; ID_BYTES];
        entropy.fill(&mut random)?;
        Ok(Self { text: BASE64URL_NOPAD.encode(&random), key: OnceLock::new() })
    }

    /// Reads an id from a cookie's value: exactly 43 characters of canonical base64url, or nothing.
    ///
    /// That the text is well formed says nothing about whether such a session exists.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() != SESSION_ID_LENGTH {
            return None;
        }
        let mut decoded = [0_u8; ID_BYTES];
        let length = BASE64URL_NOPAD.decode_mut(text.as_bytes(), &mut decoded).ok()?;
        (length == ID_BYTES).then(|| Self { text: text.to_owned(), key: OnceLock::new() })
    }

    /// The secret itself, for the cookie and for nothing else.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// The key under which a store keeps this session.
    pub fn key(&self) -> SessionKey {
        *self.key.get_or_init(|| SessionKey(Sha256::digest(self.text.as_bytes()).into()))
    }
}

impl PartialEq for SessionId {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for SessionId {}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(redacted)")
    }
}

/// SHA-256 of a [`SessionId`]: what a store, a log or a metric sees.
///
/// As text it is always 64 characters of `0-9a-f`, so that no id can inject into a text protocol, and a leaked store
/// holds no usable cookie. `printf %s "$id" | sha256sum` gives the same text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionKey([u8; 32]);

impl SessionKey {
    /// A key from its bytes, for stores and tools that read keys back.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes of the digest.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0_u8; SESSION_KEY_LENGTH];
        HEXLOWER.encode_mut(&self.0, &mut text);
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for SessionKey {
    /// The first eight characters: enough to follow one session through a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionKey({}…)", HEXLOWER.encode(&self.0[..4]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::OsEntropy;

    #[test]
    fn parse_accepts_what_draw_makes() {
        let id = SessionId::draw(&OsEntropy).unwrap();
        assert_eq!(id.expose().len(), SESSION_ID_LENGTH);
        assert_eq!(SessionId::parse(id.expose()), Some(id));
    }

    #[test]
    fn parse_refuses_everything_else() {
        let good = SessionId::draw(&OsEntropy).unwrap().expose().to_owned();
        let one_short = good[1..].to_owned();
        let one_long = format!("{good}A");
        let padded = format!("{}=", &good[1..]);
        // 43 characters hold 258 bits: the last two must be zero, or two texts would name one id.
        let not_canonical = format!("{}B", "A".repeat(42));
        let hostile = ["", "../../etc/passwd", "a b", "\r\nset x 0 0 1", "\0", "é"];
        for text in [one_short, one_long, padded, not_canonical].iter().map(String::as_str).chain(hostile) {
            assert_eq!(SessionId::parse(text), None, "{text:?}");
        }
        for position in 0..SESSION_ID_LENGTH {
            let mut text = good.clone().into_bytes();
            text[position] = b'+';
            assert_eq!(SessionId::parse(std::str::from_utf8(&text).unwrap()), None);
        }
    }

    #[test]
    fn debug_never_shows_the_secret() {
        let id = SessionId::draw(&OsEntropy).unwrap();
        assert_eq!(format!("{id:?}"), "SessionId(redacted)");
        assert!(!format!("{:?}", id.key()).contains(&id.key().to_string()));
    }

    #[test]
    fn the_key_is_the_sha256_of_the_text() {
        let id = SessionId::parse(&"A".repeat(43)).unwrap();
        let expected = "0f007385b6f9d4b7eeb2748605afe1a984a0a3bfa3f014d09e2a784ce9e5cd1a";
        assert_eq!(id.key().to_string(), expected);
    }
}
