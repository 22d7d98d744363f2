//! On the `mongod` of this machine. Without one these tests fail: `scripts/servers` fetches it.

use std::net::SocketAddr;
use std::time::Duration;

use holdover_api::{pause, within};
use tokio::net::TcpStream;

use super::bson::{Document, Value};
use super::{MongodbSet, NAME, mongodb, mongodb_set_of_one, mongodb_sweep, talk};
use crate::harness::{ServerControl, SetControl};
use crate::servers::{Recipe, Server};

const BRIEFLY: Duration = Duration::from_millis(200);
const PATIENTLY: Duration = Duration::from_secs(30);
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

async fn started(recipe: &Recipe) -> Server {
    match Server::start(recipe).await {
        Ok(server) => server,
        Err(why) => panic!("{why}"),
    }
}

/// A set that replaces a primary only if a test makes it, however busy the machine is.
async fn set_of_three() -> MongodbSet {
    set_with(Duration::from_secs(10)).await
}

/// A set that soon replaces a silent primary.
async fn nervous_set() -> MongodbSet {
    set_with(MongodbSet::ELECTION_TIMEOUT).await
}

async fn set_with(election_timeout: Duration) -> MongodbSet {
    match MongodbSet::start(&mongodb(), 3, election_timeout).await {
        Ok(set) => set,
        Err(why) => panic!("{why}"),
    }
}

async fn ask(address: SocketAddr, command: Document) -> Result<Document, String> {
    talk::command(address, PATIENTLY, NAME, command).await
}

/// Writes a document on so many members' journals.
async fn write(address: SocketAddr, members: impl Into<Value>) {
    let concern = Document::default().with("w", members).with("j", true).with("wtimeout", 20_000);
    let insert = Document::default()
        .with("insert", "things")
        .with("documents", vec![Document::default().with("kept", true)])
        .with("writeConcern", concern);
    let answer = ask(address, insert).await.unwrap();
    assert!(answer.number("n") == Some(1) && answer.get("writeConcernError").is_none(), "{answer:?}");
}

/// How many documents this member itself shows.
async fn count(address: SocketAddr) -> i64 {
    let here = Document::default().with("mode", "secondaryPreferred");
    // Without a question the answer would be an estimate, which a kill leaves wrong.
    let count = Document::default()
        .with("count", "things")
        .with("query", Document::default().with("kept", true))
        .with("$readPreference", here);
    ask(address, count).await.unwrap().number("n").unwrap()
}

async fn until_count(address: SocketAddr, wanted: i64) {
    let counted = async {
        while count(address).await != wanted {
            pause(BETWEEN_LOOKS).await;
        }
    };
    within(PATIENTLY, counted).await.expect("the count becomes what it has to be");
}

fn secondaries(set: &MongodbSet, primary: usize) -> Vec<usize> {
    (0..set.members().len()).filter(|member| *member != primary).collect()
}

#[tokio::test]
async fn a_started_mongodb_answers_and_leaves_nothing_behind() {
    let server = started(&mongodb()).await;
    write(server.address(), 1).await;
    let (address, directory) = (server.address(), server.directory().to_owned());
    assert!(server.url().ends_with(&format!("{address}/holdover")));
    drop(server);
    assert!(TcpStream::connect(address).await.is_err());
    assert!(!directory.exists());
}

#[tokio::test]
async fn a_killed_mongodb_refuses_and_comes_back_with_everything() {
    let server = started(&mongodb()).await;
    write(server.address(), 1).await;
    server.kill().await.unwrap();
    assert!(TcpStream::connect(server.address()).await.is_err());
    server.restart().await.unwrap();
    assert_eq!(count(server.address()).await, 1);
}

#[tokio::test]
async fn a_paused_mongodb_says_nothing_until_it_is_resumed() {
    let server = started(&mongodb()).await;
    server.pause().await.unwrap();
    assert!(TcpStream::connect(server.address()).await.is_ok());
    assert_eq!(within(BRIEFLY, count(server.address())).await, None);
    server.resume().await.unwrap();
    assert_eq!(count(server.address()).await, 0);
}

#[tokio::test]
async fn a_mongodb_that_is_asked_to_end_does() {
    let server = started(&mongodb_set_of_one()).await;
    server.stop().await.unwrap();
    assert!(TcpStream::connect(server.address()).await.is_err());
}

#[tokio::test]
async fn a_mongodb_sweeps_as_often_as_it_is_told() {
    let server = started(&mongodb().with_argument(mongodb_sweep(7))).await;
    let asked = Document::default().with("getParameter", 1).with("ttlMonitorSleepSecs", 1);
    let answer = talk::command(server.address(), PATIENTLY, "admin", asked).await.unwrap();
    assert_eq!(answer.number("ttlMonitorSleepSecs"), Some(7));
}

#[tokio::test]
async fn a_mongodb_asks_for_the_password_that_it_was_given() {
    let server = started(&mongodb().with_password("open-sesame")).await;
    let refused = ask(server.address(), Document::default().with("count", "things")).await.unwrap_err();
    assert!(refused.contains("Unauthorized"), "{refused}");
    assert!(server.url().contains("holdover:open-sesame@"));
    assert!(!format!("{server:?}").contains("sesame"));
    server.restart().await.unwrap();
}

