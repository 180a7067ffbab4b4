//! Where a receiver is, and where receivers may be.
//!
//! Whoever writes settings chooses where this process sends requests from inside a network, so this machine's own addresses
//! (admin listeners are there) and link-local ones (what a cloud tells of its machines is there) are refused unless they
//! are allowed, and so are the other addresses where clouds tell it. Behind a translator's prefix (NAT64) an address is
//! judged as the one that it stands for. A name is looked up at each connection and judged by what it leads to then: one that leads elsewhere
//! tomorrow is judged tomorrow.
//!
//! A host is read once, as an address or as a name, and whoever judges it and whoever connects have that. So what systems
//! take for an address in other words (`127.1`, `0x7f.1`, `2130706433`, a point at the end) is neither, and refused where
//! settings are read: as a name it would be allowed there, and lead to this machine.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use chassis::http::networks::Network;
use http::{HeaderValue, Uri};

/// Where clouds tell of their machines elsewhere than at the link-local 169.254.169.254: who means one names it.
const OF_CLOUDS: [IpAddr; 4] = [
    // Amazon and Google by IPv6.
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254)),
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254)),
    // Alibaba; Oracle's older machines.
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)),
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),
];

/// The first segments of what translators give IPv4 addresses (64:ff9b::/96, RFC 6052).
const TRANSLATED: [u16; 6] = [0x64, 0xff9b, 0, 0, 0, 0];

/// What is allowed beyond what is public or private.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed(Vec<AllowedEntry>);

/// One entry of an `allow` list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllowedEntry {
    /// This machine: `127.0.0.0/8`, `::1`.
    Loopback,
    /// `169.254.0.0/16`, `fe80::/10`.
    LinkLocal,
    /// A network, whatever else it is.
    Network(Network),
}

/// No address of a receiver, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAnAddress(&'static str);

impl fmt::Display for NotAnAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "must be `http://HOST[:PORT][/PATH]`: {}", self.0)
    }
}

impl FromStr for AllowedEntry {
    type Err = ();

    fn from_str(text: &str) -> Result<AllowedEntry, ()> {
        match text {
            "loopback" => Ok(AllowedEntry::Loopback),
            "link-local" => Ok(AllowedEntry::LinkLocal),
            _ => text.parse().map(AllowedEntry::Network),
        }
    }
}

impl FromIterator<AllowedEntry> for Allowed {
    fn from_iter<I: IntoIterator<Item = AllowedEntry>>(entries: I) -> Allowed {
        Allowed(entries.into_iter().collect())
    }
}

impl Allowed {
    /// Whether a receiver may be there.
    pub fn permits(&self, address: IpAddr) -> bool {
        let met = met(address);
        let is_in = |entry: &AllowedEntry| match entry {
            AllowedEntry::Loopback => is_this_machine(met),
            AllowedEntry::LinkLocal => is_link_local(met),
            AllowedEntry::Network(network) => network.contains(address) || network.contains(met),
        };
        let is_someone = !met.is_multicast() && met != IpAddr::V4(Ipv4Addr::BROADCAST);
        let is_usual = !is_this_machine(met) && !is_link_local(met) && !OF_CLOUDS.contains(&met);
        is_someone && (is_usual || self.0.iter().any(is_in))
    }
}

/// Who is met at an address.
fn met(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(outer) if outer.segments().starts_with(&TRANSLATED) => {
            let [.., a, b, c, d] = outer.octets();
            IpAddr::V4(Ipv4Addr::new(a, b, c, d))
        }
        other => other,
    }
}

/// Loopback, and the unspecified address, by which a connection comes to this machine, too.
fn is_this_machine(address: IpAddr) -> bool {
    address.is_loopback() || address.is_unspecified()
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}

/// A receiver's address, taken apart once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    host: Host,
    port: u16,
    /// What `Host` says.
    pub(crate) authority: HeaderValue,
    /// Path and query.
    pub(crate) target: Uri,
}

/// Where a URL leads.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    Address(IpAddr),
    Name(String),
}

