//! What a real Redis is asked, as it says itself.

use std::net::SocketAddr;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// Listens to everything that a Redis is asked.
pub(crate) struct Monitor {
    heard: BufReader<TcpStream>,
    fence: TcpStream,
    fences: u32,
}

impl Monitor {
    pub(crate) async fn over(address: SocketAddr) -> Self {
        let mut heard = TcpStream::connect(address).await.expect("connect to redis");
        let fence = TcpStream::connect(address).await.expect("connect to redis");
        heard.write_all(b"MONITOR\r\n").await.expect("ask redis to report");
        let mut heard = BufReader::new(heard);
        let mut line = String::new();
        heard.read_line(&mut line).await.expect("redis answers");
        assert_eq!(line, "+OK\r\n");
        Self { heard, fence, fences: 0 }
    }

    /// The commands of clients since the last call, without those that scripts made inside the server.
    ///
    /// Redis reports in the order of execution: what was answered before this call comes before the fence.
    pub(crate) async fn commands(&mut self) -> Vec<String> {
        self.fences += 1;
        let mark = format!("fence-{}", self.fences);
        self.fence.write_all(format!("ECHO {mark}\r\n").as_bytes()).await.expect("send the fence");
        let mut commands = Vec::new();
        loop {
            let mut line = String::new();
            let length = self.heard.read_line(&mut line).await.expect("redis reports");
            assert_ne!(length, 0, "redis has closed the connection");
            if line.contains(&mark) {
                return commands;
            }
            let (source, command) = line.split_once("] ").expect("redis reports `time [source] command`");
            if !source.ends_with(" lua") {
                commands.push(command.trim_end().to_owned());
            }
        }
    }
}
