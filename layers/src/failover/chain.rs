//! The two-node chain as a pure step function: what to do next, given what was seen. No I/O, no clock, no randomness: the
//! model checker runs these very steps (`tests/model/`).
//!
//! The head is written first and the tail last; a write that both hold, or that the one reachable node holds, is
//! acknowledged. Whoever reads two copies that differ makes them equal *before* it answers, whatever the answer: a
//! refusal has to be as durable as a value. Source of the protocol: chain replication (van Renesse and Schneider, OSDI
//! 2004), cut down to two nodes without a master.

use std::sync::Arc;

use holdover_api::{Age, Lineage, Stamp, Standing, Stored, Timestamp};

use super::protocol::{Answer, Ask, Conduct, Outcome, Place, Seen, Sight, Step, buries_anything};

/// What the tail still has to get: over what, and what.
pub type Backlog = (Option<Standing>, Arc<Stored>);

/// One operation under way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Chain {
    pub(super) ask: Ask,
    pub(super) conduct: Conduct,
    pub(super) sight: Sight,
    /// What is being written, once it is decided.
    pub(super) writing: Option<Arc<Stored>>,
    pub(super) backlog: Option<Backlog>,
    /// Of what this operation has written to a node, or may have, how many writes there had been then.
    pub(super) partly_written: Option<u64>,
    /// On which writes a node holds, or held, what this touch extended; nothing if it may be anywhere.
    pub(super) extended: Option<Lineage>,
    /// Whether what is being written moves the deadline back.
    pub(super) shortening: bool,
    /// The head before a shortened record that is looked at once more.
    pub(super) shortened: Option<Option<Stamp>>,
    pub(super) diverged: bool,
    pub(super) half: bool,
}

impl Chain {
    /// An operation that has not seen anything yet.
    pub fn new(ask: Ask, conduct: Conduct) -> Self {
        Self {
            ask,
            conduct,
            sight: Sight::UNKNOWN,
            writing: None,
            backlog: None,
            partly_written: None,
            extended: None,
            shortening: false,
            shortened: None,
            diverged: false,
            half: false,
        }
    }

    /// What the tail still has to get after the answer, if it is not written before.
    pub fn take_backlog(&mut self) -> Option<Backlog> {
        self.backlog.take()
    }

    /// Whether the head could be reached, as far as is known.
    pub const fn reached_head(&self) -> bool {
        !matches!(self.sight.head, Seen::Unreachable)
    }

    /// Whether two copies were met of which each held a write that the other lacked.
    pub const fn diverged(&self) -> bool {
        self.diverged
    }

    /// Whether what was written is on one node only, because the other cannot be reached.
    pub const fn half(&self) -> bool {
        self.half
    }

    /// Goes on from what the nodes show.
    pub fn seen(&mut self, now: Timestamp, sight: Sight) -> Step {
        self.sight = sight;
        if !self.conduct.rules.reads_both && matches!(self.sight.head, Seen::Copy(_)) {
            self.sight.tail = self.sight.head.clone();
        }
        self.writing = None;
        self.decide(now)
    }

    /// Goes on from how an installation ended.
    pub fn installed(&mut self, now: Timestamp, place: Place, outcome: Outcome) -> Step {
        let Some(new) = self.writing.clone() else {
            return self.repaired(now, place, &outcome);
        };
        match outcome {
            Outcome::Installed => {
                self.sight.set(place, Seen::Copy(Arc::clone(&new)));
                self.extended = matches!(self.ask, Ask::Touch(..)).then(|| new.lineage().clone());
            }
            // The head alone holds it: whoever reaches the head finds it there, and nobody writes past the head.
            Outcome::Unreachable if self.is_last(place) && self.holds(place.other(), &new) => {
                self.sight.set(place, Seen::Unreachable);
            }
            // Somebody who read it from the head has completed it, and others may have built on it since.
            Outcome::Refused(Some(stored)) if self.is_last(place) && self.completed(&new, &stored) => {
                self.sight.set(place, Seen::Copy(stored));
                return self.written(&new);
            }
            Outcome::Refused(_) => return Step::Read,
            Outcome::Unreachable => {
                self.note_written(&new);
                return Step::Read;
            }
        }
        self.note_written(&new);
        self.next_write(&new)
    }

