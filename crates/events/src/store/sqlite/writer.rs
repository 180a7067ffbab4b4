//! The one thread that writes: group, transaction, answers.
//!
//! ```text
//!  queue ─▶ group ─▶ BEGIN ─▶ savepoint per work ─▶ COMMIT (the sync) ─▶ watch, answers
//!                      ▲              │ the engine ended the transaction, or COMMIT failed:
//!                      └── the rest ──┘ those that ran are told "environment", nothing was done
//! ```
//!
//! It never dies in silence: a work's panic is that work's answer, and the end of the thread turns
//! every later write into [`Error::Closed`].

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use rusqlite::Connection;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot, watch};

use super::outbox::{self, Outbox};
use super::readers::Readers;
use super::work::{Work, panic_message};
use super::{Options, Publishes, Write, connection, group, inbox, parked};
use crate::{Clock, Error};

/// Pieces of work that may wait for the writer; one more is refused as environment trouble.
pub const WRITE_QUEUE_MAX: usize = 8192;

/// Pieces of work one transaction carries at most.
pub const GROUP_MAX: usize = 1024;

/// What every handle on the file shares.
pub(super) struct Shared {
    queue: Option<mpsc::Sender<Input>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    pub(super) readers: Readers,
    pub(super) committed: watch::Receiver<u64>,
    pub(super) publishes: Option<Publishes>,
    pub(super) epoch: String,
    pub(super) relayed: Arc<AtomicU64>,
}

enum Input {
    Work(Box<dyn Work>),
    Close(oneshot::Sender<()>),
}

/// What the thread owns.
struct Writer {
    connection: Connection,
    outbox: Option<Outbox>,
    committed: watch::Sender<u64>,
    clock: Clock,
}

/// Opens the file and starts its thread.
pub(super) fn open(options: &Options) -> Result<Arc<Shared>, Error> {
    let mut connection = connection::open_writer(&options.path)?;
    connection::migrate(&mut connection, options.schema)?;
    connection.execute_batch(inbox::TABLES)?;
    connection.execute_batch(parked::TABLES)?;
    let relayed = Arc::new(AtomicU64::new(0));
    let open_outbox = |of: &Publishes| Outbox::open(&connection, of, Arc::clone(&relayed));
    let outbox = options.publishes.as_ref().map(open_outbox).transpose()?;
    let epoch = if outbox.is_some() { outbox::epoch(&connection)? } else { String::new() };
    let (committed, follow) = watch::channel(outbox.as_ref().map_or(0, Outbox::last));
    let writer = Writer { connection, outbox, committed, clock: Arc::clone(&options.clock) };
    let (queue, inputs) = mpsc::channel(WRITE_QUEUE_MAX);
    Ok(Arc::new(Shared {
        queue: Some(queue),
        thread: Mutex::new(Some(start(writer, inputs)?)),
        readers: Readers::new(options.path.clone()),
        committed: follow,
        publishes: options.publishes.clone(),
        epoch,
        relayed,
    }))
}

fn start(writer: Writer, inputs: mpsc::Receiver<Input>) -> Result<JoinHandle<()>, Error> {
    let run = move || {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| writer.run(inputs))) {
            let what = panic_message(panic.as_ref());
            tracing::error!(what, "a database's writer died; every later write is refused");
        }
    };
    let builder = thread::Builder::new().name("writer".to_owned());
    builder.spawn(run).map_err(|error| Error::environment(format!("no thread: {error}")))
}

impl Shared {
    pub(super) fn queue(&self, work: Box<dyn Work>) -> Result<(), Error> {
        let queue = self.queue.as_ref().ok_or(Error::Closed)?;
        queue.try_send(Input::Work(work)).map_err(|refused| match refused {
            TrySendError::Full(_) => {
                Error::environment(format!("{WRITE_QUEUE_MAX} writes wait already"))
            }
            TrySendError::Closed(_) => Error::Closed,
        })
    }

