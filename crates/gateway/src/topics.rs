//! Topics over HTTP: a batch of events after a position, as CloudEvents.
//!
//! A position is a place in every partition. Order is promised within a partition; between them events come
//! by their times, as far as that goes.
//!
//! Who may read, the caller has decided: at the gateway administrators, on the admin listener
//! whoever reaches it.

use std::collections::VecDeque;

use chassis::http::query::Query;
use chassis::http::{Body, Problem, Response};
use events::Numbers;
use events::{
    Broker, Error, Event, Numbered, Offset, Partition, Partitions, Stored, Topic, TopicPartition,
    TopicPosition,
};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use serde_json::Value;
use tracing::error;

use crate::over_limit::over_limit;

/// Events that one answer carries at most.
pub const LIMIT_MAX: u64 = 1000;
/// Events that one answer carries where the query does not say.
pub const LIMIT_DEFAULT: u64 = 100;

/// Bytes of data after which no further partition is read.
const BYTES_MAX: usize = 8 * 1024 * 1024;

/// How a batch is said to be written.
pub(crate) const BATCH_TYPE: &str = "application/cloudevents-batch+json";

const BATCH: HeaderValue = HeaderValue::from_static(BATCH_TYPE);
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// The events of a topic: `from` is a position, exclusive, or `beginning`; `limit` is 1 to
/// [`LIMIT_MAX`].
///
/// # Errors
/// 400 for a wrong query, 404 for an unknown topic, 410 for a position that its broker has no more, 503 where the log
/// cannot be read just now; 500 where the very next event is failed, with the place to go on from and the command that
/// steps over it.
pub async fn read(broker: &dyn Broker, topic: &str, mut query: Query) -> Result<Response, Problem> {
    let EventRange { limit, from } = batch(&mut query);
    let known = known(broker, topic);
    if let (Some(position), Some(known)) = (&from, &known)
        && (position.topic.as_str() != topic || !known.partitions.have(&position.offsets))
    {
        query.note("from", "is a position of another topic");
    }
    query.finish()?;
    let Some(Known { topic, partitions }) = known else { return Err(Problem::not_found()) };
    let after = from.map(|position| position.offsets).unwrap_or_default();
    let reading = Reading { broker, topic: &topic, partitions };
    let read =
        reading.after(&after, limit).await.map_err(|failed| failed.problem(&topic, &after))?;
    let mut response = Response::new(Body::full(batch_of(&topic, read, after)));
    response.headers_mut().insert(CONTENT_TYPE, BATCH);
    response.headers_mut().insert(CACHE_CONTROL, NO_STORE);
    Ok(response)
}

/// A topic that the broker has.
struct Known {
    topic: Topic,
    partitions: Partitions,
}

fn known(broker: &dyn Broker, topic: &str) -> Option<Known> {
    let topic = Topic::parse(topic).ok()?;
    Some(Known { partitions: broker.partitions(&topic).ok()?, topic })
}

/// Which events are asked for.
pub(crate) struct EventRange {
    limit: usize,
    /// After which position, if not from the beginning.
    from: Option<TopicPosition>,
}

/// Which events are asked for; a mistake is noted.
pub(crate) fn batch(query: &mut Query) -> EventRange {
    let limit = query.whole("limit", 1..=LIMIT_MAX, LIMIT_DEFAULT) as usize;
    EventRange { limit, from: from(query) }
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

/// One read over all partitions of a topic.
struct Reading<'r> {
    broker: &'r dyn Broker,
    topic: &'r Topic,
    partitions: Partitions,
}

/// What was read of one partition, in its order.
struct PartitionEvents {
    partition: Partition,
    events: VecDeque<Stored>,
}

impl Reading<'_> {
    /// The events of a partition after a place, past what an operator has stepped over.
    async fn read(
        &self,
        of: &TopicPartition,
        after: Offset,
        limit: usize,
    ) -> Result<Vec<Stored>, Error> {
        let mut after = after;
        loop {
            let damage = match self.broker.read(of, after, limit).await {
                Err(damage @ Error::Damaged { .. }) => damage,
                other => return other,
            };
            let Error::Damaged { from, .. } = &damage else { return Err(damage) };
            match self.broker.passed(of, Offset(*from))? {
                // Each pass is further on: stretches that were stepped over are limited.
                Some(passed) if passed > after => after = passed,
                _ => return Err(damage),
            }
        }
    }

    /// Up to `limit` events: each partition's share first, so that none waits behind a busy one, then what
    /// there is. Where it begins moves with the position, because bytes may end a read before its last
    /// partition.
    async fn after(
        &self,
        after: &Numbers,
        limit: usize,
    ) -> Result<Vec<PartitionEvents>, ReadFailure> {
        let count = self.partitions.count();
        let sum = after.iter().fold(0_u64, |sum, at| sum.wrapping_add(at.number));
        let begin = sum % u64::from(count);
        let (later, sooner): (Vec<_>, Vec<_>) =
            self.partitions.each().partition(|it| u64::from(it.index()) >= begin);
        let mut read = Vec::new();
        let mut left = limit;
        let mut bytes = 0;
        let mut failed = None;
        let order: Vec<Partition> = later.into_iter().chain(sooner).collect();
        for share in [limit.div_ceil(usize::from(count)), limit] {
            for &partition in &order {
                let reached = reached(&read, partition).unwrap_or(after.of(partition));
                let most = share.min(left);
                if most == 0 || bytes >= BYTES_MAX {
                    break;
                }
                let at = self.topic.at(partition);
                match self.read(&at, Offset(reached), most).await {
                    Ok(events) => {
                        left -= events.len();
                        bytes += events.iter().map(|it| it.event.data.get().len()).sum::<usize>();
                        add(&mut read, partition, events);
                    }
                    Err(error) => failed = Some(ReadFailure { partition, error }),
                }
            }
            if count == 1 {
                break;
            }
        }
        match failed {
            // What can be read comes first; whoever goes on from there meets the rest.
            Some(failed) if read.iter().all(|one| one.events.is_empty()) => Err(failed),
            _ => Ok(read),
        }
    }
}

