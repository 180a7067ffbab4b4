//! The settings file as a whole: each member's section, compiled before anything is opened.
//!
//! The mall's own file is embedded and read by the same code as anybody's; `-c FILE` is laid over it,
//! variables over both. What comes out is a [`Checked`]: everything validated, nothing started.

mod composition;
mod contracts;
mod file;
mod look;
mod mall;
pub(crate) mod outboxes;
pub(crate) mod pii;
mod retention;
mod schedules;
mod store;
pub(crate) mod subscriptions;
mod templates;
mod topics;

use std::collections::BTreeMap;
use std::mem;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use chassis::sealing::SealingKey;
use chassis::settings::Tree;
use events::schedules::Limits;
use events::store::Host;
use events::{Declared, Retention, Topic};
use mistakes::{Line, Mistake, Mistakes};
use serde_json::Value;
use views::{Definitions, Look};

use crate::cli::ProcessArgs;
use crate::exit::Failure;
use composition::Composition;
use file::File;
use outboxes::Outbox;
use subscriptions::Elsewhere;

/// The longest name of an issuer of tokens.
const ISSUER_BYTES_MAX: usize = 255;

/// What a file is laid over.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Base {
    Mall,
    Nothing,
}

/// The topics of a process, and what those of them keep that do not keep everything.
pub(crate) struct Topics {
    pub(crate) all: Vec<Declared>,
    pub(crate) retained: BTreeMap<Topic, Retention>,
    /// Those whose events are taken from outside and go through another broker.
    pub(crate) taken: Vec<Declared>,
    /// What those of them promise that do.
    pub(crate) contracts: gateway::Contracts,
    /// What is personal in events of those that have such.
    pub(crate) pii: pii::Rules,
    /// How they are published to and read over HTTP; nothing where neither is.
    pub(crate) over_http: Option<gateway::settings::Events>,
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
    pub(crate) topics: Topics,
    /// The broker, where it is not the data folder's own log.
    pub(crate) broker: Option<brokers::Settings>,
    /// The server that databases are on, where they are not in the data folder.
    pub(crate) host: Option<Host>,
    /// What seals the keys there, once the command that needs them has looked for it.
    pub(crate) sealing: Option<SealingKey>,
    /// Tables of others whose rows are published.
    pub(crate) outboxes: Vec<Outbox>,
    /// Who has events delivered elsewhere.
    pub(crate) subscriptions: Vec<Elsewhere>,
    /// What may be published at a time to come, if anything.
    pub(crate) schedules: Option<Limits>,
    pub(crate) definitions: Definitions,
    pub(crate) gateway: gateway::Plan,
    pub(crate) mall: Option<mall::Section>,
    /// What holds and is hardly meant, with its line.
    pub(crate) warnings: Vec<Mistake>,
    /// Routes that lead to the gateway itself: a mistake to `check`, while a gateway that runs refuses
    /// what comes back (508) and serves the rest.
    pub(crate) loops: Vec<Mistake>,
    /// The settings in force, for `/admin/settings`.
    pub(crate) shown: Value,
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
        Base::Mall => Some(mall::embedded()?),
        Base::Nothing => None,
    };
    // The mall's own file is read by the same code as anybody's; only what it is laid over differs.
    let given = config.map(parse).transpose()?;
    let tree = match (embedded, given) {
        (Some(embedded), Some(given)) => embedded.overlay(given),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => Tree::parse("nothing", "")?,
    };
    // Present in any case, so that a variable can name it.
    let tree = Tree::parse(NOT_SAID, USUAL)?.overlay(tree);
    // Last, so that a variable has the word over any file.
    let tree = tree.override_by(chassis::settings::environment())?;
    compile(&tree, config, listen)
}

/// What breaks who relies on the contracts of `old` where the settings of `config` take their place, each with its line.
pub(crate) fn broken(config: &Path, old: &Checked, new: &Checked) -> Vec<Mistake> {
    let broken = contracts::broken(&old.topics.contracts, &new.topics.contracts);
    match parse(config) {
        Ok(tree) => located(&tree, broken),
        // It was read a moment ago: without lines then.
        Err(_) => broken,
    }
}

