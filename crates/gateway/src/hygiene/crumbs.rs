//! Cookies on their way to a service: a browser's session is taken out, all else is the service's.
//!
//! The session's token goes on as a bearer, and the refresh token is for the token endpoint alone.
//! Cookies are bytes: what is not ours passes as it came, whatever it holds.

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

use crate::cookies::{REFRESH, SESSION};

/// Prefixes by which a browser promises how a cookie was set (RFC 6265bis, section 4.1.3).
const PREFIXES: [&[u8]; 2] = [b"__host-", b"__secure-"];

/// Takes our own cookies out.
pub(super) fn take_ours(headers: &mut HeaderMap) {
    let values = headers.get_all(COOKIE).iter();
    if !values.flat_map(crumbs).any(is_ours) {
        return;
    }
    let kept: Vec<HeaderValue> = headers.get_all(COOKIE).iter().filter_map(without_ours).collect();
    headers.remove(COOKIE);
    for value in kept {
        headers.append(COOKIE, value);
    }
}

fn crumbs(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    value.as_bytes().split(|byte| *byte == b';')
}

/// What is left of a value; nothing where all of it was ours.
fn without_ours(value: &HeaderValue) -> Option<HeaderValue> {
    if !crumbs(value).any(is_ours) {
        return Some(value.clone());
    }
    let kept: Vec<&[u8]> = crumbs(value).filter(|crumb| !is_ours(crumb)).collect();
    let text = kept.join(&b';');
    let text = text.trim_ascii();
    let value = HeaderValue::from_bytes(text).expect("parts of a value make a value");
    (!text.is_empty()).then_some(value)
}

/// Whether a cookie is the session's, of this gateway or of another one on the same host.
fn is_ours(crumb: &[u8]) -> bool {
    let crumb = crumb.trim_ascii_start();
    let prefix = PREFIXES.iter().find(|prefix| {
        crumb.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    });
    let name = &crumb[prefix.map_or(0, |prefix| prefix.len())..];
    name.starts_with(SESSION.as_bytes()) || name.starts_with(REFRESH.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(given: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut headers = HeaderMap::new();
        for value in given {
            headers.append(COOKIE, HeaderValue::from_bytes(value).expect("a value"));
        }
        take_ours(&mut headers);
        headers.get_all(COOKIE).iter().map(|value| value.as_bytes().to_vec()).collect()
    }

    #[test]
    fn only_our_own_are_taken_out() {
        type Values = &'static [&'static [u8]];
        let cases: [(Values, Values); 14] = [
            (&[], &[]),
            (&[b"a=b"], &[b"a=b"]),
            (&[b"a=b;c=d;  e"], &[b"a=b;c=d;  e"]),
            (&[b"yeoul_session=x"], &[]),
            (&[b"yeoul_session=x; a=b"], &[b"a=b"]),
            (&[b"a=b; yeoul_session=x; c=d"], &[b"a=b; c=d"]),
            (&[b"a=b;yeoul_refresh_ab12=x"], &[b"a=b"]),
            (&[b"__Host-yeoul_session_1=x; a=b"], &[b"a=b"]),
            (&[b"a=b; __Secure-yeoul_refresh=x"], &[b"a=b"]),
            (&[b"yeoul_session=x", b"a=b", b"c=d; yeoul_refresh"], &[b"a=b", b"c=d"]),
            (&[b"yeoul=1; my_yeoul_session=2"], &[b"yeoul=1; my_yeoul_session=2"]),
            (&[b"a=yeoul_session=x"], &[b"a=yeoul_session=x"]),
            (&[b"\xec\x9c\xa0=\xff; yeoul_session=x"], &[b"\xec\x9c\xa0=\xff"]),
            (&[b"a=\"b; yeoul_session=x; c=d\""], &[b"a=\"b; c=d\""]),
        ];
        for (given, expected) in cases {
            assert_eq!(left(given), expected.to_vec(), "{given:?}");
        }
    }
}
