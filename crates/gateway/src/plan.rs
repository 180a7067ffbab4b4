//! Settings that hold: routes with places instead of names, guards with working types, one table of
//! paths for each listener.
//!
//! Everything that can be wrong in the settings is found here, before a port is bound; nothing here
//! is started. Paths are refused where two entries could answer one request, so that the order of
//! the file never matters.

mod guards;
mod places;
mod roles;
mod routes;
mod upstreams;
mod warnings;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use chassis::http::router::Entry;
use chassis::http::{Networks, Pattern};
use chassis::identity::Role;
use guard::{breaker, rate::Quota};
use http::{HeaderValue, Method};
use mistakes::{Mistake, Mistakes};
use views::{Definitions, Page};

use crate::endpoint::Endpoint;
use crate::error_page::texts::Texts;
use crate::hygiene::withheld::Withheld;
use crate::paths::{Action, Paths};
use crate::settings::{
    CONNECT_TIMEOUT, ForeignTokens, Host, IDLE_TIMEOUT, Per, Settings, TIMEOUT_DEFAULT,
    UPLOAD_TIMEOUT,
};

pub use warnings::ForwardingLoop;

/// A checked gateway, ready to be built: see [`Gateway::new`](crate::Gateway::new).
#[derive(Debug, Default)]
pub struct Plan {
    pub(crate) trusted: Networks,
    pub(crate) withheld: Withheld,
    pub(crate) foreign_tokens: ForeignTokens,
    /// How long a body may stand still where a route does not say, and every reader.
    pub(crate) idle: Option<Duration>,
    pub(crate) upstreams: Vec<Upstream>,
    pub(crate) routes: Vec<Route>,
    pub(crate) pages: Vec<Page>,
    pub(crate) lists: Vec<List>,
    pub(crate) heads: Vec<PageHead>,
    pub(crate) session: Option<SignIn>,
    /// Who may read topics; nobody where there is none.
    pub(crate) reads_topics: Option<Role>,
    /// Who may publish to a topic; to one that is not here nobody.
    pub(crate) publishes: BTreeMap<String, Role>,
    pub(crate) app: bool,
    /// Whether a refusal is shown as a page.
    pub(crate) error_pages: bool,
    /// What such a page says beside English.
    pub(crate) error_texts: Option<Texts>,
    pub(crate) outer: Paths,
    pub(crate) inner: Paths,
    pub(crate) pages_only: Paths,
    /// Which listeners' routes lead to which upstreams.
    leads: Vec<warnings::Lead>,
    warnings: Vec<Mistake>,
    without_keys: Vec<Mistake>,
}

/// A service and where it is.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) name: String,
    /// The way to where it is named in the settings.
    setting: Vec<String>,
    pub(crate) endpoints: Vec<Endpoint>,
    /// By which name it is asked, where a route does not say.
    pub(crate) host: Host,
    /// How long an idle connection is kept where the service does not say itself.
    pub(crate) keep_alive: Duration,
}

/// A way to a service.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) name: String,
    pub(crate) upstream: usize,
    pub(crate) host: Host,
    pub(crate) open: Anonymous,
    /// Methods for which any role will do.
    pub(crate) signed_in: Vec<Method>,
    pub(crate) role: Option<Role>,
    /// What the service knows this gateway by.
    pub(crate) proof: Option<HeaderValue>,
    pub(crate) timeouts: Timeouts,
    pub(crate) breaker: Option<breaker::Settings>,
    pub(crate) limits: Vec<Limit>,
}

/// How long parts of a call may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timeouts {
    /// Until the answer's head is there; it stands while the client sends.
    pub(crate) answer: Duration,
    /// Until a connection has come about.
    pub(crate) connect: Duration,
    /// Between two pieces of a body, in either direction.
    pub(crate) idle: Duration,
    /// Until the whole of the client's body is there.
    pub(crate) upload: Duration,
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        Timeouts {
            answer: TIMEOUT_DEFAULT.0,
            connect: CONNECT_TIMEOUT.0,
            idle: IDLE_TIMEOUT.0,
            upload: UPLOAD_TIMEOUT.0,
        }
    }
}

