//! The linearizability checker examined: histories that are bad in a known way are refused, their sound twins are not,
//! and on thousands of small histories it says what trying every order says.

use holdover_api::{On, Stamp};
use holdover_conformance::history::{
    Action, Answer, Call, DEFAULT_BUDGET, Linearizability, Outcome, check_linearizable, step, timeline,
};

use crate::bench::{NOW, Script, answers_in_order, record, stamp, touched, verdict, write};

fn is_linearizable(history: &[Action]) -> bool {
    verdict(history)
}

/// The history with the bad answer is refused, and the one with the right answer is not.
fn tells_apart(anomaly: &str, script: Script, right: Answer, wrong: Answer) {
    let sound = script.clone().load(9, 90, 95, right).actions();
    let broken = script.load(9, 90, 95, wrong).actions();
    assert!(is_linearizable(&sound), "{anomaly}: the sound twin was refused");
    assert!(!is_linearizable(&broken), "{anomaly} was accepted");
}

#[test]
fn a_lost_update_is_refused() {
    let base = record(&[(0, "n", "5")]);
    let script = Script::default()
        .save(0, 1, 2, write(On::Absent { created: NOW }, 0, "n", "5"), Answer::Saved(None))
        .load(1, 3, 10, Answer::Loaded(Some(base.clone())))
        .load(2, 4, 11, Answer::Loaded(Some(base)))
        .save(2, 12, 14, write(On::Live, 1, "b", "6"), Answer::Saved(Some(stamp(0))))
        .save(1, 15, 17, write(On::Live, 2, "a", "6"), Answer::Saved(Some(stamp(1))));
    let kept = record(&[(0, "n", "5"), (1, "b", "6"), (2, "a", "6")]);
    let mut lost = kept.clone();
    lost.attributes.remove("b");
    tells_apart("a lost update", script, Answer::Loaded(Some(kept)), Answer::Loaded(Some(lost)));
}

#[test]
fn two_writes_on_one_head_are_refused() {
    let create = write(On::Absent { created: NOW }, 0, "n", "5");
    let script = |second: Answer| {
        Script::default()
            .save(0, 1, 2, create.clone(), Answer::Saved(None))
            .save(1, 3, 8, write(On::Head(stamp(0)), 1, "n", "6"), Answer::Saved(Some(stamp(0))))
            .save(2, 4, 9, write(On::Head(stamp(0)), 2, "n", "6"), second)
            .actions()
    };
    assert!(!is_linearizable(&script(Answer::Saved(None))), "two increments of one head were accepted");
    assert!(is_linearizable(&script(Answer::Conflict(None))));
    let carried = record(&[(0, "n", "5"), (1, "n", "6")]);
    assert!(is_linearizable(&script(Answer::Conflict(Some(carried)))));
    let stale = record(&[(0, "n", "5")]);
    assert!(
        !is_linearizable(&script(Answer::Conflict(Some(stale)))),
        "a conflict with a stale record was accepted"
    );
}

#[test]
fn a_stale_read_is_refused() {
    let script = Script::default()
        .save(0, 1, 2, write(On::Absent { created: NOW }, 0, "n", "1"), Answer::Saved(None))
        .save(0, 3, 4, write(On::Live, 1, "n", "2"), Answer::Saved(Some(stamp(0))));
    let fresh = Answer::Loaded(Some(record(&[(0, "n", "1"), (1, "n", "2")])));
    let stale = Answer::Loaded(Some(record(&[(0, "n", "1")])));
    tells_apart("a stale read", script.clone(), fresh, stale.clone());
    let during = script.load(3, 3, 5, stale).actions();
    assert!(is_linearizable(&during), "a read that overlaps the write may come before it");
}

#[test]
fn a_resurrection_is_refused() {
    let script = Script::default()
        .save(0, 1, 2, write(On::Absent { created: NOW }, 0, "n", "1"), Answer::Saved(None))
        .delete(1, 5, 6);
    let late = write(On::Live, 1, "n", "2");
    let sound = script.clone().save(0, 7, 8, late.clone(), Answer::Gone).actions();
    let broken = script.clone().save(0, 7, 8, late, Answer::Saved(None)).actions();
    assert!(is_linearizable(&sound));
    assert!(!is_linearizable(&broken), "a save after the delete was accepted");
    let zombie = Answer::Loaded(Some(record(&[(0, "n", "1")])));
    tells_apart("a zombie after a delete", script, Answer::Loaded(None), zombie);
}

