//! Reading pages: what is after a place of a partition, and what it means that nothing is.
//!
//! A read that goes on where one ended finds its reader there, with the next records already fetched; any other has one
//! pointed anew ([`consumers`](super::consumers)). Kafka is asked nothing beside that while there are records, or while
//! it is known that more were stored. Else its watermarks say whether that is the end, or whether the place is gone:
//! below the oldest record, past the end, never silently another place.
//!
//! | waited for, behind a place | what is believed |
//! |---|---|
//! | the end is met, and nothing comes for a moment | nothing is there but what Kafka keeps for itself (a transaction's marker has a place, too) |
//! | it was met before the wait, and nothing comes for a moment | nothing yet: it may be the end of before, so the reader is pointed there anew, and Kafka says it once more or what is there |
//! | nothing comes, for as long as the patience | the read fails and its reader ends; the consumer is left only if nothing came by it for anybody, while a server leads the partition |
//!
//! Kafka's own groups and committed offsets are not used: a place belongs to the consumer's transaction.

use std::sync::Arc;
use std::time::Duration;

use events::{Error, Offset, Stored, TopicPartition};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::types::RDKafkaErrorCode as Code;
use tokio::sync::Semaphore;

use super::client::{Asker, Watermarks, place_of};
use super::consumers::reader::{Cursor, Ends, at_once};
use super::consumers::{Consumers, Pointed, Taken, passes};
use super::record;
use super::tails::Tails;
use super::trouble;

/// Those that look for something once, at a time.
const LOOKING_MAX: usize = 4;
/// Bytes of data after which a read ends early.
pub const READ_BYTES_MAX: usize = 8 * 1024 * 1024;
/// After the end was met, how long nothing must come to believe that there is nothing: records that Kafka
/// keeps for itself have places, too.
const QUIET: Duration = Duration::from_millis(500);

/// All that read.
pub(super) struct Readers {
    consumers: Arc<Consumers>,
    asker: Asker,
    tails: Arc<Tails>,
    /// Room for those that look for something once.
    pub(super) looking: Semaphore,
}

impl Readers {
    pub(super) fn new(consumers: Arc<Consumers>, asker: &Asker, tails: Arc<Tails>) -> Readers {
        Readers { consumers, asker: asker.clone(), tails, looking: Semaphore::new(LOOKING_MAX) }
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
        let ends = taken.ends();
        let mut page =
            Gathered { at, after, limit, bytes: 0, stored: Vec::new(), hurt: false, ends };
        match self.fill(taken, name, &mut page).await {
            Ok(taken) => taken.give_back(page.reached(), page.ends),
            // What came before the trouble is sound; whoever reads on meets it again.
            Err(_) if !page.stored.is_empty() => {}
            Err(error) => return Err(error),
        }
        Ok(page.stored)
    }

    async fn fill(
        &self,
        mut taken: Taken,
        name: &str,
        page: &mut Gathered<'_>,
    ) -> Result<Taken, Error> {
        self.take_fetched(&taken, name, page).await?;
        if !page.stored.is_empty() {
            return Ok(taken);
        }
        // Nothing was fetched yet: that is the end, a place that is no more, or what is on its way.
        let known = self.tails.known(name, page.at).map(|it| it.end);
        let end = match known.filter(|end| *end > page.after) {
            Some(end) => end,
            None => match self.end_behind(name, page.at, page.after).await? {
                Some(end) => end,
                None => return Ok(taken),
            },
        };
        if self.wait_for_one(&taken, name, page, end).await? == Waited::InVain {
            taken = taken.pointed_anew(self.from(name, page.at, page.after).await?)?;
            page.ends = Ends::default();
            self.wait_for_one(&taken, name, page, end).await?;
        }
        self.take_fetched(&taken, name, page).await?;
        Ok(taken)
    }

    /// Where the partition ends, where that is behind this place and something may be there.
    ///
    /// # Errors
    /// [`Error::Gone`]: the topic has it no more.
    async fn end_behind(
        &self,
        name: &str,
        at: &TopicPartition,
        after: Offset,
    ) -> Result<Option<Offset>, Error> {
        let marks = self.asker.watermarks(name, at).await?;
        let removed = after != Offset::BEGINNING && after < marks.oldest;
        if removed || after > marks.end {
            return Err(gone(at, after, &marks));
        }
        let is_at_the_end = after == marks.end || marks.oldest == marks.end;
        Ok((!is_at_the_end).then_some(marks.end))
    }

