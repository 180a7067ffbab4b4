//! The one thread that writes: group, transaction, answers.
//!
//! ```text
//!  queue ─▶ group ─▶ BEGIN ─▶ savepoint per work ─▶ COMMIT (the sync) ─▶ watch, answers
//!                      ▲              │ the engine ended the transaction, or COMMIT failed:
//!                      └── the rest ──┘ those that ran get "environment": nothing was done
//! ```
//!
//! 1. *A group* opens with the first work that comes, and takes what else comes while it runs.
//! 2. *Each work* runs in a savepoint of its own: its refusal or its panic takes back its rows alone.
//!    Its answer is kept, because it may rest on what the same group wrote.
//! 3. *The commit* is the one sync of all of them, and the one acknowledgement of this room.
//! 4. *After it*: the outbox's followers are notified, then everybody is answered. If it failed, the
//!    outbox counts as before, and everybody hears that nothing was done, also those whose work was
//!    sound.
//!
//! What must stay true: nobody is answered before the sync, whatever the answer; and what the outbox
//! counts in memory is what its committed rows are.
//!
//! It never dies in silence: a work's panic is that work's answer, and the end of the thread turns
//! every later write into [`Error::Closed`].

use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::Connection;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot, watch};

use super::outbox::{self, Outbox};
use super::rows::Rows;
use super::work::Work;
use super::{stepped, tables};
use crate::Clock;
use crate::error::Error;
use crate::partition::numbers::Numbers;
use crate::store::bounds::WRITE_QUEUE_MAX;
use crate::store::kept::Kept;
use crate::store::options::{Options, Publishes};
use crate::store::sqlite::plumbing::connection;
use crate::store::sqlite::plumbing::group::Group;
use crate::store::sqlite::plumbing::jump::Jump;
use crate::store::sqlite::plumbing::numbering;
use crate::store::sqlite::plumbing::readers::Readers;
use crate::store::sqlite::plumbing::skipped;
use crate::store::sqlite::plumbing::thread::Thread;
use crate::store::sqlite::plumbing::versions;
use crate::store::tx::Tx;

/// Pieces of work one transaction carries at most.
pub const GROUP_MAX: usize = 1024;

/// The open file, as every handle on it has it.
pub(super) struct File {
    // Before the thread: it ends when nobody can send to it any more.
    queue: mpsc::Sender<Input>,
    _thread: Thread,
    pub(super) readers: Readers,
    /// One for each partition.
    pub(super) jumps: Vec<Jump>,
    pub(super) kept: Kept,
}

/// What can be queued.
enum Input {
    Work(Box<dyn Work>),
    Close(oneshot::Sender<()>),
}

/// What the thread owns.
struct Writer {
    connection: Connection,
    outbox: Option<Outbox>,
    committed: watch::Sender<Numbers>,
    clock: Clock,
    /// After which number new counts begin.
    base: u64,
}

/// Opens the file and starts its thread.
pub(super) fn open(options: &Options, migrate: bool) -> Result<Arc<File>, Error> {
    let mut connection = connection::open_writer(&options.path, connection::PAGE_BYTES)?;
    if migrate {
        connection::migrate(&mut connection, options.schema)?;
    }
    let parking = [&tables::PARKED, &tables::EDITS, &tables::TRIALS, &tables::EXPIRED];
    let tables = [&[&tables::INBOX, &tables::PAUSED, &skipped::TABLES][..], &parking].concat();
    versions::upgrade(&connection, &tables)?;
    let base = if migrate {
        numbering::raise(&mut connection)?
    } else {
        connection.execute_batch(numbering::NUMBERING)?;
        numbering::base(&connection)?
    };
    let relayed = Kept::places(options.publishes.as_ref());
    let open_outbox = |of: &Publishes| {
        versions::upgrade(&connection, &[&outbox::TABLES, &stepped::TABLES])?;
        Outbox::open(&connection, of, Arc::clone(&relayed))
    };
    let outbox = options.publishes.as_ref().map(open_outbox).transpose()?;
    let file_id = if outbox.is_some() { outbox::file_id(&connection)? } else { String::new() };
    let newest = outbox.iter().flat_map(Outbox::last).collect();
    let (committed, follow) = watch::channel(newest);
    let jumps = outbox.as_ref().map(Outbox::jumps).unwrap_or_default();
    let clock = Arc::clone(&options.clock);
    let writer = Writer { connection, outbox, committed, clock, base };
    let (queue, inputs) = mpsc::channel(WRITE_QUEUE_MAX);
    Ok(Arc::new(File {
        queue,
        _thread: Thread::start("writer", move || writer.run(inputs))?,
        readers: Readers::new(options.path.clone()),
        jumps,
        kept: Kept::new(
            options.publishes.clone(),
            file_id,
            follow,
            relayed,
            Arc::clone(&options.clock),
        ),
    }))
}

