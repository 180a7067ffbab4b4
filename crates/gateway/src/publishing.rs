//! Publishing over HTTP: CloudEvents in their three modes, stored once and on disk before the answer.
//!
//! A publisher is told where its events are, or why not, and nothing in between: a batch is stored whole or not at all,
//! a second copy is answered with the place of the first, and where so much waits that memory would grow it is told when
//! to come back, before its body is read. What a condition says is decided where it is stored ([`taker`]).
//!
//! Who may is decided before ([`admit`](crate::server)); what an event has to be, `events` knows. It publishes to no topic
//! that a service publishes to from an outbox: an event there would be of nobody's transaction.

mod binary;
pub(crate) mod body;
mod condition;
pub(crate) mod personal;
pub(crate) mod promised;
mod room;
mod taker;
mod traced;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use chassis::chance;
use chassis::http::{Inbound, Problem, Response, json, whole};
use chassis::telemetry::Metrics;
use contracts::Contract;
use events::offer::{Came, Outcome};
use events::{Broker, Error, Event, Log, Numbered, Numbers, Offer, Topic, Unless, outside};
use http::header::CACHE_CONTROL;
use http::{HeaderMap, HeaderValue, StatusCode};
use privacy::Sealing;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tracing::error;

use crate::meters::Meters;
use crate::pages::wait;
use body::Mode;
use room::Room;
use taker::Taker;

/// When it is worth coming back.
const RETRY_SECONDS: u64 = 1;

/// Who stores what is published from outside.
#[derive(Clone, Default)]
pub enum Takers {
    /// Nobody: nothing may be published.
    #[default]
    Nobody,
    /// The folder's own log.
    Log(Arc<Log>),
    /// Where events go through another broker, an outbox of each topic.
    Outboxes(Vec<outside::Outbox>),
}

/// What topics promise that do.
pub type Contracts = BTreeMap<Topic, Arc<Contract>>;

/// What is promised of topics' events.
#[derive(Clone, Default)]
pub struct Promises {
    /// What their data is; what comes from outside is held to it.
    pub contracts: Contracts,
    /// That what is personal in them is sealed; nothing where nothing is.
    pub sealing: Option<Sealing>,
}

/// What all cores publish by.
pub(crate) struct Publishing {
    takers: Takers,
    promises: Promises,
    room: Room,
    meters: Meters,
}

impl Publishing {
    pub(crate) fn new(takers: Takers, promises: Promises, metrics: &Metrics) -> Publishing {
        let meters = Meters::new(metrics, "publish");
        Publishing { takers, promises, room: Room::default(), meters }
    }

    /// What seals personal data, and tells it.
    pub(crate) fn sealing(&self) -> Option<&Sealing> {
        self.promises.sealing.as_ref()
    }

    /// What is promised of topics' events.
    pub(crate) fn promises(&self) -> &Promises {
        &self.promises
    }

    /// What a topic promises, if it does.
    pub(crate) fn contract(&self, topic: &Topic) -> Option<&Contract> {
        self.promises.contracts.get(topic).map(Arc::as_ref)
    }

    fn taker(&self, topic: &Topic) -> Option<Taker<'_>> {
        match &self.takers {
            Takers::Nobody => None,
            Takers::Log(log) => Some(Taker::Log(log)),
            Takers::Outboxes(all) => all.iter().find(|it| it.topic() == topic).map(Taker::Outbox),
        }
    }

    pub(crate) fn count(&self, done: &Result<Response, Problem>) {
        self.meters.count(done.as_ref().map_or_else(Problem::status, http::Response::status));
    }
}

/// A request to publish, by who may.
pub(crate) struct Ask<'a> {
    pub(crate) publishing: &'a Publishing,
    pub(crate) broker: &'a dyn Broker,
    /// Whether the topic takes events from outside.
    pub(crate) may: bool,
    pub(crate) topic: &'a str,
    pub(crate) headers: &'a HeaderMap,
    /// Who asks.
    pub(crate) client: IpAddr,
}

