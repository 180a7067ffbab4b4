//! One batch, inside the consumer's transaction: which events are new, which go to the handler,
//! which are parked.
//!
//! What happens to a batch, in this order:
//!
//! 1. *Is it still the next one?* The place is read again in this transaction. If somebody moved it
//!    since the batch was read (a rewind, a skip), nothing is taken and the loop reads on from there.
//! 2. *The shared run.* In order, each event is recognised as a second copy, or parked behind its
//!    key, or handled; in a file in a savepoint of its own, which takes back a failed one alone. All of them
//!    gather in one scratch (`Handler::Batch`), which is flushed once at the end: that is what makes
//!    a full batch cheap. On a server savepoints are two messages an event, and nearly always for nothing: there the
//!    shared run has none, and whatever fails ends it.
//! 3. *The apart run*, only where the shared one cannot go on. No savepoint takes back what a failed
//!    event put into scratch, which is memory; and a flush that fails does not say whose failure it
//!    is. So the shared run is taken back with its transaction, and the batch is taken from
//!    its beginning in another one, with a savepoint, a scratch and a flush for every event. Who failed in the
//!    shared run is known and is not tried a second time: one failure is one attempt. A run whose events need more
//!    savepoints than a server's transaction has is given up, too, and made again with fewer of them. A batch that went
//!    on apart is never shared again; the next one begins shared.
//! 4. *Marks and place* are written last, beside the effects: whatever stands, stands with both.
//!
//! What must stay true: an event whose mark is raised was handled or is parked, never neither. While
//! anything of a key is parked, whatever follows of that key is parked behind it. Trouble of the
//! environment is nobody's attempt: it takes the transaction back and the batch comes again.
//!
//! It reads no broker and waits for nothing: the loop around it is the consumer's.

pub(super) mod run;

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use run::{KnownFailure, Run, Trouble};

use super::trial::Died;
use super::{BATCH_MAX, Fault, Handler};
use crate::broker::{Offset, Stored};
use crate::error::Error;
use crate::event::Event;
use crate::failure::Failure;
use crate::opener::Opener;
use crate::parking::{Retry, Standing, Wait, how_to_skip};
use crate::partition::Partition;
use crate::store::expired::{self, Passed};
use crate::store::inbox::{Assigned, Place, Received};
use crate::store::panicked;
use crate::store::parked::{self, Parked};
use crate::store::trials::{self, Trial};
use crate::store::tx::Tx;

/// What a subscription does with an event; the same for every batch.
pub(super) struct Dispatcher<H> {
    pub(super) name: String,
    pub(super) handler: H,
    pub(super) retry: Retry,
    pub(super) fault: Option<Fault>,
    /// What tells the handler what is sealed.
    pub(super) opener: Option<Arc<dyn Opener>>,
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
    /// Nothing of the subscription is parked, as the transaction saw it.
    pub(super) is_clear: bool,
}

impl<B> Delivered<B> {
    /// Somebody has moved the place to here.
    fn nothing(position: Offset) -> Delivered<B> {
        Delivered {
            received: Vec::new(),
            position,
            batches: Vec::new(),
            full: false,
            is_clear: false,
        }
    }
}

/// What became of the events that were due.
pub(super) struct Retried<B> {
    /// As of [`Delivered`].
    pub(super) batches: Vec<B>,
    /// Attempts that were made.
    pub(super) attempts: usize,
    /// More may be due already.
    pub(super) more: bool,
}

/// Events, the place that they were read after, and how they are to be taken.
#[derive(Clone, Copy)]
pub(super) struct Read<'e> {
    pub(super) after: Offset,
    pub(super) events: &'e [Stored],
    pub(super) mode: &'e RunMode,
}

/// How a run takes its events, as the one before it found out.
#[derive(Clone)]
pub(super) struct RunMode {
    sharing: Sharing,
    /// Who failed in the run before.
    known: Option<KnownFailure>,
    /// Nothing of the subscription is parked, as the transaction before saw it.
    pub(super) is_clear: bool,
    /// The one event there is was noted to be tried by itself, and is forgotten with its answer.
    pub(super) alone: Option<Trial>,
}

impl RunMode {
    /// The first run over a batch.
    pub(super) fn shared(is_clear: bool) -> RunMode {
        RunMode { sharing: Sharing::Shared, known: None, is_clear, alone: None }
    }

