//! M16, M17, M18: a server that dies, one that hangs, and one that was cut off and is back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use holdover_conformance::ServerControl;
use holdover_conformance::proxy::Break;
use tokio::task::JoinSet;

use super::of;
use crate::job::{Answer, Failure, Job, Manager, Work, create, read};
use crate::lab::{Lab, System};

const SESSIONS: usize = 40;
const WRITERS: usize = 8;

/// The systems with two copies, and one without for comparison.
const SYSTEMS: [System; 4] = [
    System::Msm(crate::msm::Locking::None, false),
    System::Msm(crate::msm::Locking::None, true),
    System::OursPair,
    System::OursMemcached,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Dies,
    Hangs,
}

/// What users saw of a fault in the middle of their work.
pub(crate) struct Seen {
    /// Sessions whose last acknowledged write is not there afterwards.
    pub(crate) lost: usize,
    /// Sessions whose user got a new, empty one at least once.
    pub(crate) logged_out: usize,
    writes: usize,
    errors: usize,
    /// Requests that took longer than a fifth of a second, and the longest.
    slow: usize,
    longest: Duration,
}

/// What a writer knows of one of its sessions.
struct Known {
    id: String,
    /// The last acknowledged value.
    value: u64,
    logged_out: bool,
}

#[derive(Default)]
struct Tally {
    known: Vec<Known>,
    writes: usize,
    errors: usize,
    slow: usize,
    longest: Duration,
}

