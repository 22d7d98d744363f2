//! What a request costs in store commands.
//!
//! INFO counts the commands that a script runs as if a client had sent them. MONITOR tells them apart, so the commands
//! are counted with it, in a pass of their own: it slows the server down.

use std::collections::BTreeMap;
use std::fmt;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;

use crate::Failure;
use crate::client::{Client, request};
use crate::run::Row;
use crate::server::{App, Redis};

/// How many requests are counted.
const REQUESTS: usize = 100;

const BEGIN: &str = "holdover-bench-begin";
const END: &str = "holdover-bench-end";

/// How often the application sent each command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commands(BTreeMap<String, usize>);

impl Commands {
    /// Counts the commands of one row's requests.
    pub async fn count(row: &Row, redis: &Redis) -> Result<Self, Failure> {
        redis.empty().await?;
        let app = App::start(row.kind, redis.url()).await?;
        let cookies = app.seed(REQUESTS + 1).await?;
        let mut client = Client::connect(app.address()).await?;
        // The first one may have to send a script. The oldest session is the one that is sure to be due for a touch.
        client.exchange(&request(row.method, row.path, &cookies[0])).await?;

        let mut lines = monitor(redis).await?;
        redis.say(BEGIN).await?;
        for cookie in &cookies[1..] {
            client.exchange(&request(row.method, row.path, cookie)).await?;
        }
        redis.say(END).await?;
        let commands = Self::read(&mut lines).await?;
        app.stop().await?;
        Ok(commands)
    }

    async fn read(lines: &mut Lines<BufReader<TcpStream>>) -> Result<Self, Failure> {
        let mut commands = Self::default();
        let mut has_begun = false;
        while let Some(line) = lines.next_line().await? {
            if line.contains(END) {
                return Ok(commands);
            }
            if has_begun {
                commands.add(&line);
            }
            has_begun |= line.contains(BEGIN);
        }
        Err("redis ended while its commands were counted".into())
    }

    /// `+1700000000.000000 [0 127.0.0.1:50000] "GET" "key"`, or `[0 lua]` for what a script runs.
    fn add(&mut self, line: &str) {
        let Some((source, command)) = line.split_once("] \"") else {
            return;
        };
        if source.ends_with(" lua") {
            return;
        }
        let name = command.split('"').next().unwrap_or_default().to_uppercase();
        *self.0.entry(name).or_default() += 1;
    }
}

async fn monitor(redis: &Redis) -> Result<Lines<BufReader<TcpStream>>, Failure> {
    let mut stream = TcpStream::connect(redis.address()).await?;
    stream.write_all(b"MONITOR\r\n").await?;
    let mut lines = BufReader::new(stream).lines();
    // "+OK": from here on everything is shown.
    lines.next_line().await?.ok_or("redis does not answer MONITOR")?;
    Ok(lines)
}

impl fmt::Display for Commands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("0");
        }
        let total: usize = self.0.values().sum();
        write!(f, "{}:", share(total))?;
        let mut separator = " ";
        for (name, count) in &self.0 {
            write!(f, "{separator}{name}")?;
            if *count != REQUESTS {
                write!(f, " × {}", share(*count))?;
            }
            separator = " + ";
        }
        Ok(())
    }
}

fn share(count: usize) -> String {
    if count.is_multiple_of(REQUESTS) {
        return (count / REQUESTS).to_string();
    }
    format!("{:.2}", count as f64 / REQUESTS as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_script_runs_is_not_a_command_of_the_application() {
        let mut commands = Commands::default();
        for _ in 0..REQUESTS {
            commands.add(r#"+1700000000.000001 [0 127.0.0.1:50000] "get" "a \"lua] \" key""#);
            commands.add(r#"+1700000000.000002 [0 127.0.0.1:50000] "EVALSHA" "00" "1" "key""#);
            commands.add(r#"+1700000000.000003 [0 lua] "SET" "key" "value""#);
        }
        assert_eq!(commands.to_string(), "2: EVALSHA + GET");
        assert_eq!(Commands::default().to_string(), "0");
    }
}
