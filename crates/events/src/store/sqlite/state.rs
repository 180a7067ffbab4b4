//! A service's own file: one writer that groups commits, readers beside it, the outbox in it.
//!
//! All writes go through one thread. What arrives while a sync runs is carried by the next
//! transaction, each piece of work in its own savepoint, so that sixty-four callers share one sync
//! and a refusal rolls back alone; no timer is involved. Reads run on the caller's thread: an
//! indexed read is shorter than a hop to another thread.
//!
//! | | [`State::write`] | [`State::read`] |
//! |---|---|---|
//! | runs on | the file's one writing thread | the caller's thread |
//! | sees | all that is committed, and what its own transaction wrote before it | one moment |
//! | resolves | after the sync of its group | at once |
//! | at most | [`WRITE_QUEUE_MAX`](crate::store::WRITE_QUEUE_MAX) wait, [`GROUP_MAX`] share a transaction | [`READERS_MAX`](crate::store::READERS_MAX) at a time |
//! | past it | [`Error::Environment`]: nothing was done | waits its turn |
//!
//! It does not decide what an event means: [`Relay`](crate::relay::Relay) and
//! [`Subscription`](crate::subscription::Subscription) do.

pub(super) mod gaps;
pub(super) mod outbox;
pub(in crate::store) mod rows;
mod stepped;
pub(crate) mod tables;
pub(in crate::store) mod tx;
mod work;
mod writer;

#[cfg(test)]
pub(crate) mod tests;

use std::future::Future;
use std::sync::Arc;

#[cfg(test)]
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::error::Error;
use crate::event::Event;
use crate::partition::{Numbered, Partition};
use crate::store::bounds::OUTBOX_WAITING_MAX;
use crate::store::epoch;
use crate::store::kept::Kept;
use crate::store::options::{LeftOut, Options};
use crate::store::rows as common;
use crate::store::sqlite::plumbing::ready::ready;
use crate::store::tx::{Tx, Working};

pub use writer::GROUP_MAX;

/// A handle on the file; clones share it. The last one to go finishes what is queued.
#[derive(Clone)]
pub(crate) struct State {
    file: Arc<writer::File>,
}

impl State {
    /// Opens the file, creates it, and starts its writer; migrates a service's own tables where that is asked.
    pub(crate) fn open(options: &Options, migrate: bool) -> Result<State, Error> {
        writer::open(options, migrate).map(|file| State { file })
    }

    /// Queues a piece of work, by the call itself.
    pub(crate) fn write<C, T, E, F>(
        &self,
        given: C,
        work: F,
    ) -> impl Future<Output = Result<T, E>> + Send + use<C, T, E, F>
    where
        F: for<'a> Fn(&'a C, &'a mut Tx<'_>) -> Working<'a, T, E> + Send + 'static,
        C: Send + 'static,
        T: Send + 'static,
        E: From<Error> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let queued = self.file.queue(work::boxed(given, work, reply));
        async move {
            queued.map_err(E::from)?;
            answer.await.unwrap_or_else(|_| Err(E::from(Error::Closed)))
        }
    }

    /// A read of one snapshot, on the caller's thread.
    pub(crate) fn read<C, T, E>(
        &self,
        given: &C,
        work: impl for<'a> FnOnce(&'a C, &'a mut common::Rows<'_>) -> Working<'a, T, E>,
    ) -> Result<T, E>
    where
        C: ?Sized,
        E: From<Error>,
    {
        self.file.readers.read(|connection| {
            let mut rows = common::Rows::embedded(rows::Rows::of_read(connection));
            ready(|| work(given, &mut rows))
        })
    }

    /// A read in this engine's own words.
    #[cfg(test)]
    pub(in crate::store::sqlite) fn read_directly<T, E: From<Error>>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        self.file.readers.read(|connection| work(connection))
    }

    /// What is kept in memory beside the rows.
    pub(crate) fn kept(&self) -> &Kept {
        &self.file.kept
    }

    /// Numbers that a restore left out.
    pub(crate) fn left_out(&self) -> Vec<LeftOut> {
        let publishes = self.file.kept.publishes.as_ref();
        let partitions = publishes.into_iter().flat_map(|it| it.partitions.each());
        let jumps = partitions.zip(&self.file.jumps).filter(|(_, jump)| jump.width() > 0);
        jumps
            .map(|(partition, jump)| LeftOut { partition, numbers: jump.base + 1..=jump.floor })
            .collect()
    }

    /// The last number of a partition that a restore left out; 0 where none did.
    pub(crate) fn left_out_up_to(&self, partition: Partition) -> u64 {
        self.file.jumps[usize::from(partition.index())].floor
    }

    /// Resolves once everything that was queued is done.
    pub(crate) async fn close(&self) {
        self.file.close().await;
    }

    /// The events of consecutive numbers after `after`; what is missing, if that is the very next.
    pub(crate) fn whole(&self, after: Numbered, events: Vec<Event>) -> Result<Vec<Event>, Error> {
        let Some(origin) = self.file.kept.origin() else { return Ok(events) };
        self.file.readers.read(|sql| gaps::whole(sql, origin, after, events))
    }

    /// Events of a partition of the outbox after `relayed`.
    pub(crate) fn lag(&self, relayed: Numbered) -> u64 {
        let newest = self.file.kept.newest(relayed.partition);
        let jump = self.file.jumps[usize::from(relayed.partition.index())];
        let lag = jump.between(relayed.number, newest);
        // An epoch that began since the file was opened leaves out more than may ever wait.
        if lag > OUTBOX_WAITING_MAX { epoch::between(relayed.number, newest) } else { lag }
    }
}
