//! Whatever one browser does, over however many boundaries, on nodes whose clocks differ: the answers are those of one
//! table under `judge`. And what each operation costs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use holdover_api::{
    Deadline, Delta, InstallVerdict, Lineage, On, Record, Stamp, Stored, Timestamp, Tombstone, Verdict,
    Write, judge, judge_install, judge_touch,
};
use holdover_rotation::Generation;
use holdover_rotation::carry::{Answer, Ask, Bearings, Carry, Held, Outcome, Request, Step, perform};
use proptest::prelude::*;

/// How long a table is written to, and how long a session may live.
const PERIOD: u64 = 100;

/// Tables by generation; none below `oldest` any more.
#[derive(Default)]
struct Tables {
    held: BTreeMap<u64, Option<Held>>,
    oldest: u64,
    reads: usize,
    writes: usize,
}

impl Tables {
    fn bearings(now: u64) -> Bearings {
        let write = now / PERIOD;
        // The clocks of others differ by up to five; nobody takes longer than that either.
        let newest = (now + 5) / PERIOD;
        let common = now.saturating_sub(10) / PERIOD;
        let oldest = now.saturating_sub(PERIOD) / PERIOD;
        let read = (oldest..=newest).rev().map(Generation::new).collect();
        let (write, common) = (Generation::new(write), Generation::new(common));
        Bearings { now: Timestamp::from_millis(now), read, write, common }
    }

    fn drop_what_nobody_reads(&mut self, now: u64) {
        // A table is written to for a period and read for another, by clocks that differ.
        self.oldest = now.saturating_sub(2 * PERIOD + 15).div_ceil(PERIOD);
        self.held.retain(|table, _| *table >= self.oldest);
    }

    fn run(&mut self, now: u64, request: Request) -> Outcome {
        let (mut carry, mut step) = Carry::begin(request, Self::bearings(now));
        loop {
            step = match step {
                Step::Done(outcome) => return outcome,
                Step::Ask(ask) => {
                    let answer = self.answer(carry.now(), &ask);
                    carry.answered(answer)
                }
            };
        }
    }

    fn answer(&mut self, now: Timestamp, ask: &Ask) -> Answer {
        let table = match ask {
            Ask::Refresh => panic!("every table in reach is there"),
            Ask::Read { table, .. } => {
                self.reads += 1;
                table
            }
            Ask::Change { table, .. }
            | Ask::Seal { table, .. }
            | Ask::Put { table, .. }
            | Ask::Raze { table, .. } => {
                self.writes += 1;
                table
            }
        };
        assert!(table.number() >= self.oldest, "nobody asks a table that may be gone");
        let held = self.held.entry(table.number()).or_default();
        let (after, answer) = perform(now, held.take(), ask);
        *held = after;
        answer
    }

    /// How many reads and writes this takes.
    fn cost(&mut self, now: u64, request: Request) -> (usize, usize) {
        (self.reads, self.writes) = (0, 0);
        self.run(now, request);
        (self.reads, self.writes)
    }
}

fn stamp(number: u8) -> Stamp {
    Stamp::from_bytes([number; 16])
}

fn at(now: u64) -> Timestamp {
    Timestamp::from_millis(now)
}

fn write(on: On, number: u8, deadline: Deadline) -> Write {
    let mut delta = Delta::default();
    delta.set(format!("{}", number % 5), vec![number]);
    Write { on, delta, stamp: stamp(number), deadline, base: None }
}

fn create(number: u8, now: u64) -> Request {
    let deadline = Deadline::AtLeast(at(now + PERIOD));
    Request::save(&write(On::Absent { created: at(now) }, number, deadline))
}

fn merge(number: u8, now: u64) -> Request {
    Request::save(&write(On::Live, number, Deadline::AtLeast(at(now + PERIOD))))
}

#[derive(Clone, Debug)]
enum Act {
    Create,
    Merge,
    Swap,
    Shorten(u64),
    Again,
    Touch(u64),
    Delete,
    Load,
    Inspect,
    Bury,
    Restore,
}

/// One table that holds what `judge` says.
#[derive(Default)]
struct Oracle(Option<Stored>);

impl Oracle {
    fn standing(&self, now: Timestamp) -> Option<&Stored> {
        self.0.as_ref().filter(|stored| !stored.is_over(now))
    }

