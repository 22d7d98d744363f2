//! Gates: a request is stopped on its way to the server, others go first, and then it goes on.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::Call;

/// The gates of a server, between a store and what it asks for. Every request passes by them before it takes effect.
///
/// ```
/// use holdover_conformance::rotation::{Call, Gates};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let gates = Gates::default();
/// let gate = gates.shut(&[Call::Put], Some("sessions"));
/// gates.pass(Call::Read, "sessions").await;
/// let ((), ()) = tokio::join!(gates.pass(Call::Put, "sessions"), async {
///     gate.reached().await;
///     drop(gate);
/// });
/// # }
/// ```
#[derive(Debug, Default)]
pub struct Gates {
    shut: Arc<Mutex<Vec<Shut>>>,
}

/// One that nobody has come to yet.
#[derive(Debug)]
struct Shut {
    calls: &'static [Call],
    table: Option<String>,
    signs: Arc<Signs>,
}

/// What a gate and the request before it tell each other.
#[derive(Debug, Default)]
struct Signs {
    reached: watch::Sender<bool>,
    open: watch::Sender<bool>,
}

/// A gate that is shut for one request. Dropping it opens it.
#[derive(Debug)]
pub struct Gate {
    signs: Arc<Signs>,
    shut: Arc<Mutex<Vec<Shut>>>,
}

impl Gates {
    /// Stops the next request of one of these kinds; of a table, if one is named.
    pub fn shut(&self, calls: &'static [Call], table: Option<&str>) -> Gate {
        let signs = Arc::new(Signs::default());
        let shut = Shut { calls, table: table.map(str::to_owned), signs: Arc::clone(&signs) };
        lock(&self.shut).push(shut);
        Gate { signs, shut: Arc::clone(&self.shut) }
    }

    /// For the server: comes by with a request, and returns when it may go on. Of several gates that are shut for it, the
    /// first stops it.
    pub async fn pass(&self, call: Call, table: &str) {
        let signs = {
            let mut shut = lock(&self.shut);
            let is_meant = |shut: &Shut| {
                shut.calls.contains(&call) && shut.table.as_deref().is_none_or(|meant| meant == table)
            };
            let Some(at) = shut.iter().position(is_meant) else {
                return;
            };
            shut.remove(at).signs
        };
        signs.reached.send_replace(true);
        seen(&signs.open).await;
    }
}

impl Gate {
    /// Ends when a request stands before it.
    pub async fn reached(&self) {
        seen(&self.signs.reached).await;
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        lock(&self.shut).retain(|shut| !Arc::ptr_eq(&shut.signs, &self.signs));
        self.signs.open.send_replace(true);
    }
}

/// Ends when the sign is given, or was before.
async fn seen(sign: &watch::Sender<bool>) {
    // Whoever waits holds the sender, so that it is never closed.
    let _ = sign.subscribe().wait_for(|given| *given).await;
}

/// Only whole values are put in, so that a panic elsewhere leaves nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_gate_stops_one_request_of_its_kind_until_it_is_dropped() {
        let gates = Arc::new(Gates::default());
        let gate = gates.shut(&[Call::Put], Some("a"));
        gates.pass(Call::Read, "a").await;
        gates.pass(Call::Put, "b").await;
        let passing = tokio::spawn({
            let gates = Arc::clone(&gates);
            async move { gates.pass(Call::Put, "a").await }
        });
        gate.reached().await;
        assert!(!passing.is_finished());
        gates.pass(Call::Put, "a").await;
        drop(gate);
        passing.await.unwrap();
    }

    #[tokio::test]
    async fn a_gate_that_is_dropped_before_anybody_came_stops_nobody() {
        let gates = Gates::default();
        drop(gates.shut(&[Call::Put, Call::Change], None));
        gates.pass(Call::Change, "a").await;
    }
}
