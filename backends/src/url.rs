//! From a URL to a store: a match on the scheme.

use std::sync::Arc;

use holdover_api::{
    Clock, DEFAULT_MAX_BYTES, DEFAULT_MAX_SESSIONS, Error, Memory, SessionStore, SystemClock,
};

use crate::parameters::{Parameters, misconfigured};

const KNOWN_SCHEMES: &str = "memory, dynamodb, memcached, memcached+unix, mongodb, mongodb+srv, redis, rediss, \
                             redis+unix, redis+sentinel, rediss+sentinel, redis+cluster, rediss+cluster";

/// A URL in its parts, as written. Not `Debug`: it may hold a password.
pub(crate) struct Parts<'a> {
    /// In front of the first colon.
    pub(crate) scheme: &'a str,
    /// Between `//` and the next slash; nothing without `//`.
    pub(crate) authority: Option<&'a str>,
    /// Up to the question mark, with its leading slash.
    pub(crate) path: &'a str,
    /// Behind the question mark.
    pub(crate) query: &'a str,
}

impl<'a> Parts<'a> {
    pub(crate) fn of(url: &'a str) -> Result<Self, Error> {
        let Some((scheme, rest)) = url.split_once(':') else {
            return Err(misconfigured(
                "connect",
                format!("the url has no scheme; the known ones are: {KNOWN_SCHEMES}"),
            ));
        };
        if rest.contains('#') {
            return Err(misconfigured(
                "connect",
                "the url has a fragment; write %23 for a # that belongs to it",
            ));
        }
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let Some(place) = place.strip_prefix("//") else {
            return Ok(Self { scheme, authority: None, path: place, query });
        };
        let path_at = place.find('/').unwrap_or(place.len());
        let (authority, path) = place.split_at(path_at);
        Ok(Self { scheme, authority: Some(authority), path, query })
    }
}

/// Opens the store that a URL names.
///
/// A store with a server connects now and fails if it cannot; later it reconnects by itself. The URL is refused as
/// [`Misconfigured`](holdover_api::ErrorKind::Misconfigured) if its scheme is not known or needs a feature that is not
/// enabled, or if it has a parameter that the store does not know. No error repeats any part of the URL.
///
/// - `memory:` with `max_sessions` and `max_bytes`.
/// - `dynamodb://region/table?expiry=…`: the README of the backend lists parameters.
/// - `memcached://host[:port]`, `memcached+unix:///path`: the README of the backend lists parameters.
/// - `mongodb://[user:password@]host[:port][,…][/database]`, `mongodb+srv://host`: the README of the backend lists
///   parameters; the driver's own are taken as well.
/// - `redis://[user:password@]host[:port][/db]` and its kin: the README of the backend lists forms and parameters.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let error = holdover_backends::connect("memory:?max_size=1").await.unwrap_err();
/// assert!(error.message().contains("max_sessions, max_bytes"));
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
pub async fn connect(url: &str) -> Result<Arc<dyn SessionStore>, Error> {
    connect_with_clock(url, Arc::new(SystemClock)).await
}

/// As [`connect`], with another clock: it decides what has expired.
pub async fn connect_with_clock(url: &str, clock: Arc<dyn Clock>) -> Result<Arc<dyn SessionStore>, Error> {
    let parts = Parts::of(url)?;
    match parts.scheme {
        "memory" => memory(&parts, clock),
        #[cfg(feature = "dynamodb")]
        "dynamodb" => crate::dynamodb::connect(&parts, clock).await,
        #[cfg(not(feature = "dynamodb"))]
        "dynamodb" => Err(missing_feature("dynamodb")),
        #[cfg(feature = "memcached")]
        "memcached" | "memcached+unix" => crate::memcached::connect(&parts, clock).await,
        #[cfg(not(feature = "memcached"))]
        "memcached" | "memcached+unix" => Err(missing_feature("memcached")),
        #[cfg(feature = "redis")]
        "redis" | "rediss" | "redis+unix" | "redis+sentinel" | "rediss+sentinel" | "redis+cluster"
        | "rediss+cluster" => crate::redis::connect(&parts, clock).await,
        #[cfg(not(feature = "redis"))]
        "redis" | "rediss" | "redis+unix" | "redis+sentinel" | "rediss+sentinel" | "redis+cluster"
        | "rediss+cluster" => Err(missing_feature("redis")),
        #[cfg(feature = "mongodb")]
        "mongodb" | "mongodb+srv" => crate::mongodb::connect(&parts, clock).await,
        #[cfg(not(feature = "mongodb"))]
        "mongodb" | "mongodb+srv" => Err(missing_feature("mongodb")),
        _ => Err(misconfigured(
            "connect",
            format!("the scheme of the url is not known; the known ones are: {KNOWN_SCHEMES}"),
        )),
    }
}

#[cfg(not(all(feature = "dynamodb", feature = "memcached", feature = "mongodb", feature = "redis")))]
fn missing_feature(feature: &'static str) -> Error {
    let message = format!("this program was built without it: enable the feature `{feature}` of holdover");
    misconfigured(feature, message)
}

