//! Events sealed where they come in, and told to those who may.
//!
//! Sealed before they are stored anywhere: whoever takes an event from outside does it first of all, once it is known to be
//! what its type promises. What is told is the very text that was sealed, so whoever may read has the event as it came.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use chassis::sealing::SealingKey;
use events::event::foreign::Payload;
use events::{Error, Event, Opener, Opening, Topic};
use serde_json::value::RawValue;
use tokio::task::yield_now;

use crate::fields::{self, Looked, Personal, Replaced};
use crate::keyring::Keyring;
use crate::pointer::Pointer;
use crate::rule::Rule;
use crate::sealed::{self, Purpose};

/// Bytes of data that are sealed in one go at most, but for the last event's: a core has others to answer.
const SLICE_BYTES: usize = 64 * 1024;

/// Personal values of one event at most.
pub const VALUES_MAX: usize = 1000;

/// What seals and tells; clones share it.
#[derive(Clone)]
pub struct Sealing {
    keyring: Keyring,
    topics: Arc<BTreeMap<Topic, Vec<Rule>>>,
}

/// Why events were not sealed.
#[derive(Debug)]
pub enum Refused {
    /// The publisher's to mend.
    Event {
        /// Which of the events, from 0.
        at: usize,
        /// What of it: an attribute, and within data the place.
        field: String,
        /// What is wrong with it.
        says: String,
    },
    /// The keys' store: ask again later.
    Keys(Error),
}

/// What becomes of a value that is sealed already, or was written to look so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Already {
    /// Who comes from outside has none: it is refused.
    Refused,
    /// Who has the event before him took it from there: it stays.
    Kept,
}

/// What one topic's readers are told by.
struct TopicOpener {
    sealing: Sealing,
    topic: Topic,
}

impl Opener for TopicOpener {
    fn open<'a>(&'a self, event: &'a Event) -> Opening<'a> {
        Box::pin(self.sealing.opened(&self.topic, event))
    }
}

impl Sealing {
    /// Sealing by these rules, with these keys.
    pub fn new(keyring: Keyring, topics: BTreeMap<Topic, Vec<Rule>>) -> Sealing {
        Sealing { keyring, topics: Arc::new(topics) }
    }

    /// Its keys.
    pub fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// What tells the events of a topic, if anything of it is personal.
    pub fn opener(&self, topic: &Topic) -> Option<Arc<dyn Opener>> {
        self.rules(topic)?;
        Some(Arc::new(TopicOpener { sealing: self.clone(), topic: topic.clone() }))
    }

    /// Seals what is personal in events that are to be stored; keys that were made for it are on disk then. Refused, none is
    /// changed.
    ///
    /// # Errors
    /// See [`Refused`].
    pub async fn seal(
        &self,
        topic: &Topic,
        events: &mut [Event],
        already: Already,
    ) -> Result<(), Refused> {
        let Some(rules) = self.rules(topic) else { return Ok(()) };
        let mut found = Vec::with_capacity(events.len());
        for (at, event) in events.iter().enumerate() {
            let personal = personal(rules, event, already);
            found.push(personal.map_err(|wrong| wrong.of(at))?);
        }
        let people = found.iter().flatten().map(|it| it.person.as_str()).collect::<BTreeSet<_>>();
        let keys = self.keyring.keys(&people).await.map_err(Refused::Keys)?;
        let (mut done, mut sealed) = (0, Vec::with_capacity(events.len()));
        for (event, personal) in events.iter().zip(&found) {
            let text = sealed_data(topic, event, personal, &keys).map_err(Refused::Keys)?;
            done += text.len();
            sealed.push(data(text));
            if done >= SLICE_BYTES {
                done = 0;
                yield_now().await;
            }
        }
        events.iter_mut().zip(sealed).for_each(|(event, data)| event.data = data);
        Ok(())
    }

    /// The event as it may be read; `None` where nothing in it is sealed.
    ///
    /// # Errors
    /// [`Error::Environment`]: the keys cannot be read now.
    pub async fn opened(&self, topic: &Topic, event: &Event) -> Result<Option<Event>, Error> {
        let Some(rules) = self.rules(topic).filter(|_| event.is_json()) else { return Ok(None) };
        // Of what was stored before there was a rule it may not be known whose it is by that one, and by others it is.
        let personal = fields::known(rules, looked(event));
        let text = event.data.get();
        let (mut replaced, mut keys) = (Vec::new(), HashMap::new());
        for one in personal.iter().filter(|it| sealed::is_marked(&text[it.range.clone()])) {
            if !keys.contains_key(&one.person) {
                keys.insert(one.person.clone(), self.keyring.find(&one.person).await?);
            }
            let key = keys[&one.person].as_ref();
            let value = sealed::open(key, &purpose(topic, event, one), &text[one.range.clone()]);
            replaced.extend(value.map(|value| Replaced { range: one.range.clone(), value }));
        }
        if replaced.is_empty() {
            return Ok(None);
        }
        Ok(Some(Event { data: data(fields::with(text, &replaced)), ..event.clone() }))
    }

