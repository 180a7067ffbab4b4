//! The loop of one subscriber that fetches: it takes what is asked, settles and lends, writes that, and answers.
//!
//! What was asked while it wrote is the next transaction, whoever asked: of many who ask at once one sync is paid. Who waits
//! for events is looked after when the topic goes on, when something becomes due, and when another's answer makes something
//! open; what another instance made open, within [`LOOK_EVERY`].
//!
//! What must stay true: nobody is answered before what he is told is on disk. Where a write did not come to stand, or may have
//! come to, the shelf is thrown away, and those who asked are told to ask again.

use std::collections::VecDeque;
use std::future::Future;
use std::mem;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;

use super::desk::{Ask, PullAsk, SettleAsk};
use super::due::{Found, Wanted};
use super::feed::{Feed, Patience, news};
use super::parcel::Parcel;
use super::part::{Part, is_hurt};
use super::shelf::Shelf;
use super::shelf::filling::Allowed;
use super::tally::Tally;
use super::turn::{Outcome, Standing, Work, load};
use super::{ASKS_MAX, Answered, Draw, LEASES_MAX, Lent, Refusal};
use crate::deliveries::Timing;
use crate::deliveries::pace::PAUSE_MAX;
use crate::error::Error;
use crate::parking::PARKED_MAX;
use crate::store::leases;
use crate::store::options::Reading;
use crate::store::paused::Pause;
use crate::subscription::beginning;
use crate::subscription::context::{Context, Lane};
use crate::trouble::Trouble;
use crate::wait::Backoff;

/// How late at most somebody who waits is given what became open by an answer at another instance.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How often is looked for what other instances have lent, where nobody asks here: more often than no progress is noticed.
const LOOK_IDLY_EVERY: Duration = Duration::from_secs(10);

/// How often is shown whose events wait, where shares have their turns: all that is read ahead is counted for it.
const SHARES_SHOWN_EVERY: Duration = Duration::from_secs(1);

/// How often what was asked is tried where another instance is ahead.
const TRIES_MAX: u32 = 20;

/// How long an answer waits at most for what is out to be read, however often that begins anew.
const LATE_MAX: Duration = Duration::from_secs(10);

/// Answers that are looked at, or wait for a partition, at most.
const SETTLING_MAX: usize = 2 * ASKS_MAX;

/// See the module.
pub(super) struct Keeper {
    context: Context,
    lanes: Vec<Lane>,
    timing: Timing,
    draw: Draw,
    inbox: mpsc::Receiver<Ask>,
    tally: Arc<Tally>,
    /// Those who wait for events, in the order in which they asked.
    waiting: VecDeque<PullAsk>,
    settling: Vec<SettleAsk>,
    /// Leases that nobody heard of whom they were for.
    unclaimed: Vec<String>,
    /// Until then whatever was said was looked at: no lease is at its end before what was said in time counts.
    heard_until: Timestamp,
    shelf: Option<Shelf>,
    /// What is asked of each partition; none before it has begun.
    feeds: Vec<Feed>,
    /// When the next parked event is due.
    next_due: Option<Timestamp>,
    /// Another instance may have changed what is in the store.
    is_unsure: bool,
    /// What was known before, for the turns that shares have by it.
    outdated: Option<Shelf>,
    /// When it was shown whose events wait.
    shares_shown: Option<Timestamp>,
    /// Since then that may have changed.
    is_unshown: bool,
    backoff: Backoff,
    /// How long the trouble is waited for that there is.
    pause: Option<Duration>,
}

/// What one who waits for events is told, once it is on disk; `None` where he goes on waiting.
type Told = Option<Result<Option<Lent>, Refusal>>;

/// What is to be answered once it is on disk.
#[derive(Default)]
struct Answers {
    /// To those who settled, in order; `None` where a partition has not answered yet.
    settled: Vec<Option<Result<Answered, Refusal>>>,
    /// To those who wait, in order; `None` who goes on waiting.
    lent: Vec<Told>,
    ended: usize,
}

impl Keeper {
    pub(super) fn new(
        context: Context,
        timing: Timing,
        draw: Draw,
        inbox: mpsc::Receiver<Ask>,
        tally: Arc<Tally>,
    ) -> Keeper {
        Keeper {
            lanes: context.lanes().collect(),
            context,
            timing,
            draw,
            inbox,
            tally,
            waiting: VecDeque::new(),
            settling: Vec::new(),
            unclaimed: Vec::new(),
            heard_until: Timestamp::MIN,
            shelf: None,
            feeds: Vec::new(),
            next_due: None,
            is_unsure: false,
            outdated: None,
            shares_shown: None,
            is_unshown: false,
            backoff: Backoff::new(),
            pause: None,
        }
    }

