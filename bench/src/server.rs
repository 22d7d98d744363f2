//! The processes under measurement: a Redis, and one application at a time.

use std::net::SocketAddr;
use std::process::Stdio;

use holdover_conformance::servers::{self, Server};
use redis::aio::MultiplexedConnection;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::Failure;
use crate::app::Kind;
use crate::client::{Client, request};

/// A Redis of its own, in memory, on the processor of this process.
#[derive(Debug)]
pub struct Redis {
    server: Server,
    connection: MultiplexedConnection,
}

impl Redis {
    pub async fn start() -> Result<Self, Failure> {
        let server = Server::start(&servers::redis()).await?;
        let connection = redis::Client::open(server.url())?.get_multiplexed_async_connection().await?;
        Ok(Self { server, connection })
    }

    pub fn url(&self) -> &str {
        self.server.url()
    }

    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    pub fn process(&self) -> Result<u32, Failure> {
        Ok(self.server.process_id().ok_or("redis is not running")?)
    }

    /// Removes all sessions.
    pub async fn empty(&self) -> Result<(), Failure> {
        let _: () = redis::cmd("FLUSHALL").query_async(&mut self.connection.clone()).await?;
        Ok(())
    }

    /// Says something that MONITOR shows.
    pub async fn say(&self, text: &str) -> Result<(), Failure> {
        let _: () = redis::cmd("ECHO").arg(text).query_async(&mut self.connection.clone()).await?;
        Ok(())
    }

    pub async fn version(&self) -> Result<String, Failure> {
        let info: String = redis::cmd("INFO").arg("server").query_async(&mut self.connection.clone()).await?;
        let version = info.lines().find_map(|line| line.strip_prefix("redis_version:"));
        Ok(version.unwrap_or("of unknown version").trim().to_owned())
    }
}

/// A fresh process of the application, on the first processor. It ends with this value, or with this process.
#[derive(Debug)]
pub struct App {
    child: Child,
    address: SocketAddr,
}

impl App {
    pub async fn start(kind: Kind, redis: &str) -> Result<Self, Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["app", "--with-parent", "--cpu", "0", "--redis", redis, "--kind", &kind.name()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let output = child.stdout.take().ok_or("the application has no output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).await?;
        let address =
            line.trim().parse().map_err(|_| format!("the application {} did not start", kind.name()))?;
        Ok(Self { child, address })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn process(&self) -> Result<u32, Failure> {
        Ok(self.child.id().ok_or("the application has ended")?)
    }

    /// Begins sessions; answers their cookies.
    pub async fn seed(&self, sessions: usize) -> Result<Vec<String>, Failure> {
        let mut client = Client::connect(self.address).await?;
        let seed = request("POST", "/seed", "");
        let mut cookies = Vec::with_capacity(sessions);
        for _ in 0..sessions {
            client.exchange(&seed).await?;
            cookies.push(client.cookie().ok_or("a new session has no cookie")?);
        }
        Ok(cookies)
    }

    pub async fn stop(mut self) -> Result<(), Failure> {
        self.child.kill().await?;
        Ok(())
    }
}
