//! What holds and is hardly meant: an open pattern around something closed, a way that nobody can go,
//! an upstream that is the gateway.
//!
//! Pure, over the entries of the finished table; nobody is kept from starting by a warning.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use chassis::http::router::USUAL;
use http::Method;
use mistakes::Mistake;

use super::{Anonymous, On, Placed, Plan, PlanBuilder, Route};
use crate::endpoint::Endpoint;
use crate::paths::Action;
use crate::settings::Settings;

/// What is said of everything that needs a token where none can be verified.
const NO_KEYS: &str = "there are no keys here to verify a token with";

/// An upstream that is one of the gateway's own listeners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardingLoop {
    /// Where it is named, and what it is.
    pub mistake: Mistake,
    /// Whether a route of that very listener leads there: what it passes on comes back for ever.
    pub certain: bool,
}

/// Where a request may go: from a listener to an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lead {
    from: On,
    upstream: usize,
}

/// One of the gateway's own listeners.
struct Listener {
    setting: &'static str,
    on: On,
    address: SocketAddr,
}

impl Plan {
    /// What is hardly meant, each with its path.
    pub fn warnings(&self) -> &[Mistake] {
        &self.warnings
    }

    /// What can never work where no token can be verified, each with its path.
    pub fn without_keys(&self) -> &[Mistake] {
        &self.without_keys
    }

    /// The upstreams that no route leads to; not these, which others than routes may ask.
    pub fn unused_upstreams(&self, asked: &[&str]) -> Vec<Mistake> {
        let is_used = |at| self.leads.iter().any(|lead| lead.upstream == at);
        let names = self.upstreams.iter().map(|upstream| upstream.name.as_str());
        let unused =
            names.clone().enumerate().filter(|(at, name)| !is_used(*at) && !asked.contains(name));
        let says = |at: usize, name: &str| {
            let others = names.clone().filter(|other| *other != name);
            let unknown = mistakes::unknown("upstream", name, others);
            Mistake::new(&self.upstreams[at].setting, format!("no route leads to it: {unknown}"))
        };
        unused.map(|(at, name)| says(at, name)).collect()
    }

    /// The upstreams that are the gateway, listening at these addresses.
    pub fn loops(&self, outer: SocketAddr, inner: SocketAddr) -> Vec<ForwardingLoop> {
        let listeners = [
            Listener { setting: "listen", on: On::Outer, address: outer },
            Listener { setting: "inner", on: On::Inner, address: inner },
        ];
        let at_itself = |upstream: usize| {
            let listeners = listeners.iter();
            listeners.filter_map(move |listener| self.at_itself(upstream, listener))
        };
        (0..self.upstreams.len()).flat_map(at_itself).collect()
    }

    /// The loop that an upstream closes if this listener is one of its addresses.
    fn at_itself(&self, at: usize, listener: &Listener) -> Option<ForwardingLoop> {
        let upstream = &self.upstreams[at];
        let Listener { setting, on, address } = *listener;
        if !upstream.endpoints.iter().any(|endpoint| endpoint.is_at(address)) {
            return None;
        }
        let says = format!(
            "the upstream is this gateway itself, `{setting}` of these settings. address=`{address}`"
        );
        let certain = self.leads.contains(&Lead { from: on, upstream: at });
        Some(ForwardingLoop { mistake: Mistake::new(&upstream.setting, says), certain })
    }
}

impl Endpoint {
    /// Whether connecting there reaches who listens at `address`.
    fn is_at(&self, address: SocketAddr) -> bool {
        if self.port != address.port() || address.port() == 0 {
            return false;
        }
        let host = self.host.strip_suffix('.').unwrap_or(&self.host).to_ascii_lowercase();
        let listening = address.ip().to_canonical();
        if host == "localhost" || host.ends_with(".localhost") {
            return is_here(listening);
        }
        let written: Option<IpAddr> = host.parse().ok();
        let written = written.or_else(|| numbers(&host).map(IpAddr::V4));
        written.is_some_and(|host| meets(host.to_canonical(), listening))
    }
}

fn is_here(address: IpAddr) -> bool {
    address.is_loopback() || address.is_unspecified()
}

/// Whoever listens everywhere is met at the loopback, and whoever connects to no address in
/// particular comes out there; a listener on all of IPv6 has IPv4 too.
fn meets(host: IpAddr, listening: IpAddr) -> bool {
    let both = listening.is_ipv6() && listening.is_unspecified();
    let family = host.is_ipv4() == listening.is_ipv4() || both;
    let anywhere = (listening.is_unspecified() && is_here(host))
        || (host.is_unspecified() && is_here(listening));
    host == listening || (family && anywhere)
}

