//! What a URL says: where the servers are, and the settings of the store.

use std::fmt;
use std::time::Duration;

use holdover_api::{DEFAULT_MAX_BYTES, Error, Survives};
use redis::cluster::ClusterClient;
use redis::sentinel::{SentinelClientBuilder, SentinelServerType};
use redis::{
    Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo, RedisError, TlsMode,
};

use super::NAME;
use super::link::Source;
use crate::host::{self, Wrong};
use crate::parameters::{Parameters, decoded, misconfigured};
use crate::url::Parts;

const KNOWN: &[&str] = &[
    "prefix",
    "max_bytes",
    "connect_timeout",
    "response_timeout",
    "survives",
    "sentinel_username",
    "sentinel_password",
];

const DEFAULT_PREFIX: &str = "holdover:";

/// Together below the second that a session's own call time-out has by default: so a silent connection is found out
/// and replaced here, before the caller gives up.
const DEFAULT_TIMEOUT: Duration = Duration::from_millis(450);

const DEFAULT_PORT: u16 = 6379;
const DEFAULT_SENTINEL_PORT: u16 = 26379;

/// Attempts of a cluster's client within one operation: enough to follow a moved slot and to learn the new map.
const CLUSTER_RETRIES: u32 = 4;

/// What the URL says of persistence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// Nothing: the server is asked.
    AskServer,
    /// This.
    Stated(Survives),
}

#[derive(Debug, PartialEq, Eq)]
enum Topology {
    Server,
    Socket(String),
    Sentinel { service: String },
    Cluster,
}

struct Login {
    username: Option<String>,
    password: Option<String>,
}

/// A checked URL. Its `Debug` leaves out users and passwords.
pub(super) struct Config {
    topology: Topology,
    tls: bool,
    servers: Vec<(String, u16)>,
    database: i64,
    login: Login,
    sentinel_login: Login,
    pub(super) prefix: String,
    pub(super) max_bytes: usize,
    pub(super) connect_timeout: Duration,
    pub(super) response_timeout: Duration,
    pub(super) survives: Claim,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("topology", &self.topology)
            .field("tls", &self.tls)
            .field("servers", &self.servers)
            .field("database", &self.database)
            .field("prefix", &self.prefix)
            .field("max_bytes", &self.max_bytes)
            .field("connect_timeout", &self.connect_timeout)
            .field("response_timeout", &self.response_timeout)
            .field("survives", &self.survives)
            .finish_non_exhaustive()
    }
}

impl Config {
    pub(super) fn parse(parts: &Parts<'_>) -> Result<Self, Error> {
        let parameters = Parameters::parse(NAME, KNOWN, parts.query)?;
        let Some(authority) = parts.authority else {
            return Err(wrong("write the url as scheme://host"));
        };
        let (login, hosts) = match authority.rsplit_once('@') {
            Some((login, hosts)) => (parse_login(login)?, hosts),
            None => (Login { username: None, password: None }, authority),
        };
        let (tls, form) = match parts.scheme.strip_prefix("rediss") {
            Some(form) => (true, form),
            None => (false, parts.scheme.strip_prefix("redis").unwrap_or_default()),
        };
        let mut path = parts.path.trim_start_matches('/').splitn(2, '/');
        let first = path.next().unwrap_or_default();
        let (topology, database, default_port) = match form {
            "" => (Topology::Server, first, DEFAULT_PORT),
            "+cluster" => (Topology::Cluster, first, DEFAULT_PORT),
            "+sentinel" if first.is_empty() => {
                return Err(wrong("name the service that sentinels watch: redis+sentinel://host/service"));
            }
            "+sentinel" => {
                let service =
                    decoded(first).ok_or_else(|| wrong("the service's name is not percent-encoded utf-8"))?;
                (Topology::Sentinel { service }, path.next().unwrap_or_default(), DEFAULT_SENTINEL_PORT)
            }
            _ => {
                let socket = decoded(parts.path)
                    .ok_or_else(|| wrong("the socket's path is not percent-encoded utf-8"))?;
                (Topology::Socket(socket), "", DEFAULT_PORT)
            }
        };
        if path.next().is_some_and(|rest| !rest.is_empty()) && !matches!(topology, Topology::Socket(_)) {
            return Err(wrong("the path of the url is too long; it is the number of the database"));
        }
        let config = Self {
            servers: parse_servers(&topology, hosts, default_port)?,
            topology,
            tls,
            database: parse_database(database)?,
            login,
            sentinel_login: Login {
                username: parameters.text("sentinel_username").map(Into::into),
                password: parameters.text("sentinel_password").map(Into::into),
            },
            prefix: parameters.text("prefix").unwrap_or(DEFAULT_PREFIX).to_owned(),
            max_bytes: parameters.count("max_bytes", DEFAULT_MAX_BYTES)?,
            connect_timeout: parameters.duration("connect_timeout", DEFAULT_TIMEOUT)?,
            response_timeout: parameters.duration("response_timeout", DEFAULT_TIMEOUT)?,
            survives: parse_claim(&parameters)?,
        };
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), Error> {
        // A hash tag in the prefix would put every session of a cluster on one node.
        if self.prefix.contains(['{', '}']) {
            return Err(wrong("the parameter prefix must not contain { or }"));
        }
        if self.topology == Topology::Cluster && self.database != 0 {
            return Err(wrong("a cluster has only the database 0; drop it from the url"));
        }
        let for_sentinel = self.sentinel_login.username.is_some() || self.sentinel_login.password.is_some();
        if for_sentinel && !matches!(self.topology, Topology::Sentinel { .. }) {
            return Err(wrong("sentinel_username and sentinel_password belong to redis+sentinel:// urls"));
        }
        Ok(())
    }

