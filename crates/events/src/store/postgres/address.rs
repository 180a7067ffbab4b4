//! Where a server of this engine is, as settings write it: `postgres://USER@HOST:PORT/DATABASE`.
//!
//! What else a driver would take of an address (a password, a search path, options of its own) stands in none:
//! settings are shown to whoever looks after a process.

use std::fmt;
use std::str::FromStr;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::error::Error;

/// How its addresses begin.
pub(super) const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

/// The one parameter that an address may have, and its values.
const ENCRYPTED: &str = "sslmode=";
const MODES: [&str; 5] = ["disable", "prefer", "require", "verify-ca", "verify-full"];

/// Where a server is, and as whom one speaks to which of its databases; no secret.
///
/// ```
/// use yeoul_events::store::Address;
///
/// let address: Address = "postgres://shop@10.0.0.5:5432/shop".parse()?;
/// assert_eq!(address.to_string(), "postgres://shop@10.0.0.5:5432/shop");
/// assert!("postgres://shop:secret@10.0.0.5:5432/shop".parse::<Address>().is_err());
/// assert!("nobody://shop@10.0.0.5:5432/shop".parse::<Address>().is_err());
/// # Ok::<(), yeoul_events::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    user: String,
    /// What follows the user: host, port, database and parameter.
    rest: String,
}

impl Address {
    /// With what is asked for whoever speaks to it, as [`Served::address`](crate::store::Served::address) takes it.
    pub(crate) fn with_password(&self, password: Option<&str>) -> String {
        let Address { user, rest } = self;
        let password = password.map(|password| format!(":{}", encoded(password)));
        format!("{}{user}{}@{rest}", SCHEMES[0], password.unwrap_or_default())
    }
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Address, Error> {
        let form = || Error::decode("`postgres://USER@HOST:PORT/DATABASE`");
        let rest =
            SCHEMES.iter().find_map(|scheme| text.strip_prefix(scheme)).ok_or_else(|| {
                Error::decode(
                    "`postgres://USER@HOST:PORT/DATABASE`, for no other server is spoken with",
                )
            })?;
        // The last one: a password may have any number of them.
        let (user, rest) = rest.rsplit_once('@').ok_or_else(form)?;
        if user.contains(':') {
            return Err(Error::decode("one without a password in it"));
        }
        let (place, parameter) =
            rest.split_once('?').map_or((rest, None), |(place, one)| (place, Some(one)));
        let (authority, database) = place.split_once('/').ok_or_else(form)?;
        let is_plain = |name: &str| {
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/')
        };
        if ![user, database].into_iter().all(is_plain) || !is_host_and_port(authority) {
            return Err(form());
        }
        if parameter.is_some_and(|parameter| !is_encryption(parameter)) {
            let what =
                format!("one whose only parameter is `{ENCRYPTED}` with {}", MODES.join(", "));
            return Err(Error::decode(what));
        }
        Ok(Address { user: user.to_owned(), rest: rest.to_owned() })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.with_password(None))
    }
}

fn is_host_and_port(authority: &str) -> bool {
    let Some((host, port)) = authority.rsplit_once(':') else { return false };
    let is_bare = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte)),
    };
    !host.is_empty() && is_bare && port.parse::<u16>().is_ok_and(|port| port > 0)
}

fn is_encryption(parameter: &str) -> bool {
    parameter.strip_prefix(ENCRYPTED).is_some_and(|mode| MODES.contains(&mode))
}

/// Every byte that an address may give a meaning to, as `%` and its number.
fn encoded(text: &str) -> impl fmt::Display {
    utf8_percent_encode(text, NON_ALPHANUMERIC)
}

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use sqlx::ConnectOptions;
    use sqlx::postgres::PgConnectOptions;

    use super::*;

    #[test]
    fn an_address_names_all_of_it_and_no_secret() {
        for good in [
            "postgres://shop@db:5432/shop",
            "postgresql://shop@10.0.0.5:1/shop",
            "postgres://shop@[::1]:5432/shop",
            "postgres://shop%40eu@db.example.org:65535/a-b_c?sslmode=verify-full",
        ] {
            let address: Address = good.parse().expect(good);
            assert_eq!(address.to_string(), good.replace("postgresql:", "postgres:"));
        }
        for (wrong, says) in [
            ("kafka://shop@db:5432/shop", "USER@HOST"),
            ("postgres://db:5432/shop", "USER@HOST"),
            ("postgres://@db:5432/shop", "USER@HOST"),
            ("postgres://shop@db/shop", "USER@HOST"),
            ("postgres://shop@db:0/shop", "USER@HOST"),
            ("postgres://shop@db:65536/shop", "USER@HOST"),
            ("postgres://shop@:5432/shop", "USER@HOST"),
            ("postgres://shop@db:5432", "USER@HOST"),
            ("postgres://shop@db:5432/", "USER@HOST"),
            ("postgres://shop@db:5432/a/b", "USER@HOST"),
            ("postgres://shop@[db]:5432/shop", "USER@HOST"),
            ("postgres://shop:secret@db:5432/shop", "password"),
            ("postgres://shop:a@b@db:5432/shop", "password"),
            ("postgres://shop@db:5432/shop?password=secret", "sslmode"),
            ("postgres://shop@db:5432/shop?sslmode=maybe", "sslmode"),
            ("postgres://shop@db:5432/shop?sslmode=require&user=root", "sslmode"),
        ] {
            let refused = wrong.parse::<Address>().expect_err(wrong).to_string();
            assert!(refused.contains(says), "{wrong}: {refused}");
            assert!(!refused.contains("secret"), "{refused}");
        }
    }

    #[test]
    fn the_driver_reads_the_password_that_was_given() {
        let address: Address = "postgres://shop@db:5432/shop?sslmode=require".parse().unwrap();
        let secret = "a:b/c@d?e#f%g 비밀";
        let whole = address.with_password(Some(secret));
        let read = PgConnectOptions::from_str(&whole).unwrap();
        assert_eq!((read.get_username(), read.get_host(), read.get_port()), ("shop", "db", 5432));
        let again = read.to_url_lossy().to_string();
        assert!(again.contains(&format!(":{}@", encoded(secret))), "{again}");
    }
}
