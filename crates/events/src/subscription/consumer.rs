//! The loop of a running subscription in one partition: retry what is due, take what is new, wait for either.
//!
//! Where instances share the partitions, it rests while the partition is another one's (`crate::group`), and lets go
//! of it between two rounds: what it has in its hands is committed then or taken back.
//!
//! A run begins when the partition is its own, at the start and after every trouble:
//!
//! 1. *Recover the place.* If the log no longer is what was read of it (shorter, or with another
//!    event at the place), everything is read again from the beginning. That is safe because marks,
//!    not places, say what was received; and it misses nothing that is new.
//! 2. *Mend what is parked*, once: a key whose first event waits for nothing must not wait for ever.
//! 3. *Round after round*: rest while paused; note how far the topic is; retry what is due; take one
//!    batch; record what came of it; if there was nothing, wait until there may be something.
//!
//! What must stay true: the topic's end is noted before it is read, so an event that comes between
//! the two is not slept through. The place is taken from the database before each round that follows
//! a wait which no event ended, because whoever woke the loop may have moved it; an event's own transaction finds out
//! whether anybody has. What is parked is asked for unless the transaction before saw that nothing is. Any error ends
//! the run, shows as trouble and begins at 1 again after a pause that doubles: there is one way to recover, used every
//! time.
//!
//! It decides about no event: that is [`delivery`](super::delivery)'s.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::beginning;
use super::context::Lane;
use super::delivery::run::Trouble;
use super::delivery::{Delivered, Dispatcher, Read, RunMode};
use super::trial::{Care, Trials, Tried};
use super::{BATCH_MAX, Handler};
use crate::broker::{Offset, Stored};
use crate::error::Error;
use crate::group::{Member, OwnedPartition};
use crate::partition::Partition;
use crate::store::options::Reading;
use crate::store::parked;
use crate::store::trials::Trial;
use crate::wait::{BACKOFF_MAX, Backoff};

/// A subscription while it runs, in one partition.
pub(super) struct Consumer<H: Handler> {
    /// Shared with the pieces of work that run on the database's own thread.
    dispatcher: Arc<Dispatcher<H>>,
    lane: Lane,
    member: Member,
    trials: Trials,
}

/// How a run came to its end without trouble.
enum RunEnd {
    Stopped,
    /// The partition is another instance's.
    Revoked,
}

/// What a round begins with.
enum Next {
    /// What there is to take, or why that cannot be read: what is parked is tried all the same.
    Batch(Result<Vec<Stored>, Error>),
    Ended(RunEnd),
}

/// Events on their way into the consumer's transaction.
struct Batch<H> {
    dispatcher: Arc<Dispatcher<H>>,
    partition: Partition,
    /// The place that they were read after.
    after: Offset,
    events: Arc<[Stored]>,
    /// So many of them, from the first.
    count: usize,
    mode: RunMode,
}

/// What one look at the topic came to.
enum PollOutcome {
    /// Something was taken, or the place was moved.
    Moved {
        /// Nothing is parked.
        is_clear: bool,
    },
    /// There is nothing new.
    Idle,
    /// There is no room to park in.
    Full,
}

impl PollOutcome {
    /// Whether nothing is parked, as far as anybody saw.
    fn is_clear(&self, before: bool) -> bool {
        match self {
            PollOutcome::Moved { is_clear } => *is_clear,
            PollOutcome::Idle => before,
            PollOutcome::Full => false,
        }
    }
}

impl<H: Handler> Consumer<H> {
    pub(super) fn new(dispatcher: Arc<Dispatcher<H>>, lane: Lane, member: Member) -> Consumer<H> {
        Consumer { dispatcher, lane, member, trials: Trials::default() }
    }

    /// Run after run (see the module: it begins with what is known, and ends with trouble), until `stop` resolves.
    pub(super) async fn run(mut self, stop: impl Future<Output = ()> + Send) {
        let mut stop = pin!(stop);
        let mut backoff = Backoff::new();
        loop {
            let trouble = match self.turn(stop.as_mut(), &mut backoff).await {
                Ok(RunEnd::Stopped) => return self.trials.end(&self.lane).await,
                Ok(RunEnd::Revoked) => {
                    self.trials.end(&self.lane).await;
                    continue;
                }
                Err(error) => error,
            };
            tokio::select! {
                () = stop.as_mut() => return self.trials.end(&self.lane).await,
                () = beginning::paused_after(&self.lane, &trouble, &mut backoff) => {}
            }
        }
    }

    /// One run, once the partition is its own.
    async fn turn(
        &mut self,
        mut stop: Pin<&mut (impl Future<Output = ()> + Send)>,
        backoff: &mut Backoff,
    ) -> Result<RunEnd, Error> {
        let (lane, member) = (self.lane.clone(), self.member.clone());
        let owned = tokio::select! {
            biased;
            () = stop.as_mut() => return Ok(RunEnd::Stopped),
            owned = beginning::taken(&lane, &member) => owned?,
        };
        self.consume(stop, &owned, backoff).await
    }

