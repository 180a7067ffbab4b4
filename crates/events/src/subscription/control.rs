//! What others may ask of a subscription and do to it, while it runs or rests.
//!
//! A [`Control`] and the running consumer share a database and a notice board, and no channel:
//!
//! 1. Whatever an operator asks for is done to the tables, in one transaction of the consumer's own
//!    database. So it is done or not done, it is there after a crash, and it works just as well where
//!    nothing runs.
//! 2. Then the consumer is poked. It looks at the tables again before anything else; a poke that it
//!    misses costs the longest pause of its loop and nothing more.
//! 3. The consumer writes to the notice board what it met (trouble, damage), and a status is that
//!    board beside what the tables and the broker have at the moment.
//!
//! What must stay true: the consumer checks the place in the transaction of each batch, so nobody
//! here has to stop it before moving the place. A skip checks that what it found hurt is still what
//! comes next, for the same reason.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::{Notify, watch};

use super::skip;
use crate::Clock;
use crate::broker::{Broker, Offset, Topic};
use crate::error::Error;
use crate::marks::{Receipt, Subscriber};
use crate::parking::{self, DeadLetter};
use crate::position::WritePosition;
use crate::stillness::Stillness;
use crate::store::inbox::{self, Place};
use crate::store::skipped::{self, Skipped};
use crate::store::{Database, parked};

/// A handle on a subscription: cheap to clone, good for as long as anybody has it, whether or not
/// the subscription runs.
///
/// What it does is done once its future resolves, by a transaction of the consumer's database;
/// dropping the future does not take it back. `yeoul dead` and `yeoul events skip` use exactly this,
/// by way of the admin listener where a process runs and on the files themselves where none does.
///
/// ```
/// # use std::sync::Arc;
/// # use yeoul_events::store::{Database, Options};
/// # use yeoul_events::{Broker, Clock, Control, Error, Log, Topic};
/// /// What a team looks at when a page stops changing.
/// async fn look(control: &Control) -> Result<(), Error> {
///     let status = control.status()?;
///     if let Some(why) = &status.stuck {
///         // Damage names the command that steps over it; anything else is tried again by itself.
///         eprintln!("{} is stuck, {} events behind: {why}", status.name, status.lag);
///     }
///     for letter in control.dead(100)? {
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
    context: Context,
}

/// How a subscription is doing, at the moment it was asked.
#[derive(Clone, Debug)]
pub struct Status {
    /// Service and topic: `product.order`.
    pub name: String,
    /// The topic.
    pub topic: Topic,
    /// The last offset taken: handled, parked or recognised as a second copy.
    pub position: Offset,
    /// The topic's end.
    pub end: Offset,
    /// Events between the two. Parked ones are not among them: [`Control::parked`] counts those.
    pub lag: u64,
    /// Trouble, or no progress, in words; `None` while all is well, and while it is paused.
    pub stuck: Option<String>,
}

/// What the running consumer and its handles have in common.
#[derive(Clone)]
pub(super) struct Context {
    pub(super) name: Arc<str>,
    pub(super) topic: Topic,
    pub(super) database: Database,
    pub(super) broker: Arc<dyn Broker>,
    pub(super) clock: Clock,
    pub(super) paused: watch::Receiver<bool>,
    /// Somebody changed the tables: look again.
    pub(super) poked: Arc<Notify>,
    board: Arc<Mutex<Board>>,
}

/// What the consumer wrote down for those who ask, and what those who asked before found.
#[derive(Default)]
struct Board {
    trouble: Option<String>,
    damage: Option<Damage>,
    stillness: Stillness,
}

/// The log was found shorter than, or other than, what was read of it.
struct Damage {
    /// Up to here it had been read.
    until: Offset,
    what: String,
}

impl Context {
    pub(super) fn new(
        name: &str,
        topic: Topic,
        database: Database,
        broker: Arc<dyn Broker>,
        clock: Clock,
    ) -> Context {
        Context {
            name: name.into(),
            topic,
            database,
            broker,
            clock,
            paused: watch::Sender::new(false).subscribe(),
            poked: Arc::default(),
            board: Arc::default(),
        }
    }

