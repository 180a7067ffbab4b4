//! The gateway's part of `yeoul.yaml`: plain data, checked by [`compile`](crate::compile).
//!
//! Maps by name everywhere, so that settings laid over others change one guard and leave its
//! neighbours. Whatever is left out has a named default beside its field.

mod mixed;

use std::collections::BTreeMap;
use std::time::Duration;

use chassis::http::Networks;
use chassis::identity::Role;
use chassis::settings::text::{Percentage, Rate, Span};
use serde::Deserialize;

/// How long the head of an upstream's answer may take where a route does not say.
pub const TIMEOUT_DEFAULT: Span = Span(Duration::from_secs(30));
/// How long a connection to an address may take to come about before the next one is tried.
pub const CONNECT_TIMEOUT: Span = Span(Duration::from_secs(1));
/// How long a body may stand still, whoever it waits for.
pub const IDLE_TIMEOUT: Span = Span(Duration::from_secs(60));
/// How long a client may send one body.
pub const UPLOAD_TIMEOUT: Span = Span(Duration::from_secs(60 * 60));
/// How long an idle connection to a service is kept: less than what any server that is in use closes
/// after (gunicorn 2 s, Node and uvicorn 5 s).
pub const KEEP_ALIVE: Span = Span(Duration::from_millis(1_500));
/// How long the token endpoint may take to answer a sign-in.
pub const SESSION_TIMEOUT: Span = Span(Duration::from_secs(10));
/// Where topics are read over HTTP if the settings do not say.
pub const EVENTS_PATH: &str = "/events";
/// Where subscriptions are whose events are fetched; a name and what is asked follow.
pub const SUBSCRIPTIONS_PATH: &str = "/subscriptions";

/// Where schedules are; a key follows.
pub const SCHEDULES_PATH: &str = "/schedules";

/// One gateway.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Proxies that are believed about where a request comes from; none without it.
    #[serde(default)]
    pub trusted: Networks,
    /// Headers that clients may not send, beside those of [`WITHHELD`](crate::WITHHELD); a name that
    /// ends in `*` stands for all that begin so.
    #[serde(default)]
    pub identity_headers: Vec<String>,
    /// How long a body may stand still where a route does not say, and how long a client may read
    /// nothing of an answer; [`IDLE_TIMEOUT`] without it.
    #[serde(default)]
    pub idle_timeout: Option<Span>,
    /// The roles that there are; where it is empty, any that an entry names.
    #[serde(default)]
    pub roles: Vec<Role>,
    /// What becomes of a bearer that another issuer gave, where no token is needed.
    #[serde(default)]
    pub foreign_tokens: ForeignTokens,
    /// Services that routes lead to, by name.
    #[serde(default)]
    pub upstreams: BTreeMap<String, Upstream>,
    /// Guarded ways to them, by name.
    #[serde(default)]
    pub routes: BTreeMap<String, Route>,
    /// The single-page app; none without it.
    #[serde(default)]
    pub app: Option<App>,
    /// Sign-in by cookie; none without it.
    #[serde(default)]
    pub session: Option<Session>,
    /// Reading topics over HTTP; at [`EVENTS_PATH`] without it.
    #[serde(default)]
    pub events: Option<Events>,
    /// A page's rows as HAL lists, by name.
    #[serde(default)]
    pub lists: BTreeMap<String, List>,
    /// A page's head alone, by name.
    #[serde(default)]
    pub heads: BTreeMap<String, PageHead>,
}

/// One service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Upstream {
    /// Its addresses: `http://HOST:PORT`, one or several.
    pub to: OneOrMany,
    /// By which name it is asked, where a route does not say.
    pub host: Host,
    /// How long an idle connection is kept where the service does not say itself (`Keep-Alive`);
    /// [`KEEP_ALIVE`] without it.
    pub keep_alive: Option<Span>,
}

/// By which name a service is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Host {
    /// Its own: `Host` is the address in the settings.
    #[default]
    Own,
    /// The client's: `Host` passes unchanged.
    Keep,
}

