//! Some processes on two nodes, some tables, and what can go wrong: the transition system.

use std::sync::Arc;

use holdover_api::{Stamp, Stored};
use holdover_rotation::Generation;
use holdover_rotation::carry::{Answer, Ask, Bearings, Carry, Held, Outcome, Step};
use stateright::semantics::{ConsistencyTester, LinearizabilityTester};
use stateright::{Model, Property};

use crate::processes::{Act, Known, Process, Running, Stopped, number, own, record, ret};
use crate::spec::{Op, Picture, Ret, Spec};
use crate::tables::{NOW, TABLES, Table, Twist, index};

/// What is checked: scripts, each on one of two nodes, and what surrounds them.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) scripts: Vec<(usize, Vec<Act>)>,
    pub(crate) setting: Setting,
}

/// How it begins and what can happen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    /// Whether the session is there from the beginning, in the oldest table.
    pub(crate) born: bool,
    /// How far clocks get. The oldest table can be dropped when both stand at 2.
    pub(crate) last_view: usize,
    /// How many processes may die.
    pub(crate) crashes: u8,
    /// How many answers may be lost. What was asked happens at any time later, or never.
    pub(crate) losses: u8,
    /// How many operations may be given up and tried again from the beginning; what was asked last as above.
    pub(crate) retries: u8,
    /// Whether a read that need not be strong may answer anything that was there before.
    pub(crate) lagging: bool,
    /// Whether operations may take longer than a table waits for them before it is dropped, so that the only copy of a
    /// session may go with its seal. No protocol keeps it then; what is left to promise is that a logout holds.
    pub(crate) outlived: bool,
    pub(crate) twist: Twist,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) tables: [Table; TABLES],
    views: [usize; 2],
    pub(crate) processes: Vec<Process>,
    /// What was asked and not answered, and may still arrive.
    under_way: Vec<(Option<Stamp>, Ask)>,
    crashes: u8,
    losses: u8,
    retries: u8,
    known: Known,
    /// What has gone wrong that has a name.
    pub(crate) wrongs: Wrongs,
    pub(crate) history: LinearizabilityTester<usize, Spec>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Wrongs {
    pub(crate) resurrection: bool,
    pub(crate) lost_update: bool,
    pub(crate) false_absence: bool,
    pub(crate) vanished: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    Begin(usize),
    /// A process does what its step says.
    Step(usize),
    /// It reads what was there so many changes before.
    StepLagging(usize, usize),
    /// It does not hear the answer.
    StepLost(usize),
    /// It gives up and tries the operation again from the beginning.
    Retry(usize),
    /// What was asked and not answered happens.
    Arrive(usize),
    /// The clock of a node crosses a boundary.
    Advance(usize),
    Drop(usize),
    Die(usize),
}

impl World {
    /// Whether somebody puts something where nothing is.
    pub(crate) fn creates(&self) -> bool {
        let creates = |act: &Act| matches!(act, Act::Create | Act::Implant);
        self.scripts.iter().any(|(_, script)| script.iter().any(creates))
    }

    fn bearings(&self, state: &State, node: usize, existing_only: bool) -> Bearings {
        let view = state.views[node];
        let twist = self.setting.twist;
        let ahead = usize::from(!matches!(twist, Twist::NoReadAhead | Twist::NoReadAheadNorNote));
        let behind = if twist == Twist::NoLookBehind { 1 } else { 2 };
        let window = view.saturating_sub(behind)..=(view + ahead).min(self.setting.last_view);
        let exists = |table: &usize| !existing_only || !state.tables[*table].dropped;
        let mut read: Vec<Generation> = window.filter(exists).map(generation).collect();
        if twist != Twist::OldestFirst {
            read.reverse();
        }
        let leaves_no_note = matches!(twist, Twist::NoCommonTable | Twist::NoReadAheadNorNote);
        let common = if leaves_no_note { view } else { self.common(state, view) };
        Bearings { now: NOW, read: read.into(), write: generation(view), common: generation(common) }
    }

    /// The oldest table that somebody may still put something into where nothing is.
    fn common(&self, state: &State, view: usize) -> usize {
        let running = state.processes.iter().filter_map(|process| process.running.as_ref());
        // Somebody whose operation has begun may still go where its clock said; if not for longer than one may take.
        let begun = running.map(|running| running.begun_at).filter(|_| !self.setting.outlived);
        let aims = state.under_way.iter().filter_map(|(_, ask)| match ask {
            Ask::Put { table, over: None, .. } => Some(index(*table)),
            _ => None,
        });
        let all = begun.chain(aims).chain(state.views).filter(|table| !state.tables[*table].dropped);
        all.min().unwrap_or(view).min(view)
    }

