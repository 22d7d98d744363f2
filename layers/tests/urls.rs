//! What URLs for nodes and layers mean, and what they refuse.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use holdover_api::{
    Clock, Error, ErrorKind, Memory, Operation, SessionKey, SessionStore, SystemClock, within,
};
use holdover_layers::url::{Opened, Opener, Opening, connect};

/// Opens what a URL names, with memory in the place of every single store; answers what was asked of it, too.
async fn open(url: &str) -> (Result<Opened, Error>, Vec<String>) {
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let heard = Arc::clone(&asked);
    let opener: Opener = Arc::new(move |url: String, _: Arc<dyn Clock>| -> Opening {
        heard.lock().unwrap_or_else(PoisonError::into_inner).push(url);
        Box::pin(async { Ok(Arc::new(Memory::new()) as Arc<dyn SessionStore>) })
    });
    let opened = connect(url, Arc::new(SystemClock), &opener).await;
    let asked = asked.lock().unwrap_or_else(PoisonError::into_inner).clone();
    (opened, asked)
}

/// The name of the store, and the URLs of the single stores below it.
async fn opened(url: &str) -> (String, Vec<String>) {
    let (opened, asked) = open(url).await;
    (opened.unwrap_or_else(|error| panic!("{url}: {error}")).store.to_string(), asked)
}

async fn refusal(url: &str) -> String {
    let (opened, _) = open(url).await;
    let error = opened.err().unwrap_or_else(|| panic!("{url} has to be refused"));
    assert_eq!(error.kind(), ErrorKind::Misconfigured, "{error}");
    error.to_string()
}

#[tokio::test]
async fn one_store_stays_as_it_is() {
    for url in ["memory:?max_bytes=7", "redis://u:p@host:1/2?prefix=a:", "redis+sentinel://a,b/service"] {
        assert_eq!(opened(url).await, ("memory".to_owned(), vec![url.to_owned()]));
    }
}

#[tokio::test]
async fn several_hosts_are_a_ring_and_each_gets_the_rest_of_the_url() {
    let (name, asked) = opened("memcached://a:1,b?copies=2&prefix=s:&backup=after").await;
    assert_eq!(name, "ring(memory, memory)");
    assert_eq!(asked, ["memcached://a:1?prefix=s:", "memcached://b?prefix=s:"]);
    let (name, asked) = opened("redis://ada:secret@a,b,[::1]:7/3?copies=1").await;
    assert_eq!(name, "ring(memory, memory, memory)");
    assert_eq!(asked, ["redis://ada:secret@a/3", "redis://ada:secret@b/3", "redis://ada:secret@[::1]:7/3"]);
}

#[tokio::test]
async fn only_copies_have_something_to_notice() {
    assert!(open("memory:").await.0.unwrap().copies.is_none());
    assert!(open("memcached://a,b?copies=2").await.0.unwrap().copies.is_some());
}

#[tokio::test]
async fn any_two_stores_are_a_pair() {
    let url =
        "failover:?head=redis://a:1/2?prefix=s:&tail=memcached://b%3Fprefix=t:%26max_bytes=9&half_copies=off";
    let (name, asked) = opened(url).await;
    assert_eq!(name, "failover(memory, memory)");
    assert_eq!(asked, ["redis://a:1/2?prefix=s:", "memcached://b?prefix=t:&max_bytes=9"]);
}

#[tokio::test]
async fn layers_stand_around_whatever_it_is() {
    let (name, asked) = opened("memory:?retry=800ms&timeout=on&max_bytes=9&metrics=on&trace=on").await;
    assert_eq!(name, "trace(metrics(retry(timeout(memory))))");
    assert_eq!(asked, ["memory:?max_bytes=9"]);
    let (name, _) = opened("failover:?head=memory:&tail=memory:&metrics=on").await;
    assert_eq!(name, "metrics(failover(memory, memory))");
    let (name, _) = opened("memcached://a,b?copies=2&retry=on").await;
    assert_eq!(name, "retry(ring(memory, memory))");
}

