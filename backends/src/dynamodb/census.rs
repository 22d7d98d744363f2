//! How many sessions are in which table: for those who watch the embedded DynamoDB.

use aws_sdk_dynamodb::types::AttributeValue;
use holdover_api::{Error, Operation, Timestamp};
use holdover_rotation::{Table as Known, TableState};

use super::NAME;
use super::layout::{DEADLINE, Item, MOVED, TOMBSTONE};
use super::one::OneTable;
use super::rotating::Rotating;
use super::store::{DynamoDb, Home};
use super::table::Table;
use crate::parameters::misconfigured;

/// What one table holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// The name of the table.
    pub table: String,
    /// Where the table stands among those that follow each other, and its state; nothing if there is only one.
    pub known: Option<Known>,
    /// Live sessions that are nowhere else.
    pub live: u64,
    /// Sessions that have been carried on to a newer table.
    pub carried_on: u64,
    /// Sessions that were logged out, and are remembered until their deadline.
    pub logged_out: u64,
    /// Whatever of the two kinds before is past its deadline, and sessions that ended by themselves.
    pub ended: u64,
}

impl DynamoDb {
    /// How many sessions are in which table, oldest first. On the embedded DynamoDB only: it reads everything, which costs
    /// money elsewhere, and needs a right that no store of sessions should have.
    ///
    /// # Errors
    ///
    /// [`Misconfigured`](holdover_api::ErrorKind::Misconfigured) anywhere else.
    ///
    /// ```
    /// use holdover_backends::dynamodb::DynamoDb;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let store = DynamoDb::connect("dynamodb://local/sessions?expiry=ttl").await?;
    /// assert_eq!(store.census().await?[0].live, 0);
    /// # Ok::<(), holdover_api::Error>(())
    /// # }).unwrap();
    /// ```
    pub async fn census(&self) -> Result<Vec<Census>, Error> {
        if self.settings.shared {
            return Err(misconfigured(NAME, "only the sessions of the embedded dynamodb are counted"));
        }
        match &self.home {
            Home::One { table: OneTable { table, clock, .. }, .. } => {
                Ok(count(table, clock.now(), None).await?.into_iter().collect())
            }
            Home::InTurn(rotating) => of_all(rotating).await,
        }
    }
}

async fn of_all(rotating: &Rotating) -> Result<Vec<Census>, Error> {
    let now = rotating.clock.now();
    let tables = rotating.keeper.tables();
    let mut counted = Vec::new();
    for known in tables.iter() {
        if known.state == TableState::Active {
            counted.extend(count(&rotating.table(known.generation), now, Some(known)).await?);
        } else {
            let table = rotating.keeper.names().name(known.generation);
            counted.push(Census { table, known: Some(known), ..Census::default() });
        }
    }
    Ok(counted)
}

/// Nothing if the table has been dropped since the keeper looked.
async fn count(table: &Table, now: Timestamp, known: Option<Known>) -> Result<Option<Census>, Error> {
    let mut census = Census { table: table.name().to_owned(), known, ..Census::default() };
    let mut after = None;
    loop {
        let page = table.items(after).await;
        let (items, next) = match page {
            Err(failure) if failure.code() == Some("ResourceNotFoundException") => return Ok(None),
            page => page.map_err(|failure| failure.into_error(Operation::Inspect))?,
        };
        for item in &items {
            census.add(item, now);
        }
        match next {
            Some(next) => after = Some(next),
            None => return Ok(Some(census)),
        }
    }
}

impl Census {
    fn add(&mut self, item: &Item, now: Timestamp) {
        let kind = if is_past(item, now) {
            &mut self.ended
        } else if item.contains_key(MOVED) {
            &mut self.carried_on
        } else if item.contains_key(TOMBSTONE) {
            &mut self.logged_out
        } else {
            &mut self.live
        };
        *kind += 1;
    }
}

/// What does not say when it ends is not past it.
fn is_past(item: &Item, now: Timestamp) -> bool {
    let deadline = match item.get(DEADLINE) {
        Some(AttributeValue::N(text)) => text.parse().ok(),
        _ => None,
    };
    deadline.is_some_and(|deadline: u64| deadline <= now.as_millis())
}
