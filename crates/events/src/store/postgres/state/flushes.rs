//! What waits for the disk, together: one record behind all that was committed before it, for everybody who waits.
//!
//! A commit that numbers is over, and its locks are let go, before it is on disk. What waits for that is a transaction
//! of its own, which costs the server a quarter of an order, so that it is shared as the sync is:
//!
//! 1. Before COMMIT is sent, a work takes a [turn](Turn), which says which connections stand at that moment.
//! 2. Once COMMIT is answered, it waits for a record that is sent from then on: by itself where nobody is about to, else
//!    by whoever comes first after the one that is under way. The connection of its own is free by then.
//! 3. Whoever sends one where the disk is fast waits until half of the works under way wait for it, and no longer than the
//!    [pace](Pace) allows: it would otherwise be done before a second one comes.
//! 4. A record that is under way for longer than that has patience for waits for a slow disk, which takes what comes
//!    meanwhile along: another one is sent beside it at once, on the next free one of [`LANES`] connections.
//!
//! What must stay true: the record is answered by a connection that stood when the turn was taken. A server that was
//! killed in between has lost what was not on disk, and with it every connection; what a new one answers says nothing
//! about before. So nothing is repeated here: a record that failed leaves all who waited to
//! [look up](super::look_up) what became of theirs.

mod pace;

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use sqlx::{PgConnection, PgPool};
use tokio::sync::{Mutex, MutexGuard, Notify, watch};

use self::pace::Pace;
use crate::store::postgres::connection;
use crate::store::postgres::timeouts::{self, within};

/// How long a record took is counted in these, as exactly as timers are.
const TICK: Duration = Duration::from_millis(1);

/// So many of them at most: a disk that is slower is as slow.
const TICKS_MAX: u32 = 100;

/// Records that are under way at most, each on a connection of its own.
const LANES: usize = 4;

/// As [`FLUSH`](super::outbox::FLUSH), and told apart from it where the server lists what is going on.
const FLUSH_ALL: &str = "SELECT pg_logical_emit_message(TRUE, 'yeoul', 'all')";

/// What stood when it was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    /// Connections that had been opened: those that stand of them may answer.
    opened: u64,
    /// Works that were under way, its own included.
    works: usize,
}

/// No connection stands.
const NONE: u64 = 0;

pub(super) struct Flushes(Arc<Inner>);

struct Inner {
    /// What connections are opened like.
    pool: PgPool,
    lanes: [Lane; LANES],
    /// Connections that were opened.
    opened: AtomicU64,
    /// Records that were sent.
    sent: AtomicU64,
    /// [Ticks](TICK) that the last one on the first lane took, which is the first to be free again and so waits for all of
    /// what the disk takes.
    took: AtomicU32,
    /// How many have come since, and that one more has.
    came: AtomicUsize,
    comes: Notify,
    is_gathering: AtomicBool,
    answered: watch::Sender<Answered>,
}

#[derive(Default)]
struct Lane {
    connection: Mutex<Option<PgConnection>>,
    /// Which connection stands, or [`NONE`]: the first is 1.
    stands: AtomicU64,
    is_opening: AtomicBool,
}

/// A lane on which nothing is under way.
struct Free<'a> {
    at: usize,
    connection: MutexGuard<'a, Option<PgConnection>>,
}

/// What whoever has lost patience with the first lane finds.
enum Beside<'a> {
    Free(Free<'a>),
    /// Nothing, or somebody is about to send.
    Nothing,
    /// It is sent by now.
    Sent,
}

/// The newest record that is over.
#[derive(Clone, Copy, Default)]
struct Answered {
    record: u64,
    /// By which connection, or [`NONE`] where that was lost.
    by: u64,
}

impl Flushes {
    pub(super) fn new(pool: PgPool) -> Flushes {
        Flushes(Arc::new(Inner {
            pool,
            lanes: Default::default(),
            opened: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            took: AtomicU32::new(0),
            came: AtomicUsize::new(0),
            comes: Notify::new(),
            is_gathering: AtomicBool::new(false),
            answered: watch::Sender::default(),
        }))
    }

    /// A turn of whoever is about to commit beside others, `works` in all, if the first connection stands; otherwise
    /// that is being opened.
    pub(super) fn turn(&self, works: usize) -> Option<Turn> {
        let opened = self.0.opened.load(Ordering::SeqCst);
        let turn = Some(Turn { opened, works }).filter(|turn| self.0.lanes[0].stands_for(*turn));
        if turn.is_none() {
            self.open(0);
        }
        turn
    }

    /// Resolves once everything is on disk whose commit was answered before the call.
    ///
    /// # Errors
    /// No connection of the turn has answered: whether it is on disk is to be found out.
    pub(super) async fn flushed(&self, turn: Turn) -> Result<(), sqlx::Error> {
        let inner = &*self.0;
        // What is sent already may have been sent before that answer came.
        let next = inner.sent.load(Ordering::SeqCst) + 1;
        inner.came.fetch_add(1, Ordering::SeqCst);
        inner.comes.notify_one();
        // What a newer connection answers says nothing; that one was lost says enough.
        let is_over = |it: &Answered| it.record >= next && it.by <= turn.opened;
        let mut answered = inner.answered.subscribe();
        let mut is_sent = false;
        let last = loop {
            let free = tokio::select! {
                biased;
                _ = answered.wait_for(is_over) => None,
                connection = inner.lanes[0].connection.lock() => Some(Free { at: 0, connection }),
                () = tokio::time::sleep(inner.pace().patience), if !is_sent => {
                    match self.beside(next, turn) {
                        Beside::Free(free) => Some(free),
                        beside => {
                            is_sent = matches!(beside, Beside::Sent);
                            continue;
                        }
                    }
                }
            };
            // Who had the connection before may have sent ours.
            let last = *inner.answered.borrow();
            break match free {
                Some(free) if !is_over(&last) => inner.send(free, turn).await,
                _ => last,
            };
        };
        if is_over(&last) && last.by != NONE { Ok(()) } else { Err(lost()) }
    }

