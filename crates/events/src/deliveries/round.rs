//! One run's state: the window, what is under way, what is being written, and what is to be tried again.
//!
//! What must stay true: an attempt that is under way has its event out, in the window or among the retries; what it came
//! to is in the window and in the outcomes at once; and both leave for the store together ([`Round::write`]), one
//! transaction at a time, so that what is parked stands before what is parked behind it.

use std::collections::{BTreeMap, HashMap};
use std::future::{Future, pending};
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::{JoinError, JoinSet};

use super::retries::Retries;
use super::settlement::{Outcomes, Park, Retried, RetryOutcome, Settlement, Written};
use super::window::{Admitted, Leaving, Window};
use super::{Answer, Receiver, Timing};
use crate::broker::{Offset, Stored};
use crate::error::Error;
use crate::event::Event;
use crate::parking::{PARKED_MAX, Wait, how_to_skip};
use crate::store::ahead::{self, SettledEvent};
use crate::store::inbox::{self, Counted};
use crate::store::options::Reading;
use crate::store::parked::{self, Parked};
use crate::store::rows::Rows;
use crate::subscription::BATCH_MAX;
use crate::subscription::context::Lane;

/// How long what is under way is waited for when a run ends.
const FINISHED_WITHIN: Duration = Duration::from_secs(2);

type Writing = Pin<Box<dyn Future<Output = Result<Written, Error>> + Send>>;

/// What all partitions of a subscriber have in common.
pub(super) struct Couriers<R> {
    pub(super) receiver: Arc<R>,
    pub(super) timing: Timing,
}

impl<R> Clone for Couriers<R> {
    fn clone(&self) -> Couriers<R> {
        Couriers { receiver: Arc::clone(&self.receiver), timing: self.timing.clone() }
    }
}

/// An attempt that was answered.
pub(super) struct Answered {
    job: Job,
    answer: Answer,
}

/// What an attempt is made at.
enum Job {
    /// An event of the window.
    Fresh(Arc<Stored>),
    /// A parked one.
    Retry(Box<Retry>),
}

struct Retry {
    turn: i64,
    key: String,
    /// With this one.
    attempts: u32,
    event: Event,
}

/// What the store has of a partition when a run begins.
struct Known {
    /// The highest number received of each source.
    marks: BTreeMap<String, u64>,
    settled: HashMap<u64, SettledEvent>,
    parked_keys: HashMap<String, u64>,
    parked: u64,
}

/// See the module.
pub(super) struct Round<R> {
    couriers: Couriers<R>,
    lane: Lane,
    place: Offset,
    window: Window,
    marks: BTreeMap<String, u64>,
    /// Settled beyond the place, and not read again yet.
    settled: HashMap<u64, SettledEvent>,
    retries: Retries,
    outcomes: Outcomes,
    running: JoinSet<Answered>,
    writing: Option<Writing>,
    /// What is being written changes what is parked.
    is_parking: bool,
    /// Nothing new is taken: so many are parked.
    is_full: bool,
    /// All that the broker had was read.
    is_read: bool,
}

/// What came first of the two.
pub(super) enum Came {
    Answered(Answered),
    Written(Written),
}

impl<R: Receiver> Round<R> {
    /// From this place on, with what the store has.
    pub(super) async fn begin(
        couriers: Couriers<R>,
        lane: Lane,
        place: Offset,
    ) -> Result<Round<R>, Error> {
        let known =
            lane.context.database.read(&lane, |lane, rows| Box::pin(Known::read(rows, lane)));
        let Known { marks, settled, parked_keys, parked } = known.await?;
        let mut round = Round {
            couriers,
            place,
            window: Window::new(place, parked_keys),
            marks,
            settled,
            retries: Retries::default(),
            outcomes: Outcomes::default(),
            running: JoinSet::new(),
            writing: None,
            is_parking: false,
            is_full: false,
            is_read: false,
            lane,
        };
        round.stands(place, parked);
        Ok(round)
    }

    pub(super) fn place(&self) -> Offset {
        self.place
    }

    /// Whether more may be read: a batch, since a window that is nearly full would be filled event by event.
    pub(super) fn has_room(&self) -> bool {
        !self.is_full && self.window.room() >= BATCH_MAX
    }

    /// Whether there is something to make an attempt at.
    pub(super) fn has_work(&self, now: Timestamp) -> bool {
        let is_due = self.retries.next_at().is_some_and(|at| at <= now);
        is_due || !self.is_full && self.window.has_ready()
    }

    /// How long until a parked event is due.
    pub(super) fn until_due(&self, now: Timestamp) -> Option<Duration> {
        // What is due already waits for leave and for no time.
        let at = self.retries.next_at().filter(|at| *at > now)?;
        Duration::try_from(at.duration_since(now)).ok()
    }

    /// There may be more to read.
    pub(super) fn look_again(&mut self) {
        self.is_read = false;
    }

