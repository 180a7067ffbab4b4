//! The `mall:` section of the settings file, as it is written.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use chassis::settings::text::Span;
use mistakes::{Mistake, Mistakes};
use serde::{Deserialize, Serialize};

/// The largest limit of sign-ins and sign-ups.
const LIMIT_MAX: u32 = 60_000;

/// The shortest time that an order is given: its deadline is looked at as often.
const ORDER_DEADLINE_MIN: Span = Span(Duration::from_secs(1));

/// Where account's public keys are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeysAt<'s> {
    /// Host and port.
    pub authority: &'s str,
    /// The path there.
    pub path: &'s str,
}

/// A number that has to be from 1 to [`LIMIT_MAX`], and where it stands.
struct Limit {
    path: [&'static str; 2],
    value: u32,
}

/// What the mall needs to know beside routes, views and pages.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where each service listens; every service is named.
    pub services: BTreeMap<Name, Service>,
    /// How often and how soon a failed event is tried again.
    pub handlers: Retries,
    /// How often a sign-in may fail.
    #[serde(default)]
    pub sign_in: SignIn,
    /// How often one may sign up.
    #[serde(default)]
    pub sign_up: SignUp,
    /// How long an order may be PENDING before it is rejected; for ever without it.
    pub order_deadline: Option<Span>,
    /// Whether the demo's users and products are written into an empty data folder.
    pub seed: bool,
    /// Where a process of its own finds the keys that tokens are verified with: `http://HOST:PORT/PATH`.
    #[serde(default = "keys_of_this_machine")]
    pub keys: String,
}

/// Where account has them.
fn keys_of_this_machine() -> String {
    "http://127.0.0.1:8090/.well-known/jwks.json".to_owned()
}

/// Failed sign-ins within a sliding window; one more is refused with 429. At least 1 of each.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SignIn {
    /// For one account from one address (IPv6: its /64).
    pub per_account_and_address: u32,
    /// From one address.
    pub per_address: u32,
    /// For one account from all addresses that never signed in to it.
    pub per_account: u32,
    /// How long a failure counts.
    pub within: Span,
}

/// Sign-ups of one address; one more is refused with 429. At least 1 of each.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SignUp {
    /// In the long run.
    pub per_minute: u32,
    /// At once.
    pub burst: u32,
}

impl Default for SignIn {
    fn default() -> SignIn {
        SignIn {
            per_account_and_address: 10,
            per_address: 100,
            per_account: 100,
            within: Span(Duration::from_secs(5 * 60)),
        }
    }
}

impl Default for SignUp {
    fn default() -> SignUp {
        SignUp { per_minute: 60, burst: 300 }
    }
}

/// One service.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Its own port.
    #[serde(deserialize_with = "chassis::http::address::deserialize")]
    pub listen: SocketAddr,
}

/// Retries of event handlers.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retries {
    /// Attempts in all before an event becomes a dead letter; at least 1.
    pub attempts: u32,
    /// Time between two attempts.
    pub backoff: Span,
}

/// The mall's services by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Name {
    /// Takes orders.
    Order,
    /// Keeps products and their stock.
    Product,
    /// Sends goods out.
    Delivery,
    /// Knows the users.
    Account,
    /// Shows each customer what became of the orders.
    Mypage,
}

impl Settings {
    /// What serde cannot see, each with its path from the file's root.
    pub fn mistakes(&self) -> Vec<Mistake> {
        let mut mistakes = Mistakes::default();
        mistakes.under("mall", |it| self.check(it));
        mistakes.found()
    }

    fn check(&self, mistakes: &mut Mistakes) {
        for name in Name::ALL.iter().filter(|name| !self.services.contains_key(name)) {
            mistakes.at(&["services"]).note(format!("`{name}` is missing"));
        }
        if self.handlers.attempts == 0 {
            mistakes.at(&["handlers", "attempts"]).note("must be at least 1");
        }
        if self.order_deadline.is_some_and(|it| it < ORDER_DEADLINE_MIN) {
            mistakes.at(&["order_deadline"]).note("must be at least 1s");
        }
        if self.keys_at().is_none() {
            let says = format!("must be `http://HOST:PORT/PATH`. keys=`{}`", self.keys);
            mistakes.at(&["keys"]).note(says);
        }
        for Limit { path, value } in self.limits() {
            if !(1..=LIMIT_MAX).contains(&value) {
                mistakes.at(&path).note(format!("must be from 1 to {LIMIT_MAX}"));
            }
        }
        if self.sign_in.within.0.is_zero() {
            mistakes.at(&["sign_in", "within"]).note("must be at least 1ms");
        }
    }

    fn limits(&self) -> [Limit; 5] {
        let (sign_in, sign_up) = (&self.sign_in, &self.sign_up);
        let limit = |path, value| Limit { path, value };
        [
            limit(["sign_in", "per_account_and_address"], sign_in.per_account_and_address),
            limit(["sign_in", "per_address"], sign_in.per_address),
            limit(["sign_in", "per_account"], sign_in.per_account),
            limit(["sign_up", "per_minute"], sign_up.per_minute),
            limit(["sign_up", "burst"], sign_up.burst),
        ]
    }