    fn begin(&self, state: &mut State, process: usize) {
        let act = self.scripts[process].1[state.processes[process].done];
        let Some(op) = state.processes[process].op(act, process) else {
            state.processes[process].done += 1;
            return;
        };
        if !matches!(op, Op::LoadSince(_)) {
            state.history.on_invoke(process, op).expect("one operation at a time");
        }
        let known = state.known;
        self.attempt(state, process, op, known);
    }

    fn attempt(&self, state: &mut State, process: usize, op: Op, known: Known) {
        let current = &state.processes[process];
        let begun_at = state.views[current.node];
        let bearings = self.bearings(state, current.node, false);
        let buries_absent = self.setting.twist != Twist::NoTombstoneWhenAbsent;
        let request = current.request(op, process, buries_absent);
        let (carry, step) = Carry::begin(request, bearings);
        let Step::Ask(ask) = step else { unreachable!("something is asked first") };
        state.processes[process].running = Some(Running { op, carry, ask, known, begun_at });
    }

    fn step(&self, state: &mut State, process: usize, answer: Option<Answer>) {
        let Some(running) = state.processes[process].running.clone() else { return };
        let answer = answer.unwrap_or_else(|| self.answer(state, process, running.op, &running.ask));
        let current = &mut state.processes[process];
        let Some(running) = &mut current.running else { return };
        match running.carry.answered(answer) {
            Step::Ask(ask) => running.ask = ask,
            Step::Done(outcome) => self.end(state, process, &outcome),
        }
    }

    fn step_lagging(&self, state: &mut State, process: usize, age: usize) {
        let Some(Running { ask, .. }) = &state.processes[process].running else { return };
        let Some(table) = ask.table() else { return };
        let found = state.tables[index(table)].past[age].clone();
        self.step(state, process, Some(Answer::Found(found)));
    }

    fn leave_under_way(state: &mut State, process: usize) {
        let Some(Running { op, ask, .. }) = &state.processes[process].running else { return };
        if writes(ask) {
            state.under_way.push((own(*op), ask.clone()));
        }
    }

    fn answer(&self, state: &mut State, process: usize, op: Op, ask: &Ask) -> Answer {
        self.perform(state, own(op), ask).unwrap_or_else(|| {
            let node = state.processes[process].node;
            if let Some(running) = &mut state.processes[process].running {
                running.begun_at = state.views[node];
            }
            Answer::Bearings(self.bearings(state, node, true))
        })
    }

    /// What comes of an access; nothing if it is none to a table.
    fn perform(&self, state: &mut State, own: Option<Stamp>, ask: &Ask) -> Option<Answer> {
        let table = index(ask.table()?);
        let had = state.tables[table].held.is_some();
        let answer = state.tables[table].answer(ask, self.setting.twist, own, self.setting.lagging);
        state.wrongs.vanished |= had && state.tables[table].held.is_none();
        Some(answer)
    }

    fn end(&self, state: &mut State, process: usize, outcome: &Outcome) {
        let current = &mut state.processes[process];
        let Some(running) = current.running.take() else { return };
        let Some(ret) = ret(outcome) else {
            current.stopped = Some(Stopped::GaveUp);
            return;
        };
        let mine = number(process, current.done);
        current.done += 1;
        let known = running.known;
        match (running.op, ret) {
            (_, Ret::Saved) => {
                current.wrote = Some(mine);
                state.known.writes |= 1 << mine;
            }
            (Op::Implant { number, .. }, Ret::Installed) => state.known.writes |= 1 << number,
            (Op::Bury { .. }, Ret::Installed) | (_, Ret::Deleted) => state.known.destroyed = true,
            // Not for the oracle: it may be any copy that holds the write.
            (Op::LoadSince(number), Ret::Found(found)) => {
                state.wrongs.lost_update |= found.is_some_and(|found| !found.holds(number));
                state.wrongs.false_absence |= found.is_none();
                return;
            }
            (_, Ret::Found(found)) => {
                let Outcome::Found(sighting) = outcome else { return };
                current.loaded = sighting.clone().filter(|_| found.is_some());
                let was_there = self.setting.born || known.writes != 0;
                let may_be_gone = !was_there || self.may_be_destroyed(state);
                state.wrongs.note(known, found, may_be_gone);
            }
            _ => {}
        }
        state.history.on_return(process, ret).expect("an operation is under way");
    }

