//! What a URL may say, rule by rule.

use holdover_api::ErrorKind;

use super::*;

fn parse(url: &str) -> Result<Config, Error> {
    Config::parse(&Parts::of(url)?)
}

fn good(url: &str) -> Config {
    let config = parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
    assert!(config.source().is_ok(), "{url}");
    config
}

fn refusal(url: &str) -> String {
    let error = parse(url).expect_err(url);
    assert_eq!(error.kind(), ErrorKind::Misconfigured);
    error.message().to_owned()
}

fn server(host: &str, port: u16) -> (String, u16) {
    (host.to_owned(), port)
}

#[test]
fn a_plain_url_has_defaults() {
    let config = good("redis://localhost");
    assert_eq!(config.topology, Topology::Server);
    assert_eq!(config.servers, [server("localhost", 6379)]);
    assert_eq!((config.tls, config.database), (false, 0));
    assert_eq!(config.prefix, "holdover:");
    assert_eq!(config.max_bytes, 1024 * 1024);
    assert_eq!(config.survives, Claim::AskServer);
    let together = config.connect_timeout + config.response_timeout;
    assert!(together < holdover_api::DEFAULT_CALL_TIMEOUT, "{together:?}");
}

#[test]
fn every_form_is_read() {
    assert_eq!(good("redis://10.0.0.1:7/3").database, 3);
    assert_eq!(good("redis://[::1]:7").servers, [server("::1", 7)]);
    assert_eq!(good("redis://[::1]").servers, [server("::1", 6379)]);
    assert!(good("rediss://localhost").tls);
    let cluster = good("redis+cluster://a:1,b:2,c");
    assert_eq!(cluster.topology, Topology::Cluster);
    assert_eq!(cluster.servers, [server("a", 1), server("b", 2), server("c", 6379)]);
    assert!(good("rediss+cluster://a").tls);
    let sentinel = good("redis+sentinel://a,b:5/main/2");
    assert_eq!(sentinel.topology, Topology::Sentinel { service: "main".into() });
    assert_eq!(sentinel.servers, [server("a", 26379), server("b", 5)]);
    assert_eq!(sentinel.database, 2);
    assert!(good("rediss+sentinel://a/main").tls);
    let socket = good("redis+unix:///run/redis.sock");
    assert_eq!(socket.topology, Topology::Socket("/run/redis.sock".into()));
}

#[test]
fn users_and_passwords_are_decoded() {
    let config = good("redis://ada:p%40ss%2F@localhost");
    assert_eq!(config.login.username.as_deref(), Some("ada"));
    assert_eq!(config.login.password.as_deref(), Some("p@ss/"));
    let config = good("redis://:secret@localhost");
    assert_eq!(config.login.username, None);
    assert_eq!(config.login.password.as_deref(), Some("secret"));
    let config = good("redis+sentinel://:a@h/main?sentinel_username=eve&sentinel_password=b%26");
    assert_eq!(config.sentinel_login.username.as_deref(), Some("eve"));
    assert_eq!(config.sentinel_login.password.as_deref(), Some("b&"));
}

#[test]
fn debug_shows_no_user_and_no_password() {
    let url = "redis+sentinel://ada:hunter2@h/main?sentinel_username=eve&sentinel_password=hunter3";
    let text = format!("{:?}", good(url));
    for leak in ["ada", "hunter2", "eve", "hunter3"] {
        assert!(!text.contains(leak), "{text}");
    }
}

#[test]
fn every_parameter_is_read() {
    let config = good(
        "redis://h?prefix=shop%3A&max_bytes=400000&connect_timeout=2s&response_timeout=300ms&survives=node-loss",
    );
    assert_eq!(config.prefix, "shop:");
    assert_eq!(config.max_bytes, 400_000);
    assert_eq!(config.connect_timeout, Duration::from_secs(2));
    assert_eq!(config.response_timeout, Duration::from_millis(300));
    assert_eq!(config.survives, Claim::Stated(Survives::NodeLoss));
    assert_eq!(good("redis://h?survives=nothing").survives, Claim::Stated(Survives::Nothing));
    assert_eq!(good("redis://h?survives=restart").survives, Claim::Stated(Survives::Restart));
}

#[test]
fn what_cannot_work_is_refused_with_the_way_out() {
    let rules = [
        ("redis:localhost", "scheme://host"),
        ("redis://", "host:port"),
        ("redis://a b", "host:port"),
        ("redis://[::1", "host:port"),
        ("redis://[zz]", "host:port"),
        ("redis://[::1]x", "host:port"),
        ("redis://h:0", "1 to 65535"),
        ("redis://h:65536", "1 to 65535"),
        ("redis://h:", "1 to 65535"),
        ("redis://h/x", "number"),
        ("redis://h/1/2", "too long"),
        ("redis://a,b", "redis+sentinel"),
        ("redis://ada@h", "without a password"),
        ("redis://a:%ff@h", "percent-encoded"),
        ("redis+cluster://h/1", "database 0"),
        ("redis+sentinel://h", "name the service"),
        ("redis+sentinel://h/main/1/2", "number"),
        ("redis+unix://host/run/redis.sock", "three slashes"),
        ("redis+unix:///", "three slashes"),
        ("redis://h?prefix={a}", "must not contain"),
        ("redis://h?survives=anything", "nothing, restart or node-loss"),
        ("redis://h?sentinel_password=x", "redis+sentinel"),
        ("redis://h?timeout=1s", "connect_timeout, response_timeout"),
    ];
    for (url, way_out) in rules {
        let message = refusal(url);
        assert!(message.contains(way_out), "{url}: {message}");
    }
}
