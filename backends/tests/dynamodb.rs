//! The exam, on Dynalite: `cargo test -p holdover-backends --features dynamodb --test dynamodb [filter]`.
//!
//! `HOLDOVER_TEST_DYNAMODB_URL`, such as `dynamodb://eu-central-1/holdover-test?expiry=ttl&create=true`, puts it to a table
//! at AWS instead, all but the cases that need the server in their hands: those have a Dynalite of their own. In the end it
//! says what that came to.

#[path = "support/exam.rs"]
mod exam;
// The command reaches below a DynamoDB in the same way. It cannot live in the library, which names no backend.
#[path = "../../conformance/src/bin/holdover-conformance/dynamodb.rs"]
mod raw;

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use exam::Below;
use holdover_api::{Clock, Error, SessionStore};
use holdover_backends::dynamodb::DynamoDb;
use holdover_conformance::servers::{self, Recipe};
use holdover_rotation::planner::Prices;
use raw::RawDynamoDb;

/// Every store that was opened: each counts what it consumed.
static OPENED: Mutex<Vec<Arc<DynamoDb>>> = Mutex::new(Vec::new());

#[async_trait]
impl Below for RawDynamoDb {
    const NAME: &'static str = "dynamodb";

    async fn open(url: &str, clock: Arc<dyn Clock>) -> Result<Arc<dyn SessionStore>, Error> {
        let store = DynamoDb::connect_with_clock(url, clock).await?;
        OPENED.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&store));
        Ok(store)
    }

    fn shared() -> Recipe {
        servers::dynamodb()
    }

    fn private() -> Recipe {
        servers::dynamodb()
    }

    fn reach(url: &str, prefix: &str) -> Self {
        Self::new(url, prefix)
    }

    async fn clean_up(&self) -> Result<(), String> {
        self.remove_all().await
    }
}

fn main() -> ExitCode {
    let verdict = exam::examine::<RawDynamoDb>();
    eprintln!("{}", bill());
    verdict
}

/// What all stores consumed, and what that costs at AWS. What the exam asks past them is not in it: a scan or two.
fn bill() -> String {
    let (mut requests, mut reads, mut writes) = (0, 0.0, 0.0);
    for store in OPENED.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        let consumed = store.consumed();
        requests += consumed.requests;
        reads += consumed.read_units;
        // A refused write costs what it would have, and its cost is not reported: a unit at least.
        writes += consumed.write_units + consumed.unreported as f64;
    }
    let prices = Prices::US_EAST_1_AS_OF_2026_11;
    let dollars = (reads * prices.per_million_reads + writes * prices.per_million_writes) / 1_000_000.0;
    format!(
        "{requests} requests, {reads} read units and about {writes} write units: {dollars:.4} US dollars on demand, at the \
         prices of us-east-1 in November 2026"
    )
}
