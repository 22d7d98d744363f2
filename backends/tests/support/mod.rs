//! What the tests of several backends share: short ways to ask for the usual, and the executable specification.

pub(crate) mod differential;
pub(crate) mod writers;

use std::sync::Arc;
use std::time::Duration;

use holdover_api::{Clock, Deadline, Delta, On, SessionKey, SessionStore, Stamp, SystemClock, Write};

pub(crate) async fn open(url: &str) -> Arc<dyn SessionStore> {
    holdover_backends::connect(url).await.unwrap()
}

pub(crate) fn key(number: u8) -> SessionKey {
    SessionKey::from_bytes([number; 32])
}

pub(crate) fn stamp(number: u8) -> Stamp {
    Stamp::from_bytes([number; 16])
}

/// A write of one attribute that keeps the session for ten minutes.
pub(crate) fn write(on: On, name: &str, number: u8) -> Write {
    let mut delta = Delta::default();
    delta.set(name, vec![number; 20]);
    Write {
        on,
        delta,
        stamp: stamp(number),
        deadline: Deadline::AtLeast(SystemClock.now() + Duration::from_secs(600)),
        base: None,
    }
}
