//! Every combination of what can be stored and what can be asked, and the memory store against the judge.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use holdover_api::{
    Attributes, Clock, Deadline, Delta, Freshness, InstallAnswer, InstallVerdict, Lineage, ManualClock,
    Memory, On, Record, SaveAnswer, SessionKey, SessionStore, Stamp, Standing, Stored, Timestamp, Tombstone,
    Verdict, Write, judge, judge_install, judge_touch,
};
use proptest::prelude::{Just, Strategy, any, prop, prop_oneof};
use proptest::{prop_assert, prop_assert_eq, proptest};

const NOW: Timestamp = Timestamp::from_millis(1_000);

fn stamp(number: u8) -> Stamp {
    Stamp::from_bytes([number; 16])
}

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// A record with the head 3, which has seen the writes 1 and 2 before, and the attributes `a` and `b`.
fn record(deadline: Timestamp) -> Record {
    let attributes = Attributes::from([("a".into(), "1".into()), ("b".into(), "2".into())]);
    let lineage = Lineage::new(stamp(1)).pushed(stamp(2)).pushed(stamp(3));
    Record { attributes, lineage, created: at(10), deadline }
}

fn tombstone(deadline: Timestamp) -> Stored {
    Stored::Tombstone(Tombstone { lineage: Lineage::new(stamp(3)), deadline })
}