/// An address as `inet_aton` reads it: one to four numbers, decimal, octal or hexadecimal, the last
/// filling what is left.
fn numbers(host: &str) -> Option<Ipv4Addr> {
    let parts: Vec<u32> = host.split('.').map(number).collect::<Option<_>>()?;
    let (last, bytes) = parts.split_last()?;
    if bytes.len() > 3 || bytes.iter().any(|byte| *byte > 255) {
        return None;
    }
    let room = 8 * (4 - bytes.len() as u32);
    if u64::from(*last) >> room != 0 {
        return None;
    }
    let first =
        bytes.iter().zip([24, 16, 8]).fold(0, |address, (byte, shift)| address | byte << shift);
    Some(Ipv4Addr::from(first | last))
}

/// One part of such an address.
fn number(text: &str) -> Option<u32> {
    let (digits, radix) = match text.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None => match text.strip_prefix('0') {
            Some(digits) if !digits.is_empty() => (digits, 8),
            _ => (text, 10),
        },
    };
    if digits.starts_with('+') { None } else { u32::from_str_radix(digits, radix).ok() }
}

/// Fills in what is to be said of a finished plan.
pub(super) fn note(settings: &Settings, builder: &mut PlanBuilder) {
    builder.plan.warnings = covered(builder).into_iter().chain(unasked(builder)).collect();
    builder.plan.without_keys = without_keys(settings, builder);
    builder.plan.leads = leads(builder);
}

fn leads(builder: &PlanBuilder) -> Vec<Lead> {
    let to = |placed: &Placed| {
        let route = match placed.entry.action {
            Action::Proxy(route) => route,
            Action::Session => builder.plan.session.as_ref()?.sign_in,
            _ => return None,
        };
        Some(Lead { from: placed.on, upstream: builder.plan.routes[route].upstream })
    };
    builder.entries.iter().filter_map(to).collect()
}

/// Every role that nobody is asked for: its route is open to everybody or whoever is signed in by all methods
/// that it takes, or stands on the inner listener, which asks for none.
fn unasked(builder: &PlanBuilder) -> Vec<Mistake> {
    let mut found = Vec::new();
    for (at, route) in builder.plan.routes.iter().enumerate() {
        let anybody = |method: &Method| route.open.to(method) || route.signed_in.contains(method);
        let asks = |placed: &Placed| match &placed.entry.methods {
            _ if placed.on == On::Inner => false,
            None => route.open != Anonymous::Everything,
            Some(methods) => !methods.iter().all(anybody),
        };
        let mut placed = builder.entries.iter().filter(|it| it.entry.action == Action::Proxy(at));
        if let Some(role) = route.role.as_ref().filter(|_| !placed.any(asks)) {
            let says =
                format!("nobody is asked for this role: nothing here needs it. role=`{role}`");
            found.push(Mistake::new(&["routes", &route.name, "role"], says));
        }
    }
    found
}

/// Every open pattern around something that is closed.
fn covered(builder: &PlanBuilder) -> Vec<Mistake> {
    // Services call one another without a token on the inner listener: nothing is closed there.
    let outer = || builder.entries.iter().filter(|placed| placed.on != On::Inner);
    let mut found = Vec::new();
    for around in outer().filter(|placed| is_pattern(&placed.text)) {
        let Action::Proxy(route) = around.entry.action else { continue };
        let open = &builder.plan.routes[route].open;
        for inside in outer().filter(|inside| is_around(around, inside)) {
            let takes = |method: &Method| around.entry.takes(method) && open.to(method);
            if let Some(method) = escapes(&builder.plan, takes, inside) {
                let says = format!(
                    "`{}` is open and covers `{}`, which is closed by `{}`: what misses \
                     that path by a little reaches the service without a token. method=`{method}`",
                    around.text,
                    inside.text,
                    inside.setting.join("."),
                );
                found.push(Mistake::new(&around.setting, says));
            }
        }
    }
    found
}

/// Whether a path has a part that more than one text is: what misses another path may be it.
fn is_pattern(text: &str) -> bool {
    text.ends_with("/**") || text.contains('{')
}

fn is_around(around: &Placed, inside: &Placed) -> bool {
    let (one, other) = (&around.entry, &inside.entry);
    // Two patterns of one route guard nothing from each other.
    one.action != other.action
        && one.pattern.rank() < other.pattern.rank()
        && one.pattern.overlaps(&other.pattern)
}

/// A method that the pattern around `is_open` to anybody by and what it covers is not.
fn escapes(plan: &Plan, is_open: impl Fn(&Method) -> bool, inside: &Placed) -> Option<Method> {
    // Also the methods of its own that nobody knows: they are closed like the others.
    let named = inside.entry.methods.iter().flatten();
    let mut methods = USUAL.iter().chain(named);
    let closed = |method: &Method| {
        inside.entry.takes(method) && is_closed(plan, inside.entry.action, method)
    };
    methods.find(|method| is_open(method) && closed(method)).cloned()
}

