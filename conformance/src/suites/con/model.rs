//! A long random life, compared step by step with the executable specification.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use holdover_api::{
    Clock, Deadline, Error, Loaded, Memory, On, Record, SaveAnswer, SessionKey, SessionStore,
    SessionStoreExt, Standing, Stored, Timestamp, Write,
};

use super::always;
use crate::case::{Case, Ending};
use crate::require;
use crate::trial::{LIFETIME, Subject, Trial};

const STEPS: usize = 1_000;
const SLOTS: usize = 5;
const NAMES: [&str; 5] = ["a", "b", "c", ".", ""];

pub(super) fn cases() -> Vec<Case> {
    vec![case!(
        "CON-36",
        a_thousand_random_operations_agree_with_the_specification,
        always,
        "S1 to S17 together: each answer and each record is what the memory store, which is the specification, says."
    )]
}

/// One step, drawn before it is made, so that a failure can be read.
#[derive(Clone, Debug)]
enum Step {
    Save(SessionKey, Write),
    Touch(SessionKey, Timestamp),
    Load(SessionKey),
    Delete(SessionKey),
    Bury(SessionKey),
    Install(SessionKey, Option<Standing>, Stored),
    Pass(Duration),
}

struct Life {
    trial: Trial,
    node: Subject,
    model: Memory,
    slots: Vec<Slot>,
    past: Vec<(SessionKey, Write)>,
}

/// A key in play. A destroyed one is only looked at and written to, never created again: a store may remember it.
#[derive(Clone, Debug)]
struct Slot {
    key: SessionKey,
    destroyed: bool,
}

async fn a_thousand_random_operations_agree_with_the_specification(trial: Trial) -> Result<(), Ending> {
    let node = trial.node().await?;
    let model = Memory::new().with_clock(Arc::clone(trial.clock()) as Arc<dyn Clock>);
    let slot = |_| Slot { key: trial.key(), destroyed: false };
    let slots = (0..SLOTS).map(slot).collect();
    let mut life = Life { trial: trial.clone(), node, model, slots, past: Vec::new() };
    for number in 0..STEPS {
        let step = life.draw().await?;
        life.make(&step)
            .await
            .map_err(|ending| Ending::Failed(format!("step {number}, {step:?}: {}", ending.text())))?;
    }
    Ok(())
}

impl Life {
    async fn draw(&mut self) -> Result<Step, Ending> {
        let number = self.trial.below(self.slots.len());
        let Slot { key, destroyed } = self.slots[number].clone();
        if destroyed && self.trial.below(6) == 0 {
            self.slots[number] = Slot { key: self.trial.key(), destroyed: false };
        }
        Ok(match self.trial.below(100) {
            0..=49 => Step::Save(key, self.draw_write(&key, destroyed).await?),
            50..=59 => self.draw_repeat(key),
            60..=69 => Step::Touch(key, self.draw_moment()),
            70..=85 => Step::Load(key),
            86..=88 => {
                self.slots[number].destroyed |= self.slots[number].key == key;
                Step::Delete(key)
            }
            89..=90 => {
                self.slots[number].destroyed |= self.slots[number].key == key;
                Step::Bury(key)
            }
            91..=96 if !destroyed => self.draw_install(key).await?,
            97..=98 => Step::Pass(LIFETIME / 3),
            99 => Step::Pass(LIFETIME + LIFETIME),
            _ => Step::Load(key),
        })
    }

    async fn draw_write(&self, key: &SessionKey, destroyed: bool) -> Result<Write, Ending> {
        let current = self.model.load_latest(key).await.map_err(broken)?;
        let on = match self.trial.below(10) {
            0..=2 if !destroyed => On::Absent { created: self.trial.now() - Duration::from_secs(5) },
            3..=5 => On::Live,
            6..=8 => current.as_ref().map_or(On::Live, |loaded| On::Head(loaded.record.head())),
            _ => On::Head(self.trial.stamp()),
        };
        let mut write = self.node.write(on, &[]);
        if self.trial.below(12) == 0 {
            write.delta.clear();
        }
        for _ in 0..self.trial.below(4) {
            let name = NAMES[self.trial.below(NAMES.len())];
            if self.trial.below(4) == 0 {
                write.delta.remove(name);
            } else {
                write.delta.set(name, self.trial.bytes(self.trial.below(40)));
            }
        }
        write.deadline = match self.trial.below(4) {
            0 => Deadline::Exactly(self.draw_moment()),
            _ => Deadline::AtLeast(self.draw_moment()),
        };
        Ok(write)
    }

    /// A moment well ahead, or past: nothing in between, where a server's clock and the trial's would disagree.
    fn draw_moment(&self) -> Timestamp {
        match self.trial.below(20) {
            0 => self.trial.now(),
            1 => self.trial.now() - LIFETIME,
            steps => self.trial.now() + LIFETIME + Duration::from_millis(steps as u64 * 1_001),
        }
    }

