//! Which indexes will do.

use super::*;

fn refusal(index: &Document) -> String {
    match check(index) {
        Err(Failure::Unfit(ErrorKind::Misconfigured, message)) => message,
        other => panic!("{index} has to be refused: {other:?}"),
    }
}

#[test]
fn an_index_that_removes_what_is_over_will_do_whatever_its_name() {
    for seconds in [Bson::Int32(0), Bson::Int64(0), Bson::Double(0.0)] {
        let index = doc! { "name": "e_1", "key": { "e": 1 }, "expireAfterSeconds": seconds };
        assert!(check(&index).is_ok(), "{index}");
    }
}

#[test]
fn an_index_with_other_options_is_named_and_not_replaced() {
    assert!(refusal(&doc! { "name": "e_1", "key": { "e": 1 } }).contains("expires nothing"));
    let late = doc! { "key": { "e": 1 }, "expireAfterSeconds": 3600 };
    assert!(refusal(&late).contains("collMod"));
    let partial = doc! { "key": { "e": 1 }, "expireAfterSeconds": 0, "partialFilterExpression": {} };
    assert!(refusal(&partial).contains("partial"));
    let elsewhere = doc! { "name": INDEX, "key": { "f": 1 }, "expireAfterSeconds": 0 };
    assert!(refusal(&elsewhere).contains("not on `e`"));
    let compound = doc! { "name": INDEX, "key": { "e": 1, "f": 1 }, "expireAfterSeconds": 0 };
    assert!(refusal(&compound).contains("not on `e`"));
}