/// Whether an entry's action needs a token. Sign-in and topics are not among them: nobody has
/// written their paths, and what lies beside them is not what they guard.
fn is_closed(plan: &Plan, action: Action, method: &Method) -> bool {
    let private = |page: usize| plan.pages[page].private;
    match action {
        Action::Proxy(route) => !plan.routes[route].open.to(method),
        Action::Page(page) | Action::Live(page) => private(page),
        Action::Own(_) => true,
        Action::List(at) => !plan.lists[at].named || private(plan.lists[at].page),
        Action::Head(at) => private(plan.heads[at].page),
        Action::Events
        | Action::Trace { .. }
        | Action::Publish
        | Action::Fetch(_)
        | Action::Schedule
        | Action::Session => false,
    }
}

/// Everything that asks for a token.
fn without_keys(settings: &Settings, builder: &PlanBuilder) -> Vec<Mistake> {
    let plan = &builder.plan;
    let mut found = Vec::new();
    let mut say = |path: &[&str], says: &str| {
        found.push(Mistake::new(path, format!("{says}: {NO_KEYS}")));
    };
    for placed in builder.entries.iter().filter(|placed| placed.on != On::Inner) {
        let Action::Proxy(at) = placed.entry.action else { continue };
        let Route { name, role, signed_in, open, .. } = &plan.routes[at];
        let methods = placed.entry.methods.as_deref().unwrap_or(&USUAL);
        // One line for each route, the strongest: the others follow from it.
        if role.is_some() {
            say(&["routes", name, "role"], "nobody can have this role");
        } else if !signed_in.is_empty() {
            say(&["routes", name, "signed_in"], "nobody can be signed in");
        } else if !methods.iter().all(|method| open.to(method)) {
            let step = if *open == Anonymous::Nothing { "path" } else { "open" };
            say(&["routes", name, step], "what is not open is closed to everybody");
        }
    }
    for page in &plan.pages {
        if page.private {
            say(&["pages", &page.name], "a private page is closed to everybody");
        } else if page.own.is_some() {
            say(&["pages", &page.name, "own"], "nobody has a page of his own");
        }
    }
    for (name, list) in settings.lists.keys().zip(&plan.lists) {
        if !list.named && !plan.pages[list.page].private {
            say(&["lists", name, "path"], "nobody has a list of his own");
        }
    }
    if settings.session.is_some() {
        say(&["session"], "nobody can be signed in by a cookie");
    }
    // What is published comes by `inner` all the same.
    if settings.events.as_ref().is_some_and(|events| events.role.is_some()) {
        say(&["events"], "topics are closed to everybody");
    }
    // A route with several paths was found once for each.
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reaches(upstream: &str, listen: &str) -> bool {
        let endpoint = Endpoint::parse(upstream).expect(upstream);
        endpoint.is_at(listen.parse().expect("an address"))
    }

    #[test]
    fn the_gateway_is_known_by_every_spelling_of_its_address() {
        let loopback = [
            "http://127.0.0.1:8088",
            "http://localhost:8088",
            "http://LocalHost.:8088",
            "http://shop.localhost:8088",
            "http://0.0.0.0:8088",
            "http://0:8088",
            "http://127.1:8088",
            "http://2130706433:8088",
            "http://0x7f.0.0.1:8088",
            "http://0177.0.0.1:8088",
            "http://[::ffff:127.0.0.1]:8088",
        ];
        for upstream in loopback {
            for listen in ["127.0.0.1:8088", "0.0.0.0:8088", "[::]:8088"] {
                assert!(reaches(upstream, listen), "{upstream} {listen}");
            }
        }
        for (upstream, listen) in [
            ("http://[::1]:8088", "[::1]:8088"),
            ("http://[::1]:8088", "[::]:8088"),
            ("http://[::]:8088", "[::1]:8088"),
            ("http://localhost:8088", "[::1]:8088"),
            ("http://localhost", "127.0.0.1:80"),
            ("http://10.0.0.1:8088", "10.0.0.1:8088"),
        ] {
            assert!(reaches(upstream, listen), "{upstream} {listen}");
        }
    }

    #[test]
    fn another_port_or_machine_is_another_service() {
        for (upstream, listen) in [
            ("http://127.0.0.1:8081", "127.0.0.1:8088"),
            ("http://127.0.0.2:8088", "127.0.0.1:8088"),
            ("http://10.0.0.1:8088", "127.0.0.1:8088"),
            ("http://10.0.0.1:8088", "0.0.0.0:8088"),
            ("http://[::1]:8088", "127.0.0.1:8088"),
            ("http://localhost.example:8088", "127.0.0.1:8088"),
            ("http://order:8088", "0.0.0.0:8088"),
            ("http://256.1:8088", "127.0.0.1:8088"),
            ("http://127.0.0.0.1:8088", "127.0.0.1:8088"),
            ("http://localhost:8088", "10.0.0.1:8088"),
            ("http://127.0.0.1:8088", "127.0.0.1:0"),
        ] {
            assert!(!reaches(upstream, listen), "{upstream} {listen}");
        }
    }
}
