//! What a request is for: its target in origin form, and one host.
//!
//! Every listener of ours is an origin: the absolute form means the same as a path beside `Host`
//! (RFC 9112 §3.2.2), and the two have to agree. What no resource of ours answers, `TRACE` and
//! `CONNECT`, and what is asked of the server as a whole (`OPTIONS *`) is answered here, before
//! anybody is asked who he is.

use http::header::{ALLOW, HOST};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, Version};
use memchr::memchr;

use super::problem::Problem;
use super::router::USUAL;
use super::{Response, empty, method};

/// The longest host with its port: of a name (253 bytes, RFC 1035) with all that stands beside it.
const HOST_BYTES_MAX: usize = 512;

/// What becomes of a request before anybody looks it up.
#[derive(Debug)]
pub(super) enum Checked {
    /// It names a resource, by path alone now.
    Resource,
    /// It is answered.
    Answered(Response),
}

/// Brings a request's target into origin form.
///
/// # Errors
/// 400 where target and host could mean two things, or a method is a known one but for its case; 405 for
/// methods that no resource has.
pub(super) fn check(head: &mut Parts) -> Result<Checked, Problem> {
    if method::is_miscased(&head.method) {
        return Err(Problem::bad_request("a method is upper-case letters"));
    }
    if matches!(head.method, Method::TRACE | Method::CONNECT) {
        return Err(Problem::method_not_allowed(&USUAL));
    }
    let old = head.version == Version::HTTP_10;
    // The absolute form: from here on the request is as if it had come in origin form.
    if let Some(authority) = head.uri.authority() {
        absolute(&head.uri)?;
        agree(&head.headers, authority)?;
        if old && !head.headers.contains_key(HOST) {
            let host = HeaderValue::try_from(authority.as_str()).map_err(|_| one_host())?;
            head.headers.insert(HOST, host);
        }
        // `http://a` and `http://a/` are the same.
        let path = head.uri.path_and_query().filter(|path| path.as_str() != "/").cloned();
        head.uri = path.unwrap_or_else(|| PathAndQuery::from_static("/")).into();
    }
    host(&head.headers, old)?;
    match head.uri.path() {
        "*" if head.method == Method::OPTIONS => Ok(Checked::Answered(options())),
        path if path.starts_with('/') => Ok(Checked::Resource),
        _ => Err(Problem::bad_path()),
    }
}

fn options() -> Response {
    let mut response = empty(StatusCode::NO_CONTENT);
    let list = USUAL.iter().map(Method::as_str).collect::<Vec<_>>().join(", ");
    let list = HeaderValue::try_from(list).expect("methods are plain words");
    response.headers_mut().insert(ALLOW, list);
    response
}

/// Lets the absolute form of this scheme pass, and no other form.
fn absolute(uri: &Uri) -> Result<(), Problem> {
    match uri.scheme_str() {
        Some("http" | "https") => Ok(()),
        _ => Err(Problem::bad_path()),
    }
}

/// Checks that a `Host` beside an absolute target says the same.
fn agree(headers: &HeaderMap, authority: &Authority) -> Result<(), Problem> {
    // A port that goes without saying makes no other host of it.
    let same = |host: &HeaderValue| {
        host.to_str().is_ok_and(|host| plain(host).eq_ignore_ascii_case(plain(authority.as_str())))
    };
    if headers.get_all(HOST).iter().all(same) { Ok(()) } else { Err(two_hosts()) }
}

/// An authority without the port that goes without saying.
fn plain(authority: &str) -> &str {
    authority.strip_suffix(":80").unwrap_or(authority)
}

/// Checks that one host is named; HTTP/1.0 may name none.
fn host(headers: &HeaderMap, old: bool) -> Result<(), Problem> {
    let mut hosts = headers.get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if old => Ok(()),
        (Some(host), None) if host.len() > HOST_BYTES_MAX => Err(long_host()),
        (Some(host), None) if is_host(host.as_bytes()) => Ok(()),
        _ => Err(one_host()),
    }
}

/// Whether bytes can be a host, with or without a port.
fn is_host(bytes: &[u8]) -> bool {
    let is_six = bytes.first() == Some(&b'[');
    let (name, rest) = if is_six {
        let Some(end) = memchr(b']', bytes) else { return false };
        (&bytes[1..end], &bytes[end + 1..])
    } else {
        bytes.split_at(memchr(b':', bytes).unwrap_or(bytes.len()))
    };
    let fits = |byte: &u8| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'.' | b'-' | b'_' | b'~' | b'%')
            || (is_six && *byte == b':')
    };
    let is_port = |port: &[u8]| port.iter().all(u8::is_ascii_digit);
    !name.is_empty()
        && name.iter().all(fits)
        && (rest.is_empty() || rest.strip_prefix(b":").is_some_and(is_port))
}

