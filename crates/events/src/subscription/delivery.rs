//! One batch, inside the consumer's transaction: which events are new, which go to the handler,
//! which are parked.
//!
//! What happens to a batch, in this order:
//!
//! 1. *Is it still the next one?* The place is read again in this transaction. If somebody moved it
//!    since the batch was read (a rewind, a skip), nothing is taken and the loop reads on from there.
//! 2. *The shared run.* In order, each event is recognised as a second copy, or parked behind its
//!    key, or handled in a savepoint of its own, which takes back a failed one alone. All of them
//!    gather in one scratch (`Handler::Batch`), which is flushed once at the end: that is what makes
//!    a full batch cheap.
//! 3. *The apart run*, only where the shared one cannot go on. No savepoint takes back what a failed
//!    event put into scratch, which is memory; and a flush that fails does not say whose failure it
//!    is. So the whole shared run is rolled back by a savepoint around it, and the batch is taken from
//!    its beginning with a scratch and a flush for every event. Who failed in the shared run is known
//!    and is not tried a second time: one failure is one attempt.
//! 4. *Marks and place* are written last, beside the effects: whatever stands, stands with both.
//!
//! What must stay true: an event whose mark is raised was handled or is parked, never neither. While
//! anything of a key is parked, whatever follows of that key is parked behind it. Trouble of the
//! environment is nobody's attempt: it takes the transaction back and the batch comes again.
//!
//! It reads no broker and waits for nothing: the loop around it is the consumer's.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{BATCH_MAX, Fault, Handler};
use crate::broker::{Offset, Stored};
use crate::error::Error;
use crate::event::Event;
use crate::failure::Failure;
use crate::parking::{PARKED_MAX, Retry, Standing, Wait, how_to_skip};
use crate::partition::Partition;
use crate::store::inbox::{Assigned, Marks, Place, Received};
use crate::store::{Part, Write, panic_message, parked};

/// What a subscription does with an event; the same for every batch.
pub(super) struct Dispatcher<H> {
    pub(super) name: String,
    pub(super) handler: H,
    pub(super) retry: Retry,
    pub(super) fault: Option<Fault>,
}

/// What became of a batch.
pub(super) struct Delivered<B> {
    /// What was received, by source.
    pub(super) received: Vec<Received>,
    /// Where to read on: after the batch, or where somebody else put the place meanwhile.
    pub(super) position: Offset,
    /// Scratch whose handler is to be notified of the commit.
    pub(super) batches: Vec<B>,
    /// No room to park in: the batch ended early.
    pub(super) full: bool,
}

/// What became of the events that were due.
pub(super) struct Retried<B> {
    /// As of [`Delivered`].
    pub(super) batches: Vec<B>,
    /// More may be due already.
    pub(super) more: bool,
}

/// Events, and the place that they were read after.
#[derive(Clone, Copy)]
pub(super) struct Read<'e> {
    pub(super) after: Offset,
    pub(super) events: &'e [Stored],
}

/// What one attempt at one event came to. Trouble of the environment is no attempt.
enum Attempt {
    Handled,
    /// Its rows are taken back; the handler's reason.
    Failed(String),
}

/// An event that failed in the shared run, so that the apart run need not ask again.
struct KnownFailure {
    offset: Offset,
    reason: String,
}

/// Why a shared run was given up.
enum Trouble {
    /// Everything is taken back and tried again later.
    Whole(Error),
    /// Take the batch event by event; one of them is known to fail, unless it was the flush.
    Apart(Option<KnownFailure>),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Trouble {
        Trouble::Whole(error)
    }
}

/// What a run has written.
struct Finished<B> {
    received: Vec<Received>,
    batches: Vec<B>,
}

/// How a run treats scratch.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scratch {
    /// One for all events, flushed at the end.
    Shared,
    /// One for each event, flushed with it.
    Apart,
}