    /// Goes on from the age of the only reachable node, which has nothing: whether it has been up for longer than any
    /// session lives.
    pub fn aged(&mut self, now: Timestamp, complete: bool) -> Step {
        if complete { self.plan(now, None) } else { Step::Done(Answer::Unavailable) }
    }

    fn note_written(&mut self, new: &Stored) {
        self.partly_written = Some(new.lineage().writes());
    }

    /// Whether what the last node holds has come from this write, which the first one got.
    fn completed(&self, new: &Stored, stored: &Stored) -> bool {
        let is_write = matches!(self.ask, Ask::Save(_));
        is_write && self.partly_written.is_some() && self.has_happened(Some(stored), new.head())
    }

    fn repaired(&mut self, now: Timestamp, place: Place, outcome: &Outcome) -> Step {
        if *outcome != Outcome::Installed {
            return Step::Read;
        }
        if let Some(newest) = self.newest() {
            self.sight.set(place, Seen::Copy(newest));
        }
        self.decide(now)
    }

    fn decide(&mut self, now: Timestamp) -> Step {
        let Some(newest) = self.newest() else {
            return self.decide_over_nothing(now);
        };
        if self.conduct.rules.write_back {
            for place in [Place::Head, Place::Tail] {
                let Some(over) = self.behind(place, &newest) else { continue };
                if place == Place::Tail && self.conduct.answers_before_tail {
                    self.backlog = Some((over, Arc::clone(&newest)));
                    self.sight.set(place, Seen::Copy(Arc::clone(&newest)));
                    continue;
                }
                return Step::Install { place, over, new: newest, repair: true };
            }
        }
        self.plan(now, Some(newest))
    }

    /// Nobody has a copy. An absence is believed if both nodes say so, or one that cannot have forgotten.
    fn decide_over_nothing(&mut self, now: Timestamp) -> Step {
        let reachable = match (&self.sight.head, &self.sight.tail) {
            (Seen::Unreachable, Seen::Unreachable) => return Step::Done(Answer::Unavailable),
            (Seen::Unreachable, _) => Place::Tail,
            (_, Seen::Unreachable) => Place::Head,
            _ => match self.shortened {
                // It was ended at once, and it is: on both nodes.
                Some(previous) => return self.ended(previous),
                None => return self.plan(now, None),
            },
        };
        if self.ask.needs_no_certainty() || !self.conduct.rules.cold_miss_is_no_miss {
            return self.plan(now, None);
        }
        Step::AskAge(reachable)
    }

    /// The next node that has to get what is written; the answer when there is none.
    pub(super) fn next_write(&mut self, new: &Arc<Stored>) -> Step {
        for place in self.order() {
            let shown = match self.sight.at(place) {
                Seen::Unreachable => continue,
                Seen::Copy(copy) if copy == new => continue,
                Seen::Copy(copy) => Some(copy.standing()),
                Seen::Nothing => None,
            };
            let new = Arc::clone(new);
            let is_tail = place == Place::Tail;
            // What the tail shows is older still, if it was behind before.
            let behind = if is_tail { self.backlog.take() } else { None };
            let over = behind.map_or(shown, |(behind, _)| behind);
            // A deadline that moves back may not leave a copy behind that stands for longer.
            let can_wait = self.conduct.answers_before_tail && !self.shortening;
            if is_tail && can_wait && self.holds(Place::Head, &new) {
                self.backlog = Some((over, new));
                continue;
            }
            return Step::Install { place, over, new, repair: false };
        }
        if std::mem::take(&mut self.shortening) {
            self.shortened = Some(new.lineage().before(new.head()));
            // If its deadline came before the tail got it, a reader has filled the head from the tail: look again.
            return Step::Read;
        }
        self.written(new)
    }

