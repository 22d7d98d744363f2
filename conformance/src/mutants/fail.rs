//! Broken stores that the FAIL cases have to catch: over a small real server, so that the fault proxy has sockets to
//! break and cases have something to kill.

mod client;
mod rules;
mod server;
mod small;
mod state;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use holdover_api::{Error, ErrorKind, Operation, SessionStore, Survives};

pub use self::small::SmallServer;

use self::client::{ClientFlaw, WireStore};
use self::server::WireServer;
use self::state::{Plan, ServerFlaw};
use super::{Mutant, MutantHarness, shapes};
use crate::harness::{Harness, Node, PrivateServer, ServerControl};

/// A harness over the small server. Its private servers are further ones of the same plan.
struct WireHarness {
    server: Result<Arc<WireServer>, String>,
    plan: Plan,
    flaw: ClientFlaw,
    claims: Survives,
}

impl WireHarness {
    fn of(plan: Plan, flaw: ClientFlaw, claims: Survives) -> Arc<dyn Harness> {
        let server = WireServer::start(plan).map(Arc::new).map_err(|error| error.to_string());
        Arc::new(Self { server, plan, flaw, claims })
    }

    /// A flaw in the store's side of the wire.
    fn client(flaw: ClientFlaw) -> Arc<dyn Harness> {
        Self::of(SOUND, flaw, Survives::Restart)
    }

    /// A flaw in the server that is not one of its rules.
    fn server(flaw: ServerFlaw) -> Arc<dyn Harness> {
        Self::of(Plan { flaw, ..SOUND }, ClientFlaw::None, Survives::Restart)
    }

    /// A flaw in the server's rules.
    fn rules(rules: fn() -> Arc<dyn Harness>) -> Arc<dyn Harness> {
        Self::of(Plan { rules, ..SOUND }, ClientFlaw::None, Survives::Restart)
    }
}

const SOUND: Plan = Plan { rules: MutantHarness::sound, flaw: ServerFlaw::None, keeps: Survives::Restart };

impl fmt::Debug for WireHarness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WireHarness({:?}, {:?})", self.plan.flaw, self.flaw)
    }
}

#[async_trait]
impl Harness for WireHarness {
    fn name(&self) -> String {
        "wire".to_owned()
    }

    async fn open(&self, node: Node) -> Result<Arc<dyn SessionStore>, Error> {
        let server = self.server.as_ref().map_err(|why| {
            let message = format!("the small server did not start: {why}");
            Error::new(ErrorKind::Unavailable, Operation::Connect, "wire", message)
        })?;
        let address = node.via.unwrap_or(server.address);
        Ok(Arc::new(WireStore::new(address, Arc::clone(&server.shared), node, self.flaw, self.claims)))
    }

    fn address(&self) -> Option<SocketAddr> {
        self.server.as_ref().ok().map(|server| server.address)
    }

    async fn private_server(&self) -> Option<Result<PrivateServer, String>> {
        let server = match WireServer::start(self.plan) {
            Ok(server) => Arc::new(server),
            Err(error) => return Some(Err(error.to_string())),
        };
        let control = Arc::clone(&server) as Arc<dyn ServerControl>;
        let harness =
            Arc::new(Self { server: Ok(server), plan: self.plan, flaw: self.flaw, claims: self.claims });
        Some(Ok(PrivateServer { harness, control }))
    }
}

/// The mutants of this suite.
pub(super) fn mutants() -> Vec<Mutant> {
    [hiding(), lost(), durable(), clients()].concat()
}