fn memory(parts: &Parts<'_>, clock: Arc<dyn Clock>) -> Result<Arc<dyn SessionStore>, Error> {
    let parameters = Parameters::parse("memory", &["max_sessions", "max_bytes"], parts.query)?;
    if parts.authority.is_some_and(|authority| !authority.is_empty()) || !parts.path.is_empty() {
        return Err(misconfigured("memory", "memory has no host and no path; write memory:"));
    }
    let store = Memory::new()
        .with_clock(clock)
        .with_max_sessions(parameters.count("max_sessions", DEFAULT_MAX_SESSIONS)?)
        .with_max_bytes(parameters.count("max_bytes", DEFAULT_MAX_BYTES)?);
    Ok(Arc::new(store))
}

#[cfg(test)]
mod tests {
    use holdover_api::{Effect, ErrorKind, Operation};

    use super::*;

    async fn refusal(url: &str) -> String {
        let error = connect(url).await.expect_err("it has to be refused");
        assert_eq!(error.kind(), ErrorKind::Misconfigured, "{error}");
        assert_eq!((error.effect(), error.operation()), (Effect::None, Operation::Connect));
        format!("{error}")
    }

    #[tokio::test]
    async fn memory_takes_its_limits() {
        for url in ["memory:", "memory://", "memory:?max_sessions=5&max_bytes=77"] {
            let store = connect(url).await.unwrap();
            assert_eq!(store.to_string(), "memory");
        }
        let store = connect("memory:?max_bytes=77").await.unwrap();
        assert_eq!(store.capabilities().max_bytes, 77);
    }

    #[tokio::test]
    async fn memory_refuses_what_it_does_not_know() {
        assert!(refusal("memory:?max_size=1").await.contains("max_sessions, max_bytes"));
        assert!(refusal("memory:?max_sessions=0").await.contains("above zero"));
        assert!(refusal("memory://host").await.contains("no host"));
        assert!(refusal("memory:/path").await.contains("no host"));
    }

    #[tokio::test]
    async fn unknown_schemes_are_answered_with_the_known_ones() {
        for url in ["mysql://host", "REDIS://host", "localhost:6379", "://", ""] {
            assert!(refusal(url).await.contains(KNOWN_SCHEMES), "{url}");
        }
    }

    #[tokio::test]
    async fn fragments_are_refused() {
        assert!(refusal("redis://host/#insecure").await.contains("%23"));
    }

    #[cfg(not(feature = "redis"))]
    #[tokio::test]
    async fn a_scheme_without_its_feature_says_which() {
        for url in ["redis://host", "rediss+cluster://host"] {
            assert!(refusal(url).await.contains("enable the feature `redis`"));
        }
    }

    #[cfg(not(feature = "dynamodb"))]
    #[tokio::test]
    async fn dynamodb_without_its_feature_says_so() {
        assert!(refusal("dynamodb://region/table").await.contains("enable the feature `dynamodb`"));
    }

    #[cfg(not(feature = "memcached"))]
    #[tokio::test]
    async fn memcached_without_its_feature_says_so() {
        assert!(refusal("memcached://host").await.contains("enable the feature `memcached`"));
    }

    #[cfg(not(feature = "mongodb"))]
    #[tokio::test]
    async fn mongodb_without_its_feature_says_so() {
        for url in ["mongodb://host", "mongodb+srv://host"] {
            assert!(refusal(url).await.contains("enable the feature `mongodb`"));
        }
    }

    #[tokio::test]
    async fn no_part_of_a_url_is_repeated() {
        let urls = [
            "hunter2",
            "hunter2:x@host",
            "redis://ada:hunter2",
            "redis://ada:hunter2@host:port",
            "redis://ada:hun?ter2=hunter2@host",
            "redis://ada:hunter2@host/db",
            "redis://host?password=hunter2",
            "redis://host?hunter2=1",
            "redis://host?max_bytes=hunter2",
            "redis://ada:hunter2@host#hunter2",
            "redis://ada:hunter2%ff@host",
            "redis+sentinel://ada:hunter2@host",
            "redis+unix://ada:hunter2@/socket",
            "dynamodb://ada:hunter2@region/table?expiry=never",
            "dynamodb://ada@hunter2/table?expiry=ttl",
            "dynamodb://region/hunter2%20?expiry=ttl",
            "dynamodb://region/table?expiry=hunter2",
            "dynamodb://region/table?expiry=ttl&endpoint=hunter2",
            "memcached://ada:hunter2@host",
            "memcached://hunter2!:port",
            "memcached://host/hunter2",
            "memcached://host?prefix=hunter2%20",
            "memcached+unix://hunter2",
            "mongodb:///hunter2",
            "mongodb://ada:hunter2@host/hunter2.db",
            "mongodb://ada:hunter2@host/?collection=$hunter2",
            "mongodb://ada:hunter2@host/?hunter2=ada",
            "mongodb://ada:hunter2@host:port/",
            "mongodb://ada:hunter2@host/?w=hunter2&w=0",
            "mongodb+srv://ada:hunter2@host:7/",
        ];
        for url in urls {
            let error = connect(url).await.expect_err(url);
            let text = format!("{error} {error:?}");
            for leak in ["hunter2", "ada", "ter2"] {
                assert!(!text.contains(leak), "{url}: {text}");
            }
        }
    }
}
