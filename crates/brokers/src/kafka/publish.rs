//! Publishing: in order, acknowledged by all that must have it, and nothing given up that others follow.
//!
//! Order is what an inbox's marks hang on: an event that were stored before an earlier one of its partition
//! would have the earlier one taken for a second copy. So:
//!
//! * One producer for a partition, idempotent: what it sends again by itself is stored once, and in its place.
//! * It gives up no record by time (`message.timeout.ms` 0). Whoever waits does, after the patience, and is
//!   told that nothing is acknowledged; the records stay in the queue, before whatever is published next.
//! * Where a record is refused for good, what was sent behind it must not be stored. Then the producer ends
//!   (`enable.gapless.guarantee`) and sends nothing more: all that it still had is refused, and another one
//!   takes its place.
//! * What was under way meanwhile is refused by the server, because it knows what came last from a producer.
//!   Of one that it does not know yet it takes anything, so the first record of a producer on a partition
//!   goes alone, and the others once that is acknowledged.
//! * After a publish that was not waited for to its end, the next one on that partition waits for it first: a
//!   Kafka that is away does not gather a copy of a batch for each attempt.
//! * Records that the client has lost track of (their topic was deleted and made anew while they were under way) are
//!   never answered. Where [`IN_VAIN_MAX`] publishes in a row have waited for such, and the partition stands as it
//!   should, the producer is given up with all that it has, and another one begins where the callers do.
//!
//! So at most what was in one batch is stored twice for each time that waiting ended too early; inboxes
//! recognise it.

use std::collections::HashMap;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use events::broker::PUBLISH_MAX;
use events::event::EVENT_BYTES_MAX;
use events::{Clock, Error, Event, Offset, TopicPartition};
use jiff::{SignedDuration, Timestamp};
use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::producer::future_producer::DeliveryFuture;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer, PurgeConfig};
use rdkafka::types::RDKafkaErrorCode as Code;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::client::{Client, ClientLog, index, place_of};
use super::record::Record;
use super::terms::{MessageBytes, Terms};
use super::trouble;

/// Bytes that wait in a producer at most; more is trouble of the environment.
pub const QUEUE_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Bytes of records that are sent as one batch at most, where the topics take as many.
const BATCH_BYTES_MAX: usize = 1_000_000;
/// Beside the largest record, in the client's own limit: the topic's is the one that counts.
const SLACK_BYTES: usize = 64 * 1024;

/// How long the producer waits for more of a batch.
const LINGER_MS: u32 = 1;

/// How often it is looked whether the producer has ended, while one waits for it.
const ENDED_LOOKED_EVERY: Duration = Duration::from_millis(100);

/// How many publishes in a row wait in vain for what was published before, until that counts as lost to the producer
/// where nothing is wrong with the partition. A server that is slow, or one behind it that is, is known by then.
const IN_VAIN_MAX: u32 = 2;

/// How long after its last acknowledgement a producer counts as known to the server: a small part of the day
/// that those keep it (`producer.id.expiration.ms`).
const KNOWN_FOR: SignedDuration = SignedDuration::from_hours(1);

/// What publishes.
pub(super) struct Publisher {
    config: ClientConfig,
    producer: Mutex<CurrentProducer>,
    terms: Arc<Terms>,
    clock: Clock,
    lines: Mutex<HashMap<TopicPartition, Arc<Line>>>,
    patience: Duration,
}

/// A producer, and which of those that there were it is.
#[derive(Clone)]
struct CurrentProducer {
    number: u64,
    producer: FutureProducer<ClientLog>,
}

/// What there is to know of a partition before the next publish on it.
#[derive(Default)]
struct Line {
    /// How many publishes were not waited for to their end.
    left: watch::Sender<usize>,
    /// How many in a row waited for those in vain.
    in_vain: AtomicU32,
    /// Whose records were acknowledged last, and when.
    acknowledged: Mutex<Option<Acknowledged>>,
}

/// The last acknowledgement on a partition.
struct Acknowledged {
    number: u64,
    at: Timestamp,
}

/// What Kafka answered to a batch, where it answered anything.
enum BatchAnswer {
    /// All of it is stored; where the last record is, where it says so.
    Stored(Option<i64>),
    /// The first refusal: what came behind it may be stored or not.
    Refused(KafkaError),
}

/// What the contract limits, whatever the engine.
pub(super) fn check(batch: &[Event]) -> Result<(), Error> {
    trouble::within("events", batch.len(), PUBLISH_MAX)?;
    for event in batch {
        event.check()?;
        trouble::within("event", event.to_json().len(), EVENT_BYTES_MAX)?;
    }
    Ok(())
}