    /// What the answer has to be, in the words of [`said`].
    fn answer(&mut self, now: Timestamp, request: &Request) -> String {
        match request {
            Request::Load { .. } => {
                let live = self.0.as_ref().and_then(|stored| stored.as_live(now).cloned());
                format!("found {:?}", live.map(Stored::Record))
            }
            Request::Inspect => format!("found {:?}", self.standing(now)),
            Request::Save(write) => match judge(now, self.0.as_ref(), write) {
                Verdict::Apply { record, previous } => {
                    self.0 = Some(Stored::Record(record));
                    format!("saved {previous:?}")
                }
                Verdict::Repeated { previous } => format!("saved {previous:?}"),
                Verdict::Conflict => format!("conflict {:?}", self.standing(now)),
                Verdict::Gone => "gone".into(),
            },
            Request::Touch(deadline) => {
                let later = judge_touch(now, self.0.as_ref(), *deadline);
                if let (Some(later), Some(Stored::Record(record))) = (later, &mut self.0) {
                    record.deadline = later;
                }
                format!("touched {}", later.is_some())
            }
            Request::Delete { stamp, bury_absent } => {
                self.0 = match self.0.take() {
                    Some(Stored::Record(record)) => Some(Stored::Tombstone(Tombstone {
                        lineage: record.lineage.pushed(*stamp),
                        deadline: record.deadline,
                    })),
                    Some(tombstone) => Some(tombstone),
                    None => bury_absent.map(|deadline| {
                        Stored::Tombstone(Tombstone { lineage: Lineage::new(*stamp), deadline })
                    }),
                };
                "deleted".into()
            }
            Request::Install { over, new } => match judge_install(now, self.0.as_ref(), *over, new) {
                InstallVerdict::Apply => {
                    self.0 = Some(Stored::clone(new));
                    "installed".into()
                }
                InstallVerdict::Repeated => "installed".into(),
                InstallVerdict::Refused => format!("refused {:?}", self.standing(now)),
            },
        }
    }

    fn request(&self, now: u64, number: u8, act: &Act, last: Option<&Request>) -> Request {
        let lease = at(now + PERIOD);
        match act {
            Act::Create => create(number, now),
            Act::Merge => merge(number, now),
            Act::Swap => {
                let head = self.0.as_ref().map_or_else(|| stamp(255), Stored::head);
                Request::save(&write(On::Head(head), number, Deadline::AtLeast(lease)))
            }
            Act::Shorten(left) => Request::save(&write(On::Live, number, Deadline::Exactly(at(now + left)))),
            Act::Again => last.cloned().unwrap_or(Request::Inspect),
            Act::Touch(left) => Request::Touch(at(now + left)),
            Act::Delete => Request::Delete { stamp: stamp(number), bury_absent: None },
            Act::Load => Request::Load { at_least: None },
            Act::Inspect => Request::Inspect,
            Act::Bury | Act::Restore => {
                let standing = self.standing(at(now)).cloned();
                let lineage = standing.as_ref().map(|stored| stored.lineage().pushed(stamp(number)));
                let lineage = lineage.unwrap_or_else(|| Lineage::new(stamp(number)));
                let new = if matches!(act, Act::Bury) {
                    Stored::Tombstone(Tombstone { lineage, deadline: lease })
                } else {
                    let attributes = BTreeMap::from([("restored".into(), vec![number].into())]);
                    Stored::Record(Record { attributes, lineage, created: at(now), deadline: lease })
                };
                Request::Install { over: standing.map(|stored| stored.standing()), new: Arc::new(new) }
            }
        }
    }
}

/// An outcome in comparable words. What has passed its deadline may be inspected or not.
fn said(now: Timestamp, outcome: Outcome) -> String {
    let stored = |found: Option<holdover_rotation::carry::Sighting>| {
        found.map(|found| Stored::clone(&found.stored)).filter(|stored| !stored.is_over(now))
    };
    match outcome {
        Outcome::Found(found) => format!("found {:?}", stored(found)),
        Outcome::Saved(previous) => format!("saved {previous:?}"),
        Outcome::Conflict(found) => format!("conflict {:?}", stored(Some(found))),
        Outcome::Gone => "gone".into(),
        Outcome::Touched(touched) => format!("touched {touched}"),
        Outcome::Deleted => "deleted".into(),
        Outcome::Installed => "installed".into(),
        Outcome::Refused(found) => format!("refused {:?}", stored(found)),
        other => format!("{other:?}"),
    }
}