    /// Consumes until it is stopped, the partition is revoked, or there is trouble.
    async fn consume(
        &mut self,
        mut stop: Pin<&mut (impl Future<Output = ()> + Send)>,
        owned: &OwnedPartition,
        backoff: &mut Backoff,
    ) -> Result<RunEnd, Error> {
        let mut end = self.lane.context.broker.watch(&self.lane.at).await?;
        let mut position = beginning::recover(&self.lane).await?;
        beginning::mend_parked(&self.lane, self.dispatcher.retry.backoff).await?;
        self.trials.begin(&self.lane, position).await?;
        // It came as far as a run without trouble does before it rests.
        if self.lane.context.is_at_rest() {
            self.lane.set_trouble(None);
        }
        let mut is_clear = false;
        loop {
            owned.reached(position.0);
            let events = match self.next(stop.as_mut(), &mut end, position).await? {
                Next::Batch(events) => events,
                Next::Ended(run_end) => return Ok(run_end),
            };
            // What is due goes first. It is older than anything new, and it frees room to park in.
            let more = !is_clear && self.retry(position).await?;
            let look = self.take(&mut position, events?, is_clear).await?;
            self.record(&look, position, backoff);
            is_clear = look.is_clear(is_clear);
            self.trials.answered();
            self.trials.goes_on(position, more);
            let has_moved = matches!(look, PollOutcome::Moved { .. });
            // Past the newest there is, what comes from here on ends the wait.
            if more || has_moved && *end.borrow_and_update() != position {
                continue;
            }
            let pause = if is_clear { BACKOFF_MAX } else { self.until_due().await? };
            tokio::select! {
                () = stop.as_mut() => return Ok(RunEnd::Stopped),
                () = self.member.revoked(self.lane.at.partition) => return Ok(RunEnd::Revoked),
                // Without room a new event is no reason to look: a parked one has to go first.
                more = end.changed(), if !matches!(look, PollOutcome::Full) => {
                    more.map_err(|_| Error::environment("the topic's end is not followed any more"))?;
                    continue;
                }
                () = self.lane.woken() => {}
                () = tokio::time::sleep(pause) => {}
            }
            is_clear = false;
            // Whoever woke it may have moved it: a rewind, a skip.
            position = self.lane.place().await?.position;
        }
    }

    /// The next batch, once it may go on.
    async fn next(
        &mut self,
        mut stop: Pin<&mut (impl Future<Output = ()> + Send)>,
        end: &mut watch::Receiver<Offset>,
        position: Offset,
    ) -> Result<Next, Error> {
        let Consumer { lane, member, .. } = &mut *self;
        let at = lane.at.partition;
        if let Some(run_end) = until(lane.context.resumed(), stop.as_mut(), member, at).await {
            return Ok(Next::Ended(run_end));
        }
        // Before the read: what is stored from here on wakes the wait behind it.
        end.mark_unchanged();
        let events = self.read(position).await;
        // With care nobody else is trying anything from here on; a broker that is slow keeps nobody waiting.
        let Consumer { trials, member, .. } = &mut *self;
        let run_end = until(trials.turn(), stop, member, at).await;
        Ok(run_end.map_or(Next::Batch(events), Next::Ended))
    }

    /// Tries what is due; whether more may be.
    async fn retry(&mut self, after: Offset) -> Result<bool, Error> {
        // A read first: nearly always there is nothing, and that costs no transaction.
        let due = self.lane.next_due().await?;
        if due.is_none_or(|due| due > (self.lane.context.clock)()) {
            return Ok(false);
        }
        let alone = if self.trials.is_careful() {
            let Some(trial) = self.note_due().await? else { return Ok(true) };
            Some(trial)
        } else {
            None
        };
        let given = (Arc::clone(&self.dispatcher), self.lane.at.partition, after, alone);
        // One after the other; before the work, which begins with this call.
        let in_hand = self.lane.workload().take(1);
        let work =
            self.lane.context.database.write(given, |(dispatcher, partition, after, alone), tx| {
                Box::pin(dispatcher.retry_noted(tx, *partition, *after, *alone))
            });
        let retried = work.await?;
        drop(in_hand);
        self.lane.workload().add_retries(retried.attempts);
        self.trials.noted = None;
        self.dispatcher.committed(retried.batches);
        Ok(retried.more)
    }

    /// Notes that the first that is due is about to be tried by itself; where, unless it has ended the process as often as it
    /// may, and is a dead letter now.
    async fn note_due(&mut self) -> Result<Option<Trial>, Error> {
        let Some(Care { run, .. }) = self.trials.care else { return Ok(None) };
        let database = &self.lane.context.database;
        let given = (&self.lane, (self.lane.context.clock)());
        let read = database.read_by(Reading::Statement, &given, |(lane, now), rows| {
            Box::pin(parked::due(rows, lane.assigned(), *now))
        });
        let Some(due) = read.await? else { return Ok(None) };
        let tried = Tried { answered: due.attempts, attempts_max: self.dispatcher.retry.attempts };
        let trial = Trial { at: Offset(due.at.number), run };
        let Some(died) = self.trials.note(&self.lane, trial, tried).await? else {
            return Ok(Some(trial));
        };
        let given = (Arc::clone(&self.dispatcher), self.lane.clone(), due, died);
        let work = self.lane.context.database.write(given, |(dispatcher, lane, due, died), tx| {
            Box::pin(dispatcher.bury(tx, lane.at.partition, due, *died))
        });
        work.await?;
        Ok(None)
    }