/// An error that is read as an answer (A37).
fn hiding() -> Vec<Mutant> {
    let kills: &[&str] = &["CON-26", "FAIL-01"];
    vec![
        Mutant {
            id: "m37",
            defect: "a load that failed says that there is no session",
            make: || WireHarness::client(ClientFlaw::Hides(Operation::Load)),
            killed_by: &["CON-26", "FAIL-01", "FAIL-07", "FAIL-11"],
        },
        Mutant {
            id: "m37s",
            defect: "a save that failed says that the session is gone",
            make: || WireHarness::client(ClientFlaw::Hides(Operation::Save)),
            killed_by: kills,
        },
        Mutant {
            id: "m37t",
            defect: "a touch that failed says that there is no session",
            make: || WireHarness::client(ClientFlaw::Hides(Operation::Touch)),
            killed_by: kills,
        },
        Mutant {
            id: "m37d",
            defect: "a delete that failed says that it is done",
            make: || WireHarness::client(ClientFlaw::Hides(Operation::Delete)),
            killed_by: &["CON-26", "FAIL-01", "FAIL-06"],
        },
        Mutant {
            id: "m37i",
            defect: "an inspect that failed says that nothing is stored",
            make: || WireHarness::client(ClientFlaw::Hides(Operation::Inspect)),
            killed_by: kills,
        },
        Mutant {
            id: "m37n",
            defect: "an install that failed says that it was refused",
            make: || WireHarness::client(ClientFlaw::Hides(Operation::Install)),
            killed_by: kills,
        },
    ]
}

/// An answer that was lost (A13).
fn lost() -> Vec<Mutant> {
    vec![
        Mutant {
            id: "m13h",
            defect: "a compare-and-set that is tried again reports its own result as a conflict",
            make: || {
                WireHarness::rules(|| MutantHarness::of("m13h", || Arc::new(rules::RetriedHeadConflicts)))
            },
            killed_by: &["FAIL-04"],
        },
        Mutant {
            id: "m13l",
            defect: "a merge that is tried again is made again",
            make: || {
                WireHarness::rules(|| MutantHarness::of("m13l", || Arc::new(rules::RetriedMergeAppliesAgain)))
            },
            killed_by: &["FAIL-04"],
        },
        Mutant {
            id: "m13s",
            defect: "a save that failed is tried again by the store as a new write",
            make: || WireHarness::client(ClientFlaw::RestampsRetry),
            killed_by: &["FAIL-04"],
        },
        Mutant {
            id: "m13c",
            defect: "a create that is tried again reports its own session as a conflict",
            make: || {
                WireHarness::rules(|| MutantHarness::of("m13c", || Arc::new(rules::RetriedCreateConflicts)))
            },
            killed_by: &["FAIL-05"],
        },
        Mutant {
            id: "m13u",
            defect: "every error swears that there was no effect",
            make: || WireHarness::client(ClientFlaw::SwearsNoEffect),
            killed_by: &["FAIL-04", "FAIL-05", "FAIL-06", "FAIL-37", "FAIL-38", "FAIL-39"],
        },
        Mutant {
            id: "m13t",
            defect: "a touch that is tried again extends again",
            make: || WireHarness::rules(|| MutantHarness::of("m13t", || Arc::new(rules::TouchAdds))),
            killed_by: &["FAIL-37"],
        },
        Mutant {
            id: "m13d",
            defect: "a delete that is tried again fails",
            make: || {
                WireHarness::rules(|| MutantHarness::of("m13d", || Arc::new(shapes::DeleteOfNothingFails)))
            },
            killed_by: &["FAIL-38"],
        },
        Mutant {
            id: "m13i",
            defect: "an install that is tried again is refused",
            make: || {
                WireHarness::rules(|| MutantHarness::of("m13i", || Arc::new(shapes::RetriedInstallRefused)))
            },
            killed_by: &["FAIL-39"],
        },
    ]
}

