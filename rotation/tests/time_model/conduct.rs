//! How the nodes of a world behave: the production schedule and plan, or either of them with one ingredient taken away.

use std::time::Duration;

use holdover_api::Timestamp;
use holdover_rotation::{
    Generation, Offset, Plan, Rules, Schedule, Stale, Table, TableState, Tables, View, plan,
};

use crate::state::{Slot, Slots, State};

pub(crate) const TICK: Duration = Duration::from_secs(10);

/// The model's epoch lies so many periods after the Unix epoch, so that clocks may show an earlier time.
const EPOCH: u64 = 100;

#[derive(Clone, Debug)]
pub(crate) struct Repaired {
    pub(crate) reads: Schedule,
    pub(crate) writes: Schedule,
    pub(crate) drops: Schedule,
    /// Readers take every table to have been punctual.
    pub(crate) nominal_ends: bool,
    /// The table is chosen by one reading of the clock and the deadline made by a later one.
    pub(crate) two_readings: bool,
    /// The drops follow the node's own clock only.
    pub(crate) own_clock: bool,
    /// A table is written to as soon as it is ready.
    pub(crate) adopts_at_once: bool,
    /// Whatever a node knows counts as fresh.
    pub(crate) trusts_old: bool,
}

impl Repaired {
    pub(crate) fn new(rules: Rules) -> Self {
        let schedule = schedule(rules);
        Self {
            reads: schedule,
            writes: schedule,
            drops: schedule,
            nominal_ends: false,
            two_readings: false,
            own_clock: false,
            adopts_at_once: false,
            trusts_old: false,
        }
    }

    pub(crate) fn moment(&self, tick: i8) -> Timestamp {
        let epoch = self.reads.begins(Generation::new(EPOCH));
        let by = TICK * u32::from(tick.unsigned_abs());
        if tick < 0 { epoch - by } else { epoch + by }
    }

    /// What a node reads, by what it knows; what it has to look again for is seen at once.
    pub(crate) fn window(&self, state: &State, node: usize) -> Vec<usize> {
        let known = self.known(state, node);
        let view = self.read_view(state, node, known).unwrap_or_else(|Stale| self.window_afresh(state, node));
        view.read.into_iter().map(place).collect()
    }

    /// What a node reads after looking again.
    pub(crate) fn window_after_refresh(&self, state: &State, node: usize) -> Vec<usize> {
        self.window_afresh(state, node).read.into_iter().map(place).collect()
    }

    fn window_afresh(&self, state: &State, node: usize) -> View {
        let truth = (state.local(node), state.slots);
        self.read_view(state, node, truth).expect("what is seen now is fresh")
    }

    fn read_view(&self, state: &State, node: usize, known: (i8, Slots)) -> Result<View, Stale> {
        let local = state.local(node);
        let as_of = if self.trusts_old { local } else { known.0 };
        let tables = self.tables(as_of, &known.1, self.nominal_ends);
        self.reads.view(self.moment(local), &tables)
    }

    /// Where a node writes now, and whether it had to look again for that; nothing if nowhere.
    pub(crate) fn target(&self, state: &State, node: usize) -> (Option<usize>, bool) {
        let local = state.local(node);
        let view = |known: (i8, Slots)| {
            let as_of = if self.trusts_old { local } else { known.0 };
            let tables = self.tables(as_of, &known.1, self.adopts_at_once);
            self.writes.view(self.moment(local), &tables)
        };
        match view(self.known(state, node)) {
            Ok(view) => (view.write.map(place), false),
            Err(Stale) => {
                let afresh = view((local, state.slots)).expect("what is seen now is fresh");
                (afresh.write.map(place), true)
            }
        }
    }

    fn known(&self, state: &State, node: usize) -> (i8, Slots) {
        state.nodes[node].known.unwrap_or((state.local(node), state.slots))
    }

    /// What a node's keeper does now: it has just looked, and asked the server for the time.
    pub(crate) fn plan(&self, state: &State, node: usize) -> Plan {
        let local = state.local(node);
        let tables = self.tables(local, &state.slots, false);
        let ahead = i64::from(-state.nodes[node].offset) * i64::try_from(TICK.as_millis()).expect("short");
        let ahead = if self.own_clock { 0 } else { ahead };
        let jitter = self.drops.rules().lead / 4;
        let offset = Offset { least: ahead, most: ahead };
        plan(&self.drops, self.moment(local), Some(offset), &tables, jitter)
    }

    fn tables(&self, as_of: i8, slots: &Slots, punctual: bool) -> Tables {
        let table = |(place, slot): (usize, &Slot)| {
            let (state, created) = match slot {
                Slot::Absent | Slot::Dropped => return None,
                Slot::Creating(at) => (TableState::Creating, *at),
                Slot::Active(at) => (TableState::Active, *at),
            };
            let created = if punctual { self.moment(-self.period()) } else { self.moment(created) };
            Some(Table { generation: Generation::new(EPOCH + place as u64), state, created })
        };
        Tables::seen(self.moment(as_of), slots.iter().enumerate().filter_map(table))
    }

    fn period(&self) -> i8 {
        let ticks = self.reads.rules().period.as_secs() / TICK.as_secs();
        i8::try_from(ticks).expect("short periods")
    }
}

pub(crate) fn schedule(rules: Rules) -> Schedule {
    Schedule::new(rules).expect("rules that go together")
}

pub(crate) fn place(generation: Generation) -> usize {
    usize::try_from(generation.number() - EPOCH).expect("few generations")
}
