//! A pair over two stages: what it asks of them, and what it makes of their failures.

use std::sync::Arc;
use std::time::Duration;

use holdover_api::{
    Clock, Effect, ErrorKind, ManualClock, On, Operation, SaveAnswer, SessionStore, SessionStoreExt,
    Stopwatch, Stored, SystemClock, within,
};
use holdover_layers::failover::{Backup, Failover, FailoverSettings};

use crate::stage::{Act, Gate, LIFETIME, Stage, creation, key, saved, value, write};

pub(crate) struct Pair {
    pub(crate) head: Arc<Stage>,
    pub(crate) tail: Arc<Stage>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) store: Failover,
}

/// Two nodes that have been asked since when they are up.
async fn pair_with(settings: FailoverSettings) -> Pair {
    let clock = Arc::new(ManualClock::at(SystemClock.now()));
    let stage = || Stage::with_clock(Arc::clone(&clock) as Arc<dyn Clock>);
    let (head, tail) = (stage(), stage());
    let stores: [Arc<dyn SessionStore>; 2] = [Arc::clone(&head) as _, Arc::clone(&tail) as _];
    let [one, other] = stores;
    let store = Failover::new(one, other, settings, Arc::clone(&clock) as Arc<dyn Clock>);
    store.prepare().await.unwrap();
    let pair = Pair { head, tail, clock, store };
    pair.calls();
    pair
}

pub(crate) async fn pair() -> Pair {
    pair_with(FailoverSettings::default()).await
}

pub(crate) const DOWN: Act = Act::Fail(ErrorKind::Unavailable, Effect::None);

impl Pair {
    /// What has reached the nodes since this was last asked.
    fn calls(&self) -> (Vec<Operation>, Vec<Operation>) {
        (self.head.calls(), self.tail.calls())
    }

    /// A node answers again: works until it is believed.
    async fn believed_again(&self, node: &Stage) {
        node.always(Act::Play);
        let believed = async {
            loop {
                node.calls();
                // Time passes only when it is waited for: it is paused.
                tokio::time::sleep(Duration::from_millis(10)).await;
                let _ = self.store.inspect(&key(250)).await;
                if node.calls() == [Operation::Inspect] {
                    return;
                }
            }
        };
        assert!(within(Duration::from_secs(30), believed).await.is_some(), "the node is never asked again");
    }
}

pub(crate) async fn merge(store: &Failover, number: u8) -> Result<SaveAnswer, holdover_api::Error> {
    store.save(&key(1), &write(On::Live, number)).await
}

