//! The load: so many connections, each waiting for its answer before it asks again, or before its turn comes.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::Failure;
use crate::client::Client;
use crate::machine::now;

pub const CONNECTIONS: usize = 32;

/// How long every request took, in microseconds, sorted.
#[derive(Debug)]
pub struct Latencies(Vec<f32>);

impl Latencies {
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The latency that this share of the requests did not exceed.
    pub fn quantile(&self, share: f64) -> f64 {
        let last = self.0.len().saturating_sub(1);
        let index = (last as f64 * share).round() as usize;
        self.0.get(index).copied().unwrap_or_default().into()
    }
}

/// How fast the connections ask.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// Each asks again as soon as it has its answer.
    Closed,
    /// So many requests a second, all connections together, as long as the answers come in time.
    PerSecond(f64),
}

/// Sends the requests round and round. Each has a session of its own, and a connection keeps its share of them, so that
/// no two requests on one session ever overlap.
pub async fn drive(
    address: SocketAddr,
    requests: &[Vec<u8>],
    pace: Pace,
    duration: Duration,
) -> Result<Latencies, Failure> {
    let mut clients = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        clients.push(Client::connect(address).await?);
    }
    let begin = now();
    let end = begin + duration;
    let mut connections = JoinSet::new();
    for (number, client) in clients.into_iter().enumerate() {
        let share: Vec<Vec<u8>> = requests.iter().skip(number).step_by(CONNECTIONS).cloned().collect();
        let turns = Turns::new(pace, begin, number);
        connections.spawn(keep_asking(client, share, turns, end));
    }
    let mut latencies = Vec::new();
    while let Some(connection) = connections.join_next().await {
        latencies.append(&mut connection??);
    }
    latencies.sort_unstable_by(f32::total_cmp);
    Ok(Latencies(latencies))
}

/// When it is one connection's turn.
struct Turns {
    next: Instant,
    every: Option<Duration>,
}

impl Turns {
    fn new(pace: Pace, begin: Instant, connection: usize) -> Self {
        match pace {
            Pace::Closed => Self { next: begin, every: None },
            Pace::PerSecond(rate) => {
                let every = Duration::from_secs_f64(CONNECTIONS as f64 / rate);
                Self {
                    next: begin + every.mul_f64(connection as f64 / CONNECTIONS as f64),
                    every: Some(every),
                }
            }
        }
    }

    async fn wait(&mut self) {
        if let Some(every) = self.every {
            tokio::time::sleep_until(self.next.into()).await;
            self.next += every;
        }
    }
}

async fn keep_asking(
    mut client: Client,
    requests: Vec<Vec<u8>>,
    mut turns: Turns,
    end: Instant,
) -> Result<Vec<f32>, Failure> {
    let mut latencies = Vec::with_capacity(16 * 1024);
    for request in requests.iter().cycle() {
        turns.wait().await;
        let asked = now();
        client.exchange(request).await?;
        let answered = now();
        latencies.push(answered.duration_since(asked).as_secs_f32() * 1e6);
        if answered >= end {
            break;
        }
    }
    Ok(latencies)
}
