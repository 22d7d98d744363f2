//! Parallel and overlapping requests.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::common::{Answer, Browser, Node};
use crate::stage::{Kind, Stage};

on_each_store!(
    a_write_on_one_node_is_read_on_the_other,
    sixty_parallel_writes_on_one_node_are_all_kept,
    sixty_parallel_writes_on_two_nodes_are_all_kept,
    sixty_parallel_writes_on_one_node_with_work_between_are_all_kept,
    sixty_parallel_writes_on_two_nodes_with_work_between_are_all_kept,
    sixty_parallel_increments_count_each_number_once,
    sixty_parallel_appends_are_all_kept,
    writes_and_increments_do_not_disturb_each_other,
    a_slow_request_does_not_undo_a_logout,
    a_slow_request_does_not_undo_a_login,
    a_slow_request_that_creates_after_a_logout_elsewhere_begins_its_own_session,
);

const PARALLEL: usize = 60;

/// Long enough that all sixty have loaded before the first one saves.
const WORK: Duration = Duration::from_millis(300);

/// Long enough for one logout, which is checked.
const SLOW: Duration = Duration::from_millis(1500);

async fn visitor(node: &Node) -> Browser {
    let browser = Browser::new();
    let created = browser.put(node, "visitor", json!(true)).await;
    assert!(created.status.is_success() && created.sets_cookie(), "{created:?}");
    browser
}

pub(crate) async fn a_write_on_one_node_is_read_on_the_other(kind: Kind) {
    let stage = Stage::on(kind).await;
    let browser = visitor(&stage.a).await;
    browser.put(&stage.b, "greeting", json!("hello")).await;
    for node in stage.nodes() {
        assert_eq!(browser.attributes(node).await, json!({"visitor": true, "greeting": "hello"}));
    }
}

async fn parallel_writes(nodes: [&Node; 2], work: Option<Duration>) {
    let browser = visitor(nodes[0]).await;
    let before = browser.cookie();
    let hold = work.map_or(String::new(), |work| format!("?hold_ms={}", work.as_millis()));
    let writes = (0..PARALLEL).map(|number| {
        let browser = browser.clone();
        let name = format!("attribute-{number}{hold}");
        async move { browser.put(nodes[number % 2], &name, json!(number)).await }
    });
    for answer in join_all(writes).await {
        assert_eq!(answer.status, 204, "{}", answer.text);
        assert!(!answer.sets_cookie(), "a merge moved the cookie");
    }
    let mut expected = json!({"visitor": true});
    for number in 0..PARALLEL {
        expected[format!("attribute-{number}")] = json!(number);
    }
    for node in nodes {
        assert_eq!(browser.attributes(node).await, expected, "I2: an acknowledged write is lost");
    }
    assert_eq!(browser.cookie(), before);
}

async fn sixty_parallel_writes_on_one_node_are_all_kept(kind: Kind) {
    let stage = Stage::on(kind).await;
    parallel_writes([&stage.a, &stage.a], None).await;
}

async fn sixty_parallel_writes_on_two_nodes_are_all_kept(kind: Kind) {
    let stage = Stage::on(kind).await;
    parallel_writes(stage.nodes(), None).await;
}

async fn sixty_parallel_writes_on_one_node_with_work_between_are_all_kept(kind: Kind) {
    let stage = Stage::on(kind).await;
    parallel_writes([&stage.a, &stage.a], Some(WORK)).await;
}

pub(crate) async fn sixty_parallel_writes_on_two_nodes_with_work_between_are_all_kept(kind: Kind) {
    let stage = Stage::on(kind).await;
    parallel_writes(stage.nodes(), Some(WORK)).await;
}

async fn post_in_parallel(stage: &Stage, browser: &Browser, path: &str, value: Option<Value>) -> Vec<Answer> {
    let posts = (0..PARALLEL).map(|number| {
        let node = stage.nodes()[number % 2];
        browser.request(node, "POST", path, value.as_ref())
    });
    join_all(posts).await
}

/// Checks that the answers are 1 to 60, each once.
fn assert_each_once(mut answered: Vec<u64>) {
    answered.sort_unstable();
    let expected: Vec<u64> = (1..).take(PARALLEL).collect();
    assert_eq!(answered, expected, "an update was lost or made twice (I2, I3)");
}

pub(crate) async fn sixty_parallel_increments_count_each_number_once(kind: Kind) {
    let stage = Stage::on(kind).await;
    let browser = visitor(&stage.a).await;
    let answers = post_in_parallel(&stage, &browser, "/api/session/attributes/n/increment", None).await;
    assert_each_once(answers.iter().filter_map(|answer| answer.json().as_u64()).collect());
    assert_eq!(browser.attributes(&stage.b).await["n"], json!(PARALLEL));
}

