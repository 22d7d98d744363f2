//! URLs for several nodes and for layers: what stands in them for this room is taken out, and the rest is left to whoever
//! opens single stores.
//!
//! | form | store |
//! |---|---|
//! | `memcached://a:11211,b:11211,c:11211?copies=2` | a ring of pairs: each session on two of the nodes |
//! | `memcached://a,b?copies=1` | a ring: each session on one of the nodes |
//! | `redis://a,b?copies=2` | the same with Redis, `rediss` too |
//! | `failover:?head=redis://a&tail=memcached://b` | a pair of any two stores; `&`, `%`, `#` and `+` of theirs are percent-encoded |
//! | any of these, or one store, with `?retry=on&timeout=400ms…` | with layers around it |
//!
//! | parameter | with | default | means |
//! |---|---|---|---|
//! | `copies` | several hosts | none: it has to be said | 1 or 2 copies of each session |
//! | `backup` | two copies | `before` | the backup is written `before` or `after` the answer |
//! | `half_copies` | two copies | `on` | `off`: a write needs both nodes, or fails |
//! | `node_timeout` | two copies | `250ms` | the longest call to one node |
//! | `max_lease` | two copies | `24h` | the longest lease of a session |
//! | `trace`, `metrics` | any | off | `on` |
//! | `retry` | any | off | `on`, or the deadline of an operation with all its attempts |
//! | `timeout` | any | off | `on`, or the limit of an attempt |
//! | `near_cache` | any | off | `on`, or the age up to which a copy is served to readers that accept it |
//!
//! A node that cannot be reached when an application node starts is opened later; one of them has to be there.
//!
//! Times have a unit: `ms`, `s`, `m` or `h`. The order of hosts does not matter; how they are written does: it decides where
//! sessions live, so that all application nodes have to name them alike.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use holdover_api::{Clock, Error, ErrorKind, Operation, SessionStore};
use percent_encoding::percent_decode_str;

use crate::duration;
use crate::failover::{Backup, Copies, Failover, FailoverSettings};
use crate::late::Late;
use crate::ring::{RingNode, RingSettings};
use crate::stack::Stack;
use crate::{Metrics, Retry, Timeout, Trace};

/// Schemes of stores with one server, of which several make a ring, with the port that goes without saying.
const SEVERAL: [(&str, u16); 3] = [("memcached", 11_211), ("redis", 6_379), ("rediss", 6_379)];

/// What this room takes out of a URL.
const KNOWN: [&str; 12] = [
    "copies",
    "backup",
    "half_copies",
    "node_timeout",
    "max_lease",
    "trace",
    "metrics",
    "retry",
    "timeout",
    "near_cache",
    "head",
    "tail",
];

/// A store, and what it notices if it keeps two copies.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The store.
    pub store: Arc<dyn SessionStore>,
    /// What its pairs notice; nothing if there are none.
    pub copies: Option<Copies>,
}

/// The opening of a single store, under way.
pub type Opening = Pin<Box<dyn Future<Output = Result<Arc<dyn SessionStore>, Error>> + Send>>;

/// Opens a single store by its URL.
pub type Opener = Arc<dyn Fn(String, Arc<dyn Clock>) -> Opening + Send + Sync>;

/// Opens the store that a URL names: nodes and layers by the forms above, each single store by `open`.
///
/// # Errors
///
/// [`ErrorKind::Misconfigured`] for parameters that make no sense or do not go together, and whatever `open` answers. No
/// error repeats any part of the URL.
pub async fn connect(url: &str, clock: Arc<dyn Clock>, open: &Opener) -> Result<Opened, Error> {
    let asked = Asked::of(url)?;
    let stack = asked.stack()?;
    let scheme = asked.base.split(':').next().unwrap_or_default();
    if scheme == "failover" {
        return pair(&asked, &stack, clock, open).await;
    }
    let Some(hosts) = hosts(scheme, &asked.base) else {
        asked.refuse_unless_several()?;
        let store = open(asked.rest(), Arc::clone(&clock)).await?;
        return Ok(Opened { store: stack.over(store, &clock), copies: None });
    };
    let stack = Stack { ring: Some(asked.ring()?), ..stack };
    let (names, urls): (Vec<String>, Vec<String>) =
        hosts.into_iter().map(|(name, url)| (name, asked.with_query(&url))).unzip();
    let stores = open_all(urls, &clock, open).await?;
    let nodes = names.into_iter().zip(stores).map(|(name, store)| RingNode { name, store }).collect();
    let (store, copies) = stack.over_nodes(nodes, &clock).await?;
    Ok(Opened { store, copies: Some(copies) })
}

