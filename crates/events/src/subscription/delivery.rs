//! One batch, inside the consumer's transaction: which events are new, which go to the handler,
//! which are parked.
//!
//! Events share the handler's scratch as long as all goes well. Scratch cannot be rolled back, so
//! when a handler fails that has any, or a flush does, the batch is taken back and delivered again
//! with scratch of its own for every event; what is known to fail is not tried a second time.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{BATCH_MAX, Fault, Handler};
use crate::broker::{Offset, Stored};
use crate::error::Error;
use crate::event::Event;
use crate::failure::Failure;
use crate::parking::{PARKED_MAX, Retry, Wait, how_to_skip};
use crate::store::inbox::{Marks, Place};
use crate::store::{Write, panic_message, parked};

/// What a subscription does with an event; the same for every batch.
pub(super) struct Plan<H> {
    pub(super) name: String,
    pub(super) handler: H,
    pub(super) retry: Retry,
    pub(super) fault: Option<Fault>,
}

/// What became of a batch.
pub(super) struct Delivered<B> {
    /// Where to read on: after the batch, or where somebody else put the position meanwhile.
    pub(super) position: Offset,
    /// Scratch to be told of the commit.
    pub(super) batches: Vec<B>,
    /// No room to park in: the batch ended early.
    pub(super) full: bool,
}

/// What became of the events that were due.
pub(super) struct Retried<B> {
    pub(super) batches: Vec<B>,
    /// More may be due already.
    pub(super) more: bool,
}

/// Why a shared run was given up.
enum Trouble {
    /// Everything is taken back and tried again later.
    Whole(Error),
    /// Try event by event; the event at this offset is known to fail.
    Apart(Option<(Offset, String)>),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Trouble {
        Trouble::Whole(error)
    }
}

/// The state of one run over a batch.
struct Run<'p, H: Handler> {
    plan: &'p Plan<H>,
    marks: Marks<'p>,
    parked: u64,
    batch: H::Batch,
    batches: Vec<H::Batch>,
    /// Scratch is shared; otherwise every event is flushed by itself.
    shared: bool,
    known: Option<(Offset, String)>,
}

impl<H: Handler> Plan<H> {
    /// Takes what is new of `events`, which were read after `after`.
    pub(super) fn deliver(
        &self,
        write: &mut Write<'_>,
        after: Offset,
        events: &[Stored],
    ) -> Result<Delivered<H::Batch>, Error> {
        let stored = Place::load(write.sql(), &self.name)?.position;
        if stored != after {
            return Ok(Delivered { position: stored, batches: Vec::new(), full: false });
        }
        let shared = write.attempt(|write| self.run(write, after, events, true, None))?;
        let known = match shared {
            Ok(delivered) => return Ok(delivered),
            Err(Trouble::Whole(error)) => return Err(error),
            Err(Trouble::Apart(known)) => known,
        };
        self.run(write, after, events, false, known).map_err(|trouble| match trouble {
            Trouble::Whole(error) => error,
            Trouble::Apart(_) => unreachable!("events apart share nothing"),
        })
    }

    /// Tries events that are due, each key in order, at most [`BATCH_MAX`].
    pub(super) fn retry(&self, write: &mut Write<'_>) -> Result<Retried<H::Batch>, Error> {
        let now = write.now();
        let mut batches = Vec::new();
        for _ in 0..BATCH_MAX {
            let Some(due) = parked::due(write.sql(), &self.name, now)? else {
                return Ok(Retried { batches, more: false });
            };
            let event = match due.event {
                Ok(event) => event,
                Err(error) => {
                    self.give_up(write, due.place, due.attempts, &error)?;
                    continue;
                }
            };
            let mut batch = H::Batch::default();
            match self.attempt(write, &mut batch, &event, true)? {
                Ok(()) => {
                    parked::handled(write.sql(), &self.name, due.place, &due.key, now)?;
                    batches.push(batch);
                }
                Err(reason) => {
                    let attempts = due.attempts.saturating_add(1);
                    let wait = self.retry.after_failure(attempts, now);
                    self.tell(&event, attempts, wait, &reason);
                    parked::failed(write.sql(), due.place, (attempts, wait, &reason))?;
                }
            }
        }
        Ok(Retried { batches, more: true })
    }

    fn run(
        &self,
        write: &mut Write<'_>,
        after: Offset,
        events: &[Stored],
        shared: bool,
        known: Option<(Offset, String)>,
    ) -> Result<Delivered<H::Batch>, Trouble> {
        let mut run = Run {
            plan: self,
            marks: Marks::new(&self.name),
            parked: parked::count(write.sql(), &self.name)?,
            batch: H::Batch::default(),
            batches: Vec::new(),
            shared,
            known,
        };
        let mut last = None;
        for stored in events {
            if run.parked >= PARKED_MAX {
                break;
            }
            run.take(write, stored)?;
            last = Some(stored);
        }
        let full = last.map(|it| it.offset) != events.last().map(|it| it.offset);
        let position = last.map_or(after, |it| it.offset);
        let batches = run.finish(write, last)?;
        Ok(Delivered { position, batches, full })
    }