#[tokio::test]
async fn a_set_of_one_is_primary_once_it_answers_and_again_after_a_kill() {
    let server = started(&mongodb_set_of_one()).await;
    assert!(server.url().ends_with("/holdover?directConnection=true"));
    write(server.address(), "majority").await;
    server.restart().await.unwrap();
    assert_eq!(count(server.address()).await, 1);
    write(server.address(), "majority").await;
}

#[tokio::test]
async fn a_set_elects_a_primary_and_every_member_gets_what_it_writes() {
    let set = set_of_three().await;
    let primary = set.primary().await.unwrap();
    write(set.members()[primary].address(), 3).await;
    for member in set.members() {
        assert_eq!(count(member.address()).await, 1);
        assert!(set.url().contains(&member.address().to_string()));
    }
    assert!(set.url().ends_with("/holdover?replicaSet=holdover"));
    assert!(set.url_of(primary).ends_with("/holdover?directConnection=true"));
}

#[tokio::test]
async fn a_killed_primary_is_replaced_and_comes_back_as_a_secondary_with_everything() {
    let set = nervous_set().await;
    let former = set.primary().await.unwrap();
    write(set.members()[former].address(), "majority").await;
    set.members()[former].kill().await.unwrap();
    let primary = set.primary().await.unwrap();
    assert_ne!(primary, former);
    write(set.members()[primary].address(), "majority").await;
    set.members()[former].restart().await.unwrap();
    set.until_replicated().await.unwrap();
    assert_eq!(count(set.members()[former].address()).await, 2);
}

#[tokio::test]
async fn a_frozen_primary_is_replaced_and_gives_way_when_it_wakes() {
    let set = nervous_set().await;
    let former = set.primary().await.unwrap();
    set.members()[former].pause().await.unwrap();
    let primary = set.primary().await.unwrap();
    assert_ne!(primary, former);
    set.members()[former].resume().await.unwrap();
    assert_ne!(set.primary().await.unwrap(), former);
    set.until_replicated().await.unwrap();
}

#[tokio::test]
async fn a_primary_that_is_kept_from_noticing_its_successor_answers_with_what_it_knew() {
    let set = nervous_set().await;
    let former = set.primary().await.unwrap();
    write(set.members()[former].address(), 3).await;
    set.keep_primary_unaware().await.unwrap();
    set.pause_primary().await.unwrap();
    let primary = set.primary().await.unwrap();
    write(set.members()[primary].address(), "majority").await;
    set.members()[former].resume().await.unwrap();
    for _ in 0..100 {
        assert_eq!(count(set.members()[former].address()).await, 1);
    }
    assert_eq!(set.primary().await.unwrap(), primary);
    set.restore().await.unwrap();
    until_count(set.members()[former].address(), 2).await;
}

#[tokio::test]
async fn a_primary_that_steps_down_hands_over() {
    let set = set_of_three().await;
    let former = set.primary().await.unwrap();
    let primary = set.step_down().await.unwrap();
    assert_ne!(primary, former);
    write(set.members()[primary].address(), 3).await;
}

#[tokio::test]
async fn a_secondary_that_is_held_lags_until_it_is_released() {
    let set = set_of_three().await;
    let primary = set.primary().await.unwrap();
    let [held, other] = secondaries(&set, primary)[..] else { panic!("two members are secondaries") };
    let [held_at, other_at, primary_at] =
        [held, other, primary].map(|member| set.members()[member].address());
    write(primary_at, 3).await;
    set.hold_replication(held).await.unwrap();
    write(primary_at, "majority").await;
    until_count(other_at, 2).await;
    assert_eq!(count(held_at).await, 1);
    set.release_replication(held).await.unwrap();
    set.until_replicated().await.unwrap();
    assert_eq!(count(held_at).await, 2);
    let refused = set.hold_replication(primary).await.unwrap_err();
    assert!(refused.contains("it is the primary"), "{refused}");
}

#[tokio::test]
async fn a_set_that_is_killed_whole_comes_back_with_everything() {
    let set = nervous_set().await;
    let primary = set.primary().await.unwrap();
    write(set.members()[primary].address(), "majority").await;
    set.kill().await.unwrap();
    assert_eq!(set.primary_now().await, None);
    set.restart().await.unwrap();
    let primary = set.primary().await.unwrap();
    assert_eq!(count(set.members()[primary].address()).await, 1);
}

#[tokio::test]
async fn an_election_forgets_what_the_primary_alone_had_and_the_set_is_restored_whatever_befell_it() {
    let set = nervous_set().await;
    let former = set.primary().await.unwrap();
    write(set.members()[former].address(), 3).await;
    set.hold_replicas().await.unwrap();
    write(set.members()[former].address(), 1).await;
    set.kill_primary().await.unwrap();
    set.release_replicas().await.unwrap();
    set.elected().await.unwrap();
    set.pause_primary().await.unwrap();
    set.restore().await.unwrap();
    for member in set.members() {
        assert_eq!(count(member.address()).await, 1);
    }
}
