//! Where an answer sends the client: an address of the service becomes a path of ours.
//!
//! A service that was asked by its own name writes that name into `Location` and
//! `Content-Location`, where no client reaches it. Only what is left is sent on, path, query and
//! fragment: a client puts its own view of us before it (RFC 9110, section 10.2.2), whatever name,
//! port and scheme that is. Another authority is left as it is; so is text anywhere else.

use http::header::{CONTENT_LOCATION, LOCATION};
use http::{HeaderMap, HeaderValue};

use crate::endpoint::Endpoint;

/// Rewrites addresses of any of `endpoints`.
pub(super) fn localise<'e>(
    headers: &mut HeaderMap,
    endpoints: &(impl Iterator<Item = &'e Endpoint> + Clone),
) {
    for name in [LOCATION, CONTENT_LOCATION] {
        let Some(given) = headers.get(&name) else { continue };
        // Bytes above ASCII are nobody's to judge here: each is a character, and is itself again below.
        let text: String = given.as_bytes().iter().copied().map(char::from).collect();
        let path = path(&text, endpoints.clone()).map(|path| bytes(&path));
        let value = path.and_then(|path| HeaderValue::from_bytes(&path).ok());
        if let Some(value) = value {
            headers.insert(name, value);
        }
    }
}

/// The bytes of a text that was made of bytes.
fn bytes(text: &str) -> Vec<u8> {
    text.chars().filter_map(|character| u8::try_from(character).ok()).collect()
}

/// What follows the authority of `text`, if it is one of these endpoints'.
fn path<'e>(text: &str, mut endpoints: impl Iterator<Item = &'e Endpoint>) -> Option<String> {
    let (scheme, rest) = text.split_once("//")?;
    let port = match scheme {
        "" => 80,
        _ if scheme.eq_ignore_ascii_case("http:") => 80,
        _ if scheme.eq_ignore_ascii_case("https:") => 443,
        _ => return None,
    };
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    endpoints.any(|endpoint| is_at(endpoint, authority, port)).then(|| relative(path))
}

/// Whether an authority is this endpoint's; without a port it has its scheme's, or none as we do.
fn is_at(endpoint: &Endpoint, authority: &str, usual: u16) -> bool {
    if authority.as_bytes().eq_ignore_ascii_case(endpoint.authority.as_bytes()) {
        return true;
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse().ok()),
        _ => (authority, Some(usual)),
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    port == Some(endpoint.port) && host.eq_ignore_ascii_case(&endpoint.host)
}

/// A reference that no client can take for another host: browsers read it as if its tabs were not there.
fn relative(path: &str) -> String {
    let dotted =
        path.starts_with('/') && path[1..].trim_start_matches('\t').starts_with(['/', '\\']);
    match path.chars().next() {
        Some('/') if dotted => format!("/.{path}"),
        Some('/') => path.to_owned(),
        Some('\\') => format!("/.{path}"),
        _ => format!("/{path}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_the_service_becomes_a_path() {
        let endpoint = |text: &str| Endpoint::parse(text).expect("an endpoint");
        let endpoints = [endpoint("http://127.0.0.1:8085"), endpoint("http://order")];
        let six = [endpoint("http://[::1]:8085")];
        let read = |text: &str| path(text, endpoints.iter().chain(&six));
        let cases = [
            ("http://127.0.0.1:8085/next", Some("/next")),
            ("http://127.0.0.1:8085/next?a=//b#c", Some("/next?a=//b#c")),
            ("HTTP://127.0.0.1:8085", Some("/")),
            ("http://127.0.0.1:8085?a=b", Some("/?a=b")),
            ("http://127.0.0.1:8085#c", Some("/#c")),
            ("https://127.0.0.1:8085/next", Some("/next")),
            ("//127.0.0.1:8085/next", Some("/next")),
            ("http://[::1]:8085/next", Some("/next")),
            ("http://ORDER/next", Some("/next")),
            ("http://order:80/next", Some("/next")),
            ("https://order/next", Some("/next")),
            ("//order/next", Some("/next")),
            ("http://127.0.0.1:8085//evil.example/", Some("/.//evil.example/")),
            ("http://127.0.0.1:8085/\\evil.example/", Some("/./\\evil.example/")),
            ("http://127.0.0.1:8085\\\\evil.example/", Some("/.\\\\evil.example/")),
            ("http://127.0.0.1:8085/\t/evil.example/", Some("/./\t/evil.example/")),
            ("http://127.0.0.1:8085/\t\t\\evil.example/", Some("/./\t\t\\evil.example/")),
            ("/next", None),
            ("next", None),
            ("/next//127.0.0.1:8085/x", None),
            ("http://127.0.0.1/next", None),
            ("http://127.0.0.1:8086/next", None),
            ("http://order:81/next", None),
            ("https://order:443/next", None),
            ("http://127.0.0.1:8085.evil.example/", None),
            ("http://127.0.0.1:8085@evil.example/", None),
            ("http://user@127.0.0.1:8085/", None),
            ("http://shop.example/next", None),
            ("ftp://127.0.0.1:8085/next", None),
            ("mailto:a@127.0.0.1:8085", None),
            ("", None),
        ];
        for (given, expected) in cases {
            assert_eq!(read(given).as_deref(), expected, "{given}");
        }
    }
}