    /// Before it runs: whose leases they are, said once more.
    pub(super) fn set_context(&mut self, context: Context) {
        self.lanes = context.lanes().collect();
        self.context = context;
    }

    /// Turn after turn, until `stop` resolves.
    pub(super) async fn run(mut self, stop: impl Future<Output = ()> + Send) {
        let mut stop = pin!(stop);
        loop {
            self.turn().await;
            tokio::select! {
                biased;
                () = stop.as_mut() => return,
                () = self.happening() => {}
            }
        }
    }

    /// Waits until there is something to do, and takes what was asked.
    async fn happening(&mut self) {
        let pause = self.until_next();
        let (first, is_waited_for) = (self.lanes[0].clone(), !self.waiting.is_empty());
        let asked = tokio::select! {
            biased;
            () = first.woken() => {
                // Whatever an operator did, it is not as was known; and what waits for nothing is looked for again.
                self.shelf = None;
                self.feeds.clear();
                None
            }
            Some(ask) = self.inbox.recv() => Some(ask),
            () = self.context.hold.begun(), if is_waited_for => None,
            () = news(&mut self.feeds, is_waited_for) => None,
            () = tokio::time::sleep(pause) => {
                self.is_unsure = true;
                None
            }
        };
        asked.into_iter().for_each(|ask| self.take(ask));
    }

    /// Takes what was asked until now.
    fn hear(&mut self) {
        self.heard_until = (self.context.clock)();
        // No more than that were there by then.
        for _ in 0..ASKS_MAX {
            let Ok(ask) = self.inbox.try_recv() else { return };
            self.take(ask);
        }
    }

    fn take(&mut self, ask: Ask) {
        // By its lease it may be another instance's, which alone knows of it yet.
        self.is_unsure = true;
        match ask {
            Ask::Pull(ask) => self.waiting.push_back(ask),
            Ask::Settle(SettleAsk { reply, .. }) if self.settling.len() >= SETTLING_MAX => {
                let what = "answers that wait for a partition";
                drop(reply.send(Err(Refusal::Full { what, limit: SETTLING_MAX })));
            }
            Ask::Settle(ask) => self.settling.push(ask),
            Ask::TakeBack(token) => self.unclaimed.push(token),
        }
    }

    /// How long until something is to be looked at by itself.
    fn until_next(&mut self) -> Duration {
        if let Some(pause) = self.pause.take() {
            return pause;
        }
        let Some(shelf) = &self.shelf else { return Duration::ZERO };
        let now = (self.context.clock)();
        let is_waited_for = !self.waiting.is_empty();
        if is_waited_for && self.has_more(shelf) {
            return Duration::ZERO;
        }
        let due = self.next_due.filter(|_| is_waited_for);
        let again = self.feeds.iter().filter_map(Feed::again_at);
        let shown = self.shares_shown.filter(|_| self.is_unshown);
        let show = shown.and_then(|shown| shown.checked_add(SHARES_SHOWN_EVERY).ok());
        let at = shelf.ends_at().into_iter().chain(due).chain(again).chain(show).min();
        let until = |at: Timestamp| Duration::try_from(at.duration_since(now)).unwrap_or_default();
        let every = if is_waited_for { LOOK_EVERY } else { LOOK_IDLY_EVERY };
        let look = self.context.database.has_instances().then_some(every);
        let first = at.map(until).into_iter().chain(look).min();
        // Never is as good as seldom.
        first.unwrap_or(PAUSE_MAX).max(Duration::from_millis(1))
    }

    /// Whether there is more to read, because what was written made room.
    fn has_more(&self, shelf: &Shelf) -> bool {
        let mut parts = shelf.parts.iter().zip(&self.feeds);
        let has_more =
            |(part, feed): (&Part, &Feed)| feed.end().is_some_and(|end| part.has_more(end));
        shelf.takes_fresh() && parts.any(has_more)
    }

