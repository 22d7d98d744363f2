//! From a URL to a harness.

use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use async_trait::async_trait;
use holdover_api::{Error, SessionStore};
use holdover_conformance::servers::{self, MongodbSet, ServerError};
use holdover_conformance::{Harness, MemoryHarness, Node, PrivateServer, PrivateSet, Raw};

use crate::copies::CopiesHarness;
use crate::dynamodb::RawDynamoDb;
use crate::memcached::RawMemcached;
use crate::mongodb::RawMongodb;
use crate::redis::RawRedis;

/// In front of the place, with a number of the run's own: what the suite leaves behind can be told from real sessions,
/// and be removed without harm to another run.
const PREFIX: &str = "holdover-conformance";

/// In a set whose servers choose among themselves: the least that can go on without one of them.
const MEMBERS: usize = 3;

/// Readers that accept a copy get any that is there. Which members are near enough is not for a busy machine to say.
const NEARBY: &str = "readPreference=secondaryPreferred&localThresholdMS=1000";

/// The server at the URL is not what they break.
const ON_SETS: &str = "the cases on elections are put to replica sets of three that the suite starts for them, where the \
                       store claims to outlive the loss of a server";

/// Longer than a choice takes, even on a busy machine: the cases demand that no error tells of one.
const LONG_PATIENCE: &str = "connect_timeout=1s&response_timeout=15s";

/// A harness, and the way to clean up behind it.
pub(crate) struct Examined {
    /// Makes handles.
    pub(crate) harness: Arc<dyn Harness>,
    leftovers: Vec<Leftovers>,
    /// What has to be known about how some cases are put.
    pub(crate) notes: Vec<String>,
}

/// What a run leaves in a store that the suite reaches below.
pub(crate) enum Leftovers {
    DynamoDb(RawDynamoDb),
    Memcached(RawMemcached),
    Mongodb(RawMongodb),
    Redis(RawRedis),
}

impl Leftovers {
    fn into_raw(self) -> Arc<dyn Raw> {
        match self {
            Self::DynamoDb(raw) => Arc::new(raw),
            Self::Memcached(raw) => Arc::new(raw),
            Self::Mongodb(raw) => Arc::new(raw),
            Self::Redis(raw) => Arc::new(raw),
        }
    }
}

impl Examined {
    /// Removes what the run has left in the store, as far as the suite reaches below it.
    pub(crate) async fn clean_up(&self) -> Result<(), String> {
        for leftover in &self.leftovers {
            match leftover {
                Leftovers::DynamoDb(raw) => raw.remove_all().await?,
                Leftovers::Memcached(raw) => raw.remove_all().await?,
                Leftovers::Mongodb(raw) => raw.remove_all().await?,
                Leftovers::Redis(raw) => raw.remove_all().await?,
            }
        }
        Ok(())
    }
}

/// The harness for the store that a URL names.
pub(crate) fn examined(url: &str, run: u64) -> Result<Examined, String> {
    let scheme = url.split(':').next().unwrap_or_default();
    match scheme {
        "memory" if ["memory:", "memory://"].contains(&url) => Ok(Examined {
            harness: Arc::new(MemoryHarness::default()),
            leftovers: Vec::new(),
            notes: Vec::new(),
        }),
        "memory" => Err("the suite examines memory: as it is, without parameters".to_owned()),
        _ if parameter(url, "prefix").is_some() => {
            Err("leave the prefix out of the url: the suite gives each case a prefix of its own".to_owned())
        }
        "mongodb" | "mongodb+srv" if parameter(url, "collection").is_some() => {
            Err("leave the collection out of the url: the suite gives each case a collection of its own"
                .to_owned())
        }
        "dynamodb" if parameter(url, "expiry") == Some("rotation") => {
            Err("the command does not examine expiry=rotation: the cases on tables that follow each other need a server \
                 whose clock moves by hand, and the test dynamodb_rotation_exam of holdover-backends brings one"
                .to_owned())
        }
        _ if CopiesHarness::is_meant(url) => {
            let harness = CopiesHarness::of(url, &format!("{PREFIX}-{run:016x}"))?;
            let leftovers = harness.leftovers();
            Ok(Examined { harness: Arc::new(harness), leftovers, notes: Vec::new() })
        }
        _ => {
            let prefix = format!("{PREFIX}-{run:016x}");
            let harness = UrlHarness { url: url.to_owned(), scheme: scheme.to_owned(), prefix };
            let leftovers = harness.below();
            let leftovers = leftovers.into_iter().collect();
            let notes = if scheme == "mongodb" { vec![ON_SETS.to_owned()] } else { Vec::new() };
            Ok(Examined { harness: Arc::new(harness), leftovers, notes })
        }
    }
}

/// A store with a server, at a URL. May hold a password: never printed.
struct UrlHarness {
    url: String,
    scheme: String,
    prefix: String,
}

