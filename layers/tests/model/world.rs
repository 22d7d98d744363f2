//! Two nodes, some processes, and what can go wrong: the transition system.

use std::sync::Arc;

use holdover_api::Timestamp;
use holdover_layers::failover::{Answer, Conduct, Outcome, Place, Rules, Seen, Sight, Step};
use stateright::semantics::{ConsistencyTester, LinearizabilityTester};
use stateright::{Model, Property};

use crate::nodes::{NOW, Node};
use crate::processes::{Act, Process, Running, chain, first_record, moment, number, op, ret, stamp};
use crate::spec::{Op, Picture, Ret, Spec};

/// After so many rounds a process gives up: its client has had a time-out.
const MOST_ROUNDS: u8 = 6;

/// What is checked: scripts and what surrounds them.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) scripts: Vec<Vec<Act>>,
    pub(crate) setting: Setting,
}

/// How it begins, what can go wrong, and by which rules the chain works.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    /// Whether the session is there from the beginning.
    pub(crate) born: bool,
    /// Nodes that may crash, forgetting everything.
    pub(crate) crashes: &'static [usize],
    /// Nodes whose links to single processes may be cut. Both may be named; then a link to one can be cut only while
    /// every link to the other is whole.
    pub(crate) cuts: &'static [usize],
    /// How many faults there may be.
    pub(crate) budget: u8,
    pub(crate) rules: Rules,
    /// Whether the tail is written after the answer.
    pub(crate) backup_after: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    nodes: [Node; 2],
    processes: Vec<Process>,
    cut: Vec<[bool; 2]>,
    faults: u8,
    history: LinearizabilityTester<u8, Spec>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    Begin(usize),
    /// A process reads one of the nodes.
    Read(usize, usize),
    /// A process does what its step says.
    Step(usize),
    /// The same over a link that is cut: the request arrives, the answer does not.
    StepUnheard(usize),
    /// What a process left to do behind its last answer is done, or tried.
    FollowUp(usize),
    Crash(usize),
    Restart(usize),
    Cut(usize, usize),
    Heal(usize, usize),
}

const fn index(place: Place) -> usize {
    match place {
        Place::Head => 0,
        Place::Tail => 1,
    }
}

impl World {
    fn conduct(&self) -> Conduct {
        let after = self.setting.backup_after;
        Conduct {
            answers_before_tail: after,
            head_commits: after,
            bury_until: Timestamp::MAX,
            rules: self.setting.rules,
        }
    }

    fn reaches(state: &State, process: usize, node: usize) -> bool {
        state.nodes[node].up && !state.cut[process][node]
    }

    fn begin(&self, state: &mut State, process: usize) {
        let done = state.processes[process].done;
        let loaded = state.processes[process].loaded;
        let known = loaded.map(|(known, _)| known);
        let Some(op) = op(self.scripts[process][done], process, done, known) else {
            state.processes[process].done += 1;
            return;
        };
        let head = loaded.map_or_else(|| stamp(0), |(_, head)| head);
        let chain = chain(op, number(process, done), head, self.conduct());
        let running = Running { op, chain, step: Step::Read, read: [None, None], rounds: 0 };
        let id = u8::try_from(process).expect("few processes");
        state.history.on_invoke(id, op).expect("one operation at a time");
        state.processes[process].running = Some(running);
    }

    fn read(&self, state: &mut State, process: usize, node: usize) {
        let seen =
            if Self::reaches(state, process, node) { state.nodes[node].show() } else { Seen::Unreachable };
        let Some(running) = &mut state.processes[process].running else { return };
        running.read[node] = Some(seen);
        if let [Some(head), Some(tail)] = &running.read {
            let sight = Sight { head: head.clone(), tail: tail.clone() };
            let step = running.chain.seen(NOW, sight);
            running.read = [None, None];
            running.rounds += 1;
            self.go_on(state, process, step);
        }
    }

    fn step(&self, state: &mut State, process: usize, heard: bool) {
        let Some(running) = state.processes[process].running.clone() else { return };
        let step = match running.step {
            Step::Install { place, over, new, .. } => {
                let node = index(place);
                let outcome = if Self::reaches(state, process, node) || !heard {
                    let outcome = state.nodes[node].install(over, &new);
                    if heard { outcome } else { Outcome::Unreachable }
                } else {
                    Outcome::Unreachable
                };
                let Some(running) = &mut state.processes[process].running else { return };
                running.chain.installed(NOW, place, outcome)
            }
            Step::AskAge(place) => {
                let node = index(place);
                let complete = Self::reaches(state, process, node) && !state.nodes[node].cold;
                let Some(running) = &mut state.processes[process].running else { return };
                running.chain.aged(NOW, complete)
            }
            Step::Read | Step::Done(_) => return,
        };
        self.go_on(state, process, step);
    }