/// What kept a partition from being read.
struct ReadFailure {
    partition: Partition,
    error: Error,
}

impl ReadFailure {
    /// As a problem; of what is damaged it names the place behind it, and the command that steps over it.
    fn problem(self, topic: &Topic, after: &Numbers) -> Problem {
        let Error::Damaged { from, to, .. } = self.error else { return problem(&self.error) };
        let mut behind = TopicPosition { topic: topic.clone(), offsets: after.clone() };
        behind.offsets.raise(Numbered { partition: self.partition, number: to });
        let which = if from == to { from.to_string() } else { format!("{from} to {to}") };
        let partition = self.partition;
        error!(%topic, %partition, from, to, "a reader met an event that is damaged");
        let title = "What is stored is damaged";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "damaged", title).detail(format!(
            "the event at offset {which} of partition {partition} is not what was written and is not \
             given; go on behind it with from={behind}, or have an operator step over it: \
             `yeoul events skip log.{topic}`"
        ))
    }
}

fn reached(read: &[PartitionEvents], partition: Partition) -> Option<u64> {
    let one = read.iter().find(|one| one.partition == partition)?;
    one.events.back().map(|last| last.offset.0)
}

fn add(read: &mut Vec<PartitionEvents>, partition: Partition, events: Vec<Stored>) {
    match read.iter_mut().find(|one| one.partition == partition) {
        Some(one) => one.events.extend(events),
        None => read.push(PartitionEvents { partition, events: events.into() }),
    }
}

/// An event of a partition.
struct Next {
    partition: Partition,
    stored: Stored,
}

/// Takes the events out, by their times where partitions meet; each partition stays in its order.
fn next(read: &mut [PartitionEvents]) -> Option<Next> {
    let heads = read.iter().enumerate();
    let heads = heads.filter_map(|(at, one)| Some((one.events.front()?.event.time, at)));
    let (_, at) = heads.min()?;
    let one = &mut read[at];
    Some(Next { partition: one.partition, stored: one.events.pop_front()? })
}

/// The events as a JSON array, each with its position. Their own text is not parsed again.
fn batch_of(topic: &Topic, mut read: Vec<PartitionEvents>, after: Numbers) -> Vec<u8> {
    let mut position = TopicPosition { topic: topic.clone(), offsets: after };
    let mut text = vec![b'['];
    while let Some(Next { partition, stored }) = next(&mut read) {
        if text.len() > 1 {
            text.push(b',');
        }
        let event = stored.event.to_json();
        let open = event.strip_suffix(b"}").expect("an event is an object");
        text.extend_from_slice(open);
        position.offsets.raise(Numbered { partition, number: stored.offset.0 });
        // A token is URL-safe, so it needs no escape.
        text.extend_from_slice(format!(",\"position\":\"{position}\"}}").as_bytes());
    }
    text.push(b']');
    text
}

/// One event as a batch has it, for a description of what is written.
pub(crate) fn example(event: Event) -> Value {
    let topic = Topic::parse("topic").expect("a topic's name");
    let (partition, stored) = (Partition::FIRST, Stored { offset: Offset(1), event });
    let read = vec![PartitionEvents { partition, events: [stored].into() }];
    let batch = batch_of(&topic, read, Numbers::default());
    let mut events: Vec<Value> = serde_json::from_slice(&batch).expect("a batch is JSON");
    events.swap_remove(0)
}

fn problem(refusal: &Error) -> Problem {
    match refusal {
        Error::UnknownTopic => Problem::not_found(),
        Error::Gone { what, .. } => {
            let title = "The position is there no more";
            let detail = format!("events behind it may be missing: {what}");
            Problem::new(StatusCode::GONE, "gone", title).detail(detail)
        }
        Error::Limit { field, value, limit } => over_limit(field, *value, *limit),
        environment if environment.is_environment() => Problem::unreadable(),
        other => {
            error!(error = %other, "a topic cannot be read");
            Problem::internal()
        }
    }
}
