//! What is known of the tables that exist.

use holdover_api::Timestamp;

use crate::generation::Generation;

/// What a table can be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TableState {
    /// It has been asked for and holds nothing yet.
    Creating,
    /// It can be read and written.
    Active,
    /// It is being dropped.
    Dropping,
}

/// A table of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Table {
    /// Its place in time.
    pub generation: Generation,
    /// What it can be used for.
    pub state: TableState,
    /// When it was asked for, by the server's clock.
    pub created: Timestamp,
}

/// The tables that exist, as they were seen at one moment.
///
/// ```
/// use holdover_api::Timestamp;
/// use holdover_rotation::{Generation, Table, TableState, Tables};
///
/// let moment = Timestamp::from_millis(1_000);
/// let table = |number| Table { generation: Generation::new(number), state: TableState::Active, created: moment };
/// let tables = Tables::seen(moment, [table(8), table(7)]);
/// assert_eq!(tables.newest(), Some(table(8)));
/// assert_eq!(tables.iter().map(|table| table.generation.number()).collect::<Vec<_>>(), [7, 8]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tables {
    /// Nothing if nobody has looked yet.
    seen_at: Option<Timestamp>,
    /// Oldest first.
    tables: Vec<Table>,
}

impl Tables {
    /// Nobody has looked yet.
    pub const fn unknown() -> Self {
        Self { seen_at: None, tables: Vec::new() }
    }

    /// These, of which each was looked at after `as_of`: by this node's clock, read before the looking began.
    pub fn seen(as_of: Timestamp, tables: impl IntoIterator<Item = Table>) -> Self {
        let mut tables: Vec<Table> = tables.into_iter().collect();
        tables.sort_unstable_by_key(|table| table.generation);
        Self { seen_at: Some(as_of), tables }
    }

    /// When they were looked at, by this node's clock; the epoch if nobody has.
    pub fn as_of(&self) -> Timestamp {
        self.seen_at.unwrap_or_default()
    }

    pub(crate) const fn seen_at(&self) -> Option<Timestamp> {
        self.seen_at
    }

    /// All of them, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Table> + '_ {
        self.tables.iter().copied()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    /// The newest one, whatever its state.
    pub fn newest(&self) -> Option<Table> {
        self.tables.last().copied()
    }

    /// The table of a generation.
    pub fn get(&self, generation: Generation) -> Option<Table> {
        self.iter().find(|table| table.generation == generation)
    }

    /// Those that sessions may be written to, oldest first. A table that was asked for after a newer one is none of them:
    /// its creator had not seen the newer one, and everybody else may have looked past it.
    pub(crate) fn usable(&self) -> impl Iterator<Item = Table> + '_ {
        self.tables
            .iter()
            .enumerate()
            .filter(|(place, table)| {
                let newer = &self.tables[place + 1..];
                table.state != TableState::Dropping
                    && !newer.iter().any(|newer| newer.created < table.created)
            })
            .map(|(_, table)| *table)
    }

    pub(crate) fn usable_after(&self, generation: Generation) -> Option<Table> {
        self.usable().find(|table| table.generation > generation)
    }
}
