//! Reading on from any place: consumers that are assigned one partition each, kept for whoever goes on.
//!
//! A read that goes on where one ended finds its consumer there, with the next records already fetched; any
//! other has one assigned anew. Kafka is asked nothing beside that while there are records. Where there are none, its
//! watermarks say whether that is the end, or whether the place is gone: below the oldest record, past the end, never
//! silently another place.
//!
//! Kafka's own groups and committed offsets are not used: a place belongs to the consumer's transaction.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use events::{Error, Offset, Stored, TopicPartition};
use rdkafka::ClientConfig;
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaErrorCode as Code;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::client::{Asker, Client, ClientLog, Watermarks, index, offset_after, place_of};
use super::record;
use super::trouble;

/// Consumers at once; a read beyond them waits for one. Each has a few threads and connections.
pub const READERS_MAX: usize = 16;
/// Those of them that look for something once.
const LOOKING_MAX: usize = 4;
/// Bytes of data after which a read ends early.
pub const READ_BYTES_MAX: usize = 8 * 1024 * 1024;
/// What each consumer fetches ahead.
const AHEAD_KBYTES_MAX: u64 = 2_048;
/// After the end was met, how long nothing must come to believe that there is nothing: records that Kafka
/// keeps for itself have places, too.
const QUIET: Duration = Duration::from_millis(500);

/// All that read.
pub(super) struct Readers {
    config: ClientConfig,
    asker: Asker,
    room: Arc<Semaphore>,
    shelf: Arc<Mutex<Shelf>>,
    /// Room for those that look for something once.
    pub(super) looking: Semaphore,
}

/// Those that rest, the one that rests longest first, and how many there are in all.
#[derive(Default)]
struct Shelf {
    resting: Vec<Reader>,
    made: usize,
}

struct Reader {
    consumer: StreamConsumer<ClientLog>,
    /// `None` where nobody knows.
    place: Option<Cursor>,
}

/// After which offset of which partition a reader goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Cursor {
    at: TopicPartition,
    after: Offset,
}

/// One that is in use: it goes back to the shelf, or ends.
struct PooledReader {
    reader: Option<Reader>,
    shelf: Arc<Mutex<Shelf>>,
    _room: OwnedSemaphorePermit,
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
        .set("queued.max.messages.kbytes", AHEAD_KBYTES_MAX.to_string())
        // A consumer that has fetched enough looks again soon.
        .set("fetch.queue.backoff.ms", "10")
        .set("fetch.error.backoff.ms", "100");
    config
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

impl Readers {
    pub(super) fn new(client: &Client, asker: &Asker) -> Readers {
        let room = Arc::new(Semaphore::new(READERS_MAX));
        Readers {
            config: config(client),
            asker: asker.clone(),
            room,
            shelf: Arc::default(),
            looking: Semaphore::new(LOOKING_MAX),
        }
    }

    /// From where to where the partition can be read.
    pub(super) async fn watermarks(
        &self,
        name: &str,
        at: &TopicPartition,
    ) -> Result<Watermarks, Error> {
        self.asker.watermarks(name, at).await
    }

    /// Up to `limit` events after a place.
    pub(super) async fn read(
        &self,
        name: &str,
        at: &TopicPartition,
        after: Offset,
        limit: usize,
    ) -> Result<Vec<Stored>, Error> {
        let taken = self.take(name, at, after).await?;
        let mut page = Gathered { at, after, limit, bytes: 0, stored: Vec::new(), hurt: false };
        let filled = self.fill(taken.consumer(), name, &mut page).await;
        match filled {
            Ok(()) => taken.give_back(page.reached()),
            // What came before the trouble is sound; whoever reads on meets it again.
            Err(_) if !page.stored.is_empty() => {}
            Err(error) => return Err(error),
        }
        Ok(page.stored)
    }