    /// Whether somebody has begun to destroy the session.
    fn may_be_destroyed(&self, state: &State) -> bool {
        let destroys = |act: &Act| matches!(act, Act::Delete | Act::Bury);
        let mut processes = state.processes.iter().zip(&self.scripts);
        processes.any(|(process, (_, script))| {
            let begun = process.done + usize::from(process.running.is_some() || process.stopped.is_some());
            script.iter().take(begun).any(destroys)
        })
    }

    fn drops_seals(&self) -> bool {
        self.setting.outlived || self.setting.twist == Twist::NoGrace
    }

    fn can_drop(&self, state: &State, table: usize) -> bool {
        if state.tables[table].dropped || state.views.iter().any(|view| *view < table + 2) {
            return false;
        }
        match &state.tables[table].held {
            None => true,
            // What lives has a deadline for which the table waits.
            Some(Held::Stored(stored)) => matches!(**stored, Stored::Tombstone(_)),
            Some(Held::Sealed { to, .. }) => {
                let to = &state.tables[index(*to)];
                self.drops_seals() || to.dropped || to.held.is_some()
            }
            Some(Held::Unreadable) => false,
        }
    }
}

fn generation(table: usize) -> Generation {
    Generation::new(table as u64)
}

const fn writes(ask: &Ask) -> bool {
    !matches!(ask, Ask::Refresh | Ask::Read { .. })
}

impl Wrongs {
    fn note(&mut self, known: Known, found: Option<Picture>, may_be_gone: bool) {
        match found {
            Some(found) => {
                self.resurrection |= known.destroyed;
                self.lost_update |= found.writes & known.writes != known.writes;
            }
            None => self.false_absence |= !may_be_gone,
        }
    }
}

impl Model for World {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let mut tables = [const { Table::EMPTY }; TABLES];
        let mut spec = Spec::Unborn;
        if self.setting.born {
            tables[0].held = Some(Held::Stored(Arc::new(record(0))));
            spec = Spec::Live(Picture::first(0, 0));
        }
        vec![State {
            tables,
            views: [0; 2],
            processes: self.scripts.iter().map(|(node, _)| Process::new(*node)).collect(),
            under_way: Vec::new(),
            crashes: 0,
            losses: 0,
            retries: 0,
            known: Known::default(),
            wrongs: Wrongs::default(),
            history: LinearizabilityTester::new(spec),
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for (index_of, process) in state.processes.iter().enumerate() {
            if process.stopped.is_some() {
                continue;
            }
            let Some(running) = &process.running else {
                if process.done < self.scripts[index_of].1.len() {
                    actions.push(Action::Begin(index_of));
                }
                continue;
            };
            actions.push(Action::Step(index_of));
            if let (Ask::Read { table, strongly: false }, true) = (&running.ask, self.setting.lagging) {
                let past = state.tables[index(*table)].past.len();
                actions.extend((0..past).map(|age| Action::StepLagging(index_of, age)));
            }
            if writes(&running.ask) && state.losses < self.setting.losses {
                actions.push(Action::StepLost(index_of));
            }
            if state.retries < self.setting.retries {
                actions.push(Action::Retry(index_of));
            }
            if state.crashes < self.setting.crashes {
                actions.push(Action::Die(index_of));
            }
        }
        actions.extend((0..state.under_way.len()).map(Action::Arrive));
        for node in 0..2 {
            let view = state.views[node];
            // Clocks differ by less than a period.
            if view < self.setting.last_view && view <= state.views[1 - node] {
                actions.push(Action::Advance(node));
            }
        }
        actions.extend((0..TABLES).filter(|table| self.can_drop(state, *table)).map(Action::Drop));
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut state = state.clone();
        match action {
            Action::Begin(process) => self.begin(&mut state, process),
            Action::Step(process) => self.step(&mut state, process, None),
            Action::StepLagging(process, age) => self.step_lagging(&mut state, process, age),
            Action::StepLost(process) => {
                state.losses += 1;
                Self::leave_under_way(&mut state, process);
                self.step(&mut state, process, Some(Answer::Lost));
            }
            Action::Retry(process) => {
                state.retries += 1;
                Self::leave_under_way(&mut state, process);
                let running = state.processes[process].running.take();
                let Running { op, known, .. } = running?;
                self.attempt(&mut state, process, op, known);
            }
            Action::Arrive(position) => {
                let (own, ask) = state.under_way.remove(position);
                self.perform(&mut state, own, &ask);
            }
            Action::Advance(node) => state.views[node] += 1,
            Action::Drop(table) => state.tables[table] = Table { dropped: true, ..Table::EMPTY },
            Action::Die(process) => {
                state.crashes += 1;
                let current = &mut state.processes[process];
                current.stopped = Some(Stopped::Died);
                current.running = None;
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        crate::properties::all()
    }
}
