//! What a running subscription and its handles have in common: who it is, what it stands on, and a notice
//! board for each partition.
//!
//! The consumer of a partition writes to its board what it met; a status is that board beside what the
//! tables and the broker have at the moment. Nobody waits for anybody here: the board's lock is held for as
//! long as it takes to write a line, and a wake-up that comes while its consumer is at work is kept until it
//! looks for one.

use std::future::Future;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use futures_util::future::BoxFuture;
use jiff::Timestamp;
use tokio::sync::{Notify, watch};

use super::pausing::Hold;
use super::workload::Workload;
use crate::Clock;
use crate::broker::{Broker, Offset};
use crate::error::Error;
use crate::event::Event;
use crate::group::{Assignment, Member};
use crate::lanes::{Stop, run_each};
use crate::parking::Edited;
use crate::partition::{Partition, Partitions};
use crate::share::report::SharesReport;
use crate::share::{ShareBy, ShareName};
use crate::stillness::Stillness;
use crate::store::database::Database;
use crate::store::inbox::{Assigned, Place};
use crate::store::options::Reading;
use crate::store::parked::{self, DueOrder};
use crate::topic::{Topic, TopicPartition};
use crate::trouble::Trouble;
use crate::wait::{Backoff, resumed};

/// All of a subscription.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) name: Arc<str>,
    pub(crate) topic: Topic,
    pub(crate) partitions: Partitions,
    pub(crate) database: Database,
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) clock: Clock,
    pub(crate) paused: watch::Receiver<bool>,
    /// What an operator said, for every instance.
    pub(crate) hold: Hold,
    /// Whether other instances may share the partitions with this one.
    pub(crate) shared: bool,
    /// What tells apart the shares that have their turns, if they do.
    pub(crate) share: Option<Arc<ShareBy>>,
    /// Tries an event by the handler that runs here, and takes it back.
    pub(crate) rehearse: Arc<OnceLock<Rehearse>>,
    /// One for each partition.
    boards: Arc<[Board]>,
}

/// Tries an event and takes it back.
pub(crate) type Rehearse =
    Arc<dyn Fn(Event) -> BoxFuture<'static, Result<Edited, Error>> + Send + Sync>;

/// One partition of it: the unit that has a place, a loop, a board and trouble of its own.
#[derive(Clone)]
pub(crate) struct Lane {
    pub(crate) context: Context,
    pub(crate) at: TopicPartition,
}

/// Where the consumer of a partition and those who ask about it meet.
#[derive(Default)]
struct Board {
    /// Somebody changed the tables: look again.
    changed: Notify,
    workload: Arc<Workload>,
    notes: Mutex<Notes>,
}

/// What the consumer wrote down for those who ask, and what those who asked before found.
#[derive(Default)]
struct Notes {
    ownership: Ownership,
    /// Somebody elsewhere has events of it in hand, for as long as he said.
    is_lent: bool,
    trouble: Option<Trouble>,
    divergence: Option<Divergence>,
    stillness: Stillness,
    /// Whose events wait, where shares have their turns.
    shares: Option<SharesReport>,
}

/// Whose a partition is, of the instances that share them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ownership {
    /// Nobody said, as where nothing runs.
    #[default]
    Unknown,
    /// This one's.
    Own,
    /// Another one's: what is wrong with it is theirs to say.
    Elsewhere,
}

/// What there is to do in a partition.
pub(crate) struct LaneWork {
    pub(crate) position: Offset,
    /// Events behind it.
    pub(crate) lag: u64,
    /// When the first parked event is to be tried again, if one is.
    pub(crate) due: Option<Timestamp>,
    /// Nobody is to do it now.
    pub(crate) is_paused: bool,
}

/// The log was found shorter than, or other than, what was read of it.
struct Divergence {
    /// Up to here it had been read.
    until: Offset,
    what: String,
}

impl Context {
    pub(crate) fn new(
        name: &str,
        topic: Topic,
        database: Database,
        broker: Arc<dyn Broker>,
        clock: Clock,
    ) -> Context {
        // A topic that is not there is found out, and said, by whoever reads its first partition.
        let partitions = broker.partitions(&topic).unwrap_or(Partitions::ONE);
        let name: Arc<str> = name.into();
        Context {
            hold: Hold::new(Arc::clone(&name), database.clone(), Arc::clone(&clock)),
            name,
            topic,
            partitions,
            database,
            broker,
            clock,
            paused: watch::Sender::new(false).subscribe(),
            shared: false,
            share: None,
            rehearse: Arc::default(),
            boards: partitions.each().map(|_| Board::default()).collect(),
        }
    }

