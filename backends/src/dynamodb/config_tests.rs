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

fn region(name: &str, endpoint: Option<&str>) -> Place {
    Place::Region { region: name.to_owned(), endpoint: endpoint.map(str::to_owned) }
}

#[test]
fn a_plain_url_has_defaults() {
    let config = good("dynamodb://eu-central-1/sessions?expiry=ttl");
    assert_eq!(config.place, region("eu-central-1", None));
    assert!(config.login.is_none());
    assert_eq!((config.table.as_str(), config.prefix.as_str()), ("sessions", ""));
    assert_eq!(config.expiry, ExpiryBy::TimeToLive);
    assert_eq!((config.create, config.billing), (false, Billing::OnDemand));
    assert_eq!((config.max_bytes, config.survives), (LARGEST, Survives::NodeLoss));
    let longest = config.connect_timeout + config.response_timeout * 2;
    assert!(longest < holdover_api::DEFAULT_CALL_TIMEOUT, "{longest:?}");
}

#[test]
fn every_form_is_read() {
    let local = good("dynamodb://a%3Ab:c%2Fd@us-east-1/t_1.x-Y?expiry=none&endpoint=http://127.0.0.1:8000/");
    assert_eq!(local.place, region("us-east-1", Some("http://127.0.0.1:8000")));
    let login = local.login.as_ref().unwrap();
    assert_eq!((login.access_key.as_str(), login.secret.as_str()), ("a:b", "c/d"));
    assert_eq!((local.expiry, local.survives), (ExpiryBy::Nobody, Survives::Nothing));
    let embedded = good("dynamodb://local/sessions?expiry=ttl");
    assert_eq!((embedded.place, embedded.create), (Place::Embedded, true));
    let https = good("dynamodb://eu-west-1/sessions?expiry=ttl&endpoint=https%3A%2F%2Fhost");
    assert_eq!(https.place, region("eu-west-1", Some("https://host")));
}

#[test]
fn parameters_are_read() {
    let config = good(
        "dynamodb://k:s@eu-west-1/sessions?expiry=ttl&create=true&billing=provisioned&read_units=5&write_units=7&\
         prefix=app%3A&max_bytes=9000&connect_timeout=1s&response_timeout=2s&prepare_timeout=9s&session_token=t&\
         survives=restart",
    );
    assert_eq!((config.create, config.prefix.as_str(), config.max_bytes), (true, "app:", 9000));
    assert_eq!(config.billing, Billing::Provisioned { read_units: 5, write_units: 7 });
    let times = [config.connect_timeout, config.response_timeout, config.prepare_timeout];
    assert_eq!(times.map(|time| time.as_secs()), [1, 2, 9]);
    assert_eq!(config.survives, Survives::Restart);
    assert_eq!(config.login.as_ref().unwrap().session_token.as_deref(), Some("t"));
    let shown = format!("{config:?}");
    assert!(shown.contains("has_login: true") && !shown.contains("\"s\""), "{shown}");
}

#[test]
fn who_removes_what_has_expired_has_to_be_said() {
    assert!(refusal("dynamodb://eu-west-1/sessions").contains("expiry must be ttl"));
    assert!(refusal("dynamodb://eu-west-1/sessions?expiry=").contains("ttl"));
    assert!(refusal("dynamodb://eu-west-1/sessions?expiry=never").contains("ttl"));
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let refused = [
        ("dynamodb:sessions?expiry=ttl", "write the url as"),
        ("dynamodb:///sessions?expiry=ttl", "must be a region"),
        ("dynamodb://host:8000/sessions?expiry=ttl", "must be a region"),
        ("dynamodb://eu-west-1/?expiry=ttl", "3 to 255"),
        ("dynamodb://eu-west-1/ab?expiry=ttl", "3 to 255"),
        ("dynamodb://eu-west-1/a/b/c?expiry=ttl", "3 to 255"),
        ("dynamodb://eu-west-1/caf%C3%A9?expiry=ttl", "3 to 255"),
        ("dynamodb://key@eu-west-1/sessions?expiry=ttl", "without a secret"),
        ("dynamodb://key:@eu-west-1/sessions?expiry=ttl", "empty"),
        ("dynamodb://:secret@eu-west-1/sessions?expiry=ttl", "empty"),
        ("dynamodb://eu-west-1/sessions?expiry=ttl&session_token=t", "belongs to an access key"),
        ("dynamodb://k:s@local/sessions?expiry=ttl", "no login"),
        ("dynamodb://local/sessions?expiry=ttl&endpoint=http://host", "name a region"),
        ("dynamodb://eu-west-1/sessions?expiry=ttl&endpoint=host:8000", "endpoint"),
        ("dynamodb://eu-west-1/sessions?expiry=ttl&endpoint=ftp://host", "endpoint"),
        ("dynamodb://eu-west-1/sessions?expiry=ttl&endpoint=http://host/path", "endpoint"),
        ("dynamodb://eu-west-1/sessions?expiry=ttl&create=yes", "true or false"),
        ("dynamodb://eu-west-1/sessions?expiry=ttl&billing=free", "billing"),
        ("dynamodb://eu-west-1/sessions?expiry=ttl&billing=provisioned", "read_units"),
        ("dynamodb://eu-west-1/sessions?expiry=ttl&read_units=5", "billing"),
        ("dynamodb://eu-west-1/sessions?expiry=ttl&billing=inherited", "belongs to expiry=rotation"),
        (
            "dynamodb://eu-west-1/sessions?expiry=rotation&period=1h&keeper=on&billing=inherited&read_units=5&write_units=5",
            "billing",
        ),
        ("dynamodb://eu-west-1/sessions?expiry=ttl&max_bytes=409600", "at most"),
        ("dynamodb://eu-west-1/sessions?expiry=ttl&survives=everything", "survives"),
        ("dynamodb://eu-west-1/sessions?expiry=ttl&tabel=x", "not known"),
    ];
    for (url, expected) in refused {
        let message = refusal(url);
        assert!(message.contains(expected), "{url}: {message}");
    }
    let long = "p".repeat(257);
    assert!(refusal(&format!("dynamodb://eu-west-1/sessions?expiry=ttl&prefix={long}")).contains("256"));
}

#[cfg(not(feature = "dynamodb-local"))]
#[tokio::test]
async fn the_embedded_one_without_its_feature_says_so() {
    let error = crate::connect("dynamodb://local/sessions?expiry=ttl").await.unwrap_err();
    assert!(error.message().contains("`dynamodb-local`"), "{error}");
}
