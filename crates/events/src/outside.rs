//! An outbox for what is published from outside, where the broker cannot tell a second copy: it is committed here, each
//! event once, and relayed like a service's.
//!
//! The local log takes an offer by itself ([`Log::offer`](crate::Log::offer)). A broker in processes of its own knows no
//! source and id, may be away, and has no writer that could look at a condition and store in one step. So the process that
//! takes events has an outbox of its own for each topic, in its store: the outbox of services, numbered, relayed and marked
//! as theirs is, whose publisher is called as the topic is. An event is on disk when it is answered, and its position is its
//! number there, as of any publisher. What is written beside it is where it is, by source and id and by key
//! (`store::remembered`).
//!
//! | question | decided by |
//! |---|---|
//! | is it a second copy? | the unique index of source and id, across partitions and instances |
//! | did anything come that a condition rules out? | the index of keys, under the lock of the key's partition |
//! | in which order do events of a key go? | the outbox: by their numbers |
//!
//! **What bounds it**: of each partition the newest [`REMEMBERED_MAX`] are remembered, whatever the broker keeps; a copy of an older
//! one is a new event, and a condition about older ones is refused ([`Error::Gone`]).
//!
//! It does not relay: that is a [`Relay`](crate::Relay) of its [`database`](Outbox::database).

pub mod left;
mod taking;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::Clock;
use crate::broker::{Broker, Offset, READ_MAX};
use crate::error::Error;
use crate::offer::{Offer, Outcome, Refused};
use crate::partition::numbers::Numbers;
use crate::partition::{Numbered, Partition};
use crate::standing::{Compared, strange};
use crate::store::bounds::DATA_BYTES_MAX;
use crate::store::database::Database;
use crate::store::kept::Kept;
use crate::store::location::{Location, Tables};
use crate::store::options::Publishes;
use crate::store::remembered::{self, FORGOTTEN_AT_ONCE};
use crate::store::{REMEMBERED, SERVED_REMEMBERED};
use crate::topic::{Declared, Topic};
use crate::trouble::Trouble;
use taking::{Given, Taken, take};

/// Events of each partition that are remembered by source and id, the newest of them. A row has some 300 bytes with ids and keys as
/// UUIDs, indexes included.
pub const REMEMBERED_MAX: u64 = 1_000_000;

/// Places before the end of each partition in which another publisher is looked for.
pub const OTHERS_SOUGHT: u64 = 1_000;

const TABLES: Tables = Tables { embedded: &[REMEMBERED], served: &[SERVED_REMEMBERED] };

/// The outbox of one topic; clones are handles.
#[derive(Clone)]
pub struct Outbox {
    database: Database,
    declared: Declared,
    /// Somebody else was seen to publish to the topic.
    has_others: Arc<AtomicBool>,
    /// Another store publishes as this one does.
    is_closed: Arc<AtomicBool>,
    /// The newest number of each partition when it was looked last whether something is to be forgotten.
    looked: Arc<[AtomicU64]>,
}

impl Outbox {
    /// Opens the one at this location, or makes it.
    ///
    /// # Errors
    /// As of [`Database::at`].
    pub async fn open(
        location: Location,
        declared: Declared,
        clock: Clock,
    ) -> Result<Outbox, Error> {
        let Declared { topic, partitions } = declared.clone();
        let publishes = Publishes { source: topic.to_string(), topic, partitions };
        let looked = Kept::places(Some(&publishes));
        let database = Box::pin(Database::at(location, TABLES, Some(publishes), clock)).await?;
        database.remember().await?;
        let (has_others, is_closed) = Default::default();
        Ok(Outbox { database, declared, has_others, is_closed, looked })
    }

    /// What it is in, for its relay and its end.
    pub fn database(&self) -> Database {
        self.database.clone()
    }

    /// The topic that it takes events for.
    pub fn topic(&self) -> &Topic {
        &self.declared.topic
    }

    /// Whether somebody else was seen to publish to the topic: what he publishes is not here, so that a condition would be decided
    /// without it.
    pub fn has_others(&self) -> bool {
        self.has_others.load(Ordering::Relaxed)
    }

    /// Looks among the newest [`OTHERS_SOUGHT`] places of each partition for events of somebody else. Once seen it stays so until the
    /// next start.
    ///
    /// # Errors
    /// The broker's: nothing new is known.
    pub async fn look_for_others(&self, broker: &dyn Broker) -> Result<(), Error> {
        for partition in self.declared.partitions.each() {
            let at = self.declared.topic.at(partition);
            let end = broker.end(&at).await?;
            let mut after = Offset(end.0.saturating_sub(OTHERS_SOUGHT));
            while after < end && !self.has_others() {
                let page = match broker.read(&at, after, READ_MAX).await {
                    // What is no event is not from here either.
                    Err(Error::Damaged { .. }) => {
                        self.note_others();
                        break;
                    }
                    // It keeps fewer: all of them.
                    Err(Error::Gone { .. }) if after != Offset::BEGINNING => {
                        after = Offset::BEGINNING;
                        continue;
                    }
                    // Removed since: nothing is left to look at.
                    Err(Error::Gone { .. }) => break,
                    page => page?,
                };
                let Some(last) = page.last() else { break };
                after = last.offset;
                let own = self.declared.topic.as_str();
                if page.iter().any(|stored| stored.event.publisher() != own) {
                    self.note_others();
                }
            }
        }
        Ok(())
    }