    /// One of its partitions.
    pub(crate) fn lane(&self, partition: Partition) -> Lane {
        Lane { context: self.clone(), at: self.topic.at(partition) }
    }

    /// All of its partitions, in order.
    pub(crate) fn lanes(&self) -> impl Iterator<Item = Lane> {
        self.partitions.each().map(|partition| self.lane(partition))
    }

    /// Joins those who share the partitions, runs a loop for each until `stop` resolves and all have ended, and leaves.
    pub(crate) async fn run<F>(
        &self,
        run: impl Fn(Lane, Member, Stop) -> F,
        stop: impl Future<Output = ()>,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut stop = pin!(stop);
        let member = tokio::select! {
            biased;
            () = stop.as_mut() => return,
            member = self.joined() => member,
        };
        let running = run_each(self.lanes(), |lane, stop| run(lane, member.clone(), stop), stop);
        tokio::select! {
            () = running => {}
            never = self.hold.follow() => match never {},
        }
        member.leave().await;
    }

    /// One of those who share the partitions, however long that takes.
    async fn joined(&self) -> Member {
        let mut backoff = Backoff::new();
        loop {
            let trouble = match self.join().await {
                Ok(member) => return member,
                Err(error) => Trouble::of(&error, error.to_string()),
            };
            let error = &*trouble.says;
            tracing::warn!(subscription = &*self.name, error, "it is no member yet");
            self.lanes().for_each(|lane| lane.set_trouble(Some(trouble.clone())));
            tokio::time::sleep(backoff.next()).await;
        }
    }

    /// Joins them where somebody may share; else it has all of the partitions.
    async fn join(&self) -> Result<Member, Error> {
        // Before anything is taken: it may have been paused while nothing ran.
        self.hold.look().await?;
        if self.shared && self.database.has_instances() {
            return self.broker.join(&self.name, &self.topic).await;
        }
        Ok(Member::of_all(self.partitions))
    }

    /// Whether it rests, by its owner's switch or on an operator's word.
    pub(crate) fn is_at_rest(&self) -> bool {
        *self.paused.borrow() || self.hold.pause().is_some()
    }

    /// Resolves while it does not.
    pub(crate) async fn resumed(&mut self) {
        while self.is_at_rest() {
            resumed(&mut self.paused).await;
            self.hold.over().await;
        }
    }

    /// The share that an event is in; of all that are not told apart it is one.
    pub(crate) fn share_of(&self, event: &Event) -> ShareName {
        self.share.as_ref().map(|by| by.of(event)).unwrap_or_default()
    }

    /// In which order is looked at what is due.
    pub(crate) fn due_order(&self) -> DueOrder {
        if self.share.is_some() { DueOrder::Shares } else { DueOrder::Time }
    }

    /// Events whose attempt has begun and has no answer, as this instance knows.
    pub(crate) fn in_flight(&self) -> u64 {
        self.boards.iter().map(|board| board.workload.in_flight()).sum()
    }

    /// Attempts after an event's first, since this instance started.
    pub(crate) fn retries(&self) -> u64 {
        self.boards.iter().map(|board| board.workload.retries()).sum()
    }

    /// Has every consumer look at the tables again.
    pub(crate) fn wake(&self) {
        self.boards.iter().for_each(|board| board.changed.notify_one());
    }
}

