//! Where services are: `http://HOST:PORT`, taken apart once.

use std::net::SocketAddr;

use http::{HeaderValue, Uri};

/// One address of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// Name or address, without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
    /// What `Host` says.
    pub(crate) authority: HeaderValue,
    /// Set where nothing has to be resolved.
    pub(crate) address: Option<SocketAddr>,
}

impl Endpoint {
    /// The endpoint at a known address.
    pub(crate) fn at(address: SocketAddr) -> Endpoint {
        let authority = address.to_string();
        Endpoint {
            host: address.ip().to_string(),
            port: address.port(),
            authority: HeaderValue::try_from(authority).expect("an address is plain text"),
            address: Some(address),
        }
    }

    pub(crate) fn parse(text: &str) -> Result<Endpoint, String> {
        let refuse =
            |why: &str| format!("an upstream is `http://HOST:PORT`; {why}. upstream=`{text}`");
        let uri: Uri = text.parse().map_err(|_| refuse("this is no URL"))?;
        if uri.scheme_str() != Some("http") {
            return Err(refuse("its scheme is http"));
        }
        let authority = uri.authority().ok_or_else(|| refuse("it has a host"))?;
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(refuse("it has no path"));
        }
        if authority.as_str().contains('@') {
            return Err(refuse("it has no user"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let named = authority.as_str().len() > authority.host().len();
        let port = authority.port_u16().or((!named).then_some(80)).unwrap_or(0);
        if host.is_empty() || port == 0 {
            return Err(refuse("it has a host and a port above 0"));
        }
        let address = host.parse().ok().map(|ip| SocketAddr::new(ip, port));
        let authority = HeaderValue::try_from(authority.as_str())
            .map_err(|_| refuse("its host is plain text"))?;
        Ok(Endpoint { host, port, authority, address })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_is_a_host_and_a_port() {
        let good = [
            ("http://127.0.0.1:8081", "127.0.0.1", 8081, true),
            ("http://[::1]:8081/", "::1", 8081, true),
            ("http://order", "order", 80, false),
            ("http://order.internal:65535", "order.internal", 65535, false),
        ];
        for (text, host, port, known) in good {
            let endpoint = Endpoint::parse(text).expect(text);
            assert_eq!((endpoint.host.as_str(), endpoint.port), (host, port));
            assert_eq!(endpoint.address.is_some(), known, "{text}");
        }
        let bad = [
            "",
            "order",
            "https://order",
            "http://",
            "http://order/x",
            "http://order?x",
            "http://u:p@order",
            "http://order:0",
            "http://order:65536",
            "/orders",
        ];
        for text in bad {
            assert!(Endpoint::parse(text).is_err(), "{text}");
        }
    }
}