/// The state of one run over a batch.
struct Run<'d, H: Handler> {
    dispatcher: &'d Dispatcher<H>,
    of: Assigned<'d>,
    scratch: Scratch,
    known: Option<KnownFailure>,
    marks: Marks<'d>,
    /// Events of the subscription that are parked, those of this run included.
    parked: u64,
    /// What the events gathered since the last flush.
    batch: H::Batch,
    /// What was flushed.
    batches: Vec<H::Batch>,
}

impl<H: Handler> Dispatcher<H> {
    /// Takes what is new of what was read.
    pub(super) fn deliver(
        &self,
        write: &mut Write<'_>,
        partition: Partition,
        read: Read<'_>,
    ) -> Result<Delivered<H::Batch>, Error> {
        let of = self.assigned(partition);
        // 1. Between the read and this transaction an operator may have moved the place.
        let position = Place::load(write.sql(), of)?.position;
        if position != read.after {
            return Ok(Delivered {
                received: Vec::new(),
                position,
                batches: Vec::new(),
                full: false,
            });
        }
        // 2. The savepoint around the whole run is what step 3 goes back to.
        let shared = write.attempt(|write| self.run(write, of, read, Scratch::Shared, None))?;
        let known = match shared {
            Part::Stands(delivered) => return Ok(delivered),
            Part::TakenBack(Trouble::Whole(error)) => return Err(error),
            Part::TakenBack(Trouble::Apart(known)) => known,
        };
        // 3. Nothing of the first run is left but the knowledge of who failed.
        self.run(write, of, read, Scratch::Apart, known).map_err(|trouble| match trouble {
            Trouble::Whole(error) => error,
            Trouble::Apart(_) => unreachable!("events apart share nothing"),
        })
    }

    /// Tries events that are due, each key in order, at most [`BATCH_MAX`].
    ///
    /// Always apart: an event that failed once is likely to fail again, and its neighbours here are
    /// of other keys that have waited long enough.
    pub(super) fn retry(
        &self,
        write: &mut Write<'_>,
        partition: Partition,
    ) -> Result<Retried<H::Batch>, Error> {
        let of = self.assigned(partition);
        // One moment for all of them: who fails is due after it, and gives way to the others.
        let now = write.now();
        let mut batches = Vec::new();
        for _ in 0..BATCH_MAX {
            let Some(due) = parked::due(write.sql(), of, now)? else {
                return Ok(Retried { batches, more: false });
            };
            let event = match due.event {
                Ok(event) => event,
                Err(error) => {
                    self.give_up(write, due.turn, due.attempts, &error)?;
                    continue;
                }
            };
            let mut batch = H::Batch::default();
            match self.attempt(write, &mut batch, &event, Scratch::Apart)? {
                // parked -> gone, and the next of its key is due at once, in this very loop.
                Attempt::Handled => {
                    parked::handled(write.sql(), &self.name, due.turn, &due.key, now)?;
                    batches.push(batch);
                }
                // parked -> parked with one attempt more, or a dead letter; still first of its key.
                Attempt::Failed(reason) => {
                    let attempts = due.attempts.saturating_add(1);
                    let wait = self.retry.after_failure(attempts, now);
                    self.log_failure(&event, attempts, wait, &reason);
                    let standing = Standing { attempts, wait, reason: &reason };
                    parked::failed(write.sql(), due.turn, standing)?;
                }
            }
        }
        Ok(Retried { batches, more: true })
    }

