//! Rounds of several contenders, one after the other, and what came out.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use tokio::task::JoinSet;

use crate::Failure;

#[derive(Args)]
pub(crate) struct Settings {
    /// How many tasks work, one operation after the other, each on a session of its own.
    #[arg(long, default_value_t = 16)]
    pub(crate) tasks: usize,
    /// How many rounds; each measures every line, the next goes the other way round.
    #[arg(long, default_value_t = 7)]
    pub(crate) rounds: usize,
    /// How long each line is measured in a round, in milliseconds.
    #[arg(long, default_value_t = 1500)]
    pub(crate) millis: u64,
}

pub(crate) type Running = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send>>;

/// Does one operation of a task.
pub(crate) type Operation = Arc<dyn Fn(usize) -> Running + Send + Sync>;

pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) operation: Operation,
}

impl Line {
    pub(crate) fn new(
        name: impl Into<String>,
        operation: impl Fn(usize) -> Running + Send + Sync + 'static,
    ) -> Self {
        Self { name: name.into(), operation: Arc::new(operation) }
    }
}

#[derive(Clone, Copy)]
struct Measured {
    a_second: f64,
    /// Of one operation, in milliseconds.
    median: f64,
}

/// Measures all lines in turn and prints a table; the first line is what the others are compared with.
pub(crate) async fn table(title: &str, lines: &[Line], settings: &Settings) -> Result<(), Failure> {
    let mut rounds: Vec<Vec<Measured>> = vec![Vec::new(); lines.len()];
    for round in 0..=settings.rounds {
        let mut order: Vec<usize> = (0..lines.len()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for index in order {
            let measured = run(&lines[index].operation, settings).await?;
            // The first round is a warm-up.
            if round > 0 {
                rounds[index].push(measured);
            }
        }
    }
    println!(
        "\n{title}; {} tasks, medians of {} rounds of {} ms\n",
        settings.tasks, settings.rounds, settings.millis
    );
    println!("| | a second | ÷ first (least–most) | median, ms |\n|---|---|---|---|");
    for (line, measured) in lines.iter().zip(&rounds) {
        let ratios: Vec<f64> =
            measured.iter().zip(&rounds[0]).map(|(this, first)| this.a_second / first.a_second).collect();
        let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
        let most = ratios.iter().copied().fold(0.0, f64::max);
        println!(
            "| {} | {:.0} | {:.2} ({least:.2}–{most:.2}) | {:.2} |",
            line.name,
            median(measured.iter().map(|one| one.a_second).collect()),
            median(ratios),
            median(measured.iter().map(|one| one.median).collect()),
        );
    }
    Ok(())
}

async fn run(operation: &Operation, settings: &Settings) -> Result<Measured, Failure> {
    let over = Arc::new(AtomicBool::default());
    let done = Arc::new(AtomicU64::default());
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for task in 0..settings.tasks {
        let (operation, over, done) = (Arc::clone(operation), Arc::clone(&over), Arc::clone(&done));
        tasks.spawn(async move {
            let mut took = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let begun = Instant::now();
                operation(task).await?;
                took.push(begun.elapsed().as_secs_f64() * 1e3);
                done.fetch_add(1, Ordering::Relaxed);
            }
            Ok::<Vec<f64>, Failure>(took)
        });
    }
    tokio::time::sleep(Duration::from_millis(settings.millis)).await;
    over.store(true, Ordering::Relaxed);
    let mut took = Vec::new();
    while let Some(ended) = tasks.join_next().await {
        took.extend(ended??);
    }
    let seconds = started.elapsed().as_secs_f64();
    Ok(Measured { a_second: done.load(Ordering::Relaxed) as f64 / seconds, median: median(took) })
}

pub(crate) fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}