    async fn fill(
        &self,
        consumer: &StreamConsumer<ClientLog>,
        name: &str,
        page: &mut Gathered<'_>,
    ) -> Result<(), Error> {
        self.take_fetched(consumer, name, page).await?;
        if !page.stored.is_empty() {
            return Ok(());
        }
        // Nothing was fetched yet: that is the end, a place that is no more, or a consumer that has only just
        // been pointed there.
        if self.is_at_the_end(name, page.at, page.after).await? {
            return Ok(());
        }
        self.wait_for_one(consumer, name, page).await?;
        self.take_fetched(consumer, name, page).await
    }

    /// Whether nothing is after this place.
    ///
    /// # Errors
    /// [`Error::Gone`]: the topic has it no more.
    async fn is_at_the_end(
        &self,
        name: &str,
        at: &TopicPartition,
        after: Offset,
    ) -> Result<bool, Error> {
        let marks = self.asker.watermarks(name, at).await?;
        let removed = after != Offset::BEGINNING && after < marks.oldest;
        if removed || after > marks.end {
            return Err(gone(at, after, &marks));
        }
        Ok(after == marks.end || marks.oldest == marks.end)
    }

    /// Everything that is here already, as far as the page takes it.
    async fn take_fetched(
        &self,
        consumer: &StreamConsumer<ClientLog>,
        name: &str,
        page: &mut Gathered<'_>,
    ) -> Result<(), Error> {
        while page.has_room() {
            match at_once(consumer.recv()) {
                None => break,
                Some(Ok(record)) => page.add(&record)?,
                Some(Err(error)) => self.pass(error, name, page).await?,
            }
        }
        Ok(())
    }

    /// The first one, which is there or on its way; none if only Kafka's own records are left.
    async fn wait_for_one(
        &self,
        consumer: &StreamConsumer<ClientLog>,
        name: &str,
        page: &mut Gathered<'_>,
    ) -> Result<(), Error> {
        let mut patience = self.asker.patience();
        let mut at_the_end = false;
        loop {
            match tokio::time::timeout(patience, consumer.recv()).await {
                Ok(Ok(record)) => return page.add(&record),
                Ok(Err(KafkaError::PartitionEOF(_))) => (at_the_end, patience) = (true, QUIET),
                Ok(Err(error)) => self.pass(error, name, page).await?,
                Err(_) if at_the_end => return Ok(()),
                Err(_) => return Err(Error::environment("kafka: no record in time")),
            }
        }
    }

    /// Goes on after trouble that passes; what stays is the read's.
    async fn pass(&self, error: KafkaError, name: &str, page: &Gathered<'_>) -> Result<(), Error> {
        match trouble::code(&error) {
            Some(Code::AutoOffsetReset | Code::OffsetOutOfRange) => {
                let marks = self.asker.watermarks(name, page.at).await?;
                match page.after {
                    // There always is one; where it was, records were removed while we looked.
                    Offset::BEGINNING => Err(Error::environment("kafka: the beginning has moved")),
                    place => Err(gone(page.at, place, &marks)),
                }
            }
            Some(Code::BadMessage | Code::BadCompression) => Err(page.damaged(error.to_string())),
            _ if matches!(error, KafkaError::PartitionEOF(_)) || passes(&error) => Ok(()),
            _ => Err(trouble::of(error)),
        }
    }

    /// A consumer that goes on after this place.
    async fn take(
        &self,
        name: &str,
        at: &TopicPartition,
        after: Offset,
    ) -> Result<PooledReader, Error> {
        let room = Arc::clone(&self.room).acquire_owned().await.map_err(|_| Error::Closed)?;
        let place = Cursor { at: at.clone(), after };
        let rested = self.shelf().take(&place);
        let reader = match rested {
            Some(reader) => reader,
            None => self.make()?,
        };
        let mut taken =
            PooledReader { reader: Some(reader), shelf: Arc::clone(&self.shelf), _room: room };
        let reader = taken.reader.as_mut().expect("it was put there");
        if reader.place.as_ref() != Some(&place) {
            // Told where the beginning is, the client need not ask, which takes it half a second.
            let from = match after {
                Offset::BEGINNING => self.asker.watermarks(name, at).await?.oldest,
                place => place,
            };
            point(&reader.consumer, name, at, from)?;
        }
        // Until it is given back nobody knows where it goes on.
        reader.place = None;
        Ok(taken)
    }

