//! Looking at the tables: by their list, or by their names if the list is refused.

use std::sync::atomic::{AtomicU64, Ordering};

use holdover_api::{ErrorKind, Timestamp};
use tokio::sync::Mutex;

use super::control::ControlError;
use super::report::{Attempt, Failure};
use super::{Keeper, in_time};
use crate::generation::Generation;
use crate::schedule::{Table, TableState, Tables};

/// More pages than any account has: a list that does not end is a defect.
const MOST_PAGES: usize = 1_000;

/// The most tables that are looked for by name. A node that has not seen the list for longer needs it.
const MOST_BY_NAME: u64 = 16;

/// One look after the other, each of them numbered.
#[derive(Debug, Default)]
pub(super) struct Look {
    begun: AtomicU64,
    /// The last one that succeeded.
    last: Mutex<Option<(u64, Looked)>>,
}

/// What a look came to, besides the tables.
#[derive(Debug)]
pub(super) struct Looked {
    pub(super) tables: usize,
    pub(super) of_other_periods: usize,
    /// The failure of the list, if the tables were looked at by name.
    pub(super) refused: Option<Failure>,
}

impl Looked {
    /// The same for somebody who waited for it: a failure is reported once.
    fn shared(&self) -> Self {
        Self { tables: self.tables, of_other_periods: self.of_other_periods, refused: None }
    }
}

struct Listed {
    ours: Vec<Generation>,
    of_other_periods: usize,
}

impl Look {
    /// A look that began before the call may have missed what the caller has to see: only a later one is shared.
    pub(super) async fn again(&self, keeper: &Keeper) -> Result<Looked, Vec<Failure>> {
        let begun_before = self.begun.load(Ordering::SeqCst);
        let mut last = self.last.lock().await;
        if let Some((number, looked)) = &*last
            && *number > begun_before
        {
            return Ok(looked.shared());
        }
        let number = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let looked = keeper.look().await?;
        *last = Some((number, looked.shared()));
        Ok(looked)
    }
}

impl Keeper {
    async fn look(&self) -> Result<Looked, Vec<Failure>> {
        // Before the first question: what is known must not seem newer than it is.
        let as_of = self.clock.now();
        match self.list().await {
            Ok(Listed { ours, of_other_periods }) => {
                let described = self.describe(as_of, ours, true).await;
                let tables =
                    described.map_err(|error| vec![Failure { attempt: Attempt::Describe, error }])?;
                Ok(self.learn(as_of, tables, of_other_periods, None))
            }
            Err(error) => {
                let refused = Failure { attempt: Attempt::List, error };
                let Some(candidates) = self.candidates(as_of) else {
                    return Err(vec![refused]);
                };
                match self.describe(as_of, candidates, false).await {
                    Ok(tables) => Ok(self.learn(as_of, tables, 0, Some(refused))),
                    Err(error) => Err(vec![refused, Failure { attempt: Attempt::Describe, error }]),
                }
            }
        }
    }

    fn learn(
        &self,
        as_of: Timestamp,
        tables: Vec<Table>,
        of_other_periods: usize,
        refused: Option<Failure>,
    ) -> Looked {
        let looked = Looked { tables: tables.len(), of_other_periods, refused };
        self.know(Tables::seen(as_of, tables));
        looked
    }

    async fn list(&self) -> Result<Listed, ControlError> {
        let mut listed = Listed { ours: Vec::new(), of_other_periods: 0 };
        let mut after: Option<String> = None;
        for _ in 0..MOST_PAGES {
            let page = in_time(self.control.list(after.as_deref())).await?;
            listed.ours.extend(page.names.iter().filter_map(|name| self.names.generation(name)));
            listed.of_other_periods +=
                page.names.iter().filter(|name| self.names.other_period(name).is_some()).count();
            if page.next.is_none() {
                return Ok(listed);
            }
            after = page.next;
        }
        Err(ControlError::new(ErrorKind::Unexpected, "the list of tables does not end"))
    }

    /// All tables that may exist, if it is known which did: no table is created below the newest.
    fn candidates(&self, now: Timestamp) -> Option<Vec<Generation>> {
        let known = self.tables();
        let seen = known.seen_at()?;
        let skew = 2 * self.schedule.rules().max_skew;
        let first_new = match known.newest() {
            Some(newest) => newest.generation.next(),
            None => self.schedule.generation(seen - skew),
        };
        // As far ahead as a node may be whose clock is fast.
        let last_new = self.schedule.generation(now + skew).next();
        if last_new.number().saturating_sub(first_new.number()) >= MOST_BY_NAME {
            return None;
        }
        let new = (first_new.number()..=last_new.number()).map(Generation::new);
        Some(known.iter().map(|table| table.generation).chain(new).collect())
    }

    async fn describe(
        &self,
        as_of: Timestamp,
        generations: Vec<Generation>,
        is_listed: bool,
    ) -> Result<Vec<Table>, ControlError> {
        let mut tables = Vec::with_capacity(generations.len());
        for generation in generations {
            let description = in_time(self.control.describe(&self.names.name(generation))).await?;
            match description {
                Some(description) => {
                    tables.push(Table { generation, state: description.state, created: description.created });
                }
                // Just created, and the description lags behind the list; or just dropped, which the next look shows.
                None if is_listed => {
                    tables.push(Table { generation, state: TableState::Creating, created: as_of });
                }
                None => {}
            }
        }
        Ok(tables)
    }
}