    /// Does all that can be done now.
    async fn turn(&mut self) {
        self.hear();
        self.waiting.retain(|ask| !ask.reply.is_closed());
        for _ in 0..TRIES_MAX {
            match self.attempt().await {
                Ok(Some(answers)) => {
                    self.backoff.reset();
                    self.show_shares();
                    return self.answer(answers);
                }
                Ok(None) => self.shelf = None,
                Err(error) => return self.refuse(&error),
            }
        }
        self.refuse(&Error::environment("other instances were ahead each time"));
    }

    /// Once; `None` where another instance, or an operator, was ahead.
    async fn attempt(&mut self) -> Result<Option<Answers>, Error> {
        let mut patience = Patience::begin();
        let mut shelf = self.known(&mut patience).await?;
        self.unclaimed.iter().for_each(|token| shelf.take_back(token));
        let settled = self.settle(&mut shelf);
        let ended = shelf.end_leases(self.heard_until, &self.timing);
        let lent = self.lend(&mut shelf, &mut patience).await?;
        let answers = Answers { settled, lent, ended };
        let stands = self.write(&mut shelf).await?;
        if stands {
            self.unclaimed.clear();
            self.shelf = Some(shelf);
        } else {
            self.outdated = Some(shelf);
        }
        Ok(stands.then_some(answers))
    }

    /// The shelf, as the store has it, with what is out read, as far as that came.
    async fn known(&mut self, patience: &mut Patience) -> Result<Shelf, Error> {
        if self.feeds.is_empty() {
            self.begin().await?;
        }
        for feed in &mut self.feeds {
            if feed.begin(patience).await {
                self.shelf = None;
            }
        }
        let is_unsure = mem::take(&mut self.is_unsure) && self.context.database.has_instances();
        let mut shelf = match self.shelf.take() {
            Some(shelf) if !is_unsure || self.revision().await? == shelf.revision => shelf,
            before => {
                let mut shelf = load(&self.lanes).await?;
                let before = before.or_else(|| self.outdated.take());
                before.iter().for_each(|before| shelf.go_on_from(before));
                shelf
            }
        };
        shelf.read_what_is_out(&mut self.feeds, patience).await;
        Ok(shelf)
    }

    /// What becomes of what was said, by when it was said: before any lease ends by now.
    fn settle(&self, shelf: &mut Shelf) -> Vec<Option<Result<Answered, Refusal>>> {
        let (is_expected, now) = (self.is_expected(), (self.context.clock)());
        let settled = |SettleAsk { at, token, named, rejection, .. }: &SettleAsk| {
            let is_new = now.duration_since(*at).unsigned_abs() < LATE_MAX;
            if is_new && is_expected && shelf.is_late(token) {
                return None;
            }
            Some(match rejection {
                None => shelf.acknowledge(token, named, *at, &self.timing),
                Some(why) => shelf.reject(token, named, why, *at, &self.timing),
            })
        };
        self.settling.iter().map(settled).collect()
    }

    /// Whether a partition may answer in a moment.
    fn is_expected(&self) -> bool {
        self.feeds.iter().any(Feed::is_expected)
    }

    /// The places fit the log, and nothing that is parked waits for nothing. A partition of which that cannot be said is
    /// shut, and the others go on.
    async fn begin(&mut self) -> Result<(), Error> {
        // Before anything is lent: it may have been paused while nothing ran.
        self.context.hold.look().await?;
        for lane in &self.lanes {
            // Any instance lends of any partition.
            lane.set_own();
            // Who rejected it may have a clock that is ahead of this one.
            beginning::mend_parked(lane, PAUSE_MAX * 2).await?;
        }
        self.feeds = self.lanes.iter().cloned().map(Feed::new).collect();
        Ok(())
    }

    async fn revision(&self) -> Result<u64, Error> {
        let (database, name) = (&self.context.database, &*self.context.name);
        database
            .read_by(Reading::Statement, name, |name, rows| Box::pin(leases::revision(rows, name)))
            .await
    }