    fn rules(&self, topic: &Topic) -> Option<&[Rule]> {
        self.topics.get(topic).map(Vec::as_slice)
    }
}

/// What is wrong with one event.
struct Wrong {
    field: String,
    says: String,
}

impl Wrong {
    fn of(self, at: usize) -> Refused {
        let Wrong { field, says } = self;
        Refused::Event { at, field, says }
    }
}

/// The personal values of an event that are to be sealed.
fn personal(rules: &[Rule], event: &Event, already: Already) -> Result<Vec<Personal>, Wrong> {
    if payload(event) == Payload::Nothing {
        return Ok(Vec::new());
    }
    if let Some(says) = unlooked(rules, event) {
        return Err(Wrong { field: "data".to_owned(), says: says.to_owned() });
    }
    if !event.is_json() {
        return Ok(Vec::new());
    }
    let found = fields::personal(rules, looked(event));
    let mut found = found.map_err(|fields::Wrong { field, says }| Wrong { field, says })?;
    if let Some(past) = found.get(VALUES_MAX) {
        let says = format!("is one personal value more than an event has: {VALUES_MAX}");
        return Err(Wrong { field: format!("data{}", past.pointer), says });
    }
    let is_marked = |it: &Personal| sealed::is_marked(&event.data.get()[it.range.clone()]);
    match already {
        Already::Kept => found.retain(|it| !is_marked(it)),
        Already::Refused => {
            if let Some(one) = found.iter().find(|it| is_marked(it)) {
                let says = "begins as a sealed value does: it is sealed here, and given as it is";
                let field = format!("data{}", one.pointer);
                return Err(Wrong { field, says: says.to_owned() });
            }
        }
    }
    Ok(found)
}

/// Why rules that are there for this type cannot find their fields in its data, if they cannot: what has none would be
/// stored as it is.
fn unlooked(rules: &[Rule], event: &Event) -> Option<&'static str> {
    let mut rules = rules.iter().filter(|rule| rule.is_of(&event.kind)).peekable();
    rules.peek()?;
    if !event.is_json() {
        return Some("must be JSON: fields of it are personal, and sealed");
    }
    let fits = match event.data.get().as_bytes().first() {
        Some(b'{' | b'n') => true,
        Some(b'[') => rules.all(|rule| rule.fields.iter().any(Pointer::is_of_arrays)),
        _ => false,
    };
    (!fits).then_some(
        "must be a JSON object, or an array where a rule's fields begin with `/*`: fields of it are personal, and sealed",
    )
}

fn sealed_data(
    topic: &Topic,
    event: &Event,
    personal: &[Personal],
    keys: &HashMap<String, SealingKey>,
) -> Result<String, Error> {
    let text = event.data.get();
    let replaced = personal.iter().map(|one| {
        let key = keys.get(&one.person);
        let key = key.ok_or_else(|| Error::environment("a person's key went away meanwhile"))?;
        let value = sealed::seal(key, &purpose(topic, event, one), &text[one.range.clone()]);
        Ok(Replaced { range: one.range.clone(), value })
    });
    let replaced = replaced.collect::<Result<Vec<_>, Error>>()?;
    Ok(fields::with(text, &replaced))
}

fn purpose<'p>(topic: &'p Topic, event: &'p Event, one: &'p Personal) -> Purpose<'p> {
    Purpose {
        topic: topic.as_str(),
        kind: &event.kind,
        subject: &event.subject,
        pointer: &one.pointer,
        person: &one.person,
    }
}

fn looked(event: &Event) -> Looked<'_> {
    Looked { kind: &event.kind, subject: &event.subject, data: event.data.get() }
}

fn payload(event: &Event) -> Payload {
    event.foreign.as_ref().map_or(Payload::Json, |it| it.payload)
}

fn data(text: String) -> Box<RawValue> {
    RawValue::from_string(text).expect("JSON with JSON in the places of values")
}