    /// Everything that is here already, as far as the page takes it.
    async fn take_fetched(
        &self,
        taken: &Taken,
        name: &str,
        page: &mut Gathered<'_>,
    ) -> Result<(), Error> {
        while page.has_room() {
            match at_once(taken.next()) {
                None => break,
                Some(Ok(record)) => page.add(&record)?,
                Some(Err(KafkaError::PartitionEOF(_))) => page.ends.is_met = true,
                Some(Err(error)) => self.pass(error, name, page).await?,
            }
        }
        Ok(())
    }

    /// The first one, which is there or on its way, before `end`; none if only Kafka's own records are left.
    async fn wait_for_one(
        &self,
        taken: &Taken,
        name: &str,
        page: &mut Gathered<'_>,
        end: Offset,
    ) -> Result<Waited, Error> {
        let came = taken.came();
        // Met before this wait: it may have been before the end that is known now.
        let was_met = page.ends.is_met;
        let mut is_at_the_end = page.ends.nothing_until >= Some(end);
        loop {
            let is_soon = is_at_the_end || was_met;
            let patience = if is_soon { QUIET } else { self.asker.patience() };
            match tokio::time::timeout(patience, taken.next()).await {
                Ok(Ok(record)) => return page.add(&record).map(|()| Waited::One),
                Ok(Err(KafkaError::PartitionEOF(_))) => is_at_the_end = true,
                Ok(Err(error)) => self.pass(error, name, page).await?,
                Err(_) if is_at_the_end => {
                    page.ends = Ends { is_met: true, nothing_until: Some(end) };
                    return Ok(Waited::Nothing);
                }
                Err(_) if was_met => return Ok(Waited::InVain),
                Err(_) => return Err(self.waited_in_vain(taken, name, page.at, came).await),
            }
        }
    }

    /// What is there does not come. Its partition may have trouble of its own, or be led by nobody; where nothing at
    /// all came, its connection may be one that nobody answers.
    async fn waited_in_vain(
        &self,
        taken: &Taken,
        name: &str,
        at: &TopicPartition,
        came: u64,
    ) -> Error {
        if taken.came() == came && self.asker.is_led(name, at).await {
            taken.abandon();
        }
        Error::environment("kafka: no record in time")
    }

    /// Goes on after trouble that passes; what stays is the read's.
    async fn pass(&self, error: KafkaError, name: &str, page: &Gathered<'_>) -> Result<(), Error> {
        match trouble::code(&error) {
            Some(Code::AutoOffsetReset | Code::OffsetOutOfRange) => {
                self.end_behind(name, page.at, page.after).await?;
                // It is there now: the beginning moved while one looked, or the topic is another one.
                Err(Error::environment("kafka: the place was not there a moment ago"))
            }
            Some(Code::BadMessage | Code::BadCompression) => Err(page.damaged(error.to_string())),
            _ if passes(&error) => Ok(()),
            _ => Err(trouble::of(error)),
        }
    }

    /// A reader that goes on after this place.
    async fn take(&self, name: &str, at: &TopicPartition, after: Offset) -> Result<Taken, Error> {
        let room = self.consumers.room().await?;
        let place = Cursor { at: at.clone(), after };
        let room = match self.consumers.rested(&place, room) {
            Ok(taken) => return Ok(taken),
            Err(room) => room,
        };
        let from = self.from(name, at, after).await?;
        let followers = self.tails.known(name, at).map_or(0, |it| it.followers);
        self.consumers.pointed(Pointed { name, place, from, followers }, room).await
    }

    /// From where what is after a place is fetched: told where the beginning is, the client need not ask, which takes it
    /// half a second.
    async fn from(&self, name: &str, at: &TopicPartition, after: Offset) -> Result<Offset, Error> {
        match after {
            Offset::BEGINNING => Ok(self.asker.watermarks(name, at).await?.oldest),
            place => Ok(place),
        }
    }

    /// Nobody reads on from there.
    pub(super) fn forget(&self, at: &TopicPartition, after: Offset) {
        self.consumers.forget(&Cursor { at: at.clone(), after });
    }
}

/// What came of a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waited {
    One,
    /// Only Kafka's own records are there.
    Nothing,
    /// Nothing is said, as an end was met before: Kafka does not say that twice.
    InVain,
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
    ends: Ends,
}

impl Gathered<'_> {
    fn has_room(&self) -> bool {
        self.stored.len() < self.limit && self.bytes < READ_BYTES_MAX && !self.hurt
    }

    /// Adds what a record is. What is no event is damage of the read that begins with it.
    fn add(&mut self, record: &BorrowedMessage<'_>) -> Result<(), Error> {
        let offset = place_of(record.offset());
        self.ends = Ends::default();
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
