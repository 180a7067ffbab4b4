//! What others may ask of a subscription and do to it, while it runs or rests.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, watch};

use super::skip;
use crate::Clock;
use crate::broker::{Broker, Offset, Topic};
use crate::error::Error;
use crate::marks::{Consumer, Mark};
use crate::parking::{self, DeadLetter};
use crate::position::WritePosition;
use crate::store::inbox::{self, Place};
use crate::store::skipped::{self, Skipped};
use crate::store::{Database, parked};

/// Time without progress, while there is something to do, after which a subscription is stuck.
pub const STUCK_AFTER: Duration = Duration::from_secs(30);

/// A handle on a subscription.
#[derive(Clone)]
pub struct Control {
    shared: Shared,
}

/// How a subscription is doing.
#[derive(Clone, Debug)]
pub struct Status {
    /// `product.order`.
    pub name: String,
    /// The topic.
    pub topic: Topic,
    /// The last offset taken.
    pub position: Offset,
    /// The topic's end.
    pub end: Offset,
    /// Events between the two.
    pub lag: u64,
    /// Trouble, or no progress, in words; `None` while all is well.
    pub stuck: Option<String>,
}

/// What the running consumer and its handles have in common.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) name: Arc<str>,
    pub(super) topic: Topic,
    pub(super) database: Database,
    pub(super) broker: Arc<dyn Broker>,
    pub(super) clock: Clock,
    pub(super) paused: watch::Receiver<bool>,
    /// Somebody changed the tables: look again.
    pub(super) poked: Arc<Notify>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    trouble: Option<String>,
    /// The log was found shorter than, or other than, what was read of it up to this offset.
    damage: Option<(Offset, String)>,
    /// Where a look found it behind, and when it was first found there.
    behind: Option<(Offset, Timestamp)>,
}

impl Shared {
    pub(super) fn new(
        name: &str,
        topic: Topic,
        database: Database,
        broker: Arc<dyn Broker>,
        clock: Clock,
    ) -> Shared {
        Shared {
            name: name.into(),
            topic,
            database,
            broker,
            clock,
            paused: watch::Sender::new(false).subscribe(),
            poked: Arc::default(),
            state: Arc::default(),
        }
    }

    pub(super) fn place(&self) -> Result<Place, Error> {
        self.database.read(|sql| Place::load(sql, &self.name))
    }

    /// Notes trouble, or that it is over.
    pub(super) fn set_trouble(&self, trouble: Option<String>) {
        self.state().trouble = trouble;
    }

    /// Notes that the log is not what was read of it up to `until`.
    pub(super) fn set_damage(&self, until: Offset, what: String) {
        self.state().damage = Some((until, what));
    }

