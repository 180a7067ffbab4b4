//! The settings file as a whole: each member's section, compiled before anything is opened.
//!
//! The mall's own file is embedded and read by the same code as anybody's; `-c FILE` is laid over it,
//! variables over both. What comes out is a [`Checked`]: everything validated, nothing started.

mod look;
mod templates;
mod topics;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use chassis::http::Networks;
use chassis::identity::{ISSUER_DEFAULT, Role};
use chassis::settings::Tree;
use events::Declared;
use mistakes::{Line, Mistake, Mistakes};
use serde::Deserialize;
use serde_json::Value;
use views::{Definitions, Look, Money};

use crate::cli::ProcessArgs;
use crate::exit::Failure;

/// How mistakes name the mall's own file.
const EMBEDDED: &str = "mall/yeoul.yaml";
/// How they name what is laid below a file that has a session.
const SESSION: &str = "mall/session.yaml";
/// The longest name of an issuer of tokens.
const ISSUER_BYTES_MAX: usize = 255;

/// What a file is laid over.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Base {
    Mall,
    Nothing,
}

/// Settings that hold, ready to be started.
pub(crate) struct Checked {
    pub(crate) listen: SocketAddr,
    pub(crate) inner: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) data: PathBuf,
    /// Who signs the tokens that are believed.
    pub(crate) issuer: String,
    /// What pages look like, before there is an app.
    pub(crate) look: Look,
    pub(crate) topics: Vec<Declared>,
    /// The broker, where it is not the data folder's own log.
    pub(crate) broker: Option<brokers::Settings>,
    pub(crate) definitions: Definitions,
    pub(crate) gateway: gateway::Plan,
    pub(crate) mall: Option<mall::Settings>,
    /// What holds and is hardly meant, with its line.
    pub(crate) warnings: Vec<Mistake>,
    /// Routes that lead to the gateway itself: a mistake to `check`, while a gateway that runs refuses
    /// what comes back (508) and serves the rest.
    pub(crate) loops: Vec<Mistake>,
    /// The settings in force, for `/admin/settings`.
    pub(crate) shown: Value,
}

/// The file, as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default = "default_listen", deserialize_with = "chassis::http::address::deserialize")]
    listen: SocketAddr,
    /// Where routes with `listener: inner` are served.
    #[serde(default = "default_inner", deserialize_with = "chassis::http::address::deserialize")]
    inner: SocketAddr,
    #[serde(default = "default_admin", deserialize_with = "chassis::http::address::deserialize")]
    admin: SocketAddr,
    #[serde(default = "default_data")]
    data: PathBuf,
    /// Proxies that are believed about where a request comes from.
    #[serde(default)]
    trusted: Networks,
    /// Headers that clients may not send, beside those that never pass.
    #[serde(default)]
    identity_headers: Vec<String>,
    /// How long a body may stand still where a route does not say.
    idle_timeout: Option<chassis::settings::text::Span>,
    /// Who signs the tokens that are believed, and ours.
    #[serde(default = "default_issuer")]
    issuer: String,
    /// The roles that there are.
    #[serde(default)]
    roles: Vec<Role>,
    /// The languages of pages, the usual one first.
    #[serde(default)]
    locales: look::Locales,
    /// How pages write amounts of money.
    #[serde(default)]
    money: Money,
    #[serde(default)]
    foreign_tokens: gateway::settings::ForeignTokens,
    #[serde(default)]
    upstreams: BTreeMap<String, gateway::settings::Upstream>,
    #[serde(default)]
    routes: BTreeMap<String, gateway::settings::Route>,
    app: Option<gateway::settings::App>,
    session: Option<gateway::settings::Session>,
    #[serde(default)]
    events: topics::Events,
    #[serde(default)]
    lists: BTreeMap<String, gateway::settings::List>,
    #[serde(default)]
    heads: BTreeMap<String, gateway::settings::Head>,
    #[serde(default)]
    views: BTreeMap<String, views::settings::View>,
    #[serde(default)]
    pages: BTreeMap<String, views::settings::Page>,
    mall: Option<mall::Settings>,
}

