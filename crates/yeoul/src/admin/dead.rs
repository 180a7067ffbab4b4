//! Dead letters of every subscription and of every outbox: what was given up, trying it again, dropping
//! it; what is parked and tried again by itself; and what was stepped over.

mod edited;
mod filter;
pub(crate) mod many;

use chassis::http::query::Query;
use chassis::http::{Problem, Response, empty, json};
use events::parking::{DeadLetter, PARKED_MAX, RetriedEvent};
use events::skipped::Skipped;
use events::subscription::Destination;
use events::{Broker, Event, Partition, Topic, relay, subscription};
use http::StatusCode;
use serde_json::{Value, json};

use super::problem;
use super::scheduling::Scheduling;

/// What stands before a topic's name for its readers from outside.
const OUTSIDE: &str = "log.";

/// How many of one subscription that are tried again by themselves are listed.
const RETRIED_MAX: usize = 1_000;

/// The handles of what a process runs that can be stuck.
pub(crate) struct Controls {
    pub(crate) subscriptions: Vec<subscription::Control>,
    pub(crate) relays: Vec<relay::Control>,
    pub(crate) schedules: Vec<Scheduling>,
}

impl Controls {
    /// What is parked and tried again by itself.
    pub(super) async fn retried(&self) -> Result<Response, Problem> {
        let all = self.all_retried().await?;
        Ok(json(StatusCode::OK, &all.iter().map(retried_json).collect::<Vec<_>>()))
    }

    async fn all_retried(&self) -> Result<Vec<RetriedEvent>, Problem> {
        let mut all = Vec::new();
        for control in &self.subscriptions {
            all.extend(control.retried(RETRIED_MAX).await.map_err(|error| problem(&error))?);
        }
        Ok(all)
    }

    pub(super) async fn show(&self, id: &str) -> Result<Response, Problem> {
        let letters = self.letters().await?;
        let letter = letters.iter().find(|letter| letter.id == id).map(letter_json);
        let mut value = match letter {
            Some(letter) => letter,
            None => {
                let retried = self.all_retried().await?;
                let event = retried.iter().find(|event| event.id == id);
                retried_json(event.ok_or_else(Problem::not_found)?)
            }
        };
        // Read after the letter: it may have been redriven in between, and then it is shown without its event.
        let event = self.event(id).await?.map(|event| event.to_json());
        value["event"] = event.map_or(Value::Null, |event| shown(&event));
        value["edited"] = self.show_edited(id).await?;
        Ok(json(StatusCode::OK, &value))
    }

