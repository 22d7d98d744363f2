//! The exam: cases of the conformance suite on each stack, on servers of their own.

// The command reaches below the stores in the same way. It cannot live in the library, which names no backend.
#[path = "../../conformance/src/bin/holdover-conformance/memcached.rs"]
#[allow(dead_code, reason = "the servers are its own: nothing has to be removed")]
mod memcached;
#[path = "../../conformance/src/bin/holdover-conformance/mongodb.rs"]
#[allow(dead_code, reason = "the servers are its own: nothing has to be removed")]
mod mongodb;
#[path = "../../conformance/src/bin/holdover-conformance/redis.rs"]
#[allow(dead_code, reason = "the servers are its own: nothing has to be removed")]
mod redis;

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use holdover::SessionStore;
use holdover::api::Error;
use holdover::layers::failover::{Backup, NODE_BIRTH};
use holdover::layers::url::{self, Opener};
use holdover_conformance::servers::{self, Recipe, Server};
use holdover_conformance::{
    Case, Copies, Ending, Harness, MemoryHarness, Node, Outcome, PrivateCluster, PrivateServer, Raw,
    RawCopies, Verdict, suites,
};

use crate::cluster::{Form, Kind, Shape, Started};
use crate::embedded::{InTurn, OneTable};
use crate::raw::RawDynamoDb;
use crate::result::Verdicts;
use crate::stacks::{Fallible, Program, Stack, Stand};
use crate::world::Worlds;

pub(crate) const PREFIX: &str = "exam";
/// The suite on tables that follow each other.
const ROTATION: &str = "rot";
/// More patience than a service should have: the exam is about answers.
pub(crate) const PATIENT: &str = "connect_timeout=1s&response_timeout=1s";

/// How often a MongoDB of the exam removes what has expired, in seconds: no case waits for a whole minute.
const SWEEP: u32 = 20;

fn swept(program: Program) -> Recipe {
    match program {
        Program::Mongodb => program.recipe().with_argument(servers::mongodb_sweep(SWEEP)),
        _ => program.recipe(),
    }
}

/// A stack on its feet, as the suite examines it.
struct Examined(Stand);

impl Examined {
    async fn start(stack: &Stack) -> Fallible<Self> {
        Ok(Self(Stand::start_by(stack, swept).await??))
    }

    /// How it keeps two copies, if it does.
    fn shape(&self) -> Option<Shape> {
        let [head, tail] = self.0.stack.programs[..] else { return None };
        let backup = if self.0.stack.is_behind() { Backup::After } else { Backup::Before };
        Some(Shape { form: Form::Pair(kind(head)?, kind(tail)?), backup, prefix: PREFIX.to_owned() })
    }

    fn private(&self, server: &Server) -> Self {
        Self(self.0.elsewhere(server.address(), server.url()))
    }

    fn raws(&self) -> Vec<Arc<dyn Raw>> {
        let below = |(program, url): (&Program, String)| -> Arc<dyn Raw> {
            match program {
                Program::Redis => Arc::new(redis::RawRedis::new(&url, PREFIX)),
                Program::Memcached => Arc::new(memcached::RawMemcached::new(&url, PREFIX)),
                Program::Mongodb => Arc::new(mongodb::RawMongodb::new(&url, PREFIX)),
                Program::Dynalite => Arc::new(RawDynamoDb::new(&url, PREFIX)),
            }
        };
        self.0.stack.programs.iter().zip(self.0.urls()).map(below).collect()
    }
}

fn kind(program: Program) -> Option<Kind> {
    match program {
        Program::Redis => Some(Kind::Redis),
        Program::Memcached => Some(Kind::Memcached),
        Program::Mongodb | Program::Dynalite => None,
    }
}

/// Adds to the URL of a single store what keeps places apart.
fn placed(single: &str, place: &str) -> String {
    let joint = if single.contains('?') { '&' } else { '?' };
    match single.split(':').next() {
        Some("mongodb") => format!("{single}{joint}collection={PREFIX}.{place}"),
        _ => format!("{single}{joint}prefix={PREFIX}:{place}:"),
    }
}

#[async_trait]
impl Harness for Examined {
    fn name(&self) -> String {
        self.0.stack.title.clone()
    }

    async fn open(&self, node: Node) -> Result<Arc<dyn SessionStore>, Error> {
        let open: Opener = Arc::new(move |single, clock| {
            let single = placed(&single, &node.place);
            let joint = if single.contains('?') { '&' } else { '?' };
            let single = format!("{single}{joint}{PATIENT}");
            Box::pin(async move { holdover_backends::connect_with_clock(&single, clock).await })
        });
        let via: Vec<SocketAddr> = node.via.map_or_else(|| self.0.addresses(), |via| vec![via]);
        let url = self.0.url(&via, false);
        let url = if self.0.stack.is_pair() { format!("{url}&node_timeout=1s") } else { url };
        Ok(url::connect(&url, node.clock, &open).await?.store)
    }

