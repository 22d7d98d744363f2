//! The tables of the page: one behind every chart.

use crate::load::{CLIENTS, CLIENTS_OF_SIZES, KILOBYTES};
use crate::requests::Request;
use crate::result::{Found, Load, Run, Verdicts};
use crate::text::{grouped, ms, ratio, short};

/// A table as it is shown.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    pub(crate) caption: String,
    pub(crate) head: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

impl Table {
    fn new(caption: &str, head: &[&str], rows: Vec<Vec<String>>) -> Self {
        let head = head.iter().map(|cell| (*cell).to_owned()).collect();
        Self { caption: caption.to_owned(), head, rows }
    }
}

/// What is not there.
const NONE: &str = "–";

/// The page in one line for each store; the terminal shows it, too.
pub(crate) fn glance(run: &Run) -> Table {
    let head = [
        "store",
        "round trips: read",
        "modify",
        "ms: read",
        "modify",
        "modify/s, 64 clients",
        "killed: writes lost",
        "served after",
        "hung: writes lost",
        "served after",
        "exam: passed, failed",
    ];
    Table::new("Each store in one line", &head, run.stacks.iter().map(glance_row).collect())
}

fn glance_row(found: &Found) -> Vec<String> {
    let trips = |request: Request| {
        let calls = found.calls.iter().find(|calls| calls.request == request);
        let wire = calls.and_then(|calls| calls.wire.as_ref());
        wire.map_or(NONE.to_owned(), |wire| short(wire.exchanges))
    };
    let p50 = |request| {
        load(found, request, CLIENTS_OF_SIZES, 1).map_or(NONE.to_owned(), |load| ms(load.p50_ms.median))
    };
    let mut row = vec![
        found.title.clone(),
        trips(Request::Read),
        trips(Request::Modify),
        p50(Request::Read),
        p50(Request::Modify),
        load(found, Request::Modify, CLIENTS[2], 1)
            .map_or(NONE.to_owned(), |load| grouped(load.per_second.median)),
    ];
    for what in ["killed", "hung"] {
        let fault = found.faults.iter().find(|fault| fault.what == what);
        row.push(fault.map_or(NONE.to_owned(), |fault| {
            format!("{} of {}", grouped(fault.lost as f64), grouped(fault.acknowledged as f64))
        }));
        row.push(
            fault
                .and_then(|fault| fault.first_served_ms)
                .map_or(NONE.to_owned(), |first| format!("{} ms", ms(first))),
        );
    }
    let all = |pick: fn(&Verdicts) -> usize| -> usize { found.verdicts.iter().map(pick).sum() };
    let (passed, failed) = (all(|verdicts| verdicts.passed), all(|verdicts| verdicts.failed));
    row.push(if found.verdicts.is_empty() { NONE.to_owned() } else { format!("{passed}, {failed}") });
    row
}

pub(crate) fn claims(run: &Run) -> Table {
    let row = |found: &Found| {
        let claims = &found.claims;
        vec![
            found.title.clone(),
            claims.survives.clone(),
            if claims.shared { "yes" } else { "no" }.to_owned(),
            claims.writes.clone(),
            claims.expiry.clone(),
            claims.reads.clone(),
            format!("{} KB", grouped(claims.max_bytes as f64 / 1024.0)),
        ]
    };
    let head = [
        "store",
        "acknowledged writes survive",
        "several processes",
        "writes",
        "removes what has ended",
        "reads",
        "largest session",
    ];
    Table::new("What each store says of itself", &head, run.stacks.iter().map(row).collect())
}

/// Exchanges and bytes for each kind of request.
pub(crate) fn calls(run: &Run) -> Table {
    let row = |found: &Found| {
        let of = |request: Request| {
            let Some(calls) = found.calls.iter().find(|calls| calls.request == request) else {
                return NONE.to_owned();
            };
            let Some(wire) = &calls.wire else { return format!("{} op.", short(calls.operations)) };
            let waits = wire.slope.map_or(NONE.to_owned(), |slope| short(slope.max(0.0).abs()));
            format!("{} / {waits}", short(wire.exchanges))
        };
        [found.title.clone()].into_iter().chain(Request::ALL.map(of)).collect()
    };
    let head: Vec<&str> = ["store"].into_iter().chain(Request::ALL.map(Request::name)).collect();
    Table::new("Round trips: seen on the wire / waited for", &head, run.stacks.iter().map(row).collect())
}

pub(crate) fn bytes(run: &Run) -> Table {
    let row = |found: &Found| {
        let of = |request: Request| {
            let calls = found.calls.iter().find(|calls| calls.request == request)?;
            let wire = calls.wire.as_ref()?;
            Some(format!("{} / {}", grouped(wire.bytes_out), grouped(wire.bytes_in)))
        };
        let cells = Request::ALL.map(|request| of(request).unwrap_or_else(|| NONE.to_owned()));
        [found.title.clone()].into_iter().chain(cells).collect()
    };
    let head: Vec<&str> = ["store"].into_iter().chain(Request::ALL.map(Request::name)).collect();
    let rows = run.stacks.iter().filter(|found| has_wire(found)).map(row).collect();
    Table::new("Bytes of a session of 1 KB: sent to the servers / received", &head, rows)
}

pub(crate) fn has_wire(found: &Found) -> bool {
    found.calls.iter().any(|calls| calls.wire.is_some())
}

pub(crate) fn load(found: &Found, request: Request, clients: usize, kilobytes: usize) -> Option<&Load> {
    found
        .loads
        .iter()
        .find(|load| load.request == request && load.clients == clients && load.kilobytes == kilobytes)
}