    /// Where it reads on, as the tables have it now.
    pub(super) fn place(&self) -> Result<Place, Error> {
        self.database.read(|sql| Place::load(sql, &self.name))
    }

    /// Notes trouble, or that it is over.
    pub(super) fn set_trouble(&self, trouble: Option<String>) {
        self.board().trouble = trouble;
    }

    /// Notes that the log is not what was read of it up to `until`.
    pub(super) fn set_damage(&self, until: Offset, what: String) {
        self.board().damage = Some(Damage { until, what });
    }

    /// Past what was damaged there is nothing missing any more.
    pub(super) fn arrived(&self, position: Offset) {
        let mut board = self.board();
        if board.damage.as_ref().is_some_and(|damage| damage.until <= position) {
            board.damage = None;
        }
    }

    /// Nothing panics while it has the lock, and what is written there is whole at every moment.
    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is wrong, in words: the consumer's own trouble first, then damage, then no progress.
    fn stuck(&self, position: Offset, lag: u64) -> Option<String> {
        let paused = *self.paused.borrow();
        let now = (self.clock)();
        let mut board = self.board();
        let damage = board.damage.as_ref().map(|damage| damage.what.clone());
        let reported = board.trouble.clone().or(damage);
        // Who has nothing to do or rests on purpose stands still and is well.
        if lag == 0 || paused {
            board.stillness.idle();
            return reported;
        }
        // Looked at even where trouble is reported: what counts is how long it has not moved.
        let still = board.stillness.behind(position.0, now);
        let since = |since| format!("no progress at offset {position} since {since}");
        reported.or_else(|| still.map(since))
    }
}

