//! What a session on two servers costs, as the servers see it: calls, request by request.

#[path = "../examples/failover/counting/counted.rs"]
#[allow(dead_code, reason = "the example measures times as well")]
mod counted;

use counted::{Counted, Kind};
use holdover_layers::failover::Backup;

/// Calls to the head and to the tail.
const CALLS: [(Kind, [u64; 2]); 8] = [
    (Kind::Untouched, [0, 0]),
    (Kind::Read, [1, 1]),
    (Kind::ReadDue, [3, 3]),
    (Kind::Modify, [2, 2]),
    (Kind::WriteUnread, [2, 2]),
    (Kind::Create, [1, 1]),
    (Kind::LogIn, [3, 3]),
    (Kind::LogOut, [2, 2]),
];

async fn calls_are_as_documented(backup: Backup) {
    let counted = Counted::start(backup).await.unwrap();
    for (kind, expected) in CALLS {
        for turn in 1..=3 {
            let visitor = counted.visitor(kind).await.unwrap();
            let (calls_before, exchanges_before) = (counted.calls().await.unwrap(), counted.exchanges());
            for changed in counted.request(kind, visitor).await.unwrap() {
                counted.until_equal(&changed).await.unwrap();
            }
            let (calls, exchanges) = (counted.calls().await.unwrap(), counted.exchanges());
            for server in [0, 1] {
                let called = calls[server] - calls_before[server];
                let exchanged = exchanges[server] - exchanges_before[server];
                let what = format!("{kind:?}, request {turn}, server {server}, backup {backup:?}");
                assert_eq!(called, expected[server], "{what}");
                // Nothing else goes over the wire. Behind an answer two calls may share an exchange.
                let exchanged = u64::try_from(exchanged).unwrap();
                assert!(exchanged == called || (backup == Backup::After && exchanged < called), "{what}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_costs_two_calls_a_change_and_a_logout_four_and_a_creation_two() {
    calls_are_as_documented(Backup::Before).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_behind_the_answer_costs_the_same_calls() {
    calls_are_as_documented(Backup::After).await;
}