    fn ended(&mut self, previous: Option<Stamp>) -> Step {
        let answer =
            if matches!(self.ask, Ask::Save(_)) { Answer::Saved(previous) } else { Answer::Installed };
        self.done(answer)
    }

    fn written(&mut self, new: &Stored) -> Step {
        let previous = new.lineage().before(new.head());
        self.done(match &self.ask {
            Ask::Save(_) => Answer::Saved(previous),
            Ask::Touch(..) => Answer::Touched(true),
            Ask::Install(..) => Answer::Installed,
            Ask::Delete(_) | Ask::Load | Ask::Inspect => Answer::Deleted,
        })
    }

    pub(super) fn done(&mut self, answer: Answer) -> Step {
        self.half = !self.sight.is_whole();
        Step::Done(answer)
    }

    /// The newest copy. Two copies with the same writes differ at most by a touch: the later deadline counts.
    fn newest(&mut self) -> Option<Arc<Stored>> {
        let (head, tail) = match (&self.sight.head, &self.sight.tail) {
            (Seen::Copy(head), Seen::Copy(tail)) => (head, tail),
            (Seen::Copy(only), _) | (_, Seen::Copy(only)) => return Some(Arc::clone(only)),
            _ => return None,
        };
        // What a tombstone without a history buries may be of any age.
        let buries = buries_anything(head) != buries_anything(tail);
        let age = if buries { Age::Diverged } else { self.age(head.lineage(), tail.lineage()) };
        let head_counts = match age {
            Age::Same => head.deadline() >= tail.deadline(),
            Age::Newer => true,
            Age::Older => false,
            Age::Diverged => {
                self.diverged = true;
                self.head_wins(head, tail)
            }
        };
        Some(Arc::clone(if head_counts { head } else { tail }))
    }

    fn age(&self, head: &Lineage, tail: &Lineage) -> Age {
        let age = head.age(tail);
        let reaches = head.contains(tail.head()) || tail.contains(head.head());
        if self.conduct.rules.counts_writes || reaches { age } else { Age::Diverged }
    }

    /// Of two copies that have diverged: a tombstone without a history, else the tail. What the head has and the tail
    /// lacks was not acknowledged, unless somebody could not reach the tail.
    fn head_wins(&self, head: &Stored, tail: &Stored) -> bool {
        match (buries_anything(head), buries_anything(tail)) {
            (true, false) => true,
            (false, true) => false,
            // Where the answer does not wait for the tail, the head is the point of commitment.
            _ => self.conduct.head_commits || !self.conduct.rules.tie_to_tail,
        }
    }

    /// What a reachable node shows instead of the newest copy; nothing if it holds it.
    fn behind(&self, place: Place, newest: &Arc<Stored>) -> Option<Option<Standing>> {
        match self.sight.at(place) {
            Seen::Unreachable => None,
            Seen::Nothing => Some(None),
            Seen::Copy(copy) if Arc::ptr_eq(copy, newest) || copy == newest => None,
            Seen::Copy(copy) => Some(Some(copy.standing())),
        }
    }

    fn order(&self) -> [Place; 2] {
        if self.conduct.rules.head_first { [Place::Head, Place::Tail] } else { [Place::Tail, Place::Head] }
    }

    fn is_last(&self, place: Place) -> bool {
        self.order()[1] == place
    }

    /// Whether both nodes stand at the same, as far as was seen.
    pub const fn is_settled(&self) -> bool {
        self.sight.is_whole() && self.backlog.is_none()
    }

    fn holds(&self, place: Place, new: &Arc<Stored>) -> bool {
        matches!(self.sight.at(place), Seen::Copy(copy) if copy == new)
    }
}
