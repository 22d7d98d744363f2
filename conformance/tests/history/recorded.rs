//! Histories that were really recorded, and how long the checker takes for a long one.

use std::sync::Arc;

use holdover_api::{ManualClock, Memory, On, SessionKey, SessionStore};
use holdover_conformance::Random;
use holdover_conformance::history::{Answer, Call, Outcome, Recorder, Who};

use crate::bench::{NOW, record, verdict, write};

const KEY: SessionKey = SessionKey::from_bytes([1; 32]);

fn store() -> Arc<dyn SessionStore> {
    Arc::new(Memory::new().with_clock(Arc::new(ManualClock::at(NOW))))
}

fn who(store: &dyn SessionStore, client: usize) -> Who<'_> {
    Who { client, node: 0, store, session: 0, key: &KEY }
}

#[tokio::test]
async fn a_recorder_notes_calls_answers_and_times() {
    let (store, recorder) = (store(), Recorder::new());
    let create = Call::Save(write(On::Absent { created: NOW }, 0, "n", "1"));
    recorder.call(who(&*store, 0), create, 0).await;
    let outcome = recorder.call(who(&*store, 0), Call::Load, 0).await;
    let expected = Answer::Loaded(Some(record(&[(0, "n", "1")])));
    assert!(matches!(outcome, Outcome::Answered(answer) if answer == expected));
    let history = recorder.of_session(0);
    assert_eq!(history.len(), 2);
    assert!(!history[0].overlaps(&history[1]));
    assert!(history[0].returned < history[1].invoked);
    assert!(recorder.of_session(1).is_empty());
    assert!(verdict(&history));
}

#[tokio::test]
async fn clients_that_yield_around_their_calls_overlap() {
    let (store, recorder) = (store(), Recorder::new());
    let one = recorder.call(who(&*store, 0), Call::Load, 2);
    let two = recorder.call(who(&*store, 1), Call::Delete, 2);
    tokio::join!(one, two);
    let history = recorder.of_session(0);
    assert!(history[0].overlaps(&history[1]));
    assert!(verdict(&history));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_calls_of_five_clients_on_one_session_are_decided_within_the_budget() {
    const CLIENTS: u8 = 5;
    const CALLS: usize = 200;
    let (store, recorder) = (store(), Arc::new(Recorder::new()));
    let mut clients = tokio::task::JoinSet::new();
    for client in 0..CLIENTS {
        let (store, recorder) = (Arc::clone(&store), Arc::clone(&recorder));
        clients.spawn(async move {
            let mut random = Random::new(u64::from(client));
            for _ in 0..CALLS {
                let number = client * 50 + u8::try_from(random.below(50)).unwrap_or_default();
                let call = match random.below(8) {
                    0..3 => Call::Load,
                    3 => Call::Save(write(On::Absent { created: NOW }, number, "a", "1")),
                    4 => Call::Delete,
                    _ => Call::Save(write(On::Live, number, "b", "2")),
                };
                recorder.call(who(&*store, usize::from(client)), call, random.below(3)).await;
            }
        });
    }
    clients.join_all().await;
    let history = recorder.of_session(0);
    assert_eq!(history.len(), usize::from(CLIENTS) * CALLS);
    assert!(verdict(&history), "the memory store is not linearizable");
}
