//! How the cookie is written, and what does not build.

use ::cookie::Cookie as SecondOpinion;
use proptest::prelude::{prop, prop_assert, proptest};

use super::*;

mod reading;

const TEXT: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn id() -> SessionId {
    SessionId::parse(TEXT).unwrap()
}

fn made(change: impl FnOnce(&mut CookieSettings)) -> Result<Cookie, ConfigError> {
    let mut settings = CookieSettings::default();
    change(&mut settings);
    Cookie::new(&settings)
}

/// What is set and what clears it, for an hour and a half second to live.
fn forms(change: impl FnOnce(&mut CookieSettings)) -> [String; 2] {
    let cookie = made(change).unwrap();
    let set = cookie.hand_out(&id(), Duration::from_millis(3_600_500));
    [set, cookie.clear()].map(|value| value.to_str().unwrap().to_owned())
}

fn golden(change: impl FnOnce(&mut CookieSettings), set: &str, clear: &str) {
    let expected = [set.replace("{id}", TEXT), clear.to_owned()];
    assert_eq!(forms(change), expected);
    for text in expected {
        // The cookie crate reads it and writes it exactly alike: no attribute is lost on the way.
        assert_eq!(SecondOpinion::parse(text.clone()).unwrap().to_string(), text);
    }
}

#[test]
fn the_default_cookie() {
    golden(
        |_| {},
        "__Host-id={id}; HttpOnly; SameSite=Lax; Secure; Path=/",
        "__Host-id=; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=0",
    );
}

#[test]
fn a_persistent_cookie() {
    golden(
        |settings| settings.persistent = true,
        "__Host-id={id}; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=3601",
        "__Host-id=; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=0",
    );
}

#[test]
fn a_strict_cookie() {
    golden(
        |settings| settings.same_site = SameSite::Strict,
        "__Host-id={id}; HttpOnly; SameSite=Strict; Secure; Path=/",
        "__Host-id=; HttpOnly; SameSite=Strict; Secure; Path=/; Max-Age=0",
    );
}

#[test]
fn a_cookie_for_other_sites() {
    golden(
        |settings| settings.same_site = SameSite::None,
        "__Host-id={id}; HttpOnly; SameSite=None; Secure; Path=/",
        "__Host-id=; HttpOnly; SameSite=None; Secure; Path=/; Max-Age=0",
    );
}

#[test]
fn a_partitioned_cookie() {
    golden(
        |settings| {
            settings.same_site = SameSite::None;
            settings.partitioned = true;
        },
        "__Host-id={id}; HttpOnly; SameSite=None; Partitioned; Secure; Path=/",
        "__Host-id=; HttpOnly; SameSite=None; Partitioned; Secure; Path=/; Max-Age=0",
    );
}

#[test]
fn a_cookie_for_a_domain() {
    golden(
        |settings| settings.domain = Some("example.org".into()),
        "__Secure-id={id}; HttpOnly; SameSite=Lax; Secure; Path=/; Domain=example.org",
        "__Secure-id=; HttpOnly; SameSite=Lax; Secure; Path=/; Domain=example.org; Max-Age=0",
    );
}

#[test]
fn a_cookie_for_a_path() {
    golden(
        |settings| settings.path = "/shop/v1".into(),
        "__Secure-id={id}; HttpOnly; SameSite=Lax; Secure; Path=/shop/v1",
        "__Secure-id=; HttpOnly; SameSite=Lax; Secure; Path=/shop/v1; Max-Age=0",
    );
}

#[test]
fn a_named_cookie() {
    golden(
        |settings| settings.name = Some("sid".into()),
        "sid={id}; HttpOnly; SameSite=Lax; Secure; Path=/",
        "sid=; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=0",
    );
}

#[test]
fn a_cookie_for_development() {
    golden(
        |settings| settings.secure = false,
        "id={id}; HttpOnly; SameSite=Lax; Path=/",
        "id=; HttpOnly; SameSite=Lax; Path=/; Max-Age=0",
    );
}

#[test]
fn a_cookie_with_everything() {
    golden(
        |settings| {
            *settings = CookieSettings {
                name: Some("__Secure-shop".into()),
                same_site: SameSite::None,
                domain: Some("shop.example.org".into()),
                path: "/a".into(),
                secure: true,
                partitioned: true,
                persistent: true,
            };
        },
        "__Secure-shop={id}; HttpOnly; SameSite=None; Partitioned; Secure; Path=/a; Domain=shop.example.org; \
         Max-Age=3601",
        "__Secure-shop=; HttpOnly; SameSite=None; Partitioned; Secure; Path=/a; Domain=shop.example.org; Max-Age=0",
    );
}

/// Every combination of settings: it is refused, or what is set and what clears it differ in value and lifetime only.
#[test]
fn deletion_carries_the_attributes_of_the_creation() {
    let mut built = 0;
    for bits in 0_u32..128 {
        let is = |bit: u32| bits & (1 << bit) != 0;
        let settings = CookieSettings {
            name: is(0).then(|| "sid".to_owned()),
            same_site: [SameSite::Strict, SameSite::Lax, SameSite::None][(bits >> 5) as usize % 3],
            domain: is(1).then(|| "example.org".to_owned()),
            path: if is(2) { "/a".to_owned() } else { "/".to_owned() },
            secure: is(3),
            partitioned: is(4),
            persistent: bits % 2 == 0,
        };
        let Ok(cookie) = Cookie::new(&settings) else { continue };
        built += 1;
        let set = cookie.hand_out(&id(), Duration::from_secs(60));
        let set = set.to_str().unwrap().replace(TEXT, "").replace("; Max-Age=60", "");
        assert_eq!(cookie.clear().to_str().unwrap(), format!("{set}; Max-Age=0"), "{settings:?}");
    }
    assert!(built > 64, "only {built} combinations were built");
}