/// The schemes whose server is one plain TCP address, so that a proxy can stand in front of it and the suite can start
/// one like it.
#[derive(Clone, Copy)]
enum Plain {
    DynamoDb,
    Memcached,
    Mongodb,
    Redis,
}

impl Plain {
    fn recipe(self) -> servers::Recipe {
        match self {
            Self::DynamoDb => servers::dynamodb(),
            Self::Memcached => servers::memcached(),
            Self::Mongodb => servers::mongodb_set_of_one(),
            Self::Redis => servers::redis_durable(),
        }
    }
}

impl UrlHarness {
    fn plain(&self) -> Option<Plain> {
        match self.scheme.as_str() {
            "dynamodb" => Some(Plain::DynamoDb),
            "memcached" => Some(Plain::Memcached),
            "mongodb" => Some(Plain::Mongodb),
            "redis" => Some(Plain::Redis),
            _ => None,
        }
    }

    /// The part of the URL that names the server, with its login.
    fn server(&self) -> Option<&str> {
        match self.plain() {
            // The host of such a URL is a region.
            Some(Plain::DynamoDb) => parameter(&self.url, "endpoint")?.strip_prefix("http://"),
            _ => authority(&self.url),
        }
    }

    /// Access below the store, where there is any.
    fn below(&self) -> Option<Leftovers> {
        let (url, prefix) = (&self.url, &self.prefix);
        match self.scheme.as_str() {
            "dynamodb" => Some(Leftovers::DynamoDb(RawDynamoDb::new(url, prefix))),
            "memcached" => Some(Leftovers::Memcached(RawMemcached::new(url, prefix))),
            "mongodb" | "mongodb+srv" => Some(Leftovers::Mongodb(RawMongodb::new(url, prefix))),
            "redis" => Some(Leftovers::Redis(RawRedis::new(url, prefix))),
            _ => None,
        }
    }

    /// The URL with a prefix or a collection for the place, and with another address if the node goes through a proxy.
    fn url_for(&self, place: &str, via: Option<SocketAddr>) -> String {
        let reached = match (via, self.server()) {
            (Some(address), Some(authority)) => {
                let login =
                    authority.rsplit_once('@').map_or(String::new(), |(login, _)| format!("{login}@"));
                self.url.replacen(authority, &format!("{login}{address}"), 1)
            }
            _ => self.url.clone(),
        };
        let joint = if reached.contains('?') { '&' } else { '?' };
        if self.scheme.starts_with("mongodb") {
            let collection = RawMongodb::collection(&self.prefix, place);
            // A member of a replica set names the others, and itself, by addresses that lead past the proxy.
            let direct = via.is_some() && parameter(&self.url, "directConnection").is_none();
            let direct = if direct { "&directConnection=true" } else { "" };
            return format!("{reached}{joint}collection={collection}{direct}");
        }
        format!("{reached}{joint}prefix={}:{place}:", self.prefix)
    }
}

/// What stands between `//` and the path.
fn authority(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    rest.split(['/', '?']).next()
}

pub(crate) fn parameter<'a>(url: &'a str, name: &str) -> Option<&'a str> {
    let (_, query) = url.split_once('?')?;
    query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}

#[async_trait]
impl Harness for UrlHarness {
    fn name(&self) -> String {
        self.scheme.clone()
    }

    async fn open(&self, node: Node) -> Result<Arc<dyn SessionStore>, Error> {
        holdover_backends::connect_with_clock(&self.url_for(&node.place, node.via), node.clock).await
    }

    fn raw(&self) -> Option<Arc<dyn Raw>> {
        Some(self.below()?.into_raw())
    }

    fn address(&self) -> Option<SocketAddr> {
        let port = self.plain()?.recipe().default_port;
        let server = self.server()?;
        let (_, host) = server.rsplit_once('@').unwrap_or(("", server));
        let host = if host.rsplit(']').next().is_some_and(|rest| rest.contains(':')) {
            host.to_owned()
        } else {
            format!("{host}:{port}")
        };
        host.to_socket_addrs().ok()?.next()
    }

    async fn private_server(&self) -> Option<Result<PrivateServer, String>> {
        let recipe = self.plain()?.recipe();
        let harness = |server: &servers::Server| -> Arc<dyn Harness> {
            Arc::new(Self {
                url: server.url().to_owned(),
                scheme: self.scheme.clone(),
                prefix: self.prefix.clone(),
            })
        };
        servers::private(&recipe, harness).await
    }

