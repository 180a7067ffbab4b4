//! What others may ask of a subscription and do to it, while it runs or rests.
//!
//! A [`Control`] and the running consumer share a database and a notice board, and no channel:
//!
//! 1. Whatever an operator asks for is done to the tables, in one transaction of the consumer's own
//!    database. So it is done or not done, it is there after a crash, and it works just as well where
//!    nothing runs.
//! 2. Then the consumer is woken. It looks at the tables again before anything else; a wake-up that it
//!    misses costs the longest pause of its loop and nothing more.
//! 3. The consumer writes to the notice board what it met (trouble, damage), and a status is that
//!    board beside what the tables and the broker have at the moment.
//!
//! What must stay true: the consumer checks the place in the transaction of each batch, so nobody
//! here has to stop it before moving the place. A skip checks that what it found hurt is still what
//! comes next, for the same reason.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use super::context::{Context, Lane};
use super::skip;
use super::status::{self, Status};
use crate::Clock;
use crate::broker::Broker;
use crate::error::Error;
use crate::event::Event;
use crate::marks::{Receipt, Subscriber};
use crate::parking::{self, DeadLetter, RetriedEvent};
use crate::partition::numbers::Numbers;
use crate::partition::{Numbered, Partition};
use crate::position::WritePosition;
use crate::skipped::Skipped;
use crate::store::database::Database;
use crate::store::expired;
use crate::store::inbox::{self, Assigned, Place};
use crate::store::notes;
use crate::store::parked::shown::ParkedMark;
use crate::store::parked::{self, shown};
use crate::store::tx::Tx;
use crate::topic::Topic;