impl Control {
    pub(super) fn new(context: Context) -> Control {
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
    pub fn status(&self) -> Result<Status, Error> {
        let position = self.context.place()?.position;
        let end = self.context.broker.end(&self.context.topic)?;
        let lag = self.context.broker.between(&self.context.topic, position, end)?;
        Ok(Status {
            name: self.name().to_owned(),
            topic: self.topic().clone(),
            position,
            end,
            lag,
            stuck: self.context.stuck(position, lag),
        })
    }

    /// When the first event happened that it has not taken yet, by the publisher's clock; `None` if it
    /// has taken all. How old is what a reader sees.
    ///
    /// # Errors
    /// [`Error::Environment`]: ask again later. [`Error::Damaged`]: it cannot be read there; the
    /// consumer is stuck at the same place and its status says how to go on.
    pub async fn first_missing(&self) -> Result<Option<Timestamp>, Error> {
        let position = self.context.place()?.position;
        let next = self.context.broker.read(&self.context.topic, position, 1).await?;
        Ok(next.first().map(|stored| stored.event.time))
    }

    /// Up to `limit` dead letters, longest parked first. At most
    /// [`PARKED_MAX`](crate::parking::PARKED_MAX) there can be.
    ///
    /// # Errors
    /// [`Error::Environment`]: ask again later.
    pub fn dead(&self, limit: usize) -> Result<Vec<DeadLetter>, Error> {
        let (name, topic) = (self.name(), self.topic());
        self.context.database.read(|sql| parked::dead(sql, name, topic, limit))
    }

    /// Has a dead letter tried again at once, with all its attempts before it, and then what waits
    /// behind it; `false` if there is none of that id. If it fails again as often, it is a dead
    /// letter again.
    ///
    /// # Errors
    /// [`Error::Environment`]: nothing was done, ask again later.
    pub async fn redrive(&self, id: &str) -> Result<bool, Error> {
        let Some(offset) = parking::offset_of(id, self.name()) else { return Ok(false) };
        let name = Arc::clone(&self.context.name);
        // dead -> due now, with no attempt behind it. It never leaves the head of its key's queue.
        let work = self.context.database.write::<_, Error>(move |write| {
            parked::redrive(write.sql(), &name, offset, write.now())
        });
        let known = work.await?;
        self.context.poked.notify_one();
        Ok(known)
    }

    /// Drops a dead letter, with a note that it was and on whose word (`by`, at most
    /// [`BY_CHARS_MAX`](skipped::BY_CHARS_MAX) characters are kept); what waits behind it follows.
    /// `false` if there is none of that id. Its effect never happens here.
    ///
    /// # Errors
    /// [`Error::Limit`]: no room for the note. [`Error::Environment`]: nothing was done, ask again.
    pub async fn discard(&self, id: &str, by: &str) -> Result<bool, Error> {
        let Some(offset) = parking::offset_of(id, self.name()) else { return Ok(false) };
        let (name, by) = (self.name().to_owned(), by.to_owned());
        // dead -> gone, the next of its key -> due now, and the note: one transaction.
        let work = self
            .context
            .database
            .write::<_, Error>(move |write| skip::discard(write, &name, offset, &by));
        let known = work.await?;
        self.context.poked.notify_one();
        Ok(known)
    }

    /// Steps over the one thing that stops it: the hurt record at its next place, or else the first
    /// parked row that is no event any more. `None` if nothing is stuck so: what is sound is never
    /// skipped.
    ///
    /// # Errors
    /// [`Error::Limit`]: no room for the note. [`Error::Environment`]: nothing was done, ask again.
    pub async fn skip(&self, by: &str) -> Result<Option<Skipped>, Error> {
        let (name, by) = (self.name().to_owned(), by.to_owned());
        // Found out here, where the broker may be waited for; the transaction then steps over exactly
        // this, or refuses because the place is another one by now.
        let place = self.context.place()?;
        let hurt = skip::hurt_record(&*self.context.broker, &self.context.topic, place).await?;
        let work = self
            .context
            .database
            .write::<_, Error>(move |write| skip::step(write, &name, hurt, &by));
        let skipped = work.await?;
        self.context.poked.notify_one();
        Ok(skipped)
    }

    /// What it has to do with, for [`agreement`](crate::agreement).
    pub(crate) async fn subscriber(&self) -> Result<Subscriber, Error> {
        let Context { topic, database, broker, .. } = &self.context;
        let (name, position) = (self.name().to_owned(), self.context.place()?.position.0);
        let end = broker.end(topic)?.0;
        let unstamped = database.read(|sql| inbox::unstamped(sql, &name))?;
        let mut receipts = Vec::new();
        for (source, received) in database.received(&name)? {
            let published = broker.published(topic, &source).await?;
            receipts.push(Receipt { source, received, published });
        }
        Ok(Subscriber { name, position, end, unstamped, receipts })
    }

    /// Everything that was stepped over or dropped here, oldest first.
    ///
    /// # Errors
    /// [`Error::Environment`]: ask again later.
    pub fn skipped(&self) -> Result<Vec<Skipped>, Error> {
        self.context.database.read(|sql| skipped::all(sql, self.name()))
    }

    /// Has everything delivered again from the beginning. What was received once changes nothing, so
    /// this is safe at any time; it does not rebuild what was deleted from a service's own tables.
    ///
    /// # Errors
    /// [`Error::Environment`]: nothing was done, ask again later.
    pub async fn rewind(&self) -> Result<(), Error> {
        let name = Arc::clone(&self.context.name);
        // The place alone: the marks stay, and they are what keeps effects from happening again.
        let work =
            self.context.database.write::<_, Error>(move |write| inbox::rewind(write.sql(), &name));
        work.await?;
        self.context.poked.notify_one();
        Ok(())
    }

    /// Whether an event up to `position` waits: of its key, where it names one. Such a position will
    /// not be reached before somebody mends the cause, so a reader need not wait for it.
    ///
    /// # Errors
    /// [`Error::Environment`]: ask again later.
    pub fn parked_through(&self, position: &WritePosition) -> Result<bool, Error> {
        self.context.database.read(|sql| parked::through(sql, self.name(), position))
    }

    /// How many events wait, dead letters included; at most
    /// [`PARKED_MAX`](crate::parking::PARKED_MAX).
    ///
    /// # Errors
    /// [`Error::Environment`]: ask again later.
    pub fn parked(&self) -> Result<u64, Error> {
        self.context.database.read(|sql| parked::count(sql, self.name()))
    }
}
