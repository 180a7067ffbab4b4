//! Who has events delivered elsewhere, or fetches them: `events.subscriptions`, and where receivers may be: `events.allow`.
//!
//! A receiver is told of a topic's events by requests that this process makes, so what is written here decides where a
//! process inside a network sends them. `allow` adds to what is allowed by itself; the mall, all of which is on one
//! machine, allows that.

use std::collections::BTreeMap;
use std::time::Duration;

use chassis::settings::text::Span;
use chassis::settings::variable;
use events::deliveries::Pace;
use events::share::ShareBy;
use events::{Declared, Topic};
use mistakes::{Mistake, Mistakes};
use push::{Address, Allowed, AllowedEntry, SECRETS_MAX, Secret};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Subscriptions of one process at most; each has a loop for every partition of its topic.
const SUBSCRIPTIONS_MAX: usize = 64;
/// Characters of a name at most; it stands before its topic's in the name of its place.
const NAME_CHARS_MAX: usize = 64;
/// Entries of `events.allow` at most.
const ALLOWED_MAX: usize = 64;
/// Attempts at one event at most.
const ATTEMPTS_MAX: u32 = 100;
/// Attempts under way at once at most.
const CONCURRENCY_MAX: usize = 256;
/// Attempts under way at once where nobody says.
const CONCURRENCY_DEFAULT: usize = 16;
/// The shortest first pause.
const BACKOFF_MIN: Duration = Duration::from_millis(10);
/// The longest first pause.
const BACKOFF_MAX: Duration = Duration::from_secs(10 * 60);
/// The longest that a receiver may take.
const TIMEOUT_MAX: Duration = Duration::from_secs(60);
/// How long he may take where nobody says.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
/// Names that stand for something else where a subscription's would be read.
const TAKEN: [&str; 5] = ["gateway", "log", "outbox", "push", "views"];

/// `events.subscriptions.NAME`, as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SubscriptionEntry {
    /// Whose events.
    topic: String,
    /// Where they are delivered.
    push: Option<String>,
    /// Whether they are fetched.
    #[serde(default)]
    pull: bool,
    #[serde(default = "attempts")]
    attempts: u32,
    #[serde(default = "backoff")]
    backoff: Span,
    /// Whether he is told what is sealed.
    #[serde(default)]
    unseal: bool,
    concurrency: Option<usize>,
    timeout: Option<Span>,
    /// The variables of the environment that have the keys.
    secret: Option<Variables>,
    /// What tells apart whose turns they are.
    #[serde(default, deserialize_with = "named")]
    share: Option<String>,
}

/// One name, or the one in use and the one before it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Variables {
    One(String),
    Several(Vec<String>),
}

/// What is written; nothing where nothing stands behind the name, which is a mistake and does not mean none.
fn named<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Option::deserialize(deserializer).map(|written| Some(written.unwrap_or_default()))
}

fn attempts() -> u32 {
    10
}

fn backoff() -> Span {
    Span(Duration::from_secs(1))
}

/// A subscription of somebody elsewhere.
#[derive(Clone, Debug)]
pub(crate) struct Elsewhere {
    /// What the settings call it.
    pub(crate) name: String,
    pub(crate) topic: Topic,
    /// Whether he is told what is sealed.
    pub(crate) is_told: bool,
    pub(crate) pace: Pace,
    /// What tells apart whose turns they are, if anything does.
    pub(crate) share: Option<ShareBy>,
    pub(crate) way: Way,
}

/// How events come to him.
#[derive(Clone, Debug)]
pub(crate) enum Way {
    /// They are delivered.
    Push(Box<push::Settings>),
    /// He fetches them.
    Pull,
}

impl SubscriptionEntry {
    pub(super) fn topic(&self) -> &str {
        &self.topic
    }

    /// Whether its events are fetched.
    pub(super) fn is_fetched(&self) -> bool {
        self.pull
    }
}

/// What the settings say of deliveries.
pub(super) struct Section<'w> {
    pub(super) written: &'w BTreeMap<String, SubscriptionEntry>,
    pub(super) allow: &'w [String],
    /// Whether something of a topic is sealed.
    pub(super) has_pii: &'w dyn Fn(&Topic) -> bool,
    /// Whether what these names lead to in the data of its events is sealed.
    pub(super) seals: &'w dyn Fn(&Topic, &[String]) -> bool,
    /// Receivers on this machine are allowed without being named.
    pub(super) is_one_machine: bool,
    /// Whose subscriptions there are already.
    pub(super) services: &'w [&'static str],
}

