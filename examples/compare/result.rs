//! What a run found: `compare.json` is this, and the page is made from nothing else.

use serde::{Deserialize, Serialize};

use crate::figures::Spread;
use crate::requests::Request;

/// A whole run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Run {
    /// The command that repeats it.
    pub(crate) command: String,
    /// When it began, in milliseconds of Unix time.
    pub(crate) began: u64,
    pub(crate) seconds: f64,
    /// As `--seed` takes it.
    pub(crate) seed: String,
    pub(crate) build: String,
    pub(crate) machine: Machine,
    pub(crate) extent: Extent,
    pub(crate) stacks: Vec<Found>,
    /// Stacks that were left out, and why.
    pub(crate) absent: Vec<(String, String)>,
}

/// What else the machine did.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) cores: usize,
    /// Of the processors' time: what this program and its servers had, what others had, what a hypervisor took.
    pub(crate) own_share: f64,
    pub(crate) others_share: f64,
    pub(crate) stolen_share: f64,
    /// The same of others, in each part of the run.
    pub(crate) parts: Vec<Part>,
}

/// A part of the run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Part {
    pub(crate) name: String,
    pub(crate) seconds: f64,
    pub(crate) load: f64,
}

/// How much was measured.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Extent {
    pub(crate) name: String,
    pub(crate) repeats: usize,
    pub(crate) rounds: usize,
    pub(crate) round_ms: u64,
    pub(crate) fault_ms: u64,
    pub(crate) suites: Vec<String>,
    pub(crate) expiring: Vec<usize>,
    /// So many are not made where that would take longer.
    pub(crate) making_limit_s: u64,
    /// The longest that anybody waits for ended sessions to disappear.
    pub(crate) expiry_limit_s: u64,
}

/// What was found about one stack. What could not be asked of it is empty, and `notes` say why.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Found {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) about: String,
    pub(crate) claims: Claims,
    pub(crate) calls: Vec<Calls>,
    pub(crate) loads: Vec<Load>,
    pub(crate) faults: Vec<Fault>,
    pub(crate) expiries: Vec<Expiry>,
    /// How many could not be watched as they ended, and why.
    pub(crate) unwatched: Vec<(usize, String)>,
    pub(crate) units: Vec<Units>,
    pub(crate) verdicts: Vec<Verdicts>,
    pub(crate) notes: Vec<String>,
}

/// What the store says of itself.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Claims {
    pub(crate) writes: String,
    pub(crate) expiry: String,
    pub(crate) reads: String,
    pub(crate) survives: String,
    pub(crate) shared: bool,
    pub(crate) max_bytes: usize,
}

/// What one kind of request costs, one at a time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Calls {
    pub(crate) request: Request,
    /// Operations of the store.
    pub(crate) operations: f64,
    /// What the proxies saw; nothing where there is no wire.
    pub(crate) wire: Option<Wire>,
}

/// A request on the wire: medians.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Wire {
    pub(crate) exchanges: f64,
    pub(crate) bytes_out: f64,
    pub(crate) bytes_in: f64,
    pub(crate) delayed: Vec<Delayed>,
    /// Milliseconds that a request takes longer for each millisecond of delay: round trips that it waits for.
    pub(crate) slope: Option<f64>,
}

/// How long a request takes with so much added delay.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Delayed {
    /// What was asked of the proxy.
    pub(crate) asked_ms: f64,
    /// What a bare exchange takes longer through it, measured.
    pub(crate) added_ms: f64,
    pub(crate) took_ms: Spread,
}

/// Requests in a closed loop.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Load {
    pub(crate) request: Request,
    pub(crate) clients: usize,
    pub(crate) kilobytes: usize,
    pub(crate) requests: usize,
    pub(crate) failed: usize,
    pub(crate) per_second: Spread,
    pub(crate) p50_ms: Spread,
    pub(crate) p99_ms: Spread,
    pub(crate) p999_ms: Spread,
    /// Throughput over that of the memory store in the same round.
    pub(crate) ratio: Option<Spread>,
}

/// What a fault did.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Fault {
    /// `killed` or `hung`.
    pub(crate) what: String,
    pub(crate) requests: usize,
    pub(crate) errors: usize,
    /// From the fault to the end of the first request that began after it and was served.
    pub(crate) first_served_ms: Option<f64>,
    /// From the fault to the end of the last request that failed.
    pub(crate) last_error_ms: Option<f64>,
    pub(crate) longest_ms: f64,
    pub(crate) acknowledged: usize,
    pub(crate) lost: usize,
    pub(crate) sessions: usize,
    pub(crate) sessions_lost: usize,
    pub(crate) unanswered: usize,
    /// Served and failed requests from a moment before the fault on, in pieces of so many milliseconds.
    pub(crate) piece_ms: u64,
    pub(crate) before_ms: u64,
    pub(crate) pieces: Vec<(usize, usize)>,
}

/// Sessions that all ended at one moment.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Expiry {
    pub(crate) sessions: usize,
    /// From that moment until half, and all, of them were gone from storage.
    pub(crate) half_s: Option<f64>,
    pub(crate) all_s: Option<f64>,
    pub(crate) left: usize,
    /// The server's processor time while they went, for each.
    pub(crate) server_micros: Option<f64>,
}

/// What DynamoDB says that a request consumes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Units {
    pub(crate) request: Request,
    pub(crate) reads: f64,
    pub(crate) writes: f64,
    /// US dollars for a million such requests.
    pub(crate) dollars: f64,
}

/// What came of one suite.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Verdicts {
    pub(crate) suite: String,
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    /// Questions that cannot be put to such a store.
    pub(crate) inapplicable: usize,
    /// Not run, never raced, or undecided.
    pub(crate) open: usize,
    /// Whatever is neither passed nor inapplicable, with what there is to say.
    pub(crate) remarks: Vec<(String, String)>,
}
