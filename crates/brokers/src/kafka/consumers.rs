//! Consumers that are assigned many partitions, each of which is read by itself.
//!
//! A reader is one partition of a consumer, with a queue of its own: what is fetched of it, its end and its trouble come
//! there and nowhere else, and it is fetched ahead until that queue is full. So one client serves all partitions that a
//! process reads, over one connection; a client for each cost 0.8 MB and four threads.
//!
//! A consumer can have each partition once. Two who read one at different places have a reader each, in two consumers;
//! the second one is made for that alone, and ends with its last reader.
//!
//! | a reader | what becomes of it |
//! |---|---|
//! | is given back at a place | it rests there, fetching, for whoever reads on from there |
//! | met trouble, waited in vain, or was not waited for | it ends: its partition is taken from the consumer, and others notice nothing |
//! | rests where nobody reads on | it ends for the next who reads the partition elsewhere, where each who follows the partition has one |
//! | is of a consumer that ended for good, or by which nothing at all came while what is there was waited for | the read fails, and each next one is another consumer's |
//! | is read while its consumer is left | it ends with that read, and the consumer with the last of them |
//!
//! What a consumer says that is of no partition (a connection that broke) is taken from it and told as debugging.

pub(super) mod reader;
pub(super) mod shelf;

use std::convert::Infallible;
use std::pin::pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use events::{Error, Offset, TopicPartition};
use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::types::RDKafkaErrorCode as Code;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc};

use super::client::{Client, ClientLog};
use super::trouble;
use reader::{Chosen, Consumer, Cursor, Ends, Reader, assign};
use shelf::{Assigned, CONSUMERS_MAX, READERS_MAX, Shelf, Step};

/// What all of them fetch ahead together, where each partition has one reader.
const AHEAD_BYTES_MAX: usize = 64 * 1024 * 1024;
/// What one of them fetches ahead at least: what one request brings, so that reading and fetching take turns.
const AHEAD_BYTES_FEWEST: usize = AHEAD_BYTES_MAX / READERS_MAX;
/// What one of them fetches ahead at most.
const AHEAD_BYTES_MOST: usize = 1024 * 1024;
/// How long Kafka waits for something new before it says that there is nothing. A partition that is assigned meanwhile,
/// or whose queue has room again, waits for that.
const FETCH_WAIT_MS: u32 = 100;

/// All that read on from places.
pub(super) struct Consumers {
    config: ClientConfig,
    shelf: Mutex<Shelf>,
    room: Arc<Semaphore>,
    /// A reader rests, or ended.
    freed: Notify,
}

/// A reader in use: it is given back, or ends.
pub(super) struct Taken {
    reader: Option<Reader>,
    consumers: Arc<Consumers>,
    _room: OwnedSemaphorePermit,
}

/// Where a reader is pointed to.
pub(super) struct Pointed<'n> {
    /// Kafka's name of the topic.
    pub(super) name: &'n str,
    pub(super) place: Cursor,
    /// The place that it is fetched from: the same, or the one before the oldest record.
    pub(super) from: Offset,
    /// How many read the partition on: more readers of it do not rest.
    pub(super) followers: usize,
}

/// Settings of a consumer that is told where to read.
pub(super) fn config(client: &Client) -> ClientConfig {
    let mut config = client.config();
    config
        // Needed to assign anything; nobody joins it, and nothing is committed.
        .set("group.id", "yeoul")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        // A place that is not there is an error.
        .set("auto.offset.reset", "error")
        .set("enable.partition.eof", "true")
        .set("check.crcs", "true")
        // A consumer that has fetched enough looks again soon.
        .set("fetch.queue.backoff.ms", "10")
        .set("fetch.error.backoff.ms", "100");
    config
}

/// What each of so many partitions fetches ahead.
fn ahead_bytes(partitions: usize) -> usize {
    (AHEAD_BYTES_MAX / partitions.max(1)).clamp(AHEAD_BYTES_FEWEST, AHEAD_BYTES_MOST)
}

