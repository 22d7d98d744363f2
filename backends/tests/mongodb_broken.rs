//! Every case on elections can fail: the real store on real sets, configured badly or with something around it that spoils
//! it. `cargo test -p holdover-backends --features mongodb --test mongodb_broken`.

#[path = "mongodb_broken/twisted.rs"]
mod twisted;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use holdover_api::{
    Capabilities, CheapReads, DEFAULT_MAX_BYTES, Error, Expiry, SessionStore, Survives, Writes,
};
use holdover_conformance::servers::{self, MongodbSet};
use holdover_conformance::{
    CASE_LIMIT, Copies, Ending, Harness, Node, PrivateSet, Scope, Verdict, fresh_seed, run_case_in, suites,
};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::twisted::{Habit, Knowledge, twisted};

const MEMBERS: usize = 3;

/// Each has a set of its own.
const AT_A_TIME: usize = 3;

/// What the cases ask of the stores of a set.
const PATIENT: &str = "response_timeout=15s";

/// A store that is not fit for a set, and the cases that have to catch it.
struct Broken {
    id: &'static str,
    defect: &'static str,
    parameters: &'static str,
    habit: Option<Habit>,
    killed_by: &'static [&'static str],
}

const ALL: [Broken; 7] = [
    Broken {
        id: "alone",
        defect: "what the primary alone has is acknowledged",
        parameters: "response_timeout=15s&w=1",
        habit: None,
        killed_by: &["FAIL-66", "FAIL-67"],
    },
    Broken {
        id: "impatient",
        defect: "it gives up before another primary can be there",
        parameters: "response_timeout=400ms&retryWrites=false",
        habit: None,
        killed_by: &["FAIL-61", "FAIL-62", "FAIL-63"],
    },
    Broken {
        id: "hopes",
        defect: "what timed out is taken for done",
        parameters: PATIENT,
        habit: Some(Habit::Hopes),
        killed_by: &["FAIL-66"],
    },
    Broken {
        id: "any-copy",
        defect: "a reader of a known write is served from any copy that has ever heard of the session",
        parameters: PATIENT,
        habit: Some(Habit::AnyCopy),
        killed_by: &["FAIL-64"],
    },
    Broken {
        id: "own-writes",
        defect: "the latest is whatever copy has what this node has seen itself",
        parameters: PATIENT,
        habit: Some(Habit::OwnWrites),
        killed_by: &["FAIL-64"],
    },
    Broken {
        id: "faithful",
        defect: "it reads from a former primary that has woken up and does not know yet",
        parameters: PATIENT,
        habit: Some(Habit::Faithful),
        killed_by: &["FAIL-63"],
    },
    Broken {
        id: "trusts",
        defect: "a session is over when a copy nearby says so",
        parameters: PATIENT,
        habit: Some(Habit::Trusts),
        killed_by: &["FAIL-65"],
    },
];

impl Broken {
    fn harness(&self) -> OnSet {
        let Self { parameters, habit, .. } = *self;
        OnSet {
            url: String::new(),
            url_of_primary: String::new(),
            parameters,
            habit,
            knowledge: Arc::default(),
        }
    }
}

impl fmt::Debug for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.id, self.defect)
    }
}

/// What each of them claims, as the sound store does.
const CLAIMED: Scope = Scope {
    capabilities: Capabilities {
        writes: Writes::ByAttribute,
        expiry: Expiry::Native { max_lag: Duration::from_secs(120) },
        cheap_reads: CheapReads::Replica,
        survives: Survives::NodeLoss,
        shared: true,
        max_bytes: DEFAULT_MAX_BYTES,
    },
    raw: false,
    frames: false,
    proxied: false,
    servers: false,
    copies: Copies::ONE,
    clusters: false,
    sets: true,
    rotates: false,
    worlds: false,
};

/// Opens stores on a set, once there is one.
struct OnSet {
    url: String,
    /// The URL of the server that is the primary before anything happens.
    url_of_primary: String,
    parameters: &'static str,
    habit: Option<Habit>,
    knowledge: Arc<Knowledge>,
}

impl OnSet {
    async fn start(&self) -> Result<PrivateSet, String> {
        let set = MongodbSet::start(&servers::mongodb(), MEMBERS, MongodbSet::ELECTION_TIMEOUT).await;
        let set = set.map_err(|error| error.to_string())?;
        let url_of_primary = set.url_of(set.primary().await?);
        let Self { parameters, habit, .. } = *self;
        let harness = Self { url: set.url(), url_of_primary, parameters, habit, knowledge: Arc::default() };
        Ok(PrivateSet { harness: Arc::new(harness), control: Arc::new(set) })
    }
}

#[async_trait]
impl Harness for OnSet {
    fn name(&self) -> String {
        "broken mongodb set".to_owned()
    }

    async fn open(&self, node: Node) -> Result<Arc<dyn SessionStore>, Error> {
        let url = format!(
            "{}&collection={}&{}&connect_timeout=1s&readPreference=secondaryPreferred&localThresholdMS=1000",
            self.url, node.place, self.parameters
        );
        match self.habit {
            None => holdover_backends::connect_with_clock(&url, node.clock).await,
            Some(habit) => {
                // So patient that its driver does not give the frozen server up.
                let url_of_old = format!(
                    "{}&collection={}&{}&connect_timeout=30s",
                    self.url_of_primary, node.place, self.parameters
                );
                twisted(habit, &url, &url_of_old, node.clock, &self.knowledge).await
            }
        }
    }

    async fn private_set(&self) -> Option<Result<PrivateSet, String>> {
        Some(self.start().await)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_broken_store_is_caught_by_the_cases_made_for_it() {
    let seed = fresh_seed().unwrap();
    let places = Arc::new(Semaphore::new(AT_A_TIME));
    let mut running = JoinSet::new();
    for broken in &ALL {
        for case in suites::on_sets().into_iter().filter(|case| broken.killed_by.contains(&case.id)) {
            let places = Arc::clone(&places);
            running.spawn(async move {
                let _place = places.acquire().await;
                let harness: Arc<dyn Harness> = Arc::new(broken.harness());
                let verdict = run_case_in(&harness, &CLAIMED, &case, seed, CASE_LIMIT).await;
                let told = format!("{broken:?}: {} {}", case.id, verdict.word());
                println!("{told}: {}", verdict.reason().unwrap_or_default());
                (!matches!(verdict, Verdict::Ended(Ending::Failed(_)))).then_some(told)
            });
        }
    }
    let survivors: Vec<String> = running.join_all().await.into_iter().flatten().collect();
    assert!(survivors.is_empty(), "these cases did not notice the defect:\n{}", survivors.join("\n"));
}

#[test]
fn every_case_on_elections_is_named_by_a_broken_store() {
    let named: BTreeSet<&str> = ALL.iter().flat_map(|broken| broken.killed_by.iter().copied()).collect();
    let existing: BTreeSet<&str> = suites::on_sets().iter().map(|case| case.id).collect();
    assert_eq!(named, existing);
    let ids: BTreeSet<&str> = ALL.iter().map(|broken| broken.id).collect();
    assert_eq!(ids.len(), ALL.len(), "an id occurs twice");
}
