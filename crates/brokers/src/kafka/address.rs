//! Where Kafka is: `kafka://host:port[,host:port]`.
//!
//! These are asked first; which others there are, they say.

use std::fmt;
use std::str::FromStr;

use events::Error;

/// How it begins.
const SCHEME: &str = "kafka://";
/// Servers that are named at most.
pub const SERVERS_MAX: usize = 16;

/// The servers that are asked first, parsed.
///
/// ```
/// use yeoul_brokers::kafka::Servers;
///
/// let servers: Servers = "kafka://10.0.0.5:9092,broker-2:9092".parse()?;
/// assert_eq!(servers.to_string(), "kafka://10.0.0.5:9092,broker-2:9092");
/// for refused in ["10.0.0.5:9092", "kafka://", "kafka://host", "kafka://host:0", "kafka://a:1,,b:1"] {
///     assert!(refused.parse::<Servers>().is_err(), "{refused}");
/// }
/// # Ok::<(), events::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Servers(String);

impl Servers {
    /// As Kafka's clients want them.
    pub(super) fn bootstrap(&self) -> &str {
        &self.0
    }
}

impl FromStr for Servers {
    type Err = Error;

    fn from_str(text: &str) -> Result<Servers, Error> {
        let list = text.strip_prefix(SCHEME).ok_or_else(refused)?;
        if list.contains('@') {
            let what = "no login is spoken with these servers: a user and a password are no part of the address, and no \
                        password belongs into a file";
            return Err(Error::Decode { what: what.to_owned() });
        }
        if list.split(',').count() > SERVERS_MAX || !list.split(',').all(is_server) {
            return Err(refused());
        }
        Ok(Servers(list.to_owned()))
    }
}

impl fmt::Display for Servers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{SCHEME}{}", self.0)
    }
}

fn is_server(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let bare = host.strip_prefix('[').and_then(|it| it.strip_suffix(']')).unwrap_or(host);
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte);
    // A colon belongs to an address in brackets alone.
    let sound =
        !bare.is_empty() && bare.bytes().all(is_host) && (bare != host || !bare.contains(':'));
    sound && port.parse::<u16>().is_ok_and(|port| port > 0)
}

fn refused() -> Error {
    let what = format!("`kafka://HOST:PORT[,HOST:PORT]`, at most {SERVERS_MAX} servers");
    Error::Decode { what }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_accepted_or_refused() {
        let list = |count: usize| format!("kafka://{}", vec!["a:1"; count].join(","));
        let (full, over) = (list(SERVERS_MAX), list(SERVERS_MAX + 1));
        for (text, accepted) in [
            ("kafka://localhost:9092", true),
            ("kafka://[::1]:9092,127.0.0.1:65535", true),
            (full.as_str(), true),
            (over.as_str(), false),
            ("", false),
            ("kafka:", false),
            ("kafka://:9092", false),
            ("kafka://::1:9092", false),
            ("kafka://a:65536", false),
            ("kafka://a:1/topic", false),
            ("kafka://user@a:1", false),
            ("kafka://a b:1", false),
            ("Kafka://a:1", false),
        ] {
            assert_eq!(text.parse::<Servers>().is_ok(), accepted, "{text:?}");
        }
        let refused = "kafka://u:secret@a:1".parse::<Servers>().expect_err("a login").to_string();
        assert!(refused.contains("no login is spoken") && !refused.contains("secret"), "{refused}");
    }
}
