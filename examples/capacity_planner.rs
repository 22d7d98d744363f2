//! What sessions cost on DynamoDB, by the way in which they expire.
//!
//! ```text
//! cargo run --example capacity_planner
//! cargo run --example capacity_planner -- --requests 2000 --bytes 3500 --period 1h --idle 30m
//! cargo run --example capacity_planner -- --write-price 0.7125 --read-price 0.1425
//! ```
//!
//! Averages go in, and prices; it asks nobody. The arithmetic is in `holdover_rotation::planner`.

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use holdover::layers::duration;
use holdover_rotation::planner::{
    Cost, Estimate, Expiry, Kind, Line, Prices, Workload, ancestor_capacity, estimate,
};
use holdover_rotation::{Rules, Schedule};

const DATED: Prices = Prices::US_EAST_1_AS_OF_2026_11;

const KINDS: [Kind; 10] = [
    Kind::Load,
    Kind::Miss,
    Kind::Unknown,
    Kind::Create,
    Kind::Save,
    Kind::Touch,
    Kind::Move,
    Kind::Delete,
    Kind::Scan,
    Kind::Expire,
];

/// What sessions cost on DynamoDB, by the way in which they expire
#[derive(Debug, Parser)]
struct Arguments {
    /// Requests with a session, a second
    #[arg(long, value_name = "N", default_value_t = 100.0)]
    requests: f64,
    /// Requests with an id that leads nowhere, a second
    #[arg(long, value_name = "N", default_value_t = 0.0)]
    unknown: f64,
    /// The size of a session as it is stored
    #[arg(long, value_name = "N", default_value_t = 2_000)]
    bytes: u64,
    /// The share of the requests that change the session
    #[arg(long, value_name = "SHARE", default_value_t = 0.2)]
    changing: f64,
    /// Requests of one session
    #[arg(long, value_name = "N", default_value_t = 20.0)]
    per_session: f64,
    /// From the first request of a session to its last
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = time)]
    visit: Duration,
    /// A session ends after so much time without a request
    #[arg(long, value_name = "TIME", default_value = "30m", value_parser = time)]
    idle: Duration,
    /// The share of the sessions that end with a log-out
    #[arg(long, value_name = "SHARE", default_value_t = 0.1)]
    logouts: f64,
    /// How long each table is the one that is written to
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = time)]
    period: Duration,
    /// How long the store's own time to live lets ended sessions lie
    #[arg(long, value_name = "TIME", default_value = "48h", value_parser = time)]
    lingers: Duration,
    /// How often everything is scanned for ended sessions
    #[arg(long, value_name = "TIME", default_value = "12h", value_parser = time)]
    scan_every: Duration,
    /// A million write request units
    #[arg(long, value_name = "USD", default_value_t = DATED.per_million_writes)]
    write_price: f64,
    /// A million read request units
    #[arg(long, value_name = "USD", default_value_t = DATED.per_million_reads)]
    read_price: f64,
    /// A provisioned write unit for an hour
    #[arg(long, value_name = "USD", default_value_t = DATED.per_write_unit_hour)]
    write_unit_price: f64,
    /// A provisioned read unit for an hour
    #[arg(long, value_name = "USD", default_value_t = DATED.per_read_unit_hour)]
    read_unit_price: f64,
    /// A gigabyte for a month, beyond the free ones
    #[arg(long, value_name = "USD", default_value_t = DATED.per_gigabyte_month)]
    storage_price: f64,
}

fn time(text: &str) -> Result<Duration, &'static str> {
    duration::parse(text).ok_or("expected a time with its unit, such as 90s, 30m or 24h")
}

impl Arguments {
    fn workload(&self) -> Workload {
        Workload {
            requests_per_second: self.requests,
            unknown_per_second: self.unknown,
            session_bytes: self.bytes,
            changing: self.changing,
            requests_per_session: self.per_session,
            visit: self.visit,
            idle: self.idle,
            logouts: self.logouts,
        }
    }

    fn prices(&self) -> Prices {
        Prices {
            per_million_writes: self.write_price,
            per_million_reads: self.read_price,
            per_write_unit_hour: self.write_unit_price,
            per_read_unit_hour: self.read_unit_price,
            per_gigabyte_month: self.storage_price,
            free_gigabytes: DATED.free_gigabytes,
        }
    }

    fn ways(&self) -> Result<[Expiry; 3], Box<dyn Error>> {
        let schedule = Schedule::new(Rules::new(self.period, self.idle))?;
        Ok([
            Expiry::Rotation(schedule),
            Expiry::NativeTtl { lingers: self.lingers },
            Expiry::Scan { every: self.scan_every },
        ])
    }
}

