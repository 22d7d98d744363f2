//! A touch that the head has and the tail has not, and what others do meanwhile.

use std::sync::Arc;

use holdover_api::{Clock, Deadline, Effect, ErrorKind, On, SessionStore, SessionStoreExt, Timestamp, Write};
use holdover_layers::failover::{Failover, FailoverSettings};

use crate::failover::{DOWN, Pair, merge, pair};
use crate::stage::{Act, Gate, LIFETIME, Stage, creation, key, saved, write};

/// A session, and a touch of it that waits before the tail; whoever looks by way of `other` meets no gate.
struct HalfWay {
    pair: Pair,
    gate: Arc<Gate>,
    other: Failover,
    until: Timestamp,
}

impl HalfWay {
    async fn begin() -> Self {
        let pair = pair().await;
        assert!(saved(&pair.store.save(&key(1), &creation(1)).await));
        let gate = Gate::new();
        pair.tail.script([Act::Play, Act::HappenAt(Arc::clone(&gate))]);
        let other = over(&pair, Arc::new(pair.head.memory.clone()));
        let until = pair.clock.now() + LIFETIME * 3;
        Self { pair, gate, other, until }
    }

    /// The answer of the touch, let go when `meanwhile` has ended.
    async fn answer(&self, meanwhile: impl Future<Output = ()>) -> Result<bool, holdover_api::Error> {
        let meanwhile = async {
            self.gate.reached().await;
            meanwhile.await;
            self.gate.open();
        };
        let key = key(1);
        tokio::join!(self.pair.store.touch(&key, self.until), meanwhile).0
    }

    async fn deadline(&self) -> Timestamp {
        self.other.load_latest(&key(1)).await.unwrap().expect("a session").record.deadline
    }
}

/// Another application node, which reaches the tail, and this head.
fn over(pair: &Pair, head: Arc<dyn SessionStore>) -> Failover {
    let clock = Arc::clone(&pair.clock) as Arc<dyn Clock>;
    Failover::new(head, Arc::new(pair.tail.memory.clone()), FailoverSettings::default(), clock)
}

fn exactly(deadline: Timestamp, number: u8) -> Write {
    Write { deadline: Deadline::Exactly(deadline), ..write(On::Live, number) }
}

#[tokio::test(start_paused = true)]
async fn an_extension_that_was_seen_and_taken_back_is_not_made_again() {
    let half_way = HalfWay::begin().await;
    let earlier = half_way.pair.clock.now() + LIFETIME / 2;
    let meanwhile = async {
        assert_eq!(half_way.deadline().await, half_way.until, "whoever reads the head sees it");
        assert!(saved(&half_way.other.save(&key(1), &exactly(earlier, 2)).await));
        assert_eq!(half_way.deadline().await, earlier);
    };
    assert!(half_way.answer(meanwhile).await.unwrap(), "it has happened");
    assert_eq!(half_way.deadline().await, earlier, "and happens once");
}

#[tokio::test(start_paused = true)]
async fn an_extension_under_a_write_that_has_read_it_has_happened() {
    let half_way = HalfWay::begin().await;
    let meanwhile = async {
        assert!(saved(&merge(&half_way.other, 2).await));
    };
    assert!(half_way.answer(meanwhile).await.unwrap());
    assert_eq!(half_way.deadline().await, half_way.until);
}

#[tokio::test(start_paused = true)]
async fn an_extension_that_a_write_went_past_is_not_said_to_have_happened() {
    let half_way = HalfWay::begin().await;
    let cut_off = Stage::new();
    cut_off.always(DOWN);
    let cut_off = over(&half_way.pair, cut_off);
    let before = half_way.pair.clock.now() + LIFETIME * 2;
    let meanwhile = async {
        assert!(saved(&merge(&cut_off, 2).await));
        assert!(half_way.deadline().await < before, "a third one has made the copies equal: it is lost");
    };
    let error = half_way.answer(meanwhile).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, Effect::Unknown));
    assert!(half_way.pair.store.touch(&key(1), half_way.until).await.unwrap());
    assert_eq!(half_way.deadline().await, half_way.until, "the next one is made");
}