impl Publisher {
    pub(super) fn new(
        client: &Client,
        terms: Arc<Terms>,
        clock: Clock,
    ) -> Result<Publisher, Error> {
        let MessageBytes { most, fewest } = terms.message_bytes();
        let mut config = client.config();
        config
            .set("enable.idempotence", "true")
            .set("enable.gapless.guarantee", "true")
            .set("acks", "all")
            .set("message.timeout.ms", "0")
            // Whoever publishes has gathered already, and hands it over one by one: without a moment's patience the
            // first of a batch goes alone, in a request and with a sync of its own.
            .set("linger.ms", LINGER_MS.to_string())
            .set("batch.size", BATCH_BYTES_MAX.min(fewest).to_string())
            .set("message.max.bytes", (most + SLACK_BYTES).to_string())
            .set("queue.buffering.max.kbytes", (QUEUE_BYTES_MAX / 1024).to_string());
        let producer = Mutex::new(CurrentProducer { number: 0, producer: make(&config)? });
        let (lines, patience) = (Mutex::default(), client.patience);
        Ok(Publisher { config, producer, terms, clock, lines, patience })
    }

    /// Resolves once Kafka has acknowledged every record, with the place of the last one where it says so.
    pub(super) async fn publish(
        &self,
        name: &str,
        at: &TopicPartition,
        batch: &[Event],
    ) -> Result<Option<Offset>, Error> {
        let records: Vec<Record<'_>> = batch.iter().map(Record::of).collect();
        let limit = self.terms.message_bytes_max(name);
        for record in &records {
            trouble::within("max.message.bytes", record.bytes(), limit)?;
        }
        let largest = records.iter().map(Record::bytes).max().unwrap_or(0);
        let line = self.line(at);
        // Before anything is sent: what an earlier call left in the queue comes first, or it would be a copy
        // behind its copy.
        self.wait_for_earlier(&line).await?;
        // The one that both parts go by: if it ends between them, the second part is refused with it and nothing
        // overtakes.
        let by = self.producer();
        // Nothing goes behind a record whose refusal would not keep it from being stored.
        let alone = if line.knows(by.number, (self.clock)()) { 0 } else { records.len().min(1) };
        let (first, others) = records.split_at(alone);
        let mut last = None;
        for part in [first, others].into_iter().filter(|part| !part.is_empty()) {
            let sent = send(&by.producer, name, index(at), part);
            last = match self.answer(&by.producer, &line, sent).await? {
                BatchAnswer::Stored(last) => last,
                BatchAnswer::Refused(error) => return Err(refusal(error, largest, limit)),
            };
            line.acknowledged(by.number, (self.clock)());
        }
        Ok(last.filter(|last| *last >= 0).map(place_of))
    }

    /// What Kafka says of records that were sent, within the patience.
    async fn answer(
        &self,
        producer: &FutureProducer<ClientLog>,
        line: &Arc<Line>,
        sent: Result<Vec<DeliveryFuture>, Error>,
    ) -> Result<BatchAnswer, Error> {
        // A producer that has ended takes nothing; the next publish finds another one.
        if sent.is_err() {
            self.mend(producer)?;
        }
        // In a task of its own, so that it goes on to the last answer where nobody waits for it any more.
        let mut answering = tokio::spawn(answers(sent?));
        let Some(answer) = self.wait(producer, &mut answering).await else {
            leave(Arc::clone(line), answering);
            return Err(Error::environment("kafka: no acknowledgement in time"));
        };
        let answer = answer.map_err(|_| Error::Closed)?;
        self.mend(producer)?;
        Ok(answer)
    }

    /// What `future` gives within the patience. A producer that has ended gives no answer by itself.
    async fn wait<F: Future + Unpin>(
        &self,
        producer: &FutureProducer<ClientLog>,
        mut future: F,
    ) -> Option<F::Output> {
        let waiting = async {
            loop {
                tokio::select! {
                    output = &mut future => return output,
                    () = tokio::time::sleep(ENDED_LOOKED_EVERY) => {
                        if let Err(error) = self.mend(producer) {
                            tracing::warn!(%error, "kafka's producer has ended, and there is no other");
                        }
                    }
                }
            }
        };
        tokio::time::timeout(self.patience, waiting).await.ok()
    }

    /// Resolves when nothing is under way on the partition that its publisher has stopped waiting for.
    async fn wait_for_earlier(&self, line: &Line) -> Result<(), Error> {
        let mut left = line.left.subscribe();
        let earlier = pin!(left.wait_for(|left| *left == 0));
        let waited = self.wait(&self.producer().producer, earlier).await.map(drop);
        match waited {
            Some(()) => line.in_vain.store(0, Ordering::Relaxed),
            None => _ = line.in_vain.fetch_add(1, Ordering::Relaxed),
        }
        let unanswered = "kafka: what was published before is not acknowledged";
        waited.ok_or_else(|| Error::environment(unanswered))
    }

    /// Whether what was published before on the partition stays unanswered.
    pub(super) fn waits_in_vain(&self, at: &TopicPartition) -> bool {
        self.line(at).in_vain.load(Ordering::Relaxed) >= IN_VAIN_MAX
    }

    /// Gives up the producer and what it has, on every partition: whoever waits for that hears so, and begins anew
    /// where it was. What is stored of it all the same is a second copy. Nothing where another partition's publisher has
    /// done so meanwhile.
    pub(super) fn give_up(&self, at: &TopicPartition) -> Result<(), Error> {
        let mut current = self.producer.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.waits_in_vain(at) {
            return Ok(());
        }
        tracing::warn!("kafka's producer answers no more; another one takes its place");
        purge(&current.producer);
        *current = current.successor(&self.config)?;
        // What was left belongs to the one before: nobody is to wait for that.
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clear();
        Ok(())
    }

