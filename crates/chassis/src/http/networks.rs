//! Sets of networks, as `10.0.0.0/8` and `2001:db8::/32` write them.
//!
//! An IPv4 address in IPv6's clothes (`::ffff:192.0.2.1`) is that IPv4 address, in a set and when a
//! set is asked. It resolves no names.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, de};

/// How many networks a set has at most; each is looked at in turn.
pub const NETWORKS_MAX: usize = 256;

/// An IPv6 client has at least this many of an address's bits to itself.
const IPV6_PREFIX_BITS: u32 = 64;
/// What an IPv4 address's bits lie behind where it is written as IPv6.
const MAPPED_BITS: u8 = 96;

/// One network: the addresses that share its first bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    first: IpAddr,
    prefix_bits: u8,
}

/// At most [`NETWORKS_MAX`] networks; without any, no address is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<Network>);

impl Network {
    /// Whether `address` is one of it.
    pub fn contains(&self, address: IpAddr) -> bool {
        masked(address.to_canonical(), self.prefix_bits) == self.first
            && address.to_canonical().is_ipv4() == self.first.is_ipv4()
    }

    fn new(address: IpAddr, prefix_bits: u8) -> Option<Network> {
        let canonical = address.to_canonical();
        // A network of IPv4 written in IPv6 counts its bits from the mapping on; one that is wider than the
        // mapping is none.
        let prefix_bits = match (address, canonical) {
            (IpAddr::V6(_), IpAddr::V4(_)) => prefix_bits.checked_sub(MAPPED_BITS)?,
            _ => prefix_bits,
        };
        let fits = prefix_bits <= width(canonical);
        fits.then(|| Network { first: masked(canonical, prefix_bits), prefix_bits })
    }
}

impl Networks {
    /// Whether `address` is in one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// These and this machine's own addresses, for a service whose gateway is beside it.
    pub fn and_loopback(mut self) -> Networks {
        for address in [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)] {
            let prefix_bits = if address.is_ipv4() { 8 } else { width(address) };
            self.0.extend(Network::new(address, prefix_bits));
        }
        self
    }
}

impl FromStr for Network {
    type Err = ();

    /// `ADDRESS/BITS`, or an address alone for itself; bits past the prefix are of no account.
    fn from_str(text: &str) -> Result<Network, ()> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| ())?;
        let plain = |bits: &str| (1..=3).contains(&bits.len()) && !bits.starts_with('+');
        let bits = match bits {
            Some(bits) if plain(bits) => bits.parse().map_err(|_| ())?,
            Some(_) => return Err(()),
            None => width(address),
        };
        Network::new(address, bits).ok_or(())
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix_bits)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Network, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(|()| {
            let expected = "must be a network such as `10.0.0.0/8`, `192.0.2.7` or `2001:db8::/32`";
            de::Error::custom(format!("{expected}, is `{text}`"))
        })
    }
}

impl<'de> Deserialize<'de> for Networks {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Networks, D::Error> {
        let list = Vec::<Network>::deserialize(from)?;
        let count = list.len();
        if count > NETWORKS_MAX {
            let says = format!("must be at most {NETWORKS_MAX} networks, are `{count}`");
            return Err(de::Error::custom(says));
        }
        Ok(Networks(list))
    }
}

/// How many bits an address has.
fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// The address without what is past its first `bits`.
fn masked(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            // All bits shifted out (a prefix of 0) would be an overflow: nothing is left of the address then.
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(bits.into())).unwrap_or(0);
            Ipv4Addr::from_bits(address.to_bits() & mask).into()
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(bits.into())).unwrap_or(0);
            Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
    }
}

/// The part of an address that one client has: all of an IPv4 address, half of an IPv6 one.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let bits = u128::from(address) >> (128 - IPV6_PREFIX_BITS) << (128 - IPV6_PREFIX_BITS);
            Ipv6Addr::from(bits).into()
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(network: &str, address: &str) -> bool {
        let network: Network = network.parse().expect(network);
        network.contains(address.parse().expect("an address"))
    }

    #[test]
    fn an_address_is_in_its_network_and_not_in_the_next() {
        let inside = [
            ("10.0.0.0/8", "10.255.255.255"),
            ("10.1.2.3/8", "10.9.9.9"),
            ("192.0.2.7", "192.0.2.7"),
            ("192.0.2.7/32", "::ffff:192.0.2.7"),
            ("0.0.0.0/0", "203.0.113.9"),
            ("::ffff:10.0.0.0/104", "10.3.4.5"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("2001:db8::/32", "2001:db8:ffff::1"),
            ("::1", "::1"),
            ("::/0", "2001:db8::1"),
        ];
        for (network, address) in inside {
            assert!(contains(network, address), "{network} {address}");
        }
        let outside = [
            ("10.0.0.0/8", "11.0.0.0"),
            ("10.0.0.0/8", "9.255.255.255"),
            ("192.0.2.7", "192.0.2.8"),
            ("192.0.2.0/31", "192.0.2.2"),
            ("2001:db8::/32", "2001:db9::"),
            ("::1", "::2"),
            ("::/0", "192.0.2.1"),
            ("0.0.0.0/0", "2001:db8::1"),
            ("::1", "0.0.0.1"),
        ];
        for (network, address) in outside {
            assert!(!contains(network, address), "{network} {address}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        let bad = [
            "",
            "/",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
            "10.0.0/8",
            "::/129",
            "::ffff:10.0.0.0/95",
            "localhost",
            "10.0.0.0/8/8",
            " 10.0.0.0/8",
            "10.0.0.0/0008",
        ];
        for text in bad {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_set_is_read_from_a_list_up_to_its_limit() {
        let read = |count: usize| {
            let list = vec!["10.0.0.0/8"; count];
            serde_json::from_value::<Networks>(serde_json::json!(list)).map_err(|it| it.to_string())
        };
        assert!(read(NETWORKS_MAX).is_ok_and(|it| it.contains([10, 1, 1, 1].into())));
        let refused = read(NETWORKS_MAX + 1).expect_err("too many");
        assert!(refused.contains("at most 256 networks"), "{refused}");
        assert!(!Networks::default().contains([127, 0, 0, 1].into()));
        let near = Networks::default().and_loopback();
        assert!(near.contains([127, 9, 9, 9].into()) && near.contains(Ipv6Addr::LOCALHOST.into()));
        assert!(!near.contains([10, 0, 0, 1].into()));
    }

    #[test]
    fn an_ipv6_client_is_its_network() {
        let parse = |text: &str| text.parse::<IpAddr>().expect("an address");
        assert_eq!(network(parse("2001:db8::1")), network(parse("2001:db8:0:0:ffff::2")));
        assert_ne!(network(parse("2001:db8::1")), network(parse("2001:db8:0:1::1")));
        assert_eq!(network(parse("::ffff:192.0.2.1")), parse("192.0.2.1"));
        assert_ne!(network(parse("192.0.2.1")), network(parse("192.0.2.2")));
    }
}
