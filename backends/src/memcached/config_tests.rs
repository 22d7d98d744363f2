//! What a URL may say, rule by rule.

use holdover_api::ErrorKind;

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

fn server(host: &str, port: u16) -> Address {
    Address::Tcp(host.to_owned(), port)
}

#[test]
fn a_plain_url_has_defaults() {
    let config = good("memcached://localhost");
    assert_eq!(config.address, server("localhost", 11211));
    assert_eq!(config.prefix, "holdover:");
    assert_eq!(config.max_bytes, None);
    let longest = config.connect_timeout + config.response_timeout * 2;
    assert!(longest < holdover_api::DEFAULT_CALL_TIMEOUT, "{longest:?}");
}

#[test]
fn every_form_is_read() {
    assert_eq!(good("memcached://10.0.0.1:7").address, server("10.0.0.1", 7));
    assert_eq!(good("memcached://cache-1.internal/").address, server("cache-1.internal", 11211));
    assert_eq!(good("memcached://[::1]:7").address, server("::1", 7));
    assert_eq!(good("memcached://[::1]").address, server("::1", 11211));
    let socket = good("memcached+unix:///run/mem%20cached.sock");
    assert_eq!(socket.address, Address::Unix("/run/mem cached.sock".into()));
}

#[test]
fn parameters_are_read() {
    let config = good("memcached://h?prefix=app1%3A&max_bytes=5000&connect_timeout=1s&response_timeout=70ms");
    assert_eq!((config.prefix.as_str(), config.max_bytes), ("app1:", Some(5000)));
    assert_eq!(config.connect_timeout, Duration::from_secs(1));
    assert_eq!(config.response_timeout, Duration::from_millis(70));
}

#[test]
fn addresses_that_cannot_work_are_refused() {
    for url in ["memcached:", "memcached:host"] {
        assert!(refusal(url).contains("memcached://host"), "{url}");
    }
    for url in ["memcached://", "memcached://:7", "memcached://a b", "memcached://::1", "memcached://[x]:7"] {
        assert!(refusal(url).contains("host"), "{url}");
    }
    for port in ["0", "-1", "65536", "x", ""] {
        assert!(refusal(&format!("memcached://host:{port}")).contains("1 to 65535"), "{port}");
    }
    assert!(refusal("memcached://ada:secret@host").contains("no login"));
    assert!(refusal("memcached://a,b").contains("one server"));
    assert!(refusal("memcached://host/3").contains("no databases"));
    for url in ["memcached+unix://host/socket", "memcached+unix://", "memcached+unix:///"] {
        assert!(refusal(url).contains("three slashes"), "{url}");
    }
}

#[test]
fn a_prefix_cannot_split_a_command_and_leaves_room_for_the_key() {
    for prefix in ["a%20b", "a%0d%0ab", "a%09", "%7f", "%00", "caf%C3%A9"] {
        assert!(refusal(&format!("memcached://h?prefix={prefix}")).contains("ascii"), "{prefix}");
    }
    assert_eq!(good("memcached://h?prefix=").prefix, "");
    let longest = "p".repeat(186);
    assert_eq!(good(&format!("memcached://h?prefix={longest}")).prefix, longest);
    assert!(refusal(&format!("memcached://h?prefix={longest}p")).contains("186"));
}

#[test]
fn unknown_parameters_are_refused() {
    let message = refusal("memcached://h?password=x");
    assert!(message.contains("prefix, max_bytes, connect_timeout, response_timeout"));
    for wrong in ["max_bytes=0", "max_bytes=1k", "connect_timeout=5", "response_timeout=0ms"] {
        assert!(refusal(&format!("memcached://h?{wrong}")).contains("of the url must be"), "{wrong}");
    }
}
