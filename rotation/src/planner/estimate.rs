//! From a workload to units, tables, bytes and dollars.

use std::time::Duration;

use super::prices::{Cost, Prices};
use super::units::Units;
use super::workload::{Workload, WorkloadError};
use crate::schedule::{Rules, Schedule};

/// What is billed for storing a record besides its own bytes.
pub const RECORD_OVERHEAD_BYTES: u64 = 100;

/// How sessions that have ended go away.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Expiry {
    /// With their table, which costs nothing; a session that lives on moves to the next one.
    Rotation(Schedule),
    /// By the store's own time to live, which costs nothing and lets them lie for so long.
    NativeTtl {
        /// From a session's end to its deletion: "typically within a few days".
        lingers: Duration,
    },
    /// By reading everything so often, and deleting one by one what has ended.
    Scan {
        /// From one scan to the next.
        every: Duration,
    },
}

impl Expiry {
    /// A short name.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Rotation(_) => "rotation",
            Self::NativeTtl { .. } => "native TTL",
            Self::Scan { .. } => "scan",
        }
    }
}

/// A kind of operation on the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A request reads its session.
    Load,
    /// It looks in the present table before it finds the session in an older one.
    Miss,
    /// A look for an id that leads to no session: one in each table that might have it.
    Unknown,
    /// A session begins.
    Create,
    /// A request changes its session.
    Save,
    /// A request extends the lease and changes nothing else.
    Touch,
    /// The second write of what moves a session to the present table.
    Move,
    /// A session ends by a log-out.
    Delete,
    /// A scan over everything.
    Scan,
    /// A session that has ended is deleted.
    Expire,
}

impl Kind {
    /// What happens.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Miss => "miss before an older table",
            Self::Unknown => "unknown id, each table",
            Self::Create => "create",
            Self::Save => "save",
            Self::Touch => "touch",
            Self::Move => "move to the present table",
            Self::Delete => "delete",
            Self::Scan => "scan",
            Self::Expire => "delete what has ended",
        }
    }
}

/// How often something happens and what it takes each time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    /// What happens.
    pub kind: Kind,
    /// How often a second.
    pub per_second: f64,
    /// What one takes.
    pub each: Units,
}

impl Line {
    /// What all of them take, a second.
    pub fn units(&self) -> Units {
        self.each * self.per_second
    }
}

/// What a way to expire takes and costs.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimate {
    /// The way.
    pub expiry: Expiry,
    /// By kind of operation.
    pub lines: Vec<Line>,
    /// The sum of them, a second.
    pub per_second: Units,
    /// The capacity that has to be provisioned, on average: that of one table times the tables that stand.
    pub capacity: Units,
    /// The most tables that stand at the same time.
    pub tables: u32,
    /// The most tables that one session is looked for in.
    pub tables_read: u32,
    /// The bytes that are stored, as they are billed.
    pub stored_bytes: f64,
    /// A month, paid by the request.
    pub on_demand: Cost,
    /// A month, paid by capacity, without headroom for peaks.
    pub provisioned: Cost,
}

/// The ancestor's formula `t = s·r`: throughput is size times requests, each of which reads and writes the session once.
///
/// ```
/// use holdover_rotation::planner::{Units, ancestor_capacity};
///
/// // Its own example: 2 kB, 100 requests a second. It counted 200 read units, since one was 1 KB then.
/// assert_eq!(ancestor_capacity(2_000, 100.0), Units { read: 100.0, write: 200.0 });
/// ```
pub fn ancestor_capacity(session_bytes: u64, requests_per_second: f64) -> Units {
    (Units::read(session_bytes) + Units::write(session_bytes)) * requests_per_second
}

/// What a workload takes and costs with a way to expire.
///
/// ```
/// use std::time::Duration;
/// use holdover_rotation::planner::{Expiry, Prices, Workload, estimate};
///
/// let ttl = Expiry::NativeTtl { lingers: Duration::from_secs(2 * 86_400) };
/// let month = estimate(&Workload::default(), ttl, &Prices::US_EAST_1_AS_OF_2026_11)?;
/// assert_eq!(month.tables, 1);
/// # Ok::<(), holdover_rotation::planner::WorkloadError>(())
/// ```
///
/// # Errors
///
/// A workload that makes no sense ([`Workload::check`]).
pub fn estimate(workload: &Workload, expiry: Expiry, prices: &Prices) -> Result<Estimate, WorkloadError> {
    workload.check()?;
    let stored_bytes = stored_bytes(workload, &expiry);
    let lines = lines(workload, &expiry, stored_bytes);
    let mut per_second = Units::default();
    lines.iter().for_each(|line| per_second += line.units());
    let standing = standing_tables(&expiry);
    // Any of the tables may have to serve all of it: the present one at once after a boundary, an older one until its
    // sessions have moved.
    let capacity = per_second * standing;
    let storage = prices.storage(stored_bytes);
    Ok(Estimate {
        expiry,
        lines,
        per_second,
        capacity,
        tables: most_tables(&expiry),
        tables_read: if let Expiry::Rotation(schedule) = &expiry {
            schedule.rules().tables_read()
        } else {
            1
        },
        stored_bytes,
        on_demand: Cost { storage, ..prices.on_demand(per_second) },
        provisioned: Cost { storage, ..prices.provisioned(capacity) },
    })
}

