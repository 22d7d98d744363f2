//! The transitions and the properties.

use stateright::{Model, Property};

use crate::ancestor::{self, Ancestor};
use crate::conduct::{Repaired, place};
use crate::state::{GENERATIONS, Node, Pending, Slot, State};

#[derive(Clone, Debug)]
pub(crate) enum Conduct {
    Ancestor {
        rule: Ancestor,
        /// The deadline is that of the last writer's clock, even if it is earlier.
        last_wins: bool,
        /// The deadline is made when the write is applied.
        stamps_late: bool,
    },
    Repaired(Box<Repaired>),
}

/// Durations are ticks.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) period: i8,
    pub(crate) until: i8,
    /// The most that a clock is off.
    pub(crate) skew: i8,
    pub(crate) lease: i8,
    /// The longest that a write is under way.
    pub(crate) slow_writes: i8,
    /// The longest that a table is missing after its period began; none is late if zero.
    pub(crate) late: i8,
    /// The longest that a table takes to be ready.
    pub(crate) slow_tables: i8,
    /// Nodes know of tables what they saw when they last looked.
    pub(crate) lag: bool,
    pub(crate) stalls: &'static [usize],
    pub(crate) restarts: bool,
    /// Clocks step anywhere within the skew, at any time.
    pub(crate) steps: bool,
    /// The nodes that serve requests.
    pub(crate) serving: &'static [usize],
    pub(crate) conduct: Conduct,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Act {
    Tick,
    Create(usize),
    Activate(usize),
    Drop(usize, usize),
    Look(usize),
    Start(usize),
    Apply(usize),
    Rotate(usize),
    Stall(usize),
    Restart(usize),
    Step(usize, i8),
}

impl World {
    /// Whether a request on this node finds the session.
    pub(crate) fn finds(&self, state: &State, node: usize) -> bool {
        let local = state.local(node);
        let is_live = |generation: usize| state.copy_in(generation).is_some_and(|expires| expires > local);
        match &self.conduct {
            Conduct::Ancestor { rule, .. } => {
                let window = rule.window(state, node, self.period);
                window.into_iter().any(|generation| generation < GENERATIONS && is_live(generation))
            }
            Conduct::Repaired(repaired) => {
                let mut window = repaired.window(state, node);
                // A table that is gone is never a miss (R3).
                if window.iter().any(|generation| state.slots[*generation] == Slot::Dropped) {
                    window = repaired.window_after_refresh(state, node);
                }
                window.into_iter().any(is_live)
            }
        }
    }

    fn all_find(&self, state: &State, are_due: impl Fn(usize) -> bool) -> bool {
        let due = self.serving.iter().filter(|node| !state.nodes[**node].stalled && are_due(**node));
        due.copied().all(|node| self.finds(state, node))
    }

    fn punctual(&self) -> bool {
        self.late == 0 && self.slow_tables == 0
    }

    /// What has to happen before time goes on.
    fn is_due(&self, state: &State) -> bool {
        let applies = state.nodes.iter().filter_map(|node| node.pending);
        let must_apply = applies.into_iter().any(|write| state.time - write.started >= self.slow_writes);
        let must_rotate = match &self.conduct {
            Conduct::Ancestor { rule, .. } => (0..2).any(|node| rule.must_rotate(state, node, self.period)),
            Conduct::Repaired(_) => false,
        };
        must_apply || must_rotate || (!self.punctual() && self.is_table_due(state))
    }

    fn is_table_due(&self, state: &State) -> bool {
        let is_slow = |slot: &Slot| matches!(slot, Slot::Creating(at) if state.time - at >= self.slow_tables);
        let exists = |slot: &Slot| matches!(slot, Slot::Creating(_) | Slot::Active(_));
        let missing = state.slots.iter().rposition(exists).map_or(0, |newest| newest + 1);
        state.time >= self.begins(missing) + self.late || state.slots.iter().any(is_slow)
    }

    fn begins(&self, generation: usize) -> i8 {
        i8::try_from(generation).expect("few generations") * self.period
    }

    fn offsets(&self) -> impl Iterator<Item = i8> + use<> {
        -self.skew..=self.skew
    }

    fn node(&self, offset: i8) -> Node {
        Node { offset, stalled: false, pending: None, known: None, current: 0, previous: None }
    }

