//! M2, M9: how often a server is asked, by kind of request; M10: for how many of these the user waits; M26: what is sent.

use std::time::{Duration, Instant};

use super::median;
use crate::job::{Failure, Job, Manager, Work, create};
use crate::lab::{Lab, System};

const REQUESTS: u32 = 20;
/// The kinds of requests, in the order of the columns.
const KINDS: [Work; 4] = [Work::Untouched, Work::Read, Work::Set("n", 1), Work::LogOut];
const DELAYS: [u64; 3] = [0, 20, 40];

/// What the ancestors make by their code, and ours by the READMEs of its stores: untouched, read, modify, create, log out.
const fn predicted(system: System) -> [f64; 5] {
    match system {
        System::Msm(crate::msm::Locking::None, _) => [5.0, 6.0, 6.0, 4.0, 6.0],
        System::Msm(..) => [5.0, 8.0, 8.0, 4.0, 8.0],
        System::Upsert => [2.0, 2.0, 2.0, 1.0, 3.0],
        System::Background => [0.0, 0.0, 0.0, 0.0, 1.0],
        // A node that knows of no table before: with one, ending a session takes two deletes more.
        System::Dsm => [2.0, 2.0, 2.0, 1.0, 3.0],
        System::OursMemcached | System::OursMongodb | System::OursDynamodb => [0.0, 1.0, 2.0, 1.0, 1.0],
        System::OursPair => [0.0, 2.0, 4.0, 2.0, 4.0],
    }
}

/// For how many of them, one after the other, a user waits: to read, to modify.
const fn predicted_waits(system: System) -> [f64; 2] {
    match system {
        System::Msm(crate::msm::Locking::None, false) => [3.0, 3.0],
        System::Msm(crate::msm::Locking::None, true) => [3.0, 4.0],
        System::Msm(_, false) => [5.0, 4.0],
        System::Msm(_, true) => [5.0, 6.0],
        System::Upsert | System::Dsm => [2.0, 2.0],
        System::Background => [0.0, 0.0],
        System::OursMemcached | System::OursMongodb | System::OursDynamodb => [1.0, 2.0],
        System::OursPair => [1.0, 3.0],
    }
}

/// Calls of a request that does this, a create if nothing is said: the mean of twenty, each on a session of its own.
async fn calls(lab: &Lab, node: &dyn Manager, work: Option<Work>) -> Result<f64, Failure> {
    let mut ids = Vec::new();
    for _ in 0..REQUESTS {
        ids.push(create(node).await?);
    }
    let before = (lab.calls().await?, node.health_checks());
    for (value, id) in (1_u64..).zip(&ids) {
        match work {
            Some(Work::Set(name, _)) => {
                node.request(Some(id), Job::of(Work::Set(name, value))).await?;
            }
            Some(work) => {
                node.request(Some(id), Job::of(work)).await?;
            }
            None => {
                node.request(None, Job::of(Work::Set("n", value))).await?;
            }
        }
        node.settled().await;
    }
    let asked = lab.calls().await? - before.0 - (node.health_checks() - before.1);
    Ok(asked as f64 / f64::from(REQUESTS))
}

/// Calls by kind: untouched, read, modify, create, log out.
pub(crate) async fn by_kind(system: System) -> Result<[f64; 5], Failure> {
    let lab = Lab::of(system).await?;
    let node = lab.node().await?;
    let mut measured = [0.0; 5];
    for (at, work) in [0, 1, 2, 4].into_iter().zip(KINDS) {
        measured[at] = calls(&lab, node.as_ref(), Some(work)).await?;
    }
    measured[3] = calls(&lab, node.as_ref(), None).await?;
    Ok(measured)
}

pub(crate) async fn run() -> Result<(), Failure> {
    println!(
        "\nM9: calls of a request, measured (predicted); checks of nodes, one a second at most, are not counted\n"
    );
    println!("| | cookie only | read | modify | create | log out |\n|---|---|---|---|---|---|");
    for system in System::ALL {
        let measured = by_kind(system).await?;
        let cells: Vec<String> = measured
            .iter()
            .zip(predicted(system))
            .map(|(measured, predicted)| format!("{measured:.1} ({predicted:.0})"))
            .collect();
        println!("| {} | {} |", system.name(), cells.join(" | "));
    }
    Ok(())
}

/// By how much a request is later for each millisecond that every answer is later: for how many round trips, one after
/// the other, its user waits.
pub(crate) async fn waits(system: System, work: Work) -> Result<f64, Failure> {
    let lab = Lab::of(system).await?;
    let node = lab.node().await?;
    let id = create(node.as_ref()).await?;
    let mut points = Vec::new();
    for delay in DELAYS {
        lab.delay(Some(Duration::from_millis(delay)));
        let mut took = Vec::new();
        for value in 0..9 {
            let work =
                if let Work::Set(name, _) = work { Work::Set(name, delay * 100 + value + 1) } else { work };
            let begun = Instant::now();
            node.request(Some(&id), Job::of(work)).await?;
            took.push(begun.elapsed());
            node.settled().await;
        }
        points.push((delay as f64, median(took).as_secs_f64() * 1e3));
    }
    // Least squares.
    let count = points.len() as f64;
    let mean = |pick: fn(&(f64, f64)) -> f64| points.iter().map(pick).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let above: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
    let below: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    Ok(above / below)
}

pub(crate) async fn delay() -> Result<(), Failure> {
    println!(
        "\nM10: round trips that a user waits for: latency against the delay of every answer (0 to 40 ms),\nslope (predicted)\n"
    );
    println!("| | read | modify |\n|---|---|---|");
    for system in System::ALL {
        let (read, modify) = (waits(system, Work::Read).await?, waits(system, Work::Set("n", 1)).await?);
        let [to_read, to_modify] = predicted_waits(system);
        println!("| {} | {read:.1} ({to_read:.0}) | {modify:.1} ({to_modify:.0}) |", system.name());
    }
    Ok(())
}

/// M26: bytes that are sent for each request, by the share of requests that change something.
pub(crate) async fn sent() -> Result<(), Failure> {
    println!(
        "\nM26: bytes sent for each request, of a session of 128 attributes, by the share that changes one of them;"
    );
    println!(
        "predicted: in proportion to it where nothing unchanged is written, the same where everything is\n"
    );
    println!("| | 0 % | 50 % | 100 % |\n|---|---|---|---|");
    for system in System::ALL {
        let lab = Lab::of(system).await?;
        let node = lab.node().await?;
        let id = create(node.as_ref()).await?;
        for number in 0..128_u64 {
            let name: &'static str = Box::leak(format!("attribute{number:03}").into_boxed_str());
            node.request(Some(&id), Job::of(Work::Set(name, number))).await?;
            // Else the next request might not see it, where saves are asynchronous (M11).
            node.settled().await;
        }
        let mut cells = Vec::new();
        for share in [0, 50, 100_u64] {
            let sent = || lab.proxies.iter().map(|proxy| proxy.counts().request_bytes).sum::<usize>();
            let before = sent();
            for request in 0..100_u64 {
                let changes = request * share / 100 != (request + 1) * share / 100;
                let work = if changes { Work::Set("n", share * 1_000 + request + 1) } else { Work::Read };
                node.request(Some(&id), Job::of(work)).await?;
            }
            node.settled().await;
            cells.push(((sent() - before) / 100).to_string());
        }
        println!("| {} | {} |", system.name(), cells.join(" | "));
    }
    Ok(())
}