impl Ask<'_> {
    /// Stores the events of a body.
    ///
    /// # Errors
    /// 404 and 403 for the topic, 415, 413 and 408 for the body, 400 with every field that is wrong, 409 where the condition is
    /// false, 422 where it cannot be looked at, 503 where there is no room or the disk refuses.
    pub(crate) async fn answer(self, body: Inbound) -> Result<Response, Problem> {
        let topic = self.known().ok_or_else(Problem::not_found)?;
        let Some(taker) = self.publishing.taker(&topic).filter(|_| self.may) else {
            let says = "only its own service publishes to this topic";
            return Err(Problem::forbidden(says));
        };
        let mode = Mode::of(self.headers)?;
        let mut room = self.publishing.room.for_body(self.client)?;
        let bytes = whole::read_with(self.headers, body, mode.limit(), |more| room.grow(more));
        let bytes = bytes.await?;
        let mut events = mode.events(self.headers, &bytes)?;
        if let Some(contract) = self.publishing.contract(&topic) {
            promised::check(contract, &events, |at| mode.place(at)).await?;
        }
        if let Some(sealing) = self.publishing.sealing() {
            personal::seal(sealing, &topic, &mut events, |at| mode.place(at)).await?;
        }
        traced::continued(&mut events, self.headers);
        drop(bytes);
        let offer = Offer::new(&events).and_then(|offer| taker.check(&offer).map(|()| offer));
        let mut offer = offer.map_err(|refused| body::refused(&mode, &refused))?;
        let key = only_key(&events);
        drop(events);
        if let Some(unless) = self.condition(taker, &topic).await? {
            offer = offer.unless(unless).map_err(|error| trouble(&error))?;
        }
        match taker.offer(&topic, offer).await.map_err(|error| trouble(&error))? {
            // An empty batch changes nothing and is answered with what is newest.
            Outcome::Stored(places) if places.is_empty() => {
                let newest = taker.newest(&topic).await.map_err(|error| trouble(&error))?;
                Ok(stored(taker, &topic, newest, None))
            }
            Outcome::Stored(places) => {
                Ok(stored(taker, &topic, places.into_iter().collect(), key.as_deref()))
            }
            Outcome::Came(came) => Err(conflict(taker, &topic, came)),
            Outcome::Others => Err(condition::another_publisher()),
        }
    }

    /// The condition, if there is one, of places that the topic has.
    async fn condition(&self, taker: Taker<'_>, topic: &Topic) -> Result<Option<Unless>, Problem> {
        let partitions = self.broker.partitions(topic).map_err(|error| trouble(&error))?;
        let Some(unless) = condition::read(self.headers, topic, partitions, taker.counted())?
        else {
            return Ok(None);
        };
        if unless.after.iter().next().is_none() {
            return Ok(Some(unless));
        }
        let newest = taker.newest(topic).await.map_err(|error| trouble(&error))?;
        for Numbered { partition, number } in unless.after.iter() {
            let end = newest.of(partition);
            if number > end {
                let end = [Numbered { partition, number: end }].into_iter().collect();
                return Err(condition::past_the_end(&taker.position(topic, end)));
            }
        }
        Ok(Some(unless))
    }

    fn known(&self) -> Option<Topic> {
        let topic = Topic::parse(self.topic).ok()?;
        self.broker.partitions(&topic).ok().map(|_| topic)
    }
}

/// The key of all of them, if they have one together: what is parked under others is not waited for then.
fn only_key(events: &[Event]) -> Option<String> {
    let mut keys = events.iter().map(|event| &event.key);
    let first = keys.next()?;
    keys.all(|key| key == first).then(|| first.clone())
}

/// Where the events are, the furthest place in each partition that they are in: for whoever reads on from there, and
/// for who reads a page that shows them.
fn stored(taker: Taker<'_>, topic: &Topic, places: Numbers, key: Option<&str>) -> Response {
    let written = taker.written(topic, places.clone());
    let written = key.map_or_else(|| written.clone(), |key| written.clone().for_key(key));
    let position = taker.position(topic, places);
    let mut response = json(StatusCode::OK, &json!({ "position": position }));
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // A token is URL-safe, so it is a header's value.
    headers.extend(HeaderValue::try_from(written.to_string()).ok().map(|it| (wait::POSITION, it)));
    response
}

/// 409 with what came.
fn conflict(taker: Taker<'_>, topic: &Topic, came: Vec<Came>) -> Problem {
    let shown = |Came { at, event }: Came| {
        let mut shown = members(&event);
        let position = taker.position(topic, [at].into_iter().collect());
        shown.insert("position".to_owned(), json!(position));
        Value::Object(shown)
    };
    let count = came.len();
    let says = format!("{count} event(s) came that the condition rules out; nothing was stored");
    Problem::conflict(says).events(came.into_iter().map(shown).collect())
}

/// An event member by member; one that was stored before it would be refused, and cannot be read here, as a text.
fn members(event: &Event) -> Map<String, Value> {
    let read: BTreeMap<String, Box<RawValue>> =
        serde_json::from_slice(&event.to_json()).expect("an event is an object");
    let value =
        |raw: &RawValue| serde_json::from_str(raw.get()).unwrap_or_else(|_| raw.get().into());
    read.into_iter().map(|(name, raw)| (name, value(&raw))).collect()
}

/// What the log says once the events are sound.
fn trouble(refusal: &Error) -> Problem {
    match refusal {
        Error::UnknownTopic => Problem::not_found(),
        Error::Limit { field: "events", limit, .. } => Problem::unprocessable(format!(
            "more than {limit} events of the condition's subject came behind its position: name a later one"
        )),
        Error::Limit { field: "bytes", limit, .. } => Problem::unprocessable(format!(
            "events of the condition's subject that came behind its position have more than {limit} bytes: name a later one"
        )),
        Error::Gone { what, .. } => Problem::unprocessable(format!(
            "what came behind the condition's position is not known any more ({what}): name a later one"
        )),
        Error::Limit { field, limit, .. } => {
            let reason = format!("names more than {limit} {field}");
            let limit = Some((*limit).into());
            Problem::bad_request(format!("{} {reason}", condition::NAME)).field(
                condition::NAME,
                reason,
                limit,
            )
        }
        Error::Unknown { .. } => Problem::storage_unavailable().detail(
            "it is not known whether it was stored; ask again: the same source and id are stored once",
        ),
        Error::Closed => {
            Problem::unavailable("destination_unavailable", chance::seconds(RETRY_SECONDS))
        }
        environment if environment.is_environment() => Problem::storage_unavailable(),
        other => {
            error!(error = %other, "events from outside cannot be stored");
            Problem::internal()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_is_shown_whole_though_a_member_of_it_cannot_be_read() {
        for data in [r#"["\ud800"]"#, "1e999"] {
            let text = format!(
                r#"{{"specversion":"1.0","id":"1","source":"/a","type":"A","time":"2026-11-27T00:00:00Z","data":{data}}}"#
            );
            let shown =
                members(&Event::from_json(text.as_bytes()).expect("stored before it was refused"));
            assert_eq!((&shown["id"], &shown["data"]), (&json!("1"), &json!(data)));
        }
    }
}
