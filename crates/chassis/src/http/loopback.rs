//! The gate of listeners that trust their machine: only its own programs may speak to them.
//!
//! A page in a browser can reach 127.0.0.1 too, by a name of its own that resolves there (DNS
//! rebinding) or by a cross-site request. The first shows in `Host`, the second in `Origin`.

use http::header::{HOST, ORIGIN};
use http::{HeaderMap, HeaderName, Uri};

use super::problem::Problem;

/// Lets a request through whose `Host` is loopback and whose `Origin`, if any, is a page's from there. No host at all
/// only HTTP/1.0 may name (the listener sees to it), which no browser speaks.
///
/// # Errors
/// 403.
pub fn check(uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
    let host = match uri.host() {
        Some(host) => Some(host),
        None if !headers.contains_key(HOST) => Some("localhost"),
        None => single(headers, &HOST).map(without_port),
    };
    if !host.is_some_and(is_loopback) {
        return Err(Problem::forbidden("this listener serves its own machine alone"));
    }
    if headers.contains_key(ORIGIN) {
        let origin = single(headers, &ORIGIN).and_then(|origin| origin.parse::<Uri>().ok());
        let page = origin.filter(|it| matches!(it.scheme_str(), Some("http" | "https")));
        if !page.as_ref().and_then(Uri::host).is_some_and(is_loopback) {
            return Err(Problem::forbidden("a foreign origin may not speak to this listener"));
        }
    }
    Ok(())
}

fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value)
}

fn without_port(host: &str) -> &str {
    match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    }
}

fn is_loopback(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(host: &str, origin: Option<&str>) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, host.parse().expect("a value"));
        if let Some(origin) = origin {
            headers.insert(ORIGIN, origin.parse().expect("a value"));
        }
        check(&Uri::from_static("/orders"), &headers).is_ok()
    }

    #[test]
    fn its_own_machine_passes_and_others_do_not() {
        for host in ["127.0.0.1:8081", "localhost", "LOCALHOST:1", "[::1]:8081", "127.9.9.9"] {
            assert!(passes(host, None), "{host}");
        }
        for host in ["evil.example", "127.0.0.1.evil.example", "10.0.0.1", ""] {
            assert!(!passes(host, None), "{host}");
        }
        assert!(passes("localhost", Some("http://127.0.0.1:8088")));
        for origin in [
            "http://evil.example",
            "null",
            "http://127.0.0.1.evil.example",
            // A browser's extension, or a program's page, is no page of this machine's servers.
            "chrome-extension://localhost",
            "app://127.0.0.1",
            "localhost",
        ] {
            assert!(!passes("localhost", Some(origin)), "{origin}");
        }
        assert!(check(&Uri::from_static("/"), &HeaderMap::new()).is_ok(), "HTTP/1.0 needs no host");
    }
}