impl File {
    /// Queues a piece of work; refused where [`WRITE_QUEUE_MAX`] wait, so that no caller waits for a
    /// place in a queue before it waits for its turn.
    pub(super) fn queue(&self, work: Box<dyn Work>) -> Result<(), Error> {
        self.queue.try_send(Input::Work(work)).map_err(|refused| match refused {
            TrySendError::Full(_) => {
                Error::environment(format!("{WRITE_QUEUE_MAX} writes wait already"))
            }
            TrySendError::Closed(_) => Error::Closed,
        })
    }

    /// Resolves once everything that was queued before is done and answered.
    pub(super) async fn close(&self) {
        let (reply, closed) = oneshot::channel();
        if self.queue.send(Input::Close(reply)).await.is_ok() {
            // An error means that the thread is gone already, which is what was asked for.
            let _ = closed.await;
        }
    }
}

impl Writer {
    /// Group after group, until nobody can send any more or somebody closed it.
    fn run(mut self, mut inputs: mpsc::Receiver<Input>) {
        let mut closing = Vec::new();
        let mut size = 0;
        while let Some(mut group) = Group::open(&mut inputs, size, GROUP_MAX) {
            let before = self.outbox.as_ref().map(Outbox::counted);
            let mut ran = Vec::with_capacity(size);
            let mut outcome = self.transaction(&mut group, &mut ran, &mut closing);
            size = group.taken();
            match &mut outcome {
                // Before the answers: who is answered finds its event on its way.
                Ok(()) => self.notify_committed(),
                Err(error) => {
                    tracing::error!(%error, works = ran.len(), "a transaction failed");
                    self.undo(before);
                    *error = error.clone().of_the_transaction();
                }
            }
            for work in ran {
                work.finish(outcome.clone());
            }
        }
        self.finish();
        for reply in closing {
            let _ = reply.send(());
        }
    }

    /// Runs a group. What did not run when the transaction ended early is the next group's, unless
    /// it could not begin at all: then nobody waits for another try.
    fn transaction(
        &mut self,
        group: &mut Group<'_, Input>,
        ran: &mut Vec<Box<dyn Work>>,
        closing: &mut Vec<oneshot::Sender<()>>,
    ) -> Result<(), Error> {
        // If it cannot begin, the group is emptied all the same, to be answered.
        let begun = self.sql("BEGIN IMMEDIATE");
        let now = (self.clock)();
        while let Some(input) = group.next() {
            match input {
                Input::Close(reply) => {
                    group.close_queue();
                    closing.push(reply);
                }
                Input::Work(work) => {
                    ran.push(work);
                    if begun.is_ok() {
                        self.work(ran, now)?;
                    }
                }
            }
        }
        begun?;
        if let Some(outbox) = &mut self.outbox {
            // Costs a statement now and then, and no transaction of its own.
            outbox.save_if_due(&self.connection)?;
        }
        self.sql("COMMIT")
    }

    /// Runs the newest piece of work; it keeps its own answer for after the commit.
    fn work(&mut self, ran: &mut [Box<dyn Work>], now: Timestamp) -> Result<(), Error> {
        let Some(work) = ran.last_mut() else { return Ok(()) };
        let mut rows = Rows::of_work(&mut self.connection, self.outbox.as_mut());
        let savepoint = rows.set_savepoint()?;
        let mut tx = Tx::embedded(rows, now, self.base);
        let outcome = work.run(&mut tx);
        tx.into_embedded().end_savepoint(savepoint, outcome.is_ok())
    }

    fn sql(&self, statement: &str) -> Result<(), Error> {
        self.connection.prepare_cached(statement)?.execute([])?;
        Ok(())
    }

    /// Back to before the group, in memory and in the file; the engine may have rolled back already.
    fn undo(&mut self, before: Option<outbox::UndoDepth>) {
        if let (Some(outbox), Some(before)) = (&mut self.outbox, before) {
            outbox.reset(before);
        }
        if !self.connection.is_autocommit()
            && let Err(error) = self.sql("ROLLBACK")
        {
            tracing::error!(%error, "a failed transaction could not be rolled back");
        }
    }

    /// Wakes who follows the outbox, if there is more in it than before.
    fn notify_committed(&mut self) {
        let Some(outbox) = &mut self.outbox else { return };
        if !outbox.settle() {
            return;
        }
        self.committed.send_if_modified(|committed| {
            // Each of them is raised, and whether any was is asked after.
            outbox.last().filter(|last| committed.raise(*last)).count() > 0
        });
    }

    /// Folds the write-ahead file in, so that a copy of the one file is a whole copy.
    fn finish(mut self) {
        if let Some(outbox) = &mut self.outbox
            && let Err(error) = outbox.save(&self.connection)
        {
            tracing::warn!(%error, "how far the relay got was not saved");
        }
        let fold = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        if let Err(error) = fold {
            tracing::warn!(%error, "the write-ahead file was not folded in");
        }
    }
}
