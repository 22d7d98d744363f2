//! Two operations at the same time, stopped before each access: in the orders in which their accesses can come.

use std::sync::Arc;

use tokio::task::JoinHandle;

use super::stage::Stage;
use crate::case::Ending;
use crate::rotation::{Call, Gate, Gates};
use crate::trial::Trial;

/// Every request about a session.
const ACCESSES: &[Call] = &[Call::Read, Call::Put, Call::Change];
/// More than two operations of eight accesses each have in any order that ends.
const MOST: usize = 2_000;
/// Longer orders than two operations have.
const DRAWN_TURNS: usize = 32;

/// Orders that have not been played yet.
///
/// In which order accesses can come depends on what comes of them: an order is found by playing it. Of all, each one is
/// the one before with the last turn of the first operation given to the other.
pub(super) struct Orders {
    next: Option<Vec<Turn>>,
    draws: Option<(Trial, usize)>,
    played: usize,
    mixed: usize,
}

/// Whose access comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    One,
    Other,
}

impl Orders {
    /// Every one there is.
    pub(super) const fn all() -> Self {
        Self { next: Some(Vec::new()), draws: None, played: 0, mixed: 0 }
    }

    /// So many, as the run's seed has them: for operations that have more orders than a real server plays in a minute.
    pub(super) fn drawn(trial: &Trial, times: usize) -> Self {
        Self { next: None, draws: Some((trial.clone(), times)), played: 0, mixed: 0 }
    }

    /// The next one, as far as it is given; nothing when all have been played.
    pub(super) fn next(&mut self) -> Option<Vec<Turn>> {
        let Some((trial, times)) = &mut self.draws else {
            return self.next.take();
        };
        *times = times.checked_sub(1)?;
        let toss = |byte: &u8| if byte.is_multiple_of(2) { Turn::One } else { Turn::Other };
        Some(trial.bytes(DRAWN_TURNS).iter().map(toss).collect())
    }

    /// An order was played as these turns.
    pub(super) fn played(&mut self, mut turns: Vec<Turn>) -> Result<(), Ending> {
        self.played += 1;
        if self.played > MOST {
            return Err(Ending::Error("the orders of two operations come to no end".into()));
        }
        if turns.contains(&Turn::One) && turns.contains(&Turn::Other) {
            self.mixed += 1;
        }
        if self.draws.is_some() {
            return Ok(());
        }
        while turns.last() == Some(&Turn::Other) {
            turns.pop();
        }
        if let Some(last) = turns.last_mut() {
            *last = Turn::Other;
            self.next = Some(turns);
        }
        Ok(())
    }

    /// All have been played, and in some the accesses of one came between those of the other.
    pub(super) fn were_enough(&self) -> Result<(), Ending> {
        match self.mixed {
            0 => {
                Err(Ending::Vacuous(format!("in none of {} orders came one between the other", self.played)))
            }
            _ => Ok(()),
        }
    }
}

/// What came of both, and the turns that they took while both of them had something to do.
pub(super) struct Played<A, B> {
    pub(super) one: A,
    pub(super) other: B,
    pub(super) turns: Vec<Turn>,
}

/// Lets both go on access by access: in this order, and after its end the first one first.
pub(super) async fn play<A, B>(
    stage: &Stage,
    order: &[Turn],
    one: impl Future<Output = Result<A, Ending>> + Send + 'static,
    other: impl Future<Output = Result<B, Ending>> + Send + 'static,
) -> Result<Played<A, B>, Ending>
where
    A: Send + 'static,
    B: Send + 'static,
{
    let gates = stage.gates()?;
    let mut one = Stepped::begin(&gates, one).await?;
    let mut other = Stepped::begin(&gates, other).await?;
    let mut turns = Vec::new();
    loop {
        let turn = match (&one, &other) {
            (Stepped::Held(..), Stepped::Held(..)) => {
                let turn = order.get(turns.len()).copied().unwrap_or(Turn::One);
                turns.push(turn);
                turn
            }
            (Stepped::Held(..), Stepped::Ended(_)) => Turn::One,
            (Stepped::Ended(_), Stepped::Held(..)) => Turn::Other,
            (Stepped::Ended(_), Stepped::Ended(_)) => break,
        };
        match turn {
            Turn::One => one = one.step(&gates).await?,
            Turn::Other => other = other.step(&gates).await?,
        }
    }
    match (one, other) {
        (Stepped::Ended(one), Stepped::Ended(other)) => Ok(Played { one: one?, other: other?, turns }),
        _ => Err(Ending::Error("an operation that had ended goes on".into())),
    }
}

