//! Whether a request may use a browser's session: only pages of this very origin may change
//! anything with a cookie that the browser adds by itself.
//!
//! The rule is that of Go 1.25's `CrossOriginProtection`: the browser's own word
//! (`Sec-Fetch-Site`) decides where there is one; an older browser's `Origin` must be the host that
//! was asked; a client that sends neither is no browser of today, and no other site can make a
//! browser leave both out.
//!
//! An origin is its scheme too (RFC 6454): a page that came by plain HTTP, which anybody on the way can
//! have written, is another's where the browser is known to speak HTTPS to us. Where that is not known,
//! HTTPS may end before us, and either scheme is ours.

use http::header::{HOST, ORIGIN};
use http::{HeaderMap, HeaderName, Method, Uri};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether a method changes nothing.
pub(crate) fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// Whether the request comes from a page of ours, or from no page at all; `secure` where the browser
/// is known to speak HTTPS.
pub(crate) fn is_own(headers: &HeaderMap, secure: bool) -> bool {
    if let Some(site) = headers.get(&SEC_FETCH_SITE) {
        return matches!(site.as_bytes(), b"same-origin" | b"none");
    }
    !headers.contains_key(ORIGIN) || is_host(headers, secure)
}

/// Whether `Origin`, of which there is one, is the host that was asked, by a scheme that it can be
/// asked by.
pub(crate) fn is_host(headers: &HeaderMap, secure: bool) -> bool {
    let (Some(origin), Some(host)) = (single(headers, &ORIGIN), single(headers, &HOST)) else {
        return false;
    };
    let Ok(origin) = origin.parse::<Uri>() else { return false };
    let fits = match origin.scheme_str() {
        Some("https") => true,
        Some("http") => !secure,
        _ => false,
    };
    fits && origin.authority().is_some_and(|it| it.as_str().eq_ignore_ascii_case(host))
}

/// The value of a header that is there once.
fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_another_origin_is_told_apart() {
        let cases = [
            (None, None, true),
            (Some("same-origin"), None, true),
            (Some("none"), None, true),
            (Some("same-site"), None, false),
            (Some("cross-site"), None, false),
            (Some("cross-site"), Some("http://shop.example:8088"), false),
            (Some("same-origin"), Some("http://evil.example"), true),
            (None, Some("http://shop.example:8088"), true),
            (None, Some("https://SHOP.example:8088"), true),
            (None, Some("http://shop.example"), false),
            (None, Some("http://evil.example"), false),
            (None, Some("http://shop.example:8088.evil.example"), false),
            (None, Some("null"), false),
            (None, Some(""), false),
        ];
        for (site, origin, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, "shop.example:8088".parse().expect("a value"));
            for (name, value) in [(SEC_FETCH_SITE, site), (ORIGIN, origin)] {
                value.map(|value| headers.insert(name, value.parse().expect("a value")));
            }
            assert_eq!(is_own(&headers, false), expected, "{site:?} {origin:?}");
        }
    }

    #[test]
    fn a_scheme_that_the_browser_does_not_speak_to_us_is_another_origins() {
        for (origin, plain, secure) in [
            ("https://shop.example", true, true),
            ("HTTPS://shop.example", true, true),
            ("http://shop.example", true, false),
            ("ftp://shop.example", false, false),
            ("chrome-extension://shop.example", false, false),
            ("//shop.example", false, false),
            ("shop.example", false, false),
            ("https://shop.example.evil.example", false, false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, "shop.example".parse().expect("a value"));
            headers.insert(ORIGIN, origin.parse().expect("a value"));
            let own = [false, true].map(|secure| is_own(&headers, secure));
            assert_eq!(own, [plain, secure], "{origin}");
            headers.append(ORIGIN, origin.parse().expect("a value"));
            assert!(!is_own(&headers, false), "two of them are none");
            headers.insert(SEC_FETCH_SITE, "same-origin".parse().expect("a value"));
            assert!(is_own(&headers, true), "the browser's own word decides");
        }
    }
}