    fn follow_up(state: &mut State, process: usize) {
        let follow_up = state.processes[process].follow_up.take();
        if let Some((over, new)) = follow_up
            && Self::reaches(state, process, 1)
        {
            state.nodes[1].install(over, &new);
        }
    }

    fn go_on(&self, state: &mut State, process: usize, step: Step) {
        let current = &mut state.processes[process];
        let Some(running) = &mut current.running else { return };
        let Step::Done(answer) = step else {
            let gives_up = step == Step::Read && running.rounds >= MOST_ROUNDS;
            running.step = step;
            if gives_up {
                current.running = None;
                current.stuck = true;
            }
            return;
        };
        // What a reader leaves to do is looked at anew, as another reader would; only a writer's is taken as it is.
        current.follow_up = running.chain.take_backlog().filter(|_| !matches!(running.op, Op::Load));
        current.running = None;
        let Some(ret) = ret(&answer) else {
            current.stuck = true;
            return;
        };
        if let (Ret::Found(found), Answer::Found(stored, _)) = (ret, &answer) {
            let heads = found.zip(stored.as_ref());
            current.loaded = heads.map(|(picture, stored)| (picture.head, stored.head()));
        }
        current.done += 1;
        let id = u8::try_from(process).expect("few processes");
        state.history.on_return(id, ret).expect("an operation is under way");
    }
}

impl Model for World {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let copy = self.setting.born.then(|| Arc::new(first_record()));
        let node = Node { up: true, cold: false, copy };
        let spec = if self.setting.born { Spec::Live(Picture::first(0, 0)) } else { Spec::Unborn };
        debug_assert!(moment(0) > NOW);
        vec![State {
            nodes: [node.clone(), node],
            processes: vec![Process::NEW; self.scripts.len()],
            cut: vec![[false; 2]; self.scripts.len()],
            faults: 0,
            history: LinearizabilityTester::new(spec),
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for (index_of, process) in state.processes.iter().enumerate() {
            if process.follow_up.is_some() {
                actions.push(Action::FollowUp(index_of));
            }
            let Some(running) = &process.running else {
                // A writer hands its turn on: nothing else of this application node begins before it is given back.
                if process.follow_up.is_none()
                    && !process.stuck
                    && process.done < self.scripts[index_of].len()
                {
                    actions.push(Action::Begin(index_of));
                }
                continue;
            };
            match &running.step {
                Step::Read => {
                    for node in 0..2 {
                        if running.read[node].is_none() {
                            actions.push(Action::Read(index_of, node));
                        }
                    }
                }
                Step::Install { place, .. } => {
                    actions.push(Action::Step(index_of));
                    let node = index(*place);
                    if state.nodes[node].up && state.cut[index_of][node] {
                        actions.push(Action::StepUnheard(index_of));
                    }
                }
                Step::AskAge(_) | Step::Done(_) => actions.push(Action::Step(index_of)),
            }
        }
        for node in 0..2 {
            if self.setting.crashes.contains(&node)
                && state.nodes[node].up
                && state.faults < self.setting.budget
            {
                actions.push(Action::Crash(node));
            }
            if !state.nodes[node].up {
                actions.push(Action::Restart(node));
            }
            let other_is_cut = state.cut.iter().any(|links| links[1 - node]);
            for process in 0..self.scripts.len() {
                if state.cut[process][node] {
                    actions.push(Action::Heal(process, node));
                } else if self.setting.cuts.contains(&node)
                    && !other_is_cut
                    && state.faults < self.setting.budget
                {
                    actions.push(Action::Cut(process, node));
                }
            }
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut state = state.clone();
        match action {
            Action::Begin(process) => self.begin(&mut state, process),
            Action::Read(process, node) => self.read(&mut state, process, node),
            Action::Step(process) => self.step(&mut state, process, true),
            Action::StepUnheard(process) => self.step(&mut state, process, false),
            Action::FollowUp(process) => Self::follow_up(&mut state, process),
            Action::Crash(node) => {
                state.faults += 1;
                state.nodes[node].crash();
            }
            Action::Restart(node) => state.nodes[node].up = true,
            Action::Cut(process, node) => {
                state.faults += 1;
                state.cut[process][node] = true;
            }
            Action::Heal(process, node) => state.cut[process][node] = false,
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::<Self>::always("linearizable", |_, state| state.history.is_consistent()),
            // Against vacuity: some schedule gets every process to the end of its script.
            Property::<Self>::sometimes("everybody is done", |world, state| {
                let mut scripts = state.processes.iter().zip(&world.scripts);
                scripts.all(|(process, script)| process.done == script.len())
            }),
        ]
    }
}
