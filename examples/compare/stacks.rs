//! The stacks that are compared: the servers that each needs, the URL that opens it, and itself on its feet.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use holdover::api::{SystemClock, pause};
use holdover::{SessionPolicy, SessionStore};
use holdover_backends::dynamodb::DynamoDb;
use holdover_conformance::servers::{self, Recipe, Server, ServerError};

use crate::given;

pub(crate) type Fallible<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// A machine that does something else for a moment must not end a measurement.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
const PATIENT: &str = "connect_timeout=5s&response_timeout=5s";

/// What the names of stacks begin with whose URLs were given.
pub(crate) const GIVEN: &str = "given";

/// How old a copy the near cache may answer with, and the requests accept.
pub(crate) const NEAR: Duration = Duration::from_secs(2);

/// A program that stands behind a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    Redis,
    Memcached,
    Mongodb,
    Dynalite,
}

impl Program {
    pub(crate) fn recipe(self) -> Recipe {
        match self {
            Self::Redis => servers::redis(),
            Self::Memcached => servers::memcached(),
            Self::Mongodb => servers::mongodb(),
            Self::Dynalite => servers::dynamodb(),
        }
    }
}

/// How the URL of a stack is made from those of its servers.
#[derive(Clone, Debug)]
enum Form {
    /// As it stands: inside this process, or somewhere that was given.
    AsIs(String),
    /// The one server's, with these parameters besides.
    One(&'static str),
    /// A head and a tail, with these parameters besides.
    Pair(&'static str),
    /// The one server's, with tables that follow each other instead of one.
    Rotation,
}

/// A store with whatever layers are around it, before it is on its feet.
#[derive(Clone, Debug)]
pub(crate) struct Stack {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) about: &'static str,
    pub(crate) programs: Vec<Program>,
    form: Form,
}

impl Stack {
    fn new(name: &str, title: &str, programs: &[Program], form: Form, about: &'static str) -> Self {
        Self { name: name.to_owned(), title: title.to_owned(), about, programs: programs.to_vec(), form }
    }

    /// One that runs already, at a URL that was given. The URL is shown nowhere: it may hold a password.
    pub(crate) fn given(number: usize, url: &str) -> Self {
        let about = "A store that was named on the command line. Nobody else's server is killed, and nothing stands in \
                     front of it that could count or delay.";
        let title = format!("Given {number}: {}", given::shown(url));
        Self::new(&format!("{GIVEN}-{number}"), &title, &[], Form::AsIs(url.to_owned()), about)
    }

    pub(crate) fn is_given(&self) -> bool {
        self.name.starts_with(GIVEN)
    }

    pub(crate) fn is_near(&self) -> bool {
        match &self.form {
            Form::AsIs(url) => url.contains("near_cache="),
            Form::One(parameters) | Form::Pair(parameters) => parameters.contains("near_cache="),
            Form::Rotation => false,
        }
    }

    pub(crate) fn is_pair(&self) -> bool {
        matches!(self.form, Form::Pair(_))
    }

    /// Whether the second copy is written behind the answer.
    pub(crate) fn is_behind(&self) -> bool {
        matches!(self.form, Form::Pair(parameters) if parameters.contains("backup=after"))
    }

    pub(crate) fn is_rotating(&self) -> bool {
        match &self.form {
            Form::AsIs(url) => url.contains("expiry=rotation"),
            form => matches!(form, Form::Rotation),
        }
    }

    /// The URL of a DynamoDB inside this process, if it is one.
    pub(crate) fn embedded_dynamodb(&self) -> Option<&str> {
        match &self.form {
            Form::AsIs(url) if url.starts_with("dynamodb://local") => Some(url),
            _ => None,
        }
    }

