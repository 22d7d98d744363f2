//! What a Memcached has counted. The stand-ins of the bench are counted by it, too.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Reads, writes and removals since the server was started.
pub(crate) async fn commands(server: SocketAddr) -> io::Result<u64> {
    const COUNTED: [&str; 5] = ["cmd_get", "cmd_set", "cmd_touch", "delete_hits", "delete_misses"];
    let mut stream = TcpStream::connect(server).await?;
    stream.write_all(b"stats\r\nquit\r\n").await?;
    let mut report = String::new();
    stream.read_to_string(&mut report).await?;
    let mut total = 0;
    for name in COUNTED {
        let value =
            report.lines().find_map(|line| line.strip_prefix("STAT ")?.strip_prefix(name)?.strip_prefix(' '));
        let counted = value.and_then(|value| value.trim().parse::<u64>().ok());
        total += counted.ok_or_else(|| io::Error::other("the server does not say what it has counted"))?;
    }
    Ok(total)
}
