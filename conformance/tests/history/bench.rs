//! Hand-made histories, and the slow checker that tries every order.

use std::time::Duration;

use holdover_api::{Attributes, Deadline, Delta, Lineage, On, Record, Stamp, Timestamp, Write};
use holdover_conformance::history::{
    Action, Answer, Call, DEFAULT_BUDGET, Linearizability, Outcome, check_linearizable, step,
};

/// When all of it happens.
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_000_000);

const LIFETIME: Duration = Duration::from_secs(600);

/// A stamp by its number.
pub(crate) fn stamp(number: u8) -> Stamp {
    Stamp::from_bytes([number + 1; 16])
}

/// A write of one attribute.
pub(crate) fn write(on: On, number: u8, name: &str, value: &str) -> Write {
    let mut delta = Delta::default();
    delta.set(name, value.as_bytes().to_vec());
    Write { on, delta, stamp: stamp(number), deadline: Deadline::AtLeast(NOW + LIFETIME), base: None }
}

/// The record that results from these writes, oldest first: stamp, name and value.
pub(crate) fn record(writes: &[(u8, &str, &str)]) -> Record {
    let mut attributes = Attributes::new();
    let mut lineage: Option<Lineage> = None;
    for (number, name, value) in writes {
        attributes.insert((*name).to_owned(), value.as_bytes().to_vec().into());
        let pushed =
            lineage.map_or_else(|| Lineage::new(stamp(*number)), |lineage| lineage.pushed(stamp(*number)));
        lineage = Some(pushed);
    }
    let lineage = lineage.expect("a record has been written");
    Record { attributes, lineage, created: NOW, deadline: NOW + LIFETIME }
}

/// The record with a deadline so many seconds from now.
pub(crate) fn touched(record: Record, seconds: u64) -> Record {
    Record { deadline: NOW + Duration::from_secs(seconds), ..record }
}

/// A history under construction.
#[derive(Clone, Default)]
pub(crate) struct Script(Vec<Action>);

impl Script {
    fn call(mut self, client: usize, invoked: u64, returned: u64, call: Call, outcome: Outcome) -> Self {
        self.0.push(Action { client, node: 0, session: 0, call, invoked, returned, outcome });
        self
    }

    pub(crate) fn load(self, client: usize, invoked: u64, returned: u64, answer: Answer) -> Self {
        self.call(client, invoked, returned, Call::Load, Outcome::Answered(answer))
    }

    pub(crate) fn save(
        self,
        client: usize,
        invoked: u64,
        returned: u64,
        write: Write,
        answer: Answer,
    ) -> Self {
        self.call(client, invoked, returned, Call::Save(write), Outcome::Answered(answer))
    }

    pub(crate) fn touch(self, client: usize, invoked: u64, returned: u64, seconds: u64, there: bool) -> Self {
        let call = Call::Touch(NOW + Duration::from_secs(seconds));
        self.call(client, invoked, returned, call, Outcome::Answered(Answer::Touched(there)))
    }

    pub(crate) fn delete(self, client: usize, invoked: u64, returned: u64) -> Self {
        self.call(client, invoked, returned, Call::Delete, Outcome::Answered(Answer::Deleted))
    }

    pub(crate) fn unknown(self, client: usize, invoked: u64, returned: u64, call: Call) -> Self {
        self.call(client, invoked, returned, call, Outcome::Unknown("unknown".into()))
    }

    /// The history, ordered by invocation.
    pub(crate) fn actions(mut self) -> Vec<Action> {
        self.0.sort_by_key(|action| action.invoked);
        self.0
    }
}

/// What the checker says, which has to be decided.
pub(crate) fn verdict(history: &[Action]) -> bool {
    match check_linearizable(NOW, None, history, DEFAULT_BUDGET) {
        Linearizability::Linearizable(_) => true,
        Linearizability::Violated(_) => false,
        Linearizability::Unknown => panic!("the budget ran out on a history of {}", history.len()),
    }
}

/// Whether the calls in this order, one after the other, get the answers that they got, in real time's order.
pub(crate) fn answers_in_order(history: &[Action], order: &[usize]) -> bool {
    let mut stored = None;
    for (place, position) in order.iter().enumerate() {
        let action = &history[*position];
        let overtakes = |earlier: &usize| history[*earlier].invoked > action.effective_until();
        if order[..place].iter().any(overtakes) {
            return false;
        }
        let (next, answer) = step(NOW, stored.as_ref(), &action.call);
        match &action.outcome {
            Outcome::Answered(answered) if *answered != answer => return false,
            _ => stored = next,
        }
    }
    true
}

/// Whether any order of any choice of calls explains the history. For small ones: it tries them all.
pub(crate) fn tries_every_order(history: &[Action]) -> bool {
    let all: Vec<usize> = (0..history.len()).collect();
    any_order(history, &mut Vec::new(), &all)
}

fn any_order(history: &[Action], order: &mut Vec<usize>, left: &[usize]) -> bool {
    let may_be_left_out = |position: &usize| !matches!(history[*position].outcome, Outcome::Answered(_));
    if left.iter().all(may_be_left_out) && answers_in_order(history, order) {
        return true;
    }
    for (place, position) in left.iter().enumerate() {
        let mut rest = left.to_vec();
        rest.remove(place);
        order.push(*position);
        if any_order(history, order, &rest) {
            return true;
        }
        order.pop();
    }
    false
}