/// What is set where no file says it.
const USUAL: &str = "store: sqlite";
/// What stands for the file that says so.
const NOT_SAID: &str = "usual";

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
    let mut file: File = tree.read()?;
    let composition = &file.composition();
    let views = file.take_views();
    // First and alone: everything below names views, and would only repeat their mistakes.
    let definitions =
        Definitions::compile(&views, &|name| templates::find(config, composition.templates, name))
            .map_err(|list| located(tree, list))?;
    let settings = file.take_gateway();
    let session_topic = settings.session.as_ref().and_then(|session| session.topic.as_deref());

    let mut found = Found { tree, mistakes: Vec::new() };
    found.note(file.mall.iter().flat_map(|section| section.settings().mistakes()));
    let look = found.note_of(|it| checked_alone(&mut file, composition, session_topic, it));
    let Strays { mistakes, warnings } = strays(&file.events, &views, session_topic, composition);
    found.note(mistakes);
    let mentions = topics::Mentions { definitions: &definitions, session_topic, composition };
    let promised = promised(&file.events, &views, config, &mut found);
    let events = EventSide::compile(&file.events, &mentions, promised, &mut found);
    let host = found.or_default(store::host(file.store.as_deref()));
    // Last, and even where mistakes were found: all are shown at once.
    let gateway = found.finish(gateway::compile(&settings, &definitions))?;

    // What follows is no mistake of any one part; it shows only where parts meet.
    let listeners = Listeners { outer: listen.unwrap_or(file.listen), inner: file.inner };
    let mut meant = hardly_meant(tree, &gateway, &listeners, composition.has_keys);
    meant.warnings.extend(located(tree, warnings.into_iter().chain(events.unused)));
    meant.warnings.extend(located(tree, unused_upstreams(&gateway, composition)));
    Ok(Checked {
        listen: file.listen,
        inner: file.inner,
        admin: file.admin,
        data: file.data,
        issuer: file.issuer,
        look,
        topics: events.topics,
        broker: events.broker,
        host,
        sealing: None,
        outboxes: events.outboxes,
        subscriptions: events.subscriptions,
        schedules: events.schedules,
        definitions,
        gateway,
        mall: file.mall,
        warnings: meant.warnings,
        loops: meant.loops,
        shown: subscriptions::without_queries(tree.json()),
    })
}

/// What topics promise; a rule that reads what none does is a mistake.
fn promised(
    events: &topics::Events,
    views: &views::Settings,
    config: Option<&Path>,
    found: &mut Found<'_>,
) -> gateway::Contracts {
    let promised = found.or_default(events.contracts(config));
    found.note(contracts::misread(views, &promised));
    promised
}

/// Upstreams that nothing leads to, where the composition knows which there are to be.
fn unused_upstreams(gateway: &gateway::Plan, composition: &Composition) -> Vec<Mistake> {
    let services = Some(&composition.services).filter(|services| !services.is_empty());
    services.map(|services| gateway.unused_upstreams(services)).into_iter().flatten().collect()
}

/// Topics, who keeps them, whose tables are published to them, and who has them delivered.
struct EventSide {
    topics: Topics,
    broker: Option<brokers::Settings>,
    outboxes: Vec<Outbox>,
    subscriptions: Vec<Elsewhere>,
    schedules: Option<Limits>,
    /// Topics that are declared and hardly meant.
    unused: Vec<Mistake>,
}

impl EventSide {
    fn compile(
        events: &topics::Events,
        mentions: &topics::Mentions<'_>,
        contracts: gateway::Contracts,
        found: &mut Found<'_>,
    ) -> EventSide {
        let named = mentions.by();
        let all = found.or_default(events.declared(&named));
        let (retained, taken) = (found.or_default(events.retained()), events.taken(&all));
        // In one's own layer a topic may be read over HTTP alone.
        let is_own = mentions.composition.topics.is_empty();
        let pii = found.or_default(events.pii(is_own));
        let over_http = events.gateway();
        let topics = Topics { all, retained, taken, contracts, pii, over_http };
        let mut unused = if is_own { Vec::new() } else { events.unused(&named) };
        unused.extend(events.unchecked());
        let broker = found.or_default(events.broker());
        found.note(events.not_publishable(mentions.composition.topics, found.has_store()));
        let outboxes = found.or_default(events.outboxes(&topics.all, mentions.composition));
        let subscriptions =
            found.or_default(events.subscriptions(&topics.all, mentions.composition));
        let schedules = found.or_default(events.schedules(is_own));
        EventSide { topics, broker, outboxes, subscriptions, schedules, unused }
    }
}

