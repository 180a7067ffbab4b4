//! One run over a batch: which of its events are new, and whether each is handled or parked.
//!
//! A run is the shared one or the apart one (see the [header above](super)), and the difference is only when
//! scratch is flushed. It ends in one of these ways: everything taken, or as much as there was room to park
//! ([`Delivered`]); given up, to be done again apart ([`Trouble::Apart`]) or with fewer events ([`Trouble::Short`]); or
//! given up altogether, because the trouble is nobody's ([`Trouble::Whole`]). One that was given up is its transaction's
//! failure, so that nothing of it stands.

use super::{Attempt, Delivered, Dispatcher, Read, RunMode, Sharing, caught, sound};
use crate::broker::{Offset, Stored};
use crate::error::Error;
use crate::failure::Failure;
use crate::parking::{PARKED_MAX, Standing, Wait};
use crate::share::ShareName;
use crate::store::expired::{self, Passed};
use crate::store::inbox::{Assigned, Marks, Place, Received};
use crate::store::parked;
use crate::store::tx::Tx;
use crate::subscription::{Handler, gaps};

/// An event that failed in the shared run, or ended the process as often as it may, so that the apart run need not ask again.
#[derive(Clone, Debug)]
pub(in crate::subscription) struct KnownFailure {
    pub(in crate::subscription) offset: Offset,
    /// With the last one.
    pub(in crate::subscription) attempts: u32,
    pub(in crate::subscription) reason: String,
}

/// Why a run was given up: everything is taken back.
#[derive(Debug)]
pub(in crate::subscription) enum Trouble {
    /// It is tried again later.
    Whole(Error),
    /// Take the batch event by event; one of them is known to fail, unless it was the flush.
    Apart(Option<KnownFailure>),
    /// Take so many of the batch: the next one needs more savepoints than they leave.
    Short(usize),
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

/// The state of one run over a batch.
pub(super) struct Run<'d, H: Handler> {
    dispatcher: &'d Dispatcher<H>,
    of: Assigned<'d>,
    sharing: Sharing,
    known: Option<KnownFailure>,
    marks: Marks<'d>,
    /// Savepoints around the run.
    base: usize,
    /// Savepoints that one of its events took at most.
    most: usize,
    /// Events that it is done with.
    taken: usize,
    /// Events of the subscription that are parked, those of this run included.
    parked: u64,
    /// Events whose deadline had come.
    passed: Vec<Passed>,
    /// What the events gathered since the last flush.
    batch: H::Batch,
    /// What was flushed.
    batches: Vec<H::Batch>,
}

impl<'d, H: Handler> Run<'d, H> {
    /// One run over the batch: all of it, or as much as there is room to park.
    pub(super) async fn over(
        dispatcher: &'d Dispatcher<H>,
        tx: &mut Tx<'_>,
        of: Assigned<'d>,
        Read { after, events, mode }: Read<'_>,
    ) -> Result<Delivered<H::Batch>, Trouble> {
        let RunMode { sharing, known, is_clear, .. } = mode.clone();
        // A shared run on a server parks nothing, so that what was clear before is clear still.
        let is_clear = is_clear && !tx.is_at_once();
        let parked = if is_clear { 0 } else { parked::count(tx, &dispatcher.name).await? };
        let mut run = Run {
            dispatcher,
            sharing,
            known,
            of,
            marks: Marks::new(of),
            base: tx.parts(),
            most: 1,
            taken: 0,
            parked,
            passed: Vec::new(),
            batch: H::Batch::default(),
            batches: Vec::new(),
        };
        let mut full = false;
        for stored in events {
            // Asked before each: the next one may be the one that has to be parked.
            full = run.parked >= PARKED_MAX;
            // The same savepoints again would be too many: to end here costs less than to find that out.
            if full || tx.parts().saturating_add(run.most) > tx.parts_max() {
                break;
            }
            run.take(tx, stored).await?;
            run.taken += 1;
        }
        let last = run.taken.checked_sub(1).map(|last| &events[last]);
        let position = last.map_or(after, |it| it.offset);
        let is_clear = run.parked == 0;
        let Finished { received, batches } = run.finish(tx, last).await?;
        Ok(Delivered { received, position, batches, full, is_clear })
    }

