//! The layout, and tables that are missing, wrong, or not ready.

use std::time::Duration;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
    TimeToLiveSpecification, TimeToLiveStatus,
};
use holdover_api::{Clock, Effect, ErrorKind, On, SaveAnswer, SessionStoreExt, SystemClock};
use holdover_conformance::servers::{self, Recipe, Server};

use crate::help::{Embedded, TABLE, item, url_at};
use crate::support::{key, open, write};

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_stored_as_the_readme_says() {
    let embedded = Embedded::start().await;
    let store = open(&embedded.url("&expiry=ttl&create=true")).await;
    let created = SystemClock.now();
    let create = write(On::Absent { created }, "a", 1);
    store.save(&key(1), &create).await.unwrap();
    let second = write(On::Live, "", 2);
    store.save(&key(1), &second).await.unwrap();
    let item = item(&embedded.client(), &key(1)).await;
    let names = ["a", "c", "e", "f", "k", "l0", "l1", "l2", "l3", "l4", "l5", "l6", "l7", "s", "w", "x"];
    let mut stored: Vec<_> = item.keys().map(String::as_str).collect();
    stored.sort_unstable();
    assert_eq!(stored, names);
    let number = |name: &str| item[name].as_n().unwrap().parse::<u64>().unwrap();
    let deadline = second.deadline.moment().as_millis();
    assert_eq!((number("f"), number("w"), number("c")), (1, 2, created.as_millis()));
    assert_eq!((number("e"), number("x")), (deadline, deadline.div_ceil(1000)));
    let bytes = |name: &str| item[name].as_b().unwrap().as_ref().to_vec();
    assert_eq!((bytes("l0"), bytes("l1")), (vec![2; 16], vec![1; 16]));
    assert!(item["l2"].is_null());
    let attributes = item["a"].as_m().unwrap();
    assert_eq!(attributes.len(), 2);
    assert_eq!(attributes["a"].as_b().unwrap().as_ref(), [1; 20]);
    assert_eq!(attributes["~"].as_b().unwrap().as_ref(), [2; 20]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prefix_keeps_applications_apart() {
    let embedded = Embedded::start().await;
    let one = open(&embedded.url("&expiry=ttl&create=true&prefix=one:")).await;
    let two = open(&embedded.url("&expiry=ttl&prefix=two:")).await;
    one.save(&key(1), &write(On::Absent { created: SystemClock.now() }, "a", 1)).await.unwrap();
    assert!(one.load_latest(&key(1)).await.unwrap().is_some());
    assert!(two.load_latest(&key(1)).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_table_is_named_as_missing_or_created_with_its_time_to_live() {
    let embedded = Embedded::start().await;
    let error = holdover_backends::connect(&embedded.url("&expiry=ttl")).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Misconfigured, Effect::None), "{error}");
    assert!(error.message().contains("the table is missing"), "{error}");
    assert!(!error.to_string().contains(TABLE), "{error}");

    let url = embedded.url("&expiry=ttl&create=true");
    let (one, two) = tokio::join!(holdover_backends::connect(&url), holdover_backends::connect(&url));
    assert!(one.is_ok() && two.is_ok(), "{one:?} {two:?}");
    let client = embedded.client();
    let table = client.describe_table().table_name(TABLE).send().await.unwrap().table.unwrap();
    let billing = table.billing_mode_summary.and_then(|billing| billing.billing_mode);
    assert_eq!(billing, Some(BillingMode::PayPerRequest));
    let expiry = client.describe_time_to_live().table_name(TABLE).send().await.unwrap();
    let expiry = expiry.time_to_live_description.unwrap();
    assert_eq!(expiry.attribute_name.as_deref(), Some("x"));
    assert_eq!(expiry.time_to_live_status, Some(TimeToLiveStatus::Enabled));
}

/// A table as somebody else might have made it.
async fn made(embedded: &Embedded, key_name: &str, key_type: ScalarAttributeType) {
    let attribute =
        AttributeDefinition::builder().attribute_name(key_name).attribute_type(key_type).build().unwrap();
    let schema =
        KeySchemaElement::builder().attribute_name(key_name).key_type(KeyType::Hash).build().unwrap();
    let request = embedded.client().create_table().table_name(TABLE).attribute_definitions(attribute);
    request.key_schema(schema).billing_mode(BillingMode::PayPerRequest).send().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_somebody_elses_is_refused() {
    for (name, kind) in [("id", ScalarAttributeType::S), ("k", ScalarAttributeType::B)] {
        let embedded = Embedded::start().await;
        made(&embedded, name, kind).await;
        let error = holdover_backends::connect(&embedded.url("&expiry=ttl&create=true")).await.unwrap_err();
        assert_eq!((error.kind(), error.effect()), (ErrorKind::Misconfigured, Effect::None), "{error}");
        assert!(error.message().contains("partition key k"), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_time_to_live_that_is_off_or_elsewhere_is_found_out() {
    let embedded = Embedded::start().await;
    made(&embedded, "k", ScalarAttributeType::S).await;
    let error = holdover_backends::connect(&embedded.url("&expiry=ttl")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misconfigured);
    assert!(error.message().contains("not enabled on the attribute x"), "{error}");
    let elsewhere = TimeToLiveSpecification::builder().attribute_name("until").enabled(true).build().unwrap();
    let request = embedded.client().update_time_to_live().table_name(TABLE);
    request.time_to_live_specification(elsewhere).send().await.unwrap();
    let error = holdover_backends::connect(&embedded.url("&expiry=ttl&create=true")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misconfigured);
    assert!(error.message().contains("another attribute"), "{error}");
    assert!(holdover_backends::connect(&embedded.url("&expiry=none")).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_being_made_is_waited_for_and_not_for_ever() {
    let slow = Recipe { more_arguments: vec!["--createTableMs 1500".to_owned()], ..servers::dynamodb() };
    let server = Server::start(&slow).await.unwrap();
    let address = server.address();
    let hasty = url_at(address, "&expiry=none&create=true&prepare_timeout=100ms");
    let error = holdover_backends::connect(&hasty).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.message().contains("not ready in time"), "{error}");
    let store = open(&url_at(address, "&expiry=none&create=true")).await;
    let create = write(On::Absent { created: SystemClock.now() }, "a", 1);
    assert!(matches!(store.save(&key(1), &create).await.unwrap(), SaveAnswer::Saved { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_time_to_live_says_what_to_do() {
    let server = Server::start(&servers::dynamodb()).await.unwrap();
    let url = url_at(server.address(), "&expiry=ttl&create=true");
    let error = holdover_backends::connect(&url).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Misconfigured, "{error}");
    assert!(error.message().contains("expiry=none"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_newer_version_wrote_or_somebody_else_is_corrupt_left_alone_and_can_be_deleted() {
    let embedded = Embedded::start().await;
    let store = open(&embedded.url("&expiry=ttl&create=true")).await;
    let client = embedded.client();
    let create = write(On::Absent { created: SystemClock.now() }, "a", 1);
    let wrecks = [
        ("f", AttributeValue::N("2".to_owned())),
        ("a", AttributeValue::S("text".to_owned())),
        ("l0", AttributeValue::S("text".to_owned())),
        ("w", AttributeValue::S("text".to_owned())),
        ("e", AttributeValue::S("text".to_owned())),
        ("s", AttributeValue::S("text".to_owned())),
    ];
    for (number, (name, value)) in (1..).zip(wrecks) {
        let key = key(number);
        store.save(&key, &create).await.unwrap();
        let mut wreck = item(&client, &key).await;
        wreck.insert(name.to_owned(), value);
        client.put_item().table_name(TABLE).set_item(Some(wreck.clone())).send().await.unwrap();
        for error in [
            store.load_latest(&key).await.unwrap_err(),
            store.save(&key, &write(On::Live, "b", 2)).await.unwrap_err(),
            store.save(&key, &create).await.unwrap_err(),
        ] {
            let seen = (error.kind(), error.effect());
            assert_eq!(seen, (ErrorKind::Corrupt, Effect::None), "{name}: {error}");
        }
        assert_eq!(item(&client, &key).await, wreck, "{name}");
        store.delete(&key).await.unwrap();
        assert!(matches!(store.save(&key, &create).await, Ok(SaveAnswer::Saved { previous: None })));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_dropped_under_the_store_is_unavailable() {
    let embedded = Embedded::start().await;
    let store = open(&embedded.url("&expiry=ttl&create=true")).await;
    embedded.client().delete_table().table_name(TABLE).send().await.unwrap();
    let error = store.load_latest(&key(1)).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, Effect::None), "{error}");
    let error = store.touch(&key(1), SystemClock.now() + Duration::from_secs(9)).await.unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, Effect::None), "{error}");
}