    /// A number of this topic that another store gave, before anything of this one is relayed: where one is found, both would
    /// number over one another.
    ///
    /// # Errors
    /// The broker's, with the partition that it did not tell of, or the store's: ask again later.
    pub async fn number_of_another(&self, broker: &dyn Broker) -> Result<Option<Numbered>, Error> {
        let Declared { topic, partitions } = &self.declared;
        let mut all = Vec::new();
        for partition in partitions.each() {
            let at = topic.at(partition);
            let found = broker.newest_ids(&at, topic.as_str()).await;
            let found = found.map_err(|error| Error::environment(format!("of `{at}`: {error}")))?;
            let number = self.database.relayed_up_to(partition);
            let found = self.database.compared(partition, found).await?;
            all.push(Compared { relayed: Numbered { partition, number }, found });
        }
        Ok(strange(&all))
    }

    /// Says in its relay's status why that rests until the broker answers. Of all partitions: where one rests, so do the others.
    pub fn rests_for_now(&self, why: String) {
        self.set_trouble(Some(&Trouble { says: why, passes: true }));
    }

    /// Says there why it rests until an operator has decided.
    pub fn rests(&self, why: String) {
        self.set_trouble(Some(&Trouble::lasting(why)));
    }

    /// Says there that it rests no more.
    pub fn goes_on(&self) {
        self.set_trouble(None);
    }

    fn set_trouble(&self, trouble: Option<&Trouble>) {
        let now = self.database.now();
        for partition in self.declared.partitions.each() {
            self.database.relay_progress(partition).send_modify(|progress| match trouble {
                Some(trouble) => progress.set_stuck(trouble.clone(), now),
                None => progress.set_well(),
            });
        }
    }

    /// Takes nothing from here on: another store publishes as this one does, and what was taken waits for an operator.
    pub fn close_to_offers(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
    }

    fn note_others(&self) {
        self.has_others.store(true, Ordering::Relaxed);
    }

    /// The newest numbers that were given, by whichever instance.
    ///
    /// # Errors
    /// [`Error::Environment`]: ask again later.
    pub async fn newest(&self) -> Result<Numbers, Error> {
        self.database.committed_by_now().await
    }

    /// Whether it has room for each event of an offer, which is kept whole as the data of a row: [`DATA_BYTES_MAX`], less than a
    /// topic takes, because what is stamped on the way has to have room there too.
    ///
    /// # Errors
    /// The first that is too large.
    pub fn check(offer: &Offer) -> Result<(), Refused> {
        let mut checked = offer.events.iter().enumerate().map(|(at, event)| {
            let fits = Error::check("event", event.bytes.len(), DATA_BYTES_MAX);
            fits.map_err(|error| Refused { at, error })
        });
        checked.find(Result::is_err).unwrap_or(Ok(()))
    }

    /// Stores an offer whole or not at all; resolves once it is on disk. The places of what is stored are numbers of this
    /// outbox.
    ///
    /// # Errors
    /// [`Error::Environment`]: the store refused, or [`OUTBOX_WAITING_MAX`](crate::store::OUTBOX_WAITING_MAX) events of a
    /// partition wait for the broker: nothing was stored, ask again later. [`Error::Limit`] and [`Error::Gone`]: the condition
    /// cannot be looked at.
    pub async fn offer(&self, offer: Offer) -> Result<Outcome, Error> {
        if self.is_closed.load(Ordering::Relaxed) {
            return Err(Error::environment("another folder publishes to this topic"));
        }
        let (declared, has_others) = (self.declared.clone(), self.has_others());
        let given = Given { offer, declared, has_others };
        let work = self.database.write(given, |given, tx| Box::pin(take(given, tx)));
        work.await.map(Taken::outcome)
    }

    /// Forgets what is more than [`REMEMBERED_MAX`], a little at a time. To look for it passes over as many rows, so a partition is
    /// looked at once [`FORGOTTEN_AT_ONCE`] more events came; so many more are remembered meanwhile.
    ///
    /// # Errors
    /// [`Error::Environment`]: what is left stays for now.
    pub async fn forget_surplus(&self) -> Result<(), Error> {
        self.forget_where_many_came(REMEMBERED_MAX).await
    }

    async fn forget_where_many_came(&self, kept: u64) -> Result<(), Error> {
        let newest = self.newest().await?;
        for (partition, looked) in self.declared.partitions.each().zip(&*self.looked) {
            let newest = newest.of(partition);
            if newest < looked.load(Ordering::Relaxed) + FORGOTTEN_AT_ONCE {
                continue;
            }
            self.forget_beyond(partition, kept).await?;
            looked.store(newest, Ordering::Relaxed);
        }
        Ok(())
    }

    async fn forget_beyond(&self, partition: Partition, kept: u64) -> Result<(), Error> {
        let surplus = self
            .database
            .read(&kept, |kept, rows| Box::pin(remembered::surplus(rows, partition, *kept)));
        match surplus.await? {
            Some(up_to) => self.forget(up_to).await,
            None => Ok(()),
        }
    }

    async fn forget(&self, up_to: Numbered) -> Result<(), Error> {
        loop {
            let work =
                self.database.write(up_to, |up_to, tx| Box::pin(remembered::forget(tx, *up_to)));
            if work.await? < FORGOTTEN_AT_ONCE {
                return Ok(());
            }
        }
    }
}