/// Whether the client goes on by itself after this error; how long that takes is the patience's to decide.
pub(super) fn passes(error: &KafkaError) -> bool {
    let stays = [
        Code::AutoOffsetReset,
        Code::OffsetOutOfRange,
        Code::UnknownTopic,
        Code::UnknownTopicOrPartition,
        Code::UnknownPartition,
        Code::BadMessage,
        Code::BadCompression,
        Code::NotImplemented,
        Code::Fatal,
    ];
    trouble::code(error).is_some_and(|code| !stays.contains(&code))
}

impl Consumers {
    /// For so many partitions, as far as is known. Nothing is connected before something is read.
    pub(super) fn new(client: &Client, partitions: usize) -> Arc<Consumers> {
        let ahead = ahead_bytes(partitions);
        let mut config = config(client);
        config
            .set("queued.max.messages.kbytes", (ahead / 1024).to_string())
            // A larger event comes all the same, alone.
            .set("max.partition.fetch.bytes", ahead.to_string())
            .set("fetch.wait.max.ms", FETCH_WAIT_MS.to_string());
        let room = Arc::new(Semaphore::new(READERS_MAX));
        Arc::new(Consumers { config, shelf: Mutex::default(), room, freed: Notify::new() })
    }

    /// Room for one who reads.
    pub(super) async fn room(&self) -> Result<OwnedSemaphorePermit, Error> {
        Arc::clone(&self.room).acquire_owned().await.map_err(|_| Error::Closed)
    }

    /// The reader that rests there; its room back where there is none.
    pub(super) fn rested(
        self: &Arc<Self>,
        place: &Cursor,
        room: OwnedSemaphorePermit,
    ) -> Result<Taken, OwnedSemaphorePermit> {
        let rested = self.shelf().rested(place);
        match rested {
            Some(reader) => Ok(self.taken(reader, room)),
            None => Err(room),
        }
    }

    /// A reader that is pointed there.
    pub(super) async fn pointed(
        self: &Arc<Self>,
        to: Pointed<'_>,
        room: OwnedSemaphorePermit,
    ) -> Result<Taken, Error> {
        let Pointed { name, place, from, followers } = to;
        let of = self.choose(&place.at, followers).await?;
        match assign(&of.consumer, name, &place.at, from) {
            Ok(queue) => {
                let reader =
                    Reader { queue, of, name: name.to_owned(), place, ends: Ends::default() };
                Ok(self.taken(reader, room))
            }
            Err(error) => {
                self.release(of.number, &place.at);
                Err(error)
            }
        }
    }

    /// Ends the reader that rests there: nobody goes on from there.
    pub(super) fn forget(&self, place: &Cursor) {
        let rested = self.shelf().rested(place);
        if let Some(reader) = rested {
            self.end(reader);
        }
    }

    fn taken(self: &Arc<Self>, reader: Reader, room: OwnedSemaphorePermit) -> Taken {
        Taken { reader: Some(reader), consumers: Arc::clone(self), _room: room }
    }

    /// A consumer that has the partition for nobody else.
    async fn choose(
        self: &Arc<Self>,
        at: &TopicPartition,
        followers: usize,
    ) -> Result<Chosen, Error> {
        loop {
            // Before the look: what is freed from here on ends the wait.
            let mut freed = pin!(self.freed.notified());
            freed.as_mut().enable();
            let step = self.shelf().step(at, followers);
            match step {
                Step::End(reader) => self.end(reader),
                Step::Reassign(reader) => return Ok(reader.unassigned()),
                Step::Assign(chosen) => return Ok(chosen),
                Step::Make => self.make()?,
                Step::Wait => freed.await,
            }
        }
    }

    /// One consumer more.
    fn make(self: &Arc<Self>) -> Result<(), Error> {
        let mut shelf = self.shelf();
        // Another one may have made it meanwhile.
        if shelf.consumers.len() >= CONSUMERS_MAX {
            return Ok(());
        }
        let consumer: Consumer = self.config.create_with_context(ClientLog).map_err(trouble::of)?;
        let consumer = Arc::new(consumer);
        shelf.made += 1;
        let (number, (used, unused)) = (shelf.made, mpsc::channel(1));
        tokio::spawn(attend(Arc::downgrade(self), number, Arc::clone(&consumer), unused));
        let (partitions, came) = Default::default();
        shelf.consumers.push(Assigned { number, consumer, partitions, came, used });
        Ok(())
    }