    /// The next batch.
    async fn read(&self, after: Offset) -> Result<Vec<Stored>, Error> {
        let limit = if self.trials.is_careful() { 1 } else { BATCH_MAX };
        let mut events = self.lane.context.broker.read(&self.lane.at, after, limit).await?;
        if self.lane.context.broker.is_compacted(&self.lane.at) {
            events.iter_mut().for_each(|stored| stored.event.outbox_previous = None);
        }
        Ok(events)
    }

    /// Takes it.
    async fn take(
        &mut self,
        position: &mut Offset,
        events: Vec<Stored>,
        is_clear: bool,
    ) -> Result<PollOutcome, Error> {
        if events.is_empty() {
            return Ok(PollOutcome::Idle);
        }
        let after = *position;
        let mode = self.mode(&events, is_clear).await?;
        let delivered = self.deliver(after, events.into(), mode).await?;
        self.trials.noted = None;
        // Past this line it is on disk: handlers hear of it, and the loop goes on behind it.
        self.dispatcher.committed(delivered.batches);
        let topic = &self.lane.at.topic;
        let received = delivered.received.into_iter().map(|it| it.of_topic(topic));
        self.dispatcher.received(&received.collect::<Vec<_>>());
        *position = delivered.position;
        let is_clear = delivered.is_clear;
        Ok(if delivered.full { PollOutcome::Full } else { PollOutcome::Moved { is_clear } })
    }

    /// How a batch is taken first: where one event is taken by itself, not at all if it has ended the process as often as it
    /// may.
    async fn mode(&mut self, events: &[Stored], is_clear: bool) -> Result<RunMode, Error> {
        let [Stored { offset, .. }] = *events else { return Ok(RunMode::shared(is_clear)) };
        let Some(Care { run, .. }) = self.trials.care else {
            return Ok(RunMode::shared(is_clear));
        };
        let tried = Tried { answered: 0, attempts_max: self.dispatcher.retry.attempts };
        let trial = Trial { at: offset, run };
        let died = self.trials.note(&self.lane, trial, tried).await?;
        Ok(RunMode::after_deaths(trial, died, is_clear))
    }

    /// Has a batch taken: together, and in another transaction as the one before found out that it has to be.
    async fn deliver(
        &self,
        after: Offset,
        events: Arc<[Stored]>,
        mut mode: RunMode,
    ) -> Result<Delivered<H::Batch>, Error> {
        let mut count = events.len();
        loop {
            let batch = Batch {
                dispatcher: Arc::clone(&self.dispatcher),
                partition: self.lane.at.partition,
                after,
                events: Arc::clone(&events),
                count,
                mode: mode.clone(),
            };
            let _in_hand = self.lane.workload().take(count);
            let work = self.lane.context.database.write(batch, |batch, tx| {
                let Batch { dispatcher, partition, after, events, count, mode } = batch;
                let read = Read { after: *after, events: &events[..*count], mode };
                Box::pin(dispatcher.deliver(tx, *partition, read))
            });
            match work.await {
                Ok(delivered) => return Ok(delivered),
                Err(Trouble::Whole(error)) => return Err(error),
                Err(Trouble::Apart(known)) => mode = mode.apart(known),
                Err(Trouble::Short(taken)) => count = taken,
            }
        }
    }

    /// Records a round without trouble, or with the one that is no error: no room.
    fn record(&self, look: &PollOutcome, position: Offset, backoff: &mut Backoff) {
        backoff.reset();
        self.lane.arrived(position);
        let full = matches!(look, PollOutcome::Full);
        self.lane.set_trouble(full.then(|| {
            let max = crate::parking::PARKED_MAX;
            crate::trouble::Trouble::lasting(format!("no new events are taken: {max} are parked"))
        }));
    }

    /// How long until an event is due, at most [`BACKOFF_MAX`]: the clock may be set meanwhile.
    async fn until_due(&self) -> Result<Duration, Error> {
        let Some(due) = self.lane.next_due().await? else { return Ok(BACKOFF_MAX) };
        let left = due.duration_since((self.lane.context.clock)());
        Ok(Duration::try_from(left).unwrap_or(Duration::ZERO).min(BACKOFF_MAX))
    }
}

/// Waits for something, unless the loop ends before it.
async fn until(
    awaited: impl Future<Output = ()> + Send,
    stop: Pin<&mut (impl Future<Output = ()> + Send)>,
    member: &Member,
    at: Partition,
) -> Option<RunEnd> {
    // Stop is asked first: a subscription that is both stopped and paused ends.
    tokio::select! {
        biased;
        () = stop => Some(RunEnd::Stopped),
        () = member.revoked(at) => Some(RunEnd::Revoked),
        () = awaited => None,
    }
}
