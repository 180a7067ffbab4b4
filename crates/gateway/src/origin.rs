//! Whether a request may use a browser's session: only pages of this very origin may change
//! anything with a cookie that the browser adds by itself.
//!
//! The rule is that of Go 1.25's `CrossOriginProtection`: the browser's own word
//! (`Sec-Fetch-Site`) decides where there is one; an older browser's `Origin` must be the host that
//! was asked; a client that sends neither is no browser of today, and no other site can make a
//! browser leave both out.

use http::header::{HOST, ORIGIN};
use http::{HeaderMap, HeaderName, Method, Uri};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether a method changes nothing.
pub(crate) fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// Whether the request comes from a page of ours, or from no page at all.
pub(crate) fn is_own(headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get(&SEC_FETCH_SITE) {
        return matches!(site.as_bytes(), b"same-origin" | b"none");
    }
    !headers.contains_key(ORIGIN) || is_host(headers)
}

/// Whether `Origin` is the host that was asked.
pub(crate) fn is_host(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let (Some(origin), Some(host)) = (text(ORIGIN), text(HOST)) else { return false };
    let origin = origin.parse::<Uri>().ok();
    let authority = origin.as_ref().and_then(Uri::authority);
    authority.is_some_and(|authority| authority.as_str().eq_ignore_ascii_case(host))
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
            assert_eq!(is_own(&headers), expected, "{site:?} {origin:?}");
        }
    }
}