    fn first(&self, offsets: [i8; 2]) -> State {
        let mut slots = [Slot::Absent; GENERATIONS];
        match self.conduct {
            Conduct::Ancestor { .. } => slots = [Slot::Active(0); GENERATIONS],
            Conduct::Repaired(_) => slots[0] = Slot::Active(-self.period),
        }
        let mut copies = [None; GENERATIONS];
        copies[0] = Some(1 + self.lease);
        let nodes = offsets.map(|offset| {
            let known = self.lag.then_some((1 + offset, slots));
            Node { known, ..self.node(offset) }
        });
        State { time: 1, slots, copies, nodes, promised: 1 + self.lease }
    }

    /// The same state as every state that differs in the order of the nodes only.
    fn tidied(&self, mut state: State) -> State {
        let alike = self.stalls.len() != 1 && self.serving.len() == 2;
        if alike {
            state.nodes.sort_unstable();
        }
        state
    }

    fn start(&self, state: &mut State, node: usize) {
        let (time, local) = (state.time, state.local(node));
        let generation = match &self.conduct {
            Conduct::Ancestor { rule, .. } => Some(rule.writes_to(state, node, self.period)),
            Conduct::Repaired(repaired) => {
                let (target, looked) = repaired.target(state, node);
                if looked && self.lag {
                    state.nodes[node].known = Some((local, state.slots));
                }
                target
            }
        };
        let pending = |generation| Pending { generation, expires: local + self.lease, started: time };
        state.nodes[node].pending = generation.map(pending);
    }

    fn apply(&self, state: &mut State, node: usize) {
        let Some(write) = state.nodes[node].pending.take() else { return };
        let late = state.local(node) + self.lease;
        let mut target = write.generation;
        let mut expires = write.expires;
        let at_least;
        match &self.conduct {
            Conduct::Ancestor { last_wins, stamps_late, .. } => {
                expires = if *stamps_late { late } else { expires };
                at_least = if *last_wins { None } else { state.copies[target] };
            }
            Conduct::Repaired(repaired) => {
                expires = if repaired.two_readings { late } else { expires };
                // The session is where its newest copy is; it only ever moves forward, and its lease only grows.
                let Some(newest) = state.newest_copy() else { return };
                target = target.max(newest);
                at_least = state.copies[newest];
            }
        }
        if !matches!(state.slots[target], Slot::Active(_)) {
            return;
        }
        if matches!(self.conduct, Conduct::Repaired(_)) {
            state.copies = [None; GENERATIONS];
        }
        state.copies[target] = at_least.max(Some(expires));
        state.promised = state.promised.max(expires);
    }

    fn create(&self, state: &mut State, node: usize) {
        let Conduct::Repaired(repaired) = &self.conduct else { return };
        let Some(generation) = repaired.plan(state, node).create.map(place) else { return };
        if generation >= GENERATIONS {
            return;
        }
        let created = if self.slow_tables > 0 { Slot::Creating } else { Slot::Active };
        state.slots[generation] = created(state.time);
    }

    fn table_acts(&self, state: &State, repaired: &Repaired, node: usize, acts: &mut Vec<Act>) {
        let plan = repaired.plan(state, node);
        if let Some(generation) = plan.create
            && !self.punctual()
            // What is created well before its period is punctual, and has worlds of its own.
            && state.time + 1 >= self.begins(place(generation))
        {
            acts.push(Act::Create(node));
        }
        acts.extend(plan.drop.into_iter().map(|generation| Act::Drop(node, place(generation))));
        if self.lag && state.nodes[node].known.is_some_and(|known| known.1 != state.slots) {
            acts.push(Act::Look(node));
        }
    }