/// Latency by clients, for one kind of request.
pub(crate) fn latency(run: &Run, request: Request) -> Table {
    let mut rows = Vec::new();
    for found in &run.stacks {
        for clients in CLIENTS {
            let Some(load) = load(found, request, clients, 1) else { continue };
            rows.push(vec![
                found.title.clone(),
                clients.to_string(),
                ms(load.p50_ms.median),
                ms(load.p99_ms.median),
                ms(load.p999_ms.median),
                grouped(load.per_second.median),
                format!("{}–{}", grouped(load.per_second.least), grouped(load.per_second.most)),
                load.ratio.map_or(NONE.to_owned(), |over| {
                    format!("{} ({}–{})", ratio(over.median), ratio(over.least), ratio(over.most))
                }),
                load.failed.to_string(),
            ]);
        }
    }
    let head = [
        "store",
        "clients",
        "p50 ms",
        "p99 ms",
        "p99.9 ms",
        "requests/s",
        "least–most of the rounds",
        "÷ memory",
        "failed",
    ];
    Table::new(&format!("{}, sessions of 1 KB", request.name()), &head, rows)
}

/// Latency and throughput by size, for one kind of request.
pub(crate) fn sizes(run: &Run, request: Request) -> Table {
    let row = |found: &Found| {
        let cell = |kilobytes| {
            let load = load(found, request, CLIENTS_OF_SIZES, kilobytes)?;
            Some(format!("{} ms, {}/s", ms(load.p50_ms.median), grouped(load.per_second.median)))
        };
        let cells = KILOBYTES.map(|kilobytes| cell(kilobytes).unwrap_or_else(|| NONE.to_owned()));
        [found.title.clone()].into_iter().chain(cells).collect()
    };
    let head = ["store", "1 KB", "4 KB", "16 KB", "64 KB"];
    let caption =
        format!("{}, {CLIENTS_OF_SIZES} clients: median latency, requests a second", request.name());
    Table::new(&caption, &head, run.stacks.iter().map(row).collect())
}

/// How long a request takes with added delay.
pub(crate) fn delays(run: &Run, request: Request) -> Table {
    let row = |found: &Found| {
        let calls = found.calls.iter().find(|calls| calls.request == request)?;
        let wire = calls.wire.as_ref()?;
        let mut cells = vec![found.title.clone()];
        for delayed in &wire.delayed {
            let took = delayed.took_ms;
            cells.push(format!("{} ({}–{})", ms(took.median), ms(took.least), ms(took.most)));
        }
        cells.push(wire.slope.map_or(NONE.to_owned(), |slope| format!("{slope:.2}")));
        cells.push(short(wire.exchanges));
        Some(cells)
    };
    let head = ["store", "+0 ms", "+1 ms", "+5 ms", "slope: waits", "round trips seen"];
    let caption = format!("{}, one client: milliseconds, median (least–most)", request.name());
    Table::new(&caption, &head, run.stacks.iter().filter_map(row).collect())
}

pub(crate) fn faults(run: &Run) -> Table {
    let time = |value: Option<f64>| value.map_or(NONE.to_owned(), |value| format!("{} ms", ms(value)));
    let mut rows = Vec::new();
    for found in &run.stacks {
        for fault in &found.faults {
            rows.push(vec![
                found.title.clone(),
                fault.what.clone(),
                grouped(fault.requests as f64),
                grouped(fault.errors as f64),
                time(fault.first_served_ms),
                time(fault.last_error_ms),
                format!("{} ms", ms(fault.longest_ms)),
                grouped(fault.acknowledged as f64),
                grouped(fault.lost as f64),
                format!("{} of {}", fault.sessions_lost, fault.sessions),
                fault.unanswered.to_string(),
            ]);
        }
    }
    let head = [
        "store",
        "its first server is",
        "requests after it",
        "errors",
        "first served after",
        "last error after",
        "longest request",
        "acknowledged writes",
        "of them lost",
        "sessions lost",
        "not answered in the audit",
    ];
    Table::new("A server fails under load", &head, rows)
}

pub(crate) fn expiry(run: &Run) -> Table {
    let mut rows = Vec::new();
    for found in &run.stacks {
        for expiry in &found.expiries {
            let seconds = |value: Option<f64>| {
                value.map_or_else(|| "not within the time".to_owned(), |value| format!("{value:.2} s"))
            };
            rows.push(vec![
                found.title.clone(),
                grouped(expiry.sessions as f64),
                seconds(expiry.half_s),
                seconds(expiry.all_s),
                grouped(expiry.left as f64),
                expiry.server_micros.map_or(NONE.to_owned(), |micros| format!("{micros:.1} µs")),
            ]);
        }
    }
    let head =
        ["store", "sessions", "half gone after", "all gone after", "still there", "server time for each"];
    Table::new("Sessions that end all at once disappear from storage", &head, rows)
}

pub(crate) fn money(run: &Run) -> Table {
    let mut rows = Vec::new();
    for found in &run.stacks {
        for units in &found.units {
            rows.push(vec![
                found.title.clone(),
                units.request.name().to_owned(),
                short(units.reads),
                short(units.writes),
                format!("{:.3}", units.dollars),
            ]);
        }
    }
    let head = ["store", "request", "read units", "write units", "US dollars a million"];
    Table::new("What a request consumes on DynamoDB", &head, rows)
}

pub(crate) fn verdicts(run: &Run) -> Table {
    let mut rows = Vec::new();
    for found in &run.stacks {
        for verdicts in &found.verdicts {
            rows.push(vec![
                found.title.clone(),
                verdicts.suite.clone(),
                verdicts.passed.to_string(),
                verdicts.failed.to_string(),
                verdicts.inapplicable.to_string(),
                verdicts.open.to_string(),
            ]);
        }
    }
    let head = ["store", "suite", "passed", "failed", "does not apply", "not run or undecided"];
    Table::new("The exam", &head, rows)
}