/// One request after the other until it is over.
async fn write(node: Arc<dyn Manager>, mut tally: Tally, over: Arc<AtomicBool>) -> Tally {
    let mut next = 0;
    while !over.load(Ordering::Relaxed) {
        let at = next % tally.known.len();
        let known = &mut tally.known[at];
        let begun = Instant::now();
        let answer = node.request(Some(&known.id), Job::of(Work::Set("n", known.value + 1))).await;
        let took = begun.elapsed();
        tally.slow += usize::from(took > Duration::from_millis(200));
        tally.longest = tally.longest.max(took);
        match answer {
            Ok(Answer { found: true, id, .. }) => {
                known.id = id.unwrap_or_else(|| known.id.clone());
                known.value += 1;
                tally.writes += 1;
            }
            // The user has a new session, and none of what was in the old one. Here the old cookie is tried again.
            Ok(_) => known.logged_out = true,
            Err(_) => tally.errors += 1,
        }
        next += 1;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    tally
}

/// Eight users write, the first server dies or hangs, and everything is looked at by a new node afterwards.
async fn fault(system: System, fault: Fault) -> Result<Seen, Failure> {
    let lab = Lab::of(system).await?;
    let node = lab.node_aside().await?;
    let over = Arc::new(AtomicBool::default());
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let mut tally = Tally::default();
        for _ in 0..SESSIONS / WRITERS {
            tally.known.push(Known { id: create(node.as_ref()).await?, value: 0, logged_out: false });
        }
        writers.spawn(write(Arc::clone(&node), tally, Arc::clone(&over)));
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let server = &lab.servers[0];
    match fault {
        Fault::Dies => server.kill().await?,
        Fault::Hangs => server.pause().await?,
    }
    tokio::time::sleep(Duration::from_secs(4)).await;
    over.store(true, Ordering::Relaxed);
    let mut seen = Seen { lost: 0, logged_out: 0, writes: 0, errors: 0, slow: 0, longest: Duration::ZERO };
    let mut known = Vec::new();
    while let Some(tally) = writers.join_next().await {
        let tally = tally?;
        seen.writes += tally.writes;
        seen.errors += tally.errors;
        seen.slow += tally.slow;
        seen.longest = seen.longest.max(tally.longest);
        known.extend(tally.known);
    }
    node.settled().await;
    if fault == Fault::Dies && !system.has_two_copies() {
        // Back, and empty: what it held is lost for good.
        server.restart().await?;
    }
    for Known { id, value, logged_out } in known {
        let answer = read(node.as_ref(), &id).await;
        let kept = answer.is_ok_and(|answer| answer.n.is_some_and(|n| n >= value));
        seen.lost += usize::from(!kept);
        seen.logged_out += usize::from(logged_out);
    }
    if fault == Fault::Hangs {
        server.resume().await?;
    }
    Ok(seen)
}

/// Sessions that lost their last acknowledged write when a server died, for the table.
pub(crate) async fn lost(system: System) -> Result<Seen, Failure> {
    fault(system, Fault::Dies).await
}

/// What a returned server is believed.
pub(crate) struct Returned {
    /// Sessions that had moved on and were served as they were before.
    pub(crate) stale: usize,
    /// Sessions that were logged out meanwhile and are alive.
    pub(crate) alive: usize,
}

/// One server is cut off, sessions are written to and logged out by way of the other, and it is back. Then the cookie from
/// before the fault comes again, as from a second window.
pub(crate) async fn returned(system: System) -> Result<Returned, Failure> {
    let lab = Lab::of(system).await?;
    let node = lab.node().await?;
    let mut old = Vec::new();
    while old.len() < SESSIONS {
        let id = create(node.as_ref()).await?;
        // The ancestor's ids name the server that they live on: those that live on the other have nothing to fear.
        if !id.ends_with("-n1") {
            old.push(id);
        }
    }
    lab.proxies[0].refuse().await;
    lab.proxies[0].break_connections(Break::Close).await;
    // As long as the ancestor believes what it has last seen of a server.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let half = SESSIONS / 2;
    for (at, id) in old.iter().enumerate() {
        let answer = node.request(Some(id), Job::of(Work::Set("n", 7))).await?;
        let id = answer.id.ok_or("the session has no cookie")?;
        node.settled().await;
        if at >= half {
            node.request(Some(&id), Job::of(Work::LogOut)).await?;
        }
    }
    lab.proxies[0].accept().await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let mut returned = Returned { stale: 0, alive: 0 };
    for (at, id) in old.iter().enumerate() {
        let answer = read(node.as_ref(), id).await?;
        if at < half {
            returned.stale += usize::from(answer.found && answer.n != Some(7));
        } else {
            returned.alive += usize::from(answer.found);
        }
    }
    Ok(returned)
}

pub(crate) async fn run() -> Result<(), Failure> {
    println!(
        "\nM16, M17: {WRITERS} users write to {SESSIONS} sessions, one server of two dies (SIGKILL) or hangs (SIGSTOP)\n"
    );
    println!(
        "Four seconds after the fault. Lost: sessions whose last acknowledged write is not there. Logged out: sessions"
    );
    println!(
        "whose user was given an empty one at least once. Predicted: none lost with two copies, all with one; who asks"
    );
    println!("a server that hangs waits for one time-out, 1 s or 250 ms\n");
    println!(
        "| | fault | lost | logged out | errors | writes | slower than 200 ms | longest |\n|---|---|---|---|---|---|---|---|"
    );
    for system in SYSTEMS {
        for what in [Fault::Dies, Fault::Hangs] {
            if what == Fault::Hangs && !system.has_two_copies() {
                continue;
            }
            let Seen { lost, logged_out, writes, errors, slow, longest } = fault(system, what).await?;
            println!(
                "| {} | {what:?} | {} | {} | {errors} | {writes} | {slow} | {} ms |",
                system.name(),
                of(lost, SESSIONS),
                of(logged_out, SESSIONS),
                longest.as_millis()
            );
        }
    }
    println!(
        "\nM18: one server of two was cut off meanwhile and is back; the cookie from before comes again;"
    );
    println!("predicted: all of m-s-m's, which lived on that server; none of ours\n");
    println!("| | served as it was before | alive after its logout |\n|---|---|---|");
    for system in SYSTEMS.into_iter().filter(|system| system.has_two_copies()) {
        let Returned { stale, alive } = returned(system).await?;
        println!("| {} | {} | {} |", system.name(), of(stale, SESSIONS / 2), of(alive, SESSIONS / 2));
    }
    Ok(())
}