    /// Runs fault and handler (and the flush, if the event is alone) in a savepoint. The inner
    /// `Err` is the handler's reason.
    fn attempt(
        &self,
        write: &mut Write<'_>,
        batch: &mut H::Batch,
        event: &Event,
        alone: bool,
    ) -> Result<Result<(), String>, Error> {
        let outcome = write.attempt(|write| {
            caught(|| {
                if let Some(fault) = &self.fault {
                    fault(event).map_err(Failure::Handler)?;
                }
                self.handler.handle(batch, write, event)?;
                if alone { self.handler.flush(batch, write).map_err(Failure::from) } else { Ok(()) }
            })
        })?;
        match outcome {
            Ok(()) => Ok(Ok(())),
            Err(Failure::Handler(reason)) => Ok(Err(reason)),
            Err(Failure::Environment(error)) => Err(error),
        }
    }

    /// A row that is no event any more is a dead letter at once: it holds up its own key alone.
    fn give_up(
        &self,
        write: &Write<'_>,
        place: i64,
        attempts: u32,
        error: &Error,
    ) -> Result<(), Error> {
        let (subscription, skip) = (&self.name, how_to_skip(&self.name));
        let reason = format!("the parked row is no event any more: {error}; {skip}");
        tracing::error!(subscription, reason, "a parked event is hurt");
        parked::failed(write.sql(), place, (attempts, Wait::Hand, &reason))
    }

    /// Tells the handler what stands. It is too late to take anything back: a panic here is a
    /// mistake of the program, said once, and the subscription goes on.
    pub(super) fn committed(&self, batches: Vec<H::Batch>) {
        for batch in batches {
            let told = catch_unwind(AssertUnwindSafe(|| self.handler.committed(batch)));
            if let Err(panic) = told {
                let (subscription, what) = (&self.name, panic_message(panic.as_ref()));
                tracing::error!(subscription, what, "what follows a commit panicked");
            }
        }
    }

    fn tell(&self, event: &Event, attempts: u32, wait: Wait, reason: &str) {
        let (subscription, id, key) = (&self.name, &event.id, &event.key);
        if wait == Wait::Hand {
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
    /// duplicate → nothing; key parked → behind it; else the handler, and parked if that fails.
    fn take(&mut self, write: &mut Write<'_>, stored: &Stored) -> Result<(), Trouble> {
        if !self.marks.receive(write.sql(), stored)? {
            return Ok(());
        }
        let key = &stored.event.key;
        if self.parked > 0 && parked::holds(write.sql(), &self.plan.name, key)? {
            return self.park(write, stored, (0, Wait::Turn, ""));
        }
        let Err(reason) = self.attempt(write, stored)? else { return Ok(()) };
        let wait = self.plan.retry.after_failure(1, write.now());
        self.plan.tell(&stored.event, 1, wait, &reason);
        self.park(write, stored, (1, wait, &reason))
    }

    fn attempt(
        &mut self,
        write: &mut Write<'_>,
        stored: &Stored,
    ) -> Result<Result<(), String>, Trouble> {
        if let Some((_, reason)) = self.known.take_if(|(offset, _)| *offset == stored.offset) {
            return Ok(Err(reason));
        }
        let outcome = self.plan.attempt(write, &mut self.batch, &stored.event, !self.shared)?;
        match &outcome {
            Err(reason) if self.shared && size_of::<H::Batch>() > 0 => {
                return Err(Trouble::Apart(Some((stored.offset, reason.clone()))));
            }
            Err(_) => self.batch = H::Batch::default(),
            Ok(()) if !self.shared => self.batches.push(std::mem::take(&mut self.batch)),
            Ok(()) => {}
        }
        Ok(outcome)
    }

    fn park(
        &mut self,
        write: &mut Write<'_>,
        stored: &Stored,
        state: (u32, Wait, &str),
    ) -> Result<(), Trouble> {
        parked::park(write.sql(), &self.plan.name, stored, state, write.now())?;
        self.parked += 1;
        Ok(())
    }

    fn finish(
        mut self,
        write: &mut Write<'_>,
        last: Option<&Stored>,
    ) -> Result<Vec<H::Batch>, Trouble> {
        if self.shared {
            let (handler, batch) = (&self.plan.handler, &mut self.batch);
            match caught(|| handler.flush(batch, write).map_err(Failure::from)) {
                Ok(()) => self.batches.push(self.batch),
                Err(Failure::Environment(error)) => return Err(error.into()),
                Err(Failure::Handler(reason)) => {
                    let subscription = &self.plan.name;
                    tracing::warn!(subscription, reason, "a flush failed; delivering one by one");
                    return Err(Trouble::Apart(None));
                }
            }
        }
        self.marks.save(write.sql())?;
        if let Some(last) = last {
            Place::of(last).save(write.sql(), &self.plan.name)?;
        }
        Ok(self.batches)
    }
}