impl Lane {
    /// Under which key the tables have what is this partition's.
    pub(crate) fn assigned(&self) -> Assigned<'_> {
        Assigned { subscription: &self.context.name, partition: self.at.partition }
    }

    /// Where it reads on, as the tables have it now.
    pub(crate) async fn place(&self) -> Result<Place, Error> {
        let database = &self.context.database;
        database
            .read_by(Reading::Statement, self, |lane, rows| {
                Box::pin(Place::load(rows, lane.assigned()))
            })
            .await
    }

    /// When the first of its parked events is to be tried again, as the tables have it now.
    pub(crate) async fn next_due(&self) -> Result<Option<Timestamp>, Error> {
        let database = &self.context.database;
        database
            .read_by(Reading::Statement, self, |lane, rows| {
                Box::pin(parked::next_due(rows, lane.assigned()))
            })
            .await
    }

    /// Where is counted what is in hand, and what is tried again.
    pub(crate) fn workload(&self) -> &Arc<Workload> {
        &self.board().workload
    }

    /// Resolves when somebody changed the tables.
    pub(crate) async fn woken(&self) {
        self.board().changed.notified().await;
    }

    /// Notes what the group says of it; what was met there counts no more where it is not this one's.
    pub(crate) fn set_assignment(&self, assignment: &Assignment) {
        let mut notes = self.notes();
        notes.ownership = match &assignment.partitions {
            None => Ownership::Unknown,
            Some(all) if all.contains(&self.at.partition) => Ownership::Own,
            Some(_) => Ownership::Elsewhere,
        };
        if notes.ownership != Ownership::Own {
            // The group is the broker's, and asked again.
            let trouble = |says| Trouble { says, passes: true };
            (notes.trouble, notes.divergence) = (assignment.trouble.clone().map(trouble), None);
        }
    }

    /// Whose it was said to be.
    pub(crate) fn ownership(&self) -> Ownership {
        self.notes().ownership
    }

    /// Notes trouble, or that it is over.
    pub(crate) fn set_trouble(&self, trouble: Option<Trouble>) {
        self.notes().trouble = trouble;
    }

    /// Notes whether somebody elsewhere has events of it in hand: while he has, it is his to go on, however long he said.
    pub(crate) fn set_lent(&self, is_lent: bool) {
        self.notes().is_lent = is_lent;
    }

    /// Notes whose events wait.
    pub(crate) fn set_shares(&self, shares: SharesReport) {
        self.notes().shares = Some(shares);
    }

    /// Whose events wait, as this instance saw it last.
    pub(crate) fn shares(&self) -> Option<SharesReport> {
        self.notes().shares.clone()
    }

    /// Notes that the log is not what was read of it up to `until`.
    pub(crate) fn set_divergence(&self, until: Offset, what: String) {
        self.notes().divergence = Some(Divergence { until, what });
    }

    /// Past where it diverged there is nothing missing any more.
    pub(crate) fn arrived(&self, position: Offset) {
        let mut notes = self.notes();
        if notes.divergence.as_ref().is_some_and(|divergence| divergence.until <= position) {
            notes.divergence = None;
        }
    }

    /// Whether that was noted.
    pub(crate) fn is_lent(&self) -> bool {
        self.notes().is_lent
    }

    /// Notes that it is this instance's as much as any other's.
    pub(crate) fn set_own(&self) {
        self.notes().ownership = Ownership::Own;
    }

    /// What is wrong, in words: the consumer's own trouble first, then a divergence, then no progress with what is to
    /// be done.
    pub(crate) fn stuck(&self, work: &LaneWork) -> Option<Trouble> {
        let &LaneWork { position, lag, due, is_paused } = work;
        let paused = is_paused || *self.context.paused.borrow();
        let now = (self.context.clock)();
        let mut notes = self.notes();
        let divergence = notes.divergence.as_ref().map(|it| Trouble::lasting(it.what.clone()));
        let reported = notes.trouble.clone().or(divergence);
        // Who has nothing to do, rests on purpose or leaves it to another stands still and is well.
        let due = due.filter(|due| *due <= now);
        if (lag == 0 && due.is_none())
            || paused
            || notes.is_lent
            || notes.ownership == Ownership::Elsewhere
        {
            notes.stillness.idle();
            return reported;
        }
        // Looked at even where trouble is reported: what counts is how long it has not moved.
        // What is tried again gets another time, so that it goes on while its place stands still.
        let due_at = due.map_or(0, Timestamp::as_microsecond).unsigned_abs();
        let still = notes.stillness.behind(position.0.wrapping_add(due_at), now);
        let at = &self.at;
        let waits = if lag == 0 { "what is due to be tried again" } else { "what comes next" };
        let since = |since| {
            Trouble::lasting(format!(
                "no progress in {at} at offset {position} since {since}: nobody takes {waits}"
            ))
        };
        reported.or_else(|| still.map(since))
    }

    fn board(&self) -> &Board {
        &self.context.boards[usize::from(self.at.partition.index())]
    }

    /// Nothing panics while it has the lock, and what is written there is whole at every moment.
    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.board().notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
