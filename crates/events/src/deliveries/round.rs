//! One run's state: the window, what is under way, what is being written, and what is to be tried again.
//!
//! What must stay true: an attempt that is under way has its event out, in the window or among the retries; what it came
//! to is in the window and in the outcomes at once; and both leave for the store together ([`Round::write`]), one
//! transaction at a time, so that what is parked stands before what is parked behind it. A write that did not come to
//! stand is the last one of its run ([`Round::is_cut_off`]): what it was to say is not said by the next, so the place must not
//! move on. A run begins with what stands, and what was acknowledged beyond it is delivered again.

mod reading;
mod retrying;

use std::collections::{BTreeMap, HashMap};
use std::future::{Future, pending};
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::attempts::{AnsweredAttempt, DueEvent, InFlight, Job, LoneAttempt, Noted};
use super::known::{Known, ParkedCounts, Seen};
use super::retries::Retries;
use super::settlement::{Outcomes, Park, Retried, RetryOutcome, Settlement, Written};
use super::turns::{Measure, Next};
use super::window::{Leaving, TurnOrder, Window};
use super::{Answer, Receiver, Timing};
use crate::broker::{Offset, Stored};
use crate::error::Error;
use crate::event::Event;
use crate::parking::{PARKED_MAX, Wait};
use crate::store::ahead::SettledEvent;
use crate::store::expired::Passed;
use crate::store::trials::Trial;
use crate::subscription::BATCH_MAX;
use crate::subscription::beginning;
use crate::subscription::context::Lane;
use crate::subscription::trial::Care;
use crate::trouble::Trouble;

type Writing = Pin<Box<dyn Future<Output = Result<Written, Error>> + Send>>;

/// What all partitions of a subscriber have in common.
pub(super) struct Recipient<R> {
    pub(super) receiver: Arc<R>,
    pub(super) timing: Timing,
}

impl<R> Clone for Recipient<R> {
    fn clone(&self) -> Recipient<R> {
        Recipient { receiver: Arc::clone(&self.receiver), timing: self.timing.clone() }
    }
}

/// See the module.
pub(super) struct Round<R> {
    recipient: Recipient<R>,
    lane: Lane,
    /// Which run this is: nothing is written once another has begun.
    run: u64,
    place: Offset,
    window: Window,
    marks: BTreeMap<String, u64>,
    /// Settled beyond the place, and not read again yet.
    settled: HashMap<u64, SettledEvent>,
    retries: Retries,
    outcomes: Outcomes,
    attempts: InFlight,
    writing: Option<Writing>,
    /// What is being written changes what is parked.
    is_parking: bool,
    /// A write did not come to stand: nothing is written any more.
    is_cut_off: bool,
    /// Nothing new is taken: so many are parked.
    is_full: bool,
    /// Up to where the broker has events.
    end: Offset,
    /// All that the broker had was read, or it is not asked for now.
    is_read: bool,
    /// Why what comes next cannot be read.
    unread: Option<Error>,
    /// Others may have changed what is in the store.
    is_unsure: bool,
    /// Of what was put back, the last was a parked event: the window is next.
    is_windows_turn: bool,
    /// Events go one by one.
    care: Option<Care>,
    /// Noted to be tried by itself; its answer does not stand.
    noted: Option<Noted>,
    /// What is being written says what came of it.
    is_ending_trial: bool,
}

/// How a run begins.
pub(super) struct Begun {
    /// Its number.
    pub(super) run: u64,
    pub(super) place: Offset,
    /// Events go one by one.
    pub(super) care: Option<Care>,
}

/// What came first of the two.
pub(super) enum Arrival {
    Answered(AnsweredAttempt),
    Written(Written),
}

impl<R: Receiver> Round<R> {
    /// A run that begins so, with what the store has.
    pub(super) async fn begin(
        recipient: Recipient<R>,
        lane: Lane,
        begun: Begun,
    ) -> Result<Round<R>, Error> {
        let Begun { run, place, care } = begun;
        let known =
            lane.context.database.read(&lane, |lane, rows| Box::pin(Known::read(rows, lane)));
        let Known { marks, settled, parked } = known.await?;
        let by = lane.context.share.clone();
        let order = TurnOrder { by, measure: Measure::UnderWay };
        let mut round = Round {
            recipient,
            run,
            place,
            window: Window::new(place, parked.by_key, order),
            marks,
            settled,
            retries: Retries::default(),
            outcomes: Outcomes::default(),
            attempts: InFlight::default(),
            writing: None,
            is_parking: false,
            is_cut_off: false,
            is_full: false,
            end: Offset::BEGINNING,
            is_read: false,
            unread: None,
            is_unsure: false,
            is_windows_turn: false,
            care,
            noted: None,
            is_ending_trial: false,
            lane,
        };
        round.stands(place, parked.total);
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
        // By itself, until its answer stands.
        if self.care.is_some() && self.is_under_way() {
            return false;
        }
        // As many were passed as one transaction says.
        if self.outcomes.room_to_pass() == 0 {
            return false;
        }
        let is_due = self.retries.next_at().is_some_and(|at| at <= now);
        is_due || !self.is_full && self.window.has_ready()
    }