    /// After a shared run in which this one failed, unless it was the flush.
    pub(super) fn apart(self, known: Option<KnownFailure>) -> RunMode {
        RunMode { sharing: Sharing::Apart, known, is_clear: false, ..self }
    }

    /// The run over an event that is taken by itself, or given up for what it did.
    pub(super) fn after_deaths(trial: Trial, died: Option<Died>, is_clear: bool) -> RunMode {
        let offset = trial.at;
        let known = died.map(|died| {
            let (attempts, reason) = (died.attempts, died.reason());
            KnownFailure { offset, attempts, reason }
        });
        let shared = RunMode { alone: Some(trial), ..RunMode::shared(is_clear) };
        if known.is_some() { shared.apart(known) } else { shared }
    }
}

/// What one attempt at one event came to. Trouble of the environment is no attempt.
enum Attempt {
    Handled,
    /// Its rows are taken back; the handler's reason.
    Failed(String),
    /// It needs more savepoints than those before it have left; its rows are taken back.
    OutOfParts,
}

/// How the events of a run share scratch.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sharing {
    /// One for all events, flushed at the end.
    Shared,
    /// One for each event, flushed with it.
    Apart,
    /// The same, to be taken back: why it fails is told to who asks, and kept nowhere.
    Rehearsed,
}

impl<H: Handler> Dispatcher<H> {
    /// Takes what is new of what was read.
    ///
    /// # Errors
    /// [`Trouble`]: nothing of it is to stand; the batch is taken in another mode, or later.
    pub(super) async fn deliver(
        &self,
        tx: &mut Tx<'_>,
        partition: Partition,
        read: Read<'_>,
    ) -> Result<Delivered<H::Batch>, Trouble> {
        let of = self.assigned(partition);
        // 1. Between the read and this transaction an operator may have moved the place.
        let position = Place::lock(tx, of).await?.position;
        let delivered = if position == read.after {
            self.handler.begin(tx).await?;
            // 2. or 3., as the mode says.
            Run::over(self, tx, of, read).await?
        } else {
            Delivered::nothing(position)
        };
        if let Some(trial) = read.mode.alone {
            // Of what an operator stepped over or rewound nobody died here; who died of it before did.
            match position == read.after {
                true => trials::answered(tx, of, trial).await?,
                false => trials::withdraw(tx, of, trial).await?,
            }
        }
        Ok(delivered)
    }

    /// Tries what is due; where one was noted to be tried by itself, that one.
    pub(super) async fn retry_noted(
        &self,
        tx: &mut Tx<'_>,
        partition: Partition,
        after: Offset,
        alone: Option<Trial>,
    ) -> Result<Retried<H::Batch>, Error> {
        let Some(trial) = alone else { return self.retry(tx, partition, after, BATCH_MAX).await };
        let of = self.assigned(partition);
        // Between the note and this transaction an operator may have changed what is due first.
        let now = tx.now();
        let due = parked::due(tx, of, now).await?;
        if due.is_none_or(|due| Offset(due.at.number) != trial.at) {
            trials::withdraw(tx, of, trial).await?;
            return Ok(Retried { batches: Vec::new(), attempts: 0, more: true });
        }
        let retried = self.retry(tx, partition, after, 1).await?;
        trials::answered(tx, of, trial).await?;
        Ok(retried)
    }

    /// parked -> a dead letter, because it ended the process as often as it may.
    pub(super) async fn bury(
        &self,
        tx: &mut Tx<'_>,
        partition: Partition,
        due: &Parked,
        died: Died,
    ) -> Result<(), Error> {
        let of = self.assigned(partition);
        Place::lock(tx, of).await?;
        let (attempts, reason) = (died.attempts, died.reason());
        if let Ok(event) = &due.event {
            self.log_failure(event, attempts, Wait::Operator, &reason);
        }
        let standing = Standing { attempts, wait: Wait::Operator, reason: &reason };
        parked::failed(tx, due.turn, standing).await?;
        trials::forget(tx, of, Offset(due.at.number)).await
    }