    /// One run over the batch: all of it, or as much as there is room to park.
    fn run<'d>(
        &'d self,
        write: &mut Write<'_>,
        of: Assigned<'d>,
        Read { after, events }: Read<'_>,
        scratch: Scratch,
        known: Option<KnownFailure>,
    ) -> Result<Delivered<H::Batch>, Trouble> {
        let mut run = Run {
            dispatcher: self,
            scratch,
            known,
            of,
            marks: Marks::new(of),
            parked: parked::count(write.sql(), &self.name)?,
            batch: H::Batch::default(),
            batches: Vec::new(),
        };
        let mut last = None;
        for stored in events {
            // Asked before each: the next one may be the one that has to be parked.
            if run.parked >= PARKED_MAX {
                break;
            }
            run.take(write, stored)?;
            last = Some(stored);
        }
        let full = last.map(|it| it.offset) != events.last().map(|it| it.offset);
        let position = last.map_or(after, |it| it.offset);
        let Finished { received, batches } = run.finish(write, last)?;
        Ok(Delivered { received, position, batches, full })
    }

    /// Runs fault and handler, and the flush if the event is alone, in one savepoint: what failed
    /// leaves no row and no event behind.
    fn attempt(
        &self,
        write: &mut Write<'_>,
        batch: &mut H::Batch,
        event: &Event,
        scratch: Scratch,
    ) -> Result<Attempt, Error> {
        let outcome = write.attempt(|write| {
            // Caught inside of the savepoint: a panic is a failure of this event and of no other.
            caught(|| {
                if let Some(fault) = &self.fault {
                    fault(event).map_err(Failure::Handler)?;
                }
                self.handler.handle(batch, write, event)?;
                match scratch {
                    Scratch::Shared => Ok(()),
                    Scratch::Apart => self.handler.flush(batch, write).map_err(Failure::from),
                }
            })
        })?;
        match outcome {
            Part::Stands(()) => Ok(Attempt::Handled),
            Part::TakenBack(Failure::Handler(reason)) => Ok(Attempt::Failed(reason)),
            Part::TakenBack(Failure::Environment(error)) => Err(error),
        }
    }

    /// A row that is no event any more is a dead letter at once: it holds up its own key alone.
    fn give_up(
        &self,
        write: &Write<'_>,
        turn: i64,
        attempts: u32,
        error: &Error,
    ) -> Result<(), Error> {
        let (subscription, skip) = (&self.name, how_to_skip(&self.name));
        let reason = format!("the parked row is no event any more: {error}; {skip}");
        tracing::error!(subscription, reason, "a parked event is hurt");
        let standing = Standing { attempts, wait: Wait::Operator, reason: &reason };
        parked::failed(write.sql(), turn, standing)
    }

    /// Notifies the handler of what stands. It is too late to take anything back: a panic here is a
    /// mistake of the program, logged once, and the subscription goes on.
    pub(super) fn committed(&self, batches: Vec<H::Batch>) {
        for batch in batches {
            self.notify(|handler| handler.committed(batch));
        }
    }

    /// Notifies it of what was received, once whatever came of that is committed.
    pub(super) fn received(&self, received: &[Received]) {
        if !received.is_empty() {
            self.notify(|handler| handler.received(received));
        }
    }

    fn notify(&self, call: impl FnOnce(&H)) {
        let outcome = catch_unwind(AssertUnwindSafe(|| call(&self.handler)));
        if let Err(panic) = outcome {
            let (subscription, what) = (&self.name, panic_message(panic.as_ref()));
            tracing::error!(subscription, what, "what follows a commit panicked");
        }
    }

    fn assigned(&self, partition: Partition) -> Assigned<'_> {
        Assigned { subscription: &self.name, partition }
    }

    /// A failure that is tried again is a warning; one that needs an operator is an error.
    fn log_failure(&self, event: &Event, attempts: u32, wait: Wait, reason: &str) {
        let (subscription, id, key) = (&self.name, &event.id, &event.key);
        if wait == Wait::Operator {
            tracing::error!(subscription, id, key, attempts, reason, "an event is a dead letter");
        } else {
            tracing::warn!(subscription, id, key, attempts, reason, "an event failed");
        }
    }
}

/// A handler's panic is its own failure, like any other.
fn caught(work: impl FnOnce() -> Result<(), Failure>) -> Result<(), Failure> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        Err(Failure::Handler(format!("panicked: {}", panic_message(panic.as_ref()))))
    })
}