    fn make(&self) -> Result<Reader, Error> {
        let consumer = self.config.create_with_context(ClientLog).map_err(trouble::of)?;
        self.shelf().made += 1;
        Ok(Reader { consumer, place: None })
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf {
    /// The one that goes on at this place; any other only where there may be no more.
    fn take(&mut self, place: &Cursor) -> Option<Reader> {
        let there = self.resting.iter().position(|one| one.place.as_ref() == Some(place));
        let nowhere = || self.resting.iter().position(|one| one.place.is_none());
        let oldest = (self.made >= READERS_MAX && !self.resting.is_empty()).then_some(0);
        let chosen = there.or_else(nowhere).or(oldest)?;
        Some(self.resting.remove(chosen))
    }
}

impl PooledReader {
    fn consumer(&self) -> &StreamConsumer<ClientLog> {
        &self.reader.as_ref().expect("it is taken until it is given back").consumer
    }

    fn give_back(mut self, place: Option<Cursor>) {
        if let Some(reader) = self.reader.take() {
            let mut shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
            shelf.resting.push(Reader { place, ..reader });
        }
    }
}

impl Drop for PooledReader {
    /// One that met trouble ends, on a thread that may wait for it.
    fn drop(&mut self) {
        if let Some(reader) = self.reader.take() {
            self.shelf.lock().unwrap_or_else(PoisonError::into_inner).made -= 1;
            std::thread::spawn(move || drop(reader));
        }
    }
}

fn point(
    consumer: &StreamConsumer<ClientLog>,
    name: &str,
    at: &TopicPartition,
    after: Offset,
) -> Result<(), Error> {
    let from = rdkafka::Offset::Offset(offset_after(after));
    let mut assigned = TopicPartitionList::with_capacity(1);
    assigned.add_partition_offset(name, index(at), from).map_err(trouble::of)?;
    consumer.assign(&assigned).map_err(trouble::of)
}

/// What is ready now.
fn at_once<T>(future: impl Future<Output = T>) -> Option<T> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(ready) => Some(ready),
        Poll::Pending => None,
    }
}

/// What one read gathers.
struct Gathered<'p> {
    at: &'p TopicPartition,
    after: Offset,
    limit: usize,
    bytes: usize,
    stored: Vec<Stored>,
    /// A record behind the last one is no event.
    hurt: bool,
}

impl Gathered<'_> {
    fn has_room(&self) -> bool {
        self.stored.len() < self.limit && self.bytes < READ_BYTES_MAX && !self.hurt
    }

    /// Adds what a record is. What is no event is damage of the read that begins with it.
    fn add(&mut self, record: &BorrowedMessage<'_>) -> Result<(), Error> {
        let offset = place_of(record.offset());
        match record::event(record) {
            Ok(event) => {
                self.bytes += event.data.get().len();
                self.stored.push(Stored { offset, event });
            }
            Err(_) if !self.stored.is_empty() => self.hurt = true,
            Err(error) => {
                let (topic, what) = (self.at.to_string(), format!("no event: {error}"));
                return Err(Error::Damaged { topic, from: offset.0, to: offset.0, what });
            }
        }
        Ok(())
    }

    /// What is next cannot be read: its checksum does not fit, or it cannot be unpacked.
    fn damaged(&self, what: String) -> Error {
        let next = self.stored.last().map_or(self.after, |last| last.offset).0 + 1;
        Error::Damaged { topic: self.at.to_string(), from: next, to: next, what }
    }

    /// Where its consumer goes on.
    fn reached(&self) -> Option<Cursor> {
        let last = self.stored.last().map_or(self.after, |last| last.offset);
        (!self.hurt).then(|| Cursor { at: self.at.clone(), after: last })
    }
}

/// What is said of a place that the topic has no more.
fn gone(at: &TopicPartition, place: Offset, marks: &Watermarks) -> Error {
    let what = format!("it has what is after {}, up to {}", marks.oldest, marks.end);
    Error::Gone { topic: at.to_string(), place: place.0, what }
}
