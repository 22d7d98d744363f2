//! Stores that were given by URL: what may be shown of one, and whether it answers.

use crate::stacks::{Fallible, Stack, Stand};

/// What the schemes of URLs begin with.
const KINDS: [&str; 7] = ["dynamodb", "failover", "memcached", "memory", "mongodb", "redis", "rediss"];

/// The longest place that is shown whole.
const SHOWN: usize = 36;

/// The kind of a store, and where it is if that can be told apart from a password beyond doubt.
pub(crate) fn shown(url: &str) -> String {
    let scheme = url.split(':').next().unwrap_or_default();
    // Where somebody has left the scheme out, a name or a password stands there.
    if !KINDS.iter().any(|kind| scheme.split('+').next() == Some(kind)) {
        return "a store of an unknown kind".to_owned();
    }
    place(url, scheme).map_or_else(|| scheme.to_owned(), |place| format!("{scheme} at {}", shortened(place)))
}

/// A name that the charts have room for. It is ASCII.
fn shortened(place: &str) -> String {
    match place.get(..SHOWN) {
        Some(begin) if place.len() > SHOWN => format!("{begin}…"),
        _ => place.to_owned(),
    }
}

/// The hosts and what follows them, without the login and the parameters. A login that is not percent-encoded as it should
/// be may end anywhere: nothing is shown that could be a piece of one.
fn place<'a>(url: &'a str, scheme: &str) -> Option<&'a str> {
    let rest = url.strip_prefix(scheme)?.strip_prefix("://")?;
    let behind = rest.split_once('@').map_or(rest, |(_, behind)| behind);
    let place = behind.split(['?', '#']).next()?.trim_end_matches('/');
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:,[]/".contains(&byte);
    let is_sure = !behind.contains('@') && !place.is_empty() && place.bytes().all(is_plain);
    is_sure.then_some(place)
}

/// Opens each of them once, before anything is measured: a mistake in a URL should not show after minutes.
pub(crate) async fn answer(stacks: &[Stack]) -> Fallible<()> {
    for stack in stacks {
        let opened = match Stand::start(stack).await? {
            Ok(stand) => stand.open().await,
            Err(why) => Err(why.into()),
        };
        if let Err(error) = opened {
            return Err(format!("{}: {error}", stack.title).into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_known_by_its_kind_and_its_place() {
        for (url, said) in [
            ("redis://127.0.0.1:7001", "redis at 127.0.0.1:7001"),
            ("rediss://user:secret@cache.example:6380/2?near_cache=2s", "rediss at cache.example:6380/2"),
            ("memcached://a:1,b:2?copies=2", "memcached at a:1,b:2"),
            ("mongodb://[::1]:27017/shop", "mongodb at [::1]:27017/shop"),
            ("dynamodb://key:secret@eu-central-1/sessions?expiry=ttl", "dynamodb at eu-central-1/sessions"),
            ("failover:?head=redis://a&tail=redis://:secret@b", "failover"),
            ("memory:", "memory"),
        ] {
            assert_eq!(shown(url), said);
        }
    }

    #[test]
    fn a_long_name_of_a_host_is_shortened() {
        let said = shown("redis://sessions.cluster-abcdefghijkl.eu-central-1.cache.example:6379");
        assert_eq!(said, "redis at sessions.cluster-abcdefghijkl.eu-cen…");
    }

    #[test]
    fn no_piece_of_a_password_is_shown_however_it_is_written() {
        for url in [
            "redis://:secret@host",
            "redis://:secret/more@host:1",
            "redis://:more@secret@host:1",
            "redis://:more?secret@host",
            "redis://:more#secret@host",
            "redis://:more/@secret:1/x@host",
            "secret",
            "more:secret@host",
            "",
        ] {
            let said = shown(url);
            assert!(!said.contains("secret") && !said.contains("more"), "{said}");
        }
    }
}