async fn pair(asked: &Asked, stack: &Stack, clock: Arc<dyn Clock>, open: &Opener) -> Result<Opened, Error> {
    let (Some(head), Some(tail)) = (asked.value("head"), asked.value("tail")) else {
        return Err(refused("a failover needs two stores: failover:?head=<url>&tail=<url>"));
    };
    if asked.base != "failover:" || !asked.others.is_empty() || asked.value("copies").is_some() {
        let known = "head, tail, backup, half_copies, node_timeout, max_lease, and the layers";
        return Err(refused(format!("a failover has no host and knows only these parameters: {known}")));
    }
    let stores = open_all(vec![decoded(head)?, decoded(tail)?], &clock, open).await?;
    let (head, tail) = (Arc::clone(&stores[0]), Arc::clone(&stores[1]));
    let pair = Failover::new(head, tail, asked.failover()?, Arc::clone(&clock));
    pair.prepare().await?;
    let copies = pair.copies();
    Ok(Opened { store: stack.over(Arc::new(pair), &clock), copies: Some(copies) })
}

/// Opens all of them. What cannot be reached now is opened later, as long as any can be.
async fn open_all(
    urls: Vec<String>,
    clock: &Arc<dyn Clock>,
    open: &Opener,
) -> Result<Vec<Arc<dyn SessionStore>>, Error> {
    let mut opened = Vec::with_capacity(urls.len());
    for url in urls {
        match open(url.clone(), Arc::clone(clock)).await {
            Ok(store) => opened.push(Ok(store)),
            Err(error) if error.kind() == ErrorKind::Unavailable => opened.push(Err((url, error))),
            Err(error) => return Err(error),
        }
    }
    let reached = opened.iter().find_map(|store| store.as_ref().ok().map(|store| store.capabilities()));
    let mut stores: Vec<Arc<dyn SessionStore>> = Vec::with_capacity(opened.len());
    for store in opened {
        match (store, reached) {
            (Ok(store), _) => stores.push(store),
            (Err((url, _)), Some(like)) => {
                stores.push(Arc::new(Late::new(url, Arc::clone(clock), Arc::clone(open), like)));
            }
            (Err((_, error)), None) => return Err(error),
        }
    }
    Ok(stores)
}

/// A URL with what it asks of this room taken out.
struct Asked {
    base: String,
    mine: Vec<(&'static str, String)>,
    others: Vec<String>,
}

impl Asked {
    fn of(url: &str) -> Result<Self, Error> {
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let mut asked = Self { base: base.to_owned(), mine: Vec::new(), others: Vec::new() };
        for part in query.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            match KNOWN.iter().copied().find(|known| *known == name) {
                Some(name) if asked.value(name).is_some() => {
                    return Err(refused(format!("the url has the parameter {name} twice; drop one")));
                }
                Some(name) => asked.mine.push((name, value.to_owned())),
                None => asked.others.push(part.to_owned()),
            }
        }
        Ok(asked)
    }