/// Every subscription; `declared` are the topics that there are.
///
/// # Errors
/// Every mistake.
pub(super) fn compile(
    section: &Section<'_>,
    declared: &[Declared],
) -> Result<Vec<Elsewhere>, Vec<Mistake>> {
    let mut mistakes = Mistakes::default();
    let allowed = allowed(section, &mut mistakes);
    if section.written.len() > SUBSCRIPTIONS_MAX {
        let says = format!("at most {SUBSCRIPTIONS_MAX}. count=`{}`", section.written.len());
        mistakes.at(&["events", "subscriptions"]).note(says);
    }
    let mut all = Vec::new();
    for (name, written) in section.written {
        let under = ["events", "subscriptions", name];
        check_name(name, section.services, &under, &mut mistakes);
        let topic = declared.iter().find(|it| it.topic.as_str() == written.topic);
        // A topic that is none was told of already.
        let Some(Declared { topic, .. }) = topic else { continue };
        let way = way(written, &allowed, &under, &mut mistakes);
        let pace = pace(written, &under, &mut mistakes);
        let is_told = written.unseal;
        if is_told && !(section.has_pii)(topic) {
            let says = format!("nothing of `{topic}` is sealed: `events.topics.{topic}.pii`");
            mistakes.at(&["events", "subscriptions", name, "unseal"]).note(says);
        }
        let share = share(written, &under, &mut mistakes);
        if share.as_ref().and_then(ShareBy::member).is_some_and(|it| (section.seals)(topic, it)) {
            let says = format!(
                "is sealed by `events.topics.{topic}.pii`, each time differently: nobody could tell whose an event is"
            );
            mistakes.at(&["events", "subscriptions", name, "share"]).note(says);
        }
        let (name, topic) = (name.clone(), topic.clone());
        all.extend(way.map(|way| Elsewhere { name, topic, is_told, pace, share, way }));
    }
    let found = mistakes.found();
    if found.is_empty() { Ok(all) } else { Err(found) }
}

fn allowed(section: &Section<'_>, mistakes: &mut Mistakes) -> Allowed {
    let path = ["events", "allow"];
    if section.allow.len() > ALLOWED_MAX {
        let says = format!("at most {ALLOWED_MAX} entries. count=`{}`", section.allow.len());
        mistakes.at(&path).note(says);
    }
    let mut entries = Vec::new();
    for text in section.allow {
        match text.parse::<AllowedEntry>() {
            Ok(entry) => entries.push(entry),
            Err(()) => {
                let says = format!(
                    "must be `loopback`, `link-local` or a network such as `10.0.0.0/8`. entry=`{text}`"
                );
                mistakes.at(&path).note(says);
            }
        }
    }
    entries.extend(section.is_one_machine.then_some(AllowedEntry::Loopback));
    entries.into_iter().collect()
}

fn check_name(name: &str, services: &[&str], path: &[&str], mistakes: &mut Mistakes) {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let starts = name.starts_with(|first: char| first.is_ascii_lowercase());
    if !starts || !name.bytes().all(is_plain) || name.len() > NAME_CHARS_MAX {
        let says = format!(
            "must be at most {NAME_CHARS_MAX} lower-case letters, digits and `-`, a letter first"
        );
        mistakes.at(path).note(says);
    }
    if TAKEN.iter().chain(services).any(|taken| *taken == name) {
        mistakes.at(path).note(format!("`{name}` is the name of something else: choose another"));
    }
}

fn pace(written: &SubscriptionEntry, path: &[&str], mistakes: &mut Mistakes) -> Pace {
    let SubscriptionEntry { attempts, backoff: Span(backoff), .. } = *written;
    if !(1..=ATTEMPTS_MAX).contains(&attempts) {
        let says = format!("must be 1 to {ATTEMPTS_MAX}. attempts=`{attempts}`");
        mistakes.at(&[path, &["attempts"]].concat()).note(says);
    }
    let range = BACKOFF_MIN..=BACKOFF_MAX;
    check_span("backoff", backoff, &range, path, mistakes);
    Pace { attempts, backoff }
}

fn share(written: &SubscriptionEntry, path: &[&str], mistakes: &mut Mistakes) -> Option<ShareBy> {
    let parsed = written.share.as_ref()?.parse::<ShareBy>();
    mistakes.at(&[path, &["share"]].concat()).take(parsed.map_err(|error| error.to_string()))
}