fn lines(workload: &Workload, expiry: &Expiry, stored_bytes: f64) -> Vec<Line> {
    let bytes = workload.session_bytes;
    let (read, write, miss) = (Units::read(bytes), Units::write(bytes), Units::read(0));
    let line = |kind, per_second, each| Line { kind, per_second, each };
    let begun = workload.sessions_per_second();
    let mut lines = vec![
        line(Kind::Load, workload.loads_per_second(), read),
        line(Kind::Unknown, workload.unknown_per_second * tables_searched(expiry), miss),
        line(Kind::Create, begun, write),
        line(Kind::Save, workload.saves_per_second(), write),
        line(Kind::Touch, workload.touches_per_second(), write),
        line(Kind::Delete, begun * workload.logouts, write),
    ];
    match expiry {
        Expiry::Rotation(_) => {
            let moves = moves_per_second(workload, expiry);
            lines.push(line(Kind::Miss, moves * workload.loads_before_a_move(), miss));
            lines.push(line(Kind::Move, moves, write));
        }
        Expiry::NativeTtl { .. } => {}
        Expiry::Scan { every } => {
            lines.push(line(Kind::Scan, 1.0 / every.as_secs_f64().max(1.0), Units::scan(stored_bytes)));
            lines.push(line(Kind::Expire, begun * (1.0 - workload.logouts), write));
        }
    }
    lines
}

/// A visit meets as many boundaries as periods fit into it, and moves at each.
fn moves_per_second(workload: &Workload, expiry: &Expiry) -> f64 {
    match expiry {
        Expiry::Rotation(schedule) if workload.requests_per_session > 1.0 => {
            let boundaries = workload.visit.as_secs_f64() / schedule.rules().period.as_secs_f64();
            workload.sessions_per_second() * boundaries
        }
        _ => 0.0,
    }
}

/// How many tables on average might have a session that is in none.
fn tables_searched(expiry: &Expiry) -> f64 {
    match expiry {
        Expiry::Rotation(schedule) => {
            let rules = schedule.rules();
            let searched = rules.period + rules.max_lease + 2 * rules.max_skew;
            searched.as_secs_f64() / rules.period.as_secs_f64()
        }
        _ => 1.0,
    }
}

/// From a table's creation to its end.
fn life(rules: &Rules) -> Duration {
    rules.lead + rules.period + kept(rules)
}

/// From the end of a table's period to its own.
fn kept(rules: &Rules) -> Duration {
    rules.max_lease + 2 * rules.max_skew + rules.grace
}

fn standing_tables(expiry: &Expiry) -> f64 {
    match expiry {
        Expiry::Rotation(schedule) => {
            let rules = schedule.rules();
            life(rules).as_secs_f64() / rules.period.as_secs_f64()
        }
        _ => 1.0,
    }
}

fn most_tables(expiry: &Expiry) -> u32 {
    match expiry {
        Expiry::Rotation(schedule) => {
            let rules = schedule.rules();
            let most = life(rules).as_millis().div_ceil(rules.period.as_millis());
            u32::try_from(most).unwrap_or(u32::MAX)
        }
        _ => 1,
    }
}

/// Sessions begin at a rate, and each is stored for some time: with rotation once in each table that it has been written to,
/// from a moment in its period on.
fn stored_bytes(workload: &Workload, expiry: &Expiry) -> f64 {
    let each = (workload.session_bytes + RECORD_OVERHEAD_BYTES) as f64;
    let begun = workload.sessions_per_second();
    let alive = workload.visit.as_secs_f64() + workload.idle.as_secs_f64();
    let copy_seconds = match expiry {
        Expiry::Rotation(schedule) => {
            let rules = schedule.rules();
            let stays = rules.period.as_secs_f64() / 2.0 + kept(rules).as_secs_f64();
            (begun + moves_per_second(workload, expiry)) * stays
        }
        Expiry::NativeTtl { lingers } => begun * (alive + lingers.as_secs_f64()),
        Expiry::Scan { every } => begun * (alive + every.as_secs_f64() / 2.0),
    };
    copy_seconds * each
}