/// An operation that goes on when it is told to. No other one moves meanwhile, so that who comes to the gate is known.
enum Stepped<T> {
    Held(JoinHandle<Result<T, Ending>>, Gate),
    Ended(Result<T, Ending>),
}

impl<T: Send + 'static> Stepped<T> {
    async fn begin(
        gates: &Arc<Gates>,
        operation: impl Future<Output = Result<T, Ending>> + Send + 'static,
    ) -> Result<Self, Ending> {
        let gate = gates.shut(ACCESSES, None);
        Self::go_on(tokio::spawn(operation), gate).await
    }

    async fn step(self, gates: &Arc<Gates>) -> Result<Self, Ending> {
        let Self::Held(running, gate) = self else {
            return Ok(self);
        };
        let next = gates.shut(ACCESSES, None);
        drop(gate);
        Self::go_on(running, next).await
    }

    async fn go_on(mut running: JoinHandle<Result<T, Ending>>, gate: Gate) -> Result<Self, Ending> {
        let ended = tokio::select! {
            () = gate.reached() => None,
            ended = &mut running => Some(ended),
        };
        match ended {
            None => Ok(Self::Held(running, gate)),
            Some(Ok(ended)) => Ok(Self::Ended(ended)),
            Some(Err(error)) => Err(Ending::Error(format!("an operation came to grief: {error}"))),
        }
    }
}

/// An operation that stands before a gate.
pub(super) struct Waiting<T> {
    running: JoinHandle<Result<T, Ending>>,
    gate: Gate,
}

impl<T: Send + 'static> Waiting<T> {
    /// Begins an operation, and stops its first request of this kind; of a table, if one is named.
    pub(super) async fn before(
        stage: &Stage,
        call: &'static [Call],
        table: Option<&str>,
        operation: impl Future<Output = Result<T, Ending>> + Send + 'static,
    ) -> Result<Self, Ending> {
        let gate = stage.gates()?.shut(call, table);
        match Stepped::go_on(tokio::spawn(operation), gate).await? {
            Stepped::Held(running, gate) => Ok(Self { running, gate }),
            Stepped::Ended(ended) => {
                ended?;
                Err(Ending::Vacuous(format!("an operation ended without {call:?}, which was to be stopped")))
            }
        }
    }

    /// Lets it go, to its end.
    pub(super) async fn goes_on(self) -> Result<T, Ending> {
        drop(self.gate);
        let ended = self.running.await;
        ended.map_err(|error| Ending::Error(format!("an operation came to grief: {error}")))?
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_order_of_two_and_two_accesses_comes_once() {
        let mut orders = Orders::all();
        let mut seen = Vec::new();
        while let Some(order) = orders.next() {
            // Two accesses each: whoever has none left has no choice left either.
            let (mut ones, mut others, mut turns) = (2, 2, Vec::new());
            while ones > 0 && others > 0 {
                let turn = order.get(turns.len()).copied().unwrap_or(Turn::One);
                turns.push(turn);
                match turn {
                    Turn::One => ones -= 1,
                    Turn::Other => others -= 1,
                }
            }
            assert!(!seen.contains(&turns), "{turns:?} came before");
            seen.push(turns.clone());
            orders.played(turns).unwrap();
        }
        assert_eq!(seen.len(), 6);
        orders.were_enough().unwrap();
    }
}
