//! Single steps: what is asked after each answer that a table may give, the odd ones included.

use std::sync::Arc;

use holdover_api::{
    Deadline, Delta, Lineage, Loaded, On, Record, Stamp, Stored, Timestamp, Token, Tombstone, Write,
};
use holdover_rotation::Generation;
use holdover_rotation::carry::{
    Answer, Ask, Bearings, Carry, Change, Held, Outcome, Request, Sight, Sighting, Step,
};

const NOW: Timestamp = Timestamp::from_millis(1_000);
const LEASE: Timestamp = Timestamp::from_millis(2_000);
const OLD: Generation = Generation::new(7);
const NEW: Generation = Generation::new(8);

fn bearings() -> Bearings {
    Bearings { now: NOW, read: Arc::new([NEW, OLD]), write: NEW, common: NEW }
}

fn stamp(number: u8) -> Stamp {
    Stamp::from_bytes([number; 16])
}

fn write(on: On) -> Write {
    let mut delta = Delta::default();
    delta.set("name", "value");
    Write { on, delta, stamp: stamp(2), deadline: Deadline::AtLeast(LEASE), base: None }
}

fn record(deadline: Timestamp) -> Record {
    Record::first(&Delta::default(), stamp(1), NOW, deadline)
}

fn live() -> Arc<Stored> {
    Arc::new(Stored::Record(record(LEASE)))
}

fn dead(lineage: Lineage) -> Arc<Stored> {
    Arc::new(Stored::Tombstone(Tombstone { lineage, deadline: LEASE }))
}

fn written() -> Arc<Stored> {
    Arc::new(Stored::Record(record(LEASE).after(&write(On::Live))))
}

fn read(table: Generation) -> Step {
    Step::Ask(Ask::Read { table, strongly: true })
}

fn put(table: Generation, stored: Arc<Stored>) -> Step {
    Step::Ask(Ask::Put { table, over: None, held: Held::Stored(stored) })
}

fn found(stored: Arc<Stored>) -> Answer {
    Answer::Found(Some(Held::Stored(stored)))
}

fn sealed(to: Generation, stored: Arc<Stored>) -> Answer {
    Answer::Found(Some(Held::Sealed { to, stored }))
}

/// A save whose first question was answered so.
fn merge(first: Answer) -> (Carry, Step) {
    let (mut carry, step) = Carry::begin(Request::save(&write(On::Live)), bearings());
    assert!(matches!(step, Step::Ask(Ask::Change { table: NEW, change: Change::Write(_) })));
    let step = carry.answered(first);
    (carry, step)
}

#[test]
fn a_save_of_what_is_in_the_current_table_is_one_access() {
    let (_, step) = merge(Answer::Changed(Some(stamp(1))));
    assert_eq!(step, Step::Done(Outcome::Saved(Some(stamp(1)))));
}

#[test]
fn a_save_goes_where_the_session_was_read_and_takes_it_along() {
    let base = Loaded { record: Arc::new(record(LEASE)), token: Some(Token::new(OLD)) };
    let write = Write { base: Some(base), ..write(On::Live) };
    let (mut carry, step) = Carry::begin(Request::save(&write), bearings());
    assert!(matches!(step, Step::Ask(Ask::Seal { table: OLD, to: NEW, .. })));
    assert_eq!(carry.answered(Answer::Sealed(written())), put(NEW, written()));
    assert!(carry.wrote());
    // Somebody who met the seal was faster, and more has happened since.
    let step = carry.answered(Answer::Refused(Sight::Held(Held::Stored(dead(Lineage::new(stamp(9)))))));
    assert_eq!(step, Step::Done(Outcome::Saved(Some(stamp(1)))));
}

#[test]
fn a_note_of_a_table_that_nobody_reads_any_more_is_not_followed() {
    let base = Loaded { record: Arc::new(record(LEASE)), token: Some(Token::new(Generation::new(3))) };
    let write = Write { base: Some(base), ..write(On::Live) };
    let (_, step) = Carry::begin(Request::save(&write), bearings());
    assert!(matches!(step, Step::Ask(Ask::Change { table: NEW, .. })));
}

#[test]
fn a_refusal_that_shows_nothing_counts_as_a_read_of_the_newest_table() {
    let (mut carry, step) = merge(Answer::Refused(Sight::Nothing));
    assert_eq!(step, read(OLD));
    assert_eq!(carry.answered(Answer::Found(None)), Step::Done(Outcome::Gone));
}

#[test]
fn a_refusal_that_says_nothing_is_looked_at() {
    let (mut carry, step) = merge(Answer::Refused(Sight::Unseen));
    assert_eq!(step, read(NEW));
    let dead = found(dead(Lineage::new(stamp(1))));
    assert_eq!(carry.answered(dead), Step::Done(Outcome::Gone));
}