/// What becomes of a bearer that does not name our issuer, where no token is needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ForeignTokens {
    /// It is between the client and the service.
    #[default]
    Pass,
    /// It is refused with 401, as one of ours that is no good.
    Refuse,
}

/// One way to a service, and what stands in it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Patterns: `/orders/**`, `/product/{id}`; as a map, each with the methods it takes.
    pub path: Paths,
    /// Methods that a pattern without its own takes; all but TRACE and CONNECT without it.
    #[serde(default)]
    pub methods: Option<Vec<String>>,
    /// Which listener has it.
    #[serde(default)]
    pub listener: Side,
    /// The name of an upstream, or addresses.
    pub to: OneOrMany,
    /// By which name the service is asked; as the upstream says without it.
    #[serde(default)]
    pub host: Option<Host>,
    /// For whom no token is needed.
    #[serde(default)]
    pub open: OpenMethods,
    /// Methods for which any role will do.
    #[serde(default)]
    pub signed_in: Vec<String>,
    /// The role that everything else needs.
    #[serde(default)]
    pub role: Option<Role>,
    /// What a call has to pass.
    #[serde(default)]
    pub guard: Guard,
}

/// Which listener a route is on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The one that clients speak to.
    #[default]
    Outer,
    /// The loopback one, for calls between services; no token is needed there.
    Inner,
}

/// What of a route needs no token: nothing, everything, or these methods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpenMethods {
    /// `true` or `false`.
    All(bool),
    /// A list of methods.
    Methods(Vec<String>),
}

/// What a call has to pass on its way.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guard {
    /// How long until the answer's head has to be there, connecting included; it stands while the
    /// client sends. [`TIMEOUT_DEFAULT`] without it.
    #[serde(default)]
    pub timeout: Option<Span>,
    /// How long until a connection has come about; [`CONNECT_TIMEOUT`] without it. Where other
    /// addresses are left, each gets at most its share of the timeout.
    #[serde(default)]
    pub connect_timeout: Option<Span>,
    /// How long a body may stand still, in either direction; the gateway's without it.
    #[serde(default)]
    pub idle_timeout: Option<Span>,
    /// How long the client may send; [`UPLOAD_TIMEOUT`] without it.
    #[serde(default)]
    pub upload_timeout: Option<Span>,
    /// The circuit breaker; none without it.
    #[serde(default)]
    pub breaker: Option<Breaker>,
    /// Rate limits, each for itself.
    #[serde(default)]
    pub rate_limit: Vec<RateLimit>,
}

/// A circuit breaker over the last calls.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Breaker {
    /// The share of failed calls that opens it; 50 % without it.
    #[serde(default = "half")]
    pub failure_rate: Percentage,
    /// How many of the last calls are judged; 10 without it.
    #[serde(default = "ten")]
    pub calls: u32,
    /// How long it refuses before it probes; 5 s without it.
    #[serde(default = "five_seconds")]
    pub open_for: Span,
    /// How many probes it sends; 1 without it.
    #[serde(default = "one")]
    pub probes: u32,
    /// Whether it only counts what it would refuse.
    #[serde(default)]
    pub observe: bool,
}

/// So many calls a second, and a burst on top.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// Whose calls are counted together.
    pub per: Per,
    /// Calls a second.
    pub rate: Rate,
    /// Calls at once.
    pub burst: u32,
}

/// Whose calls are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Per {
    /// Everybody's: what the service can bear.
    Route,
    /// A token's subject's; a client address's where there is no token.
    Principal,
    /// A client address's (IPv6: its /64).
    Client,
}

/// The single-page app.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct App {
    /// Patterns at which its page is answered: where `Accept` names `text/html`, and whatever it
    /// names where no route has the path.
    pub paths: Vec<String>,
    /// Whether who names `text/html` is shown a page where a GET is refused, with the status of the
    /// refusal: the app's, that says which. Without it a refusal stays as it is.
    #[serde(default)]
    pub error_pages: bool,
    /// What such a page says without scripts in the shop's own language, before the English that it says
    /// in any case; English alone without it.
    #[serde(default)]
    pub error_texts: Option<ErrorTexts>,
}