    fn raw(&self) -> Option<Arc<dyn Raw>> {
        let mut raws = self.raws();
        if raws.len() == 2 {
            return Some(Arc::new(RawCopies::new(raws, 2, vec![NODE_BIRTH])));
        }
        raws.pop()
    }

    fn address(&self) -> Option<SocketAddr> {
        match self.0.addresses()[..] {
            [address] => Some(address),
            _ => None,
        }
    }

    fn copies(&self) -> Copies {
        self.shape().map_or(Copies::ONE, |shape| shape.copies())
    }

    async fn private_server(&self) -> Option<Result<PrivateServer, String>> {
        let [program] = self.0.stack.programs[..] else { return None };
        let recipe = if program == Program::Redis { servers::redis_durable() } else { program.recipe() };
        servers::private(&recipe, |server| Arc::new(self.private(server))).await
    }

    async fn private_cluster(&self, servers: usize) -> Option<Result<PrivateCluster, String>> {
        Some(self.shape()?.start(servers).await?.map(Started::into_cluster))
    }
}

/// Why a stack is not examined here.
pub(crate) fn not_examined(stack: &Stack) -> Option<&'static str> {
    stack.is_given().then_some(
        "Not examined here: cargo run -p holdover-conformance -- --store URL examines a store at a URL.",
    )
}

/// Whether a case on a stack makes so many requests to so slow a stand-in that it would come near the suite's limit for a
/// case if others were examined beside it.
pub(crate) fn takes_long(stack: &Stack) -> bool {
    stack.is_rotating() && stack.embedded_dynamodb().is_none()
}

/// Puts the cases of these suites to a stack.
pub(crate) async fn examine(stack: &Stack, suites: &[String], seed: u64) -> Fallible<Vec<Verdicts>> {
    if not_examined(stack).is_some() {
        return Ok(Vec::new());
    }
    // The clocks of the other suites stand still or jump, which tables made by the server's do not follow.
    let only_rotation = [ROTATION.to_owned()];
    let suites = if stack.is_rotating() && !suites.is_empty() { &only_rotation } else { suites };
    let harness: Arc<dyn Harness> = match stack.embedded_dynamodb() {
        Some(_) if stack.is_rotating() => Arc::new(InTurn(Worlds::Embedded)),
        Some(_) => Arc::new(OneTable::start().await?),
        None if stack.programs.is_empty() => Arc::new(MemoryHarness::default()),
        None if stack.is_rotating() => Arc::new(InTurn(Worlds::Dynalite)),
        None => Arc::new(Examined::start(stack).await?),
    };
    let mut all = Vec::new();
    for suite in suites {
        let cases: Vec<Case> = suites::all().into_iter().filter(|case| case.suite() == *suite).collect();
        let ended = holdover_conformance::examine(&harness, cases, seed).await;
        let (_, report) = ended.map_err(|ending| ending.text().to_owned())?;
        let mut verdicts = Verdicts { suite: suite.clone(), ..Verdicts::default() };
        for Outcome { case, verdict, .. } in &report.outcomes {
            count(&mut verdicts, case, verdict);
        }
        all.push(verdicts);
    }
    Ok(all)
}

fn count(verdicts: &mut Verdicts, case: &Case, verdict: &Verdict) {
    match verdict {
        Verdict::Pass => verdicts.passed += 1,
        Verdict::NotApplicable(_) => verdicts.inapplicable += 1,
        Verdict::Ended(Ending::Failed(text)) => {
            verdicts.failed += 1;
            verdicts.remarks.push((case.id.to_owned(), format!("failed: {text}")));
        }
        Verdict::Ended(ending) => {
            verdicts.open += 1;
            verdicts.remarks.push((case.id.to_owned(), format!("{}: {}", verdict.word(), ending.text())));
        }
        Verdict::NotRun(reason) => {
            verdicts.open += 1;
            verdicts.remarks.push((case.id.to_owned(), format!("not run: {reason}")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_kept_apart_in_the_way_of_each_store() {
        assert_eq!(placed("redis://a", "p"), "redis://a?prefix=exam:p:");
        assert_eq!(placed("mongodb://a/b?x=1", "p"), "mongodb://a/b?x=1&collection=exam.p");
    }

    #[test]
    fn only_a_pass_counts_as_one() {
        let case = suites::all()[0];
        let mut verdicts = Verdicts::default();
        for verdict in [
            Verdict::Pass,
            Verdict::NotApplicable("no".to_owned()),
            Verdict::NotRun("no hook".to_owned()),
            Verdict::Ended(Ending::Failed("lost".to_owned())),
            Verdict::Ended(Ending::Vacuous("never raced".to_owned())),
        ] {
            count(&mut verdicts, &case, &verdict);
        }
        let counts = (verdicts.passed, verdicts.inapplicable, verdicts.failed, verdicts.open);
        assert_eq!(counts, (1, 1, 1, 2));
        assert_eq!(verdicts.remarks.len(), 3);
    }
}