#[test]
fn a_lost_answer_is_found_in_the_lineage_wherever_it_went() {
    let (mut carry, step) = merge(Answer::Lost);
    assert_eq!(step, read(NEW));
    assert!(carry.wrote());
    assert_eq!(carry.answered(found(written())), Step::Done(Outcome::Saved(Some(stamp(1)))));

    // It was sealed before, and somebody has carried it and destroyed it since.
    let newer = NEW.next();
    let (mut carry, _) = merge(Answer::Lost);
    assert_eq!(carry.answered(sealed(newer, written())), read(newer));
    let step = carry.answered(found(dead(written().lineage().pushed(stamp(9)))));
    assert_eq!(step, Step::Done(Outcome::Saved(Some(stamp(1)))));

    // It has not happened: it is asked for again.
    let (mut carry, _) = merge(Answer::Lost);
    assert!(matches!(carry.answered(found(live())), Step::Ask(Ask::Change { table: NEW, .. })));
}

#[test]
fn what_eight_other_writes_have_overtaken_is_unknown() {
    let base = Loaded { record: Arc::new(record(LEASE)), token: None };
    let write = Write { base: Some(base), ..write(On::Head(stamp(1))) };
    let (mut carry, _) = Carry::begin(Request::save(&write), bearings());
    carry.answered(Answer::Lost);
    let mut far = record(LEASE);
    for number in 10..18 {
        far.lineage = far.lineage.pushed(stamp(number));
    }
    let step = carry.answered(found(Arc::new(Stored::Record(far))));
    assert_eq!(step, Step::Done(Outcome::Unknown));
}

#[test]
fn a_lost_touch_of_a_session_that_was_then_destroyed_is_unknown() {
    let (mut carry, _) = Carry::begin(Request::Touch(LEASE), bearings());
    carry.answered(Answer::Lost);
    let step = carry.answered(found(dead(Lineage::new(stamp(1)))));
    assert_eq!(step, Step::Done(Outcome::Unknown));
}

#[test]
fn a_touch_that_extends_nothing_moves_nothing() {
    let (mut carry, _) = Carry::begin(Request::Touch(LEASE), bearings());
    assert_eq!(carry.answered(Answer::Refused(Sight::Nothing)), read(OLD));
    assert_eq!(carry.answered(found(live())), Step::Done(Outcome::Touched(true)));
}

#[test]
fn a_load_completes_a_move_and_an_inspection_does_not() {
    let (mut load, _) = Carry::begin(Request::Load { at_least: None }, bearings());
    load.answered(Answer::Found(None));
    assert_eq!(load.answered(sealed(NEW, live())), read(NEW));
    assert_eq!(load.answered(Answer::Found(None)), put(NEW, live()));
    let there = Sighting { table: NEW, stored: live() };
    assert_eq!(load.answered(Answer::Changed(None)), Step::Done(Outcome::Found(Some(there.clone()))));
    assert!(!load.wrote(), "not in its own name");

    let (mut inspect, _) = Carry::begin(Request::Inspect, bearings());
    inspect.answered(Answer::Found(None));
    inspect.answered(sealed(NEW, live()));
    assert_eq!(inspect.answered(Answer::Found(None)), Step::Done(Outcome::Found(Some(there))));
}

#[test]
fn a_table_that_is_gone_is_never_a_miss() {
    let (mut load, _) = Carry::begin(Request::Load { at_least: None }, bearings());
    load.answered(Answer::Found(None));
    assert_eq!(load.answered(Answer::NoTable), Step::Ask(Ask::Refresh));
    let newer = Bearings { read: Arc::new([NEW]), ..bearings() };
    assert_eq!(load.answered(Answer::Bearings(newer)), read(NEW));
    assert!(matches!(load.answered(found(live())), Step::Done(Outcome::Found(Some(_)))));
}

#[test]
fn tables_that_keep_vanishing_make_it_unavailable() {
    let (mut load, mut step) = Carry::begin(Request::Load { at_least: None }, bearings());
    let mut asked = 0;
    while step != Step::Done(Outcome::Unavailable) {
        asked += 1;
        assert!(asked < 100, "it goes on for ever");
        step = match step {
            Step::Ask(Ask::Refresh) => load.answered(Answer::Bearings(bearings())),
            _ => load.answered(Answer::NoTable),
        };
    }
}

#[test]
fn a_table_that_refuses_what_it_should_not_is_not_asked_for_ever() {
    let (mut carry, mut step) = merge(Answer::Refused(Sight::Held(Held::Stored(live()))));
    let mut asked = 0;
    while step != Step::Done(Outcome::Unavailable) {
        asked += 1;
        assert!(asked < 100, "it goes on for ever");
        step = carry.answered(Answer::Refused(Sight::Held(Held::Stored(live()))));
    }
}

#[test]
fn a_cheap_read_counts_if_it_holds_the_write_and_is_not_history() {
    let cheap = |table| Step::Ask(Ask::Read { table, strongly: false });
    let begin = || Carry::begin(Request::Load { at_least: Some(stamp(1)) }, bearings());
    let (mut load, step) = begin();
    assert_eq!(step, cheap(NEW));
    assert_eq!(load.answered(Answer::Found(None)), cheap(OLD));
    assert!(matches!(load.answered(found(live())), Step::Done(Outcome::Found(Some(_)))));

    let other = Stored::Record(Record { lineage: Lineage::new(stamp(5)), ..record(LEASE) });
    for answer in [found(Arc::new(other)), sealed(NEW.next(), live()), found(dead(Lineage::new(stamp(1))))] {
        let (mut load, _) = begin();
        assert_eq!(load.answered(answer), read(NEW), "falls back to the latest");
    }
}