fn acts() -> impl Strategy<Value = Vec<(u64, u64, Act)>> {
    let act = prop_oneof![
        3 => Just(Act::Create),
        4 => Just(Act::Merge),
        2 => Just(Act::Swap),
        1 => (0..PERIOD).prop_map(Act::Shorten),
        1 => Just(Act::Again),
        3 => (0..=PERIOD).prop_map(Act::Touch),
        1 => Just(Act::Delete),
        3 => Just(Act::Load),
        1 => Just(Act::Inspect),
        1 => Just(Act::Bury),
        1 => Just(Act::Restore),
    ];
    // How much later, by a clock that is how far behind.
    prop::collection::vec((0..PERIOD, 0..=5_u64, act), 1..40)
}

proptest! {
    #[test]
    fn the_answers_are_those_of_one_table(acts in acts()) {
        let (mut tables, mut oracle) = (Tables::default(), Oracle::default());
        let (mut true_now, mut last) = (1_000, None);
        for (number, (later, behind, act)) in (1_u8..).zip(acts) {
            true_now += later;
            tables.drop_what_nobody_reads(true_now);
            // Both ask the same clock: what it shows decides what is expired.
            let now = true_now - behind;
            let request = oracle.request(now, number, &act, last.as_ref());
            let expected = oracle.answer(at(now), &request);
            let outcome = tables.run(now, request.clone());
            prop_assert_eq!(said(at(now), outcome), expected, "{:?}", act);
            let standing = tables.held.values().filter(|held| {
                matches!(held, Some(Held::Stored(stored)) if !stored.is_over(at(now)))
            });
            prop_assert!(standing.count() <= 1, "one copy that stands");
            last = Some(request);
        }
    }
}

/// Reads and writes: of a session in the table that is written to, then of one in the table before.
#[test]
fn operations_cost_what_the_readme_says() {
    let (now, later) = (1_050, 1_130);
    let born = || {
        let mut tables = Tables::default();
        tables.run(now, create(1, now));
        tables
    };
    let load = Request::Load { at_least: None };
    let touch = |now: u64| Request::Touch(at(now + PERIOD));
    let delete = Request::Delete { stamp: stamp(9), bury_absent: Some(at(later + PERIOD)) };

    assert_eq!(Tables::default().cost(now, create(1, now)), (1, 1));
    assert_eq!(Tables::default().cost(1_105, create(1, 1_105)), (0, 2), "right after a boundary");
    assert_eq!(born().cost(now, load.clone()), (1, 0));
    assert_eq!(born().cost(later, load.clone()), (2, 0));
    assert_eq!(Tables::default().cost(now, load.clone()), (2, 0));
    assert_eq!(born().cost(now, merge(2, now)), (0, 1));
    assert_eq!(Tables::default().cost(now, merge(2, now)), (1, 1), "refused once");
    assert_eq!(Tables::default().cost(now, touch(now)), (1, 1), "refused once");
    assert_eq!(born().cost(now + 10, touch(now + 10)), (0, 1));
    assert_eq!(born().cost(now, delete.clone()), (0, 1));
    assert_eq!(Tables::default().cost(now, delete.clone()), (1, 2), "nothing is there, and it is buried");

    // The first write after a boundary, of a session that was loaded: the seal, and the copy.
    let mut tables = born();
    let Outcome::Found(Some(sighting)) = tables.run(later, load) else { panic!("it lives") };
    let base = sighting.into_loaded();
    let write = Write { base, ..write(On::Live, 2, Deadline::AtLeast(at(later + PERIOD))) };
    assert_eq!(tables.cost(later, Request::save(&write)), (0, 2));
    // The same without a load before: it is looked for first.
    assert_eq!(born().cost(later, merge(2, later)), (1, 3));
    assert_eq!(born().cost(later, touch(later)), (1, 3));
    assert_eq!(born().cost(later, delete), (1, 2));
}

#[test]
fn a_session_that_is_used_lives_on_through_many_tables() {
    let mut tables = Tables::default();
    tables.run(1_000, create(1, 1_000));
    for now in (1_050..9_000).step_by(90) {
        tables.drop_what_nobody_reads(now);
        assert_eq!(
            tables.run(now, Request::Touch(at(now) + Duration::from_millis(PERIOD))),
            Outcome::Touched(true)
        );
        assert!(tables.held.len() <= 5, "old tables go");
    }
}