    /// Past what was damaged there is nothing missing any more.
    pub(super) fn arrived(&self, position: Offset) {
        let mut state = self.state();
        if state.damage.as_ref().is_some_and(|(until, _)| *until <= position) {
            state.damage = None;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stuck(&self, position: Offset, lag: u64) -> Option<String> {
        let paused = *self.paused.borrow();
        let now = (self.clock)();
        let mut state = self.state();
        let found = state.damage.as_ref().map(|(_, what)| what.clone());
        let said = state.trouble.clone().or(found);
        if lag == 0 || paused {
            state.behind = None;
            return said;
        }
        let since = match state.behind {
            Some((same, since)) if same == position => since,
            _ => state.behind.insert((position, now)).1,
        };
        let still = now.duration_since(since).unsigned_abs() >= STUCK_AFTER;
        said.or_else(|| still.then(|| format!("no progress at offset {position} since {since}")))
    }
}

impl Control {
    pub(super) fn new(shared: Shared) -> Control {
        Control { shared }
    }

    /// A handle on a subscription that does not run here.
    pub fn resting(
        name: &str,
        topic: Topic,
        database: Database,
        broker: Arc<dyn Broker>,
        clock: Clock,
    ) -> Control {
        Control { shared: Shared::new(name, topic, database, broker, clock) }
    }

    /// `product.order`.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// The topic.
    pub fn topic(&self) -> &Topic {
        &self.shared.topic
    }

    /// How it is doing. No progress is noticed between two looks [`STUCK_AFTER`] apart.
    ///
    /// # Errors
    /// [`Error::Environment`]: ask again later.
    pub fn status(&self) -> Result<Status, Error> {
        let position = self.shared.place()?.position;
        let end = self.shared.broker.end(&self.shared.topic)?;
        let lag = end.0.saturating_sub(position.0);
        Ok(Status {
            name: self.name().to_owned(),
            topic: self.topic().clone(),
            position,
            end,
            lag,
            stuck: self.shared.stuck(position, lag),
        })
    }

    /// When the first event happened that it has not taken yet; `None` if it has taken all.
    ///
    /// # Errors
    /// [`Error::Environment`]: ask again later. [`Error::Damaged`]: it cannot be read there.
    pub async fn first_missing(&self) -> Result<Option<Timestamp>, Error> {
        let position = self.shared.place()?.position;
        let next = self.shared.broker.read(&self.shared.topic, position, 1).await?;
        Ok(next.first().map(|stored| stored.event.time))
    }

    /// Up to `limit` dead letters, longest parked first.
    ///
    /// # Errors
    /// [`Error::Environment`]: ask again later.
    pub fn dead(&self, limit: usize) -> Result<Vec<DeadLetter>, Error> {
        let (name, topic) = (self.name(), self.topic());
        self.shared.database.read(|sql| parked::dead(sql, name, topic, limit))
    }

    /// Has a dead letter tried again at once, with all its attempts before it, and then what waits
    /// behind it; `false` if there is none of that id.
    ///
    /// # Errors
    /// [`Error::Environment`]: nothing was done, ask again later.
    pub async fn redrive(&self, id: &str) -> Result<bool, Error> {
        let Some(offset) = parking::offset_of(id, self.name()) else { return Ok(false) };
        let name = Arc::clone(&self.shared.name);
        let work = self.shared.database.write::<_, Error>(move |write| {
            parked::redrive(write.sql(), &name, offset, write.now())
        });
        let known = work.await?;
        self.shared.poked.notify_one();
        Ok(known)
    }

    /// Drops a dead letter, with a note that it was; what waits behind it follows. `false` if there
    /// is none of that id.
    ///
    /// # Errors
    /// [`Error::Limit`]: no room for the note. [`Error::Environment`]: nothing was done, ask again.
    pub async fn discard(&self, id: &str, by: &str) -> Result<bool, Error> {
        let Some(offset) = parking::offset_of(id, self.name()) else { return Ok(false) };
        let (name, by) = (self.name().to_owned(), by.to_owned());
        let work = self
            .shared
            .database
            .write::<_, Error>(move |write| skip::discard(write, &name, offset, &by));
        let known = work.await?;
        self.shared.poked.notify_one();
        Ok(known)
    }

    /// Steps over the one thing that stops it: the hurt record at its next place, or else the first
    /// parked row that is no event any more. `None` if nothing is stuck so.
    ///
    /// # Errors
    /// [`Error::Limit`]: no room for the note. [`Error::Environment`]: nothing was done, ask again.
    pub async fn skip(&self, by: &str) -> Result<Option<Skipped>, Error> {
        let (name, by) = (self.name().to_owned(), by.to_owned());
        let place = self.shared.place()?;
        let hurt = skip::hurt_record(&*self.shared.broker, &self.shared.topic, &place).await?;
        let work = self
            .shared
            .database
            .write::<_, Error>(move |write| skip::step(write, &name, (&place, hurt), &by));
        let skipped = work.await?;
        self.shared.poked.notify_one();
        Ok(skipped)
    }

    /// What it has to do with, for [`agreement`](crate::agreement).
    pub(crate) async fn consumer(&self) -> Result<Consumer, Error> {
        let Shared { topic, database, broker, .. } = &self.shared;
        let (name, position) = (self.name().to_owned(), self.shared.place()?.position.0);
        let end = broker.end(topic)?.0;
        let unstamped = database.read(|sql| inbox::unstamped(sql, &name))?;
        let mut marks = Vec::new();
        for (source, received) in database.received(&name)? {
            let published = broker.published(topic, &source).await?;
            marks.push(Mark { source, received, published });
        }
        Ok(Consumer { name, position, end, unstamped, marks })
    }

    /// Everything that was stepped over, oldest first.
    ///
    /// # Errors
    /// [`Error::Environment`]: ask again later.
    pub fn skipped(&self) -> Result<Vec<Skipped>, Error> {
        self.shared.database.read(|sql| skipped::all(sql, self.name()))
    }

    /// Has everything delivered again from the beginning. What was received once changes nothing.
    ///
    /// # Errors
    /// [`Error::Environment`]: nothing was done, ask again later.
    pub async fn rewind(&self) -> Result<(), Error> {
        let name = Arc::clone(&self.shared.name);
        let work =
            self.shared.database.write::<_, Error>(move |write| inbox::rewind(write.sql(), &name));
        work.await?;
        self.shared.poked.notify_one();
        Ok(())
    }

    /// Whether anything of this key waits.
    ///
    /// # Errors
    /// [`Error::Environment`]: ask again later.
    pub fn is_parked(&self, key: &str) -> Result<bool, Error> {
        self.shared.database.read(|sql| parked::holds(sql, self.name(), key))
    }

    /// Whether an event up to `position` waits.
    ///
    /// # Errors
    /// [`Error::Environment`]: ask again later.
    pub fn parked_through(&self, position: &WritePosition) -> Result<bool, Error> {
        self.shared.database.read(|sql| parked::through(sql, self.name(), position))
    }

    /// How many events wait, dead letters included.
    ///
    /// # Errors
    /// [`Error::Environment`]: ask again later.
    pub fn parked(&self) -> Result<u64, Error> {
        self.shared.database.read(|sql| parked::count(sql, self.name()))
    }
}