    /// One event: three ways to go, and the first that fits is taken.
    async fn take(&mut self, tx: &mut Tx<'_>, stored: &Stored) -> Result<(), Trouble> {
        // new -> received, or it is a second copy. The mark is raised whatever follows: from here on
        // the event is either handled or parked in this transaction.
        if !self.marks.receive(tx, stored).await? {
            return Ok(());
        }
        // received -> parked behind its key. The count spares a look-up where nothing is parked.
        let key = &stored.event.key;
        if self.parked > 0 && parked::has_key(tx, &self.dispatcher.name, key).await? {
            let standing = Standing { attempts: 0, wait: Wait::Turn, reason: "" };
            return self.park(tx, stored, standing).await;
        }
        if let Some(known) = self.known.take_if(|known| known.offset == stored.offset) {
            return self.park_failed(tx, stored, known.attempts, &known.reason).await;
        }
        // received -> passed: its deadline has come before its turn.
        if H::PASSES_EXPIRED && stored.event.is_expired(tx.now()) {
            self.passed.push(Passed::of(stored));
            return Ok(());
        }
        // received -> handled, or parked as the first of its key.
        match self.attempt(tx, stored).await? {
            Attempt::Handled => Ok(()),
            // Its mark is raised already: the run is made again without it.
            Attempt::OutOfParts => Err(Trouble::Short(self.taken)),
            Attempt::Failed(reason) => self.park_failed(tx, stored, 1, &reason).await,
        }
    }

    /// received -> parked as the first of its key.
    async fn park_failed(
        &mut self,
        tx: &mut Tx<'_>,
        stored: &Stored,
        attempts: u32,
        reason: &str,
    ) -> Result<(), Trouble> {
        let wait = self.dispatcher.retry.after_failure(attempts, tx.now());
        self.dispatcher.log_failure(&stored.event, attempts, wait, reason);
        self.park(tx, stored, Standing { attempts, wait, reason }).await
    }

    /// As the dispatcher's, and keeps scratch clean of what failed.
    async fn attempt(&mut self, tx: &mut Tx<'_>, stored: &Stored) -> Result<Attempt, Trouble> {
        let (before, dispatcher) = (tx.parts(), self.dispatcher);
        let attempt =
            dispatcher.attempt(tx, &mut self.batch, &stored.event, self.sharing, self.base).await?;
        self.most = self.most.max(tx.parts() - before);
        match (self.sharing, &attempt) {
            (_, Attempt::OutOfParts) => {}
            // Gathered, and flushed with the others at the end.
            (Sharing::Shared, Attempt::Handled) => {}
            // Flushed already.
            (Sharing::Apart | Sharing::Rehearsed, Attempt::Handled) => {
                self.batches.push(std::mem::take(&mut self.batch));
            }
            // Half of what the failed one gathered may be in the scratch of all, or its rows stand with the others':
            // start again, apart.
            (Sharing::Shared, Attempt::Failed(reason))
                if size_of::<H::Batch>() > 0 || !tx.is_at_once() =>
            {
                let (offset, reason) = (stored.offset, reason.clone());
                return Err(Trouble::Apart(Some(KnownFailure { offset, attempts: 1, reason })));
            }
            // A scratch of no size cannot be dirty; one of its own is thrown away.
            (_, Attempt::Failed(_)) => self.batch = H::Batch::default(),
        }
        Ok(attempt)
    }

    /// Parks an event behind whatever of its key is parked, and counts it.
    async fn park(
        &mut self,
        tx: &mut Tx<'_>,
        stored: &Stored,
        standing: Standing<'_>,
    ) -> Result<(), Trouble> {
        let now = tx.now();
        parked::park(tx, self.of, stored, standing, &ShareName::none(), now).await?;
        self.parked += 1;
        Ok(())
    }

    /// Flushes what was gathered, then writes marks and place: step 4, and nothing comes after it.
    async fn finish(
        mut self,
        tx: &mut Tx<'_>,
        last: Option<&Stored>,
    ) -> Result<Finished<H::Batch>, Trouble> {
        if self.sharing == Sharing::Shared {
            let at_once = tx.is_at_once();
            let flushed = self.dispatcher.handler.flush(&mut self.batch, tx);
            let flushed = caught(at_once, async { Ok(flushed.await?) }).await;
            match flushed.and_then(|()| sound(tx)) {
                Ok(()) => self.batches.push(self.batch),
                Err(Failure::Environment(error)) => return Err(error.into()),
                Err(Failure::Handler(reason)) => {
                    let subscription = &self.dispatcher.name;
                    // Its words may repeat what it was told.
                    let reason = self.dispatcher.opener.is_none().then_some(reason);
                    tracing::warn!(subscription, reason, "a flush failed; delivering one by one");
                    return Err(Trouble::Apart(None));
                }
            }
        }
        for gap in self.marks.gaps() {
            gaps::note(tx, self.of, gap).await?;
        }
        let received = self.marks.save(tx).await?;
        // Without a last one there was no room for even the first: the place stays.
        if let Some(last) = last {
            Place::of(last).save(tx, self.of).await?;
        }
        expired::mark(tx, self.of, &self.passed).await?;
        Ok(Finished { received, batches: self.batches })
    }
}