fn write(on: On, number: u8, deadline: Deadline) -> Write {
    let mut delta = Delta::default();
    delta.set("a", "new");
    delta.remove("b");
    delta.set("c", "3");
    Write { on, delta, stamp: stamp(number), deadline, base: None }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Expected {
    Created,
    Merged,
    Repeated,
    Conflict,
    Gone,
}

/// The whole table of the contract, written down a second time by hand: S5 to S9.
fn expected(stored: &str, on: &str, is_repeat: bool) -> Expected {
    match (stored, on, is_repeat) {
        ("live", _, true) => Expected::Repeated,
        ("live", "absent" | "stale head", false) => Expected::Conflict,
        ("live", "live" | "head", false) => Expected::Merged,
        ("nothing" | "expired" | "expired tombstone", "absent", _) => Expected::Created,
        ("nothing" | "expired" | "expired tombstone", _, _) => Expected::Gone,
        ("tombstone", _, _) => Expected::Gone,
        other => unreachable!("{other:?}"),
    }
}

#[test]
fn every_combination_is_judged_as_the_contract_says() {
    let states = [
        ("nothing", None),
        ("live", Some(Stored::Record(record(at(1_001))))),
        ("expired", Some(Stored::Record(record(at(1_000))))),
        ("tombstone", Some(tombstone(at(1_001)))),
        ("expired tombstone", Some(tombstone(at(1_000)))),
    ];
    let preconditions = [
        ("absent", On::Absent { created: at(20) }),
        ("live", On::Live),
        ("head", On::Head(stamp(3))),
        ("stale head", On::Head(stamp(2))),
    ];
    let deadlines = [Deadline::AtLeast(at(900)), Deadline::AtLeast(at(5_000)), Deadline::Exactly(at(900))];
    let mut combinations = 0;
    for (state, stored) in &states {
        for (precondition, on) in preconditions {
            for number in [9, 3, 1] {
                for deadline in deadlines {
                    let write = write(on, number, deadline);
                    let verdict = judge(NOW, stored.as_ref(), &write);
                    let context =
                        format!("{state}, {precondition}, stamp {number}, {deadline:?}: {verdict:?}");
                    check(&expected(state, precondition, number != 9), &verdict, &write, &context);
                    combinations += 1;
                }
            }
        }
    }
    assert_eq!(combinations, 5 * 4 * 3 * 3);
}

fn check(expected: &Expected, verdict: &Verdict, write: &Write, context: &str) {
    match (expected, verdict) {
        (Expected::Created, Verdict::Apply { record, previous: None }) => {
            assert_eq!(record.attributes.keys().collect::<Vec<_>>(), ["a", "c"], "{context}");
            assert_eq!(record.lineage.stamps(), [write.stamp], "{context}");
            assert_eq!(record.created, at(20), "{context}");
            assert_eq!(record.deadline, write.deadline.moment(), "{context}");
        }
        (Expected::Merged, Verdict::Apply { record, previous }) => {
            assert_eq!(*previous, Some(stamp(3)), "{context}");
            assert_eq!(record.attributes.get("a").unwrap(), "new", "{context}");
            assert_eq!(record.attributes.keys().collect::<Vec<_>>(), ["a", "c"], "{context}");
            assert_eq!(record.lineage.stamps(), [write.stamp, stamp(3), stamp(2), stamp(1)], "{context}");
            assert_eq!(record.created, at(10), "{context}");
            let deadline = match write.deadline {
                Deadline::AtLeast(moment) => moment.max(at(1_001)),
                Deadline::Exactly(moment) => moment,
            };
            assert_eq!(record.deadline, deadline, "{context}");
        }
        (Expected::Repeated, Verdict::Repeated { previous }) => {
            let before = if write.stamp == stamp(3) { Some(stamp(2)) } else { None };
            assert_eq!(*previous, before, "{context}");
        }
        (Expected::Conflict, Verdict::Conflict) | (Expected::Gone, Verdict::Gone) => {}
        _ => panic!("expected {expected:?}: {context}"),
    }
}

#[test]
fn a_clear_removes_what_others_set_and_keeps_what_comes_with_it() {
    let mut write = write(On::Live, 9, Deadline::AtLeast(NOW));
    write.delta.clear();
    write.delta.set("only", "x");
    let Verdict::Apply { record, .. } = judge(NOW, Some(&Stored::Record(record(at(2_000)))), &write) else {
        panic!("a merge into a live record applies");
    };
    assert_eq!(record.attributes.keys().collect::<Vec<_>>(), ["only"]);
}

#[test]
fn a_touch_only_ever_extends_and_only_what_is_alive() {
    let live = Stored::Record(record(at(1_001)));
    assert_eq!(judge_touch(NOW, Some(&live), at(3_000)), Some(at(3_000)));
    assert_eq!(judge_touch(NOW, Some(&live), at(500)), Some(at(1_001)));
    let dead = Stored::Record(record(at(1_000)));
    for stored in [None, Some(dead), Some(tombstone(at(5_000)))] {
        assert_eq!(judge_touch(NOW, stored.as_ref(), at(3_000)), None, "{stored:?}");
    }
}

#[test]
fn an_installation_stands_on_exactly_what_it_expects() {
    let live = Stored::Record(record(at(2_000)));
    let other = Stored::Record(Record { lineage: Lineage::new(stamp(7)), ..record(at(2_000)) });
    let dead = Stored::Record(record(at(1_000)));
    let grave = tombstone(at(2_000));
    let verdict = |stored: Option<&Stored>, over, new: &Stored| judge_install(NOW, stored, over, new);

    let standing = |head| Some(Standing { head: stamp(head), deadline: at(2_000) });

    assert_eq!(verdict(None, None, &live), InstallVerdict::Apply);
    assert_eq!(verdict(Some(&dead), None, &live), InstallVerdict::Apply, "expired is nothing");
    assert_eq!(verdict(Some(&dead), standing(3), &live), InstallVerdict::Refused);
    assert_eq!(verdict(None, standing(3), &live), InstallVerdict::Refused);
    assert_eq!(verdict(Some(&live), None, &other), InstallVerdict::Refused);
    assert_eq!(verdict(Some(&live), standing(2), &other), InstallVerdict::Refused);
    assert_eq!(verdict(Some(&live), standing(3), &other), InstallVerdict::Apply);
    assert_eq!(verdict(Some(&live), standing(3), &grave), InstallVerdict::Apply);
    assert_eq!(verdict(Some(&grave), standing(3), &live), InstallVerdict::Apply);
    assert_eq!(verdict(Some(&live), None, &live), InstallVerdict::Repeated);
    assert_eq!(verdict(Some(&live), standing(2), &live), InstallVerdict::Repeated);
    let touched = Stored::Record(record(at(2_500)));
    assert_eq!(verdict(Some(&touched), standing(3), &other), InstallVerdict::Refused, "touched since");
    assert_eq!(
        verdict(Some(&touched), standing(2), &live),
        InstallVerdict::Repeated,
        "installed, then touched"
    );
    assert_eq!(verdict(Some(&live), standing(2), &touched), InstallVerdict::Refused, "not extended yet");
    let other_kind = Stored::Tombstone(Tombstone { lineage: live.lineage().clone(), deadline: at(2_000) });
    assert_eq!(verdict(Some(&live), None, &other_kind), InstallVerdict::Refused);
}

#[derive(Clone, Debug)]
enum Step {
    Pass(u64),
    Load,
    Save(Write),
    Touch(u64),
    Delete,
    /// Over what is stored at the time, or over something else.
    Install(Option<Option<Standing>>, Stored),
}

fn any_stamp() -> impl Strategy<Value = Stamp> {
    // Few stamps, so that repeats and matching heads happen.
    (0_u8..12).prop_map(stamp)
}

fn any_moment() -> impl Strategy<Value = Timestamp> {
    (0_u64..3_000).prop_map(at)
}

fn any_write() -> impl Strategy<Value = Write> {
    let on = prop_oneof![
        any_moment().prop_map(|created| On::Absent { created }),
        Just(On::Live),
        any_stamp().prop_map(On::Head)
    ];
    let deadline =
        prop_oneof![any_moment().prop_map(Deadline::AtLeast), any_moment().prop_map(Deadline::Exactly)];
    let changes = prop::collection::vec((0_u8..4, any::<Option<u8>>()), 0..4);
    (on, any_stamp(), deadline, changes, any::<bool>()).prop_map(|(on, stamp, deadline, changes, clears)| {
        let mut delta = Delta::default();
        if clears {
            delta.clear();
        }
        for (name, value) in changes {
            match value {
                Some(value) => delta.set(name.to_string(), vec![value]),
                None => delta.remove(name.to_string()),
            }
        }
        Write { on, delta, stamp, deadline, base: None }
    })
}

fn any_stored() -> impl Strategy<Value = Stored> {
    (any_stamp(), any_moment(), any::<bool>()).prop_map(|(stamp, deadline, lives)| {
        let lineage = Lineage::new(stamp);
        match lives {
            true => Stored::Record(Record { attributes: Attributes::new(), lineage, created: NOW, deadline }),
            false => Stored::Tombstone(Tombstone { lineage, deadline }),
        }
    })
}

fn any_over() -> impl Strategy<Value = Option<Option<Standing>>> {
    let any_standing = (any_stamp(), any_moment()).prop_map(|(head, deadline)| Standing { head, deadline });
    prop_oneof![Just(None), Just(Some(None)), any_standing.prop_map(|standing| Some(Some(standing)))]
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => (0_u64..400).prop_map(Step::Pass),
        2 => Just(Step::Load),
        6 => any_write().prop_map(Step::Save),
        1 => (0_u64..3_000).prop_map(Step::Touch),
        1 => Just(Step::Delete),
        1 => (any_over(), any_stored()).prop_map(|(over, new)| Step::Install(over, new)),
    ]
}