impl FromStr for Host {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Host, NotAnAddress> {
        let inner = text.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
        if let Some(inner) = inner {
            let address = inner.parse::<Ipv6Addr>();
            return address
                .map(|it| Host::Address(it.into()))
                .map_err(|_| NotAnAddress("what it has in brackets is an IPv6 address"));
        }
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return Ok(Host::Address(address.into()));
        }
        if ends_in_a_number(text) {
            return Err(NotAnAddress("an address has four numbers below 256, as `203.0.113.7`"));
        }
        Ok(Host::Name(text.to_owned()))
    }
}

/// Whether a host would be taken for an IPv4 address by those who take more than four decimals (WHATWG's URL standard,
/// 3.5): its last part is a number, in whatever base.
fn ends_in_a_number(host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let last = host.rsplit('.').next().unwrap_or_default();
    let hex = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    let decimal = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit());
    decimal || hex.is_some_and(|it| it.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

impl FromStr for Address {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Address, NotAnAddress> {
        let uri: Uri = text.parse().map_err(|_| NotAnAddress("this is no URL"))?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => {
                return Err(NotAnAddress(
                    "what ends TLS stands beside the receiver or beside this one",
                ));
            }
            _ => return Err(NotAnAddress("its scheme is http")),
        }
        let authority = uri.authority().ok_or(NotAnAddress("it has a host"))?;
        if authority.as_str().contains('@') {
            return Err(NotAnAddress("it has no user: a receiver knows us by our signature"));
        }
        let host = authority.host();
        let named = authority.as_str().len() > authority.host().len();
        let port = authority.port_u16().or((!named).then_some(80)).unwrap_or(0);
        if host.is_empty() || port == 0 {
            return Err(NotAnAddress("it has a host and a port above 0"));
        }
        let host = host.parse()?;
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        let target = target.parse().map_err(|_| NotAnAddress("its path is plain"))?;
        let authority = HeaderValue::try_from(authority.as_str())
            .map_err(|_| NotAnAddress("its host is plain text"))?;
        Ok(Address { host, port, authority, target })
    }
}

impl Address {
    /// Where it is, without path and query: those may hold what only the receiver is to know, and this is for messages.
    pub fn origin(&self) -> String {
        format!("http://{}", self.authority.to_str().unwrap_or_default())
    }

    /// Whether it can be said without asking anybody that no receiver may be there.
    pub fn is_refused(&self, allowed: &Allowed) -> bool {
        match &self.host {
            Host::Address(address) => !allowed.permits(*address),
            Host::Name(name) => {
                let name = name.trim_end_matches('.').to_ascii_lowercase();
                let is_local = name == "localhost" || name.ends_with(".localhost");
                is_local && !allowed.permits(IpAddr::V6(Ipv6Addr::LOCALHOST))
            }
        }
    }

