//! Counts what a request costs on the wire with two copies, and how much of it the request waits for.

mod counted;

use std::error::Error;
use std::time::Duration;

use holdover::api::{Stopwatch, pause};
use holdover_layers::failover::Backup;
use serde_json::json;

use crate::common::{Browser, Node};
use crate::figures::median;
use counted::{Counted, Kind};

/// Two delays at the proxies: what a request takes longer with the longer one tells how often it waits.
const DELAYS: [Duration; 2] = [Duration::from_millis(5), Duration::from_millis(25)];
const REQUESTS: usize = 9;
const QUIET: Duration = Duration::from_secs(1);

/// What one kind of request costs.
struct Cost {
    calls: u64,
    round_trips: f64,
}

/// Counts, prints, and answers whether everything is as it is promised.
pub(crate) async fn run() -> Result<bool, Box<dyn Error>> {
    let before = Counted::start(Backup::Before).await?;
    let after = Counted::start(Backup::After).await?;
    let mut rows = Vec::new();
    for kind in Kind::ALL {
        rows.push((kind, cost_of(&before, kind).await?, cost_of(&after, kind).await?));
    }
    print(&rows);
    let counts_hold = rows.iter().all(|(kind, before, after)| is_as_promised(*kind, before, after));
    let http_agrees = over_http().await?;
    let is_quiet = is_quiet(&before).await && is_quiet(&after).await;
    println!(
        "\nAfter a quiet second {}.",
        if is_quiet { "no request has passed" } else { "REQUESTS HAVE PASSED" }
    );
    Ok(counts_hold && http_agrees && is_quiet)
}

async fn cost_of(counted: &Counted, kind: Kind) -> Result<Cost, Box<dyn Error>> {
    let mut calls = Vec::new();
    let mut medians = Vec::new();
    for delay in DELAYS {
        let mut took = Vec::new();
        for _ in 0..REQUESTS {
            let visitor = counted.visitor(kind).await?;
            // What is left of that behind its answer holds the session's turn for another moment.
            pause(DELAYS[0]).await;
            let before = counted.calls().await?;
            counted.delay_answers(Some(delay));
            let started = Stopwatch::start();
            let changed = counted.request(kind, visitor).await?;
            took.push(started.elapsed().as_secs_f64());
            for id in &changed {
                counted.until_equal(id).await?;
            }
            // The last answers, which nobody waits for, may still be on their way.
            pause(delay * 2).await;
            counted.delay_answers(None);
            let after = counted.calls().await?;
            calls.push(after[0] + after[1] - before[0] - before[1]);
        }
        medians.push(median(took));
    }
    let (least, most) = (calls.iter().min().copied(), calls.iter().max().copied());
    if least != most {
        return Err(format!("{kind:?} costs {least:?} to {most:?} calls").into());
    }
    let between = (DELAYS[1] - DELAYS[0]).as_secs_f64();
    Ok(Cost { calls: least.unwrap_or_default(), round_trips: (medians[1] - medians[0]) / between })
}

/// Calls, round trips before the answer, and those with the backup behind it.
const fn promise(kind: Kind) -> (u64, u8, u8) {
    match kind {
        Kind::Untouched => (0, 0, 0),
        Kind::Read => (2, 1, 1),
        Kind::ReadDue => (6, 4, 3),
        Kind::Modify | Kind::WriteUnread | Kind::LogOut => (4, 3, 2),
        Kind::Create => (2, 2, 1),
        Kind::LogIn => (6, 5, 3),
    }
}

fn is_as_promised(kind: Kind, before: &Cost, after: &Cost) -> bool {
    let (calls, trips, trips_after) = promise(kind);
    let near = |cost: &Cost, trips: u8| (cost.round_trips - f64::from(trips)).abs() < 0.4;
    before.calls == calls && after.calls == calls && near(before, trips) && near(after, trips_after)
}

/// The words of the table, and what memcached-session-manager costs.
const fn words(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Untouched => ("session untouched", "5"),
        Kind::Read => ("read", "6 (8)"),
        Kind::ReadDue => ("read, and the session is due to be extended", "6 (8)"),
        Kind::Modify => ("modify: read, then write", "6 (8)"),
        Kind::WriteUnread => ("write what nobody read (`insert_unread`)", "6 (8)"),
        Kind::Create => ("create: the first write of a new visitor", "4"),
        Kind::LogIn => ("log-in on an existing session (`cycle_id`)", "–"),
        Kind::LogOut => ("log-out", "6 (8)"),
    }
}

fn print(rows: &[(Kind, Cost, Cost)]) {
    println!(
        "| request | calls | round trips it waits for | the same, backup behind the answer | calls, m-s-m [1] |"
    );
    println!("|---|--:|--:|--:|--:|");
    for (kind, before, after) in rows {
        let (request, theirs) = words(*kind);
        let (calls, first, second) = (before.calls, before.round_trips.abs(), after.round_trips.abs());
        let mark = if is_as_promised(*kind, before, after) { "" } else { " NOT AS PROMISED" };
        println!("| {request}{mark} | {calls} | {first:.1} | {second:.1} | {theirs} |");
    }
    let (short, long) = (DELAYS[0].as_millis(), DELAYS[1].as_millis());
    println!(
        "\nCalls as the two servers count them, the same in {} requests of each kind and for both kinds of backup. Round trips: what \
         a request takes longer when each answer is delayed by {long} ms instead of {short} ms, over the difference; medians of \
         {REQUESTS}.",
        REQUESTS * DELAYS.len() * 2
    );
    println!(
        "[1] memcached-session-manager, non-sticky, two nodes; in brackets with its lock. 6 is what the author of \
         dynamo-session-manager counted in 2012; the rest is read from its source (716e147). It was not run here. Three or four \
         of them block the request."
    );
}

/// The same through the HTTP server, with a cookie. Answers whether the calls are the same.
async fn over_http() -> Result<bool, Box<dyn Error>> {
    let counted = Counted::start(Backup::Before).await?;
    let insecure = holdover::SessionLayerBuilder::insecure_development_cookies;
    let node = Node::start("a", counted.store(), insecure).await?;
    let browser = Browser::new();
    let mut rows = Vec::new();
    for kind in [Kind::Create, Kind::Untouched, Kind::Read, Kind::Modify, Kind::LogIn, Kind::LogOut] {
        let before = counted.calls().await?;
        let answer = match kind {
            Kind::Create => browser.put(&node, "name", json!("ada")).await,
            Kind::Modify => browser.put(&node, "name", json!("grace")).await,
            Kind::Untouched => browser.get(&node, "/api/plain").await,
            Kind::LogIn => browser.log_in(&node, "ada").await,
            Kind::LogOut => browser.log_out(&node).await,
            _ => browser.get(&node, "/api/session/attributes/name").await,
        };
        if !answer.status.is_success() {
            return Err(format!("{kind:?} is answered {}", answer.status).into());
        }
        let after = counted.calls().await?;
        rows.push((kind, after[0] + after[1] - before[0] - before[1]));
    }
    let shown: Vec<String> = rows.iter().map(|(kind, calls)| format!("{} {calls}", words(*kind).0)).collect();
    println!("\nThrough the HTTP server, with a cookie, calls: {}.", shown.join("; "));
    Ok(rows.iter().all(|(kind, calls)| *calls == promise(*kind).0))
}

async fn is_quiet(counted: &Counted) -> bool {
    let before = counted.exchanges();
    pause(QUIET).await;
    counted.exchanges() == before
}