    /// Puts together what those who wait are to be given.
    async fn lend(
        &mut self,
        shelf: &mut Shelf,
        patience: &mut Patience,
    ) -> Result<Vec<Told>, Error> {
        if self.waiting.is_empty() {
            return Ok(Vec::new());
        }
        if let Some(Pause { until, .. }) = self.context.hold.pause() {
            return Ok(self.waiting.iter().map(|_| Some(Err(Refusal::Paused { until }))).collect());
        }
        if shelf.touches_parked() {
            return Ok(self.after_this());
        }
        let now = (self.context.clock)();
        let Found { mut due, next, .. } = self.due(shelf, now).await?;
        self.next_due = next;
        shelf.give_up_hurt(&mut due);
        shelf.pass_expired(&mut due, now);
        if shelf.touches_parked() {
            return Ok(self.after_this());
        }
        shelf.share_due(&mut due);
        self.feeds.iter_mut().for_each(Feed::look);
        let attempts = self.timing.pace.attempts;
        let (mut lent, mut is_dry) = (Vec::with_capacity(self.waiting.len()), false);
        for PullAsk { limit, lease, is_at_once, .. } in &self.waiting {
            if !shelf.has_room() {
                let full = Refusal::Full { what: "leases that are open", limit: LEASES_MAX };
                lent.push(Some(Err(full)));
                continue;
            }
            let mut parcel = Parcel::new(*limit, attempts);
            if !is_dry {
                shelf.fill_with_due(&mut parcel, &mut due);
                fill(shelf, &mut parcel, &mut self.feeds, patience, now).await;
            }
            is_dry |= parcel.is_empty();
            if parcel.is_empty() {
                // Behind as many as are passed at once there may be more: that is asked once these are written.
                let is_cut = shelf.room_to_pass() == 0;
                self.pause = self.pause.or(is_cut.then_some(Duration::ZERO));
                let is_answered = *is_at_once && !is_cut && !self.is_expected();
                lent.push(is_answered.then_some(Ok(None)));
                continue;
            }
            let (token, Parcel { entries, given: events, .. }) = ((self.draw)(), parcel);
            let until = now.checked_add(*lease).unwrap_or(Timestamp::MAX);
            shelf.lend(&token, until, entries);
            lent.push(Some(Ok(Some(Lent { token, events }))));
        }
        shelf.forget_due();
        Ok(lent)
    }

    /// All wait on for a moment: what is due is known once what is parked is written.
    fn after_this(&mut self) -> Vec<Told> {
        self.pause = Some(Duration::ZERO);
        self.waiting.iter().map(|_| None).collect()
    }

    /// Parked events that may be given out.
    async fn due(&self, shelf: &Shelf, now: Timestamp) -> Result<Found, Error> {
        let parts = shelf.next_in_turn().map(|at| &shelf.parts[at]);
        let has_parked = parts.filter(|part| !part.window.parked().is_empty());
        let wanted = Wanted {
            lanes: has_parked.map(|part| part.lane.clone()).collect(),
            out: shelf.parked_out(),
            now,
            limit: self.waiting.iter().map(|ask| ask.limit).sum::<usize>().min(super::LIMIT_MAX),
            attempts: self.timing.pace.attempts,
        };
        if wanted.lanes.is_empty() {
            return Ok(Found::default());
        }
        let database = &self.context.database;
        database.read(&wanted, |wanted, rows| Box::pin(wanted.read(rows))).await
    }

    /// Writes what changed; whether it stands.
    async fn write(&self, shelf: &mut Shelf) -> Result<bool, Error> {
        let settlements = shelf.parts.iter_mut().filter_map(Part::settlement).collect();
        let (subscription, revision) = (Arc::clone(&self.context.name), shelf.revision);
        let (changes, read) = (shelf.changes(), shelf.read_of());
        let work = Work { subscription, revision, read, settlements, changes };
        if work.is_empty() {
            self.show(shelf);
            return Ok(true);
        }
        let write = self.context.database.write(work, |work, tx| Box::pin(work.write(tx)));
        let Outcome::Stands(Standing { places, parked }) = write.await? else { return Ok(false) };
        shelf.revision += 1;
        shelf.parked = parked.unwrap_or(shelf.parked);
        for (partition, place) in places {
            let part = &mut shelf.parts[usize::from(partition)];
            part.place = place;
            part.lane.arrived(place);
        }
        self.show(shelf);
        Ok(true)
    }

