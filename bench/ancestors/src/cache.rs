//! One Memcached server, in the protocol that the ancestors spoke: get, set, add, delete, touch.

use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::job::Failure;

/// The first line of an answer, and the value if there is one.
type Reply = (String, Option<Vec<u8>>);

/// Connections are taken from a pool and given back, so that no answer waits for another one.
#[derive(Debug)]
pub(crate) struct Cache {
    address: SocketAddr,
    patience: Duration,
    idle: Mutex<Vec<BufReader<TcpStream>>>,
}

impl Cache {
    pub(crate) fn new(address: SocketAddr, patience: Duration) -> Self {
        Self { address, patience, idle: Mutex::default() }
    }

    async fn ask(&self, command: &str, value: Option<&[u8]>) -> Result<Reply, Failure> {
        let asked = async {
            let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
            if let Some(stream) = idle
                && let Ok(reply) = self.exchange(stream, command, value).await
            {
                return Ok(reply);
            }
            // The server has gone and may be back: nothing of what was idle is of use.
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
            let stream = TcpStream::connect(self.address).await?;
            stream.set_nodelay(true)?;
            self.exchange(BufReader::new(stream), command, value).await
        };
        tokio::time::timeout(self.patience, asked).await?
    }

    async fn exchange(
        &self,
        mut stream: BufReader<TcpStream>,
        command: &str,
        value: Option<&[u8]>,
    ) -> Result<Reply, Failure> {
        let mut request = format!("{command}\r\n").into_bytes();
        if let Some(value) = value {
            request.extend_from_slice(value);
            request.extend_from_slice(b"\r\n");
        }
        stream.write_all(&request).await?;
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Err("the server has closed the connection".into());
        }
        let mut found = None;
        if let Some(rest) = line.strip_prefix("VALUE ") {
            let length: usize = rest.split_whitespace().nth(2).ok_or("no length")?.parse()?;
            let mut bytes = vec![0; length + "\r\nEND\r\n".len()];
            stream.read_exact(&mut bytes).await?;
            bytes.truncate(length);
            found = Some(bytes);
        }
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(stream);
        Ok((line.trim_end().to_owned(), found))
    }

    pub(crate) async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Failure> {
        Ok(self.ask(&format!("get {key}"), None).await?.1)
    }

    pub(crate) async fn set(&self, key: &str, value: &[u8], seconds: u64) -> Result<(), Failure> {
        let command = format!("set {key} 0 {seconds} {}", value.len());
        match self.ask(&command, Some(value)).await?.0.as_str() {
            "STORED" => Ok(()),
            other => Err(format!("a set was answered by {other}").into()),
        }
    }

    /// Whether nothing was there.
    pub(crate) async fn add(&self, key: &str, value: &[u8], seconds: u64) -> Result<bool, Failure> {
        let command = format!("add {key} 0 {seconds} {}", value.len());
        Ok(self.ask(&command, Some(value)).await?.0 == "STORED")
    }

    pub(crate) async fn delete(&self, key: &str) -> Result<(), Failure> {
        self.ask(&format!("delete {key}"), None).await.map(drop)
    }

    /// Whether something was there.
    pub(crate) async fn touch(&self, key: &str, seconds: u64) -> Result<bool, Failure> {
        Ok(self.ask(&format!("touch {key} {seconds}"), None).await?.0 == "TOUCHED")
    }
}