#[test]
fn a_husk_is_refused() {
    let script = Script::default()
        .save(0, 1, 2, write(On::Absent { created: NOW }, 0, "n", "1"), Answer::Saved(None))
        .delete(1, 5, 6);
    assert!(is_linearizable(&script.clone().touch(0, 7, 8, 900, false).actions()));
    assert!(!is_linearizable(&script.touch(0, 7, 8, 900, true).actions()), "a touch of nothing was accepted");
}

#[test]
fn a_touch_that_rolls_back_is_refused() {
    let script = Script::default()
        .save(0, 1, 2, write(On::Absent { created: NOW }, 0, "user", "ada"), Answer::Saved(None))
        .load(1, 3, 4, Answer::Loaded(Some(record(&[(0, "user", "ada")]))))
        .save(2, 5, 6, write(On::Live, 1, "user", "-"), Answer::Saved(Some(stamp(0))))
        .touch(1, 7, 8, 900, true);
    let kept = touched(record(&[(0, "user", "ada"), (1, "user", "-")]), 900);
    let rolled_back = touched(record(&[(0, "user", "ada")]), 900);
    tells_apart("a touch rollback", script, Answer::Loaded(Some(kept)), Answer::Loaded(Some(rolled_back)));
}

#[test]
fn a_deadline_that_goes_back_is_refused() {
    let script = Script::default()
        .save(0, 1, 2, write(On::Absent { created: NOW }, 0, "n", "1"), Answer::Saved(None))
        .touch(1, 3, 4, 900, true)
        .touch(2, 5, 6, 800, true);
    let kept = touched(record(&[(0, "n", "1")]), 900);
    let shortened = touched(record(&[(0, "n", "1")]), 800);
    tells_apart("a shortened lease", script, Answer::Loaded(Some(kept)), Answer::Loaded(Some(shortened)));
}

#[test]
fn a_write_that_takes_effect_twice_is_refused() {
    let once = write(On::Live, 1, "a", "1");
    let script = Script::default()
        .save(0, 1, 2, write(On::Absent { created: NOW }, 0, "n", "1"), Answer::Saved(None))
        .save(1, 3, 4, once.clone(), Answer::Saved(Some(stamp(0))))
        .save(2, 5, 6, write(On::Live, 2, "a", "2"), Answer::Saved(Some(stamp(1))))
        .save(1, 7, 8, once, Answer::Saved(Some(stamp(0))));
    let right = record(&[(0, "n", "1"), (1, "a", "1"), (2, "a", "2")]);
    let twice = record(&[(0, "n", "1"), (1, "a", "1"), (2, "a", "2"), (1, "a", "1")]);
    tells_apart("a double effect", script, Answer::Loaded(Some(right)), Answer::Loaded(Some(twice)));
}

#[test]
fn an_effect_of_a_refused_write_is_refused() {
    let script = Script::default()
        .save(0, 1, 2, write(On::Absent { created: NOW }, 0, "n", "1"), Answer::Saved(None))
        .save(1, 3, 4, write(On::Head(stamp(7)), 1, "leak", "1"), Answer::Conflict(None));
    let right = record(&[(0, "n", "1")]);
    let mut leaked = right.clone();
    leaked.attributes.insert("leak".into(), "1".into());
    tells_apart("a leak", script, Answer::Loaded(Some(right)), Answer::Loaded(Some(leaked)));
}

#[test]
fn two_winners_of_one_create_are_refused() {
    let script = |second: Answer| {
        Script::default()
            .save(0, 1, 5, write(On::Absent { created: NOW }, 0, "owner", "0"), Answer::Saved(None))
            .save(1, 2, 6, write(On::Absent { created: NOW }, 1, "owner", "1"), second)
            .actions()
    };
    assert!(is_linearizable(&script(Answer::Conflict(None))));
    assert!(!is_linearizable(&script(Answer::Saved(None))), "one session was given to two users");
}