fn one_host() -> Problem {
    Problem::bad_request("a request names its host once")
}

fn long_host() -> Problem {
    Problem::bad_request(format!("a host has at most {HOST_BYTES_MAX} bytes")).field(
        "host",
        "is past its limit",
        Some(HOST_BYTES_MAX.into()),
    )
}

fn two_hosts() -> Problem {
    Problem::bad_request("target and Host name two hosts")
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn checked(method: &str, target: &str, version: Version, hosts: &[&str]) -> (u16, String) {
        let mut request = Request::builder().method(method).uri(target).version(version);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        let mut head = request.body(()).expect("a request").into_parts().0;
        let status = match check(&mut head) {
            Ok(Checked::Resource) => 200,
            Ok(Checked::Answered(response)) => response.status().as_u16(),
            Err(problem) => problem.status().as_u16(),
        };
        (status, head.uri.to_string())
    }

    #[test]
    fn a_target_is_a_path_beside_one_host_or_says_the_same_at_once() {
        let (new, old) = (Version::HTTP_11, Version::HTTP_10);
        let host = &["shop.example:8088"][..];
        let good = [
            ("/a", new, host, "/a"),
            ("/", new, &["[::1]:1"][..], "/"),
            ("/", new, &["[::1]"][..], "/"),
            ("/", new, &["a:"][..], "/"),
            ("/a?b=//", new, &["localhost"][..], "/a?b=//"),
            ("http://shop.example:8088/a?b=c", new, host, "/a?b=c"),
            ("http://SHOP.example:8088/a", new, host, "/a"),
            ("http://shop.example:8088", new, host, "/"),
            ("http://a:80/x", new, &["a"][..], "/x"),
            ("https://a/x", new, &["a"][..], "/x"),
            ("/a", old, &[][..], "/a"),
            ("/a", old, &["a"][..], "/a"),
            ("http://a/x", old, &[][..], "/x"),
        ];
        for (target, version, hosts, path) in good {
            let seen = checked("GET", target, version, hosts);
            assert_eq!(seen, (200, path.to_owned()), "{target} {version:?} {hosts:?}");
        }
        let bad = [
            ("http://evil.example/a", new, host),
            ("http://a/x", new, &[][..]),
            ("http://a/x", new, &["a", "a"][..]),
            ("http://a:81/x", new, &["a"][..]),
            ("http://u@a/x", new, &["a"][..]),
            ("http://u@a/x", old, &[][..]),
            ("ftp://a/x", new, &["a"][..]),
            ("shop.example:80", new, host),
            ("*", new, host),
            ("/a", new, &[][..]),
            ("/a", new, &[""][..]),
            ("/a", new, &["a", "a"][..]),
            ("/a", new, &["a b"][..]),
            ("/a", new, &["a/b"][..]),
            ("/a", new, &["a@b"][..]),
            ("/a", new, &["a:x"][..]),
            ("/a", new, &["a:1:2"][..]),
            ("/a", new, &[":80"][..]),
            ("/a", new, &["[::1"][..]),
            ("/a", new, &["[::1]x"][..]),
            ("/a", new, &["[]:1"][..]),
            ("/a", new, &["a]"][..]),
            ("/a", old, &["a", "b"][..]),
            ("/a", old, &[""][..]),
        ];
        for (target, version, hosts) in bad {
            let seen = checked("GET", target, version, hosts).0;
            assert_eq!(seen, 400, "{target} {version:?} {hosts:?}");
        }
    }

    #[test]
    fn a_host_at_its_limit_passes_and_one_past_it_does_not() {
        for (length, status) in [(HOST_BYTES_MAX, 200), (HOST_BYTES_MAX + 1, 400)] {
            let host = "a".repeat(length);
            assert_eq!(checked("GET", "/", Version::HTTP_11, &[&host]).0, status, "{length}");
        }
    }

    #[test]
    fn what_no_resource_answers_is_answered_before_it_is_looked_up() {
        let host = &["a"][..];
        assert_eq!(checked("OPTIONS", "*", Version::HTTP_11, host).0, 204);
        assert_eq!(checked("OPTIONS", "*", Version::HTTP_11, &[]).0, 400);
        assert_eq!(checked("OPTIONS", "/a", Version::HTTP_11, host).0, 200);
        for method in ["get", "Post", "trace"] {
            let (status, _) = checked(method, "/a", Version::HTTP_11, &["a"]);
            assert_eq!(status, 400, "{method}");
        }
        for method in ["TRACE", "CONNECT"] {
            assert_eq!(checked(method, "/a", Version::HTTP_11, host).0, 405, "{method}");
        }
        assert_eq!(checked("CONNECT", "a:80", Version::HTTP_11, host).0, 405);
    }
}
