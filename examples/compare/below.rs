//! How many sessions a store keeps, asked past the store: those that have ended count until they are removed.

use std::net::SocketAddr;
use std::sync::Arc;

use holdover::Memory;
use holdover_backends::dynamodb::DynamoDb;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;

use crate::stacks::Fallible;

/// Where a store keeps its sessions.
pub(crate) enum Below {
    Memory(Memory),
    Redis(SocketAddr),
    Memcached(SocketAddr),
    Mongodb(SocketAddr),
    /// Tables that follow each other, and their keeper.
    Tables(Arc<DynamoDb>, AbortHandle),
}

impl Drop for Below {
    fn drop(&mut self) {
        if let Self::Tables(_, keeper) = self {
            keeper.abort();
        }
    }
}

impl Below {
    pub(crate) async fn count(&self) -> Fallible<usize> {
        match self {
            Self::Memory(memory) => Ok(memory.len()),
            Self::Redis(address) => redis(*address).await,
            Self::Memcached(address) => memcached(*address).await,
            Self::Mongodb(address) => mongodb(*address).await,
            Self::Tables(store, _) => {
                let tables = store.census().await?;
                let all =
                    tables.iter().map(|table| table.live + table.ended + table.logged_out + table.carried_on);
                Ok(usize::try_from(all.sum::<u64>())?)
            }
        }
    }
}

async fn redis(address: SocketAddr) -> Fallible<usize> {
    let mut stream = BufReader::new(TcpStream::connect(address).await?);
    stream.write_all(b"DBSIZE\r\n").await?;
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    Ok(line.trim_start_matches(':').trim_end().parse()?)
}

async fn memcached(address: SocketAddr) -> Fallible<usize> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"stats\r\nquit\r\n").await?;
    let mut report = String::new();
    stream.read_to_string(&mut report).await?;
    let value = report.lines().find_map(|line| line.strip_prefix("STAT curr_items "));
    Ok(value.ok_or("the server does not say how much it holds")?.trim().parse()?)
}

async fn mongodb(address: SocketAddr) -> Fallible<usize> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(&count_command()).await?;
    let length = stream.read_i32_le().await?;
    let mut answer = vec![0; usize::try_from(length)?.saturating_sub(4)];
    stream.read_exact(&mut answer).await?;
    counted(&answer).ok_or_else(|| "the server does not say how much it holds".into())
}

/// `{count: "sessions", $db: "holdover"}` as a message of its own.
fn count_command() -> Vec<u8> {
    let text = |name: &str, value: &str| {
        let mut bytes = vec![2];
        bytes.extend(name.bytes().chain([0]));
        bytes.extend(i32::try_from(value.len() + 1).unwrap_or_default().to_le_bytes());
        bytes.extend(value.bytes().chain([0]));
        bytes
    };
    let elements = [text("count", "sessions"), text("$db", "holdover")].concat();
    let document = i32::try_from(elements.len() + 5).unwrap_or_default();
    let whole = 16 + 5 + document;
    let mut message = Vec::new();
    // Its length, its number, what it answers, OP_MSG; then flags, and a body.
    for number in [whole, 1, 0, 2013, 0] {
        message.extend(number.to_le_bytes());
    }
    message.push(0);
    message.extend(document.to_le_bytes());
    message.extend(elements);
    message.push(0);
    message
}

/// The 32-bit number `n` of an answer.
fn counted(answer: &[u8]) -> Option<usize> {
    let at = answer.windows(3).position(|window| window == b"\x10n\0")?;
    let number = answer.get(at + 3..at + 7)?;
    usize::try_from(i32::from_le_bytes(number.try_into().ok()?)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_how_long_it_is_and_an_answer_what_was_counted() {
        let message = count_command();
        assert_eq!(message[..4], i32::try_from(message.len()).expect("it is short").to_le_bytes());
        assert_eq!(counted(b"....\x10n\0\x07\x01\0\0\x01ok\0"), Some(263));
        assert_eq!(counted(b"\x01ok\0"), None);
    }
}