    /// Reads on where there is room.
    pub(super) async fn read_ahead(&mut self) -> Result<(), Error> {
        if self.is_read || !self.has_room() {
            return Ok(());
        }
        let broker = &self.lane.context.broker;
        let mut events = broker.read(&self.lane.at, self.window.read_to(), BATCH_MAX).await?;
        if broker.is_compacted(&self.lane.at) {
            events.iter_mut().for_each(|stored| stored.event.outbox_previous = None);
        }
        self.is_read = events.len() < BATCH_MAX;
        events.into_iter().for_each(|stored| self.admit(Arc::new(stored)));
        Ok(())
    }

    /// New, a second copy, settled before the start, or one whose key has something parked.
    fn admit(&mut self, stored: Arc<Stored>) {
        let is_new = self.receive(&stored);
        let settled = self.settled.remove(&stored.offset.0);
        if !is_new || settled.is_some_and(|event| event.is(&stored)) {
            return self.window.admit_settled(stored);
        }
        if self.window.admit(Arc::clone(&stored)) == Admitted::Behind {
            self.outcomes.parks.push(Park::behind(stored));
        }
    }

    /// Whether it was not read before, as the marks will say once it is settled.
    fn receive(&mut self, stored: &Stored) -> bool {
        let Counted { source, number } = Counted::of(stored);
        let highest = self.marks.get(source).copied().unwrap_or(0);
        if number > highest {
            self.marks.insert(source.to_owned(), number);
        }
        number > highest
    }

    /// Looks which parked events are next, where that is not known.
    pub(super) async fn look_at_retries(&mut self) -> Result<(), Error> {
        if self.retries.is_known() {
            return Ok(());
        }
        let given = (&self.lane, self.retries.wanted());
        let database = &self.lane.context.database;
        let read = database.read_by(Reading::Statement, &given, |(lane, limit), rows| {
            Box::pin(parked::upcoming(rows, lane.assigned(), *limit))
        });
        let rows = read.await?;
        self.retries.know(rows);
        Ok(())
    }

    /// Makes an attempt: at what is due first, because it is older than anything new and frees room to park in.
    pub(super) async fn give_out(&mut self, leave: R::Leave) -> Result<(), Error> {
        let now = (self.lane.context.clock)();
        if let Some(parked) = self.retries.give_out(now) {
            if let Some(job) = self.retry(parked).await? {
                self.attempt(leave, job);
            }
        } else if !self.is_full
            && let Some(stored) = self.window.give_out()
        {
            self.attempt(leave, Job::Fresh(stored));
        }
        Ok(())
    }

    /// The parked event of this turn, if it is one.
    async fn retry(&mut self, turn: i64) -> Result<Option<Job>, Error> {
        let database = &self.lane.context.database;
        let read = database.read_by(Reading::Statement, &turn, |turn, rows| {
            Box::pin(parked::of_turn(rows, *turn))
        });
        let Some(Parked { turn, key, attempts, event }) = read.await? else {
            self.retries.back(turn);
            return Ok(None);
        };
        match event {
            Ok(event) => {
                let attempts = attempts.saturating_add(1);
                Ok(Some(Job::Retry(Box::new(Retry { turn, key, attempts, event }))))
            }
            Err(error) => {
                let skip = how_to_skip(&self.lane.context.name);
                let reason = format!("the parked row is no event any more: {error}; {skip}");
                self.note_retry(
                    turn,
                    RetryOutcome::Failed { attempts, wait: Wait::Operator, reason },
                );
                Ok(None)
            }
        }
    }

    fn attempt(&mut self, leave: R::Leave, job: Job) {
        let receiver = Arc::clone(&self.couriers.receiver);
        self.running.spawn(async move {
            let answer = match &job {
                Job::Fresh(stored) => receiver.deliver(leave, &stored.event, 1).await,
                Job::Retry(retry) => receiver.deliver(leave, &retry.event, retry.attempts).await,
            };
            Answered { job, answer }
        });
    }

    /// Resolves with the next answer, or when what is being written stands.
    pub(super) async fn answered_or_written(&mut self) -> Result<Came, Error> {
        let Round { running, writing, .. } = self;
        let written = async {
            match writing {
                Some(writing) => writing.await,
                None => pending().await,
            }
        };
        tokio::select! {
            Some(answered) = running.join_next() => ended(answered).map(Came::Answered),
            written = written => {
                *writing = None;
                written.map(Came::Written)
            }
        }
    }

    /// Takes an answer, and whatever else was answered by now.
    pub(super) fn take_answers(&mut self, first: Answered) -> Result<(), Error> {
        self.take_answer(first);
        while let Some(answered) = self.running.try_join_next() {
            self.take_answer(ended(answered)?);
        }
        Ok(())
    }