    fn url(&self, servers: &[String], patient: bool) -> String {
        let single = |number: usize| {
            let url = servers.get(number).cloned().unwrap_or_default();
            if patient { with(&url, PATIENT) } else { url }
        };
        match &self.form {
            Form::AsIs(url) if patient && url.starts_with("dynamodb://local") => with(url, PATIENT),
            Form::AsIs(url) => url.clone(),
            Form::One(parameters) => with(&single(0), parameters),
            Form::Rotation => single(0).replace("expiry=none", "expiry=rotation&period=1h&keeper=on"),
            Form::Pair(parameters) => {
                let node = |number| single(number).replace('&', "%26");
                let url = with(&format!("failover:?head={}&tail={}", node(0), node(1)), parameters);
                if patient { with(&url, "node_timeout=5s") } else { url }
            }
        }
    }
}

fn with(url: &str, parameters: &str) -> String {
    if parameters.is_empty() {
        return url.to_owned();
    }
    let joint = if url.contains('?') { '&' } else { '?' };
    format!("{url}{joint}{parameters}")
}

/// All that this program knows, in the order of the page.
#[rustfmt::skip]
pub(crate) fn all() -> Vec<Stack> {
    use Program::{Dynalite, Memcached, Mongodb, Redis};
    vec![
        Stack::new("memory", "Memory", &[], Form::AsIs("memory:".to_owned()),
            "This process's own memory: the measure for all others. Nobody else sees its sessions, and they end with it."),
        Stack::new("redis", "Redis", &[Redis], Form::One(""),
            "One Redis server that keeps nothing on disk."),
        Stack::new("redis-near", "Redis, near cache", &[Redis], Form::One("near_cache=2s"),
            "One Redis server; reads may be answered from a copy in the process that is at most 2 s old. Round trips are those of a session's \
             first read in a process: the next ones ask nobody for 2 s."),
        Stack::new("redis-pair", "Redis, two copies", &[Redis, Redis], Form::Pair(""),
            "Each session on two Redis servers; the second copy is written before the answer."),
        Stack::new("memcached", "Memcached", &[Memcached], Form::One(""),
            "One Memcached server, which keeps everything in memory."),
        Stack::new("memcached-pair", "Memcached, two copies", &[Memcached, Memcached], Form::Pair(""),
            "Each session on two Memcached servers; the second copy is written before the answer."),
        Stack::new("memcached-behind", "Memcached, backup behind", &[Memcached, Memcached], Form::Pair("backup=after"),
            "Each session on two Memcached servers; the second copy is written behind the answer: a wait less, a risk more."),
        Stack::new("mongodb", "MongoDB", &[Mongodb], Form::One(""),
            "One MongoDB server with its journal on disk; every write is in the journal before it is acknowledged."),
        Stack::new("dynamodb-ttl", "DynamoDB inside, time to live", &[],
            Form::AsIs("dynamodb://local/sessions?expiry=ttl".to_owned()),
            "An embedded stand-in for DynamoDB: one table whose time to live removes what has expired."),
        Stack::new("dynamodb-rotation", "DynamoDB inside, rotation", &[],
            Form::AsIs("dynamodb://local/sessions?expiry=rotation&period=1h&keeper=on".to_owned()),
            "The embedded stand-in with a table an hour; sessions in use move on, and old tables are dropped as a whole."),
        Stack::new("dynalite", "DynamoDB by Dynalite", &[Dynalite], Form::One(""),
            "A stand-in for DynamoDB over HTTP, without time to live. Its round trips and bytes are those of DynamoDB; its speed is not."),
        Stack::new("dynalite-rotation", "DynamoDB by Dynalite, rotation", &[Dynalite], Form::Rotation,
            "The same stand-in with a table an hour."),
    ]
}

/// A stack whose servers run. They end with it.
pub(crate) struct Stand {
    pub(crate) stack: Stack,
    pub(crate) servers: Vec<Arc<Server>>,
    /// Where each server is, and its URL.
    at: Vec<(SocketAddr, String)>,
}

impl Stand {
    /// Starts the servers; a text if this machine has no program for one.
    pub(crate) async fn start(stack: &Stack) -> Fallible<Result<Self, String>> {
        Self::start_by(stack, Program::recipe).await
    }

    /// The same with servers that are started in another way.
    pub(crate) async fn start_by(
        stack: &Stack,
        recipe: fn(Program) -> Recipe,
    ) -> Fallible<Result<Self, String>> {
        let mut started = Vec::new();
        for program in &stack.programs {
            match Server::start(&recipe(*program)).await {
                Ok(server) => started.push(Arc::new(server)),
                Err(ServerError::NotFound(why)) => return Ok(Err(why)),
                Err(failed) => return Err(failed.into()),
            }
        }
        let at = started.iter().map(|server| (server.address(), server.url().to_owned())).collect();
        Ok(Ok(Self { stack: stack.clone(), servers: started, at }))
    }

