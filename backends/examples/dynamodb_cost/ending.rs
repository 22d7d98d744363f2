//! The end of many sessions at once: found by a scan and deleted one by one, or dropped with their table.

use std::collections::HashMap;

use dynoxide::Database;
use dynoxide::actions::delete_item::DeleteItemRequest;
use dynoxide::actions::put_item::PutItemRequest;
use dynoxide::actions::scan::ScanRequest;
use dynoxide::types::{AttributeValue, ConsumedCapacity, Item};
use holdover_api::{CookieChange, SessionPolicy};
use holdover_backends::dynamodb::DynamoDb;
use tokio::net::TcpListener;

use crate::Outcome;

const TABLE: &str = "sessions";

/// A deadline that is over, as long as those of today.
const PAST: &str = "1700000000000";

/// What a way to end sessions took.
#[derive(Default)]
struct Taken {
    requests: usize,
    read_units: f64,
    write_units: f64,
}

pub(crate) async fn print(numbers: &[usize]) -> Outcome<()> {
    println!(
        "\n| sessions that end | by scan: requests | read units | write units | create and drop: requests | units |"
    );
    println!("|--:|--:|--:|--:|--:|--:|");
    for number in numbers {
        let (database, template) = a_session().await?;
        fill(&database, &template, *number)?;
        let scan = expire_by_scan(&database, *number)?;
        fill(&database, &template, *number)?;
        let drop = create_and_drop(&database)?;
        println!(
            "| {number} | {} | {} | {} | {} | {} |",
            scan.requests,
            scan.read_units,
            scan.write_units,
            drop.requests,
            drop.read_units + drop.write_units
        );
    }
    Ok(())
}

/// A database with a session as the store writes it, which is taken out again.
async fn a_session() -> Outcome<(Database, Item)> {
    let database = Database::memory()?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = tokio::spawn(dynoxide::server::serve_on(listener, database.clone()));
    let url = format!(
        "dynamodb://test:test@us-east-1/{TABLE}?expiry=none&create=true&endpoint=http://{address}&response_timeout=5s"
    );
    let policy = SessionPolicy::new(DynamoDb::connect(&url).await?);
    let session = policy.open(None);
    session.insert("user", "ada").await?;
    session.insert("value", "x".repeat(100)).await?;
    let CookieChange::Set { .. } = session.commit().await?.cookie else {
        return Err("a session was not created".into());
    };
    server.abort();
    let found = database.scan(ScanRequest { table_name: TABLE.to_owned(), ..ScanRequest::default() })?;
    let template = found.items.unwrap_or_default().pop().ok_or("the session is not there")?;
    database.delete_item(DeleteItemRequest {
        table_name: TABLE.to_owned(),
        key: key_of(&template)?,
        ..DeleteItemRequest::default()
    })?;
    Ok((database, template))
}

fn key_of(item: &Item) -> Outcome<HashMap<String, AttributeValue>> {
    let key = item.get("k").ok_or("an item has no key")?;
    Ok(HashMap::from([("k".to_owned(), key.clone())]))
}

/// So many sessions, whose deadline is long past.
fn fill(database: &Database, template: &Item, number: usize) -> Outcome<()> {
    for session in 0..number {
        let mut item = template.clone();
        item.insert("k".to_owned(), AttributeValue::S(format!("{session:064x}")));
        item.insert("e".to_owned(), AttributeValue::N(PAST.to_owned()));
        let request = PutItemRequest { table_name: TABLE.to_owned(), item, ..PutItemRequest::default() };
        database.put_item(request)?;
    }
    Ok(())
}

/// As those do it who have to: everything is read, by eventual reads, and what is past its deadline is deleted if it still is.
fn expire_by_scan(database: &Database, expected: usize) -> Outcome<Taken> {
    let mut taken = Taken::default();
    let mut deleted = 0;
    let mut after = None;
    let total = || Some("TOTAL".to_owned());
    let values = HashMap::from([(":now".to_owned(), AttributeValue::N(PAST.to_owned()))]);
    loop {
        let page = database.scan(ScanRequest {
            table_name: TABLE.to_owned(),
            filter_expression: Some("e <= :now".to_owned()),
            projection_expression: Some("k".to_owned()),
            expression_attribute_values: Some(values.clone()),
            exclusive_start_key: after.take(),
            return_consumed_capacity: total(),
            ..ScanRequest::default()
        })?;
        taken.requests += 1;
        taken.read_units += units(page.consumed_capacity.as_ref())?;
        for item in page.items.unwrap_or_default() {
            let answer = database.delete_item(DeleteItemRequest {
                table_name: TABLE.to_owned(),
                key: key_of(&item)?,
                condition_expression: Some("e <= :now".to_owned()),
                expression_attribute_values: Some(values.clone()),
                return_consumed_capacity: total(),
                ..DeleteItemRequest::default()
            })?;
            deleted += 1;
            taken.requests += 1;
            taken.write_units += units(answer.consumed_capacity.as_ref())?;
        }
        after = page.last_evaluated_key;
        if after.is_none() {
            break;
        }
    }
    if deleted == expected { Ok(taken) } else { Err("the scan did not find every session".into()) }
}

pub(crate) fn units(capacity: Option<&ConsumedCapacity>) -> Outcome<f64> {
    let reported = capacity.map(|capacity| capacity.capacity_units);
    reported.ok_or_else(|| "the database does not say what was consumed".into())
}

/// Creates a table with this key, and answers what the database says to it.
pub(crate) fn create_table(database: &Database, name: &str, key: &str) -> Outcome<serde_json::Value> {
    let create = serde_json::json!({
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": key, "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": key, "KeyType": "HASH"}],
    });
    Ok(serde_json::to_value(database.create_table(serde_json::from_value(create)?)?)?)
}

/// The next table is created, and the one before dropped with all that is in it.
fn create_and_drop(database: &Database) -> Outcome<Taken> {
    let drop = serde_json::json!({"TableName": TABLE});
    let answers = [
        create_table(database, "sessions-next", "k")?,
        serde_json::to_value(database.delete_table(serde_json::from_value(drop)?)?)?,
    ];
    let mut taken = Taken::default();
    for answer in answers {
        taken.requests += 1;
        // Requests about tables consume nothing, and report nothing.
        taken.write_units += answer["ConsumedCapacity"]["CapacityUnits"].as_f64().unwrap_or_default();
    }
    Ok(taken)
}
