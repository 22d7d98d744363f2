//! Is a history linearizable? The search of Wing and Gong (1993) with the memory of Lowe (2017).

use std::collections::HashMap;

use holdover_api::{Stored, Timestamp};

use super::action::{Action, Outcome};
use super::model::{Deletion, agrees, step_with};

/// How many model steps a search may take unless told otherwise: a few seconds.
pub const DEFAULT_BUDGET: usize = 2_000_000;

/// What the search found.
#[derive(Clone, Debug)]
pub enum Linearizability {
    /// Some order of the calls explains every answer: this one, as positions in the history.
    Linearizable(Vec<usize>),
    /// No order does.
    Violated(Box<Stuck>),
    /// The budget ran out first.
    Unknown,
}

/// Where the search got stuck.
#[derive(Clone, Debug)]
pub struct Stuck {
    /// The longest order found, as positions in the history.
    pub longest: Vec<usize>,
    /// What is stored after it.
    pub stored: Option<Stored>,
    /// The calls that could come next, none of which can have got the answer it got.
    pub next: Vec<usize>,
}

/// Whether some order of `history`, which is about one session, explains all its answers.
///
/// `history` is ordered by invocation, and `now` is the time at which all of it happened. A call whose outcome is
/// unknown may be placed anywhere after its invocation, or nowhere. At most `budget` steps of the model are made: the
/// same history always gets the same verdict.
pub fn check_linearizable(
    now: Timestamp,
    initial: Option<Stored>,
    history: &[Action],
    budget: usize,
) -> Linearizability {
    check_linearizable_with(Deletion::Nothing, now, initial, history, budget)
}

/// As [`check_linearizable`], for a store whose deletes leave that.
pub fn check_linearizable_with(
    deletion: Deletion,
    now: Timestamp,
    initial: Option<Stored>,
    history: &[Action],
    budget: usize,
) -> Linearizability {
    let mut search = Search::new(deletion, now, initial, history);
    let mut steps = 0;
    while search.required > 0 {
        let Some(position) = search.next_candidate() else {
            if !search.undo() {
                return Linearizability::Violated(Box::new(search.longest));
            }
            continue;
        };
        steps += 1;
        if steps > budget {
            return Linearizability::Unknown;
        }
        search.attempt(position);
    }
    Linearizability::Linearizable(search.order())
}

/// Which calls have been placed, as bits.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Placed(Vec<u64>);

impl Placed {
    fn none_of(calls: usize) -> Self {
        Self(vec![0; calls.div_ceil(64)])
    }

    fn holds(&self, position: usize) -> bool {
        self.0[position / 64] & (1 << (position % 64)) != 0
    }

    fn flip(&mut self, position: usize) {
        self.0[position / 64] ^= 1 << (position % 64);
    }
}

/// One call placed, and what is needed to take it back and go on behind it.
struct Choice {
    position: usize,
    stored_before: Option<Stored>,
    candidates_before: Vec<usize>,
}

struct Search<'a> {
    deletion: Deletion,
    now: Timestamp,
    history: &'a [Action],
    placed: Placed,
    stored: Option<Stored>,
    choices: Vec<Choice>,
    /// What may be placed next and has not been tried yet, last one first.
    candidates: Vec<usize>,
    /// How many answered calls are not placed yet.
    required: usize,
    /// States that are known to lead nowhere, or are being tried.
    seen: HashMap<Placed, Vec<Option<Stored>>>,
    longest: Stuck,
}

impl<'a> Search<'a> {
    fn new(deletion: Deletion, now: Timestamp, initial: Option<Stored>, history: &'a [Action]) -> Self {
        let required = history.iter().filter(|action| is_answered(action)).count();
        let longest = Stuck { longest: Vec::new(), stored: initial.clone(), next: Vec::new() };
        let mut search = Self {
            deletion,
            now,
            history,
            placed: Placed::none_of(history.len()),
            stored: initial,
            choices: Vec::new(),
            candidates: Vec::new(),
            required,
            seen: HashMap::new(),
            longest,
        };
        search.candidates = search.all_candidates();
        search.longest.next.clone_from(&search.candidates);
        search
    }

    /// Every call that is not placed and was invoked before each of the others had to be over.
    fn all_candidates(&self) -> Vec<usize> {
        let mut earliest_end = u64::MAX;
        let mut candidates = Vec::new();
        for (position, action) in self.history.iter().enumerate() {
            // The history is ordered by invocation: nothing later begins before this end, and what is later among the
            // candidates ends after all of them have begun.
            if action.invoked > earliest_end {
                break;
            }
            if self.placed.holds(position) || matches!(action.outcome, Outcome::Refused(_)) {
                continue;
            }
            earliest_end = earliest_end.min(action.effective_until());
            candidates.push(position);
        }
        candidates.reverse();
        candidates
    }

    fn next_candidate(&mut self) -> Option<usize> {
        self.candidates.pop()
    }

    /// Places the call if its answer fits and the state that results has not been seen.
    fn attempt(&mut self, position: usize) {
        let action = &self.history[position];
        let (stored, modelled) = step_with(self.deletion, self.now, self.stored.as_ref(), &action.call);
        if let Outcome::Answered(answered) = &action.outcome
            && !agrees(answered, &modelled)
        {
            return;
        }
        self.placed.flip(position);
        let states = self.seen.entry(self.placed.clone()).or_default();
        if states.contains(&stored) {
            self.placed.flip(position);
            return;
        }
        states.push(stored.clone());
        let stored_before = std::mem::replace(&mut self.stored, stored);
        let candidates_before = std::mem::take(&mut self.candidates);
        self.choices.push(Choice { position, stored_before, candidates_before });
        self.candidates = self.all_candidates();
        if is_answered(action) {
            self.required -= 1;
        }
        self.note_longest();
    }

    fn note_longest(&mut self) {
        if self.choices.len() <= self.longest.longest.len() {
            return;
        }
        self.longest =
            Stuck { longest: self.order(), stored: self.stored.clone(), next: self.candidates.clone() };
    }

    /// Takes the last call back; answers whether there was one.
    fn undo(&mut self) -> bool {
        let Some(choice) = self.choices.pop() else {
            return false;
        };
        self.placed.flip(choice.position);
        self.stored = choice.stored_before;
        self.candidates = choice.candidates_before;
        if is_answered(&self.history[choice.position]) {
            self.required += 1;
        }
        true
    }

    fn order(&self) -> Vec<usize> {
        self.choices.iter().map(|choice| choice.position).collect()
    }
}

fn is_answered(action: &Action) -> bool {
    matches!(action.outcome, Outcome::Answered(_))
}