proptest! {
    /// The memory store is the judge under a lock, and nothing else.
    #[test]
    fn the_memory_store_does_what_the_judge_says(
        steps in prop::collection::vec((any::<bool>(), any_step()), 1..60),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let clock = Arc::new(ManualClock::at(NOW));
        let store = Memory::new().with_clock(Arc::clone(&clock) as Arc<dyn Clock>);
        let mut model: HashMap<SessionKey, Stored> = HashMap::new();
        for (which, step) in steps {
            let key = SessionKey::from_bytes([u8::from(which); 32]);
            let now = clock.now();
            match step {
                Step::Pass(millis) => clock.advance(Duration::from_millis(millis)),
                Step::Load => {
                    let loaded = runtime.block_on(store.load(&key, Freshness::Latest)).unwrap();
                    let expected = model.get(&key).and_then(|stored| stored.as_live(now));
                    prop_assert_eq!(loaded.as_ref().map(|loaded| &*loaded.record), expected);
                }
                Step::Save(write) => {
                    let answer = runtime.block_on(store.save(&key, &write)).unwrap();
                    match (judge(now, model.get(&key), &write), answer) {
                        (Verdict::Apply { record, previous }, SaveAnswer::Saved { previous: said }) => {
                            prop_assert_eq!(previous, said);
                            model.insert(key, Stored::Record(record));
                        }
                        (Verdict::Repeated { previous }, SaveAnswer::Saved { previous: said }) => {
                            prop_assert_eq!(previous, said);
                        }
                        (Verdict::Conflict, SaveAnswer::Conflict { current }) => {
                            let expected = model.get(&key).and_then(|stored| stored.as_live(now));
                            prop_assert_eq!(current.as_ref().map(|loaded| &*loaded.record), expected);
                        }
                        (Verdict::Gone, SaveAnswer::Gone) => {}
                        (verdict, answer) => prop_assert!(false, "{verdict:?} was answered {answer:?}"),
                    }
                }
                Step::Touch(deadline) => {
                    let touched = runtime.block_on(store.touch(&key, at(deadline))).unwrap();
                    let extended = judge_touch(now, model.get(&key), at(deadline));
                    prop_assert_eq!(touched, extended.is_some());
                    if let (Some(extended), Some(Stored::Record(record))) = (extended, model.get_mut(&key)) {
                        record.deadline = extended;
                    }
                }
                Step::Delete => {
                    runtime.block_on(store.delete(&key)).unwrap();
                    model.remove(&key);
                }
                Step::Install(over, new) => {
                    let standing = model.get(&key).filter(|stored| !stored.is_over(now)).map(Stored::standing);
                    let over = over.unwrap_or(standing);
                    let verdict = judge_install(now, model.get(&key), over, &new);
                    let answer = runtime.block_on(store.install(&key, over, &new)).unwrap();
                    let installed = matches!(answer, InstallAnswer::Installed);
                    prop_assert_eq!(installed, verdict != InstallVerdict::Refused);
                    if verdict == InstallVerdict::Apply {
                        model.insert(key, new);
                    }
                }
            }
            let kept = runtime.block_on(store.inspect(&key)).unwrap();
            prop_assert_eq!(kept.as_ref(), model.get(&key));
        }
    }
}
