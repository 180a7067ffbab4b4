//! The cookies of a browser's session: read from requests, written as the contract says.
//!
//! No script can read them, no other site's form can send them; the refresh token goes to the one
//! path that needs it. A browser keeps cookies by host and not by port, so their names end in what
//! tells this data folder from others. A `Cookie` header is bytes that many programs write: ours
//! are found among them whatever the others hold.

use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};

/// How the name of the access token's cookie begins.
pub(crate) const SESSION: &str = "yeoul_session";
/// How the name of the refresh token's cookie begins.
pub(crate) const REFRESH: &str = "yeoul_refresh";
/// What a browser keeps from everything but this host, by HTTPS, for every path (RFC 6265bis, 4.1.3).
const HOST_PREFIX: &str = "__Host-";
/// What it keeps from everything but HTTPS: for the refresh token, whose path is not `/`.
const SECURE_PREFIX: &str = "__Secure-";
/// The language that the user chose.
pub(crate) const LANGUAGE: &str = "lang";

/// How long a refresh token is kept: 14 days.
const REFRESH_SECONDS: u64 = 1_209_600;
/// The largest token that fits into a cookie beside its attributes (RFC 6265 asks for 4096 in all).
const TOKEN_BYTES_MAX: usize = 3_800;

/// The cookies of one gateway.
#[derive(Clone, Debug)]
pub(crate) struct Jar {
    plain: Cookies,
    secure: Cookies,
    /// Whether every browser comes by HTTPS, whatever a request says.
    always_secure: bool,
}

/// The cookies of one scheme; those of the other are neither read nor written.
#[derive(Clone, Debug)]
pub(crate) struct Cookies {
    session: String,
    refresh: String,
    /// The one path that the refresh token goes to.
    refresh_path: String,
    secure: bool,
}

impl Jar {
    /// Cookies whose names end in `identity`, letters and digits; the refresh token's is for
    /// `refresh_path`.
    pub(crate) fn new(identity: &str, always_secure: bool, refresh_path: &str) -> Jar {
        let cookies = |host: &str, elsewhere: &str, secure| Cookies {
            session: format!("{host}{SESSION}_{identity}"),
            refresh: format!("{elsewhere}{REFRESH}_{identity}"),
            refresh_path: refresh_path.to_owned(),
            secure,
        };
        // By HTTPS with a prefix, so that none by plain HTTP can set one; the session's no other host either.
        let (plain, secure) = (cookies("", "", false), cookies(HOST_PREFIX, SECURE_PREFIX, true));
        Jar { plain, secure, always_secure }
    }

    /// Those of a browser that comes by HTTPS, or of one that does not.
    pub(crate) fn of(&self, secure: bool) -> &Cookies {
        if secure || self.always_secure { &self.secure } else { &self.plain }
    }
}

impl Cookies {
    /// Whether the browser speaks HTTPS.
    pub(crate) fn is_secure(&self) -> bool {
        self.secure
    }

    /// Whether a request brings what stands for an access token, under its name of today or of before,
    /// whatever it is worth.
    pub(crate) fn has_session(&self, headers: &HeaderMap) -> bool {
        self.own(headers).or_else(|| self.old(headers)).is_some()
    }