fn print_workload(arguments: &Arguments, workload: &Workload) {
    let text = duration::text;
    println!(
        "{} requests/s on sessions of {} bytes; {:.0} % of them change it",
        workload.requests_per_second,
        workload.session_bytes,
        workload.changing * 100.0
    );
    println!(
        "{} requests a session within {}, idle time {}: {:.2} sessions begin each second",
        workload.requests_per_session,
        text(workload.visit),
        text(workload.idle),
        workload.sessions_per_second()
    );
    let seed = ancestor_capacity(workload.session_bytes, workload.requests_per_second);
    println!(
        "t = s·r, one read and one write each request: {:.0} RCU and {:.0} WCU\n",
        seed.read, seed.write
    );
    println!(
        "rotation: a table each {}; native TTL: deleted {} after the end; scan: each {}\n",
        text(arguments.period),
        text(arguments.lingers),
        text(arguments.scan_every)
    );
}

/// What one operation takes, and how many of them each way to expire has.
fn print_operations(estimates: &[Estimate]) {
    let names: Vec<String> =
        estimates.iter().map(|estimate| format!("{:>14}", format!("{}/s", estimate.expiry.name()))).collect();
    println!("{:<28}{:>10}{:>10}{}", "operation", "RRU each", "WRU each", names.concat());
    for kind in KINDS {
        let lines: Vec<Option<&Line>> = estimates.iter().map(|estimate| line(estimate, kind)).collect();
        let Some(first) = lines.iter().flatten().next() else { continue };
        let rates: Vec<String> = lines.iter().map(|line| format!("{:>14}", rate(*line))).collect();
        println!(
            "{:<28}{:>10}{:>10}{}",
            kind.name(),
            units(first.each.read),
            units(first.each.write),
            rates.concat()
        );
    }
    println!();
}

fn line(estimate: &Estimate, kind: Kind) -> Option<&Line> {
    estimate.lines.iter().find(|line| line.kind == kind && line.per_second > 0.0)
}

fn units(units: f64) -> String {
    if units == 0.0 { "-".to_owned() } else { format!("{units}") }
}

/// Scans are rare.
fn rate(line: Option<&Line>) -> String {
    match line {
        None => "-".to_owned(),
        Some(line) if line.per_second < 0.01 => format!("{:.1e}", line.per_second),
        Some(line) => format!("{:.2}", line.per_second),
    }
}

fn row(name: &str, estimates: &[Estimate], cell: impl Fn(&Estimate) -> String) {
    let cells: Vec<String> = estimates.iter().map(|estimate| format!("{:>16}", cell(estimate))).collect();
    println!("{name:<36}{}", cells.concat());
}

fn print_costs(name: &str, estimates: &[Estimate], cost: impl Fn(&Estimate) -> Cost) {
    println!("{name}");
    row("  reads", estimates, |estimate| format!("{:.2}", cost(estimate).reads));
    row("  writes", estimates, |estimate| format!("{:.2}", cost(estimate).writes));
    row("  storage", estimates, |estimate| format!("{:.2}", cost(estimate).storage));
    row("  together", estimates, |estimate| format!("{:.2}", cost(estimate).total()));
}

fn print_ways(estimates: &[Estimate]) {
    row("", estimates, |estimate| estimate.expiry.name().to_owned());
    row("RRU a second", estimates, |estimate| format!("{:.2}", estimate.per_second.read));
    row("WRU a second", estimates, |estimate| format!("{:.2}", estimate.per_second.write));
    row("tables, at most", estimates, |estimate| estimate.tables.to_string());
    row("tables read for one session", estimates, |estimate| estimate.tables_read.to_string());
    row("stored, GB", estimates, |estimate| format!("{:.3}", estimate.stored_bytes / 1_073_741_824.0));
    print_costs("USD a month, on demand", estimates, |estimate| estimate.on_demand);
    print_costs("USD a month, provisioned, no headroom", estimates, |estimate| estimate.provisioned);
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let (workload, prices) = (arguments.workload(), arguments.prices());
    let mut estimates = Vec::new();
    for expiry in arguments.ways()? {
        estimates.push(estimate(&workload, expiry, &prices)?);
    }
    print_workload(arguments, &workload);
    print_operations(&estimates);
    print_ways(&estimates);
    println!();
    if prices == DATED {
        println!(
            "Prices: us-east-1 as collected in November 2026, second-hand. Look up yours and pass them (--help)."
        );
    }
    println!("Averages: capacity for peaks, retries and refused writes come on top.");
    Ok(())
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