#[test]
fn a_create_right_after_a_boundary_passes_by_the_table_before() {
    let create = Request::save(&write(On::Absent { created: NOW }));
    let (mut carry, step) = Carry::begin(create, Bearings { common: OLD, ..bearings() });
    let Step::Ask(Ask::Put { table: OLD, over: None, held: Held::Sealed { to: NEW, stored } }) = step else {
        panic!("it goes to the common table first: {step:?}");
    };
    assert_eq!(carry.answered(Answer::Changed(None)), put(NEW, Arc::clone(&stored)));
    // Its note alone is no success: somebody else came first in the table that counts.
    let step = carry.answered(Answer::Refused(Sight::Held(Held::Stored(live()))));
    assert!(matches!(step, Step::Done(Outcome::Conflict(_))));
}

#[test]
fn a_create_replaces_what_has_passed_its_deadline() {
    let create = Request::save(&write(On::Absent { created: NOW }));
    let (mut carry, step) = Carry::begin(create, bearings());
    assert_eq!(step, read(OLD));
    let expired = Arc::new(Stored::Record(record(NOW)));
    let step = carry.answered(found(Arc::clone(&expired)));
    let Step::Ask(Ask::Put { table: OLD, over, held: Held::Sealed { to: NEW, .. } }) = step else {
        panic!("it is sealed as something new: {step:?}");
    };
    assert_eq!(over, Some(expired.standing()));
}

#[test]
fn what_cannot_be_read_is_corrupt_and_can_be_deleted() {
    let (mut load, _) = Carry::begin(Request::Load { at_least: None }, bearings());
    let step = load.answered(Answer::Found(Some(Held::Unreadable)));
    assert_eq!(step, Step::Done(Outcome::Corrupt));

    let delete = Request::Delete { stamp: stamp(9), bury_absent: Some(LEASE) };
    let (mut delete, _) = Carry::begin(delete, bearings());
    let step = delete.answered(Answer::Refused(Sight::Held(Held::Unreadable)));
    let grave = Held::Stored(dead(Lineage::new(stamp(9))));
    assert_eq!(step, Step::Ask(Ask::Raze { table: NEW, held: grave }));
    assert_eq!(delete.answered(Answer::Changed(None)), Step::Done(Outcome::Deleted));

    // In an older table it may have been a seal: the session may be in a newer one.
    let delete = Request::Delete { stamp: stamp(9), bury_absent: Some(LEASE) };
    let newer = Bearings { read: Arc::new([NEW.next(), NEW]), ..bearings() };
    let (mut delete, _) = Carry::begin(delete, newer);
    delete.answered(Answer::Refused(Sight::Held(Held::Unreadable)));
    assert_eq!(delete.answered(Answer::Changed(None)), read(NEW.next()));
}

#[test]
fn a_seal_that_leads_nowhere_newer_is_corrupt() {
    for to in [OLD, NEW] {
        let (mut load, _) = Carry::begin(Request::Load { at_least: None }, bearings());
        assert_eq!(load.answered(sealed(to, live())), Step::Done(Outcome::Corrupt));
    }
}

#[test]
fn a_burial_by_a_layer_stays_where_it_is_unless_it_has_to_last_longer() {
    let over = Some(live().standing());
    let longer = Timestamp::from_millis(3_000);
    for (deadline, moves) in [(LEASE, false), (longer, true)] {
        let lineage = live().lineage().pushed(stamp(9));
        let new = Arc::new(Stored::Tombstone(Tombstone { lineage, deadline }));
        let install = Request::Install { over, new };
        let (mut carry, _) = Carry::begin(install, bearings());
        carry.answered(Answer::Found(None));
        let Step::Ask(Ask::Put { table: OLD, held, .. }) = carry.answered(found(live())) else {
            panic!("it is put over exactly what was found");
        };
        assert_eq!(matches!(held, Held::Sealed { .. }), moves);
    }
}

#[test]
fn an_answer_to_something_else_is_a_mismatch() {
    let (mut load, _) = Carry::begin(Request::Load { at_least: None }, bearings());
    assert_eq!(load.answered(Answer::Changed(None)), Step::Done(Outcome::Mismatch));
    let (_, step) = merge(Answer::Found(None));
    assert_eq!(step, Step::Done(Outcome::Mismatch));
}

#[test]
fn what_was_found_says_where_for_the_next_save() {
    let loaded = Sighting { table: OLD, stored: live() }.into_loaded().expect("a record");
    assert_eq!(loaded.token.and_then(|token| token.get::<Generation>().copied()), Some(OLD));
    assert!(Sighting { table: OLD, stored: dead(Lineage::new(stamp(1))) }.into_loaded().is_none());
}
