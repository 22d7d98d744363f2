//! What came before: the protocols of the 2012 article and of dynamo-session-manager 1.9, as step functions for these
//! tests alone. They fail even what a register promises to which the last writer writes, most of them with one user who
//! makes one request after the other.

use stateright::semantics::{ConsistencyTester, LinearizabilityTester, SequentialSpec};
use stateright::{Checker, HasDiscoveries, Model, Property};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    /// Looks in the current table, else in the one before; every request puts what it has loaded into the current one.
    Article,
    /// Reads the same; a request that changes nothing only updates the time of access, unless it found the session in the
    /// table before.
    CopyForward,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Act {
    Create,
    Load,
    Save,
    /// The end of a request that has changed nothing.
    Touch,
    Delete,
}

/// Everything that was ever saved, as bits; a register that the last writer wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Op {
    Put(u8),
    Get,
    Touch,
    Delete,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Ret {
    Done,
    Got(Option<u8>),
    /// There is a row without data: the request ends in an error.
    Broken,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Register(Option<u8>);

impl SequentialSpec for Register {
    type Op = Op;
    type Ret = Ret;

    fn invoke(&mut self, op: &Op) -> Ret {
        match op {
            Op::Put(value) => self.0 = Some(*value),
            Op::Delete => self.0 = None,
            Op::Touch => {}
            Op::Get => return Ret::Got(self.0),
        }
        Ret::Done
    }
}

/// A row: its data, or none (a time of access alone).
type Row = Option<Option<u8>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum At {
    Rest,
    Reading(usize),
    Writing,
    /// What is left of a delete that goes over both tables.
    DeletingBefore(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Request {
    node: usize,
    done: usize,
    at: At,
    /// Which table was current when the operation began.
    current: usize,
    /// What was loaded, and whether from the table before.
    loaded: Option<(u8, bool)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    tables: [Row; 2],
    views: [usize; 2],
    requests: Vec<Request>,
    history: LinearizabilityTester<usize, Register>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Action {
    Step(usize),
    Advance(usize),
}

#[derive(Clone, Debug)]
struct Ancestor {
    protocol: Protocol,
    scripts: &'static [(usize, &'static [Act])],
    born: bool,
    /// One request after the other, as one browser would make them.
    in_turn: bool,
    first_view: usize,
}

impl Ancestor {
    fn begin(&self, state: &mut State, of: usize) {
        let request = state.requests[of];
        let act = self.scripts[of].1[request.done];
        let loaded = request.loaded.map(|(data, _)| data);
        let bit = 1 << of;
        let op = match (act, loaded) {
            (Act::Create, _) => Op::Put(bit),
            (Act::Load, _) => Op::Get,
            (Act::Save, Some(data)) => Op::Put(data | bit),
            (Act::Touch, Some(_)) => Op::Touch,
            (Act::Delete, Some(_)) => Op::Delete,
            // Nothing was loaded: there is nothing to save, touch or destroy.
            _ => {
                state.requests[of].done += 1;
                return;
            }
        };
        state.history.on_invoke(of, op).expect("one operation at a time");
        let current = state.views[request.node];
        let at = if op == Op::Get { At::Reading(current) } else { At::Writing };
        state.requests[of] = Request { at, current, ..request };
    }

    fn end(state: &mut State, of: usize, ret: Ret) {
        state.history.on_return(of, ret).expect("an operation is under way");
        state.requests[of].at = At::Rest;
        state.requests[of].done += 1;
    }

    fn step(&self, state: &mut State, of: usize) {
        let request = state.requests[of];
        match request.at {
            At::Rest => self.begin(state, of),
            At::Reading(table) => match state.tables[table] {
                Some(None) => {
                    state.requests[of].loaded = None;
                    Self::end(state, of, Ret::Broken);
                }
                Some(Some(data)) => {
                    state.requests[of].loaded = Some((data, table < request.current));
                    Self::end(state, of, Ret::Got(Some(data)));
                }
                None if table == request.current && table > 0 => {
                    state.requests[of].at = At::Reading(table - 1);
                }
                None => {
                    state.requests[of].loaded = None;
                    Self::end(state, of, Ret::Got(None));
                }
            },
            At::Writing => self.write(state, of),
            At::DeletingBefore(table) => {
                state.tables[table] = None;
                Self::end(state, of, Ret::Done);
            }
        }
    }

    /// The name of the current table is asked for at the moment of the access, not when the request began.
    fn write(&self, state: &mut State, of: usize) {
        let Request { node, done, loaded, .. } = state.requests[of];
        let table = state.views[node];
        let (data, from_before) = loaded.unwrap_or_default();
        match self.scripts[of].1[done] {
            Act::Create | Act::Save => state.tables[table] = Some(Some(data | 1 << of)),
            Act::Touch if self.protocol == Protocol::Article || from_before => {
                state.tables[table] = Some(Some(data));
            }
            // An update creates what is not there: a row with a time of access and no data.
            Act::Touch => {
                state.tables[table].get_or_insert(None);
            }
            Act::Delete => {
                state.tables[table] = None;
                if let Some(before) = table.checked_sub(1) {
                    state.requests[of].at = At::DeletingBefore(before);
                    return;
                }
            }
            Act::Load => {}
        }
        Self::end(state, of, Ret::Done);
    }

    fn is_over(&self, request: &Request, of: usize) -> bool {
        request.done == self.scripts[of].1.len()
    }
}

impl Model for Ancestor {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let first = self.born.then_some(0);
        let request = |node| Request { node, done: 0, at: At::Rest, current: 0, loaded: None };
        vec![State {
            tables: [first.map(Some), None],
            views: [self.first_view; 2],
            requests: self.scripts.iter().map(|(node, _)| request(*node)).collect(),
            history: LinearizabilityTester::new(Register(first)),
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for (of, request) in state.requests.iter().enumerate() {
            let mut before = state.requests[..of].iter().enumerate();
            let is_turn = !self.in_turn || before.all(|(of, request)| self.is_over(request, of));
            if is_turn && !self.is_over(request, of) {
                actions.push(Action::Step(of));
            }
        }
        actions.extend((0..2).filter(|node| state.views[*node] == 0).map(Action::Advance));
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut state = state.clone();
        match action {
            Action::Step(of) => self.step(&mut state, of),
            Action::Advance(node) => state.views[node] += 1,
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::<Self>::always("linearizable", |_, state| state.history.is_consistent()),
            Property::<Self>::sometimes("everybody is done", |ancestor, state| {
                state.requests.iter().enumerate().all(|(of, request)| ancestor.is_over(request, of))
            }),
        ]
    }
}

/// The shortest schedule that is not even what a register promises. Prints it.
fn shortest(name: &str, ancestor: &Ancestor) -> Option<usize> {
    let mut shortest: Option<Vec<Action>> = None;
    loop {
        let depth = shortest.as_ref().map_or(usize::MAX, Vec::len);
        let checker = ancestor.clone().checker().target_max_depth(depth);
        let checker = checker.finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
        if let Some(path) = checker.discovery("linearizable") {
            shortest = Some(path.into_actions());
            continue;
        }
        let Some(actions) = shortest else {
            println!("{name}: holds, {} states", checker.unique_state_count());
            assert!(checker.discovery("everybody is done").is_some(), "{name}: nobody gets to the end");
            return None;
        };
        println!("{name}: not linearizable after {} steps: {actions:?}", actions.len());
        return Some(actions.len());
    }
}

const IN_TURN: Ancestor =
    Ancestor { protocol: Protocol::CopyForward, scripts: &[], born: true, in_turn: true, first_view: 0 };
const AT_ONCE: Ancestor = Ancestor { in_turn: false, ..IN_TURN };

#[test]
fn what_came_before_loses_sessions() {
    use Act::{Create, Delete, Load, Save, Touch};
    let article = Protocol::Article;
    let seeds = [
        (
            "S1: a reader and a saver",
            Ancestor {
                protocol: article,
                scripts: &[(0, &[Load, Touch]), (0, &[Load, Save, Load])],
                ..AT_ONCE
            },
        ),
        (
            "S1b: the same just after a boundary",
            Ancestor { scripts: &[(0, &[Load, Touch]), (0, &[Load, Save, Load])], first_view: 1, ..AT_ONCE },
        ),
        ("S2: one read-only request", Ancestor { scripts: &[(0, &[Load, Touch, Load])], ..IN_TURN }),
        (
            "S3: a logout and a reader",
            Ancestor {
                protocol: article,
                scripts: &[(0, &[Load, Delete, Load]), (0, &[Load, Touch])],
                ..AT_ONCE
            },
        ),
        (
            "S4: a logout on the slow node",
            Ancestor { scripts: &[(1, &[Load, Touch]), (0, &[Load, Delete]), (1, &[Load])], ..IN_TURN },
        ),
        ("S5: a save on the fast node", Ancestor { scripts: &[(1, &[Load, Save]), (0, &[Load])], ..IN_TURN }),
        (
            "S6: a save on the slow node",
            Ancestor { scripts: &[(1, &[Load, Touch]), (0, &[Load, Save]), (1, &[Load])], ..IN_TURN },
        ),
        (
            "S7: a login on the fast node",
            Ancestor { scripts: &[(1, &[Create]), (0, &[Load])], born: false, ..IN_TURN },
        ),
    ];
    for (name, seed) in seeds {
        assert!(shortest(name, &seed).is_some(), "{name} holds");
    }
}

/// The same model finds nothing where there is nothing to find.
#[test]
fn what_came_before_holds_for_one_user_on_one_node() {
    use Act::{Delete, Load, Save};
    let scripts: &[(usize, &[Act])] = &[(0, &[Load, Save, Load, Delete, Load])];
    let control = Ancestor { protocol: Protocol::Article, scripts, ..IN_TURN };
    assert_eq!(shortest("S8: one user, one node", &control), None);
}