    /// Every access token that a request brings: as many as a head holds.
    pub(crate) fn sessions<'h>(&self, headers: &'h HeaderMap) -> impl Iterator<Item = &'h str> {
        all(headers, &self.session)
    }

    /// Every refresh token that a request brings: as many as a head holds.
    pub(crate) fn refreshes<'h>(&self, headers: &'h HeaderMap) -> impl Iterator<Item = &'h str> {
        all(headers, &self.refresh)
    }

    /// The cookie that carries the access token, for as long as the token is good or, where that is
    /// not known, until the browser is closed; `None` if it is no text for a cookie.
    pub(crate) fn carry_session(&self, token: &str, life: Option<u64>) -> Option<HeaderValue> {
        checked(token).map(|token| self.written(&self.session, token, life))
    }

    /// The cookie that carries the refresh token; `None` if it is no text for a cookie.
    pub(crate) fn carry_refresh(&self, token: &str) -> Option<HeaderValue> {
        checked(token).map(|token| self.written(&self.refresh, token, Some(REFRESH_SECONDS)))
    }

    /// What takes both back.
    pub(crate) fn cleared(&self) -> [HeaderValue; 2] {
        [&self.session, &self.refresh].map(|name| self.written(name, "", Some(0)))
    }

    /// What takes back an access token that is no good, under its name of today and of before.
    pub(crate) fn without_session(&self, headers: &HeaderMap) -> Vec<HeaderValue> {
        let names = [self.own(headers), self.old(headers)].into_iter().flatten();
        names.map(|name| self.written(name, "", Some(0))).collect()
    }

    fn own(&self, headers: &HeaderMap) -> Option<&str> {
        find(headers, &self.session).map(|_| self.session.as_str())
    }

    fn old(&self, headers: &HeaderMap) -> Option<&str> {
        find(headers, SESSION).filter(|_| !self.secure).map(|_| SESSION)
    }

    fn written(&self, name: &str, token: &str, seconds: Option<u64>) -> HeaderValue {
        let secure = if self.secure { " Secure;" } else { "" };
        let (site, path) = if *name == self.refresh {
            ("Strict", self.refresh_path.as_str())
        } else {
            ("Lax", "/")
        };
        let age = seconds.map(|seconds| format!("; Max-Age={seconds}")).unwrap_or_default();
        let text = format!("{name}={token}; HttpOnly;{secure} SameSite={site}; Path={path}{age}");
        HeaderValue::try_from(text).expect("a checked token and plain words")
    }
}

/// The first cookie of that name as text; empty ones count as absent.
pub(crate) fn get<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    find(headers, name).and_then(text)
}

fn text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok().filter(|value| !value.is_empty())
}

/// The cookies of that name as text. A browser sends several where another path or another host of
/// the same site has set one, in no order to rely on (RFC 6265, 5.4).
fn all<'h>(headers: &'h HeaderMap, name: &str) -> impl Iterator<Item = &'h str> {
    let same = pairs(headers).filter(move |(key, _)| *key == name.as_bytes());
    same.filter_map(|(_, value)| text(value))
}

/// The bytes of the first cookie of that name.
fn find<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h [u8]> {
    pairs(headers).find(|(key, _)| *key == name.as_bytes()).map(|(_, value)| value)
}

/// All cookies of a request.
fn pairs(headers: &HeaderMap) -> impl Iterator<Item = (&[u8], &[u8])> {
    let lists = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes);
    lists.flat_map(|list| list.split(|byte| *byte == b';')).filter_map(pair)
}

/// Name and value; blanks around both, and quotes around the value, are no part of them.
fn pair(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|byte| *byte == b'=')?;
    let (name, value) = (text[..at].trim_ascii(), text[at + 1..].trim_ascii());
    let quoted = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
    Some((name, quoted.unwrap_or(value)))
}

/// Whether a cookie can hold this text as it is.
pub(crate) fn is_plain(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._~+/=-".contains(&byte))
}

