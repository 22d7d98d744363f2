use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use holdover_api::{Effect, Freshness, Memory, SessionKey, SessionStore, Stopwatch};
use holdover_layers::{Faults, Layer};

use crate::stage::{creation, key, saved};

const QUARTERS: Faults = Faults {
    seed: 11,
    share_failed_before: 0.25,
    share_failed_after: 0.25,
    share_unheard: 0.25,
    delay: Duration::ZERO,
};

fn numbered(number: u32) -> SessionKey {
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&number.to_le_bytes());
    SessionKey::from_bytes(bytes)
}

/// For each of so many creates: whether it happened, and what its caller heard.
async fn fates(faults: &Faults, count: u32) -> Vec<(bool, Option<Effect>)> {
    let memory = Arc::new(Memory::new());
    let store = faults.layer(Arc::clone(&memory) as Arc<dyn SessionStore>);
    let mut fates = Vec::new();
    for number in 0..count {
        let key = numbered(number);
        let answer = store.save(&key, &creation(1)).await;
        let happened = memory.load(&key, Freshness::Latest).await.unwrap().is_some();
        assert!(saved(&answer) || answer.is_err(), "{answer:?}");
        fates.push((happened, answer.err().map(|error| error.effect())));
    }
    fates
}

#[tokio::test]
async fn an_operation_happens_or_not_and_is_heard_of_or_not() {
    let fates = fates(&QUARTERS, 400).await;
    let kinds: BTreeSet<String> = fates.iter().map(|fate| format!("{fate:?}")).collect();
    let wanted = [
        (true, None),
        (true, Some(Effect::Unknown)),
        (false, Some(Effect::None)),
        (false, Some(Effect::Unknown)),
    ];
    // And never an error without effect after one, nor silence about a failure.
    assert_eq!(kinds, wanted.iter().map(|fate| format!("{fate:?}")).collect());
    for fate in wanted {
        let share = fates.iter().filter(|one| **one == fate).count();
        assert!((60..=140).contains(&share), "{fate:?}: {share} of 400");
    }
}

#[tokio::test]
async fn the_seed_repeats_what_happens() {
    let first = fates(&QUARTERS, 100).await;
    assert_eq!(first, fates(&QUARTERS, 100).await);
    assert_ne!(first, fates(&Faults { seed: 12, ..QUARTERS }, 100).await);
    // Waiting changes nothing of it.
    tokio::time::pause();
    assert_eq!(first, fates(&Faults { delay: Duration::from_millis(5), ..QUARTERS }, 100).await);
}

#[tokio::test(start_paused = true)]
async fn operations_wait_up_to_the_delay() {
    let delay = Duration::from_millis(100);
    let store = Faults { delay, ..Faults::default() }.layer(Arc::new(Memory::new()));
    let begun = Stopwatch::start();
    for _ in 0..100 {
        let one = Stopwatch::start();
        store.delete(&key(1)).await.unwrap();
        // The timer's grain is a millisecond.
        assert!(one.elapsed() <= delay + Duration::from_millis(1));
    }
    assert!(begun.elapsed() > delay * 20, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn by_default_nothing_is_wrong() {
    let fates = fates(&Faults::default(), 100).await;
    assert_eq!(fates, vec![(true, None); 100]);
}
