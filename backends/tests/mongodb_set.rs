//! The exam, on a real replica set of three:
//! `cargo test -p holdover-backends --features mongodb --test mongodb_set [filter]`.
//!
//! Readers that accept a copy may be answered by a secondary. Cases that kill and pause a server do it to a set of one;
//! those that make the servers elect another primary, to a set of three of their own.

#[path = "support/mongodb.rs"]
mod below;
#[allow(dead_code, reason = "the exam on one server is in another test")]
#[path = "support/exam.rs"]
mod exam;
#[path = "../../conformance/src/bin/holdover-conformance/mongodb.rs"]
mod raw;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use exam::{Below, OnServer, PATIENCE, run_prefix};
use holdover_api::{Error, SessionStore};
use holdover_conformance::servers::{self, MongodbSet};
use holdover_conformance::{Harness, Node, PrivateServer, PrivateSet, Raw};
use raw::RawMongodb;
use tokio::runtime::Runtime;

const MEMBERS: usize = 3;

/// Long, so that a busy machine does not make the set choose another primary in the middle of the exam.
const ELECTION_TIMEOUT: Duration = Duration::from_secs(5);

/// Of the stores on a set that the cases break: longer than an election takes, even on a busy machine.
const LONG_PATIENCE: &str = "&connect_timeout=1s&response_timeout=15s";

/// Readers that accept a copy get any that is there. Which members are near enough is not for a busy machine to say.
const NEARBY: &str = "&readPreference=secondaryPreferred&localThresholdMS=1000";

/// Opens stores on the set; through a proxy, on its primary alone, since the members' own addresses would lead past it.
struct OnSet {
    url: String,
    primary: SocketAddr,
    patience: &'static str,
}

#[async_trait]
impl Harness for OnSet {
    fn name(&self) -> String {
        "mongodb set".to_owned()
    }

    async fn open(&self, node: Node) -> Result<Arc<dyn SessionStore>, Error> {
        let server = match node.via {
            Some(via) => format!("mongodb://{via}/?directConnection=true"),
            None => self.url.clone(),
        };
        let place = RawMongodb::place(&run_prefix(), &node.place);
        let url = format!("{server}&{place}{NEARBY}{}", self.patience);
        holdover_backends::connect_with_clock(&url, node.clock).await
    }

    fn raw(&self) -> Option<Arc<dyn Raw>> {
        Some(Arc::new(RawMongodb::new(&self.url, &run_prefix())))
    }

    fn address(&self) -> Option<SocketAddr> {
        Some(self.primary)
    }

    async fn private_server(&self) -> Option<Result<PrivateServer, String>> {
        servers::private(&servers::mongodb_set_of_one(), OnServer::<RawMongodb>::over).await
    }

    async fn private_set(&self) -> Option<Result<PrivateSet, String>> {
        Some(start(MongodbSet::ELECTION_TIMEOUT).await.map(|(set, primary)| {
            let harness = Arc::new(Self { url: set.url(), primary, patience: LONG_PATIENCE });
            PrivateSet { harness, control: Arc::new(set) }
        }))
    }
}

async fn start(election_timeout: Duration) -> Result<(MongodbSet, SocketAddr), String> {
    // As often as a server can look for what has expired; the exam on one server has it look seldom.
    let recipe = servers::mongodb().with_argument(servers::mongodb_sweep(1));
    let set = MongodbSet::start(&recipe, MEMBERS, election_timeout).await;
    let set = set.map_err(|error| error.to_string())?;
    let primary = set.members()[set.primary().await?].address();
    Ok((set, primary))
}

fn main() -> ExitCode {
    let runtime = Runtime::new().expect("a runtime starts");
    let (set, primary) = match runtime.block_on(start(ELECTION_TIMEOUT)) {
        Ok(started) => started,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    // The set and all that it stored end with it.
    holdover_conformance::main(OnSet { url: set.url(), primary, patience: PATIENCE })
}