    /// Has it rest where it was given back; one whose consumer was left meanwhile ends.
    fn rest(&self, reader: Reader) {
        let left = self.shelf().rest(reader);
        if let Some(reader) = left {
            self.end(reader);
        }
        self.freed.notify_waiters();
    }

    fn end(&self, reader: Reader) {
        let at = reader.place.at.clone();
        let Chosen { number, .. } = reader.unassigned();
        self.release(number, &at);
    }

    /// Nobody has the partition of that consumer any more. The last consumer stays without one.
    fn release(&self, number: u64, at: &TopicPartition) {
        self.shelf().release(number, at);
        self.freed.notify_waiters();
    }

    /// The consumer gives nothing any more: what rests there is of no use. What is in use ends with its read.
    fn abandon(&self, number: u64) {
        let left = self.shelf().leave(number);
        drop(left);
        self.freed.notify_waiters();
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Taken {
    fn reader(&self) -> &Reader {
        self.reader.as_ref().expect("it is taken until it is given back")
    }

    /// What comes next of its partition.
    pub(super) async fn next(&self) -> Result<BorrowedMessage<'_>, KafkaError> {
        let said = self.reader().queue.recv().await;
        // Trouble may be the client's own word, which it has of nobody.
        if matches!(said, Ok(_) | Err(KafkaError::PartitionEOF(_))) {
            self.reader().of.came.fetch_add(1, Ordering::Relaxed);
        }
        said
    }

    /// What was said of the end where it was given back.
    pub(super) fn ends(&self) -> Ends {
        self.reader().ends
    }

    /// How much came by its consumer until now, for whichever partition.
    pub(super) fn came(&self) -> u64 {
        self.reader().of.came.load(Ordering::Relaxed)
    }

    /// Has no other read begin on its consumer.
    pub(super) fn abandon(&self) {
        self.consumers.abandon(self.reader().of.number);
    }

    /// Points it to where it is once more: what is there, or that nothing is, is said anew.
    pub(super) fn pointed_anew(mut self, from: Offset) -> Result<Taken, Error> {
        let reader = self.reader.take().expect("it is taken until it is given back");
        let (name, place) = (reader.name.clone(), reader.place.clone());
        let of = reader.unassigned();
        match assign(&of.consumer, &name, &place.at, from) {
            Ok(queue) => {
                self.reader = Some(Reader { queue, of, name, place, ends: Ends::default() });
                Ok(self)
            }
            Err(error) => {
                self.consumers.release(of.number, &place.at);
                Err(error)
            }
        }
    }

    /// It goes on there; nobody knows where, where that is `None`.
    pub(super) fn give_back(mut self, place: Option<Cursor>, ends: Ends) {
        if let Some(place) = place
            && let Some(reader) = self.reader.take()
        {
            self.consumers.rest(Reader { place, ends, ..reader });
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if let Some(reader) = self.reader.take() {
            self.consumers.end(reader);
        }
    }
}

/// Takes what the consumer says that is of no partition, until nobody uses it any more.
async fn attend(
    of: Weak<Consumers>,
    number: u64,
    consumer: Arc<Consumer>,
    mut unused: mpsc::Receiver<Infallible>,
) {
    loop {
        let said = tokio::select! {
            _ = unused.recv() => break,
            said = consumer.recv() => said.map(drop),
        };
        let Err(error) = said else { continue };
        tracing::debug!(%error, "kafka's client");
        if trouble::code(&error) == Some(Code::Fatal) {
            tracing::warn!(%error, "kafka's consumer has ended; another one takes its place");
            of.upgrade().inspect(|consumers| consumers.abandon(number));
            break;
        }
    }
    _ = unused.recv().await;
    // It takes its leave, and waits for that.
    _ = tokio::task::spawn_blocking(move || drop(consumer)).await;
}

#[cfg(test)]
mod tests;