/// Sign-in by cookie.
#[derive(Debug)]
pub(crate) struct SignIn {
    /// Where browsers sign in and out.
    pub(crate) path: String,
    /// Where tokens are given, and taken back.
    pub(crate) token: String,
    pub(crate) revoke: String,
    /// The route to the token endpoint.
    pub(crate) sign_in: usize,
    /// The same, for notifying it of a sign-out: nothing refuses that.
    pub(crate) sign_out: usize,
    pub(crate) secure: bool,
    pub(crate) topic: Option<String>,
}

/// What of a route needs no token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Anonymous {
    Nothing,
    Everything,
    Methods(Vec<Method>),
}

/// A rate limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    pub(crate) per: Per,
    pub(crate) quota: Quota,
}

/// A page's rows as a list.
#[derive(Debug)]
pub(crate) struct List {
    pub(crate) page: usize,
    pub(crate) name: String,
    /// Whether the path names the owner.
    pub(crate) named: bool,
}

/// A page's head.
#[derive(Debug)]
pub(crate) struct PageHead {
    pub(crate) page: usize,
    /// What the owner is called in it.
    pub(crate) owner: String,
    pub(crate) fields: Option<Vec<String>>,
}

/// Checks settings; `definitions` say which pages there are.
///
/// # Errors
/// Every mistake there is, each with its path.
pub fn compile(settings: &Settings, definitions: &Definitions) -> Result<Plan, Vec<Mistake>> {
    let mut mistakes = Mistakes::default();
    let mut builder = PlanBuilder::default();
    builder.plan.trusted = settings.trusted.clone();
    builder.plan.foreign_tokens = settings.foreign_tokens;
    builder.plan.idle = settings.idle_timeout.map(|span| span.0);
    if builder.plan.idle.is_some_and(|span| span.is_zero()) {
        mistakes.at(&["idle_timeout"]).note("a timeout is at least `1ms`");
    }
    match Withheld::new(&settings.identity_headers) {
        Ok(withheld) => builder.plan.withheld = withheld,
        Err(list) => {
            let mut mistakes = mistakes.at(&["identity_headers"]);
            list.into_iter().for_each(|it| mistakes.note(it));
        }
    }
    builder.plan.upstreams = upstreams::upstreams(&settings.upstreams, &mut mistakes);
    roles::check(settings, &mut mistakes);
    routes::compile(settings, &mut builder, &mut mistakes);
    places::compile(settings, definitions, &mut builder, &mut mistakes);
    twins(settings, &mut mistakes);
    warnings::note(settings, &mut builder);
    builder.finish(mistakes)
}

/// Names that differ in case only: metrics show them side by side, and a variable that replaces a
/// setting cannot tell them apart.
fn twins(settings: &Settings, mistakes: &mut Mistakes) {
    let maps: [(&str, Vec<&String>); 4] = [
        ("upstreams", settings.upstreams.keys().collect()),
        ("routes", settings.routes.keys().collect()),
        ("lists", settings.lists.keys().collect()),
        ("heads", settings.heads.keys().collect()),
    ];
    for (map, names) in maps {
        for (at, name) in names.iter().enumerate() {
            let twin = names[..at].iter().find(|other| other.eq_ignore_ascii_case(name));
            if let Some(twin) = twin {
                let says = format!("two names differ in case only. names=`{twin}`, `{name}`");
                mistakes.at(&[map, name]).note(says);
            }
        }
    }
}

impl Plan {
    /// The proxies that are believed about where a request comes from.
    pub fn trusted(&self) -> &Networks {
        &self.trusted
    }

    /// The page that an action shows something of.
    pub(crate) fn page_of(&self, action: Action) -> Option<&Page> {
        let at = match action {
            Action::Page(at) | Action::Live(at) | Action::Own(at) => at,
            Action::List(at) => self.lists[at].page,
            Action::Head(at) => self.heads[at].page,
            Action::Proxy(_)
            | Action::Events
            | Action::Trace { .. }
            | Action::Publish
            | Action::Fetch(_)
            | Action::Schedule
            | Action::Session => return None,
        };
        Some(&self.pages[at])
    }

    /// The inner listener's routes and their guards alone: for a guard beside a service in a process of its own,
    /// where no client comes in.
    #[must_use]
    pub fn inner_alone(self) -> Plan {
        let Plan { trusted, withheld, idle, upstreams, routes, inner, leads, .. } = self;
        Plan { trusted, withheld, idle, upstreams, routes, inner, leads, ..Plan::default() }
    }

