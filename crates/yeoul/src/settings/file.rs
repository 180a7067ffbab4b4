//! The settings file as it is written, and which of it is whose.

use std::collections::BTreeMap;
use std::mem;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use chassis::http::Networks;
use chassis::identity::Role;
use serde::Deserialize;
use views::Money;

use super::composition::Composition;
use super::{look, mall, topics};

/// The issuer of our tokens where the file names no other: a name and no address, so that a token survives a restart
/// on another port.
const ISSUER_DEFAULT: &str = "yeoul";

/// The file, as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    #[serde(default = "default_listen", deserialize_with = "chassis::http::address::deserialize")]
    pub(super) listen: SocketAddr,
    /// Where routes with `listener: inner` are served.
    #[serde(default = "default_inner", deserialize_with = "chassis::http::address::deserialize")]
    pub(super) inner: SocketAddr,
    #[serde(default = "default_admin", deserialize_with = "chassis::http::address::deserialize")]
    pub(super) admin: SocketAddr,
    #[serde(default = "default_data")]
    pub(super) data: PathBuf,
    /// Where databases are: in files there, or on a server.
    pub(super) store: Option<String>,
    /// Proxies that are believed about where a request comes from.
    #[serde(default)]
    pub(super) trusted: Networks,
    /// Headers that clients may not send, beside those that never pass.
    #[serde(default)]
    pub(super) identity_headers: Vec<String>,
    /// How long a body may stand still where a route does not say.
    pub(super) idle_timeout: Option<chassis::settings::text::Span>,
    /// Who signs the tokens that are believed, and ours.
    #[serde(default = "default_issuer")]
    pub(super) issuer: String,
    /// The roles that there are.
    #[serde(default)]
    pub(super) roles: Vec<Role>,
    /// The languages of pages, the usual one first.
    #[serde(default)]
    pub(super) locales: look::Locales,
    /// How pages write amounts of money.
    #[serde(default)]
    pub(super) money: Money,
    #[serde(default)]
    pub(super) foreign_tokens: gateway::settings::ForeignTokens,
    #[serde(default)]
    pub(super) upstreams: BTreeMap<String, gateway::settings::Upstream>,
    #[serde(default)]
    pub(super) routes: BTreeMap<String, gateway::settings::Route>,
    pub(super) app: Option<gateway::settings::App>,
    pub(super) session: Option<gateway::settings::Session>,
    #[serde(default)]
    pub(super) events: topics::Events,
    #[serde(default)]
    pub(super) lists: BTreeMap<String, gateway::settings::List>,
    #[serde(default)]
    pub(super) heads: BTreeMap<String, gateway::settings::PageHead>,
    #[serde(default)]
    pub(super) views: BTreeMap<String, views::settings::View>,
    #[serde(default)]
    pub(super) pages: BTreeMap<String, views::settings::Page>,
    pub(super) mall: Option<mall::Section>,
}

impl File {
    /// What is in this program besides the layer, for these settings.
    pub(super) fn composition(&self) -> Composition {
        self.mall.as_ref().map_or(Composition::LAYER_ALONE, |_| mall::composition())
    }

    /// The views' part, which is taken out of it.
    pub(super) fn take_views(&mut self) -> views::Settings {
        views::Settings { views: mem::take(&mut self.views), pages: mem::take(&mut self.pages) }
    }

    /// The gateway's part, which is taken out of it.
    pub(super) fn take_gateway(&mut self) -> gateway::Settings {
        gateway::Settings {
            trusted: mem::take(&mut self.trusted),
            identity_headers: mem::take(&mut self.identity_headers),
            roles: mem::take(&mut self.roles),
            foreign_tokens: mem::take(&mut self.foreign_tokens),
            idle_timeout: self.idle_timeout.take(),
            upstreams: mem::take(&mut self.upstreams),
            routes: mem::take(&mut self.routes),
            app: self.app.take(),
            session: self.session.take(),
            events: self.events.gateway(),
            lists: mem::take(&mut self.lists),
            heads: mem::take(&mut self.heads),
        }
    }
}

pub(super) fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn default_listen() -> SocketAddr {
    loopback(8088)
}

fn default_inner() -> SocketAddr {
    loopback(0)
}

fn default_admin() -> SocketAddr {
    loopback(9088)
}

fn default_issuer() -> String {
    ISSUER_DEFAULT.to_owned()
}

fn default_data() -> PathBuf {
    "data".into()
}