    /// Tries events that are due, each key in order, at most `limit` of them.
    ///
    /// Always apart: an event that failed once is likely to fail again, and its neighbours here are
    /// of other keys that have waited long enough.
    pub(super) async fn retry(
        &self,
        tx: &mut Tx<'_>,
        partition: Partition,
        after: Offset,
        limit: usize,
    ) -> Result<Retried<H::Batch>, Error> {
        let of = self.assigned(partition);
        // Whoever moved the place has taken the partition over: what is parked there is theirs.
        if Place::lock(tx, of).await?.position != after {
            return Ok(Retried { batches: Vec::new(), attempts: 0, more: false });
        }
        self.handler.begin(tx).await?;
        // One moment for all of them: who fails is due after it, and gives way to the others.
        let now = tx.now();
        let mut retried = Retried { batches: Vec::new(), attempts: 0, more: true };
        let mut passed = Vec::new();
        for _ in 0..limit.min(tx.parts_max()) {
            let Some(due) = parked::due(tx, of, now).await? else {
                retried.more = false;
                break;
            };
            let event = match due.event {
                Ok(event) => event,
                Err(error) => {
                    self.give_up(tx, due.turn, due.attempts, &error).await?;
                    continue;
                }
            };
            if H::PASSES_EXPIRED && event.is_expired(now) {
                // parked -> gone: its deadline has come before its turn.
                parked::handled(tx, &self.name, due.turn, &due.key, now).await?;
                passed.push(Passed { at: Offset(due.at.number), id: event.id });
                continue;
            }
            let mut batch = H::Batch::default();
            match self.attempt(tx, &mut batch, &event, Sharing::Apart, 0).await? {
                Attempt::OutOfParts => break,
                // parked -> gone, and the next of its key is due at once, in this very loop.
                Attempt::Handled => {
                    parked::handled(tx, &self.name, due.turn, &due.key, now).await?;
                    retried.batches.push(batch);
                }
                Attempt::Failed(reason) => {
                    let attempts = due.attempts.saturating_add(1);
                    self.fail_again(tx, due.turn, &event, attempts, &reason).await?;
                }
            }
            retried.attempts += 1;
        }
        expired::mark(tx, of, &passed).await?;
        Ok(retried)
    }

    /// parked -> parked with one attempt more, or a dead letter; still first of its key.
    async fn fail_again(
        &self,
        tx: &mut Tx<'_>,
        turn: i64,
        event: &Event,
        attempts: u32,
        reason: &str,
    ) -> Result<(), Error> {
        let wait = self.retry.after_failure(attempts, tx.now());
        self.log_failure(event, attempts, wait, reason);
        parked::failed(tx, turn, Standing { attempts, wait, reason }).await
    }

    /// Runs fault and handler, and the flush if the event is alone, in one savepoint: what failed
    /// leaves no row and no event behind. In a server's shared run there is none, and what failed is taken back with
    /// the run. Where nothing but `base` savepoints stands before it, too few are its own failure.
    async fn attempt(
        &self,
        tx: &mut Tx<'_>,
        batch: &mut H::Batch,
        event: &Event,
        sharing: Sharing,
        base: usize,
    ) -> Result<Attempt, Error> {
        let opened = self.opened(event).await?;
        let before = tx.parts();
        let is_first = before <= base;
        if before >= tx.parts_max() {
            return Ok(Attempt::OutOfParts);
        }
        let at_once = tx.is_at_once();
        let savepoint = match sharing {
            Sharing::Shared if !at_once => None,
            _ => Some(tx.savepoint().await?),
        };
        // Caught inside of the savepoint: a panic is a failure of this event and of no other.
        let told = opened.as_ref().unwrap_or(event);
        let outcome = caught(at_once, self.handle(tx, batch, told, sharing)).await;
        let outcome = outcome.and_then(|()| sound(tx));
        // Apart from others it would need one more.
        let outcome = outcome.and_then(|()| match savepoint {
            None => Ok(Error::check(
                "savepoints of a transaction",
                tx.parts() - before + 1,
                tx.parts_max(),
            )?),
            Some(_) => Ok(()),
        });
        // Others before it have used the savepoints up: not its failure, and it comes again in a run of its own.
        let is_short = tx.was_out_of_parts() && !is_first;
        if let Some(savepoint) = savepoint {
            tx.settle(savepoint, outcome.is_ok() && !is_short).await?;
        }
        match outcome {
            _ if is_short => Ok(Attempt::OutOfParts),
            Ok(()) => Ok(Attempt::Handled),
            Err(Failure::Handler(_)) if opened.is_some() && sharing != Sharing::Rehearsed => {
                Ok(Attempt::Failed(UNSAID.to_owned()))
            }
            Err(Failure::Handler(reason)) => Ok(Attempt::Failed(reason)),
            Err(Failure::Environment(error)) => Err(error),
        }
    }