pub(crate) async fn read(store: &Failover) -> Option<String> {
    value(store.load_latest(&key(1)).await.unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_read_is_one_call_to_each_node_and_a_write_after_it_one_more() {
    let pair = pair().await;
    assert!(saved(&pair.store.save(&key(1), &creation(1)).await));
    assert_eq!(pair.calls(), (vec![Operation::Install], vec![Operation::Install]), "a create");

    let base = pair.store.load_latest(&key(1)).await.unwrap();
    assert_eq!(pair.calls(), (vec![Operation::Inspect], vec![Operation::Inspect]), "a read");

    let mut change = write(On::Live, 2);
    change.base = base;
    assert!(saved(&pair.store.save(&key(1), &change).await));
    assert_eq!(pair.calls(), (vec![Operation::Install], vec![Operation::Install]), "a write after a read");

    pair.store.delete(&key(1)).await.unwrap();
    let read_and_written = vec![Operation::Inspect, Operation::Install];
    assert_eq!(pair.calls(), (read_and_written.clone(), read_and_written), "a logout");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_hangs_costs_one_time_out_and_not_one_a_request() {
    let pair = pair().await;
    assert!(saved(&pair.store.save(&key(1), &creation(1)).await));
    pair.head.always(Act::Hang);
    pair.calls();
    let begun = Stopwatch::start();
    for number in 2..=20 {
        assert_eq!(read(&pair.store).await.as_deref(), Some(&*(number - 1).to_string()));
        assert!(saved(&merge(&pair.store, number).await));
    }
    assert_eq!(begun.elapsed(), Duration::from_millis(250));
    assert_eq!(pair.head.calls(), [Operation::Inspect], "it was asked once");
    let counts = pair.store.counts();
    assert_eq!((counts.breaker_openings, counts.half_copies), (1, 19));
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_node_when_it_is_given_up_waits_no_longer() {
    let pair = pair().await;
    assert!(saved(&pair.store.save(&key(1), &creation(1)).await));
    pair.head.always(Act::Hang);
    let begun = Stopwatch::start();
    let late = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        read(&pair.store).await
    };
    let (early, late) = tokio::join!(read(&pair.store), late);
    assert_eq!((early.as_deref(), late.as_deref()), (Some("1"), Some("1")));
    assert_eq!(begun.elapsed(), Duration::from_millis(250), "one time-out for both");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_fails_is_probed_behind_the_requests() {
    let pair = pair().await;
    assert!(saved(&pair.store.save(&key(1), &creation(1)).await));
    pair.tail.always(Act::Hang);
    read(&pair.store).await;
    pair.tail.calls();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(pair.tail.calls(), [], "nothing is asked while nobody asks");
    let begun = Stopwatch::start();
    read(&pair.store).await;
    assert_eq!(begun.elapsed(), Duration::ZERO, "the request does not wait for the probe");
    pair.believed_again(&pair.tail).await;
}

#[tokio::test(start_paused = true)]
async fn a_head_that_comes_back_with_old_data_is_not_believed_however_old_it_is() {
    let pair = pair().await;
    assert!(saved(&pair.store.save(&key(1), &creation(1)).await));
    pair.head.always(DOWN);
    for number in 2..=30 {
        assert!(saved(&merge(&pair.store, number).await));
    }
    pair.believed_again(&pair.head).await;
    assert_eq!(read(&pair.store).await.as_deref(), Some("30"));
    assert_eq!(
        value(pair.head.memory.load_latest(&key(1)).await.unwrap()).as_deref(),
        Some("30"),
        "repaired"
    );
    assert_eq!((pair.store.counts().repairs, pair.store.counts().divergences), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_lost_its_memory_is_filled_from_the_other() {
    let pair = pair().await;
    assert!(saved(&pair.store.save(&key(1), &creation(1)).await));
    for node in [&pair.head, &pair.tail] {
        node.memory.delete(&key(1)).await.unwrap();
        assert_eq!(read(&pair.store).await.as_deref(), Some("1"));
        assert_eq!(value(node.memory.load_latest(&key(1)).await.unwrap()).as_deref(), Some("1"));
    }
    assert_eq!(pair.store.counts().repairs, 2);
}

#[tokio::test(start_paused = true)]
async fn a_logout_that_one_node_missed_stays_a_logout() {
    for misses_it in [0, 1] {
        let pair = pair().await;
        assert!(saved(&pair.store.save(&key(1), &creation(1)).await));
        let node = if misses_it == 0 { &pair.head } else { &pair.tail };
        node.always(DOWN);
        pair.store.delete(&key(1)).await.unwrap();
        pair.believed_again(node).await;
        assert_eq!(read(&pair.store).await, None);
        assert!(matches!(merge(&pair.store, 2).await, Ok(SaveAnswer::Gone)));
        assert!(node.memory.load_latest(&key(1)).await.unwrap().is_none(), "the copy was buried, too");
    }
}

#[tokio::test(start_paused = true)]
async fn a_logout_is_kept_even_where_nothing_was_known_of_the_session() {
    for holds_it in [0, 1] {
        let pair = pair().await;
        let (node, other) = if holds_it == 0 { (&pair.head, &pair.tail) } else { (&pair.tail, &pair.head) };
        assert!(saved(&pair.store.save(&key(1), &creation(1)).await));
        // More writes than a lineage remembers: the one that buries it knows none of them.
        for number in 2..=12 {
            assert!(saved(&merge(&pair.store, number).await));
        }
        // The other node has lost it, and the one that holds it cannot be reached.
        other.memory.delete(&key(1)).await.unwrap();
        node.always(DOWN);
        pair.store.delete(&key(1)).await.unwrap();
        pair.believed_again(node).await;
        assert_eq!(read(&pair.store).await, None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_tombstone_outlives_whatever_could_extend_a_copy_that_it_did_not_reach() {
    let pair = pair().await;
    assert!(saved(&pair.store.save(&key(1), &creation(1)).await));
    pair.store.delete(&key(1)).await.unwrap();
    let stored = pair.store.inspect(&key(1)).await.unwrap();
    let Some(Stored::Tombstone(tombstone)) = stored else { panic!("a tombstone, and not {stored:?}") };
    let lease = tombstone.deadline.since(pair.clock.now());
    assert!(lease >= FailoverSettings::default().max_lease, "{lease:?}");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_is_young_cannot_say_that_a_session_is_not_there() {
    let pair = pair().await;
    pair.tail.always(DOWN);
    let error = pair.store.load_latest(&key(1)).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, Effect::None));
    let error = merge(&pair.store, 2).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, Effect::None));
    assert!(pair.store.touch(&key(1), pair.clock.now() + LIFETIME).await.is_err());

    let settings = FailoverSettings::default();
    pair.clock.advance(settings.max_lease + settings.max_skew);
    assert_eq!(read(&pair.store).await, None, "it has been up for longer than any session lives");
}

#[tokio::test(start_paused = true)]
async fn sessions_that_both_nodes_may_have_forgotten_are_counted() {
    let pair = pair().await;
    assert_eq!(read(&pair.store).await, None);
    assert_eq!(pair.store.counts().losses, 1);
    let settings = FailoverSettings::default();
    pair.clock.advance(settings.max_lease + settings.max_skew);
    assert_eq!(read(&pair.store).await, None);
    assert_eq!(pair.store.counts().losses, 1, "what has never been there is no loss");
}

#[tokio::test(start_paused = true)]
async fn with_both_nodes_down_everything_is_unavailable_and_nothing_is_made() {
    let pair = pair().await;
    assert!(saved(&pair.store.save(&key(1), &creation(1)).await));
    pair.head.always(DOWN);
    pair.tail.always(DOWN);
    let unavailable =
        |error: holdover_api::Error| assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    unavailable(pair.store.load_latest(&key(1)).await.unwrap_err());
    unavailable(merge(&pair.store, 2).await.unwrap_err());
    unavailable(pair.store.save(&key(2), &creation(1)).await.unwrap_err());
    unavailable(pair.store.touch(&key(1), pair.clock.now() + LIFETIME * 2).await.unwrap_err());
    unavailable(pair.store.delete(&key(1)).await.unwrap_err());
    unavailable(pair.store.inspect(&key(1)).await.unwrap_err());
    assert!(pair.head.memory.load_latest(&key(2)).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_write_with_one_node_is_acknowledged_and_counted_or_refused_as_the_settings_say() {
    let pair = pair().await;
    pair.tail.always(DOWN);
    assert!(saved(&pair.store.save(&key(1), &creation(1)).await));
    assert_eq!(pair.store.counts().half_copies, 1);

    let strict = pair_with(FailoverSettings { half_copies: false, ..FailoverSettings::default() }).await;
    assert!(saved(&strict.store.save(&key(1), &creation(1)).await));
    strict.tail.always(DOWN);
    assert_eq!(read(&strict.store).await.as_deref(), Some("1"), "reads need one");
    let error = merge(&strict.store, 2).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, Effect::Unknown));
}

#[tokio::test(start_paused = true)]
async fn split_brain_is_counted_and_one_side_counts_everywhere() {
    let pair = pair().await;
    assert!(saved(&pair.store.save(&key(1), &creation(1)).await));
    pair.tail.always(DOWN);
    assert!(saved(&merge(&pair.store, 2).await));
    // The second fault, before anybody has looked: now the head is gone, and the tail is back.
    let other = Failover::new(
        Arc::clone(&pair.head) as Arc<dyn SessionStore>,
        Arc::clone(&pair.tail) as Arc<dyn SessionStore>,
        FailoverSettings::default(),
        Arc::clone(&pair.clock) as Arc<dyn Clock>,
    );
    pair.tail.always(Act::Play);
    pair.head.always(DOWN);
    assert!(saved(&merge(&other, 3).await));
    pair.head.always(Act::Play);

    let third = Failover::new(
        Arc::clone(&pair.head) as Arc<dyn SessionStore>,
        Arc::clone(&pair.tail) as Arc<dyn SessionStore>,
        FailoverSettings::default(),
        Arc::clone(&pair.clock) as Arc<dyn Clock>,
    );
    assert_eq!(read(&third).await.as_deref(), Some("3"));
    assert_eq!(third.counts().divergences, 1, "the loss is not hidden");
    assert_eq!(value(pair.head.memory.load_latest(&key(1)).await.unwrap()).as_deref(), Some("3"));
}

#[tokio::test(start_paused = true)]
async fn an_asynchronous_backup_is_written_behind_the_answer() {
    let pair = pair_with(FailoverSettings { backup: Backup::After, ..FailoverSettings::default() }).await;
    let gate = Gate::new();
    pair.tail.script([Act::HappenAt(Arc::clone(&gate))]);
    assert!(saved(&pair.store.save(&key(1), &creation(1)).await), "the tail has not answered yet");
    gate.reached().await;
    assert!(pair.tail.memory.load_latest(&key(1)).await.unwrap().is_none());
    gate.open();
    // The next write waits for its turn, so that the tail has the first one then.
    assert!(saved(&merge(&pair.store, 2).await));
    assert!(pair.tail.memory.load_latest(&key(1)).await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn what_is_too_large_changes_neither_node() {
    let pair = pair().await;
    assert!(saved(&pair.store.save(&key(1), &creation(1)).await));
    pair.calls();
    let mut large = write(On::Live, 2);
    large.delta.set("large", vec![0; pair.store.capabilities().max_bytes]);
    let error = pair.store.save(&key(1), &large).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::TooLarge, Effect::None));
    assert_eq!(pair.calls(), (vec![Operation::Inspect], vec![Operation::Inspect]));
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_is_no_outage_is_passed_on_and_gives_no_node_up() {
    let pair = pair().await;
    assert!(saved(&pair.store.save(&key(1), &creation(1)).await));
    for kind in [ErrorKind::Denied, ErrorKind::Throttled, ErrorKind::Corrupt] {
        pair.tail.script([Act::Fail(kind, Effect::None)]);
        let error = pair.store.load_latest(&key(1)).await.unwrap_err();
        assert_eq!((error.kind(), error.effect()), (kind, Effect::None));
    }
    // The head has it by then.
    pair.tail.script([Act::Play, Act::Fail(ErrorKind::Throttled, Effect::None)]);
    let error = merge(&pair.store, 2).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Throttled, Effect::Unknown));
    assert_eq!(pair.store.counts().breaker_openings, 0);
    assert_eq!(read(&pair.store).await.as_deref(), Some("2"), "whoever looks next brings it to its end");
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_can_be_destroyed() {
    let pair = pair().await;
    assert!(saved(&pair.store.save(&key(1), &creation(1)).await));
    pair.tail.script([Act::Fail(ErrorKind::Corrupt, Effect::None)]);
    pair.store.delete(&key(1)).await.unwrap();
    assert_eq!(read(&pair.store).await, None);
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_answer_was_lost_on_the_head_is_brought_to_its_end_on_both() {
    let pair = pair().await;
    assert!(saved(&pair.store.save(&key(1), &creation(1)).await));
    pair.head.script([Act::Play, Act::Unheard]);
    assert!(saved(&merge(&pair.store, 2).await));
    pair.believed_again(&pair.head).await;
    let heads: Vec<_> = [&pair.head, &pair.tail].map(Arc::clone).into();
    for node in heads {
        let record = node.memory.load_latest(&key(1)).await.unwrap().unwrap().record;
        assert_eq!(record.lineage.stamps().len(), 2, "it has happened once");
    }
}