fn checked(token: &str) -> Option<&str> {
    (!token.is_empty() && token.len() <= TOKEN_BYTES_MAX && is_plain(token)).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(given: &[&[u8]]) -> HeaderMap {
        let value = |bytes: &&[u8]| HeaderValue::from_bytes(bytes).expect("a value");
        given.iter().map(|bytes| (COOKIE, value(bytes))).collect()
    }

    #[test]
    fn a_cookie_is_found_by_its_exact_name_whatever_stands_beside_it() {
        let cases: [(&[&[u8]], Option<&str>); 21] = [
            (&[b"lang=en"], Some("en")),
            (&[b"a=b; lang=en; c=d"], Some("en")),
            (&[b"a=b;lang=en"], Some("en")),
            (&[b"a=b", b"lang=en"], Some("en")),
            (&[b"lang=ko; lang=en"], Some("ko")),
            (&[b"slang=en"], None),
            (&[b"lang"], None),
            (&[b"lang="], None),
            (&[b"lang=\"\""], None),
            (&[b"LANG=en"], None),
            (&[b"lang=a=b"], Some("a=b")),
            (&["name=유엔진; lang=en".as_bytes()], Some("en")),
            (&["lang=en; name=유엔진".as_bytes()], Some("en")),
            (&[b"name=\xff\xfe\x80; lang=en"], Some("en")),
            (&[b"name=\xff", b"lang=en"], Some("en")),
            (&[b"lang=\xff"], None),
            (&[b"lang=\"en\""], Some("en")),
            (&[b"lang=\"en"], Some("\"en")),
            (&[b"a=b;\t lang = en \t; c"], Some("en")),
            (&[b";;; lang=en;"], Some("en")),
            (&[], None),
        ];
        for (given, expected) in cases {
            assert_eq!(get(&headers(given), LANGUAGE), expected, "{given:?}");
        }
    }

    #[test]
    fn cookies_are_written_as_promised() {
        let jar = Jar::new("x7", false, "/oauth/session");
        let written = |secure| {
            let cookies = jar.of(secure);
            let session = cookies.carry_session("a.b.c", Some(900)).expect("a token");
            [session, cookies.carry_refresh("r-1").expect("a token")]
        };
        assert_eq!(
            written(false),
            [
                "yeoul_session_x7=a.b.c; HttpOnly; SameSite=Lax; Path=/; Max-Age=900",
                "yeoul_refresh_x7=r-1; HttpOnly; SameSite=Strict; Path=/oauth/session; Max-Age=1209600",
            ]
        );
        assert_eq!(
            written(true),
            [
                "__Host-yeoul_session_x7=a.b.c; HttpOnly; Secure; SameSite=Lax; Path=/; Max-Age=900",
                "__Secure-yeoul_refresh_x7=r-1; HttpOnly; Secure; SameSite=Strict; \
                 Path=/oauth/session; Max-Age=1209600",
            ]
        );
        let endless = jar.of(false).carry_session("a.b.c", None).expect("a token");
        assert_eq!(endless, "yeoul_session_x7=a.b.c; HttpOnly; SameSite=Lax; Path=/");
        assert!(Jar::new("x7", true, "/oauth/session").of(false).secure);
        let cookies = jar.of(false);
        let long = |bytes: usize| "a".repeat(bytes);
        assert!(cookies.carry_session(&long(TOKEN_BYTES_MAX), Some(1)).is_some());
        for bad in ["", "a b", "a;b", "a\r\nb", "a,b", "\"a\"", &long(TOKEN_BYTES_MAX + 1)] {
            assert_eq!(cookies.carry_session(bad, Some(1)), None, "{bad:?}");
            assert_eq!(cookies.carry_refresh(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn the_cookies_of_one_scheme_are_not_read_by_the_other() {
        let jar = Jar::new("x7", false, "/oauth/session");
        let plain = headers(&[b"yeoul_session_x7=t; yeoul_refresh_x7=r"]);
        let secure = headers(&[b"__Host-yeoul_session_x7=t; __Secure-yeoul_refresh_x7=r"]);
        for (given, is_secure) in [(&plain, false), (&secure, true)] {
            let (right, wrong) = (jar.of(is_secure), jar.of(!is_secure));
            assert_eq!(
                (right.sessions(given).next(), right.refreshes(given).next()),
                (Some("t"), Some("r"))
            );
            let of_the_other = (wrong.sessions(given).next(), wrong.refreshes(given).next());
            assert_eq!(of_the_other, (None, None));
            assert!(right.has_session(given) && !wrong.has_session(given));
        }
    }

    #[test]
    fn another_gateways_cookies_are_neither_read_nor_taken_back() {
        let jar = Jar::new("x7", false, "/oauth/session");
        let cookies = jar.of(false);
        let theirs = headers(&[b"yeoul_session_y8=t; yeoul_refresh_y8=r; yeoul_session_x77=u"]);
        assert_eq!(
            (cookies.sessions(&theirs).next(), cookies.refreshes(&theirs).next()),
            (None, None)
        );
        assert!(!cookies.has_session(&theirs));
        assert!(cookies.without_session(&theirs).is_empty());
        let both = headers(&[b"yeoul_session=old; yeoul_session_x7=junk"]);
        assert_eq!(
            cookies.without_session(&both),
            [
                "yeoul_session_x7=; HttpOnly; SameSite=Lax; Path=/; Max-Age=0",
                "yeoul_session=; HttpOnly; SameSite=Lax; Path=/; Max-Age=0",
            ]
        );
        assert!(cookies.has_session(&both));
        assert_eq!(cookies.sessions(&both).collect::<Vec<_>>(), ["junk"]);
    }
}
