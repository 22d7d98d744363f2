//! Which operations are on their way, so that none of them puts back what another has made outdated.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use holdover_api::SessionKey;

/// Says of a copy that is being made, or has been, whether it may still be served.
#[derive(Clone, Debug, Default)]
pub(super) struct Validity(Arc<AtomicBool>);

impl Validity {
    /// Whether nothing has made the copy outdated.
    pub(super) fn holds(&self) -> bool {
        !self.0.load(Ordering::Acquire)
    }

    fn end(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// The copies that are being made, by session. Bounded by the operations on their way.
///
/// Why no old value gets back: whoever makes a copy boards before it asks the store and lands after the copy is in
/// the cache. Whoever changes the session ends the validity of all others who are aboard, before and after the change,
/// and each time *then* drops the copy that is in the cache. If a maker was still aboard its copy is void, wherever it is
/// by now; if it had landed its copy was in the cache already, and is dropped.
#[derive(Debug, Default)]
pub(super) struct Flights(Mutex<HashMap<SessionKey, Vec<Validity>>>);

impl Flights {
    /// Begins to make a copy.
    pub(super) fn board(&self, key: &SessionKey) -> Flight<'_> {
        let validity = Validity::default();
        self.lock().entry(*key).or_default().push(validity.clone());
        Flight { flights: self, key: *key, validity }
    }

    /// Ends the validity of every copy that is being made of this session, save for `own`.
    pub(super) fn void_others(&self, key: &SessionKey, own: &Flight<'_>) {
        let flights = self.lock();
        let aboard = flights.get(key).into_iter().flatten();
        aboard.filter(|validity| !validity.is(&own.validity)).for_each(Validity::end);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<SessionKey, Vec<Validity>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }
}

/// A copy that is being made. Dropping it lands, also where the operation was abandoned.
pub(super) struct Flight<'a> {
    flights: &'a Flights,
    key: SessionKey,
    validity: Validity,
}

impl Flight<'_> {
    pub(super) fn validity(&self) -> &Validity {
        &self.validity
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let mut flights = self.flights.lock();
        let Some(aboard) = flights.get_mut(&self.key) else {
            return;
        };
        aboard.retain(|validity| !validity.is(&self.validity));
        if aboard.is_empty() {
            flights.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_voids_the_copies_that_are_being_made_of_that_session_only() {
        let flights = Flights::default();
        let (one, other) = (SessionKey::from_bytes([1; 32]), SessionKey::from_bytes([2; 32]));
        let aboard = [flights.board(&one), flights.board(&one), flights.board(&other)];
        let change = flights.board(&one);
        flights.void_others(&one, &change);
        let after = flights.board(&one);
        assert_eq!(aboard.each_ref().map(|flight| flight.validity().holds()), [false, false, true]);
        assert!(change.validity().holds() && after.validity().holds());
        drop((aboard, change, after));
        assert!(flights.is_empty());
    }
}