/// A handle on a subscription: cheap to clone, good for as long as anybody has it, whether or not
/// the subscription runs.
///
/// What it does is done once its future resolves, by a transaction of the consumer's database;
/// dropping the future does not take it back. `yeoul dead` and `yeoul events skip` use exactly this,
/// by way of the admin listener where a process runs and on the files themselves where none does.
///
/// ```
/// # use std::sync::{Arc, Mutex, PoisonError};
/// # use yeoul_events::store::{Database, Options};
/// # use yeoul_events::{Broker, Clock, Control, Error, Log, Topic};
/// /// What a team looks at when a page stops changing.
/// async fn look(control: &Control) -> Result<(), Error> {
///     let status = control.status().await?;
///     if let Some(why) = &status.stuck {
///         // Damage names the command that steps over it; anything else is tried again by itself.
///         eprintln!("{} is stuck, {} events behind: {why}", status.name, status.lag);
///     }
///     for letter in control.dead(100).await? {
///         eprintln!("{}: {} ({} wait behind it)", letter.id, letter.reason, letter.waiting);
///         // The cause is mended: from here on it is tried as if it had never failed.
///         control.redrive(&letter.id).await?;
///     }
///     Ok(())
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Error> {
/// # let folder = tempfile::tempdir().expect("a folder");
/// # let clock: Clock = Arc::new(|| jiff::Timestamp::UNIX_EPOCH);
/// # let topic = Topic::parse("order")?;
/// # let log: Arc<dyn Broker> =
/// #     Arc::new(Log::open(folder.path(), std::slice::from_ref(&topic), clock.clone())?);
/// # let path = folder.path().join("product.db");
/// # let options = Options { path, schema: &[], publishes: None, clock: clock.clone() };
/// # let database = Database::open(options)?;
/// // Nothing runs here: a look at what a stopped service left.
/// let control = Control::resting("product.order", topic, database, log, clock);
/// look(&control).await
/// # }
/// ```
#[derive(Clone)]
pub struct Control {
    pub(super) context: Context,
}

impl Control {
    pub(crate) fn new(context: Context) -> Control {
        Control { context }
    }

    /// A handle on a subscription that does not run, for a folder at rest. Its status knows no trouble
    /// of a loop, only what can be read.
    pub fn resting(
        name: &str,
        topic: Topic,
        database: Database,
        broker: Arc<dyn Broker>,
        clock: Clock,
    ) -> Control {
        Control { context: Context::new(name, topic, database, broker, clock) }
    }

    /// Service and topic: `product.order`.
    pub fn name(&self) -> &str {
        &self.context.name
    }

    /// The topic.
    pub fn topic(&self) -> &Topic {
        &self.context.topic
    }

    /// How it is doing. No progress is noticed between two looks [`STUCK_AFTER`](super::STUCK_AFTER)
    /// apart.
    ///
    /// # Errors
    /// [`Error::Environment`]: ask again later.
    pub async fn status(&self) -> Result<Status, Error> {
        status::status(&self.context).await
    }

    /// Whether its store answers, whatever its broker does: then only that keeps it from its work which [passes](Status::passes).
    ///
    /// # Errors
    /// [`Error::Environment`]: it does not.
    pub async fn store_answers(&self) -> Result<(), Error> {
        self.context.database.pause_of(self.name()).await.map(drop)
    }

    /// When the first event happened that it has not taken yet, by the publisher's clock; `None` if it
    /// has taken all. How old is what a reader sees.
    ///
    /// # Errors
    /// [`Error::Environment`]: ask again later. [`Error::Damaged`]: it cannot be read there; the
    /// consumer is stuck at the same place and its status says how to go on.
    pub async fn first_missing(&self) -> Result<Option<Timestamp>, Error> {
        let mut first = None;
        for lane in self.context.lanes() {
            let position = lane.place().await?.position;
            let next = self.context.broker.read(&lane.at, position, 1).await?;
            let time = next.first().map(|stored| stored.event.time);
            first = first.into_iter().chain(time).min();
        }
        Ok(first)
    }

    /// Up to `limit` dead letters, longest parked first. At most
    /// [`PARKED_MAX`](crate::parking::PARKED_MAX) there can be.
    ///
    /// # Errors
    /// [`Error::Environment`]: ask again later.
    pub async fn dead(&self, limit: usize) -> Result<Vec<DeadLetter>, Error> {
        let given = (self, limit);
        let read = self.context.database.read(&given, |(of, limit), rows| {
            Box::pin(shown::dead(rows, of.name(), of.topic(), *limit))
        });
        read.await
    }

    /// Up to `limit` parked events that are tried again by themselves, the next first: keys that stand still for now.
    ///
    /// # Errors
    /// [`Error::Environment`]: ask again later.
    pub async fn retried(&self, limit: usize) -> Result<Vec<RetriedEvent>, Error> {
        let given = (self, limit);
        let read = self.context.database.read(&given, |(of, limit), rows| {
            Box::pin(shown::retried(rows, of.name(), of.topic(), *limit))
        });
        read.await
    }

    /// The event of a dead letter; `None` if there is none of that id, or its row is no event any more.
    ///
    /// # Errors
    /// [`Error::Environment`]: ask again later.
    pub async fn dead_event(&self, id: &str) -> Result<Option<Event>, Error> {
        let Some(at) = parking::number_in(id, self.name()) else { return Ok(None) };
        let given = (self, at);
        let read = self
            .context
            .database
            .read(&given, |(of, at), rows| Box::pin(shown::dead_event(rows, of.name(), *at)));
        read.await
    }

    /// Shows the events of up to `limit` dead letters, longest parked first, one at a time: all of them
    /// together may be a gigabyte.
    ///
    /// # Errors
    /// [`Error::Environment`]: ask again later.
    pub async fn each_dead(
        &self,
        limit: usize,
        show: impl FnMut(Event) + Send,
    ) -> Result<(), Error> {
        let given = (self, limit, Mutex::new(show));
        let read = self.context.database.read(&given, |(of, limit, show), rows| {
            let show = |event| show.lock().unwrap_or_else(PoisonError::into_inner)(event);
            Box::pin(shown::each_dead(rows, of.name(), *limit, show))
        });
        read.await
    }

    /// Has a dead letter tried again at once, with all its attempts before it, and then what waits
    /// behind it; `false` if there is none of that id. If it fails again as often, it is a dead
    /// letter again. What is tried again by itself is tried at once, and keeps the attempts that it had.
    ///
    /// # Errors
    /// [`Error::Environment`]: nothing was done, ask again later.
    pub async fn redrive(&self, id: &str) -> Result<bool, Error> {
        let Some(at) = parking::number_in(id, self.name()) else { return Ok(false) };
        let given = (Arc::clone(&self.context.name), at);
        // dead -> due now, with no attempt behind it. It never leaves the head of its key's queue.
        let work =
            self.context.database.write(given, |(name, at), tx| Box::pin(redrive(tx, name, *at)));
        let known = work.await?;
        self.context.wake();
        Ok(known)
    }

    /// Drops a dead letter, with a note that it was and on whose word (`by`, at most
    /// [`BY_CHARS_MAX`](crate::skipped::BY_CHARS_MAX) characters are kept); what waits behind it follows.
    /// `false` if there is none of that id. Its effect never happens here.
    ///
    /// # Errors
    /// [`Error::Limit`]: no room for the note. [`Error::Environment`]: nothing was done, ask again.
    pub async fn discard(&self, id: &str, by: &str) -> Result<bool, Error> {
        let Some(at) = parking::number_in(id, self.name()) else { return Ok(false) };
        let given = (Arc::clone(&self.context.name), at, by.to_owned());
        // dead -> gone, the next of its key -> due now, and the note: one transaction.
        let work = self
            .context
            .database
            .write(given, |(name, at, by), tx| Box::pin(skip::discard(tx, name, *at, by)));
        let known = work.await?;
        self.context.wake();
        Ok(known)
    }

    /// Steps over the one thing that stops it: the hurt record at its next place, or else the first
    /// parked row that is no event any more. `None` if nothing is stuck so: what is sound is never
    /// skipped.
    ///
    /// # Errors
    /// [`Error::Limit`]: no room for the note. [`Error::Environment`]: nothing was done, ask again.
    pub async fn skip(&self, by: &str) -> Result<Option<Skipped>, Error> {
        // Found out here, where the broker may be waited for; the transaction then steps over exactly
        // this, or refuses because the place is another one by now.
        let mut hurt = None;
        for lane in self.context.lanes() {
            hurt = skip::hurt_record(&*self.context.broker, &lane.at, lane.place().await?).await?;
            if hurt.is_some() {
                break;
            }
        }
        let given = (Arc::clone(&self.context.name), hurt, by.to_owned());
        let work = self
            .context
            .database
            .write(given, |(name, hurt, by), tx| Box::pin(skip::step(tx, name, hurt.as_ref(), by)));
        let skipped = work.await?;
        if let Some(record) = skipped.iter().find(|it| it.kind == "record") {
            // Whoever reads the topic from outside passes it, too; if that cannot be noted now, an
            // operator may still say so there.
            let at = self.context.topic.at(record.partition);
            let passed = self.context.broker.pass(&at, record.clone()).await;
            if let Err(error) = passed {
                tracing::warn!(%error, "readers from outside do not pass it yet");
            }
        }
        self.context.wake();
        Ok(skipped)
    }

    /// Whether its topic has this partition.
    pub fn has_partition(&self, partition: Partition) -> bool {
        self.context.lanes().any(|lane| lane.at.partition == partition)
    }

    /// What it has to do with in each partition, for [`agreement`](crate::agreement). Nothing where
    /// events are removed: there its own loop tells, and stops that partition alone.
    pub(crate) async fn subscribers(&self) -> Result<Vec<Subscriber>, Error> {
        let mut received = self.context.database.received(self.name(), self.topic()).await?;
        // What nobody numbers, nobody has to bring back.
        received.remove(&WritePosition::source_in(self.topic()));
        let mut subscribers = Vec::new();
        for lane in self.context.lanes().filter(|it| self.context.broker.keeps_all(&it.at)) {
            subscribers.push(self.subscriber(&lane, &received).await?);
        }
        Ok(subscribers)
    }

    async fn subscriber(
        &self,
        lane: &Lane,
        received: &BTreeMap<String, Numbers>,
    ) -> Result<Subscriber, Error> {
        let Context { database, broker, .. } = &self.context;
        let partition = lane.at.partition;
        let mut receipts = Vec::new();
        for (source, numbers) in received {
            let received = numbers.of(partition);
            if received > 0 {
                // Where the broker does not count them there is nothing to compare with.
                let Some(published) = broker.published(&lane.at, source).await? else { continue };
                receipts.push(Receipt { source: source.clone(), received, published });
            }
        }
        Ok(Subscriber {
            name: self.name().to_owned(),
            partition,
            position: lane.place().await?.position.0,
            end: broker.end(&lane.at).await?.0,
            unstamped: database
                .read(lane, |lane, rows| Box::pin(inbox::unstamped(rows, lane.assigned())))
                .await?,
            receipts,
        })
    }

    /// Everything that was stepped over or dropped here, oldest first.
    ///
    /// # Errors
    /// [`Error::Environment`]: ask again later.
    pub async fn skipped(&self) -> Result<Vec<Skipped>, Error> {
        let read =
            self.context.database.read(self.name(), |name, rows| Box::pin(notes::all(rows, name)));
        read.await
    }

    /// Has it take nothing, at every instance, until then or until [`Control::resume`]: what is under way is finished,
    /// what comes waits in its topic (for as long as that keeps it), and none of it is stuck. Remembered over restarts;
    /// other instances notice within a second. Said again, it ends when was said last.
    ///
    /// # Errors
    /// [`Error::Environment`]: nothing was done, ask again later.
    pub async fn pause(&self, until: Option<Timestamp>) -> Result<(), Error> {
        self.context.database.pause(self.name(), until).await?;
        self.noticed().await;
        Ok(())
    }

    /// Has it go on where it is; one that is not paused does.
    ///
    /// # Errors
    /// [`Error::Environment`]: nothing was done, ask again later.
    pub async fn resume(&self) -> Result<(), Error> {
        self.context.database.resume(self.name()).await?;
        self.noticed().await;
        Ok(())
    }

    /// What was written holds, for this instance as for the others: where it cannot be read back now, the next look finds it.
    async fn noticed(&self) {
        if let Err(error) = self.context.hold.look().await {
            tracing::warn!(subscription = self.name(), %error, "what an operator said is noticed later");
            self.context.hold.look_again();
        }
    }

    /// Has everything delivered again from the beginning. What was received once changes nothing, so
    /// this is safe at any time; it does not rebuild what was deleted from a service's own tables.
    ///
    /// # Errors
    /// [`Error::Environment`]: nothing was done, ask again later.
    pub async fn rewind(&self) -> Result<(), Error> {
        // The places alone: the marks stay, and they are what keeps effects from happening again.
        let work = self
            .context
            .database
            .write(self.context.clone(), |context, tx| Box::pin(rewind(tx, context)));
        work.await?;
        self.context.wake();
        Ok(())
    }

    /// Whether an event up to `position` waits: of its key, where it names one. Such a position will
    /// not be reached before somebody mends the cause, so a reader need not wait for it.
    ///
    /// # Errors
    /// [`Error::Environment`]: ask again later.
    pub async fn parked_through(&self, position: &WritePosition) -> Result<bool, Error> {
        let given = (self, position);
        let read = self.context.database.read(&given, |(of, position), rows| {
            Box::pin(parked::through(rows, of.name(), of.topic(), position))
        });
        read.await
    }

    /// Which of these places are parked.
    pub(crate) async fn parked_at(
        &self,
        wanted: &HashSet<Numbered>,
    ) -> Result<Vec<ParkedMark>, Error> {
        let given = (self, wanted);
        let read = self
            .context
            .database
            .read(&given, |(of, wanted), rows| Box::pin(shown::at(rows, of.name(), wanted)));
        read.await
    }

    /// How many events it passed because their deadline had come before their turn.
    ///
    /// # Errors
    /// [`Error::Environment`]: ask again later.
    pub async fn expired(&self) -> Result<u64, Error> {
        let read = self
            .context
            .database
            .read(self.name(), |name, rows| Box::pin(expired::count(rows, name)));
        read.await
    }

    /// Which of these places it passed so, of the newest that are kept.
    pub(crate) async fn expired_at(
        &self,
        wanted: &HashSet<Numbered>,
    ) -> Result<Vec<Numbered>, Error> {
        let given = (self, wanted);
        let read = self
            .context
            .database
            .read(&given, |(of, wanted), rows| Box::pin(expired::at(rows, of.name(), wanted)));
        read.await
    }

    /// Events whose attempt has begun and has no answer: with a handler, under way to a receiver, or lent; of those that are lent
    /// at another instance as well, as this one knows of them.
    pub fn in_flight(&self) -> u64 {
        self.context.in_flight()
    }

    /// How often an event was tried again after its first attempt, since this instance started.
    pub fn retries(&self) -> u64 {
        self.context.retries()
    }

    /// How many events wait, dead letters included; at most [`PARKED_MAX`](crate::parking::PARKED_MAX), and what deliveries
    /// elsewhere had read ahead by then.
    ///
    /// # Errors
    /// [`Error::Environment`]: ask again later.
    pub async fn parked(&self) -> Result<u64, Error> {
        let read = self
            .context
            .database
            .read(self.name(), |name, rows| Box::pin(parked::count(rows, name)));
        read.await
    }
}

async fn redrive(tx: &mut Tx<'_>, name: &str, at: Numbered) -> Result<bool, Error> {
    Place::lock(tx, Assigned { subscription: name, partition: at.partition }).await?;
    let now = tx.now();
    parked::redrive(tx, name, at, now).await
}

async fn rewind(tx: &mut Tx<'_>, context: &Context) -> Result<(), Error> {
    for lane in context.lanes() {
        inbox::rewind(tx, lane.assigned()).await?;
    }
    Ok(())
}
