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
use crate::rule::Rule;
use crate::sealed::{self, Purpose};

/// Bytes of data that are sealed in one go at most, but for the last event's: a core has others to answer.
const SLICE_BYTES: usize = 64 * 1024;

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
        let mut done = 0;
        for (event, personal) in events.iter_mut().zip(&found) {
            event.data = data(sealed_data(topic, event, personal, &keys));
            done += event.data.get().len();
            if done >= SLICE_BYTES {
                done = 0;
                yield_now().await;
            }
        }
        Ok(())
    }

    /// The event as it may be read; `None` where nothing in it is sealed.
    ///
    /// # Errors
    /// [`Error::Environment`]: the keys cannot be read now.
    pub async fn opened(&self, topic: &Topic, event: &Event) -> Result<Option<Event>, Error> {
        let Some(rules) = self.rules(topic).filter(|_| event.is_json()) else { return Ok(None) };
        // Of what was stored before there were rules it may not be known whose it is, and nothing in it is sealed.
        let Ok(personal) = fields::personal(rules, looked(event)) else { return Ok(None) };
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
    if !event.is_json() {
        let is_any = rules.iter().any(|rule| rule.is_of(&event.kind));
        let says = "must be JSON: fields of it are personal, and sealed";
        return match payload(event) {
            Payload::Base64 if is_any => {
                Err(Wrong { field: "data".to_owned(), says: says.to_owned() })
            }
            _ => Ok(Vec::new()),
        };
    }
    let found = fields::personal(rules, looked(event));
    let mut found = found.map_err(|fields::Wrong { field, says }| Wrong { field, says })?;
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

fn sealed_data(
    topic: &Topic,
    event: &Event,
    personal: &[Personal],
    keys: &HashMap<String, SealingKey>,
) -> String {
    let text = event.data.get();
    let replaced = personal.iter().map(|one| {
        let value = &text[one.range.clone()];
        let value = sealed::seal(&keys[&one.person], &purpose(topic, event, one), value);
        Replaced { range: one.range.clone(), value }
    });
    fields::with(text, &replaced.collect::<Vec<_>>())
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
