//! `GET /events/trace/{correlation}`: one business transaction as a tree, of whatever topics its events are in.
//!
//! A correlation is called after its first event, `source/id`, so two segments name one as well; one that no path may
//! have (`https://shop/till/7`) is said by `?id=`. What is found, [`events::trace`] knows; who may, the caller has decided.

use std::sync::OnceLock;

use chassis::chance;
use chassis::http::query::Query;
use chassis::http::{Problem, Response, json};
use events::event::CAUSE_BYTES_MAX;
use events::trace::{
    Branch, Hop, LIMIT_DEFAULT, LIMIT_MAX, Look, ParkedHop, Step, Trace, Wait, Wanted,
};
use events::{Broker, Control, Numbered, Numbers, TopicPosition, trace};
use http::header::CACHE_CONTROL;
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

/// Looks at once: each reads a million events at most, and a core of others' time.
const LOOKS_MAX: usize = 2;

/// When it is worth coming back where others look.
const RETRY_SECONDS: u64 = 1;

/// What looks share: whose parked events are marked, and how many look.
pub(crate) struct Traces {
    subscriptions: OnceLock<Vec<Control>>,
    room: Semaphore,
}

impl Default for Traces {
    fn default() -> Traces {
        Traces { subscriptions: OnceLock::new(), room: Semaphore::new(LOOKS_MAX) }
    }
}

impl Traces {
    /// Has what these have parked marked from now on. Said once.
    pub(crate) fn mark(&self, subscriptions: Vec<Control>) {
        drop(self.subscriptions.set(subscriptions));
    }

    /// The tree of a correlation, where the query says no other.
    ///
    /// # Errors
    /// 400 with every value that is wrong; 503 where others look, or a store does not answer.
    pub(crate) async fn look(
        &self,
        broker: &dyn Broker,
        correlation: &str,
        mut query: Query,
    ) -> Result<Response, Problem> {
        let wanted = wanted(correlation, &mut query);
        query.finish()?;
        let busy = || {
            Problem::unavailable("connection_limit_reached", chance::seconds(RETRY_SECONDS))
                .detail(format!("{LOOKS_MAX} others are looking"))
        };
        let _place = self.room.try_acquire().map_err(|_| busy())?;
        let subscriptions = self.subscriptions.get().map_or(&[][..], Vec::as_slice);
        let found = trace::trace(broker, subscriptions, &wanted).await.map_err(|error| {
            tracing::warn!(%error, "what is parked of a trace is not known");
            Problem::storage_unavailable()
        })?;
        let mut response = json(StatusCode::OK, &shown(&found));
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Ok(response)
    }
}

/// What is asked for; a mistake is noted.
pub(crate) fn wanted(correlation: &str, query: &mut Query) -> Wanted {
    let correlation = query.text("id").unwrap_or_else(|| correlation.to_owned());
    if correlation.len() > CAUSE_BYTES_MAX {
        query.note("id", format!("has more than {CAUSE_BYTES_MAX} bytes"));
    }
    let limit = query.whole("limit", 1..=LIMIT_MAX, LIMIT_DEFAULT);
    let text = query.text("since");
    let since = text.as_ref().and_then(|text| text.parse().ok());
    if text.is_some() && since.is_none() {
        query.note("since", "must be a time such as 2024-05-01T12:00:00Z");
    }
    Wanted { correlation, limit, since }
}

/// As it is answered.
fn shown(found: &Trace) -> Value {
    let Trace { correlation, branches, is_cut, looks } = found;
    json!({
        "id": correlation,
        "steps": branches.iter().map(step).collect::<Vec<_>>(),
        "more": is_cut,
        "looked": looks.iter().map(look).collect::<Vec<_>>(),
    })
}

fn step(Branch { depth, step }: &Branch) -> Value {
    match step {
        Step::Event { hop, after_ms } => event(*depth, hop, *after_ms),
        Step::Missing(name) => json!({ "depth": depth, "missing": name }),
    }
}

fn event(depth: usize, hop: &Hop, after_ms: Option<i64>) -> Value {
    let Hop { at, offset, id, source, kind, subject, time, causation_id, parked, expired, .. } =
        hop;
    let offsets: Numbers =
        [Numbered { partition: at.partition, number: offset.0 }].into_iter().collect();
    let position = TopicPosition { topic: at.topic.clone(), offsets }.to_string();
    json!({
        "depth": depth, "topic": at.topic.as_str(), "position": position, "id": id, "source": source,
        "type": kind, "subject": subject, "time": time.to_string(), "afterMs": after_ms,
        "causationid": causation_id, "parked": parked.iter().map(mark).collect::<Vec<_>>(), "expired": expired,
    })
}

fn mark(parked: &ParkedHop) -> Value {
    let ParkedHop { subscription, wait, attempts, reason } = parked;
    let (state, next) = match wait {
        Wait::Operator => ("dead", None),
        Wait::Until(at) => ("retried", Some(at.to_string())),
        Wait::Turn => ("waiting", None),
    };
    json!({
        "subscription": subscription, "state": state, "attempts": attempts, "reason": reason,
        "nextAttempt": next,
    })
}

fn look(look: &Look) -> Value {
    let Look { at, after, to, end, events, since, is_whole, trouble } = look;
    json!({
        "topic": at.topic.as_str(), "partition": at.partition.index(), "after": after.0, "to": to.0,
        "end": end.0, "events": events, "since": since.map(|since| since.to_string()),
        "whole": is_whole, "trouble": trouble,
    })
}