    /// Where it leads now: of what is allowed all there is, or else why not.
    pub(crate) async fn resolve(&self, allowed: &Allowed) -> Result<Vec<SocketAddr>, String> {
        let found = match &self.host {
            Host::Address(address) => vec![SocketAddr::new(*address, self.port)],
            Host::Name(name) => {
                let found = tokio::net::lookup_host((name.as_str(), self.port)).await;
                found.map_err(|error| format!("its name leads nowhere: {error}"))?.collect()
            }
        };
        let addresses: Vec<_> = found.into_iter().filter(|it| allowed.permits(it.ip())).collect();
        if addresses.is_empty() {
            return Err("it leads where no receiver may be: see `events.allow`".to_owned());
        }
        Ok(addresses)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(entries: &[&str]) -> Allowed {
        entries.iter().map(|entry| entry.parse::<AllowedEntry>().expect(entry)).collect()
    }

    #[test]
    fn this_machine_and_what_is_link_local_have_to_be_allowed() {
        let (none, all) = (allowed(&[]), allowed(&["loopback", "link-local", "224.0.0.0/4"]));
        for (address, by_itself, at_all) in [
            ("203.0.113.7", true, true),
            ("10.0.0.7", true, true),
            ("127.0.0.1", false, true),
            ("127.9.9.9", false, true),
            ("0.0.0.0", false, true),
            ("::1", false, true),
            ("::", false, true),
            ("::ffff:127.0.0.1", false, true),
            ("169.254.169.254", false, true),
            ("::ffff:169.254.169.254", false, true),
            ("fe80::1", false, true),
            ("fd00:ec2::254", false, false),
            ("fd20:ce::254", false, false),
            ("100.100.100.200", false, false),
            ("::ffff:192.0.0.192", false, false),
            ("fd00:ec2::253", true, true),
            ("64:ff9b::a9fe:a9fe", false, true),
            ("64:ff9b::7f00:1", false, true),
            ("64:ff9b::c000:c0", false, false),
            ("64:ff9b::e000:1", false, false),
            ("64:ff9b::a00:7", true, true),
            ("64:ff9b::1:a9fe:a9fe", true, true),
            ("224.0.0.1", false, false),
            ("255.255.255.255", false, false),
        ] {
            let address = address.parse().expect("an address");
            assert_eq!(none.permits(address), by_itself, "{address}");
            assert_eq!(all.permits(address), at_all, "{address}");
        }
        for entry in ["fd00:ec2::254", "64:ff9b::/96", "169.254.169.254"] {
            let address = if entry.starts_with("fd") { entry } else { "64:ff9b::a9fe:a9fe" };
            assert!(allowed(&[entry]).permits(address.parse().expect("an address")), "{entry}");
        }
        let one = allowed(&["127.0.0.1"]);
        assert!(one.permits(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        assert!(!one.permits("127.0.0.2".parse().expect("an address")));
        assert!("localhost".parse::<AllowedEntry>().is_err());
    }

    #[test]
    fn an_address_is_refused_where_it_shows_that_nobody_may_be_there() {
        let (none, loopback) = (allowed(&[]), allowed(&["loopback"]));
        for (text, refused) in [
            ("http://127.0.0.1:9000/x", true),
            ("http://[::1]:9000", true),
            ("http://localhost:9000", true),
            ("http://LOCALHOST.:9000", true),
            ("http://mail.localhost", true),
            ("http://[::ffff:127.0.0.1]", true),
            ("http://[0:0:0:0:0:ffff:7f00:1]:80", true),
            ("http://mail.internal/events?a=b", false),
            ("http://10.0.0.7", false),
        ] {
            let address: Address = text.parse().expect(text);
            assert_eq!(address.is_refused(&none), refused, "{text}");
            assert!(!address.is_refused(&loopback), "{text}");
        }
    }

    /// What was judged is where one connects: nobody is asked what an address means.
    #[tokio::test]
    async fn an_address_leads_to_itself_and_only_where_it_is_allowed() {
        let address: Address = "http://[::ffff:127.0.0.1]:9000/x".parse().expect("an address");
        let there: SocketAddr = "[::ffff:127.0.0.1]:9000".parse().expect("an address");
        assert_eq!(address.resolve(&allowed(&["loopback"])).await, Ok(vec![there]));
        assert!(address.resolve(&allowed(&[])).await.is_err());
        for name in ["http://1and1.example", "http://0x7f.example", "http://mail.a1"] {
            assert!(name.parse::<Address>().is_ok(), "{name}");
        }
    }

    #[test]
    fn an_address_is_a_url_without_user_and_tls() {
        let good: Address = "http://mail.internal/events?a=b".parse().expect("an address");
        assert_eq!((&good.host, good.port), (&Host::Name("mail.internal".to_owned()), 80));
        assert_eq!(good.target, "/events?a=b");
        let bare: Address = "http://mail:8080".parse().expect("an address");
        assert_eq!(
            (bare.target.to_string().as_str(), &bare.authority),
            ("/", &HeaderValue::from_static("mail:8080"))
        );
        for text in [
            "",
            "mail",
            "/events",
            "https://mail",
            "ftp://mail",
            "http://",
            "http://u:p@mail",
            "http://mail:0",
            // Addresses in other words: systems take each of these for 127.0.0.1.
            "http://127.1",
            "http://127.0.1:80/x",
            "http://0x7f.1",
            "http://0X7F000001",
            "http://0177.0.0.1",
            "http://2130706433",
            "http://127.0.0.1.",
            "http://127.0.0.01",
            "http://[127.0.0.1]",
            "http://[::1%25lo]",
            "http://mail.0x",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