/// Delivered or fetched, one of the two.
fn way(
    written: &SubscriptionEntry,
    allowed: &Allowed,
    path: &[&str],
    mistakes: &mut Mistakes,
) -> Option<Way> {
    match (&written.push, written.pull) {
        (Some(push), false) => {
            receiver(push, written, allowed, path, mistakes).map(|it| Way::Push(Box::new(it)))
        }
        (None, true) => {
            let SubscriptionEntry { concurrency, timeout, secret, .. } = written;
            let of_push = [
                ("concurrency", concurrency.is_some()),
                ("timeout", timeout.is_some()),
                ("secret", secret.is_some()),
            ];
            for (field, _) in of_push.into_iter().filter(|it| it.1) {
                let says =
                    "is of a subscription with `push`: who fetches asks for as much as he can do";
                mistakes.at(&[path, &[field]].concat()).note(says);
            }
            Some(Way::Pull)
        }
        _ => {
            let says = "must have `push: URL` or `pull: true`, one of the two";
            mistakes.at(path).note(says);
            None
        }
    }
}

fn receiver(
    push: &str,
    written: &SubscriptionEntry,
    allowed: &Allowed,
    path: &[&str],
    mistakes: &mut Mistakes,
) -> Option<push::Settings> {
    let concurrency = written.concurrency.unwrap_or(CONCURRENCY_DEFAULT);
    let timeout = written.timeout.as_ref().map_or(TIMEOUT_DEFAULT, |Span(timeout)| *timeout);
    if !(1..=CONCURRENCY_MAX).contains(&concurrency) {
        let says = format!("must be 1 to {CONCURRENCY_MAX}. concurrency=`{concurrency}`");
        mistakes.at(&[path, &["concurrency"]].concat()).note(says);
    }
    check_span("timeout", timeout, &(Duration::from_millis(1)..=TIMEOUT_MAX), path, mistakes);
    let secrets = secrets(written, &[path, &["secret"]].concat(), mistakes);
    let address = address(push, allowed, &[path, &["push"]].concat(), mistakes)?;
    let allowed = allowed.clone();
    Some(push::Settings { address, allowed, concurrency, timeout, secrets })
}

fn check_span(
    field: &str,
    given: Duration,
    range: &std::ops::RangeInclusive<Duration>,
    path: &[&str],
    mistakes: &mut Mistakes,
) {
    if !range.contains(&given) {
        let (least, most) = (range.start(), range.end());
        let says = format!("must be {least:?} to {most:?}. {field}=`{given:?}`");
        mistakes.at(&[path, &[field]].concat()).note(says);
    }
}

fn address(
    text: &str,
    allowed: &Allowed,
    path: &[&str],
    mistakes: &mut Mistakes,
) -> Option<Address> {
    let parsed = text.parse::<Address>().map_err(|error| error.to_string());
    let address = mistakes.at(path).take(parsed)?;
    if address.is_refused(allowed) {
        let says = format!(
            "no receiver may be there unless `events.allow` has `loopback`, `link-local` or its network. push=`{}`",
            address.origin()
        );
        mistakes.at(path).note(says);
        return None;
    }
    Some(address)
}

/// Settings as they are shown: without the queries of receivers' addresses, which may hold a token.
pub(super) fn without_queries(mut shown: Value) -> Value {
    let subscriptions = shown.pointer_mut("/events/subscriptions").and_then(Value::as_object_mut);
    for subscription in subscriptions.into_iter().flat_map(|all| all.values_mut()) {
        let Some(Value::String(push)) = subscription.get_mut("push") else { continue };
        if let Some(at) = push.find('?') {
            push.replace_range(at + 1.., "…");
        }
    }
    shown
}

/// The keys that the environment has; one that is named and missing would have deliveries go unsigned.
fn secrets(written: &SubscriptionEntry, path: &[&str], mistakes: &mut Mistakes) -> Vec<Secret> {
    let variables = match &written.secret {
        None => return Vec::new(),
        Some(Variables::One(name)) => std::slice::from_ref(name),
        Some(Variables::Several(names)) => names,
    };
    if !(1..=SECRETS_MAX).contains(&variables.len()) {
        let says = format!("names 1 to {SECRETS_MAX} variables. count=`{}`", variables.len());
        mistakes.at(path).note(says);
    }
    let mut secrets = Vec::new();
    for name in variables {
        let found = variable(name).ok_or_else(|| "is not set".to_owned());
        let secret =
            found.and_then(|text| Secret::parse(&text).map_err(|error| format!("must be {error}")));
        match secret {
            Ok(secret) => secrets.push(secret),
            Err(why) => {
                mistakes.at(path).note(format!("the variable `{name}` {why}"));
            }
        }
    }
    secrets
}