    /// The same stack over one server that somebody else started, and ends.
    pub(crate) fn elsewhere(&self, address: SocketAddr, url: &str) -> Self {
        Self { stack: self.stack.clone(), servers: Vec::new(), at: vec![(address, url.to_owned())] }
    }

    /// The URL of each server by itself.
    pub(crate) fn urls(&self) -> Vec<String> {
        self.at.iter().map(|(_, url)| url.clone()).collect()
    }

    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.at.iter().map(|(address, _)| *address).collect()
    }

    /// The URL by which the servers are reached at these addresses instead of their own.
    pub(crate) fn url(&self, via: &[SocketAddr], patient: bool) -> String {
        let reached = |((address, url), via): (&(SocketAddr, String), &SocketAddr)| {
            url.replace(&address.to_string(), &via.to_string())
        };
        let urls: Vec<String> = self.at.iter().zip(via).map(reached).collect();
        self.stack.url(&urls, patient)
    }

    /// A store with connections of its own, with patience for a busy machine.
    pub(crate) async fn open(&self) -> Fallible<Arc<dyn SessionStore>> {
        self.open_via(&self.addresses(), true).await
    }

    pub(crate) async fn open_via(
        &self,
        via: &[SocketAddr],
        patient: bool,
    ) -> Fallible<Arc<dyn SessionStore>> {
        Ok(holdover::connect(&self.url(via, patient)).await?)
    }

    /// As [`open`](Self::open), for an embedded DynamoDB, which tells what it has consumed.
    pub(crate) async fn open_dynamodb(&self) -> Fallible<Option<Arc<DynamoDb>>> {
        if self.stack.embedded_dynamodb().is_none() {
            return Ok(None);
        }
        let store = DynamoDb::connect_with_clock(&self.url(&[], true), Arc::new(SystemClock)).await?;
        Ok(Some(store))
    }

    /// What the middleware asks its store through, patiently.
    pub(crate) fn policy(&self, store: Arc<dyn SessionStore>) -> SessionPolicy {
        let policy = SessionPolicy::new(store).with_call_timeout(PATIENCE);
        if self.stack.is_near() { policy.with_read_staleness(NEAR) } else { policy }
    }
}

/// Waits until `counts` has stayed as it is for so long: nothing is under way any more.
pub(crate) async fn settled<T: PartialEq>(quiet: Duration, counts: impl Fn() -> T) {
    let mut last = counts();
    loop {
        pause(quiet).await;
        let now = counts();
        if now == last {
            return;
        }
        last = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stack(name: &str) -> Stack {
        all().into_iter().find(|stack| stack.name == name).expect("it is one of them")
    }

    #[test]
    fn urls_are_made_from_those_of_the_servers() {
        let servers = ["redis://a:1".to_owned(), "redis://b:2".to_owned()];
        assert_eq!(stack("redis").url(&servers, false), "redis://a:1");
        assert_eq!(stack("redis-near").url(&servers, false), "redis://a:1?near_cache=2s");
        assert_eq!(
            stack("memcached-behind").url(&servers, false),
            "failover:?head=redis://a:1&tail=redis://b:2&backup=after"
        );
        let patient = stack("redis-pair").url(&servers, true);
        assert_eq!(
            patient,
            "failover:?head=redis://a:1?connect_timeout=5s%26response_timeout=5s\
             &tail=redis://b:2?connect_timeout=5s%26response_timeout=5s&node_timeout=5s"
        );
    }

    #[test]
    fn no_two_stacks_share_a_name_and_a_given_url_is_not_shown() {
        let mut names: Vec<String> = all().into_iter().map(|stack| stack.name).collect();
        names.sort();
        let before = names.len();
        names.dedup();
        assert_eq!(names.len(), before);
        let given = Stack::given(1, "redis://:secret@host");
        assert_eq!(given.title, "Given 1: redis at host");
        assert!(given.is_given() && !stack("redis").is_given());
        assert!(!given.is_near() && Stack::given(2, "redis://host?near_cache=2s").is_near());
        assert!(!format!("{} {}", given.name, given.about).contains("secret"));
    }
}
