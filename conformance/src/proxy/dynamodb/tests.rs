//! In front of a small server that keeps one value for each item, in the words of DynamoDB.

use std::convert::Infallible;

use super::*;

/// Answers every write with one unit and every read with half of one.
async fn small_server() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let items: Arc<Mutex<BTreeMap<String, Value>>> = Arc::default();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let items = Arc::clone(&items);
            let service = service_fn(move |request: Request<Incoming>| {
                let items = Arc::clone(&items);
                async move {
                    let target = request.headers()[TARGET].to_str().unwrap().to_owned();
                    let body = request.into_body().collect().await.unwrap().to_bytes();
                    let body = parsed(&body).unwrap();
                    let answer = match target.as_str() {
                        "DynamoDB_20120810.PutItem" => {
                            let item = body["Item"].clone();
                            lock(&items).insert(item["k"]["S"].to_string(), item);
                            json!({ "ConsumedCapacity": { "CapacityUnits": 1.0 } })
                        }
                        _ => match lock(&items).get(&body["Key"]["k"]["S"].to_string()) {
                            Some(item) => {
                                json!({ "Item": item, "ConsumedCapacity": { "CapacityUnits": 0.5 } })
                            }
                            None => json!({ "ConsumedCapacity": { "CapacityUnits": 0.5 } }),
                        },
                    };
                    Ok::<_, Infallible>(ok(Bytes::from(answer.to_string())))
                }
            });
            let io = TokioIo::new(stream);
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(io, service));
        }
    });
    address
}

async fn ask(server: SocketAddr, operation: &str, body: Value) -> Option<(u16, Value)> {
    let request = Request::post("/")
        .header(TARGET, format!("DynamoDB_20120810.{operation}"))
        .header(hyper::header::HOST, server.to_string())
        .body(())
        .unwrap();
    let (head, ()) = request.into_parts();
    let asked = Asked { operation: operation.to_owned(), head, body: Bytes::from(body.to_string()) };
    let answer = send(server, &asked).await?;
    Some((answer.status().as_u16(), parsed(answer.body()).unwrap()))
}

async fn put(server: SocketAddr, number: u32) -> Option<(u16, Value)> {
    let item = json!({ "k": { "S": "key" }, "n": { "N": number.to_string() } });
    ask(server, "PutItem", json!({ "TableName": "t", "Item": item })).await
}

async fn get(server: SocketAddr, consistent: bool) -> Value {
    let body = json!({ "TableName": "t", "Key": { "k": { "S": "key" } }, "ConsistentRead": consistent });
    ask(server, "GetItem", body).await.unwrap().1["Item"]["n"]["N"].clone()
}

#[tokio::test]
async fn what_nothing_strikes_passes() {
    let faults = DynamodbFaults::start(small_server().await).await.unwrap();
    assert_eq!(put(faults.address(), 7).await.unwrap().0, 200);
    assert_eq!(get(faults.address(), true).await, json!("7"));
    assert_eq!(faults.seen("PutItem"), Seen { requests: 1, ..Seen::default() });
}

#[tokio::test]
async fn a_refused_request_does_nothing_and_the_next_passes() {
    let faults = DynamodbFaults::start(small_server().await).await.unwrap();
    faults.strike("PutItem", Fault::Refuse(400, "ThrottlingException"), 2);
    for _ in 0..2 {
        let (status, body) = put(faults.address(), 1).await.unwrap();
        assert_eq!(status, 400);
        assert!(body["__type"].as_str().unwrap().ends_with("#ThrottlingException"));
        assert_eq!(get(faults.address(), true).await, Value::Null);
    }
    assert_eq!(put(faults.address(), 2).await.unwrap().0, 200);
    assert_eq!(faults.seen("PutItem"), Seen { requests: 3, struck: 2, ..Seen::default() });
}

#[tokio::test]
async fn what_fails_afterwards_and_what_loses_its_answer_has_happened() {
    let faults = DynamodbFaults::start(small_server().await).await.unwrap();
    faults.strike("*", Fault::FailAfterwards, 1);
    assert_eq!(put(faults.address(), 1).await.unwrap().0, 500);
    assert_eq!(get(faults.address(), true).await, json!("1"));
    faults.strike("PutItem", Fault::LoseAnswer, 1);
    assert_eq!(put(faults.address(), 2).await, None);
    assert_eq!(get(faults.address(), true).await, json!("2"));
}

#[tokio::test]
async fn an_empty_bucket_refuses_until_it_is_lifted() {
    let faults = DynamodbFaults::start(small_server().await).await.unwrap();
    faults.throttle(Some((0.0, 2.0)));
    for number in 0..2 {
        assert_eq!(put(faults.address(), number).await.unwrap().0, 200);
    }
    assert_eq!(put(faults.address(), 3).await.unwrap().0, 400);
    assert_eq!(faults.seen("PutItem").throttled, 1);
    faults.throttle(Some((1e9, 1.0)));
    assert_eq!(put(faults.address(), 4).await.unwrap().0, 200, "it fills by itself");
    faults.heal();
    assert_eq!(get(faults.address(), true).await, json!("4"));
}

#[tokio::test]
async fn a_replica_that_is_behind_answers_only_those_who_accept_it() {
    let faults = DynamodbFaults::start(small_server().await).await.unwrap();
    put(faults.address(), 1).await.unwrap();
    faults.lag(Some((Duration::from_secs(600), "k")));
    put(faults.address(), 2).await.unwrap();
    put(faults.address(), 3).await.unwrap();
    assert_eq!(get(faults.address(), false).await, json!("1"), "it has seen neither write");
    assert_eq!(get(faults.address(), true).await, json!("3"));
    assert_eq!(faults.seen("GetItem").stale, 1);
    faults.lag(None);
    assert_eq!(get(faults.address(), false).await, json!("3"));
}