fn loopback(port: u16) -> SocketAddr {
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

/// Reads, checks and compiles; the arguments of the command line have the last word.
pub(crate) fn checked(
    base: Base,
    config: Option<&Path>,
    process: &ProcessArgs,
) -> Result<Checked, Failure> {
    let mut checked = load(base, config, process.listen).map_err(|mistakes| {
        let lines: Vec<String> = mistakes.iter().map(Mistake::to_string).collect();
        Failure::input(lines.join("\n"), "mend the settings; nothing was started")
    })?;
    for warning in checked.loops.iter().chain(&checked.warnings) {
        tracing::warn!("{warning}");
    }
    checked.override_by(process);
    if !checked.admin.ip().is_loopback() {
        let says = format!("the admin listener is for loopback alone. address=`{}`", checked.admin);
        return Err(Failure::input(says, "name a loopback address with --admin"));
    }
    Ok(checked)
}

/// Reads, checks and compiles; `listen` where the command line moves the gateway.
///
/// # Errors
/// Every mistake that was found.
pub(crate) fn load(
    base: Base,
    config: Option<&Path>,
    listen: Option<SocketAddr>,
) -> Result<Checked, Vec<Mistake>> {
    let embedded = match base {
        Base::Mall => Some(Tree::parse(EMBEDDED, mall::SETTINGS)?),
        Base::Nothing => None,
    };
    // The mall's own file is read by the same code as anybody's; only what it is laid over differs.
    let given = config.map(parse).transpose()?;
    let tree = match (embedded, given) {
        (Some(embedded), Some(given)) => embedded.overlay(given),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => Tree::parse("nothing", "")?,
    };
    let tree =
        if tree.has("session") { Tree::parse(SESSION, mall::SESSION)?.overlay(tree) } else { tree };
    // Last, so that a variable has the word over any file.
    let tree = tree.override_by(chassis::settings::environment())?;
    compile(&tree, config, listen)
}

fn parse(path: &Path) -> Result<Tree, Vec<Mistake>> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|error| {
        let says = format!("cannot be read: {error}");
        vec![Mistake::new(&[""; 0], says).at(Line { file: file.clone(), number: 0 })]
    })?;
    Tree::parse(&file, &text)
}

fn compile(
    tree: &Tree,
    config: Option<&Path>,
    listen: Option<SocketAddr>,
) -> Result<Checked, Vec<Mistake>> {
    let file: File = tree.read()?;
    let listen = listen.unwrap_or(file.listen);
    let views = views::Settings { views: file.views, pages: file.pages };
    let own = file.mall.is_some();
    let definitions = Definitions::compile(&views, &|name| templates::find(config, own, name))
        .map_err(|list| located(tree, list))?;
    let settings = gateway::Settings {
        trusted: file.trusted,
        identity_headers: file.identity_headers,
        roles: file.roles,
        foreign_tokens: file.foreign_tokens,
        idle_timeout: file.idle_timeout,
        upstreams: file.upstreams,
        routes: file.routes,
        app: file.app,
        session: file.session,
        events: file.events.gateway(),
        lists: file.lists,
        heads: file.heads,
    };
    let mut mistakes = located(tree, file.mall.iter().flat_map(mall::Settings::mistakes));
    let mut found = Mistakes::default();
    let look = look::compile(file.locales, file.money, &mut found);
    check_issuer(&file.issuer, &mut found);
    check_loopback(&[("inner", file.inner), ("admin", file.admin)], &mut found);
    let heard = settings.session.as_ref().and_then(|session| session.topic.as_deref());
    check_heard(heard.filter(|_| own), &mut found);
    let strays = file.events.strays(&views.views, heard, if own { &mall::TOPICS } else { &[] });
    let (wrong, stray) = if own { (strays, Vec::new()) } else { (Vec::new(), strays) };
    mistakes.extend(located(tree, found.found().into_iter().chain(wrong)));
    let named = named_topics(&definitions, file.mall.is_some(), heard);
    let topics = or_noted(tree, &mut mistakes, file.events.declared(&named));
    let broker = or_noted(tree, &mut mistakes, file.events.broker());
    let gateway = match gateway::compile(&settings, &definitions) {
        Ok(gateway) => gateway,
        Err(list) => {
            mistakes.extend(located(tree, list));
            return Err(mistakes);
        }
    };
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    let listeners = Listeners { outer: listen, inner: file.inner };
    let HardlyMeant { loops, mut warnings } =
        hardly_meant(tree, &gateway, &listeners, file.mall.is_some());
    warnings.extend(located(tree, stray));
    Ok(Checked {
        listen: file.listen,
        inner: file.inner,
        admin: file.admin,
        data: file.data,
        issuer: file.issuer,
        look,
        topics,
        broker,
        definitions,
        gateway,
        mall: file.mall,
        warnings,
        loops,
        shown: tree.json(),
    })
}