#[cfg(feature = "near-cache")]
#[tokio::test]
async fn a_near_cache_is_asked_for_by_name() {
    assert_eq!(opened("redis://a?near_cache=2s").await.0, "near_cache(memory)");
    assert!(refusal("redis://a?near_cache=2").await.contains("unit"));
}

#[cfg(not(feature = "near-cache"))]
#[tokio::test]
async fn a_near_cache_without_its_feature_says_which() {
    assert!(refusal("redis://a?near_cache=2s").await.contains("enable the feature `near-cache`"));
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_what_would() {
    let cases = [
        ("memcached://a,b", "copies=1 or copies=2"),
        ("memcached://a,b?copies=3", "1 or 2"),
        ("memcached://a,a:11211?copies=2", "same name"),
        ("memcached://a,b?copies=1&backup=after", "copies=2"),
        ("memcached://a,b?copies=2&backup=never", "before or after"),
        ("memcached://a,b?copies=2&half_copies=no", "on or off"),
        ("memcached://a,b?copies=2&node_timeout=250", "unit"),
        ("memcached://a,b?copies=2&copies=2", "twice"),
        ("memcached://a?copies=2", "several nodes"),
        ("memory:?copies=1", "several nodes"),
        ("memory:?retry=0s", "above zero"),
        ("memory:?metrics=yes", "takes on"),
        ("failover:?head=memory:", "two stores"),
        ("failover://a?head=memory:&tail=memory:", "no host"),
        ("failover:?head=memory:&tail=memory:&prefix=x", "only these"),
        ("failover:?head=memory:&tail=%ff", "utf-8"),
    ];
    for (url, says) in cases {
        let refusal = refusal(url).await;
        assert!(refusal.contains(says), "{url}: {refusal}");
    }
}

#[tokio::test]
async fn no_part_of_a_url_is_repeated() {
    let urls = [
        "redis://ada:hunter2@a,b",
        "redis://ada:hunter2@a,a?copies=2",
        "redis://ada:hunter2@a,b?copies=hunter2",
        "failover:?head=redis://ada:hunter2@a",
        "failover:?head=redis://ada:hunter2@a&tail=memory:&hunter2=1",
        "memory:?retry=hunter2",
    ];
    for url in urls {
        let (opened, _) = open(url).await;
        let text = format!("{:?}", opened.expect_err(url));
        assert!(!text.contains("hunter2") && !text.contains("ada"), "{url}: {text}");
    }
}

#[tokio::test]
async fn a_node_that_is_down_at_the_start_is_opened_when_it_is_back() {
    let down = Arc::new(AtomicBool::new(true));
    let seen = Arc::clone(&down);
    let opener: Opener = Arc::new(move |url: String, _: Arc<dyn Clock>| -> Opening {
        let is_down = url.contains("b:1") && seen.load(Ordering::SeqCst);
        Box::pin(async move {
            if is_down {
                return Err(Error::new(
                    ErrorKind::Unavailable,
                    Operation::Connect,
                    "memory",
                    "nobody answers",
                ));
            }
            Ok(Arc::new(Memory::new()) as Arc<dyn SessionStore>)
        })
    });
    let url = "failover:?head=memory://a:1&tail=memory://b:1";
    let opened = connect(url, Arc::new(SystemClock), &opener).await.unwrap();
    let key = SessionKey::from_bytes([7; 32]);
    opened.store.delete(&key).await.unwrap();
    let copies = opened.copies.unwrap();
    assert_eq!(copies.counts().breaker_openings, 1);

    down.store(false, Ordering::SeqCst);
    let both = async {
        // The node is probed after a pause; then both are asked again.
        for number in 8_u8.. {
            let before = copies.counts().half_copies;
            opened.store.delete(&SessionKey::from_bytes([number; 32])).await.unwrap();
            if copies.counts().half_copies == before {
                return;
            }
            holdover_api::pause(Duration::from_millis(5)).await;
        }
    };
    assert!(within(Duration::from_secs(20), both).await.is_some(), "the node never came back");

    let url = "memcached://b:1,b:12?copies=2";
    down.store(true, Ordering::SeqCst);
    let nobody = connect(url, Arc::new(SystemClock), &opener).await.unwrap_err();
    assert_eq!(nobody.kind(), ErrorKind::Unavailable);
}
