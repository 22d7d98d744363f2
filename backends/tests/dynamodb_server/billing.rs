//! What the tables of a store that follow each other are paid for.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{BillingMode, ProvisionedThroughput, TableDescription, TableStatus};
use holdover_api::{Clock, ManualClock, SystemClock, Timestamp, pause};
use holdover_backends::dynamodb::DynamoDb;
use holdover_conformance::proxy::DynamodbFaults;
use holdover_conformance::servers::{self, Server};

use crate::help::{Embedded, client_at, url_at};

const HOUR: u64 = 3_600_000;

/// Every table, by name: names sort by time.
async fn tables(client: &Client) -> Vec<TableDescription> {
    let mut names = client.list_tables().send().await.unwrap().table_names.unwrap();
    names.sort_unstable();
    let mut tables = Vec::new();
    for name in names {
        let described = client.describe_table().table_name(name).send().await.unwrap();
        tables.push(described.table.unwrap());
    }
    tables
}

async fn all_ready(client: &Client) -> Vec<TableDescription> {
    loop {
        let tables = tables(client).await;
        if tables.iter().all(|table| table.table_status == Some(TableStatus::Active)) {
            return tables;
        }
        pause(Duration::from_millis(20)).await;
    }
}

fn units(table: &TableDescription) -> (Option<i64>, Option<i64>) {
    let throughput = table.provisioned_throughput.as_ref().unwrap();
    (throughput.read_capacity_units, throughput.write_capacity_units)
}

/// Has a first table made, changes what it is paid for by hand, and looks at the next one.
async fn the_next_table_inherits_at(address: SocketAddr) {
    // Not before the system's time, by which the server says when a table was made.
    let hours = SystemClock.now().as_millis() / HOUR + 1;
    let clock = Arc::new(ManualClock::at(Timestamp::from_millis(hours * HOUR + HOUR / 2)));
    let server = DynamodbFaults::start(address).await.unwrap();
    server.tell_time(Some(Arc::clone(&clock) as Arc<dyn Clock>));
    let parameters = "&expiry=rotation&period=1h&max_lease=30m&keeper=off&create=true&billing=inherited";
    let url = url_at(server.address(), parameters);
    let store = DynamoDb::connect_with_clock(&url, Arc::clone(&clock) as Arc<dyn Clock>).await.unwrap();
    let keeper = store.keeper().unwrap();

    let client = client_at(address);
    let first = all_ready(&client).await;
    let mode = |table: &TableDescription| table.billing_mode_summary.as_ref()?.billing_mode.clone();
    assert_eq!(first.iter().map(mode).collect::<Vec<_>>(), [Some(BillingMode::PayPerRequest)]);
    let wanted =
        ProvisionedThroughput::builder().read_capacity_units(3).write_capacity_units(7).build().unwrap();
    let change = client.update_table().set_table_name(first[0].table_name.clone());
    change.billing_mode(BillingMode::Provisioned).provisioned_throughput(wanted).send().await.unwrap();
    all_ready(&client).await;

    while tables(&client).await.len() < 2 {
        clock.advance(Duration::from_secs(60));
        let report = keeper.tick().await;
        assert!(report.is_well(), "{report:?}");
    }
    let both = all_ready(&client).await;
    assert_eq!(units(&both[1]), (Some(3), Some(7)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_table_is_paid_for_as_an_operator_had_set_the_one_before() {
    the_next_table_inherits_at(Embedded::start().await.address).await;
    let server = Server::start(&servers::dynamodb()).await.unwrap();
    the_next_table_inherits_at(server.address()).await;
}