/// Where the gateway listens.
struct Listeners {
    outer: SocketAddr,
    inner: SocketAddr,
}

/// What holds and is hardly meant.
struct HardlyMeant {
    /// Routes that certainly lead to the gateway itself.
    loops: Vec<Mistake>,
    /// Everything else.
    warnings: Vec<Mistake>,
}

/// Only the mall has an account service, and with it keys to verify tokens with.
fn hardly_meant(
    tree: &Tree,
    gateway: &gateway::Plan,
    listeners: &Listeners,
    keys: bool,
) -> HardlyMeant {
    let (certain, maybe): (Vec<_>, Vec<_>) = gateway
        .loops(listeners.outer, listeners.inner)
        .into_iter()
        .partition(|found| found.certain);
    let without_keys = if keys { &[] } else { gateway.without_keys() };
    let listed = gateway.warnings().iter().chain(without_keys).cloned();
    let warnings = maybe.into_iter().map(|found| found.mistake).chain(listed);
    let loops = certain.into_iter().map(|found| found.mistake);
    HardlyMeant { loops: located(tree, loops), warnings: located(tree, warnings) }
}

/// What was compiled; nothing where mistakes were found instead, which are noted.
fn or_noted<T: Default>(
    tree: &Tree,
    mistakes: &mut Vec<Mistake>,
    compiled: Result<T, Vec<Mistake>>,
) -> T {
    compiled.unwrap_or_else(|list| {
        mistakes.extend(located(tree, list));
        T::default()
    })
}

/// The same mistakes, each with its line.
fn located(tree: &Tree, mistakes: impl IntoIterator<Item = Mistake>) -> Vec<Mistake> {
    mistakes.into_iter().map(|mistake| tree.locate(mistake)).collect()
}

/// The topics of the mall, those that views read, and the one on which sign-ins end, each with the path of
/// who names it.
fn named_topics(
    definitions: &Definitions,
    mall: bool,
    heard: Option<&str>,
) -> BTreeMap<String, Vec<&'static str>> {
    let mut named: BTreeMap<String, Vec<&str>> =
        definitions.topics().into_iter().map(|name| (name, vec!["views"])).collect();
    named.extend(heard.map(|name| (name.to_owned(), vec!["session", "topic"])));
    if mall {
        named.extend(mall::TOPICS.map(|name| (name.to_owned(), vec!["mall"])));
    }
    named
}

/// Sign-ins of the mall end on a topic of the mall: on another one nobody would ever hear of it.
fn check_heard(heard: Option<&str>, mistakes: &mut Mistakes) {
    if let Some(name) = heard.filter(|name| !mall::TOPICS.contains(name)) {
        mistakes.at(&["session", "topic"]).unknown("topic", name, mall::TOPICS);
    }
}

/// What asks for no token is for this machine.
fn check_loopback(listeners: &[(&str, SocketAddr)], mistakes: &mut Mistakes) {
    for (name, _) in listeners.iter().filter(|(_, address)| !address.ip().is_loopback()) {
        mistakes.at(&[name]).note("must be a loopback address");
    }
}

/// An issuer is named in every token, and compared letter by letter.
fn check_issuer(issuer: &str, mistakes: &mut Mistakes) {
    let fits = (1..=ISSUER_BYTES_MAX).contains(&issuer.len());
    if !fits || !issuer.bytes().all(|byte| byte.is_ascii_graphic()) {
        let says = format!("1 to {ISSUER_BYTES_MAX} visible ASCII characters. issuer=`{issuer}`");
        mistakes.at(&["issuer"]).note(says);
    }
}

impl Checked {
    /// The command line has the last word.
    fn override_by(&mut self, process: &ProcessArgs) {
        if let Some(data) = &process.data {
            self.data.clone_from(data);
        }
        if let Some(listen) = process.listen {
            self.listen = listen;
            if listen.port() == 0 {
                self.free_every_port();
            }
        }
        if let Some(admin) = process.admin {
            self.admin = admin;
        }
    }

    /// Port 0 for the gateway gives every listener a free port.
    fn free_every_port(&mut self) {
        self.admin.set_port(0);
        self.inner.set_port(0);
        if let Some(mall) = &mut self.mall {
            mall.services.values_mut().for_each(|service| service.listen.set_port(0));
        }
    }
}

#[cfg(test)]
mod tests;