    /// How long until a parked event is due.
    pub(super) fn until_due(&self, now: Timestamp) -> Option<Duration> {
        // What is due already waits for a permit and for no time.
        let at = self.retries.next_at().filter(|at| *at > now)?;
        Duration::try_from(at.duration_since(now)).ok()
    }

    /// There may be more to read, and others may have changed what is in the store.
    pub(super) fn look_again(&mut self) {
        self.is_read = false;
        self.is_unsure = true;
        if self.window.has_shares() {
            self.lane.set_shares(self.window.report());
        }
    }

    /// Whether the place and what is parked are as this run knows them, where others may have changed that: else there is
    /// a run to begin anew. While something is being written that cannot be told, and it is looked at after it.
    pub(super) async fn is_as_known(&mut self) -> Result<bool, Error> {
        if self.writing.is_some() || !mem::take(&mut self.is_unsure) {
            return Ok(true);
        }
        let read = self
            .lane
            .context
            .database
            .read(&self.lane, |lane, rows| Box::pin(Seen::read(rows, lane)));
        let Seen { position, parked: ParkedCounts { by_key, total } } = read.await?;
        if position != self.place || by_key != self.parked_there() {
            return Ok(false);
        }
        // An attempt may be due by an operator's word, or one of another partition gone.
        self.retries.changed();
        self.count_parked(total);
        Ok(true)
    }

    /// How many events of each key are parked in the store: those that it was not told of yet are not.
    fn parked_there(&self) -> HashMap<String, u64> {
        let mut there = self.window.parked().clone();
        for Park { stored, .. } in &self.outcomes.parks {
            there
                .entry(stored.event.key.clone())
                .and_modify(|count| *count = count.saturating_sub(1));
        }
        for Retried { outcome, .. } in &self.outcomes.retried {
            if let RetryOutcome::Handled { key } = outcome {
                *there.entry(key.clone()).or_default() += 1;
            }
        }
        there.retain(|_, count| *count > 0);
        there
    }

