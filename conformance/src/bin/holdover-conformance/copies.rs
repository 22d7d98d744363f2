//! From a URL of several servers to a harness.

use std::sync::Arc;

use async_trait::async_trait;
use holdover_api::{Error, SessionStore};
use holdover_conformance::{Copies, Harness, Node, PrivateCluster, Raw, RawCopies};
use holdover_layers::failover::{Backup, NODE_BIRTH};
use holdover_layers::url::{self, Opener};

use crate::cluster::{Form, Kind, Shape, Started};
use crate::memcached::{RawMemcached, decoded};
use crate::redis::RawRedis;
use crate::store::{Leftovers, parameter};

/// A store that keeps two copies, at a URL. May hold passwords: never printed. Cases that break servers start servers
/// of the same kinds.
pub(crate) struct CopiesHarness {
    url: String,
    /// The single stores that the URL is made of.
    singles: Vec<(Kind, String)>,
    shape: Shape,
}

impl CopiesHarness {
    /// Whether a URL names a store with two copies.
    pub(crate) fn is_meant(url: &str) -> bool {
        url.starts_with("failover:") || (Kind::of(url).is_some() && parameter(url, "copies") == Some("2"))
    }

    pub(crate) fn of(url: &str, prefix: &str) -> Result<Self, String> {
        let known = "the suite starts servers of its own, and knows how for redis:// and memcached://";
        let singles: Vec<String> = match url.strip_prefix("failover:") {
            Some(_) => ["head", "tail"].iter().filter_map(|name| parameter(url, name)).map(decoded).collect(),
            None => hosts(url).ok_or("the url names no hosts")?,
        };
        let kinds: Vec<Kind> = singles.iter().filter_map(|single| Kind::of(single)).collect();
        let form = match (url.starts_with("failover:"), &kinds[..]) {
            (true, [head, tail]) => Form::Pair(*head, *tail),
            (false, [kind, ..]) if kinds.len() == singles.len() => Form::Ring(*kind),
            _ => return Err(known.to_owned()),
        };
        let backup = if parameter(url, "backup") == Some("after") { Backup::After } else { Backup::Before };
        let shape = Shape { form, backup, prefix: prefix.to_owned() };
        Ok(Self { url: url.to_owned(), singles: kinds.into_iter().zip(singles).collect(), shape })
    }

    /// What a run leaves on each server.
    pub(crate) fn leftovers(&self) -> Vec<Leftovers> {
        let leftover = |(kind, single): &(Kind, String)| match kind {
            Kind::Memcached => Leftovers::Memcached(RawMemcached::new(single, &self.shape.prefix)),
            Kind::Redis => Leftovers::Redis(RawRedis::new(single, &self.shape.prefix)),
        };
        self.singles.iter().map(leftover).collect()
    }
}

/// A URL for each host of `scheme://[login@]a,b[/path][?…]`, without the parameters.
fn hosts(url: &str) -> Option<Vec<String>> {
    let (scheme, rest) = url.split_once("://")?;
    let rest = rest.split('?').next()?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (login, hosts) = authority.rsplit_once('@').map_or(("", authority), |(login, hosts)| (login, hosts));
    let at = if login.is_empty() { "" } else { "@" };
    Some(hosts.split(',').map(|host| format!("{scheme}://{login}{at}{host}{path}")).collect())
}

#[async_trait]
impl Harness for CopiesHarness {
    fn name(&self) -> String {
        match self.shape.form {
            Form::Pair(head, tail) => format!("a pair of {head} and {tail}"),
            Form::Ring(kind) => format!("a ring of {kind}"),
        }
    }

    async fn open(&self, node: Node) -> Result<Arc<dyn SessionStore>, Error> {
        let prefix = format!("prefix={}:{}:", self.shape.prefix, node.place);
        let open: Opener = Arc::new(move |single, clock| {
            let joint = if single.contains('?') { '&' } else { '?' };
            let single = format!("{single}{joint}{prefix}");
            Box::pin(async move { holdover_backends::connect_with_clock(&single, clock).await })
        });
        Ok(url::connect(&self.url, node.clock, &open).await?.store)
    }

    fn raw(&self) -> Option<Arc<dyn Raw>> {
        let raw = |(kind, single): &(Kind, String)| -> Arc<dyn Raw> {
            match kind {
                Kind::Memcached => Arc::new(RawMemcached::new(single, &self.shape.prefix)),
                Kind::Redis => Arc::new(RawRedis::new(single, &self.shape.prefix)),
            }
        };
        let servers = self.singles.iter().map(raw).collect();
        Some(Arc::new(RawCopies::new(servers, self.shape.copies().count, vec![NODE_BIRTH])))
    }

    fn copies(&self) -> Copies {
        self.shape.copies()
    }

    async fn private_cluster(&self, servers: usize) -> Option<Result<PrivateCluster, String>> {
        Some(self.shape.start(servers).await?.map(Started::into_cluster))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_host_is_a_store_and_a_pair_names_two() {
        let singles = |url: &str| {
            let harness = CopiesHarness::of(url, "p").expect("a store with copies");
            harness.singles.into_iter().map(|(_, single)| single).collect::<Vec<_>>()
        };
        assert_eq!(singles("memcached://a:1,b?copies=2&timeout=on"), ["memcached://a:1", "memcached://b"]);
        assert_eq!(singles("redis://u:p@a,b/3?copies=2"), ["redis://u:p@a/3", "redis://u:p@b/3"]);
        assert_eq!(
            singles("failover:?head=redis://a&tail=memcached://b%3A7"),
            ["redis://a", "memcached://b:7"]
        );
        assert!(CopiesHarness::of("failover:?head=redis://a", "p").is_err());
        assert!(CopiesHarness::of("failover:?head=redis://a&tail=other://b", "p").is_err());
        assert!(!CopiesHarness::is_meant("redis://a"));
        assert!(!CopiesHarness::is_meant("memory:"));
    }
}
