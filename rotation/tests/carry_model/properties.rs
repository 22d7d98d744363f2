//! What has to hold in every state, and what has to happen in some: against vacuity.

use holdover_api::Stored;
use holdover_rotation::carry::{Ask, Held};
use stateright::Property;
use stateright::semantics::ConsistencyTester;

use crate::processes::{Running, Stopped, own};
use crate::spec::Op;
use crate::tables::{Twist, index};
use crate::world::{State, World};

/// What must never fail, the most telling first.
pub(crate) const ALWAYS: [&str; 8] = [
    "no resurrection",
    "no lost update",
    "no false absence",
    "one live copy",
    "payload",
    "no vanishing",
    "linearizable",
    "nobody gives up",
];

pub(crate) fn all() -> Vec<Property<World>> {
    let mut all = always();
    all.extend(sometimes());
    all
}

fn always() -> Vec<Property<World>> {
    vec![
        Property::<World>::always("linearizable", |world, state| {
            // Two unsealed copies, of which a tombstone is the newer, are what is promised without grace.
            world.setting.outlived || state.history.is_consistent()
        }),
        Property::<World>::always("one live copy", |world, state| {
            let copies = state.tables.iter().filter_map(|table| table.stored());
            world.setting.outlived || copies.count() <= 1
        }),
        Property::<World>::always("payload", |world, state| {
            world.creates() || world.setting.outlived || payload(state)
        }),
        Property::<World>::always("no vanishing", |world, state| {
            // That mutant is refuted by what comes of it.
            !state.wrongs.vanished || world.setting.twist == Twist::NoTombstone
        }),
        Property::<World>::always("no resurrection", |_, state| !state.wrongs.resurrection),
        Property::<World>::always("no lost update", |world, state| {
            world.setting.outlived || !state.wrongs.lost_update
        }),
        Property::<World>::always("no false absence", |world, state| {
            world.setting.outlived || !state.wrongs.false_absence
        }),
        Property::<World>::always("nobody gives up", |world, state| {
            let may = world.setting.losses + world.setting.retries > 0 || world.setting.outlived;
            may || state.processes.iter().all(|process| process.stopped != Some(Stopped::GaveUp))
        }),
    ]
}

fn sometimes() -> Vec<Property<World>> {
    vec![
        Property::<World>::sometimes("everybody is done", |world, state| {
            let mut scripts = state.processes.iter().zip(&world.scripts);
            scripts.all(|(process, (_, script))| process.done == script.len())
        }),
        Property::<World>::sometimes("carried", |_, state| {
            let mut sealed = state.tables.iter().filter_map(|table| table.sealed());
            sealed.any(|(to, _)| state.tables[to].held.is_some())
        }),
        Property::<World>::sometimes("helped", |_, state| any(state, helps)),
        Property::<World>::sometimes("met a tombstone", |_, state| {
            any(state, |running| {
                let met = stored_at(state, &running.ask);
                met.is_some_and(|stored| matches!(stored, Stored::Tombstone(_)))
            })
        }),
        Property::<World>::sometimes("began anew", |_, state| {
            any(state, |running| running.ask == Ask::Refresh)
        }),
        Property::<World>::sometimes("recognised itself", |_, state| {
            any(state, |running| {
                let met = stored_at(state, &running.ask);
                own(running.op).zip(met).is_some_and(|(own, met)| met.lineage().contains(own))
            })
        }),
        Property::<World>::sometimes("noted what it creates", |_, state| {
            any(state, |running| {
                matches!(&running.ask, Ask::Put { over: None, held: Held::Sealed { .. }, .. })
            })
        }),
        Property::<World>::sometimes("dropped", |_, state| state.tables.iter().any(|table| table.dropped)),
    ]
}

fn any(state: &State, is_so: impl Fn(&Running) -> bool) -> bool {
    state.processes.iter().filter_map(|process| process.running.as_ref()).any(is_so)
}

/// Whether it puts what somebody else has sealed.
fn helps(running: &Running) -> bool {
    let puts = matches!(&running.ask, Ask::Put { over: None, held: Held::Stored(_), .. });
    let own = matches!(running.op, Op::Create { .. } | Op::Implant { .. } | Op::Delete);
    puts && !own && !running.carry.wrote()
}

/// What is in the table that is asked, sealed or not.
fn stored_at<'a>(state: &'a State, ask: &Ask) -> Option<&'a Stored> {
    let (Ask::Read { table, .. } | Ask::Change { table, .. } | Ask::Put { table, .. }) = ask else {
        return None;
    };
    match state.tables[index(*table)].held.as_ref()? {
        Held::Stored(stored) | Held::Sealed { stored, .. } => Some(stored),
        Held::Unreadable => None,
    }
}

/// I2: what a seal says is what everybody carries, until somebody has.
fn payload(state: &State) -> bool {
    let running = state.processes.iter().filter_map(|process| process.running.as_ref());
    running.map(|running| &running.ask).all(|ask| {
        let Ask::Put { table: aim, over: None, held: Held::Stored(new) } = ask else {
            return true;
        };
        if state.tables[index(*aim)].held.is_some() {
            return true;
        }
        let sealed = state.tables.iter().filter_map(|table| table.sealed());
        let mut pointing = sealed.filter(|(to, _)| *to == index(*aim));
        pointing.all(|(_, stored)| stored == new)
    })
}