impl<H: Handler> Run<'_, H> {
    /// One event: three ways to go, and the first that fits is taken.
    fn take(&mut self, write: &mut Write<'_>, stored: &Stored) -> Result<(), Trouble> {
        // new -> received, or it is a second copy. The mark is raised whatever follows: from here on
        // the event is either handled or parked in this transaction.
        if !self.marks.receive(write.sql(), stored)? {
            return Ok(());
        }
        // received -> parked behind its key. The count spares a look-up where nothing is parked.
        let key = &stored.event.key;
        if self.parked > 0 && parked::has_key(write.sql(), &self.dispatcher.name, key)? {
            return self.park(
                write,
                stored,
                Standing { attempts: 0, wait: Wait::Turn, reason: "" },
            );
        }
        // received -> handled, or parked as the first of its key.
        match self.attempt(write, stored)? {
            Attempt::Handled => Ok(()),
            Attempt::Failed(reason) => {
                let wait = self.dispatcher.retry.after_failure(1, write.now());
                self.dispatcher.log_failure(&stored.event, 1, wait, &reason);
                self.park(write, stored, Standing { attempts: 1, wait, reason: &reason })
            }
        }
    }

    /// As the dispatcher's, and keeps scratch clean of what failed.
    fn attempt(&mut self, write: &mut Write<'_>, stored: &Stored) -> Result<Attempt, Trouble> {
        if let Some(known) = self.known.take_if(|known| known.offset == stored.offset) {
            return Ok(Attempt::Failed(known.reason));
        }
        let attempt =
            self.dispatcher.attempt(write, &mut self.batch, &stored.event, self.scratch)?;
        match (self.scratch, &attempt) {
            // Gathered, and flushed with the others at the end.
            (Scratch::Shared, Attempt::Handled) => {}
            // Flushed already.
            (Scratch::Apart, Attempt::Handled) => {
                self.batches.push(std::mem::take(&mut self.batch));
            }
            // Half of what the failed one gathered may be in the scratch of all: start again, apart.
            (Scratch::Shared, Attempt::Failed(reason)) if size_of::<H::Batch>() > 0 => {
                let known = KnownFailure { offset: stored.offset, reason: reason.clone() };
                return Err(Trouble::Apart(Some(known)));
            }
            // A scratch of no size cannot be dirty; one of its own is thrown away.
            (_, Attempt::Failed(_)) => self.batch = H::Batch::default(),
        }
        Ok(attempt)
    }

    /// Parks an event behind whatever of its key is parked, and counts it.
    fn park(
        &mut self,
        write: &mut Write<'_>,
        stored: &Stored,
        standing: Standing<'_>,
    ) -> Result<(), Trouble> {
        parked::park(write.sql(), self.of, stored, standing, write.now())?;
        self.parked += 1;
        Ok(())
    }

    /// Flushes what was gathered, then writes marks and place: step 4, and nothing comes after it.
    fn finish(
        mut self,
        write: &mut Write<'_>,
        last: Option<&Stored>,
    ) -> Result<Finished<H::Batch>, Trouble> {
        if self.scratch == Scratch::Shared {
            let (handler, batch) = (&self.dispatcher.handler, &mut self.batch);
            match caught(|| handler.flush(batch, write).map_err(Failure::from)) {
                Ok(()) => self.batches.push(self.batch),
                Err(Failure::Environment(error)) => return Err(error.into()),
                Err(Failure::Handler(reason)) => {
                    let subscription = &self.dispatcher.name;
                    tracing::warn!(subscription, reason, "a flush failed; delivering one by one");
                    return Err(Trouble::Apart(None));
                }
            }
        }
        let received = self.marks.save(write.sql())?;
        // Without a last one there was no room for even the first: the place stays.
        if let Some(last) = last {
            Place::of(last).save(write.sql(), self.of)?;
        }
        Ok(Finished { received, batches: self.batches })
    }
}