    /// The event as the handler is told it, where that is not as it is stored.
    async fn opened(&self, event: &Event) -> Result<Option<Event>, Error> {
        match &self.opener {
            None => Ok(None),
            Some(opener) => opener.open(event).await,
        }
    }

    async fn handle(
        &self,
        tx: &mut Tx<'_>,
        batch: &mut H::Batch,
        event: &Event,
        sharing: Sharing,
    ) -> Result<(), Failure> {
        if let Some(fault) = &self.fault {
            fault(event).map_err(Failure::Handler)?;
        }
        self.handler.handle(batch, tx, event).await?;
        match sharing {
            Sharing::Shared => Ok(()),
            Sharing::Apart | Sharing::Rehearsed => Ok(self.handler.flush(batch, tx).await?),
        }
    }

    /// An attempt in a transaction that is to be taken back: `None`, or why it failed.
    pub(super) async fn rehearse(
        &self,
        tx: &mut Tx<'_>,
        event: &Event,
    ) -> Result<Option<String>, Error> {
        self.handler.begin(tx).await?;
        let mut batch = H::Batch::default();
        match self.attempt(tx, &mut batch, event, Sharing::Rehearsed, 0).await? {
            Attempt::Handled => Ok(None),
            Attempt::Failed(reason) => Ok(Some(reason)),
            Attempt::OutOfParts => {
                Ok(Some("it needs more savepoints than a transaction has".to_owned()))
            }
        }
    }

    /// A row that is no event any more is a dead letter at once: it holds up its own key alone.
    async fn give_up(
        &self,
        tx: &mut Tx<'_>,
        turn: i64,
        attempts: u32,
        error: &Error,
    ) -> Result<(), Error> {
        let (subscription, skip) = (&self.name, how_to_skip(&self.name));
        let reason = format!("the parked row is no event any more: {error}; {skip}");
        tracing::error!(subscription, reason, "a parked event is hurt");
        let standing = Standing { attempts, wait: Wait::Operator, reason: &reason };
        parked::failed(tx, turn, standing).await
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
            let (subscription, what) = (&self.name, panicked::message(panic.as_ref()));
            tracing::error!(subscription, what, "what follows a commit panicked");
        }
    }

    fn assigned(&self, partition: Partition) -> Assigned<'_> {
        Assigned { subscription: &self.name, partition }
    }

    /// A failure that is tried again is a warning; one that needs an operator is an error.
    fn log_failure(&self, event: &Event, attempts: u32, wait: Wait, reason: &str) {
        let subscription = &self.name;
        let Event { id, key, .. } = event;
        if wait == Wait::Operator {
            tracing::error!(subscription, id, key, attempts, reason, "an event is a dead letter");
        } else {
            tracing::warn!(subscription, id, key, attempts, reason, "an event failed");
        }
    }
}

/// What is kept of why a handler failed that was told what is sealed: its own words may repeat it.
const UNSAID: &str = "it failed, and why is not kept, because it was told what is sealed in the event; a rehearsal says it: \
     yeoul dead redrive ID --dry-run";

/// Work that went on after a statement had failed, where that takes all of it back, is a failure of its own: it would be
/// the same the next time.
fn sound(tx: &Tx<'_>) -> Result<(), Failure> {
    match tx.failure() {
        None => Ok(()),
        Some(error) if error.is_environment() => Err(Failure::Environment(error.clone())),
        Some(error) => Err(Failure::Handler(format!(
            "a statement failed, and the work went on without taking it back: {error}"
        ))),
    }
}

/// A handler's panic is its own failure, like any other; so is waiting for something else than its
/// transaction, where that answers `at_once`.
async fn caught(
    at_once: bool,
    work: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    let failed = |reason| Poll::Ready(Err(Failure::Handler(reason)));
    let mut work = pin!(work);
    poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))) {
        Ok(Poll::Pending) if at_once => {
            failed("it waited for something else than its transaction".to_owned())
        }
        Ok(polled) => polled,
        Err(panic) => failed(format!("panicked: {}", panicked::message(panic.as_ref()))),
    })
    .await
}