    fn draw_repeat(&self, key: SessionKey) -> Step {
        // Recent ones are still in a lineage; old ones have been forgotten, which is a question too.
        let recent = self.past.len().min(12);
        let chosen = self.past.len() - recent + self.trial.below(recent);
        let Some((past_key, write)) = self.past.get(chosen).cloned() else {
            return Step::Load(key);
        };
        let destroyed = !self.slots.iter().any(|slot| slot.key == past_key && !slot.destroyed);
        if destroyed && matches!(write.on, On::Absent { .. }) {
            return Step::Load(past_key);
        }
        Step::Save(past_key, write)
    }

    async fn draw_install(&self, key: SessionKey) -> Result<Step, Ending> {
        let stored = self.model.inspect(&key).await.map_err(broken)?;
        let over = match self.trial.below(4) {
            0 => None,
            1 => Some(Standing { head: self.trial.stamp(), deadline: self.trial.now() + LIFETIME }),
            _ => stored.as_ref().map(Stored::standing),
        };
        let lineage = stored.as_ref().map(|stored| stored.lineage().pushed(self.trial.stamp()));
        let record = Record {
            attributes: [("installed".to_owned(), self.trial.bytes(3).into())].into(),
            lineage: lineage.unwrap_or_else(|| holdover_api::Lineage::new(self.trial.stamp())),
            created: self.trial.now(),
            deadline: self.trial.now() + LIFETIME,
        };
        Ok(Step::Install(key, over, Stored::Record(record)))
    }

    async fn make(&mut self, step: &Step) -> Result<(), Ending> {
        let store = &self.node.store;
        match step {
            Step::Save(key, write) => {
                let expected = self.model.save(key, write).await.map_err(broken)?;
                let answer = store.save(key, write).await.map_err(unexpected)?;
                same_answer(&answer, &expected)?;
                self.past.push((*key, write.clone()));
                self.compare(key).await
            }
            Step::Touch(key, moment) => {
                let expected = self.model.touch(key, *moment).await.map_err(broken)?;
                same(&store.touch(key, *moment).await.map_err(unexpected)?, &expected)?;
                self.compare(key).await
            }
            Step::Load(key) => self.compare(key).await,
            Step::Delete(key) => {
                self.model.delete(key).await.map_err(broken)?;
                store.delete(key).await.map_err(unexpected)?;
                self.compare(key).await
            }
            Step::Bury(key) => {
                let Some(loaded) = self.model.load_latest(key).await.map_err(broken)? else {
                    return self.compare(key).await;
                };
                let stamp = self.trial.stamp();
                let expected = self.model.bury(key, &loaded, stamp).await.map_err(broken)?;
                let answer = store.bury(key, &loaded, stamp).await.map_err(unexpected)?;
                same(&format!("{answer:?}"), &format!("{expected:?}"))?;
                self.compare(key).await
            }
            Step::Install(key, over, new) => {
                let expected = self.model.install(key, *over, new).await.map_err(broken)?;
                let answer = store.install(key, *over, new).await.map_err(unexpected)?;
                same(&format!("{answer:?}"), &format!("{expected:?}"))?;
                self.compare(key).await
            }
            Step::Pass(duration) => {
                self.trial.clock().advance(*duration);
                for slot in &self.slots {
                    self.compare(&slot.key).await?;
                }
                Ok(())
            }
        }
    }

    async fn compare(&self, key: &SessionKey) -> Result<(), Ending> {
        let record = |loaded: Option<Loaded>| loaded.map(|loaded| loaded.record);
        let expected = record(self.model.load_latest(key).await.map_err(broken)?);
        let found = record(self.node.store.load_latest(key).await.map_err(unexpected)?);
        same(&found, &expected)
    }
}

#[allow(clippy::needless_pass_by_value, reason = "the shape that map_err takes")]
fn broken(error: Error) -> Ending {
    Ending::Error(format!("the specification failed: {error}"))
}

#[allow(clippy::needless_pass_by_value, reason = "the shape that map_err takes")]
fn unexpected(error: Error) -> Ending {
    Ending::Failed(format!("it failed where it has to succeed: {error}"))
}

fn same<T: PartialEq + fmt::Debug>(found: &T, expected: &T) -> Result<(), Ending> {
    require!(found == expected, "found {found:?} where the specification says {expected:?}");
    Ok(())
}

fn same_answer(answer: &SaveAnswer, expected: &SaveAnswer) -> Result<(), Ending> {
    let agrees = match (answer, expected) {
        (SaveAnswer::Saved { previous }, SaveAnswer::Saved { previous: known }) => {
            previous == known || previous.is_none()
        }
        (SaveAnswer::Conflict { current }, SaveAnswer::Conflict { current: known }) => {
            let record = |loaded: &Option<Loaded>| loaded.as_ref().map(|loaded| Arc::clone(&loaded.record));
            current.is_none() || record(current) == record(known)
        }
        (SaveAnswer::Gone, SaveAnswer::Gone) => true,
        _ => false,
    };
    require!(agrees, "answered {answer:?} where the specification says {expected:?}");
    Ok(())
}
