//! The cookies of a browser's session: read from requests, written as the contract says.
//!
//! No script can read them, no other site's form can send them; the refresh token goes to the one
//! path that needs it.

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

/// The access token.
pub(crate) const SESSION: &str = "yeoul_session";
/// The refresh token.
pub(crate) const REFRESH: &str = "yeoul_refresh";
/// The language that the user chose.
pub(crate) const LANGUAGE: &str = "lang";

/// How long a refresh token is kept: 14 days.
const REFRESH_SECONDS: u64 = 1_209_600;
/// The largest token that fits into a cookie beside its attributes (RFC 6265 asks for 4096 in all).
const TOKEN_BYTES_MAX: usize = 3_800;

/// The first cookie of that name; empty ones count as absent.
pub(crate) fn get<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(';'))
        .filter_map(|pair| pair.trim_start().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.trim_end())
        .filter(|value| !value.is_empty())
}

/// The cookie that carries the access token; `None` if it is no text for a cookie.
pub(crate) fn session(token: &str, seconds: u64) -> Option<HeaderValue> {
    let checked = checked(token)?;
    value(format!("{SESSION}={checked}; HttpOnly; SameSite=Lax; Path=/; Max-Age={seconds}"))
}

/// The cookie that carries the refresh token; `None` if it is no text for a cookie.
pub(crate) fn refresh(token: &str) -> Option<HeaderValue> {
    let checked = checked(token)?;
    value(format!(
        "{REFRESH}={checked}; HttpOnly; SameSite=Strict; Path=/oauth/session; Max-Age={REFRESH_SECONDS}"
    ))
}

/// What takes both back.
pub(crate) fn cleared() -> [HeaderValue; 2] {
    [
        HeaderValue::from_static("yeoul_session=; HttpOnly; SameSite=Lax; Path=/; Max-Age=0"),
        HeaderValue::from_static(
            "yeoul_refresh=; HttpOnly; SameSite=Strict; Path=/oauth/session; Max-Age=0",
        ),
    ]
}

fn checked(token: &str) -> Option<&str> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._~+/=-".contains(&byte);
    (!token.is_empty() && token.len() <= TOKEN_BYTES_MAX && token.bytes().all(fits))
        .then_some(token)
}

fn value(text: String) -> Option<HeaderValue> {
    HeaderValue::try_from(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_by_its_exact_name() {
        let cases = [
            (vec!["lang=en"], Some("en")),
            (vec!["a=b; lang=en; c=d"], Some("en")),
            (vec!["a=b;lang=en"], Some("en")),
            (vec!["a=b", "lang=en"], Some("en")),
            (vec!["lang=ko; lang=en"], Some("ko")),
            (vec!["slang=en"], None),
            (vec!["lang"], None),
            (vec!["lang="], None),
            (vec!["LANG=en"], None),
            (vec!["lang=a=b"], Some("a=b")),
            (vec![], None),
        ];
        for (given, expected) in cases {
            let pairs = given.iter().map(|value| (COOKIE, value.parse().expect("a value")));
            assert_eq!(get(&pairs.collect(), LANGUAGE), expected, "{given:?}");
        }
    }

    #[test]
    fn cookies_are_written_as_promised() {
        let text =
            |value: Option<HeaderValue>| value.map(|it| it.to_str().expect("text").to_owned());
        assert_eq!(
            text(session("a.b.c", 900)).as_deref(),
            Some("yeoul_session=a.b.c; HttpOnly; SameSite=Lax; Path=/; Max-Age=900")
        );
        assert_eq!(
            text(refresh("r-1")).as_deref(),
            Some(
                "yeoul_refresh=r-1; HttpOnly; SameSite=Strict; Path=/oauth/session; Max-Age=1209600"
            )
        );
        let long = |bytes: usize| "a".repeat(bytes);
        assert!(session(&long(TOKEN_BYTES_MAX), 1).is_some());
        for bad in ["", "a b", "a;b", "a\r\nb", "a,b", "\"a\"", &long(TOKEN_BYTES_MAX + 1)] {
            assert_eq!(session(bad, 1), None, "{bad:?}");
            assert_eq!(refresh(bad), None, "{bad:?}");
        }
    }
}
