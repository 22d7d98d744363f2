//! Latency and throughput: clients in a closed loop, all stacks in turn within a round.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use holdover::api::{Stopwatch, pause};
use holdover::{SessionId, SessionPolicy};
use tokio::task::JoinSet;

use crate::figures::{Spread, quantile};
use crate::requests::{Request, serve, visitor};
use crate::result::Load;
use crate::stacks::{Fallible, Stand};

pub(crate) const CLIENTS: [usize; 3] = [1, 8, 64];
pub(crate) const KILOBYTES: [usize; 4] = [1, 4, 16, 64];
/// With how many clients sizes are compared.
pub(crate) const CLIENTS_OF_SIZES: usize = 8;
const SESSIONS_A_CLIENT: usize = 4;
const AT_ONCE: usize = 8;

/// One point of the grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) request: Request,
    pub(crate) clients: usize,
    pub(crate) kilobytes: usize,
}

pub(crate) fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for request in [Request::Read, Request::Modify] {
        cells.extend(CLIENTS.map(|clients| Cell { request, clients, kilobytes: 1 }));
        let larger = KILOBYTES.into_iter().filter(|kilobytes| *kilobytes > 1);
        cells.extend(larger.map(|kilobytes| Cell { request, clients: CLIENTS_OF_SIZES, kilobytes }));
    }
    cells
}

/// A stack with sessions of each size, ready to be used.
pub(crate) struct Loaded {
    policy: SessionPolicy,
    /// For each of [`KILOBYTES`].
    sessions: Vec<Vec<SessionId>>,
}

impl Loaded {
    pub(crate) async fn over(stand: &Stand) -> Fallible<Self> {
        let policy = stand.policy(stand.open().await?);
        let mut sessions = Vec::new();
        for kilobytes in KILOBYTES {
            let clients = if kilobytes == 1 { CLIENTS[2] } else { CLIENTS_OF_SIZES };
            let mut ids = Vec::new();
            while ids.len() < clients * SESSIONS_A_CLIENT {
                let some = join_all((0..AT_ONCE).map(|_| visitor(&policy, kilobytes * 1024))).await;
                for id in some {
                    ids.push(id?);
                }
            }
            sessions.push(ids);
        }
        Ok(Self { policy, sessions })
    }

    fn sessions_of(&self, kilobytes: usize) -> &[SessionId] {
        let place = KILOBYTES.iter().position(|known| *known == kilobytes).unwrap_or_default();
        &self.sessions[place]
    }
}

/// What one stack did in one round.
#[derive(Clone, Debug, Default)]
pub(crate) struct Round {
    millis: Vec<f64>,
    failed: usize,
    seconds: f64,
}

impl Round {
    fn per_second(&self) -> f64 {
        self.millis.len() as f64 / self.seconds.max(f64::EPSILON)
    }
}

/// Runs one point on one stack for so long. Each client has sessions of its own, and uses them in turn.
pub(crate) async fn run(loaded: &Loaded, cell: Cell, length: Duration) -> Fallible<Round> {
    let over = Arc::new(AtomicBool::default());
    let watch = Stopwatch::start();
    let mut tasks = JoinSet::new();
    for ids in loaded.sessions_of(cell.kilobytes).chunks(SESSIONS_A_CLIENT).take(cell.clients) {
        let (ids, policy, over) = (ids.to_vec(), loaded.policy.clone(), Arc::clone(&over));
        tasks.spawn(async move {
            let (mut millis, mut failed) = (Vec::new(), 0);
            for id in ids.iter().cycle() {
                if over.load(Ordering::Relaxed) {
                    break;
                }
                let watch = Stopwatch::start();
                match serve(&policy, id, cell.request, cell.kilobytes * 1024).await {
                    Ok(()) => millis.push(watch.elapsed().as_secs_f64() * 1e3),
                    Err(_) => failed += 1,
                }
                // A store in this process answers without ever waiting: others have their turn, too.
                tokio::task::consume_budget().await;
            }
            (millis, failed)
        });
    }
    pause(length).await;
    over.store(true, Ordering::Relaxed);
    let mut round = Round::default();
    while let Some(ended) = tasks.join_next().await {
        let (millis, failed) = ended?;
        round.millis.extend(millis);
        round.failed += failed;
    }
    round.seconds = watch.elapsed().as_secs_f64();
    Ok(round)
}

/// All rounds of one point on one stack, beside those of the memory store.
pub(crate) fn sum(cell: Cell, rounds: &[Round], memory: Option<&[Round]>) -> Load {
    let spread = |pick: &dyn Fn(&Round) -> f64| Spread::of(&rounds.iter().map(pick).collect::<Vec<_>>());
    let quantile_of = |share: f64| spread(&|round| quantile(round.millis.clone(), share));
    let ratio = memory.map(|memory| {
        let pairs = rounds.iter().zip(memory);
        Spread::of(&pairs.map(|(one, other)| one.per_second() / other.per_second()).collect::<Vec<_>>())
    });
    Load {
        request: cell.request,
        clients: cell.clients,
        kilobytes: cell.kilobytes,
        requests: rounds.iter().map(|round| round.millis.len()).sum(),
        failed: rounds.iter().map(|round| round.failed).sum(),
        per_second: spread(&Round::per_second),
        p50_ms: quantile_of(0.5),
        p99_ms: quantile_of(0.99),
        p999_ms: quantile_of(0.999),
        ratio,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(millis: &[f64], seconds: f64) -> Round {
        Round { millis: millis.to_vec(), failed: 1, seconds }
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        let cell = cells()[0];
        let own = [round(&[1.0, 1.0], 1.0), round(&[2.0; 8], 1.0)];
        let memory = [round(&[0.1; 4], 1.0), round(&[0.1; 8], 1.0)];
        let load = sum(cell, &own, Some(&memory));
        assert_eq!(load.ratio, Some(Spread { median: 0.5, least: 0.5, most: 1.0 }));
        assert_eq!((load.requests, load.failed), (10, 2));
        assert_eq!(load.p50_ms, Spread { median: 1.0, least: 1.0, most: 2.0 });
    }

    #[test]
    fn every_size_and_every_number_of_clients_is_measured_for_reads_and_for_changes() {
        let cells = cells();
        for request in [Request::Read, Request::Modify] {
            for clients in CLIENTS {
                assert!(cells.contains(&Cell { request, clients, kilobytes: 1 }));
            }
            for kilobytes in KILOBYTES {
                assert!(cells.contains(&Cell { request, clients: CLIENTS_OF_SIZES, kilobytes }));
            }
        }
    }
}
