//! What a URL may say, rule by rule.

use holdover_api::DEFAULT_CALL_TIMEOUT;

use super::*;

fn parse(url: &str) -> Result<Config, Error> {
    Config::parse(&Parts::of(url)?)
}

fn good(url: &str) -> Config {
    parse(url).unwrap_or_else(|error| panic!("{url}: {error}"))
}

fn refusal(url: &str) -> String {
    let error = parse(url).expect_err(url);
    assert_eq!(error.kind(), ErrorKind::Misconfigured);
    error.message().to_owned()
}

async fn options(url: &str) -> ClientOptions {
    good(url).options().await.unwrap_or_else(|error| panic!("{url}: {error}"))
}

#[test]
fn a_plain_url_has_defaults() {
    for url in ["mongodb://localhost", "mongodb://localhost/", "mongodb://localhost/?"] {
        let config = good(url);
        assert_eq!((config.database.as_str(), config.collection.as_str()), ("holdover", "sessions"), "{url}");
        assert_eq!((config.create, config.max_bytes), (true, DEFAULT_MAX_BYTES));
        assert!(config.response_timeout < DEFAULT_CALL_TIMEOUT);
    }
}

#[test]
fn our_parameters_are_read_and_kept_from_the_driver() {
    let config = good(
        "mongodb://ada:pw@a:1,b:2/shop?collection=web%20sessions&w=1&create=false&max_bytes=5000&connect_timeout=1s\
         &response_timeout=70ms&replicaSet=rs0",
    );
    assert_eq!((config.database.as_str(), config.collection.as_str()), ("shop", "web sessions"));
    assert_eq!((config.create, config.max_bytes), (false, 5000));
    assert_eq!(config.connect_timeout, Duration::from_secs(1));
    assert_eq!(config.response_timeout, Duration::from_millis(70));
    assert_eq!(config.rest, "mongodb://ada:pw@a:1,b:2/shop?w=1&replicaSet=rs0");
    assert!(!format!("{config:?}").contains("pw"));
}

#[test]
fn wrong_values_of_ours_are_named() {
    for (url, part) in [
        ("mongodb:", "mongodb://host"),
        ("mongodb:///db", "mongodb://host"),
        ("mongodb://h/?collection=", "collection"),
        ("mongodb://h/?collection=a$b", "collection"),
        ("mongodb://h/?collection=system.users", "collection"),
        ("mongodb://h/?create=maybe", "true or false"),
        ("mongodb://h/?max_bytes=0", "above zero"),
        ("mongodb://h/?max_bytes=16777216", "16 MiB"),
        ("mongodb://h/?response_timeout=1", "unit"),
        ("mongodb://h/?collection=a&collection=b", "twice"),
        ("mongodb://h/a.b", "database"),
        ("mongodb://h/a/b", "database"),
        ("mongodb://h/a%20b", "database"),
        ("mongodb://h/%ff", "utf-8"),
    ] {
        assert!(refusal(url).contains(part), "{url}: {}", refusal(url));
    }
}

#[tokio::test]
async fn what_the_url_does_not_say_is_safe() {
    let options = options("mongodb://localhost").await;
    let concern = options.write_concern.expect("a write concern");
    assert_eq!((concern.w.clone(), concern.journal), (Some(Acknowledgment::Majority), Some(true)));
    assert!(concern.w_timeout.is_some_and(|timeout| timeout < DEFAULT_RESPONSE_TIMEOUT));
    assert_eq!(options.read_concern, Some(ReadConcern::majority()));
    assert_ne!(options.retry_writes, Some(false));
    assert_eq!(options.max_pool_size, Some(CONNECTIONS));
    assert_eq!(options.connect_timeout, Some(DEFAULT_CONNECT_TIMEOUT));
}

#[tokio::test]
async fn what_the_url_says_stays() {
    let url = "mongodb://localhost/?w=1&readConcernLevel=local&retryWrites=false&maxPoolSize=3&connectTimeoutMS=77\
               &serverSelectionTimeoutMS=88&appName=shop&wTimeoutMS=99";
    let options = options(url).await;
    let concern = options.write_concern.expect("a write concern");
    assert_eq!((concern.w, concern.journal), (Some(Acknowledgment::Nodes(1)), None));
    assert_eq!(concern.w_timeout, Some(Duration::from_millis(99)));
    assert_eq!(options.read_concern, Some(ReadConcern::local()));
    assert_eq!((options.retry_writes, options.max_pool_size), (Some(false), Some(3)));
    assert_eq!(options.connect_timeout, Some(Duration::from_millis(77)));
    assert_eq!(options.server_selection_timeout, Some(Duration::from_millis(88)));
    assert_eq!(options.app_name.as_deref(), Some("shop"));
}

#[tokio::test]
async fn unacknowledged_writes_and_what_the_driver_does_not_know_are_refused() {
    for url in ["mongodb://h/?w=0", "mongodb://h/?hunter2=1", "mongodb://h:99999"] {
        let error = good(url).options().await.expect_err(url);
        assert_eq!(error.kind(), ErrorKind::Misconfigured, "{url}: {error:?}");
        assert!(!format!("{error} {error:?}").contains("hunter2"));
    }
}

#[test]
fn what_survives_follows_from_who_acknowledges() {
    let concern = |w, journal: Option<bool>| {
        let mut concern = WriteConcern::default();
        concern.w = Some(w);
        concern.journal = journal;
        concern
    };
    let majority = || Acknowledgment::Majority;
    let one = || Acknowledgment::Nodes(1);
    for (deployment, concern, expected) in [
        (Deployment::Replicated, concern(majority(), Some(true)), Survives::NodeLoss),
        (Deployment::Replicated, concern(majority(), Some(false)), Survives::Nothing),
        (Deployment::Replicated, concern(one(), Some(true)), Survives::Nothing),
        (Deployment::Single, concern(majority(), Some(true)), Survives::Restart),
        (Deployment::Single, concern(one(), Some(true)), Survives::Restart),
        (Deployment::Single, concern(one(), None), Survives::Nothing),
    ] {
        assert_eq!(survives(deployment, &concern), expected, "{deployment:?} {concern:?}");
    }
}