    /// Where the keys are.
    pub fn keys_at(&self) -> Option<KeysAt<'_>> {
        let rest = self.keys.strip_prefix("http://")?;
        let (authority, path) = rest.split_at(rest.find('/')?);
        let (host, port) = authority.rsplit_once(':')?;
        let is_there = !host.is_empty() && !host.contains('@') && port.parse::<u16>().is_ok();
        let is_path = path.bytes().all(|byte| byte.is_ascii_graphic());
        (is_there && is_path).then_some(KeysAt { authority, path })
    }

    /// How a subscription of the mall retries.
    pub fn retry(&self) -> events::Retry {
        events::Retry { attempts: self.handlers.attempts, backoff: self.handlers.backoff.0 }
    }
}

impl Name {
    /// Every service.
    pub const ALL: [Name; 5] =
        [Name::Order, Name::Product, Name::Delivery, Name::Account, Name::Mypage];

    /// The name in settings, addresses and events.
    pub fn as_str(self) -> &'static str {
        match self {
            Name::Order => "order",
            Name::Product => "product",
            Name::Delivery => "delivery",
            Name::Account => "account",
            Name::Mypage => "mypage",
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// No service of the mall has that name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a service of the mall")]
pub struct UnknownName;

impl FromStr for Name {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Name, UnknownName> {
        Name::ALL.into_iter().find(|name| name.as_str() == text).ok_or(UnknownName)
    }
}

#[cfg(test)]
mod tests {
    use chassis::settings::Tree;

    use super::*;

    #[derive(Deserialize)]
    struct File {
        mall: Settings,
    }

    fn read(text: &str) -> Result<Settings, String> {
        let tree = Tree::parse("mall.yaml", text).map_err(|mistakes| mistakes[0].to_string())?;
        let file: File = tree.read().map_err(|mistakes| mistakes[0].to_string())?;
        Ok(file.mall)
    }

    #[test]
    fn the_shipped_file_names_every_service_and_has_no_mistake() {
        let settings = read(crate::SETTINGS).expect("the shipped file is sound");
        assert_eq!(settings.mistakes(), []);
        let ports: Vec<u16> =
            Name::ALL.iter().map(|name| settings.services[name].listen.port()).collect();
        assert_eq!(ports, [8081, 8085, 8082, 8090, 8086]);
        assert_eq!(settings.retry().attempts, 3);
        assert_eq!(settings.retry().backoff, std::time::Duration::from_secs(1));
    }

    #[test]
    fn limits_of_sign_ins_and_sign_ups_are_checked() {
        let limits = |sign_in: &str, sign_up: &str| {
            let text = crate::SETTINGS.replace("sign_in: {", &format!("sign_in: {{ {sign_in},"));
            let text = text.replace("sign_up: {", &format!("sign_up: {{ {sign_up},"));
            read(&text).map(|settings| settings.mistakes().len())
        };
        assert!(limits("odd: 1", "odd: 1").is_err());
        let text = |sign_in: &str| {
            format!(
                "mall: {{ services: {{ order: {{ listen: 127.0.0.1:0 }} }}, seed: false,
                handlers: {{ attempts: 1, backoff: 1s }}, sign_in: {sign_in} }}"
            )
        };
        let says = |sign_in: &str| {
            let mistakes = read(&text(sign_in)).expect("it can be read").mistakes();
            mistakes.into_iter().map(|it| it.path.join(".")).collect::<Vec<_>>()
        };
        assert!(!says("{}").iter().any(|path| path.contains("sign")));
        assert!(says("{ per_address: 0 }").contains(&"mall.sign_in.per_address".to_owned()));
        assert!(says("{ per_account: 60001 }").contains(&"mall.sign_in.per_account".to_owned()));
        assert!(says("{ within: 0s }").contains(&"mall.sign_in.within".to_owned()));
    }

    #[test]
    fn keys_are_at_a_host_a_port_and_a_path() {
        let settings = |keys: &str| {
            let text =
                crate::SETTINGS.replace("seed: true", &format!("seed: true\n  keys: {keys}"));
            read(&text).expect("it can be read")
        };
        let shop = settings("http://account.shop:8090/.well-known/jwks.json");
        let there = KeysAt { authority: "account.shop:8090", path: "/.well-known/jwks.json" };
        assert_eq!(shop.keys_at(), Some(there));
        assert_eq!(shop.mistakes(), []);
        for wrong in
            ["account:8090/k", "https://a:1/k", "http://a/k", "http://a:1", "http://u@a:x/k"]
        {
            let paths: Vec<_> = settings(wrong).mistakes().into_iter().map(|it| it.path).collect();
            assert_eq!(paths, [["mall", "keys"]], "{wrong}");
        }
    }

    #[test]
    fn a_missing_service_no_attempts_and_an_unknown_key_are_refused() {
        let text = "mall: { services: { order: { listen: 127.0.0.1:0 } },
            handlers: { attempts: 0, backoff: 1s }, seed: false }";
        let mistakes = read(text).expect("it can be read").mistakes();
        let says: Vec<&str> = mistakes.iter().map(|mistake| mistake.says.as_str()).collect();
        assert_eq!(
            says,
            [
                "`product` is missing",
                "`delivery` is missing",
                "`account` is missing",
                "`mypage` is missing",
                "must be at least 1"
            ]
        );
        assert!(read(&text.replace("seed: false", "seed: false, sed: 1")).is_err());
        assert!(read(&text.replace("order:", "orders:")).is_err());
    }
}