/// What a crash leaves (A34, A38), and what a late request does (A04, A45).
fn durable() -> Vec<Mutant> {
    vec![
        Mutant {
            id: "m34",
            defect: "a save is acknowledged before it is durable",
            make: || WireHarness::server(ServerFlaw::Forgets(Operation::Save)),
            killed_by: &["FAIL-02", "FAIL-03"],
        },
        Mutant {
            id: "m34t",
            defect: "a touch is acknowledged before it is durable",
            make: || WireHarness::server(ServerFlaw::Forgets(Operation::Touch)),
            killed_by: &["FAIL-02"],
        },
        Mutant {
            id: "m34d",
            defect: "a delete is acknowledged before it is durable",
            make: || WireHarness::server(ServerFlaw::Forgets(Operation::Delete)),
            killed_by: &["FAIL-41"],
        },
        Mutant {
            id: "m34v",
            defect: "a store that keeps nothing claims to survive a restart",
            make: || {
                let plan = Plan { keeps: Survives::Nothing, ..SOUND };
                WireHarness::of(plan, ClientFlaw::None, Survives::Restart)
            },
            killed_by: &["FAIL-02", "FAIL-03"],
        },
        Mutant {
            id: "m38",
            defect: "compare tokens begin at one again with the process",
            make: || {
                let plan = Plan { keeps: Survives::Nothing, flaw: ServerFlaw::NumbersFromOne, ..SOUND };
                WireHarness::of(plan, ClientFlaw::None, Survives::Nothing)
            },
            killed_by: &["FAIL-25"],
        },
        Mutant {
            id: "m45h",
            defect: "a compare-and-set does not compare",
            make: || WireHarness::rules(|| MutantHarness::of("m45h", || Arc::new(shapes::IgnoresHead))),
            killed_by: &["FAIL-29"],
        },
        Mutant {
            id: "m45u",
            defect: "a save where nothing is left creates it",
            make: || WireHarness::rules(|| MutantHarness::of("m45u", || Arc::new(shapes::SaveUpserts))),
            killed_by: &["FAIL-29", "FAIL-41"],
        },
        Mutant {
            id: "m45t",
            defect: "a touch where nothing is left creates it",
            make: || WireHarness::rules(|| MutantHarness::of("m45t", || Arc::new(shapes::TouchCreates))),
            killed_by: &["FAIL-29"],
        },
    ]
}

/// Time-outs, connections, locks (A40, A07, A10, A44).
fn clients() -> Vec<Mutant> {
    vec![
        Mutant {
            id: "m40",
            defect: "waits for an answer as long as it takes",
            make: || WireHarness::client(ClientFlaw::NoDeadline),
            killed_by: &["FAIL-07", "FAIL-10", "FAIL-11"],
        },
        Mutant {
            id: "m40q",
            defect: "waits for the connection as long as it takes",
            make: || WireHarness::client(ClientFlaw::QueuesWithoutDeadline),
            killed_by: &["FAIL-10"],
        },
        Mutant {
            id: "m40r",
            defect: "never connects again",
            make: || WireHarness::client(ClientFlaw::NeverReconnects),
            killed_by: &["FAIL-08", "FAIL-36", "FAIL-40"],
        },
        Mutant {
            id: "m40s",
            defect: "calls scripts that a restarted server does not know",
            make: || WireHarness::client(ClientFlaw::KeepsScript),
            killed_by: &["FAIL-40"],
        },
        Mutant {
            id: "m52",
            defect: "goes on reading on a connection whose answer was late or abandoned",
            make: || WireHarness::client(ClientFlaw::KeepsConnection),
            killed_by: &["FAIL-09"],
        },
        Mutant {
            id: "m43s",
            defect: "a load that failed answers what was loaded last",
            make: || WireHarness::client(ClientFlaw::ServesStale),
            killed_by: &["FAIL-35"],
        },
        Mutant {
            id: "m44f",
            defect: "a save holds a lock that only its holder ends",
            make: || WireHarness::client(ClientFlaw::Locks),
            killed_by: &["FAIL-28"],
        },
        Mutant {
            id: "m11f",
            defect: "a merge reaches the server in parts",
            make: || WireHarness::client(ClientFlaw::SavesInParts),
            killed_by: &["FAIL-12"],
        },
    ]
}
