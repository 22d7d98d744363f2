//! One access to one table, as the steps of `holdover-rotation` ask for it: in one conditional write wherever an
//! expression can say it.

use std::sync::Arc;

use aws_sdk_dynamodb::types::AttributeValue;
use holdover_api::{On, Stamp, Stored, Timestamp};
use holdover_rotation::Generation;
use holdover_rotation::carry::{self, Answer, Ask, Change, Held, Sight};

use super::error::{Cause, Failure};
use super::layout::{self, Item, MOVED, STAMPS};
use super::one::is_too_large;
use super::statement::{Kept, Moves, Statement};
use super::table::{self, Replaced, Table};

/// What an access needs beside what is asked.
pub(super) struct Access<'a> {
    pub(super) table: &'a Table,
    pub(super) key: &'a str,
    /// The operation's one reading of the clock.
    pub(super) now: Timestamp,
    pub(super) max_bytes: usize,
}

/// The answer of a table that is not there. One that is only being made holds nothing.
pub(super) const fn missing(ask: &Ask, is_being_made: bool) -> Answer {
    match ask {
        _ if !is_being_made => Answer::NoTable,
        Ask::Read { .. } => Answer::Found(None),
        _ => Answer::Refused(Sight::Nothing),
    }
}

impl Access<'_> {
    /// Asks the table.
    pub(super) async fn perform(&self, ask: &Ask) -> Result<Answer, Failure> {
        match ask {
            Ask::Read { strongly, .. } => {
                let item = self.table.get(self.key, *strongly).await?;
                Ok(Answer::Found(item.map(held)))
            }
            Ask::Change { change, .. } => self.change(ask, change, None).await,
            Ask::Seal { to, change, .. } => self.change(ask, change, Some(*to)).await,
            Ask::Put { over, held, .. } => {
                let statement = match over {
                    None => Statement::over_no_item(),
                    Some(over) => Statement::exactly(*over),
                };
                self.put(held, statement).await
            }
            Ask::Raze { held, .. } => self.raze(held).await,
            Ask::Refresh => Err(Failure::unsent(Cause::Unmade)),
        }
    }

    async fn put(&self, held: &Held, statement: Statement) -> Result<Answer, Failure> {
        match self.table.put(self.encoded(held)?, statement).await? {
            table::Answer::Done(_) => Ok(Answer::Changed(None)),
            table::Answer::Refused(item) => Ok(Answer::Refused(sight(item))),
        }
    }

    fn encoded(&self, held: &Held) -> Result<Item, Failure> {
        let (stored, to) = match held {
            Held::Stored(stored) => (stored, None),
            Held::Sealed { to, stored } => (stored, Some(to)),
            Held::Unreadable => return Err(Failure::unsent(Cause::Unmade)),
        };
        if let Stored::Record(record) = &**stored
            && is_too_large(record, self.max_bytes)
        {
            return Err(Failure::unsent(Cause::TooLarge));
        }
        let mut item = layout::encode(self.key, stored);
        if let Some(to) = to {
            item.insert(MOVED.to_owned(), layout::number(to.number()));
        }
        Ok(item)
    }

    /// A change, and a seal along with it, in one update. Where no update can say it, or the one that was made stood on
    /// the wrong deadline, what is there is read, changed here, and put back over exactly that.
    async fn change(&self, ask: &Ask, change: &Change, to: Option<Generation>) -> Result<Answer, Failure> {
        let mut seen = None;
        if let Some(statement) = self.statement(change) {
            let (statement, replaced) = match to {
                Some(to) => (statement.sealing(to.number()), Replaced::Whole),
                None => (statement, replaced_by(change)),
            };
            match self.table.update(self.key, statement, replaced).await? {
                table::Answer::Done(item) => return done(change, to, item),
                table::Answer::Refused(item) => seen = item,
            }
        }
        loop {
            let item = match seen.take() {
                Some(item) => Some(item),
                None => self.table.get(self.key, true).await.map_err(Failure::of_a_read)?,
            };
            let before = item.map(held);
            let (after, answer) = carry::perform(self.now, before.clone(), ask);
            let (Some(Held::Stored(stored)), Some(after)) = (before, after) else {
                return Ok(answer);
            };
            if matches!(answer, Answer::Refused(_)) {
                return Ok(answer);
            }
            let statement = Statement::exactly(stored.standing());
            match self.table.put(self.encoded(&after)?, statement).await? {
                table::Answer::Done(_) => return Ok(answer),
                table::Answer::Refused(item) => seen = item,
            }
        }
    }

    /// The change as one update, if there is one.
    fn statement(&self, change: &Change) -> Option<Statement> {
        match change {
            Change::Write(write) => {
                let standing = write.base.as_ref().map(|base| base.record.deadline);
                let moves = Moves::of(write.deadline, standing);
                Statement::merge(write, moves, self.now, self.max_bytes, Kept::InTurn)
            }
            Change::Touch(deadline) => Some(Statement::touch(*deadline, self.now, Kept::InTurn)),
            Change::Bury(stamp) => Some(Statement::bury(*stamp)),
        }
    }

    /// Puts something in the place of what cannot be read, if that is still exactly what it was.
    async fn raze(&self, new: &Held) -> Result<Answer, Failure> {
        let Some(item) = self.table.get(self.key, true).await? else {
            return Ok(Answer::Refused(Sight::Nothing));
        };
        let statement = Statement::over_wreck(&item);
        match held(item) {
            Held::Unreadable => self.put(new, statement).await,
            readable => Ok(Answer::Refused(Sight::Held(readable))),
        }
    }
}

/// A write on any live record is told what it replaced.
fn replaced_by(change: &Change) -> Replaced {
    match change {
        Change::Write(write) if !matches!(write.on, On::Head(_)) => Replaced::Old,
        _ => Replaced::Nothing,
    }
}

fn done(change: &Change, to: Option<Generation>, item: Option<Item>) -> Result<Answer, Failure> {
    if to.is_some() {
        let sealed = item.and_then(|item| layout::decode(item).ok());
        let (stored, _) = sealed.ok_or_else(|| Failure::sent(Cause::Garbled))?;
        return Ok(Answer::Sealed(Arc::new(stored)));
    }
    let previous = match change {
        Change::Write(write) => match write.on {
            On::Head(head) => Some(head),
            On::Live | On::Absent { .. } => item.and_then(|item| head_of(&item)),
        },
        Change::Touch(_) | Change::Bury(_) => None,
    };
    Ok(Answer::Changed(previous))
}

/// The head among the attributes of an item.
pub(super) fn head_of(item: &Item) -> Option<Stamp> {
    let AttributeValue::B(stamp) = item.get(STAMPS[0])? else {
        return None;
    };
    Some(Stamp::from_bytes(stamp.as_ref().try_into().ok()?))
}

fn sight(item: Option<Item>) -> Sight {
    item.map_or(Sight::Unseen, |item| Sight::Held(held(item)))
}

fn held(item: Item) -> Held {
    let Ok(to) = layout::moved_to(&item) else {
        return Held::Unreadable;
    };
    let Ok((stored, _)) = layout::decode(item) else {
        return Held::Unreadable;
    };
    let stored = Arc::new(stored);
    match to {
        Some(to) => Held::Sealed { to: Generation::new(to), stored },
        None => Held::Stored(stored),
    }
}