    /// Puts another producer in the place of one that has ended, and has that one answer.
    fn mend(&self, ended: &FutureProducer<ClientLog>) -> Result<(), Error> {
        if ended.client().fatal_error().is_none() {
            return Ok(());
        }
        purge(ended);
        let mut current = self.producer.lock().unwrap_or_else(PoisonError::into_inner);
        // Another publish may have met the same end.
        if current.producer.client().fatal_error().is_some() {
            tracing::warn!("kafka's producer has ended; another one takes its place");
            *current = current.successor(&self.config)?;
        }
        Ok(())
    }

    fn producer(&self) -> CurrentProducer {
        self.producer.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn line(&self, at: &TopicPartition) -> Arc<Line> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(lines.entry(at.clone()).or_default())
    }
}

impl CurrentProducer {
    /// The one that takes its place.
    fn successor(&self, config: &ClientConfig) -> Result<CurrentProducer, Error> {
        Ok(CurrentProducer { number: self.number + 1, producer: make(config)? })
    }
}

impl Line {
    /// Whether the server knows this producer on the partition, and what came last from it.
    fn knows(&self, number: u64, now: Timestamp) -> bool {
        let acknowledged = self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back has it asked once more than is needed.
        let lately = |at| (SignedDuration::ZERO..KNOWN_FOR).contains(&now.duration_since(at));
        acknowledged.as_ref().is_some_and(|last| last.number == number && lately(last.at))
    }

    fn acknowledged(&self, number: u64, at: Timestamp) {
        let mut acknowledged = self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner);
        *acknowledged = Some(Acknowledged { number, at });
    }
}

fn make(config: &ClientConfig) -> Result<FutureProducer<ClientLog>, Error> {
    config.create_with_context(ClientLog).map_err(trouble::of)
}

/// What it still had is refused by this, and its publishers hear so; otherwise they would wait out their patience.
fn purge(producer: &FutureProducer<ClientLog>) {
    producer.purge(PurgeConfig::default().queue().inflight().non_blocking());
}

/// Puts all records into the producer's queue, in order. Where it takes one no more, what it took stays.
fn send(
    producer: &FutureProducer<ClientLog>,
    name: &str,
    partition: i32,
    records: &[Record<'_>],
) -> Result<Vec<DeliveryFuture>, Error> {
    let mut sent = Vec::with_capacity(records.len());
    for record in records {
        let of_it = FutureRecord::to(name)
            .partition(partition)
            .key(record.key)
            .payload(&*record.value)
            .timestamp(record.time)
            .headers(record.headers());
        sent.push(producer.send_result(of_it).map_err(|(error, _)| trouble::of(error))?);
    }
    Ok(sent)
}

/// What Kafka says of all of them: the first refusal, or where the last one is.
async fn answers(sent: Vec<DeliveryFuture>) -> BatchAnswer {
    let mut answer = BatchAnswer::Stored(None);
    for one in sent {
        let one = match one.await {
            Ok(Ok(delivery)) => BatchAnswer::Stored(Some(delivery.offset)),
            Ok(Err((error, _))) => BatchAnswer::Refused(error),
            Err(_) => BatchAnswer::Refused(KafkaError::Canceled),
        };
        // Awaited to the last one all the same: nothing may be under way when this has its end.
        if matches!(answer, BatchAnswer::Stored(_)) {
            answer = one;
        }
    }
    answer
}

/// Has the next publish on the partition wait until these answers are there.
fn leave(line: Arc<Line>, answering: JoinHandle<BatchAnswer>) {
    line.left.send_modify(|left| *left += 1);
    tokio::spawn(async move {
        // Whatever it came to, its publisher was told that nothing is acknowledged.
        _ = answering.await;
        line.left.send_modify(|left| *left = left.saturating_sub(1));
    });
}

/// A refusal for size names the topic's limit, as it was when we connected.
fn refusal(error: KafkaError, bytes: usize, limit: usize) -> Error {
    match trouble::code(&error) {
        Some(Code::MessageSizeTooLarge) => {
            let (value, limit) = (bytes as u64, limit as u64);
            Error::Limit { field: "max.message.bytes", value, limit }
        }
        _ => trouble::of(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_producer_is_known_where_it_was_acknowledged_lately() {
        let (line, then) = (Line::default(), Timestamp::UNIX_EPOCH);
        assert!(!line.knows(0, then));
        line.acknowledged(0, then);
        assert!(line.knows(0, then));
        assert!(!line.knows(1, then), "the one that took its place is not");
        let almost = SignedDuration::from_nanos(1);
        assert!(line.knows(0, then + (KNOWN_FOR - almost)));
        assert!(!line.knows(0, then + KNOWN_FOR));
        assert!(!line.knows(0, then - almost), "the clock was set back");
    }
}
