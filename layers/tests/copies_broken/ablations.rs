//! The chain without one of its ingredients, one at a time: the model checker refutes the same.

use std::sync::Arc;
use std::time::Duration;

use holdover_conformance::{Copies, Harness};
use holdover_layers::failover::{FailoverSettings, Rules};
use holdover_layers::ring::RingSettings;

use crate::rig::Pairs;
use crate::rig::stores::{pair, ring, settings};
use crate::{Broken, RING};

pub(crate) fn all() -> Vec<Broken> {
    [rules(), settings_and_rings()].into_iter().flatten().collect()
}

fn rules() -> Vec<Broken> {
    let all = Rules::ALL;
    let kinds = Copies { several_kinds: true, ..Copies::PAIR };
    vec![
        Broken {
            id: "x1",
            defect: "copies that differ are left as they are",
            harness: without(Copies::PAIR, Rules { write_back: false, ..all }),
            killed_by: &["FAIL-15", "FAIL-22", "FAIL-45", "FAIL-46", "FAIL-57"],
        },
        Broken {
            id: "x2",
            defect: "of two copies that have diverged the head's counts",
            harness: without(Copies::PAIR, Rules { tie_to_tail: false, ..all }),
            killed_by: &["FAIL-59"],
        },
        Broken {
            id: "x4",
            defect: "a destroyed session leaves no tombstone",
            harness: without(Copies::PAIR, Rules { tombstones: false, ..all }),
            killed_by: &["FAIL-17", "FAIL-20", "FAIL-21", "FAIL-27", "FAIL-44", "FAIL-69"],
        },
        Broken {
            id: "x6",
            defect: "a server that has lost its memory is believed when it knows nothing",
            harness: without(Copies::PAIR, Rules { cold_miss_is_no_miss: false, ..all }),
            killed_by: &["FAIL-58"],
        },
        Broken {
            id: "x7",
            defect: "the tail is read only where the head is silent",
            harness: without(Copies::PAIR, Rules { reads_both: false, ..all }),
            killed_by: &["FAIL-18", "FAIL-23", "FAIL-50"],
        },
        Broken {
            id: "x8",
            defect: "a write does not recognise itself",
            harness: without(Copies::PAIR, Rules { recognises_own: false, ..all }),
            killed_by: &["FAIL-49", "FAIL-56"],
        },
        Broken {
            id: "x9",
            defect: "the tail is written before the head",
            harness: without(Copies::PAIR, Rules { head_first: false, ..all }),
            killed_by: &["FAIL-59"],
        },
        Broken {
            id: "x10",
            defect: "a copy that is far behind is taken for one that has diverged",
            harness: without(kinds, Rules { counts_writes: false, ..all }),
            killed_by: &["FAIL-17", "FAIL-26", "FAIL-44"],
        },
        Broken {
            id: "x11",
            defect: "a touch that others have written over is made again",
            harness: without(Copies::PAIR, Rules { touches_once: false, ..all }),
            killed_by: &["FAIL-68"],
        },
    ]
}

fn settings_and_rings() -> Vec<Broken> {
    vec![
        Broken {
            id: "impatient",
            defect: "a server that was given up is probed all the time",
            harness: with(FailoverSettings {
                first_pause: Duration::from_nanos(1),
                max_pause: Duration::from_nanos(1),
                ..settings()
            }),
            killed_by: &["FAIL-53"],
        },
        Broken {
            id: "single",
            defect: "a session is on one server of a ring and not on two",
            harness: Pairs::over("single", RING, |members, clock| {
                ring(members, &clock, &RingSettings { copies: 1, failover: settings() })
            }),
            killed_by: &["FAIL-47", "FAIL-48"],
        },
    ]
}

fn without(copies: Copies, rules: Rules) -> Arc<dyn Harness> {
    Pairs::over("pair", copies, move |members, clock| {
        pair(members, clock, FailoverSettings { rules, ..settings() })
    })
}

fn with(settings: FailoverSettings) -> Arc<dyn Harness> {
    Pairs::over("pair", Copies::PAIR, move |members, clock| pair(members, clock, settings.clone()))
}
