//! Topics over HTTP: a batch of events after a position, as CloudEvents.
//!
//! Who may read, the caller has decided: at the gateway administrators, on the admin listener
//! whoever reaches it.

use chassis::http::query::Query;
use chassis::http::{Body, Problem, Response};
use events::{Broker, Error, Offset, Stored, Topic, TopicPosition};
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use tracing::error;

/// Events that one answer carries at most.
pub const LIMIT_MAX: u64 = 1000;
/// Events that one answer carries where the query does not say.
pub const LIMIT_DEFAULT: u64 = 100;

/// How a batch is said to be written.
pub(crate) const BATCH_TYPE: &str = "application/cloudevents-batch+json";

const BATCH: HeaderValue = HeaderValue::from_static(BATCH_TYPE);
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// The events of a topic: `from` is a position, exclusive, or `beginning`; `limit` is 1 to
/// [`LIMIT_MAX`].
///
/// # Errors
/// 400 for a wrong query, 404 for an unknown topic, 503 where the log cannot be read just now.
pub async fn read(broker: &dyn Broker, topic: &str, mut query: Query) -> Result<Response, Problem> {
    let Batch { limit, from } = batch(&mut query);
    if let Some(position) = &from
        && position.topic.as_str() != topic
        && is_known(broker, topic)
    {
        query.note("from", "is a position of another topic");
    }
    query.finish()?;
    let topic = Topic::parse(topic).map_err(|_| Problem::not_found())?;
    let after = from.map_or(Offset::BEGINNING, |position| position.offset);
    let batch = broker.read(&topic, after, limit).await.map_err(|error| refused(&error))?;
    let mut response = Response::new(Body::full(batch_of(&topic, &batch)));
    response.headers_mut().insert(CONTENT_TYPE, BATCH);
    response.headers_mut().insert(CACHE_CONTROL, NO_STORE);
    Ok(response)
}

/// Which events are asked for.
pub(crate) struct Batch {
    limit: usize,
    /// After which position, if not from the beginning.
    from: Option<TopicPosition>,
}

/// Which events are asked for; a mistake is noted.
pub(crate) fn batch(query: &mut Query) -> Batch {
    let limit = query.whole("limit", 1..=LIMIT_MAX, LIMIT_DEFAULT) as usize;
    Batch { limit, from: from(query) }
}

/// Where to go on; a mistake is noted.
fn from(query: &mut Query) -> Option<TopicPosition> {
    let text = query.text("from").filter(|text| text != "beginning")?;
    let position = text.parse().ok();
    if position.is_none() {
        query.note("from", "must be `beginning` or a position of this topic");
    }
    position
}

fn is_known(broker: &dyn Broker, topic: &str) -> bool {
    Topic::parse(topic).is_ok_and(|topic| broker.end(&topic).is_ok())
}

/// The events as a JSON array, each with its position. Their own text is not parsed again.
fn batch_of(topic: &Topic, batch: &[Stored]) -> Vec<u8> {
    let mut text = vec![b'['];
    for (at, stored) in batch.iter().enumerate() {
        if at > 0 {
            text.push(b',');
        }
        let event = stored.event.to_json();
        let open = event.strip_suffix(b"}").expect("an event is an object");
        text.extend_from_slice(open);
        let position = TopicPosition { topic: topic.clone(), offset: stored.offset };
        // A token is URL-safe, so it needs no escape.
        text.extend_from_slice(format!(",\"position\":\"{position}\"}}").as_bytes());
    }
    text.push(b']');
    text
}

fn refused(refusal: &Error) -> Problem {
    match refusal {
        Error::UnknownTopic => Problem::not_found(),
        environment if environment.is_environment() => Problem::storage_unavailable(),
        other => {
            error!(error = %other, "a topic cannot be read");
            Problem::internal()
        }
    }
}