    pub(super) async fn close(&self) {
        let (reply, closed) = oneshot::channel();
        if let Some(queue) = &self.queue
            && queue.send(Input::Close(reply)).await.is_ok()
        {
            // An error means that the thread is gone already, which is what was asked for.
            let _ = closed.await;
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.queue = None;
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Work may hold the last handle itself: a thread cannot wait for its own end.
        if let Some(thread) = thread.filter(|it| it.thread().id() != thread::current().id()) {
            // A panic was already reported by the thread itself.
            let _ = thread.join();
        }
    }
}

impl Writer {
    fn run(mut self, mut inputs: mpsc::Receiver<Input>) {
        let mut closing = Vec::new();
        let mut size = 0;
        loop {
            let mut works = Vec::with_capacity(size);
            for input in group::collect(&mut inputs, size, GROUP_MAX) {
                match input {
                    Input::Work(work) => works.push(work),
                    Input::Close(reply) => closing.push(reply),
                }
            }
            size = works.len();
            if !closing.is_empty() {
                inputs.close();
            }
            if works.is_empty() && (closing.is_empty() || inputs.is_empty()) {
                break;
            }
            self.group(works);
        }
        self.finish();
        for reply in closing {
            let _ = reply.send(());
        }
    }

    fn group(&mut self, works: Vec<Box<dyn Work>>) {
        let mut pending = works.into_iter();
        while pending.len() > 0 {
            let before = self.outbox.as_ref().map(Outbox::mark);
            let mut ran = Vec::with_capacity(pending.len());
            let outcome = self.transaction(&mut pending, &mut ran);
            match &outcome {
                Ok(()) => self.tell_committed(),
                Err(error) => {
                    tracing::error!(%error, works = ran.len(), "a transaction failed");
                    if ran.is_empty() {
                        ran.extend(pending.by_ref());
                    }
                    self.undo(before);
                }
            }
            for work in ran {
                work.finish(outcome.clone());
            }
        }
    }

    fn transaction(
        &mut self,
        pending: &mut impl Iterator<Item = Box<dyn Work>>,
        ran: &mut Vec<Box<dyn Work>>,
    ) -> Result<(), Error> {
        self.sql("BEGIN IMMEDIATE")?;
        let now = (self.clock)();
        for work in pending {
            ran.push(work);
            let before = self.outbox.as_ref().map(Outbox::mark);
            self.sql("SAVEPOINT work")?;
            let outbox = self.outbox.as_mut();
            let mut write = Write { connection: &self.connection, outbox, now };
            let accepted = ran.last_mut().is_some_and(|work| work.run(&mut write));
            if self.connection.is_autocommit() {
                return Err(Error::environment("the engine ended the transaction"));
            }
            if !accepted {
                self.sql("ROLLBACK TO work")?;
                self.reset(before);
            }
            self.sql("RELEASE work")?;
        }
        if let Some(outbox) = &mut self.outbox {
            outbox.save_if_due(&self.connection)?;
        }
        self.sql("COMMIT")
    }

    fn sql(&self, statement: &str) -> Result<(), Error> {
        self.connection.prepare_cached(statement)?.execute([])?;
        Ok(())
    }

    fn reset(&mut self, before: Option<outbox::Mark>) {
        if let (Some(outbox), Some(mark)) = (&mut self.outbox, before) {
            outbox.reset(mark);
        }
    }

    fn undo(&mut self, before: Option<outbox::Mark>) {
        self.reset(before);
        if !self.connection.is_autocommit()
            && let Err(error) = self.sql("ROLLBACK")
        {
            tracing::error!(%error, "a failed transaction could not be rolled back");
        }
    }

    fn tell_committed(&self) {
        let Some(outbox) = &self.outbox else { return };
        self.committed.send_if_modified(|last| {
            let changed = *last != outbox.last();
            *last = outbox.last();
            changed
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
