//! Addresses to listen on, as people write them: `127.0.0.1:8088`, `[::1]:8088`, `localhost:0`.
//!
//! A name is looked up once, where it is read; of what it stands for the first IPv4 address is taken,
//! else the first. It knows nothing of addresses to call: those may change while the process runs.

use std::net::{SocketAddr, ToSocketAddrs};

use serde::{Deserialize, Deserializer, de};

/// The longest name of a host (RFC 1035).
const NAME_BYTES_MAX: usize = 253;

/// Reads `HOST:PORT`.
///
/// # Errors
/// In words: what is missing, or that the name stands for no address.
pub fn parse(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let shape = || format!("must be HOST:PORT, such as 127.0.0.1:8088, is `{text}`");
    let (host, port) = text.rsplit_once(':').ok_or_else(shape)?;
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let port: Option<u16> = digits.then(|| port.parse().ok()).flatten();
    let port = port.ok_or_else(|| format!("must have a port from 0 to 65535, is `{text}`"))?;
    if !is_name(host) {
        return Err(shape());
    }
    let found = (host, port).to_socket_addrs();
    let found: Vec<SocketAddr> = found.map(Iterator::collect).unwrap_or_default();
    let first = found.iter().find(|address| address.is_ipv4()).or(found.first());
    first.copied().ok_or_else(|| format!("`{host}` is the name of no address here"))
}

/// Reads a setting; see [`parse`].
///
/// # Errors
/// As [`parse`], and for anything but text.
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(from)?;
    parse(&text).map_err(de::Error::custom)
}

fn is_name(host: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    (1..=NAME_BYTES_MAX).contains(&host.len()) && host.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_or_its_name_and_a_port() {
        for (text, address) in [
            ("127.0.0.1:0", "127.0.0.1:0"),
            ("[::1]:8088", "[::1]:8088"),
            ("localhost:0", "127.0.0.1:0"),
            ("LOCALHOST:65535", "127.0.0.1:65535"),
        ] {
            let expected: SocketAddr = address.parse().expect("an address");
            let found = parse(text).expect(text);
            assert!(found == expected || found.ip().is_loopback(), "{text}: {found}");
            assert_eq!(found.port(), expected.port(), "{text}");
        }
        for (text, says) in [
            ("", "HOST:PORT"),
            ("localhost", "HOST:PORT"),
            ("8088", "HOST:PORT"),
            (":8088", "HOST:PORT"),
            ("::1:8088x", "port"),
            ("localhost:", "port"),
            ("localhost:65536", "port"),
            ("localhost:-1", "port"),
            ("localhost:+1", "port"),
            ("127.0.0.1:99999", "port"),
            ("a b:1", "HOST:PORT"),
            ("http://localhost:1", "HOST:PORT"),
            ("nosuch.invalid:1", "name of no address"),
        ] {
            let refused = parse(text).expect_err(text);
            assert!(refused.contains(says), "{text}: {refused}");
        }
    }
}