#[test]
fn the_lifetime_is_rounded_up_and_ends_at_400_days() {
    let cookie = made(|settings| settings.persistent = true).unwrap();
    let max_age = |remaining| {
        let value = cookie.hand_out(&id(), remaining).to_str().unwrap().to_owned();
        value.rsplit_once("Max-Age=").unwrap().1.parse::<u64>().unwrap()
    };
    assert_eq!(max_age(Duration::ZERO), 0, "a session that is over has no cookie");
    assert_eq!(max_age(Duration::from_millis(1)), 1);
    assert_eq!(max_age(Duration::from_secs(34_559_999)), 34_559_999);
    assert_eq!(max_age(Duration::from_millis(34_559_999_001)), 34_560_000);
    assert_eq!(max_age(Duration::from_secs(34_560_001)), 34_560_000);
    assert_eq!(max_age(Duration::MAX), 34_560_000);
}

#[test]
fn what_a_browser_would_drop_is_not_built() {
    let refused = |change: fn(&mut CookieSettings)| made(change).unwrap_err();
    for prefix in ["__Host-", "__host-", "__HOST-", "__Host-Http-"] {
        for spoil in [
            |settings: &mut CookieSettings| settings.domain = Some("example.org".into()),
            |settings: &mut CookieSettings| settings.path = "/a".into(),
            |settings: &mut CookieSettings| settings.secure = false,
        ] {
            let named = |settings: &mut CookieSettings| {
                settings.name = Some(format!("{prefix}id"));
                spoil(settings);
            };
            assert_eq!(made(named).unwrap_err(), ConfigError::HostPrefix, "{prefix}");
        }
    }
    for prefix in ["__Secure-", "__SECURE-", "__Http-", "__http-"] {
        let named = |settings: &mut CookieSettings| {
            settings.name = Some(format!("{prefix}id"));
            settings.secure = false;
        };
        assert_eq!(made(named).unwrap_err(), ConfigError::SecurePrefix, "{prefix}");
    }
    let none_in_clear = refused(|settings| {
        settings.secure = false;
        settings.same_site = SameSite::None;
    });
    assert_eq!(none_in_clear, ConfigError::SameSiteNone);
    let partitioned_in_clear = refused(|settings| {
        settings.secure = false;
        settings.partitioned = true;
    });
    assert_eq!(partitioned_in_clear, ConfigError::Partitioned);
}

#[test]
fn names_domains_and_paths_are_checked() {
    for name in ["", " ", "a b", "a=b", "a;b", "a,b", "\"a\"", "a\\b", "a\r\nX: y", "ä", "a\0", "(a)"] {
        let error = made(|settings| settings.name = Some(name.into())).unwrap_err();
        assert_eq!(error, ConfigError::CookieName, "{name:?}");
    }
    for domain in
        ["", ".", "a b", "a;b", "a,b", "a..b", "example.org.", "example.org:80", "ex\r\nample", "exämple.org"]
    {
        let error = made(|settings| settings.domain = Some(domain.into())).unwrap_err();
        assert_eq!(error, ConfigError::CookieDomain, "{domain:?}");
    }
    for path in ["", "a", "/a;b", "/a b", "/a\r\n", "/ä", "/\u{7f}", "*"] {
        let error = made(|settings| settings.path = path.into()).unwrap_err();
        assert_eq!(error, ConfigError::CookiePath, "{path:?}");
    }
    for domain in ["example.org", ".example.org", "localhost", "xn--exmple-cua.org", "127.0.0.1"] {
        assert!(made(|settings| settings.domain = Some(domain.into())).is_ok(), "{domain}");
    }
}

#[test]
fn sizes_end_where_browsers_end() {
    let named = |length: usize| made(|settings| settings.name = Some("n".repeat(length)));
    assert!(named(MAX_PAIR - SESSION_ID_LENGTH).is_ok());
    assert_eq!(named(MAX_PAIR - SESSION_ID_LENGTH + 1).unwrap_err(), ConfigError::CookieTooLarge);

    let at = |length: usize| made(|settings| settings.path = format!("/{}", "p".repeat(length - 1)));
    assert!(at(MAX_ATTRIBUTE).is_ok());
    assert_eq!(at(MAX_ATTRIBUTE + 1).unwrap_err(), ConfigError::CookiePath);

    let label = "d".repeat(63);
    let under = |last: usize| {
        made(|settings| settings.domain = Some(format!("{label}.{label}.{label}.{}", "d".repeat(last))))
    };
    assert!(under(MAX_HOST - 3 * 64).is_ok());
    assert_eq!(under(MAX_HOST - 3 * 64 + 1).unwrap_err(), ConfigError::CookieDomain);
    assert_eq!(under(64).unwrap_err(), ConfigError::CookieDomain);
}

proptest! {
    #[test]
    fn a_configuration_that_builds_never_fails_later(
        name in prop::option::of(".{0,12}"),
        domain in prop::option::of("[ -~]{0,12}"),
        path in "/?[ -~]{0,12}",
    ) {
        let built = made(|settings| {
            settings.name = name;
            settings.domain = domain;
            settings.path = path;
            settings.persistent = true;
        });
        if let Ok(cookie) = built {
            let value = cookie.hand_out(&id(), Duration::MAX);
            prop_assert!(cookie.is_set_by(&value) && cookie.is_set_by(&cookie.clear()));
        }
    }
}