    /// Whether there was one of this id.
    async fn redrive_one(&self, id: &str) -> Result<bool, events::Error> {
        // A letter's id begins with whose it is, so that at most one of them knows it.
        for control in &self.subscriptions {
            if control.redrive(id).await? {
                return Ok(true);
            }
        }
        for relay in &self.relays {
            if relay.redrive(id).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    pub(super) async fn discard(&self, id: &str, by: &str) -> Result<Response, Problem> {
        match self.discard_one(id, by).await.map_err(|error| problem(&error))? {
            true => Ok(empty(StatusCode::NO_CONTENT)),
            false => Err(self.no_letter(id).await?),
        }
    }

    /// Whether there was a letter of this id.
    async fn discard_one(&self, id: &str, by: &str) -> Result<bool, events::Error> {
        for control in &self.subscriptions {
            if control.discard(id, by).await? {
                return Ok(true);
            }
        }
        for relay in &self.relays {
            if relay.discard(id, by).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Why there is no dead letter of this id: it may be one yet.
    async fn no_letter(&self, id: &str) -> Result<Problem, Problem> {
        let retried = self.all_retried().await?;
        let Some(event) = retried.iter().find(|event| event.id == id) else {
            return Ok(Problem::not_found());
        };
        let RetriedEvent { attempts, next_attempt, reason, .. } = event;
        Ok(Problem::conflict(format!(
            "{id} is no dead letter: it failed {attempts} time(s), lately by `{reason}`, and is tried again by itself, \
             next at {next_attempt}; only a dead letter is dropped; `yeoul dead redrive {id}` has it tried at once"
        )))
    }

    /// Steps over the one thing that stops `name`; 409 where nothing does.
    pub(super) async fn skip(
        &self,
        broker: &dyn Broker,
        name: &str,
        by: &str,
    ) -> Result<Response, Problem> {
        let subscription = self.subscriptions.iter().find(|control| control.name() == name);
        let relay = self.relays.iter().find(|relay| relay.name() == name);
        // A subscription or a relay steps over what stops itself; under `log.TOPIC` the broker does, for readers from
        // outside that have no loop here.
        let skipped = match (subscription, relay) {
            (Some(control), _) => control.skip(by).await,
            (None, Some(relay)) => relay.skip(by).await,
            (None, None) => match name.strip_prefix(OUTSIDE).map(Topic::parse) {
                Some(Ok(topic)) => broker.skip(&topic, by).await,
                _ => return Err(Problem::not_found()),
            },
        };
        if let Err(events::Error::UnknownTopic) = skipped {
            return Err(Problem::not_found());
        }
        match skipped.map_err(|error| problem(&error))? {
            Some(skipped) => Ok(json(StatusCode::OK, &skipped_json(&skipped))),
            None => Err(Problem::conflict("nothing is stuck there that can be stepped over")),
        }
    }

    /// Has a subscription read on from where an operator says, in one `partition` or in all.
    pub(super) async fn place(
        &self,
        name: &str,
        mut query: Query,
        by: &str,
    ) -> Result<Response, Problem> {
        let to = query.text("to").unwrap_or_default().parse::<Destination>();
        if let Err(error) = &to {
            query.note("to", error.to_string());
        }
        let index = query.text("partition").map(|text| text.parse().ok().and_then(Partition::new));
        if index == Some(None) {
            query.note("partition", "must be a partition's number");
        }
        query.finish()?;
        let named = self.subscriptions.iter().find(|control| control.name() == name);
        let control = named.ok_or_else(Problem::not_found)?;
        let to = to.map_err(|error| problem(&error))?;
        let only = index.flatten();
        if only.is_some_and(|only| !control.has_partition(only)) {
            return Err(Problem::bad_field("partition", "is none of the topic's"));
        }
        match control.move_to(&to, only, by).await {
            Err(refused @ events::Error::Token { .. }) => {
                Err(Problem::conflict(refused.to_string()))
            }
            moved => moved.map(|()| empty(StatusCode::NO_CONTENT)).map_err(|error| problem(&error)),
        }
    }

    pub(super) async fn skipped(&self, broker: &dyn Broker) -> Result<Response, Problem> {
        let mut notes = broker.skipped().map_err(|error| problem(&error))?;
        for control in &self.subscriptions {
            notes.extend(control.skipped().await.map_err(|error| problem(&error))?);
        }
        for relay in &self.relays {
            notes.extend(relay.skipped().await.map_err(|error| problem(&error))?);
        }
        Ok(json(StatusCode::OK, &notes.iter().map(skipped_json).collect::<Vec<_>>()))
    }

    async fn event(&self, id: &str) -> Result<Option<Event>, Problem> {
        for control in &self.subscriptions {
            if let Some(event) = control.dead_event(id).await.map_err(|error| problem(&error))? {
                return Ok(Some(event));
            }
        }
        for relay in &self.relays {
            if let Some(event) = relay.dead_event(id).await.map_err(|error| problem(&error))? {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    /// All that there are: as many of each as may be parked.
    async fn letters(&self) -> Result<Vec<DeadLetter>, Problem> {
        let (limit, mut letters) = (PARKED_MAX as usize, Vec::new());
        for control in &self.subscriptions {
            letters.extend(control.dead(limit).await.map_err(|error| problem(&error))?);
        }
        for relay in &self.relays {
            letters.extend(relay.dead(limit).await.map_err(|error| problem(&error))?);
        }
        Ok(letters)
    }
}

/// An event in JSON; as a text where that is deeper, or has larger numbers, than is read here.
fn shown(event: &[u8]) -> Value {
    serde_json::from_slice(event).unwrap_or_else(|_| json!(String::from_utf8_lossy(event)))
}

fn letter_json(letter: &DeadLetter) -> Value {
    json!({
        "id": letter.id,
        "subscription": letter.subscription,
        "topic": letter.topic.as_str(),
        "key": letter.key,
        "type": letter.kind,
        "attempts": letter.attempts,
        "reason": letter.reason,
        "since": letter.since.to_string(),
        "waiting": letter.waiting,
    })
}

fn retried_json(event: &RetriedEvent) -> Value {
    json!({
        "id": event.id,
        "subscription": event.subscription,
        "topic": event.topic.as_str(),
        "key": event.key,
        "type": event.kind,
        "attempts": event.attempts,
        "reason": event.reason,
        "nextAttempt": event.next_attempt.to_string(),
        "waiting": event.waiting,
    })
}

/// A note of something stepped over, as it is printed.
pub(crate) fn skipped_json(skipped: &Skipped) -> Value {
    json!({
        "name": skipped.name,
        "kind": skipped.kind,
        "partition": skipped.partition.index(),
        "first": skipped.first,
        "last": skipped.last,
        "event": skipped.event,
        "key": skipped.key,
        "reason": skipped.reason,
        "at": skipped.at.to_string(),
        "by": skipped.by,
    })
}
