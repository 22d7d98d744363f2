//! What does not build, and what is built when nothing is said.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use holdover_api::{Codec, FailurePolicy, Memory, OsEntropy, SystemClock};
use holdover_http::{ConfigError, SameSite, SessionLayer, SessionLayerBuilder};

use crate::support::Log;

fn builder() -> SessionLayerBuilder {
    SessionLayer::builder(Arc::new(Memory::new()))
}

#[test]
fn the_default_layer_is_the_default_builder() {
    let plain = SessionLayer::new(Arc::new(Memory::new()));
    let built = builder().build().expect("the defaults are valid");
    assert_eq!(format!("{plain:?}"), format!("{built:?}"));
    assert_eq!(plain.cookie_name(), "__Host-id");
    plain.policy().validate().expect("the default policy is valid");
}

#[test]
fn the_name_follows_the_scope() {
    let name_of = |builder: SessionLayerBuilder| builder.build().unwrap().cookie_name().to_owned();
    assert_eq!(name_of(builder().with_domain("example.org")), "__Secure-id");
    assert_eq!(name_of(builder().with_path("/shop")), "__Secure-id");
    assert_eq!(name_of(builder().with_path("/")), "__Host-id");
    assert_eq!(name_of(builder().insecure_development_cookies()), "id");
    assert_eq!(name_of(builder().insecure_development_cookies().with_path("/shop")), "id");
    assert_eq!(name_of(builder().with_name("shop").with_domain("example.org")), "shop");
    assert_eq!(name_of(builder().with_name("__Host-shop")), "__Host-shop");
}

#[test]
fn every_setting_builds_together_with_the_others() {
    let layer = builder()
        .with_name("__Secure-shop")
        .with_same_site(SameSite::None)
        .with_domain("example.org")
        .with_path("/shop")
        .with_persistent_cookie()
        .with_partitioned()
        .with_idle_timeout(Duration::from_secs(60))
        .with_absolute_timeout(Duration::from_secs(600))
        .with_touch_share(0.2)
        .with_call_timeout(Duration::from_millis(300))
        .with_max_bytes(10_000)
        .with_codec(Codec::Json)
        .with_failure_policy(FailurePolicy::Anonymous)
        .with_clock(Arc::new(SystemClock))
        .with_entropy(Arc::new(OsEntropy))
        .build()
        .unwrap();
    assert_eq!(layer.policy().idle_timeout(), Duration::from_secs(60));
    assert_eq!(layer.policy().absolute_timeout(), Duration::from_secs(600));
    assert_eq!(layer.policy().failure_policy(), FailurePolicy::Anonymous);
}

#[test]
fn what_cannot_work_does_not_build_and_says_what_to_do() {
    let cases: [(SessionLayerBuilder, ConfigError, &str); 9] = [
        (builder().with_name("a b"), ConfigError::CookieName, "choose another name"),
        (builder().with_name("n".repeat(4054)), ConfigError::CookieTooLarge, "choose a shorter name"),
        (
            builder().with_domain("https://example.org"),
            ConfigError::CookieDomain,
            "host name such as example.org",
        ),
        (builder().with_path("shop"), ConfigError::CookiePath, "begins with /"),
        (
            builder().with_name("__host-id").with_domain("example.org"),
            ConfigError::HostPrefix,
            "leave the name",
        ),
        (builder().with_name("__Host-id").with_path("/shop"), ConfigError::HostPrefix, "leave the name"),
        (
            builder().with_name("__Secure-id").insecure_development_cookies(),
            ConfigError::SecurePrefix,
            "leave the name",
        ),
        (
            builder().with_same_site(SameSite::None).insecure_development_cookies(),
            ConfigError::SameSiteNone,
            "SameSite=None unless it is secure",
        ),
        (
            builder().with_partitioned().insecure_development_cookies(),
            ConfigError::Partitioned,
            "partitioned cookie unless it is secure",
        ),
    ];
    for (builder, expected, advice) in cases {
        let error = builder.build().unwrap_err();
        assert_eq!(error, expected);
        let text = error.to_string();
        assert!(text.starts_with("building the session layer failed: ") && text.contains(advice), "{text}");
        assert!(error.source().is_none());
    }
}

#[test]
fn absurd_settings_of_the_session_do_not_build() {
    let absurd = [
        builder().with_idle_timeout(Duration::ZERO),
        builder().with_absolute_timeout(Duration::ZERO),
        builder().with_call_timeout(Duration::ZERO),
        builder().with_idle_timeout(Duration::MAX),
        builder().with_absolute_timeout(Duration::MAX),
        builder().with_idle_timeout(Duration::from_secs(60)).with_absolute_timeout(Duration::from_secs(59)),
        builder().with_touch_share(-0.1),
        builder().with_touch_share(1.1),
        builder().with_touch_share(f64::NAN),
        builder().with_max_bytes(0),
        builder().with_max_bytes(usize::MAX),
    ];
    for builder in absurd {
        let settings = format!("{builder:?}");
        let error = builder.build().expect_err(&settings);
        assert!(matches!(error, ConfigError::Policy(_)), "{settings}");
        assert!(error.source().is_some());
    }
}

#[test]
fn insecure_cookies_are_warned_of() {
    let log = Log::open();
    builder().build().unwrap();
    assert_eq!(log.lines(), Vec::<String>::new());
    builder().insecure_development_cookies().build().unwrap();
    let lines = log.of_level("WARN");
    assert!(lines.len() == 1 && lines[0].contains("development only"), "{lines:?}");
}
