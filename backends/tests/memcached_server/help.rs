//! Short ways to ask a Memcached for the usual, past the store.

use std::net::SocketAddr;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// What the server has counted since it was started, of what the store makes it do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Calls {
    pub(crate) reads: u64,
    pub(crate) writes: u64,
    pub(crate) removals: u64,
}

impl Calls {
    pub(crate) const fn of(reads: u64, writes: u64, removals: u64) -> Self {
        Self { reads, writes, removals }
    }
}

/// A plain connection, without the store's client.
pub(crate) struct Plain(BufReader<TcpStream>);

impl Plain {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        Self(BufReader::new(TcpStream::connect(address).await.unwrap()))
    }

    /// Sends a command and answers the first line of the reply.
    pub(crate) async fn ask(&mut self, command: &[u8]) -> String {
        self.0.write_all(command).await.unwrap();
        self.0.write_all(b"\r\n").await.unwrap();
        self.line().await
    }

    /// The value under a key.
    pub(crate) async fn value(&mut self, key: &str) -> Option<Vec<u8>> {
        let head = self.ask(format!("mg {key} v").as_bytes()).await;
        let size = head.strip_prefix("VA ")?.split(' ').next()?.parse().unwrap();
        let mut value = vec![0; size];
        self.0.read_exact(&mut value).await.unwrap();
        assert_eq!(self.line().await, "");
        Some(value)
    }

    pub(crate) async fn calls(&mut self) -> Calls {
        let mut first = self.ask(b"stats").await;
        let mut report = Vec::new();
        while first != "END" {
            report.push(first);
            first = self.line().await;
        }
        let count = |name: &str| -> u64 {
            let name = format!("STAT {name} ");
            report.iter().find_map(|line| line.strip_prefix(&name)).unwrap().parse().unwrap()
        };
        Calls {
            reads: count("cmd_get"),
            writes: count("cmd_set"),
            removals: count("delete_hits") + count("delete_misses"),
        }
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).await.unwrap();
        line.trim_end_matches(['\r', '\n']).to_owned()
    }
}
