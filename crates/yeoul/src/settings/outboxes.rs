//! Tables that services in other languages insert into, whose rows this process publishes.
//!
//! The address has no password: settings are shown. Where the server asks for one, the environment has it, in a
//! variable that is called as the outbox is.

use std::collections::BTreeMap;

use events::Declared;
use events::store::Host;
use mistakes::{Mistake, Mistakes};
use serde::Deserialize;

use super::store;

/// Tables that one process relays at most; each topic of each has connections of its own.
const OUTBOXES_MAX: usize = 32;
/// Topics of one table at most.
const TOPICS_MAX: usize = 32;
/// Connections of one topic's relay: what it reads and notes, and who asks how it is.
const CONNECTIONS: u32 = 3;
/// Characters of a name at most: its variable is called by it.
const NAME_CHARS_MAX: usize = 64;
/// Bytes that a schema's name has at most: what is noted beside it is called by it.
const SCHEMA_BYTES_MAX: usize = 40;

/// `events.outboxes.NAME`, as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OutboxEntry {
    /// Where the table is.
    database: String,
    /// The schema that has it.
    #[serde(default = "public")]
    schema: String,
    /// Those of its topics that are published.
    topics: Vec<String>,
}

fn public() -> String {
    "public".to_owned()
}

/// A table whose rows are published.
#[derive(Clone, Debug)]
pub(crate) struct Outbox {
    /// What the settings call it.
    pub(crate) name: String,
    /// The server that has it.
    pub(crate) host: Host,
    /// The variable of the environment that has its password.
    pub(crate) variable: String,
    /// The schema that has it.
    pub(crate) schema: String,
    /// Its topics.
    pub(crate) topics: Vec<Declared>,
}

impl OutboxEntry {
    pub(super) fn topics(&self) -> impl Iterator<Item = &str> {
        self.topics.iter().map(String::as_str)
    }
}

/// A topic, and the path of who names it.
pub(super) struct NamedTopic<'w> {
    pub(super) topic: String,
    pub(super) path: Vec<&'w str>,
}

/// Its topics, each with the path of who names it.
pub(super) fn topics_of<'w>(
    name: &'w str,
    written: &'w OutboxEntry,
) -> impl Iterator<Item = NamedTopic<'w>> {
    let path = vec!["events", "outboxes", name, "topics"];
    let named = move |topic: &str| NamedTopic { topic: topic.to_owned(), path: path.clone() };
    written.topics().map(named)
}

/// Every table that is named; `declared` are the topics that there are.
///
/// # Errors
/// Every mistake.
pub(super) fn compile(
    written: &BTreeMap<String, OutboxEntry>,
    declared: &[Declared],
) -> Result<Vec<Outbox>, Vec<Mistake>> {
    let mut mistakes = Mistakes::default();
    if written.len() > OUTBOXES_MAX {
        let says = format!("at most {OUTBOXES_MAX}. count=`{}`", written.len());
        mistakes.at(&["events", "outboxes"]).note(says);
    }
    let mut publishers = BTreeMap::new();
    let mut all = Vec::new();
    for (name, outbox) in written {
        for topic in outbox.topics() {
            if let Some(other) = publishers.insert(topic, name) {
                let says = format!("`{topic}` has a publisher already: `{other}`");
                mistakes.at(&["events", "outboxes", name, "topics"]).note(says);
            }
        }
        all.extend(one(name, outbox, declared, &mut mistakes));
    }
    let found = mistakes.found();
    if found.is_empty() { Ok(all) } else { Err(found) }
}

fn one(
    name: &str,
    written: &OutboxEntry,
    declared: &[Declared],
    mistakes: &mut Mistakes,
) -> Option<Outbox> {
    let OutboxEntry { database, schema, topics } = written;
    let path = |field| ["events", "outboxes", name, field];
    let Some(variable) = variable(name) else {
        let says = "must be lower-case letters, digits, `-` and `_`, a letter first";
        mistakes.at(&["events", "outboxes", name]).note(says);
        return None;
    };
    if !(1..=TOPICS_MAX).contains(&topics.len()) {
        mistakes.at(&path("topics")).note(format!("must be 1 to {TOPICS_MAX}"));
    }
    if !(1..=SCHEMA_BYTES_MAX).contains(&schema.len()) || schema.contains('\0') {
        let says = format!("must be 1 to {SCHEMA_BYTES_MAX} bytes");
        mistakes.at(&path("schema")).note(says);
    }
    match database.parse() {
        Ok(address) => {
            let is_its = |it: &&Declared| topics.iter().any(|name| *name == it.topic.to_string());
            let topics = declared.iter().filter(is_its).cloned().collect();
            let host =
                Host { address, password: store::password(&variable), connections: CONNECTIONS };
            let (name, schema) = (name.to_owned(), schema.clone());
            Some(Outbox { name, host, variable, schema, topics })
        }
        Err(error) => {
            let form = store::form(&error);
            let says = format!(
                "must be an address: {form}; a password is given by the variable `{variable}`"
            );
            mistakes.at(&path("database")).note(says);
            None
        }
    }
}

/// The variable of the environment that has its password.
fn variable(name: &str) -> Option<String> {
    let is_plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    let starts = name.starts_with(|first: char| first.is_ascii_lowercase());
    // Two underlines would make it the path of a setting.
    let sound = starts && name.bytes().all(is_plain) && !name.replace('-', "_").contains("__");
    let sound = sound && !name.ends_with(['-', '_']) && name.len() <= NAME_CHARS_MAX;
    sound.then(|| format!("YEOUL_OUTBOX_{}_PASSWORD", name.replace('-', "_").to_uppercase()))
}