    async fn private_set(&self) -> Option<Result<PrivateSet, String>> {
        if self.scheme != "mongodb" {
            return None;
        }
        // As often as a server can look for what has expired.
        let recipe = servers::mongodb().with_argument(servers::mongodb_sweep(1));
        match MongodbSet::start(&recipe, MEMBERS, MongodbSet::ELECTION_TIMEOUT).await {
            Ok(set) => {
                let url = format!("{}&{NEARBY}&{LONG_PATIENCE}", set.url());
                let (scheme, prefix) = (self.scheme.clone(), self.prefix.clone());
                let harness = Arc::new(Self { url, scheme, prefix });
                Some(Ok(PrivateSet { harness, control: Arc::new(set) }))
            }
            Err(ServerError::NotFound(_)) => None,
            Err(ServerError::Failed(why)) => Some(Err(why)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(url: &str) -> UrlHarness {
        let scheme = url.split(':').next().unwrap_or_default().to_owned();
        UrlHarness { url: url.to_owned(), scheme, prefix: PREFIX.to_owned() }
    }

    #[test]
    fn each_place_has_a_prefix_and_a_proxy_keeps_the_login() {
        let proxy = Some(SocketAddr::from(([127, 0, 0, 1], 9)));
        let harness = at("redis://user:pass@host:1234/5?response_timeout=1s");
        assert_eq!(
            harness.url_for("p-1", None),
            "redis://user:pass@host:1234/5?response_timeout=1s&prefix=holdover-conformance:p-1:"
        );
        assert_eq!(
            harness.url_for("p-1", proxy),
            "redis://user:pass@127.0.0.1:9/5?response_timeout=1s&prefix=holdover-conformance:p-1:"
        );
        assert_eq!(
            at("redis://host").url_for("p", proxy),
            "redis://127.0.0.1:9?prefix=holdover-conformance:p:"
        );
    }

    #[test]
    fn each_place_of_a_mongodb_is_a_collection_and_a_proxy_is_not_passed_by() {
        let proxy = Some(SocketAddr::from(([127, 0, 0, 1], 9)));
        let harness = at("mongodb://user:pass@host:1234/db?authSource=admin");
        assert_eq!(
            harness.url_for("p-1", None),
            "mongodb://user:pass@host:1234/db?authSource=admin&collection=holdover-conformance.p-1"
        );
        assert_eq!(
            harness.url_for("p-1", proxy),
            "mongodb://user:pass@127.0.0.1:9/db?authSource=admin&collection=holdover-conformance.p-1\
             &directConnection=true"
        );
        let found = |url: &str| at(url).address().map(|address| address.to_string());
        assert_eq!(found("mongodb://127.0.0.1/db"), Some("127.0.0.1:27017".to_owned()));
        assert_eq!(found("mongodb://127.0.0.1:1,127.0.0.1:2/db"), None);
        assert!(examined("mongodb://host/db?collection=mine", 1).is_err());
    }

    #[test]
    fn addresses_are_found_with_and_without_port() {
        let found = |url: &str| at(url).address().map(|address| address.to_string());
        assert_eq!(found("redis://u:p@127.0.0.1/3"), Some("127.0.0.1:6379".to_owned()));
        assert_eq!(found("redis://127.0.0.1:7"), Some("127.0.0.1:7".to_owned()));
        assert_eq!(found("redis://[::1]:8"), Some("[::1]:8".to_owned()));
        assert_eq!(found("redis://[::1]"), Some("[::1]:6379".to_owned()));
        assert_eq!(found("memcached://127.0.0.1"), Some("127.0.0.1:11211".to_owned()));
        assert_eq!(found("redis+cluster://127.0.0.1"), None);
        let behind = "dynamodb://eu-west-1/t?expiry=ttl&endpoint=http://127.0.0.1:8000";
        assert_eq!(found(behind), Some("127.0.0.1:8000".to_owned()));
        assert_eq!(found("dynamodb://eu-west-1/t?expiry=ttl"), None);
        let proxy = Some(SocketAddr::from(([127, 0, 0, 1], 9)));
        let through = at(behind).url_for("p", proxy);
        assert!(through.starts_with("dynamodb://eu-west-1/t?expiry=ttl&endpoint=http://127.0.0.1:9&prefix="));
    }

    #[test]
    fn below_a_memcached_addresses_get_the_usual_port_and_keys_are_decoded() {
        let address = |url| RawMemcached::new(url, "p").address;
        assert_eq!(address("memcached://host?prefix=x"), "host:11211");
        assert_eq!(address("memcached://host:7/"), "host:7");
        assert_eq!(address("memcached://[::1]:7"), "[::1]:7");
        assert_eq!(address("memcached://[::1]"), "[::1]:11211");
        assert_eq!(crate::memcached::decoded("a%3Ab-%zz%4"), "a:b-%zz%4");
    }

    #[test]
    fn a_url_that_the_suite_cannot_examine_is_refused() {
        assert!(examined("redis://host?prefix=mine:", 1).is_err());
        assert!(examined("memory:?max_bytes=7", 1).is_err());
        assert!(examined("dynamodb://eu-west-1/t?expiry=rotation&period=1h", 1).is_err());
        assert!(examined("memory:", 1).is_ok());
    }
}
