//! A store against the executable specification: any sequence of operations has the same answers.

use std::sync::Arc;
use std::time::Duration;

use holdover_api::{
    Clock, Deadline, Delta, Freshness, InstallAnswer, Lineage, Loaded, ManualClock, Memory, On, Record,
    SaveAnswer, SessionKey, SessionStore, Stamp, Standing, Stored, SystemClock, Timestamp, Tombstone, Write,
};
use holdover_conformance::{Random, SEED_VARIABLE, fresh_seed, parse_seed};

const SEQUENCES: usize = 250;
const OPERATIONS: usize = 40;
const MAX_BYTES: usize = 900;

/// A store and what it last loaded.
struct Side {
    store: Arc<dyn SessionStore>,
    loaded: Option<Loaded>,
}

#[derive(Clone, Debug)]
enum Operation {
    Load,
    Inspect,
    Delete,
    Save(Write, bool),
    Touch(Timestamp),
    Install(Option<Standing>, Stored),
}

/// What one sequence has in its hands.
struct Sequence {
    random: Random,
    clock: Arc<ManualClock>,
    key: SessionKey,
    writes: Vec<Write>,
    stamps: Vec<Stamp>,
    last_stored: Option<Stored>,
}

/// Any sequence of operations on the store at `url` has the answers of the memory store.
pub(crate) async fn agree(url: &str) {
    let seed = seed();
    println!("seed {seed:#x}: repeat with {SEED_VARIABLE}={seed:#x}");
    let mut random = Random::new(seed);
    let clock = Arc::new(ManualClock::at(SystemClock.now()));
    let joint = if url.contains('?') { '&' } else { '?' };
    let url = format!("{url}{joint}max_bytes={MAX_BYTES}");
    let examined =
        holdover_backends::connect_with_clock(&url, Arc::clone(&clock) as Arc<dyn Clock>).await.unwrap();
    let memory = Memory::new().with_max_bytes(MAX_BYTES).with_clock(Arc::clone(&clock) as Arc<dyn Clock>);
    let memory: Arc<dyn SessionStore> = Arc::new(memory);
    let mut seen = [0_usize; 6];
    for number in 0..SEQUENCES {
        let mut bytes = [0; 32];
        random.fill(&mut bytes);
        let mut sequence = Sequence {
            random: Random::new(random.next()),
            clock: Arc::clone(&clock),
            key: SessionKey::from_bytes(bytes),
            writes: Vec::new(),
            stamps: Vec::new(),
            last_stored: None,
        };
        let mut sides = [&examined, &memory].map(|store| Side { store: Arc::clone(store), loaded: None });
        let mut done = Vec::new();
        for _ in 0..OPERATIONS {
            let operation = sequence.draw();
            done.push(format!("{operation:?}"));
            let [examined, memory] = &mut sides;
            let got = examined.run(&sequence, &operation).await;
            let expected = memory.run(&sequence, &operation).await;
            assert_eq!(got, expected, "seed {seed:#x}, sequence {number}: {done:#?}");
            for (index, word) in
                ["Saved", "Conflict", "Gone", "TooLarge", "Refused", "touched true"].iter().enumerate()
            {
                seen[index] += usize::from(expected.contains(word));
            }
            sequence.last_stored = memory.store.inspect(&sequence.key).await.unwrap();
        }
    }
    assert!(seen.iter().all(|count| *count > 50), "every answer is compared often: {seen:?}");
}

#[allow(clippy::disallowed_methods, reason = "a test is repeated by the seed that it printed")]
fn seed() -> u64 {
    match std::env::var(SEED_VARIABLE) {
        Ok(text) => parse_seed(&text).unwrap(),
        Err(_) => fresh_seed().unwrap(),
    }
}

impl Sequence {
    fn draw(&mut self) -> Operation {
        if self.random.below(12) == 0 {
            self.clock.advance(Duration::from_secs(self.random.below(30) as u64));
        }
        match self.random.below(20) {
            0..3 => Operation::Load,
            3 => Operation::Inspect,
            4 => Operation::Delete,
            5..7 => Operation::Touch(self.moment()),
            7..10 => self.installation(),
            _ => self.save(),
        }
    }

    fn moment(&mut self) -> Timestamp {
        let offset = Duration::from_secs(self.random.below(60) as u64);
        self.clock.now() + offset - Duration::from_secs(5)
    }

    fn fresh_stamp(&mut self) -> Stamp {
        let mut bytes = [0; 16];
        self.random.fill(&mut bytes);
        let stamp = Stamp::from_bytes(bytes);
        self.stamps.push(stamp);
        stamp
    }

