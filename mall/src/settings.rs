//! The `mall:` section of the settings file, as it is written.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use chassis::settings::text::Span;
use serde::{Deserialize, Serialize};

/// What the mall needs to know beside routes, views and pages.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where each service listens; every service is named.
    pub services: BTreeMap<Name, Service>,
    /// How often and how soon a failed event is tried again.
    pub handlers: Handler,
    /// Whether the demo's users and products are written into an empty data folder.
    pub seed: bool,
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
pub struct Handler {
    /// Attempts in all before an event becomes a dead letter; at least 1.
    pub attempts: u32,
    /// Time between two attempts.
    pub backoff: Span,
}

/// A mistake in this section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The setting's path, from the file's root.
    pub path: Vec<String>,
    /// What is wrong with it.
    pub says: String,
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
    /// What serde cannot see.
    pub fn mistakes(&self) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        for name in Name::ALL {
            if !self.services.contains_key(&name) {
                let path = vec!["mall".into(), "services".into()];
                mistakes.push(Mistake { path, says: format!("`{name}` is missing") });
            }
        }
        if self.handlers.attempts == 0 {
            let path = vec!["mall".into(), "handlers".into(), "attempts".into()];
            mistakes.push(Mistake { path, says: "must be at least 1".into() });
        }
        mistakes
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