    fn value(&self, name: &str) -> Option<&str> {
        self.mine.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    /// The URL without what this room took out.
    fn rest(&self) -> String {
        self.with_query(&self.base)
    }

    fn with_query(&self, base: &str) -> String {
        if self.others.is_empty() { base.to_owned() } else { format!("{base}?{}", self.others.join("&")) }
    }

    fn refuse_unless_several(&self) -> Result<(), Error> {
        for name in ["copies", "backup", "half_copies", "node_timeout", "max_lease", "head", "tail"] {
            if self.value(name).is_some() {
                let message = format!(
                    "the parameter {name} needs several nodes: name their hosts, with commas between"
                );
                return Err(refused(message));
            }
        }
        Ok(())
    }

    fn ring(&self) -> Result<RingSettings, Error> {
        let copies = match self.value("copies") {
            Some("1") => 1,
            Some("2") => 2,
            Some(_) => return Err(refused("the parameter copies takes 1 or 2")),
            None => {
                return Err(refused(
                    "several hosts: say with copies=1 or copies=2 on how many of them each session lives",
                ));
            }
        };
        if copies == 1 {
            for name in ["backup", "half_copies", "node_timeout", "max_lease"] {
                if self.value(name).is_some() {
                    return Err(refused(format!(
                        "the parameter {name} is about two copies: drop it, or set copies=2"
                    )));
                }
            }
        }
        Ok(RingSettings { copies, failover: self.failover()? })
    }

    fn failover(&self) -> Result<FailoverSettings, Error> {
        let default = FailoverSettings::default();
        let backup = match self.value("backup") {
            None => default.backup,
            Some("before") => Backup::Before,
            Some("after") => Backup::After,
            Some(_) => return Err(refused("the parameter backup takes before or after")),
        };
        let half_copies = match self.value("half_copies") {
            None => default.half_copies,
            Some("on") => true,
            Some("off") => false,
            Some(_) => return Err(refused("the parameter half_copies takes on or off")),
        };
        let node_timeout = self.time("node_timeout")?.unwrap_or(default.node_timeout);
        let max_lease = self.time("max_lease")?.unwrap_or(default.max_lease);
        Ok(FailoverSettings { backup, half_copies, node_timeout, max_lease, ..default })
    }

    fn stack(&self) -> Result<Stack, Error> {
        #[cfg(not(feature = "near-cache"))]
        if self.value("near_cache").is_some() {
            return Err(refused(
                "this program was built without it: enable the feature `near-cache` of holdover",
            ));
        }
        Ok(Stack {
            trace: self.switch("trace")?.then(Trace::default),
            metrics: self.switch("metrics")?.then(Metrics::default),
            #[cfg(feature = "near-cache")]
            near_cache: self.switch_or_time("near_cache")?.map(near_cache),
            retry: self.switch_or_time("retry")?.map(retry),
            timeout: self.switch_or_time("timeout")?.map(timeout),
            ring: None,
        })
    }

    fn switch(&self, name: &str) -> Result<bool, Error> {
        match self.value(name) {
            None => Ok(false),
            Some("on") => Ok(true),
            Some(_) => Err(refused(format!("the parameter {name} takes on, or is left out"))),
        }
    }

    /// Nothing, `on` (outer something, inner nothing), or a time.
    fn switch_or_time(&self, name: &str) -> Result<Option<Option<Duration>>, Error> {
        match self.value(name) {
            Some("on") => Ok(Some(None)),
            _ => Ok(self.time(name)?.map(Some)),
        }
    }

    fn time(&self, name: &str) -> Result<Option<Duration>, Error> {
        let Some(text) = self.value(name) else {
            return Ok(None);
        };
        match duration::parse(text) {
            Some(time) if !time.is_zero() => Ok(Some(time)),
            _ => Err(refused(format!(
                "the parameter {name} takes a time above zero with its unit, such as 250ms or 2s"
            ))),
        }
    }
}

#[cfg(feature = "near-cache")]
fn near_cache(max_age: Option<Duration>) -> crate::NearCache {
    let default = crate::NearCache::default();
    crate::NearCache { max_age: max_age.unwrap_or(default.max_age), ..default }
}

fn retry(deadline: Option<Duration>) -> Retry {
    let default = Retry::default();
    Retry { deadline: deadline.unwrap_or(default.deadline), ..default }
}

fn timeout(limit: Option<Duration>) -> Timeout {
    Timeout { limit: limit.unwrap_or(Timeout::default().limit) }
}

/// The nodes of a URL with several hosts, by name and URL; nothing if it has one host, or its scheme cannot have more.
fn hosts(scheme: &str, base: &str) -> Option<Vec<(String, String)>> {
    let (_, port) = SEVERAL.into_iter().find(|(known, _)| *known == scheme)?;
    let rest = base.strip_prefix(scheme)?.strip_prefix("://")?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (login, hosts) = match authority.rsplit_once('@') {
        Some((login, hosts)) => (format!("{login}@"), hosts),
        None => (String::new(), authority),
    };
    if !hosts.contains(',') {
        return None;
    }
    let node = |host: &str| (named(host, port), format!("{scheme}://{login}{host}{path}"));
    Some(hosts.split(',').map(node).collect())
}

/// The name of a node: its host and port, so that leaving out the usual port makes no difference.
fn named(host: &str, port: u16) -> String {
    let behind_address = host.rsplit(']').next().unwrap_or_default();
    let host = host.to_ascii_lowercase();
    if behind_address.contains(':') { host } else { format!("{host}:{port}") }
}

/// Undoes percent-encoding.
fn decoded(text: &str) -> Result<String, Error> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(Into::into).map_err(|_| refused("the urls in head and tail have to be percent-encoded utf-8"))
}

fn refused(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Misconfigured, Operation::Connect, "connect", message.into()).without_effect()
}