    fn node_acts(&self, state: &State, node: usize, acts: &mut Vec<Act>) {
        let Node { pending, stalled, previous, offset, .. } = &state.nodes[node];
        if *stalled {
            acts.push(Act::Stall(node));
            return;
        }
        if pending.is_some() {
            acts.push(Act::Apply(node));
        } else if self.serving.contains(&node) && self.finds(state, node) {
            acts.push(Act::Start(node));
        }
        match &self.conduct {
            Conduct::Ancestor { rule, .. } => {
                let dropped = rule.drops(state, node, self.period);
                acts.extend(dropped.into_iter().map(|generation| Act::Drop(node, generation)));
                if rule.must_rotate(state, node, self.period) {
                    acts.push(Act::Rotate(node));
                }
            }
            Conduct::Repaired(repaired) => self.table_acts(state, repaired, node, acts),
        }
        if self.stalls.contains(&node) {
            acts.push(Act::Stall(node));
        }
        if self.restarts && (previous.is_some() || self.lag) {
            acts.push(Act::Restart(node));
        }
        if self.steps {
            let others = self.offsets().filter(|other| other != offset);
            acts.extend(others.map(|other| Act::Step(node, other)));
        }
    }
}

impl Model for World {
    type State = State;
    type Action = Act;

    fn init_states(&self) -> Vec<State> {
        let pairs = self.offsets().flat_map(|left| self.offsets().map(move |right| [left, right]));
        pairs.map(|pair| self.tidied(self.first(pair))).collect()
    }

    fn actions(&self, state: &State, acts: &mut Vec<Act>) {
        if state.time < self.until && !self.is_due(state) {
            acts.push(Act::Tick);
        }
        let slots = state.slots.iter().enumerate();
        let creating = slots.filter(|(_, slot)| matches!(slot, Slot::Creating(_)));
        acts.extend(creating.map(|(generation, _)| Act::Activate(generation)));
        for node in 0..2 {
            self.node_acts(state, node, acts);
        }
    }

    fn next_state(&self, last: &State, act: Act) -> Option<State> {
        let mut state = last.clone();
        match act {
            Act::Tick => {
                state.time += 1;
                if self.punctual() {
                    (0..2).for_each(|node| self.create(&mut state, node));
                }
            }
            Act::Create(node) => self.create(&mut state, node),
            Act::Activate(generation) => {
                if let Slot::Creating(at) = state.slots[generation] {
                    state.slots[generation] = Slot::Active(at);
                }
            }
            Act::Drop(_, generation) => state.slots[generation] = Slot::Dropped,
            Act::Look(node) => state.nodes[node].known = Some((state.local(node), state.slots)),
            Act::Start(node) => self.start(&mut state, node),
            Act::Apply(node) => self.apply(&mut state, node),
            Act::Rotate(node) => ancestor::rotate(&mut state, node, self.period),
            Act::Stall(node) => state.nodes[node].stalled = !state.nodes[node].stalled,
            Act::Restart(node) => {
                let known = self.lag.then_some((state.local(node), state.slots));
                let Node { offset, current, .. } = state.nodes[node];
                // The ancestor's start finds the present table and no previous one.
                state.nodes[node] = Node { known, current, ..self.node(offset) };
            }
            Act::Step(node, offset) => state.nodes[node].offset = offset,
        }
        Some(self.tidied(state))
    }

    /// When the session is over by every clock nothing can happen to it any more.
    fn within_boundary(&self, state: &State) -> bool {
        state.time <= state.promised + self.skew
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::<Self>::always("no premature expiry", |world, state| {
                let is_certain = state.time + world.skew < state.promised;
                !is_certain || world.all_find(state, |_| true)
            }),
            Property::<Self>::always("found for as long as its own clock says", |world, state| {
                world.all_find(state, |node| state.local(node) < state.promised)
            }),
            Property::<Self>::always("no live table dropped", |world, state| {
                let is_certain = state.time + world.skew < state.promised;
                let stands = |place| state.copy_in(place).is_some_and(|expires| expires >= state.promised);
                !is_certain || (0..GENERATIONS).any(stands)
            }),
            Property::<Self>::always("nothing outlives its lease", |world, state| {
                let is_over = state.time - world.skew >= state.promised;
                !is_over || (0..2).all(|node| !world.finds(state, node))
            }),
            Property::<Self>::sometimes("a table is dropped while the session lives", |world, state| {
                state.slots[0] == Slot::Dropped && world.finds(state, 0)
            }),
            Property::<Self>::sometimes("an older table is written to", |world, state| {
                let is_older = |node: &Node| {
                    let present = ancestor::generation(state.time - world.skew, world.period);
                    node.pending
                        .is_some_and(|write| write.started == state.time && write.generation < present)
                };
                state.nodes.iter().any(is_older)
            }),
        ]
    }
}
