//! The exam on tables that follow each other, in the middle of a move from one to the next:
//! `cargo test -p holdover-backends --features dynamodb-local --test dynamodb_rotation_exam [filter]`.
//!
//! Clocks of the exam stand still or jump, and tables are made by the server's. So the exam is held where everything that
//! rotation does is under way at once: there are two tables, and every handle is two nodes of which one has not begun to
//! write to the newer table. What goes through the handle goes to one of them by the toss of a coin: sessions begin in the
//! old table, are sealed and carried by whatever writes next, and are looked for in both. That tables come and go is the
//! business of the suite on rotation.

#[allow(dead_code, reason = "the exam of one table opens its stores another way")]
#[path = "support/exam.rs"]
mod exam;
#[path = "dynamodb_rotation_exam/pair.rs"]
mod pair;
#[allow(dead_code, reason = "the servers of this exam end with it")]
#[path = "../../conformance/src/bin/holdover-conformance/dynamodb.rs"]
mod raw;
#[path = "dynamodb_rotation_exam/tables.rs"]
mod tables;
#[path = "dynamodb_rotation_exam/world.rs"]
mod world;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use exam::run_prefix;
use holdover_api::{Error, SessionStore};
use holdover_backends::dynamodb::DynamoDb;
use holdover_conformance::rotation::Rotation;
use holdover_conformance::servers::{self, Server};
use holdover_conformance::{Harness, Node, PrivateServer, Raw};
use pair::Pair;
use tables::{RawInTurn, TwoTables};
use tokio::runtime::Runtime;
use world::Worlds;

/// Opens pairs of nodes on one server.
struct InTurn {
    url: String,
    address: SocketAddr,
    tables: TwoTables,
}

impl InTurn {
    fn over(server: &Server) -> Self {
        let url = server.url().replace("expiry=none", "expiry=rotation&period=30d&keeper=off");
        let url = url.replace("create=true", "create=false");
        Self { tables: TwoTables::of(&url), url, address: server.address() }
    }
}

#[async_trait]
impl Harness for InTurn {
    fn name(&self) -> String {
        "dynamodb (rotating)".to_owned()
    }

    async fn open(&self, node: Node) -> Result<Arc<dyn SessionStore>, Error> {
        self.tables.are_there().await?;
        let server = match node.via {
            Some(via) => self.url.replace(&self.address.to_string(), &via.to_string()),
            None => self.url.clone(),
        };
        let url = format!("{server}&prefix={}:{}:", run_prefix(), node.place);
        if node.via.is_some() {
            // Faults are aimed at the n-th answer: through the proxy every call has to ask the same.
            return Ok(
                DynamoDb::connect_by(&format!("{url}{}", exam::PATIENCE), node.clock, pair::early()).await?
            );
        }
        let url = format!("{url}{}", pair::PATIENCE);
        Ok(Arc::new(Pair::open(&url, node.clock).await?))
    }

    fn longest_lease(&self) -> Option<Duration> {
        Some(pair::LONGEST_LEASE)
    }

    fn rotation(&self) -> Option<Arc<dyn Rotation>> {
        Some(Arc::new(Worlds::Embedded))
    }

    fn raw(&self) -> Option<Arc<dyn Raw>> {
        Some(Arc::new(RawInTurn::new(&self.tables, &run_prefix())))
    }

    fn address(&self) -> Option<SocketAddr> {
        Some(self.address)
    }

    async fn private_server(&self) -> Option<Result<PrivateServer, String>> {
        servers::private(&servers::dynamodb(), |server| Arc::new(Self::over(server))).await
    }
}

fn main() -> ExitCode {
    let runtime = Runtime::new().expect("a runtime starts");
    match runtime.block_on(Server::start(&servers::dynamodb())) {
        Ok(server) => holdover_conformance::main(InTurn::over(&server)),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