    /// Shows what is wrong, and what is out.
    fn show(&self, shelf: &Shelf) {
        let (is_full, out) = (!shelf.takes_fresh(), shelf.out());
        let says = || format!("no new events are taken: {PARKED_MAX} are parked");
        let full = || Trouble::lasting(says());
        let mut stopped = Vec::new();
        for part in &shelf.parts {
            let lent = out.get(&part.lane.at.partition.index()).copied().unwrap_or_default();
            part.lane.workload().set_lent(lent);
            part.lane.set_lent(lent > 0);
            let unread = || Some(beginning::with_remedy(&part.lane, part.unread.as_ref()?));
            let trouble = is_full.then(full).or_else(unread);
            let is_hurt = part.unread.as_ref().is_some_and(is_hurt);
            let says = trouble.as_ref().map(|it| it.says.clone());
            stopped.extend(says.filter(|_| is_full || is_hurt));
            part.lane.set_trouble(trouble);
        }
        self.tally.set_stopped(stopped.len() == shelf.parts.len(), stopped.into_iter().next());
        self.tally.set_open(shelf.open());
    }

    /// Shows whose events wait, unless it did so a moment ago.
    fn show_shares(&mut self) {
        let Some(shelf) = self.shelf.as_ref().filter(|_| self.context.share.is_some()) else {
            return;
        };
        let now = (self.context.clock)();
        let since = self.shares_shown.map(|shown| now.duration_since(shown).unsigned_abs());
        self.is_unshown = since.is_some_and(|since| since < SHARES_SHOWN_EVERY);
        if !self.is_unshown {
            shelf.parts.iter().for_each(|part| part.lane.set_shares(part.window.report()));
            self.shares_shown = Some(now);
        }
    }

    /// Tells everybody what became of what he asked.
    fn answer(&mut self, answers: Answers) {
        let Answers { settled, lent, ended } = answers;
        self.tally.ended.add(ended);
        for (ask, settled) in mem::take(&mut self.settling).into_iter().zip(settled) {
            let Some(settled) = settled else {
                self.settling.push(ask);
                continue;
            };
            let count = settled.as_ref().map_or(0, |answered| answered.count);
            match ask.rejection {
                None => self.tally.acknowledged.add(count),
                Some(_) => self.tally.rejected.add(count),
            }
            // Who does not listen any more finds out by asking again.
            drop(ask.reply.send(settled));
        }
        let waiting = mem::take(&mut self.waiting);
        let mut lent = lent.into_iter();
        for ask in waiting {
            match lent.next().flatten() {
                None => self.waiting.push_back(ask),
                Some(answer) => self.give(ask, answer),
            }
        }
    }

    fn give(&mut self, ask: PullAsk, answer: Result<Option<Lent>, Refusal>) {
        if let Ok(Some(Lent { events, .. })) = &answer {
            self.tally.given.add(events.len());
            let again = events.iter().filter(|it| it.attempt > 1).count();
            self.tally.again.add(again);
            self.lanes[0].workload().add_retries(again);
        }
        if let Err(Ok(Some(Lent { token, .. }))) = ask.reply.send(answer) {
            self.unclaimed.push(token);
            self.pause = Some(Duration::ZERO);
        }
    }

    /// Tells everybody that it did not come about, and waits before it begins anew.
    fn refuse(&mut self, error: &Error) {
        let name = &*self.context.name;
        tracing::warn!(subscription = name, %error, "nothing is lent or settled");
        for lane in &self.lanes {
            lane.set_trouble(Some(beginning::with_remedy(lane, error)));
        }
        let refusal = || Refusal::Store(Error::environment(error.to_string()));
        self.settling.drain(..).for_each(|ask| drop(ask.reply.send(Err(refusal()))));
        self.waiting.drain(..).for_each(|ask| drop(ask.reply.send(Err(refusal()))));
        (self.shelf, self.pause) = (None, Some(self.backoff.next()));
        self.feeds.clear();
    }
}

/// Puts in what shares have, one partition after the other.
async fn fill(
    shelf: &mut Shelf,
    parcel: &mut Parcel,
    feeds: &mut [Feed],
    patience: &mut Patience,
    now: Timestamp,
) {
    let is_fresh = shelf.takes_fresh();
    for at in shelf.in_turn() {
        if parcel.room() == 0 {
            return;
        }
        loop {
            let passes = shelf.room_to_pass();
            let part = &mut shelf.parts[at];
            if is_fresh {
                part.read_ahead(&mut feeds[at], parcel.room(), patience).await;
            }
            Shelf::fill(part, parcel, Allowed { is_fresh, passes, now });
            let left = shelf.room_to_pass();
            if left == 0 {
                return;
            }
            // Of those that were read some were passed: there may be more.
            if left == passes || parcel.room() == 0 {
                break;
            }
        }
    }
}