/// What can be said of the file without looking into its large sections.
fn checked_alone(
    file: &mut File,
    composition: &Composition,
    session_topic: Option<&str>,
    mistakes: &mut Mistakes,
) -> Look {
    let look = look::compile(mem::take(&mut file.locales), mem::take(&mut file.money), mistakes);
    check_issuer(&file.issuer, mistakes);
    check_loopback(&[("inner", file.inner), ("admin", file.admin)], mistakes);
    check_session_topic(session_topic, composition.topics, mistakes);
    look
}

/// The mistakes of the parts, each with its line.
struct Found<'t> {
    tree: &'t Tree,
    mistakes: Vec<Mistake>,
}

impl Found<'_> {
    /// Whether somebody said where databases are.
    fn has_store(&self) -> bool {
        let said = self.tree.mistake(&["store"], "");
        said.line.is_some_and(|line| line.file != NOT_SAID)
    }

    fn note(&mut self, list: impl IntoIterator<Item = Mistake>) {
        self.mistakes.extend(located(self.tree, list));
    }

    /// What `work` makes, with what it finds wrong.
    fn note_of<T>(&mut self, work: impl FnOnce(&mut Mistakes) -> T) -> T {
        let mut mistakes = Mistakes::default();
        let made = work(&mut mistakes);
        self.note(mistakes.found());
        made
    }

    /// What was compiled; nothing where mistakes were found instead.
    fn or_default<T: Default>(&mut self, compiled: Result<T, Vec<Mistake>>) -> T {
        compiled.unwrap_or_else(|list| {
            self.note(list);
            T::default()
        })
    }

    /// The last part.
    ///
    /// # Errors
    /// Every mistake of any part.
    fn finish<T>(mut self, compiled: Result<T, Vec<Mistake>>) -> Result<T, Vec<Mistake>> {
        match compiled {
            Ok(made) if self.mistakes.is_empty() => Ok(made),
            Ok(_) => Err(self.mistakes),
            Err(list) => {
                self.note(list);
                Err(self.mistakes)
            }
        }
    }
}

/// What reads topics that nobody is known to publish to.
struct Strays {
    mistakes: Vec<Mistake>,
    warnings: Vec<Mistake>,
}

/// Where the composition has the publishers, a topic of nobody is mistyped; in one's own layer to name one
/// makes it, and it is hardly meant.
fn strays(
    events: &topics::Events,
    views: &views::Settings,
    session_topic: Option<&str>,
    composition: &Composition,
) -> Strays {
    let found = events.strays(&views.views, session_topic, composition.topics);
    if composition.topics.is_empty() {
        return Strays { mistakes: Vec::new(), warnings: found };
    }
    Strays { mistakes: found, warnings: Vec::new() }
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

/// `keys` where the composition verifies tokens.
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

/// The same mistakes, each with its line.
fn located(tree: &Tree, mistakes: impl IntoIterator<Item = Mistake>) -> Vec<Mistake> {
    mistakes.into_iter().map(|mistake| tree.locate(mistake)).collect()
}

/// Where a composition has topics, sign-ins end on one of them: on another one nobody would ever hear of it.
fn check_session_topic(session_topic: Option<&str>, topics: &[&str], mistakes: &mut Mistakes) {
    if let Some(name) = session_topic.filter(|name| !topics.is_empty() && !topics.contains(name)) {
        mistakes.at(&["session", "topic"]).unknown("topic", name, topics.iter().copied());
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
            mall.free_every_port();
        }
    }
}

#[cfg(test)]
mod tests;