    fn any_stamp(&mut self) -> Stamp {
        if let (Some(stored), true) = (&self.last_stored, self.random.below(3) > 0) {
            return stored.head();
        }
        match self.stamps.len() {
            0 => self.fresh_stamp(),
            known => self.stamps[self.random.below(known)],
        }
    }

    fn save(&mut self) -> Operation {
        let with_base = self.random.below(2) == 0;
        if self.random.below(5) == 0 && !self.writes.is_empty() {
            let index = self.random.below(self.writes.len());
            return Operation::Save(self.writes[index].clone(), with_base);
        }
        let on = match self.random.below(6) {
            0..2 => On::Absent { created: self.clock.now() - Duration::from_secs(3) },
            2 => On::Head(self.any_stamp()),
            _ => On::Live,
        };
        let moment = self.moment();
        let deadline =
            if self.random.below(3) == 0 { Deadline::Exactly(moment) } else { Deadline::AtLeast(moment) };
        let write = Write { on, delta: self.delta(), stamp: self.fresh_stamp(), deadline, base: None };
        self.writes.push(write.clone());
        Operation::Save(write, with_base)
    }

    fn delta(&mut self) -> Delta {
        let mut delta = Delta::default();
        if self.random.below(10) == 0 {
            delta.clear();
        }
        for _ in 0..self.random.below(4) {
            let name = ["", "a", "aa", "\0", "é"][self.random.below(5)];
            if self.random.below(3) == 0 {
                delta.remove(name);
            } else {
                let length = [0, 1, 16, 150, 700, 1000][self.random.below(6)];
                delta.set(name, vec![0; length]);
            }
        }
        delta
    }

    fn installation(&mut self) -> Operation {
        let over = match (&self.last_stored, self.random.below(4)) {
            (_, 0 | 1) | (None, 2) => None,
            (Some(stored), 2) => Some(stored.standing()),
            _ => Some(Standing { head: self.any_stamp(), deadline: self.moment() }),
        };
        let new = match (&self.last_stored, self.random.below(4)) {
            (Some(stored), 0) => stored.clone(),
            (_, 1) => {
                let lineage = Lineage::new(self.fresh_stamp());
                Stored::Tombstone(Tombstone { lineage, deadline: self.moment() })
            }
            _ => {
                let mut record = Record {
                    attributes: [("a".to_owned(), vec![5; 40].into())].into(),
                    lineage: Lineage::new(self.fresh_stamp()),
                    created: self.clock.now(),
                    deadline: self.moment(),
                };
                for _ in 0..self.random.below(9) {
                    record.lineage = record.lineage.pushed(self.fresh_stamp());
                }
                Stored::Record(record)
            }
        };
        Operation::Install(over, new)
    }
}

impl Side {
    /// The answer as text, without the store's own notes.
    async fn run(&mut self, sequence: &Sequence, operation: &Operation) -> String {
        let (key, now) = (&sequence.key, sequence.clock.now());
        let answer = match operation {
            Operation::Load => self.store.load(key, Freshness::Latest).await.map(|loaded| {
                self.loaded.clone_from(&loaded);
                format!("{:?}", loaded.map(|loaded| loaded.record))
            }),
            Operation::Inspect => {
                let stored = self.store.inspect(key).await;
                stored.map(|stored| format!("{:?}", stored.filter(|stored| !stored.is_over(now))))
            }
            Operation::Delete => self.store.delete(key).await.map(|()| "deleted".to_owned()),
            Operation::Save(write, with_base) => {
                let mut write = write.clone();
                write.base = self.loaded.clone().filter(|_| *with_base);
                self.store.save(key, &write).await.map(|answer| match answer {
                    SaveAnswer::Saved { previous } => format!("Saved {previous:?}"),
                    SaveAnswer::Conflict { current } => {
                        self.loaded.clone_from(&current);
                        format!("Conflict {:?}", current.map(|loaded| loaded.record))
                    }
                    SaveAnswer::Gone => "Gone".to_owned(),
                })
            }
            Operation::Touch(moment) => {
                let touched = self.store.touch(key, *moment).await;
                touched.map(|touched| format!("touched {touched}"))
            }
            Operation::Install(over, new) => {
                self.store.install(key, *over, new).await.map(|answer| match answer {
                    InstallAnswer::Installed => "Installed".to_owned(),
                    InstallAnswer::Refused { stored } => format!("Refused {stored:?}"),
                })
            }
        };
        answer.unwrap_or_else(|error| format!("{:?} {:?}", error.kind(), error.effect()))
    }
}
