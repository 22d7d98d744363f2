//! What the session adds to the headers of a response.

use http::header::{CACHE_CONTROL, COOKIE, Entry, HeaderName, SET_COOKIE, VARY};
use http::{HeaderMap, HeaderValue};

use crate::cookie::Cookie;

/// RFC 9213: caches that know it do not look at `Cache-Control` where it is there.
const CDN_CACHE_CONTROL: HeaderName = HeaderName::from_static("cdn-cache-control");
const SURROGATE_CONTROL: HeaderName = HeaderName::from_static("surrogate-control");

/// Keeps the response out of every cache, whatever the handler said: another client must never get this cookie.
pub(crate) fn forbid_caching(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.remove(CDN_CACHE_CONTROL);
    headers.remove(SURROGATE_CONTROL);
}

/// Says that the response depends on the cookie. What the handler said of other headers stays; `*` says more already.
pub(crate) fn vary_on_cookie(headers: &mut HeaderMap) {
    let Entry::Occupied(mut vary) = headers.entry(VARY) else {
        headers.insert(VARY, HeaderValue::from_static("Cookie"));
        return;
    };
    let mut merged = Vec::new();
    for value in vary.iter() {
        for name in value.as_bytes().split(|byte| *byte == b',') {
            let name = name.trim_ascii();
            if name == b"*" || name.eq_ignore_ascii_case(b"cookie") {
                return;
            }
            if !name.is_empty() {
                merged.extend_from_slice(name);
                merged.extend_from_slice(b", ");
            }
        }
    }
    merged.extend_from_slice(b"Cookie");
    // The pieces come from header values, so that this cannot fail; if it could, `*` would still be right.
    vary.insert(HeaderValue::from_bytes(&merged).unwrap_or_else(|_| HeaderValue::from_static("*")));
}

/// Adds our cookie and takes away whatever else in the response sets one of this name.
pub(crate) fn put_cookie(headers: &mut HeaderMap, cookie: &Cookie, value: HeaderValue) {
    let is_ours = |other: &HeaderValue| cookie.is_set_by(other);
    if headers.get_all(SET_COOKIE).iter().any(is_ours) {
        let others: Vec<_> =
            headers.get_all(SET_COOKIE).iter().filter(|other| !is_ours(other)).cloned().collect();
        headers.remove(SET_COOKIE);
        for other in others {
            headers.append(SET_COOKIE, other);
        }
    }
    headers.append(SET_COOKIE, value);
    forbid_caching(headers);
}

/// Marks the request's cookies as sensitive, so that nobody who prints the headers prints an id.
pub(crate) fn hide_cookies(headers: &mut HeaderMap) {
    if let Entry::Occupied(mut cookies) = headers.entry(COOKIE) {
        for value in cookies.iter_mut() {
            value.set_sensitive(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cookie::CookieSettings;

    fn vary_after(before: &[&'static str]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for value in before {
            headers.append(VARY, HeaderValue::from_static(value));
        }
        vary_on_cookie(&mut headers);
        headers.get_all(VARY).iter().map(|value| value.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn vary_names_the_cookie_once_and_keeps_what_was_there() {
        assert_eq!(vary_after(&[]), ["Cookie"]);
        assert_eq!(vary_after(&[""]), ["Cookie"]);
        assert_eq!(vary_after(&["Accept-Encoding"]), ["Accept-Encoding, Cookie"]);
        assert_eq!(
            vary_after(&["Accept-Encoding,Origin", "Accept"]),
            ["Accept-Encoding, Origin, Accept, Cookie"]
        );
        assert_eq!(vary_after(&["Accept-Encoding, cookie"]), ["Accept-Encoding, cookie"]);
        assert_eq!(vary_after(&["Origin", "COOKIE"]), ["Origin", "COOKIE"]);
        assert_eq!(vary_after(&["*"]), ["*"]);
        assert_eq!(vary_after(&["Origin, *"]), ["Origin, *"]);
        assert_eq!(vary_after(&["X-Cookie"]), ["X-Cookie, Cookie"]);
    }

    #[test]
    fn no_store_overrides_what_any_cache_was_told() {
        let mut headers = HeaderMap::new();
        headers.append(CACHE_CONTROL, HeaderValue::from_static("public, max-age=600"));
        headers.append(CACHE_CONTROL, HeaderValue::from_static("immutable"));
        headers.insert(CDN_CACHE_CONTROL, HeaderValue::from_static("max-age=600"));
        headers.insert(SURROGATE_CONTROL, HeaderValue::from_static("max-age=600"));
        forbid_caching(&mut headers);
        assert_eq!(headers.len(), 1);
        assert_eq!(headers[CACHE_CONTROL], "no-store");
    }

    #[test]
    fn our_cookie_replaces_every_other_of_its_name_and_no_other() {
        let cookie = Cookie::new(&CookieSettings::default()).unwrap();
        let mut headers = HeaderMap::new();
        let before =
            ["theme=dark", "__Host-id=forged; Path=/", " __Host-id =x", "__Host-idle=1", "__host-id=case"];
        for value in before {
            headers.append(SET_COOKIE, HeaderValue::from_static(value));
        }
        put_cookie(&mut headers, &cookie, cookie.clear());
        let after: Vec<_> = headers.get_all(SET_COOKIE).iter().map(|value| value.to_str().unwrap()).collect();
        let cleared = "__Host-id=; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=0";
        assert_eq!(after, ["theme=dark", "__Host-idle=1", "__host-id=case", cleared]);
        assert_eq!(headers[CACHE_CONTROL], "no-store");
    }

    #[test]
    fn printed_headers_show_no_cookie() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("theme=dark"));
        headers.append(COOKIE, HeaderValue::from_static("__Host-id=secret"));
        hide_cookies(&mut headers);
        let printed = format!("{headers:?}");
        assert!(!printed.contains("secret") && !printed.contains("dark"), "{printed}");
    }
}