pub(crate) async fn sixty_parallel_appends_are_all_kept(kind: Kind) {
    let stage = Stage::on(kind).await;
    let browser = visitor(&stage.a).await;
    let path = "/api/session/attributes/list/append";
    let answers = post_in_parallel(&stage, &browser, path, Some(json!("x"))).await;
    assert_each_once(answers.iter().filter_map(|answer| answer.json()["length"].as_u64()).collect());
    assert_eq!(browser.attributes(&stage.b).await["list"], json!(vec!["x"; PARALLEL]));
}

async fn writes_and_increments_do_not_disturb_each_other(kind: Kind) {
    let stage = Stage::on(kind).await;
    let browser = visitor(&stage.a).await;
    let increments = post_in_parallel(&stage, &browser, "/api/session/attributes/n/increment", None);
    let writes = (0..PARALLEL).map(|number| {
        let node = stage.nodes()[number % 2];
        let path = format!("/api/session/attributes/attribute-{number}");
        browser.request(node, "PUT", &path, Some(&json!(number)))
    });
    let (answers, written) = tokio::join!(increments, join_all(writes));
    assert_each_once(answers.iter().filter_map(|answer| answer.json().as_u64()).collect());
    assert!(written.iter().all(|answer| answer.status == 204));
    let attributes = browser.attributes(&stage.a).await;
    assert_eq!(attributes.as_object().map(serde_json::Map::len), Some(PARALLEL + 2), "{attributes}");
}

async fn assert_dead(stage: &Stage, cookie: &Browser) {
    for node in stage.nodes() {
        let session = cookie.get(node, "/api/session").await.json();
        assert_eq!(session, json!({"new": true, "attributes": {}}), "I1: the session is back");
    }
}

fn assert_refused_as_gone(refusal: &Answer) {
    assert_eq!(refusal.status, 409, "{}", refusal.text);
    assert!(refusal.json()["error"].is_string(), "{}", refusal.text);
    assert!(!refusal.sets_cookie(), "a request whose session is gone moved the cookie");
}

pub(crate) async fn a_slow_request_does_not_undo_a_logout(kind: Kind) {
    let stage = Stage::on(kind).await;
    let browser = visitor(&stage.a).await;
    let stolen = Browser::with_cookie(browser.cookie());

    let slow = stage.a.slow_put(&browser, "late", json!(true), SLOW).await;
    let farewell = browser.log_out(&stage.b).await;
    assert!(!slow.is_finished(), "the requests did not overlap: the machine is too slow for this case");
    assert_eq!(farewell.status, 204);
    assert_eq!(browser.cookie(), None, "the logout clears the cookie");
    assert_dead(&stage, &stolen).await;

    assert_refused_as_gone(&slow.await.expect("the slow request ends"));
    assert_dead(&stage, &stolen).await;

    let successor = Browser::with_cookie(stolen.cookie());
    successor.put(&stage.a, "fresh", json!(1)).await;
    assert_ne!(successor.cookie(), stolen.cookie(), "I8: a dead id was adopted");
    assert_eq!(successor.attributes(&stage.b).await, json!({"fresh": 1}));
    assert_dead(&stage, &stolen).await;
}

pub(crate) async fn a_slow_request_does_not_undo_a_login(kind: Kind) {
    let stage = Stage::on(kind).await;
    let browser = visitor(&stage.a).await;
    let anonymous = Browser::with_cookie(browser.cookie());

    let slow = stage.a.slow_put(&browser, "late", json!(true), SLOW).await;
    let welcome = browser.log_in(&stage.b, "ada").await;
    assert!(!slow.is_finished(), "the requests did not overlap: the machine is too slow for this case");
    assert_eq!(welcome.status, 200);
    let cookie_of_ada = browser.cookie();
    assert_ne!(cookie_of_ada, anonymous.cookie(), "a login renews the id");

    assert_refused_as_gone(&slow.await.expect("the slow request ends"));
    assert_eq!(browser.cookie(), cookie_of_ada);
    assert_dead(&stage, &anonymous).await;
    for node in stage.nodes() {
        assert_eq!(browser.attributes(node).await, json!({"visitor": true, "user": "ada"}));
    }
}

async fn a_slow_request_that_creates_after_a_logout_elsewhere_begins_its_own_session(kind: Kind) {
    let stage = Stage::on(kind).await;
    let browser = visitor(&stage.a).await;
    let late = Browser::with_cookie(browser.cookie());
    browser.log_out(&stage.b).await;

    let created = late.put(&stage.a, "late?hold_ms=1", json!(true)).await;
    assert_eq!(created.status, 204);
    assert!(created.sets_cookie());
    assert_eq!(late.attributes(&stage.b).await, json!({"late": true}));
}