    /// A lane beside the first, for a record that nobody has sent; the first that does not stand is being opened.
    fn beside(&self, record: u64, turn: Turn) -> Beside<'_> {
        if self.0.sent.load(Ordering::SeqCst) >= record {
            return Beside::Sent;
        }
        if self.0.is_gathering.load(Ordering::SeqCst) {
            return Beside::Nothing;
        }
        for (at, lane) in self.0.lanes.iter().enumerate().skip(1) {
            if lane.stands.load(Ordering::SeqCst) == NONE {
                self.open(at);
                return Beside::Nothing;
            }
            if lane.stands_for(turn)
                && let Ok(connection) = lane.connection.try_lock()
            {
                return Beside::Free(Free { at, connection });
            }
        }
        Beside::Nothing
    }

    /// Opens the connection of a lane, unless somebody is about to.
    fn open(&self, at: usize) {
        if self.0.lanes[at].is_opening.swap(true, Ordering::SeqCst) {
            return;
        }
        let inner = Arc::clone(&self.0);
        tokio::spawn(async move {
            let lane = &inner.lanes[at];
            match connection::to_flush(&inner.pool).await {
                Ok(connection) => {
                    *lane.connection.lock().await = Some(connection);
                    let number = inner.opened.fetch_add(1, Ordering::SeqCst) + 1;
                    lane.stands.store(number, Ordering::SeqCst);
                }
                Err(error) => tracing::debug!(%error, "each commit waits for the disk by itself"),
            }
            lane.is_opening.store(false, Ordering::SeqCst);
        });
    }
}

impl Inner {
    fn pace(&self) -> Pace {
        Pace::behind(TICK * self.took.load(Ordering::SeqCst))
    }

    /// Sends one on the connection of this lane, and tells everybody how it went; nothing where another one stands.
    async fn send(&self, free: Free<'_>, turn: Turn) -> Answered {
        let Free { at, mut connection } = free;
        let lane = &self.lanes[at];
        let by = lane.stands.load(Ordering::SeqCst);
        let Some(stands) = connection.as_mut().filter(|_| lane.stands_for(turn)) else {
            return Answered::default();
        };
        // Beside another one they have gathered already.
        if at == 0 {
            self.gather(turn.works / 2, self.pace().gathering).await;
        }
        self.came.store(0, Ordering::SeqCst);
        let record = self.sent.fetch_add(1, Ordering::SeqCst) + 1;
        let flushed = within(timeouts::COMMIT, sqlx::raw_sql(FLUSH_ALL).execute(stands));
        let Timed { answer: flushed, ticks } = timed(flushed).await;
        if at == 0 {
            self.took.store(ticks, Ordering::SeqCst);
        }
        if let Err(error) = &flushed {
            tracing::warn!(%error, "a connection that waits for the disk is lost");
            lane.stands.store(NONE, Ordering::SeqCst);
            *connection = None;
        }
        let answered = Answered { record, by: flushed.map_or(NONE, |_| by) };
        // One of another lane that was sent later may have been answered before.
        self.answered.send_if_modified(|newest| {
            let is_newer = newest.record < record;
            if is_newer {
                *newest = answered;
            }
            is_newer
        });
        answered
    }
}

impl Inner {
    /// Until so many wait, and no longer: whoever is missing then has more to do than that.
    async fn gather(&self, enough: usize, at_most: Duration) {
        if at_most.is_zero() {
            return;
        }
        let gathered = async {
            while self.came.load(Ordering::SeqCst) < enough {
                self.comes.notified().await;
            }
        };
        self.is_gathering.store(true, Ordering::SeqCst);
        _ = tokio::time::timeout(at_most, gathered).await;
        self.is_gathering.store(false, Ordering::SeqCst);
    }
}

impl Lane {
    /// Whether its connection stood when the turn was taken, and stands.
    fn stands_for(&self, turn: Turn) -> bool {
        (NONE + 1..=turn.opened).contains(&self.stands.load(Ordering::SeqCst))
    }
}

/// What somebody was answered, and how many [ticks](TICK) that took.
struct Timed<T> {
    answer: T,
    ticks: u32,
}

/// Waits for it, and counts: there is no clock here.
async fn timed<T>(asked: impl Future<Output = T>) -> Timed<T> {
    let (mut asked, mut ticks) = (pin!(asked), 0);
    let mut timer = tokio::time::interval(TICK);
    // Its first is now.
    timer.tick().await;
    loop {
        tokio::select! {
            biased;
            answer = &mut asked => return Timed { answer, ticks },
            _ = timer.tick(), if ticks < TICKS_MAX => ticks += 1,
        }
    }
}

fn lost() -> sqlx::Error {
    sqlx::Error::Io(io::Error::other("the connection that waits for the disk is lost"))
}