    /// Makes an attempt, for the share whose turn it is: at what is due of it first, because it is older than anything new and
    /// frees room to park in. After one whose receiver could not be asked, the other of the two is next.
    pub(super) async fn give_out(&mut self, permit: R::Permit) -> Result<(), Error> {
        let now = (self.lane.context.clock)();
        self.look_what_is_due(now);
        while let Some(next) = self.next() {
            if !self.takes_fresh(&next) {
                if let Some(job) = self.retry_of(next.share).await? {
                    self.attempt(permit, job);
                }
                return Ok(());
            }
            let Some(stored) = self.window.give_out(&next.share) else { return Ok(()) };
            if !stored.event.is_expired(now) {
                self.attempt(permit, Job::Fresh(stored));
                return Ok(());
            }
            // Nobody is asked.
            self.window.acknowledge(stored.offset);
            self.outcomes.expired.push(Passed::of(&stored));
            if self.outcomes.room_to_pass() == 0 {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Whose turn it is.
    fn next(&mut self) -> Option<Next> {
        if self.is_full { self.window.turns().next_due() } else { self.window.next() }
    }

    fn takes_fresh(&self, next: &Next) -> bool {
        let is_its_turn = self.is_windows_turn || !next.is_due;
        next.fresh.is_some() && !self.is_full && is_its_turn
    }

    fn attempt(&mut self, permit: R::Permit, job: Job) {
        let receiver = Arc::clone(&self.recipient.receiver);
        let Some(Care { run, .. }) = self.care else {
            let in_hand = self.lane.workload().take(1);
            return self.attempts.begin(receiver, permit, job, in_hand);
        };
        let noted = Noted::new(Trial { at: job.at(), run });
        self.noted = Some(noted.clone());
        let attempts_max = self.recipient.timing.pace.attempts;
        let lone = LoneAttempt { lane: self.lane.clone(), attempts_max, noted };
        self.attempts.begin_alone(receiver, permit, job, lone);
    }

    /// What is noted to be tried by itself and has no answer in the store, with its turn.
    pub(super) fn noted(&mut self) -> Option<Noted> {
        self.noted.take()
    }

    /// Whether it goes on with care, once what is due is known; how.
    pub(super) fn goes_on(&mut self, now: Timestamp) -> Option<Care> {
        let is_any_due = self.retries.next_at().is_some_and(|at| at <= now);
        let place = self.place;
        if !self.is_under_way() {
            self.care.take_if(|care| !care.goes_on(place, is_any_due));
        }
        self.care
    }

    /// Resolves with the next answer, or when what is being written stands or does not.
    pub(super) async fn answered_or_written(&mut self) -> Result<Arrival, Error> {
        let Round { attempts, writing, .. } = self;
        let written = async {
            match writing {
                Some(writing) => writing.await,
                None => pending().await,
            }
        };
        tokio::select! {
            Some(answered) = attempts.next() => answered.map(Arrival::Answered),
            written = written => {
                self.writing = None;
                self.is_cut_off = !matches!(written, Ok(Written::At { .. }));
                written.map(Arrival::Written)
            }
        }
    }

    /// Takes an answer, and whatever else was answered by now.
    pub(super) fn take_answers(&mut self, first: AnsweredAttempt) -> Result<(), Error> {
        self.take_answer(first);
        while let Some(answered) = self.attempts.try_next() {
            self.take_answer(answered?);
        }
        Ok(())
    }

    fn take_answer(&mut self, answered: AnsweredAttempt) {
        let AnsweredAttempt { job, answer, attempts, trial } = answered;
        if let Some(care) = &mut self.care {
            care.count();
        }
        self.outcomes.trials.extend(trial);
        let is_put_back = answer == Answer::NotNow;
        self.is_windows_turn = is_put_back && matches!(job, Job::Retry(_));
        match (job, answer) {
            (Job::Fresh(stored), Answer::Acknowledged) => self.window.acknowledge(stored.offset),
            (Job::Fresh(stored), Answer::NotNow) => self.window.put_back(stored.offset),
            (Job::Fresh(stored), Answer::Failed(reason)) => self.park(&stored, attempts, reason),
            (Job::Retry(retry), answer) => {
                self.take_retried(DueEvent { attempts, ..*retry }, answer);
            }
        }
    }

    /// It failed for the first time: it is parked, and so is all of its key that was read.
    fn park(&mut self, stored: &Stored, attempts: u32, reason: String) {
        let wait = self.after_failure(&stored.event, attempts, &reason);
        let mut parked = self.window.fail(stored.offset).into_iter();
        let first = parked.next().map(|stored| Park { stored, attempts, wait, reason });
        self.outcomes.parks.extend(first);
        self.outcomes.parks.extend(parked.map(Park::behind));
    }

    fn after_failure(&self, event: &Event, attempts: u32, reason: &str) -> Wait {
        let now = (self.lane.context.clock)();
        let Timing { pace, jitter, .. } = &self.recipient.timing;
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

    /// Begins to write what was settled, unless something is being written: then it is the next.
    pub(super) fn write(&mut self) {
        if self.writing.is_some() || self.is_cut_off {
            return;
        }
        let Leaving { first, ahead } = self.window.leave();
        let outcomes = mem::take(&mut self.outcomes);
        let (lane, run, after) = (self.lane.clone(), self.run, self.place);
        let settlement = Settlement { lane, run, after, first, ahead, outcomes };
        if settlement.is_empty() {
            return;
        }
        self.is_parking = settlement.touches_parked();
        self.is_ending_trial = !settlement.outcomes.trials.is_empty();
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
        if mem::take(&mut self.is_ending_trial) {
            self.noted = None;
        }
        self.lane.arrived(position);
        self.count_parked(parked);
    }

    /// So many events of the subscription are parked.
    fn count_parked(&mut self, parked: u64) {
        self.is_full = parked >= PARKED_MAX;
        self.show_trouble();
    }

    fn show_trouble(&self) {
        let says = || format!("no new events are taken: {PARKED_MAX} are parked");
        let full = || Trouble::lasting(says());
        let unread = || self.unread.as_ref().map(|error| beginning::with_remedy(&self.lane, error));
        self.lane.set_trouble(self.is_full.then(full).or_else(unread));
    }

    /// Whether an attempt or a write is under way.
    fn is_under_way(&self) -> bool {
        !self.attempts.is_empty() || self.writing.is_some()
    }

    /// Waits for what is under way, and writes it. Dropped, it may be called again.
    ///
    /// # Errors
    /// The last trouble there was; whatever could be written was.
    pub(super) async fn finish(&mut self) -> Result<(), Error> {
        let mut ended = Ok(());
        self.write();
        while self.is_under_way() && !self.is_cut_off {
            if let Err(error) = self.finish_one().await {
                ended = Err(error);
            }
            self.write();
        }
        ended
    }

    async fn finish_one(&mut self) -> Result<(), Error> {
        match self.answered_or_written().await? {
            Arrival::Answered(answered) => self.take_answers(answered)?,
            Arrival::Written(Written::At { position, parked }) => self.stands(position, parked),
            Arrival::Written(Written::Elsewhere | Written::Superseded) => {}
        }
        Ok(())
    }

    /// The same as far as it comes in time.
    pub(super) async fn finish_within(&mut self, time: Duration) -> Result<(), Error> {
        if let Ok(finished) = tokio::time::timeout(time, self.finish()).await {
            return finished;
        }
        // Whoever has it may have it again: it is delivered at least once.
        self.attempts.give_up().await;
        self.finish().await
    }
}
