//! The topics of a process: who names them, and how many partitions each has.
//!
//! A topic is there because the composition publishes to it, a view reads it, sign-ins end on it, or the settings
//! declare it. Where they say nothing of partitions it has one: order over the whole topic.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chassis::identity::Role;
use events::partition::PARTITIONS_MAX;
use events::schedules::Limits;
use events::{Declared, Partitions, Retention, Topic};
use gateway::Contracts;
use gateway::settings::EVENTS_PATH;
use mistakes::{Mistake, Mistakes};
use privacy::RuleEntry;
use serde::Deserialize;
use views::Definitions;
use views::settings::View;

use super::composition::Composition;
use super::contracts;
use super::outboxes::{self, NamedTopic, Outbox};
use super::pii;
use super::retention::{Retain, WrongRetain};
use super::schedules::{Around, SchedulesEntry};
use super::store;
use super::subscriptions::{self, Elsewhere, SubscriptionEntry};

/// `events`, as it is written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Events {
    /// Where topics are read over HTTP.
    path: Option<String>,
    /// Who may read them there.
    role: Option<Role>,
    /// The engine: `local`, or where one is.
    broker: Option<String>,
    /// What topics' names begin with there.
    prefix: Option<String>,
    /// On how many servers topics are made there that are missing.
    replicas: Option<u16>,
    #[serde(default)]
    topics: BTreeMap<String, Declaration>,
    /// Tables of others whose rows are published.
    #[serde(default)]
    outboxes: BTreeMap<String, outboxes::OutboxEntry>,
    /// Who has events delivered elsewhere, or fetches them.
    #[serde(default)]
    subscriptions: BTreeMap<String, SubscriptionEntry>,
    /// Whether events are published at a time to come.
    schedules: Option<SchedulesEntry>,
    /// Where receivers may be, beyond what is allowed by itself.
    #[serde(default)]
    allow: Vec<String>,
}

/// The engine that a folder's own log is.
const LOCAL: &str = "local";

/// Topics that one process takes events for over another broker at most; each has an outbox, and on a server connections, of its
/// own.
const TAKEN_MAX: usize = 32;
/// Characters of such a topic's name at most: a schema is called by it.
const TAKEN_NAME_MAX: usize = 50;

/// The settings of one topic.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Declaration {
    /// How many; order is promised within each, and events of a key share one. Any whole number, so that one past the limit is
    /// told the limit.
    #[serde(default = "one")]
    partitions: i64,
    /// Who may publish to it over HTTP; nobody without it.
    publish: Option<Role>,
    /// What it keeps; everything without it.
    retain: Option<Retain>,
    /// Where the schemas of its events are, a file for each type: a folder, from where the settings are.
    schemas: Option<PathBuf>,
    /// What is personal in its events, and sealed.
    #[serde(default)]
    pii: Vec<RuleEntry>,
}

fn one() -> i64 {
    Partitions::ONE.count().into()
}

/// Who names topics, beside who declares them.
pub(super) struct Mentions<'n> {
    /// What views read.
    pub(super) definitions: &'n Definitions,
    /// Where sign-ins end.
    pub(super) session_topic: Option<&'n str>,
    /// Whose outboxes publish, and to what.
    pub(super) composition: &'n Composition,
}

impl Mentions<'_> {
    /// Each topic with the path of who names it; of several the last.
    pub(super) fn by(&self) -> BTreeMap<String, Vec<&'static str>> {
        let read = self.definitions.topics().into_iter().map(|name| (name, vec!["views"]));
        let session_topic =
            self.session_topic.map(|name| (name.to_owned(), vec!["session", "topic"]));
        let Composition { section, topics, .. } = *self.composition;
        let published = topics.iter().map(|name| ((*name).to_owned(), vec![section]));
        read.chain(session_topic).chain(published).collect()
    }
}

/// A topic that somebody may publish to.
struct Publishable<'e> {
    topic: &'e String,
    role: &'e Role,
}

/// What is wrong with one topic; with its name, unless a field is named.
struct Wrong {
    field: Option<&'static str>,
    says: String,
}

impl Events {
    /// The gateway's part.
    pub(super) fn gateway(&self) -> Option<gateway::settings::Events> {
        let publish: BTreeMap<String, Role> =
            self.published().map(|it| (it.topic.clone(), it.role.clone())).collect();
        let is_fetched = self.subscriptions.values().any(SubscriptionEntry::is_fetched);
        if self.path.is_none() && self.role.is_none() && publish.is_empty() && !is_fetched {
            return None;
        }
        let path = self.path.clone().unwrap_or_else(|| EVENTS_PATH.to_owned());
        let (role, is_scheduled) = (self.role.clone(), self.schedules.is_some());
        Some(gateway::settings::Events { path, role, publish, is_fetched, is_scheduled })
    }