    fn take_answer(&mut self, Answered { job, answer }: Answered) {
        match (job, answer) {
            (Job::Fresh(stored), Answer::Acknowledged) => self.window.acknowledge(stored.offset),
            (Job::Fresh(stored), Answer::NotNow) => self.window.put_back(stored.offset),
            (Job::Fresh(stored), Answer::Failed(reason)) => self.park(&stored, reason),
            (Job::Retry(retry), Answer::NotNow) => self.retries.back(retry.turn),
            (Job::Retry(retry), Answer::Acknowledged) => {
                self.window.unparked(&retry.key);
                self.note_retry(retry.turn, RetryOutcome::Handled { key: retry.key });
            }
            (Job::Retry(retry), Answer::Failed(reason)) => {
                let attempts = retry.attempts;
                let wait = self.after_failure(&retry.event, attempts, &reason);
                self.note_retry(retry.turn, RetryOutcome::Failed { attempts, wait, reason });
            }
        }
    }

    /// It failed for the first time: it is parked, and so is all of its key that was read.
    fn park(&mut self, stored: &Stored, reason: String) {
        let wait = self.after_failure(&stored.event, 1, &reason);
        let mut parked = self.window.fail(stored.offset).into_iter();
        let first = parked.next().map(|stored| Park { stored, attempts: 1, wait, reason });
        self.outcomes.parks.extend(first);
        self.outcomes.parks.extend(parked.map(Park::behind));
    }

    fn after_failure(&self, event: &Event, attempts: u32, reason: &str) -> Wait {
        let now = (self.lane.context.clock)();
        let Timing { pace, jitter, .. } = &self.couriers.timing;
        let wait = pace.after_failure(attempts, now, jitter());
        let subscription = &*self.lane.context.name;
        let Event { id, key, .. } = event;
        if wait == Wait::Operator {
            tracing::error!(subscription, id, key, attempts, reason, "an event is a dead letter");
        } else {
            tracing::warn!(subscription, id, key, attempts, reason, "an event was not delivered");
        }
        wait
    }

    fn note_retry(&mut self, turn: i64, outcome: RetryOutcome) {
        self.outcomes.retried.push(Retried { turn, outcome });
    }

    /// Begins to write what was settled, unless something is being written: then it is the next.
    pub(super) fn write(&mut self) {
        if self.writing.is_some() {
            return;
        }
        let Leaving { first, ahead } = self.window.leave();
        let outcomes = mem::take(&mut self.outcomes);
        let (lane, after) = (self.lane.clone(), self.place);
        let settlement = Settlement { lane, after, first, ahead, outcomes };
        if settlement.is_empty() {
            return;
        }
        self.is_parking = settlement.touches_parked();
        self.retries.writing(settlement.outcomes.retried.iter().map(|retried| retried.turn));
        let database = &self.lane.context.database;
        self.writing = Some(Box::pin(
            database.write(settlement, |settlement, tx| Box::pin(settlement.write(tx))),
        ));
    }

    /// What was written stands.
    pub(super) fn stands(&mut self, position: Offset, parked: u64) {
        self.place = position;
        if mem::take(&mut self.is_parking) {
            self.retries.stand();
        }
        self.is_full = parked >= PARKED_MAX;
        self.lane.arrived(position);
        let full = || format!("no new events are taken: {PARKED_MAX} are parked");
        self.lane.set_trouble(self.is_full.then(full));
    }

    /// Waits for what is under way, as far as it comes in time, and writes it.
    pub(super) async fn finish(&mut self) -> Result<(), Error> {
        let late = tokio::time::sleep(FINISHED_WITHIN);
        tokio::pin!(late);
        loop {
            self.write();
            if self.running.is_empty() && self.writing.is_none() {
                return Ok(());
            }
            let came = tokio::select! {
                came = self.answered_or_written() => came?,
                () = late.as_mut(), if !self.running.is_empty() => {
                    // Whoever has it may have it again: it is delivered at least once.
                    self.running.shutdown().await;
                    continue;
                }
            };
            match came {
                Came::Answered(answered) => self.take_answers(answered)?,
                Came::Written(Written::Elsewhere) => return Ok(()),
                Came::Written(Written::At { position, parked }) => self.stands(position, parked),
            }
        }
    }
}

impl Known {
    async fn read(rows: &mut Rows<'_>, lane: &Lane) -> Result<Known, Error> {
        let of = lane.assigned();
        Ok(Known {
            marks: inbox::highest_of_each(rows, of).await?,
            settled: ahead::all(rows, of).await?,
            parked_keys: parked::keys(rows, of).await?,
            parked: parked::count(rows, of.subscription).await?,
        })
    }
}

/// An attempt's answer; one that panicked is a mistake of the program, and everything begins anew.
fn ended(answered: Result<Answered, JoinError>) -> Result<Answered, Error> {
    answered.map_err(|error| Error::environment(format!("an attempt to deliver ended: {error}")))
}