/// What a refusal's page says without scripts in one language.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrorTexts {
    /// The language (BCP 47).
    pub language: String,
    /// The words of the link to the start.
    pub home: String,
    /// A sentence by status: `404`, and `4xx` and `5xx` for those that have none of their own.
    pub statuses: BTreeMap<String, String>,
}

/// Sign-in by cookie.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Session {
    /// The service that gives tokens and takes them back.
    pub upstream: String,
    /// Where browsers sign in (POST), renew (PUT) and sign out (DELETE).
    pub path: String,
    /// Where the service gives tokens (RFC 6749).
    pub token: String,
    /// Where it takes them back (RFC 7009).
    pub revoke: String,
    /// The topic on which that service says which sign-ins have ended; sign-ins end here alone
    /// without it.
    #[serde(default)]
    pub topic: Option<String>,
    /// Whether every browser comes by HTTPS, which ends before us: cookies are then for HTTPS alone.
    /// Without it a trusted proxy's `X-Forwarded-Proto` says so for each request.
    #[serde(default)]
    pub secure: bool,
    /// What a sign-in has to pass; [`SESSION_TIMEOUT`] and a breaker with its defaults without it.
    #[serde(default = "guarded")]
    pub guard: Guard,
}

/// Topics over HTTP.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Events {
    /// Where; the topic's name follows. [`EVENTS_PATH`] without it.
    #[serde(default = "events_path")]
    pub path: String,
    /// Who may read; nobody without it.
    #[serde(default)]
    pub role: Option<Role>,
    /// Who may publish to which topic; to no other.
    #[serde(default)]
    pub publish: BTreeMap<String, Role>,
    /// Whether there are subscriptions whose events are fetched, by who may read topics.
    #[serde(default)]
    pub is_fetched: bool,
    /// Whether events are published at a time to come, by who may read topics.
    #[serde(default)]
    pub is_scheduled: bool,
}

/// A page's rows as a HAL list.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// Where; with a parameter that is the owner, or without one for one's own.
    pub path: String,
    /// The page whose rows it lists.
    pub page: String,
    /// What the list is called in `_embedded`.
    pub name: String,
}

/// A page's head alone.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageHead {
    /// Where, with one parameter that is the owner; its name is the owner's member.
    pub path: String,
    /// The page whose head it shows.
    pub page: String,
    /// Which of the head's columns; all without it.
    #[serde(default)]
    pub fields: Option<Vec<String>>,
}

/// A text, or a list of texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OneOrMany(pub Vec<String>);

/// Patterns, each with the methods it takes where they are said.
///
/// A gateway that knows the methods of a path answers 405 itself, before it asks for a role or
/// counts the call against a limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paths(pub Vec<PathMethods>);

/// A pattern, and the methods it takes where they are said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathMethods {
    /// The pattern, as it is written.
    pub text: String,
    /// Its own methods; those of its route without them.
    pub methods: Option<Vec<String>>,
}

impl From<&str> for Paths {
    fn from(one: &str) -> Paths {
        Paths(vec![PathMethods { text: one.to_owned(), methods: None }])
    }
}

impl From<&str> for OneOrMany {
    fn from(one: &str) -> OneOrMany {
        OneOrMany(vec![one.to_owned()])
    }
}

impl Default for OpenMethods {
    fn default() -> OpenMethods {
        OpenMethods::All(false)
    }
}

impl Default for Breaker {
    fn default() -> Breaker {
        Breaker {
            failure_rate: half(),
            calls: ten(),
            open_for: five_seconds(),
            probes: one(),
            observe: false,
        }
    }
}

fn events_path() -> String {
    EVENTS_PATH.to_owned()
}

fn guarded() -> Guard {
    Guard { breaker: Some(Breaker::default()), ..Guard::default() }
}

fn half() -> Percentage {
    Percentage::HALF
}

fn ten() -> u32 {
    10
}

fn five_seconds() -> Span {
    Span(Duration::from_secs(5))
}

fn one() -> u32 {
    1
}