    /// Topics that somebody may publish to over HTTP.
    fn published(&self) -> impl Iterator<Item = Publishable<'_>> {
        let roles = self.topics.iter().map(|(topic, it)| (topic, it.publish.as_ref()));
        roles.filter_map(|(topic, role)| Some(Publishable { topic, role: role? }))
    }

    /// Topics whose events go through another broker, and wait in an outbox of this process before.
    pub(super) fn taken(&self, topics: &[Declared]) -> Vec<Declared> {
        let is_taken = |it: &&Declared| {
            self.is_over_another() && self.published().any(|of| *of.topic == it.topic.to_string())
        };
        topics.iter().filter(is_taken).cloned().collect()
    }

    fn is_over_another(&self) -> bool {
        self.broker.as_deref().is_some_and(|it| it != LOCAL)
    }

    /// Topics that would have a second publisher, or no place for what is published; `composed` are those that the
    /// composition's outboxes publish to.
    pub(super) fn not_publishable(&self, composed: &[&str], has_store: bool) -> Vec<Mistake> {
        let of_outboxes: BTreeMap<String, Vec<&str>> =
            self.inserted().map(|NamedTopic { topic, path }| (topic, path)).collect();
        let over_another = self.is_over_another();
        let count = self.published().count();
        let wrong = |Publishable { topic, .. }: Publishable<'_>| {
            let says = if composed.contains(&topic.as_str()) {
                "its own service publishes to it, from its outbox: nobody else may".to_owned()
            } else if let Some(path) = of_outboxes.get(topic) {
                format!("`{}` publishes to it: nobody else may", path.join("."))
            } else if over_another && !composed.is_empty() {
                "is taken over another broker by `yeoul serve` alone".to_owned()
            } else if over_another && !has_store {
                let says = "waits for another broker in an outbox of this process: say where that is (`store: sqlite`, in the \
                     data folder, or `store: postgres://…`)";
                says.to_owned()
            } else if over_another && (topic.len() > TAKEN_NAME_MAX || count > TAKEN_MAX) {
                format!(
                    "at most {TAKEN_MAX} topics over another broker, whose names have {TAKEN_NAME_MAX} characters at most. count=`{count}`"
                )
            } else {
                return None;
            };
            Some(Mistake::new(&["events", "topics", topic, "publish"], says))
        };
        self.published().filter_map(wrong).collect()
    }

    /// The broker that is not the folder's own log, if there is one.
    ///
    /// # Errors
    /// Every mistake.
    pub(super) fn broker(&self) -> Result<Option<brokers::Settings>, Vec<Mistake>> {
        let wrong = |field, says: String| vec![Mistake::new(&["events", field], says)];
        let Some(text) = self.broker.as_deref().filter(|text| *text != LOCAL) else {
            let local = "is of a broker in a process of its own: name one in `events.broker`";
            let given = [("prefix", self.prefix.is_some()), ("replicas", self.replicas.is_some())];
            // All that is said of another broker, in one go: without its name none of it means anything.
            let stray = given.into_iter().filter(|(_, is_given)| *is_given);
            let stray: Vec<Mistake> =
                stray.map(|(field, _)| Mistake::new(&["events", field], local)).collect();
            return if stray.is_empty() { Ok(None) } else { Err(stray) };
        };
        let address = text.parse().map_err(|error: events::Error| {
            wrong("broker", format!("must be `{LOCAL}` or an address: {}", store::form(&error)))
        })?;
        let prefix = self.prefix.clone().unwrap_or_default();
        let settings = brokers::Settings { address, prefix, replicas: self.replicas };
        settings
            .check()
            .map_err(|error| wrong("prefix", format!("must be {}", store::form(&error))))?;
        settings.check_replicas().map_err(|error| wrong("replicas", store::form(&error)))?;
        Ok(Some(settings))
    }

    /// What topics keep that do not keep everything; a topic whose name is none is a mistake elsewhere.
    ///
    /// # Errors
    /// Every mistake.
    pub(super) fn retained(&self) -> Result<BTreeMap<Topic, Retention>, Vec<Mistake>> {
        let over_another = self.is_over_another();
        let (mut all, mut mistakes) = (BTreeMap::new(), Vec::new());
        let written =
            self.topics.iter().filter_map(|(name, it)| Some((name, it, it.retain.as_ref()?)));
        for (name, declaration, retain) in written {
            let path = ["events", "topics", name, "retain"];
            if over_another {
                let says = "is of the data folder's own log; what another broker keeps is set there \
                            (Kafka: `retention.ms`, `retention.bytes`, `cleanup.policy`)";
                mistakes.push(Mistake::new(&path, says));
                continue;
            }
            match (retain.compile(declaration.partitions.unsigned_abs()), Topic::parse(name)) {
                (Ok(retention), Ok(topic)) => drop(all.insert(topic, retention)),
                (Ok(_), Err(_)) => {}
                (Err(WrongRetain { field, says }), _) => {
                    let path: Vec<&str> = path.into_iter().chain(field).collect();
                    mistakes.push(Mistake::new(&path, says));
                }
            }
        }
        if mistakes.is_empty() { Ok(all) } else { Err(mistakes) }
    }

    /// What topics promise that say so; `config` is the file of settings, beside which their folders are.
    ///
    /// # Errors
    /// Every mistake in every schema.
    pub(super) fn contracts(&self, config: Option<&Path>) -> Result<Contracts, Vec<Mistake>> {
        let beside = config.and_then(Path::parent).unwrap_or(Path::new(""));
        let (mut all, mut mistakes) = (Contracts::new(), Vec::new());
        for (name, folder) in self.promising() {
            let path = ["events", "topics", name, "schemas"];
            match (contracts::read(&beside.join(folder)), Topic::parse(name)) {
                (Ok(contract), Ok(topic)) => drop(all.insert(topic, Arc::new(contract))),
                // A name that is none is a mistake elsewhere.
                (Ok(_), Err(_)) => {}
                (Err(wrong), _) => {
                    mistakes.extend(wrong.into_iter().map(|says| Mistake::new(&path, says)));
                }
            }
        }
        if mistakes.is_empty() { Ok(all) } else { Err(mistakes) }
    }

    /// Topics whose promise some publisher is not held to: a row is committed before anybody looks at it.
    pub(super) fn unchecked(&self) -> Vec<Mistake> {
        let of_outboxes: BTreeMap<String, Vec<&str>> =
            self.inserted().map(|NamedTopic { topic, path }| (topic, path)).collect();
        let warned = self.promising().filter_map(|(name, _)| {
            let outbox = of_outboxes.get(name)?.join(".");
            let says = format!(
                "what `{outbox}` publishes is not held to it: a row is committed before it is read"
            );
            Some(Mistake::new(&["events", "topics", name, "schemas"], says))
        });
        warned.collect()
    }

    /// What is personal in topics' events; `is_layer` where no service is in this process.
    ///
    /// # Errors
    /// Every mistake.
    pub(super) fn pii(&self, is_layer: bool) -> Result<pii::Rules, Vec<Mistake>> {
        let of_outboxes: BTreeMap<String, Vec<&str>> =
            self.inserted().map(|NamedTopic { topic, path }| (topic, path)).collect();
        let written = self.topics.iter().filter(|(_, it)| !it.pii.is_empty());
        let written = written.map(|(topic, it)| pii::Written {
            topic,
            entries: &it.pii,
            outbox: of_outboxes.get(topic).map(|path| path.join(".")),
        });
        pii::compile(written, is_layer)
    }

    /// Topics that say what their events are, and in which folder.
    fn promising(&self) -> impl Iterator<Item = (&String, &PathBuf)> {
        self.topics.iter().filter_map(|(name, it)| Some((name, it.schemas.as_ref()?)))
    }

    /// The tables whose rows are published, each once for each of its topics; `topics` are those that there are.
    ///
    /// # Errors
    /// Every mistake.
    pub(super) fn outboxes(
        &self,
        topics: &[Declared],
        composition: &Composition,
    ) -> Result<Vec<Outbox>, Vec<Mistake>> {
        if !composition.topics.is_empty() && !self.outboxes.is_empty() {
            let says = "are relayed by `yeoul serve` alone";
            return Err(vec![Mistake::new(&["events", "outboxes"], says)]);
        }
        outboxes::compile(&self.outboxes, topics)
    }

    /// Who has events delivered elsewhere; `topics` are those that there are.
    ///
    /// # Errors
    /// Every mistake.
    pub(super) fn subscriptions(
        &self,
        topics: &[Declared],
        composition: &Composition,
    ) -> Result<Vec<Elsewhere>, Vec<Mistake>> {
        let has_pii =
            |topic: &Topic| self.topics.get(topic.as_str()).is_some_and(|it| !it.pii.is_empty());
        let section = subscriptions::Section {
            written: &self.subscriptions,
            has_pii: &has_pii,
            seals: &|topic, names| {
                let declared = self.topics.get(topic.as_str());
                declared.is_some_and(|it| it.pii.iter().any(|rule| rule.seals(names)))
            },
            allow: &self.allow,
            is_one_machine: !composition.topics.is_empty(),
            services: &composition.services,
        };
        subscriptions::compile(&section, topics)
    }

    /// What may be published at a time to come, if anything; `is_layer` where no service is in this process.
    ///
    /// # Errors
    /// The mistake.
    pub(super) fn schedules(&self, is_layer: bool) -> Result<Option<Limits>, Vec<Mistake>> {
        let around = Around { is_taken: self.published().next().is_some(), is_layer };
        self.schedules.as_ref().map(|written| written.compile(&around)).transpose()
    }

    /// Topics that such tables publish to, each with the path of who names it.
    fn inserted(&self) -> impl Iterator<Item = NamedTopic<'_>> {
        self.outboxes.iter().flat_map(|(name, outbox)| outboxes::topics_of(name, outbox))
    }

    /// The topics that are declared and those of these names, each with the path of who names it.
    ///
    /// # Errors
    /// Every mistake.
    pub(super) fn declared(
        &self,
        named: &BTreeMap<String, Vec<&str>>,
    ) -> Result<Vec<Declared>, Vec<Mistake>> {
        let (mut all, mut mistakes) = (Vec::new(), Vec::new());
        let inserted = self.inserted().map(|NamedTopic { topic, path }| (topic, path));
        let subscribed = self.subscriptions.iter().map(|(name, written)| {
            (written.topic().to_owned(), vec!["events", "subscriptions", name, "topic"])
        });
        let inserted: BTreeMap<String, Vec<&str>> = subscribed.chain(inserted).collect();
        let named: BTreeMap<&String, &Vec<&str>> = inserted.iter().chain(named).collect();
        let names: BTreeSet<&String> = named.keys().copied().chain(self.topics.keys()).collect();
        for name in names {
            match self.one(name) {
                Ok(declared) => all.push(declared),
                Err(wrong) => {
                    let path = self.path_of(name, wrong.field, named.get(name).copied());
                    mistakes.push(Mistake::new(&path, wrong.says));
                }
            }
        }
        if mistakes.is_empty() { Ok(all) } else { Err(mistakes) }
    }

    /// What reads a topic that is none of those that are known: of the composition's outboxes, and of those that
    /// the settings declare. Where none is known, to name one is what makes it.
    pub(super) fn strays(
        &self,
        views: &BTreeMap<String, View>,
        session_topic: Option<&str>,
        composed: &[&str],
    ) -> Vec<Mistake> {
        let declared = self.topics.keys().map(String::as_str);
        let inserted = self.outboxes.values().flat_map(outboxes::OutboxEntry::topics);
        let named = composed.iter().copied().chain(declared);
        let known: BTreeSet<&str> = named.chain(inserted).collect();
        let mut found = Mistakes::default();
        let mut check = |topic: &str, path: &[&str]| {
            if !known.is_empty() && !known.contains(topic) {
                found.at(path).unknown("topic", topic, known.iter().copied());
            }
        };
        for (name, view) in views {
            view.topics.iter().for_each(|topic| check(topic, &["views", name, "topics"]));
        }
        for (name, written) in &self.subscriptions {
            check(written.topic(), &["events", "subscriptions", name, "topic"]);
        }
        if composed.is_empty() {
            session_topic.into_iter().for_each(|topic| check(topic, &["session", "topic"]));
        }
        found.found()
    }

    /// Topics that are declared and that nobody who is `named` publishes or reads: each is made, and hardly meant.
    pub(super) fn unused(&self, named: &BTreeMap<String, Vec<&str>>) -> Vec<Mistake> {
        let known = || named.keys().map(String::as_str);
        let is_named = |name: &String| named.contains_key(name);
        let unused =
            self.topics.iter().filter(|(name, it)| !is_named(name) && it.publish.is_none());
        let unused = unused.map(|(name, _)| name);
        let says = |name: &String| {
            let unknown = mistakes::unknown("topic", name, known());
            let says = format!("nobody publishes to it, and nothing reads it: {unknown}");
            Mistake::new(&["events", "topics", name], says)
        };
        unused.map(says).collect()
    }

    fn one(&self, name: &str) -> Result<Declared, Wrong> {
        let topic = Topic::parse(name).map_err(|_| {
            let says = format!("`{name}` is no name of a topic");
            Wrong { field: None, says }
        })?;
        let count = self.topics.get(name).map_or(1, |it| it.partitions);
        let partitions = u16::try_from(count).ok().and_then(|it| Partitions::new(it).ok());
        let partitions = partitions.ok_or_else(|| {
            let says = format!("must be 1 to {PARTITIONS_MAX}. value=`{count}`");
            Wrong { field: Some("partitions"), says }
        })?;
        Ok(Declared { topic, partitions })
    }

    fn path_of<'p>(
        &self,
        name: &'p str,
        field: Option<&'p str>,
        by: Option<&Vec<&'p str>>,
    ) -> Vec<&'p str> {
        match by {
            Some(by) if !self.topics.contains_key(name) => by.clone(),
            _ => ["events", "topics", name].into_iter().chain(field).collect(),
        }
    }
}
