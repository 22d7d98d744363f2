//! What requests of dynamo-session-manager consume (its edition of 2015), beside ours on tables that follow each other.
//!
//! A stand-in for what it asks, read from its source: the present table is read and then the one before; a session that was
//! found in the present table is updated at the end of every request, changed or not, any other one is put; a logout deletes
//! four times, in both tables twice over. Left out: serialisation and compression (its data are as large as our attributes),
//! and everything about tables. It renews no ids, so a login is not compared.

use std::collections::HashMap;

use dynoxide::Database;
use dynoxide::actions::delete_item::DeleteItemRequest;
use dynoxide::actions::get_item::GetItemRequest;
use dynoxide::actions::put_item::PutItemRequest;
use dynoxide::actions::update_item::UpdateItemRequest;
use dynoxide::types::{AttributeValue, Item};
use holdover_backends::dynamodb::Consumed;

use crate::Outcome;
use crate::ending::{create_table, units};
use crate::requests::{Bill, calls, told};

const KEY: &str = "id";
const NOW: &str = "1790000000000";

/// One of its two tables.
#[derive(Clone, Copy)]
enum Table {
    Present,
    Before,
}

impl Table {
    const BOTH: [Self; 2] = [Self::Present, Self::Before];

    fn name(self) -> String {
        match self {
            Self::Present => "sessions_20260921_140000".to_owned(),
            Self::Before => "sessions_20260921_130000".to_owned(),
        }
    }
}

/// What it consumes, request by request.
struct Ancestor {
    database: Database,
    data: Vec<u8>,
    spent: Consumed,
    bills: Vec<Bill>,
}

/// Prints what both consume; `ours` has a column for each of the sizes.
pub(crate) fn print(sizes: &[usize], ours: &[Vec<Bill>]) -> Outcome<()> {
    let mut theirs = Vec::new();
    for size in sizes {
        theirs.push(Ancestor::bills(*size)?);
    }
    print!("\n| request | calls: dynamo-session-manager / ours |");
    for size in sizes {
        print!(" {size} bytes of data: theirs | ours |");
    }
    println!("\n|---|---|{}", "---|---|".repeat(sizes.len()));
    for (row, bill) in theirs[0].iter().enumerate() {
        let mut same_kind = Vec::new();
        for column in ours {
            let found = column.iter().find(|ours| ours.kind == bill.kind);
            same_kind.push(found.ok_or("a kind of request is not measured on both sides")?);
        }
        print!("| {} | {} / {} |", bill.kind, calls(&bill.spent), calls(&same_kind[0].spent));
        for (theirs, ours) in theirs.iter().zip(same_kind) {
            print!(" {} | {} |", told(&theirs[row].spent), told(&ours.spent));
        }
        println!();
    }
    Ok(())
}

impl Ancestor {
    fn bills(size: usize) -> Outcome<Vec<Bill>> {
        let database = Database::memory()?;
        for table in Table::BOTH {
            create_table(&database, &table.name(), KEY)?;
        }
        let mut ancestor =
            Self { database, data: vec![7; size], spent: Consumed::default(), bills: Vec::new() };
        ancestor.every_request()?;
        Ok(ancestor.bills)
    }

    fn every_request(&mut self) -> Outcome<()> {
        self.put(Table::Present, "a")?;
        self.end("create");
        for (kind, changes) in [("read", false), ("read that extends the session", false), ("modify", true)] {
            self.request("a", changes)?;
            self.end(kind);
        }
        self.log_out("a")?;
        self.end("log out");
        self.load("nowhere")?;
        self.end("id that leads nowhere, after a boundary");
        // Over a boundary: what is there is in the table before.
        for id in ["b", "c", "d"] {
            self.put(Table::Before, id)?;
        }
        self.spent = Consumed::default();
        self.request("b", false)?;
        self.end("first read after a boundary");
        self.request("c", true)?;
        self.end("first modify after a boundary");
        self.request("c", true)?;
        self.end("second modify after a boundary");
        self.log_out("d")?;
        self.end("log out by who was there before it");
        Ok(())
    }

    fn end(&mut self, kind: &'static str) {
        self.bills.push(Bill { kind, spent: std::mem::take(&mut self.spent) });
    }

    fn request(&mut self, id: &str, changes: bool) -> Outcome<()> {
        match self.load(id)? {
            Some(Table::Present) => self.update(id, changes),
            Some(Table::Before) => self.put(Table::Present, id),
            None => Err("a session of the ancestor is not there".into()),
        }
    }

    fn log_out(&mut self, id: &str) -> Outcome<()> {
        self.load(id)?;
        for table in [Table::BOTH, Table::BOTH].concat() {
            self.delete(table, id)?;
        }
        Ok(())
    }

    fn load(&mut self, id: &str) -> Outcome<Option<Table>> {
        for table in Table::BOTH {
            let answer = self.database.get_item(GetItemRequest {
                table_name: table.name(),
                key: key(id),
                consistent_read: Some(true),
                return_consumed_capacity: total(),
                ..GetItemRequest::default()
            })?;
            self.spent.requests += 1;
            self.spent.read_units += units(answer.consumed_capacity.as_ref())?;
            if answer.item.is_some() {
                return Ok(Some(table));
            }
        }
        Ok(None)
    }

    fn put(&mut self, table: Table, id: &str) -> Outcome<()> {
        let mut item: Item = key(id);
        item.insert("lastAccessed".to_owned(), AttributeValue::N(NOW.to_owned()));
        item.insert("data".to_owned(), AttributeValue::B(self.data.clone()));
        let answer = self.database.put_item(PutItemRequest {
            table_name: table.name(),
            item,
            return_consumed_capacity: total(),
            ..PutItemRequest::default()
        })?;
        self.wrote(units(answer.consumed_capacity.as_ref())?);
        Ok(())
    }

    fn update(&mut self, id: &str, changes: bool) -> Outcome<()> {
        let mut values = HashMap::from([(":now".to_owned(), AttributeValue::N(NOW.to_owned()))]);
        let mut update = "SET lastAccessed = :now".to_owned();
        if changes {
            values.insert(":data".to_owned(), AttributeValue::B(self.data.clone()));
            update.push_str(", #data = :data");
        }
        let names = changes.then(|| HashMap::from([("#data".to_owned(), "data".to_owned())]));
        let answer = self.database.update_item(UpdateItemRequest {
            table_name: Table::Present.name(),
            key: key(id),
            update_expression: Some(update),
            expression_attribute_names: names,
            expression_attribute_values: Some(values),
            return_consumed_capacity: total(),
            ..UpdateItemRequest::default()
        })?;
        self.wrote(units(answer.consumed_capacity.as_ref())?);
        Ok(())
    }

    fn delete(&mut self, table: Table, id: &str) -> Outcome<()> {
        let answer = self.database.delete_item(DeleteItemRequest {
            table_name: table.name(),
            key: key(id),
            return_consumed_capacity: total(),
            ..DeleteItemRequest::default()
        })?;
        self.wrote(units(answer.consumed_capacity.as_ref())?);
        Ok(())
    }

    fn wrote(&mut self, write_units: f64) {
        self.spent.requests += 1;
        self.spent.write_units += write_units;
    }
}

fn key(id: &str) -> HashMap<String, AttributeValue> {
    // As long as a UUID, which its ids are.
    HashMap::from([(KEY.to_owned(), AttributeValue::S(format!("{id:0>36}")))])
}

fn total() -> Option<String> {
    Some("TOTAL".to_owned())
}
