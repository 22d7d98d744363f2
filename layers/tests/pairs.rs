//! The exam on pairs and rings over memory: `cargo test -p holdover-layers --test pairs [filter]`.

use std::collections::HashMap;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use holdover_api::{Clock, Error, Memory, SessionStore};
use holdover_conformance::{Harness, Node};
use holdover_layers::failover::{Backup, Failover, FailoverSettings};
use holdover_layers::ring::{Ring, RingNode, RingSettings};
use holdover_layers::{Faults, Layer};

/// How the nodes of a place become one store.
type Build = fn(Vec<Arc<dyn SessionStore>>, &Arc<dyn Clock>) -> Arc<dyn SessionStore>;

struct Pairs {
    name: &'static str,
    nodes: usize,
    build: Build,
    /// The nodes' memories, by place and number.
    places: Mutex<HashMap<String, Vec<Memory>>>,
}

impl Pairs {
    fn of(name: &'static str, nodes: usize, build: Build) -> Arc<dyn Harness> {
        Arc::new(Self { name, nodes, build, places: Mutex::default() })
    }
}

#[async_trait]
impl Harness for Pairs {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    async fn open(&self, node: Node) -> Result<Arc<dyn SessionStore>, Error> {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let memories =
            places.entry(node.place).or_insert_with(|| (0..self.nodes).map(|_| Memory::new()).collect());
        // Nodes at no distance at all let a writer be overtaken by eight others whenever its thread is not running.
        let distance = Faults { delay: Duration::from_millis(1), ..Faults::default() };
        let with_clock = |memory: &Memory| -> Arc<dyn SessionStore> {
            distance.layer(Arc::new(memory.clone().with_clock(Arc::clone(&node.clock))))
        };
        Ok((self.build)(memories.iter().map(with_clock).collect(), &node.clock))
    }
}

/// A busy machine that builds beside the exam must not make it fail: the exam is about answers.
fn settings(backup: Backup) -> FailoverSettings {
    FailoverSettings { backup, limit: Duration::from_secs(8), ..FailoverSettings::default() }
}

fn pair(backup: Backup, nodes: &[Arc<dyn SessionStore>], clock: &Arc<dyn Clock>) -> Arc<dyn SessionStore> {
    let (head, tail) = (Arc::clone(&nodes[0]), Arc::clone(&nodes[1]));
    Arc::new(Failover::new(head, tail, settings(backup), Arc::clone(clock)))
}

fn ring(copies: u8, stores: Vec<Arc<dyn SessionStore>>, clock: &Arc<dyn Clock>) -> Arc<dyn SessionStore> {
    let node = |(number, store)| RingNode { name: format!("node-{number}"), store };
    let nodes = stores.into_iter().enumerate().map(node).collect();
    let settings = RingSettings { copies, failover: settings(Backup::Before) };
    Arc::new(Ring::new(nodes, &settings, clock).expect("a ring of three nodes"))
}

fn main() -> ExitCode {
    holdover_conformance::main_of(vec![
        Pairs::of("failover", 2, |nodes, clock| pair(Backup::Before, &nodes, clock)),
        Pairs::of("failover after", 2, |nodes, clock| pair(Backup::After, &nodes, clock)),
        Pairs::of("ring", 3, |nodes, clock| ring(1, nodes, clock)),
        Pairs::of("ring of pairs", 3, |nodes, clock| ring(2, nodes, clock)),
    ])
}