    /// Where connections come from. Opens none.
    pub(super) fn source(&self) -> Result<Source, Error> {
        if self.tls {
            // Only if the program has none yet: with two providers compiled in, rustls would panic instead of choosing.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let source = match &self.topology {
            Topology::Server | Topology::Socket(_) => self.single(),
            Topology::Sentinel { service } => self.sentinel(service),
            Topology::Cluster => self.cluster(),
        };
        source.map_err(|_| wrong("the client library refuses the url; check its hosts"))
    }

    fn single(&self) -> Result<Source, RedisError> {
        let address = match &self.topology {
            Topology::Socket(path) => ConnectionAddr::Unix(path.into()),
            _ => self.address(&self.servers[0]),
        };
        let client = Client::open(self.connection_info(address)?)?;
        Ok(Source::Server(Box::new(client)))
    }

    fn sentinel(&self, service: &str) -> Result<Source, RedisError> {
        let sentinels: Vec<_> = self.servers.iter().map(|server| self.address(server)).collect();
        let mut builder = SentinelClientBuilder::new(sentinels, service, SentinelServerType::Master)?
            .set_client_to_redis_db(self.database);
        if self.tls {
            builder = builder
                .set_client_to_redis_tls_mode(TlsMode::Secure)
                .set_client_to_sentinel_tls_mode(TlsMode::Secure);
        }
        if let Some(username) = &self.login.username {
            builder = builder.set_client_to_redis_username(username);
        }
        if let Some(password) = &self.login.password {
            builder = builder.set_client_to_redis_password(password);
        }
        if let Some(username) = &self.sentinel_login.username {
            builder = builder.set_client_to_sentinel_username(username);
        }
        if let Some(password) = &self.sentinel_login.password {
            builder = builder.set_client_to_sentinel_password(password);
        }
        Ok(Source::Sentinel(Box::new(tokio::sync::Mutex::new(builder.build()?))))
    }

    fn cluster(&self) -> Result<Source, RedisError> {
        let mut nodes = Vec::new();
        for server in &self.servers {
            nodes.push(self.connection_info(self.address(server))?);
        }
        let client = ClusterClient::builder(nodes)
            .connection_timeout(self.connect_timeout)
            .response_timeout(self.response_timeout)
            .retries(CLUSTER_RETRIES)
            .build()?;
        Ok(Source::Cluster(Box::new(client)))
    }

    fn address(&self, (host, port): &(String, u16)) -> ConnectionAddr {
        let (host, port) = (host.clone(), *port);
        if self.tls {
            ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
        } else {
            ConnectionAddr::Tcp(host, port)
        }
    }

    fn connection_info(&self, address: ConnectionAddr) -> Result<ConnectionInfo, RedisError> {
        let mut settings = RedisConnectionInfo::default().set_db(self.database);
        if let Some(username) = &self.login.username {
            settings = settings.set_username(username);
        }
        if let Some(password) = &self.login.password {
            settings = settings.set_password(password);
        }
        let info = address.into_connection_info()?;
        Ok(info.set_redis_settings(settings))
    }
}

fn wrong(message: &'static str) -> Error {
    misconfigured(NAME, message)
}

fn parse_login(login: &str) -> Result<Login, Error> {
    let (username, password) = match login.split_once(':') {
        Some((username, password)) => (username, Some(password)),
        None => (login, None),
    };
    let decode = |text: &str| {
        decoded(text).ok_or_else(|| wrong("the user or the password of the url is not percent-encoded utf-8"))
    };
    if password.is_none() {
        return Err(wrong(
            "the url has a user without a password; write user:password@host or :password@host",
        ));
    }
    let username = Some(decode(username)?).filter(|username| !username.is_empty());
    Ok(Login { username, password: password.map(decode).transpose()? })
}

fn parse_servers(topology: &Topology, hosts: &str, default_port: u16) -> Result<Vec<(String, u16)>, Error> {
    if let Topology::Socket(path) = topology {
        if !hosts.is_empty() || path.len() < 2 {
            return Err(wrong("write the path of a socket with three slashes: redis+unix:///run/redis.sock"));
        }
        return Ok(Vec::new());
    }
    let mut servers = Vec::new();
    for host in hosts.split(',') {
        servers.push(parse_server(host, default_port)?);
    }
    if *topology == Topology::Server && servers.len() > 1 {
        return Err(wrong("several hosts need a redis+sentinel:// or redis+cluster:// url"));
    }
    Ok(servers)
}

fn parse_server(server: &str, default_port: u16) -> Result<(String, u16), Error> {
    host::parse(server, default_port).map_err(|what| match what {
        Wrong::Host => wrong(
            "a host of the url is not one; write host:port, [ipv6]:port, and %40 for an @ in a password",
        ),
        Wrong::Port => wrong("a port of the url is not a number from 1 to 65535"),
    })
}

fn parse_database(database: &str) -> Result<i64, Error> {
    if database.is_empty() {
        return Ok(0);
    }
    let number = database.parse::<u16>();
    number.map(i64::from).map_err(|_| wrong("the database of the url must be a number, such as /0"))
}

fn parse_claim(parameters: &Parameters) -> Result<Claim, Error> {
    match parameters.text("survives") {
        None => Ok(Claim::AskServer),
        Some("nothing") => Ok(Claim::Stated(Survives::Nothing)),
        Some("restart") => Ok(Claim::Stated(Survives::Restart)),
        Some("node-loss") => Ok(Claim::Stated(Survives::NodeLoss)),
        Some(_) => Err(parameters.refuse("survives", "nothing, restart or node-loss")),
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;