#[test]
fn a_call_of_unknown_outcome_may_happen_later_or_never() {
    let script = Script::default()
        .save(0, 1, 2, write(On::Absent { created: NOW }, 0, "n", "1"), Answer::Saved(None))
        .unknown(1, 3, 4, Call::Save(write(On::Live, 1, "n", "2")));
    let before = Answer::Loaded(Some(record(&[(0, "n", "1")])));
    let after = Answer::Loaded(Some(record(&[(0, "n", "1"), (1, "n", "2")])));
    let never = script.clone().load(2, 10, 11, before.clone()).actions();
    let later = script.clone().load(2, 10, 11, before.clone()).load(2, 12, 13, after.clone()).actions();
    let undone = script.load(2, 10, 11, after).load(2, 12, 13, before).actions();
    assert!(is_linearizable(&never));
    assert!(is_linearizable(&later));
    assert!(!is_linearizable(&undone), "an effect that was seen went away again");
}

#[test]
fn a_call_without_effect_is_left_out() {
    let mut refused = Script::default().delete(1, 3, 4).actions();
    refused[0].outcome = Outcome::Refused("refused".into());
    let create = Script::default()
        .save(0, 1, 2, write(On::Absent { created: NOW }, 0, "n", "1"), Answer::Saved(None))
        .load(2, 5, 6, Answer::Loaded(Some(record(&[(0, "n", "1")]))))
        .actions();
    refused.extend(create);
    refused.sort_by_key(|action| action.invoked);
    assert!(is_linearizable(&refused));
}

#[test]
fn the_budget_ends_in_unknown_and_never_in_a_verdict() {
    let history = Script::default()
        .save(0, 1, 9, write(On::Absent { created: NOW }, 0, "n", "1"), Answer::Saved(None))
        .load(1, 2, 8, Answer::Loaded(None))
        .load(2, 3, 7, Answer::Loaded(None))
        .actions();
    assert!(matches!(check_linearizable(NOW, None, &history, 2), Linearizability::Unknown));
    assert!(is_linearizable(&history));
}

#[test]
fn an_order_that_is_found_explains_every_answer() {
    let history = Script::default()
        .load(1, 0, 20, Answer::Loaded(Some(record(&[(0, "n", "1"), (1, "a", "2")]))))
        .load(2, 1, 21, Answer::Loaded(None))
        .save(3, 2, 22, write(On::Absent { created: NOW }, 0, "n", "1"), Answer::Saved(None))
        .save(4, 3, 23, write(On::Live, 1, "a", "2"), Answer::Saved(Some(stamp(0))))
        .delete(5, 4, 24)
        .load(6, 30, 31, Answer::Loaded(None))
        .actions();
    let Linearizability::Linearizable(order) = check_linearizable(NOW, None, &history, DEFAULT_BUDGET) else {
        panic!("a linearizable history was refused");
    };
    assert_eq!(order.len(), history.len());
    assert_eq!(order.last(), Some(&5), "what began last comes last");
    assert!(answers_in_order(&history, &order));
}

#[test]
fn a_violation_is_shown_as_a_time_line_that_names_the_calls() {
    let history = Script::default()
        .save(0, 1, 2, write(On::Absent { created: NOW }, 0, "n", "1"), Answer::Saved(None))
        .delete(1, 3, 4)
        .save(2, 5, 6, write(On::Live, 1, "late", "x"), Answer::Saved(None))
        .actions();
    let Linearizability::Violated(stuck) = check_linearizable(NOW, None, &history, DEFAULT_BUDGET) else {
        panic!("a resurrection was accepted");
    };
    assert_eq!(stuck.longest, [0, 1]);
    assert_eq!(stuck.next, [2]);
    let shown = timeline(&history, &stuck);
    for part in
        ["2 of 3 calls", "client 1 node 0: delete -> deleted", "now stored: nothing", "late=x", "saved over"]
    {
        assert!(shown.contains(part), "`{part}` is missing from:\n{shown}");
    }
}

#[test]
fn the_model_does_nothing_but_judge() {
    let create = Call::Save(write(On::Absent { created: NOW }, 0, "n", "1"));
    let (stored, answer) = step(NOW, None, &create);
    assert_eq!(answer, Answer::Saved(None));
    let (again, answer) = step(NOW, stored.as_ref(), &create);
    assert_eq!((&again, answer), (&stored, Answer::Saved(None)), "a retry is recognised (I3)");
    let head = Call::Save(write(On::Head(Stamp::from_bytes([9; 16])), 1, "n", "2"));
    assert!(matches!(step(NOW, stored.as_ref(), &head).1, Answer::Conflict(Some(_))));
    assert_eq!(step(NOW, stored.as_ref(), &Call::Delete), (None, Answer::Deleted));
    assert_eq!(step(NOW, None, &Call::Touch(NOW)), (None, Answer::Touched(false)));
}