    /// Whether browsers sign in here, so that the gateway needs a memory of ended sign-ins.
    pub fn has_session(&self) -> bool {
        self.session.is_some()
    }

    /// The topic on which the sign-in service says which sign-ins have ended.
    pub fn session_topic(&self) -> Option<&str> {
        self.session.as_ref()?.topic.as_deref()
    }

    /// Shows the upstream `name` a secret with every request, so that it believes this gateway about
    /// where one comes from ([`X_YEOUL_GATEWAY`](chassis::http::client::X_YEOUL_GATEWAY)); a name that
    /// no route leads to is passed over.
    ///
    /// # Panics
    /// The secret is no text for a header: a mistake of the composition.
    pub fn prove_to(&mut self, name: &str, secret: &str) {
        let proof = HeaderValue::try_from(secret).expect("letters and digits");
        let upstreams = &self.upstreams;
        let lead_there = |route: &&mut Route| {
            upstreams.get(route.upstream).is_some_and(|upstream| upstream.name == name)
        };
        let routes = self.routes.iter_mut().filter(lead_there);
        routes.for_each(|route| route.proof = Some(proof.clone()));
    }

    /// Says where the upstream `name` is after all; a name that no route leads to is passed over.
    pub fn set_upstream(&mut self, name: &str, address: SocketAddr) {
        for upstream in self.upstreams.iter_mut().filter(|upstream| upstream.name == name) {
            upstream.endpoints = vec![Endpoint::at(address)];
        }
    }
}

impl Anonymous {
    /// Whether a request of this method needs no token.
    pub(crate) fn to(&self, method: &Method) -> bool {
        match self {
            Anonymous::Nothing => false,
            Anonymous::Everything => true,
            Anonymous::Methods(methods) => methods.contains(method),
        }
    }
}

/// A plan that is being made, and where its entries stand in the settings.
#[derive(Default)]
struct PlanBuilder {
    plan: Plan,
    app: Vec<Pattern>,
    entries: Vec<Placed>,
}

/// An entry and its origin.
struct Placed {
    on: On,
    text: String,
    entry: Entry<Action>,
    setting: Vec<String>,
}

/// Which methods an entry takes, the usual ones where it names none, and what they do.
struct Takes {
    methods: Option<Vec<Method>>,
    action: Action,
}

/// On which listeners an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum On {
    Outer,
    Inner,
    /// The outer one, and that of the pages alone.
    OuterAndPages,
}

impl PlanBuilder {
    /// Adds an entry, checked for a twin.
    fn place(
        &mut self,
        on: On,
        text: &str,
        takes: Takes,
        setting: &[&str],
        mistakes: &mut Mistakes,
    ) {
        // What is no pattern collides with nobody: it is noted once, for what it is.
        let Some(pattern) = mistakes.at(setting).take(Pattern::parse(text)) else { return };
        let entry = Entry { pattern, methods: takes.methods, action: takes.action };
        // The listeners' paths are apart: the same one may be on either.
        let inner = on == On::Inner;
        let twin = self
            .entries
            .iter()
            .find(|placed| (placed.on == On::Inner) == inner && placed.entry.collides(&entry));
        if let Some(twin) = twin {
            // Both are named: only their author knows which of them is the mistake.
            let twin: Vec<&str> = twin.setting.iter().map(String::as_str).collect();
            let says = |other: &[&str]| {
                format!("`{}` takes this path and method too. path=`{text}`", other.join("."))
            };
            mistakes.at(setting).note(says(&twin));
            if twin != setting {
                mistakes.at(&twin).note(says(setting));
            }
        }
        let setting = setting.iter().map(|step| (*step).to_owned()).collect();
        self.entries.push(Placed { on, text: text.to_owned(), entry, setting });
    }

    fn finish(mut self, mistakes: Mistakes) -> Result<Plan, Vec<Mistake>> {
        let paths = |on: &[On], app: Vec<Pattern>| {
            let entries = self.entries.iter().filter(|placed| on.contains(&placed.on));
            Paths::new(entries.map(|placed| placed.entry.clone()).collect(), app)
        };
        self.plan.outer = paths(&[On::Outer, On::OuterAndPages], self.app.clone());
        self.plan.inner = paths(&[On::Inner], Vec::new());
        self.plan.pages_only = paths(&[On::OuterAndPages], Vec::new());
        mistakes.or(self.plan)
    }
}

#[cfg(test)]
mod tests;
