//! The checker against trying every order: all histories of three calls, and thousands of random ones of up to six.

use std::collections::HashMap;
use std::time::Duration;

use holdover_api::On;
use holdover_conformance::Random;
use holdover_conformance::history::{Action, Answer, Call, Outcome, step};

use crate::bench::{NOW, stamp, tries_every_order, verdict, write};

/// The calls of the small histories; `number` makes writes unique.
fn calls(number: u8) -> Vec<Call> {
    vec![
        Call::Load,
        Call::Delete,
        Call::Save(write(On::Absent { created: NOW }, number, "a", "1")),
        Call::Save(write(On::Live, number, "b", "2")),
        Call::Save(write(On::Head(stamp(0)), number, "c", "3")),
        Call::Touch(NOW + Duration::from_secs(900 + u64::from(number))),
    ]
}

/// What the call can be answered after any of the others in any order: every answer worth trying.
fn possible_answers(calls: &[Call], asked: usize) -> Vec<Answer> {
    let mut answers = Vec::new();
    let others: Vec<usize> = (0..calls.len()).filter(|position| *position != asked).collect();
    collect_answers(calls, asked, None, &others, &mut answers);
    answers
}

fn collect_answers(
    calls: &[Call],
    asked: usize,
    stored: Option<&holdover_api::Stored>,
    left: &[usize],
    answers: &mut Vec<Answer>,
) {
    let (_, answer) = step(NOW, stored, &calls[asked]);
    if !answers.contains(&answer) {
        answers.push(answer);
    }
    for (place, position) in left.iter().enumerate() {
        let mut rest = left.to_vec();
        rest.remove(place);
        let (next, _) = step(NOW, stored, &calls[*position]);
        collect_answers(calls, asked, next.as_ref(), &rest, answers);
    }
}

/// All ways in which `calls` intervals can overlap, the calls being numbered by their invocation.
fn interval_orders(calls: usize) -> Vec<Vec<(u64, u64)>> {
    let mut found = Vec::new();
    extend_order(calls, &mut vec![(None, None); calls], 0, &mut found);
    found
}

type Open = (Option<u64>, Option<u64>);

fn extend_order(calls: usize, open: &mut Vec<Open>, time: u64, found: &mut Vec<Vec<(u64, u64)>>) {
    if time == 2 * calls as u64 {
        let closed = open.iter().map(|(invoked, returned)| (invoked.unwrap_or(0), returned.unwrap_or(0)));
        found.push(closed.collect());
        return;
    }
    if let Some(next) = open.iter().position(|(invoked, _)| invoked.is_none()) {
        open[next].0 = Some(time);
        extend_order(calls, open, time + 1, found);
        open[next].0 = None;
    }
    for position in 0..calls {
        if open[position].0.is_some() && open[position].1.is_none() {
            open[position].1 = Some(time);
            extend_order(calls, open, time + 1, found);
            open[position].1 = None;
        }
    }
}

fn history(calls: &[Call], times: &[(u64, u64)], outcomes: Vec<Outcome>) -> Vec<Action> {
    let mut actions = Vec::new();
    for (client, outcome) in outcomes.into_iter().enumerate() {
        let (invoked, returned) = times[client];
        let call = calls[client].clone();
        actions.push(Action { client, node: 0, session: 0, call, invoked, returned, outcome });
    }
    actions.sort_by_key(|action| action.invoked);
    actions
}

#[test]
fn three_calls_overlap_in_fifteen_ways() {
    assert_eq!(interval_orders(3).len(), 15);
    assert_eq!(interval_orders(4).len(), 105);
}

#[test]
fn on_every_history_of_three_calls_it_says_what_trying_every_order_says() {
    let orders = interval_orders(3);
    let mut verdicts: HashMap<bool, usize> = HashMap::new();
    for first in calls(0) {
        for second in calls(1) {
            for third in calls(2) {
                let chosen = [first.clone(), second.clone(), third];
                let answers: Vec<Vec<Answer>> =
                    (0..3).map(|asked| possible_answers(&chosen, asked)).collect();
                for times in &orders {
                    for told in combinations(&answers) {
                        let outcomes = told.into_iter().map(Outcome::Answered).collect();
                        let history = history(&chosen, times, outcomes);
                        let says = verdict(&history);
                        assert_eq!(says, tries_every_order(&history), "{history:#?}");
                        *verdicts.entry(says).or_default() += 1;
                    }
                }
            }
        }
    }
    println!("linearizable or not: {verdicts:?}");
    assert!(verdicts[&true] > 1_000 && verdicts[&false] > 1_000, "one-sided: {verdicts:?}");
}

fn combinations(answers: &[Vec<Answer>]) -> Vec<Vec<Answer>> {
    let mut combined = vec![Vec::new()];
    for choices in answers {
        let mut longer = Vec::new();
        for begun in &combined {
            for choice in choices {
                let mut next: Vec<Answer> = begun.clone();
                next.push(choice.clone());
                longer.push(next);
            }
        }
        combined = longer;
    }
    combined
}

#[test]
fn on_random_histories_of_up_to_six_calls_it_says_what_trying_every_order_says() {
    const SEED: u64 = 0x0115_7021;
    const HISTORIES: usize = 10_000;
    println!("seed {SEED:#x}");
    let mut random = Random::new(SEED);
    let mut verdicts: HashMap<bool, usize> = HashMap::new();
    for number in 0..HISTORIES {
        let history = random_history(&mut random);
        let says = verdict(&history);
        assert_eq!(says, tries_every_order(&history), "history {number} of seed {SEED:#x}: {history:#?}");
        *verdicts.entry(says).or_default() += 1;
    }
    println!("linearizable or not: {verdicts:?}");
    assert!(verdicts[&true] > 500 && verdicts[&false] > 500, "one-sided: {verdicts:?}");
}

/// Calls played in one order, with answers from there, times that contradict it now and then, and a few unknowns.
fn random_history(random: &mut Random) -> Vec<Action> {
    let length = 4 + random.below(3);
    let mut stored = None;
    let mut chosen = Vec::new();
    let mut outcomes = Vec::new();
    for number in 0..length {
        let mut choices = calls(u8::try_from(number).unwrap_or_default());
        let call = choices.swap_remove(random.below(choices.len()));
        let (next, answer) = step(NOW, stored.as_ref(), &call);
        stored = next;
        chosen.push(call);
        outcomes.push(if random.below(6) == 0 {
            Outcome::Unknown("unknown".into())
        } else {
            Outcome::Answered(answer)
        });
    }
    let mut times = Vec::new();
    for number in 0..length as u64 {
        // Spread by up to five places, so that many histories hold the played order and many do not.
        let invoked = number * 40 + random.below(200) as u64;
        let returned = invoked + 1 + random.below(160) as u64;
        times.push((invoked * 100 + number, returned * 100 + number + 50));
    }
    history(&chosen, &times, outcomes)
}
