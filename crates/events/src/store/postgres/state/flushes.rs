//! What waits for the disk, together: one record behind all that was committed before it, for everybody who waits.
//!
//! A commit that numbers is over, and its locks are let go, before it is on disk. What waits for that is a transaction
//! of its own, which costs the server a quarter of an order, so that it is shared as the sync is:
//!
//! 1. Before COMMIT is sent, a work takes a [turn](Turn), which says which connections stand at that moment.
//! 2. Once COMMIT is answered, it waits for a record that is sent from then on: by itself where nobody is about to, else
//!    by whoever comes first after the one that is under way. The connection of its own is free by then.
//! 3. Whoever sends one waits until half of the works under way wait for it, and no longer than [`GATHERING`]: a disk that
//!    is fast would otherwise be done before a second one comes.
//! 4. A record that is under way for longer than [`PATIENCE`] waits for a slow disk, which takes what comes meanwhile along:
//!    another one is sent beside it, on the next of [`LANES`] connections.
//!
//! What must stay true: the record is answered by a connection that stood when the turn was taken. A server that was
//! killed in between has lost what was not on disk, and with it every connection; what a new one answers says nothing
//! about before. So nothing is repeated here: a record that failed leaves all who waited to
//! [look up](super::look_up) what became of theirs.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use sqlx::{PgConnection, PgPool};
use tokio::sync::{Mutex, MutexGuard, Notify, watch};

use crate::store::postgres::connection;
use crate::store::postgres::timeouts::{self, within};

/// How long a record is put off at most, so that more wait for it.
const GATHERING: Duration = Duration::from_millis(1);

/// How long a record is waited for before another one is sent beside it.
const PATIENCE: Duration = Duration::from_millis(1);

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

/// What is beside a lane that was waited for.
enum Beside {
    Lane(usize),
    /// Nothing, and it is not needed: somebody is about to send.
    SoonSent,
    /// Nothing, or it is sent already.
    None,
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
        let (mut at, mut is_patient) = (0, false);
        let last = loop {
            let free = tokio::select! {
                biased;
                _ = answered.wait_for(is_over) => None,
                connection = inner.lanes[at].connection.lock() => Some(connection),
                () = tokio::time::sleep(PATIENCE), if !is_patient => {
                    match self.beside(at, next, turn) {
                        Beside::Lane(next) => at = next,
                        Beside::SoonSent => {}
                        Beside::None => is_patient = true,
                    }
                    continue;
                }
            };
            // Who had the connection before may have sent ours.
            let last = *inner.answered.borrow();
            break match free {
                Some(connection) if !is_over(&last) => inner.send(at, connection, turn).await,
                _ => last,
            };
        };
        if is_over(&last) && last.by != NONE { Ok(()) } else { Err(lost()) }
    }

    /// The lane beside this one, for a record that nobody has sent; a connection that does not stand is being opened.
    fn beside(&self, at: usize, record: u64, turn: Turn) -> Beside {
        if self.0.sent.load(Ordering::SeqCst) >= record {
            return Beside::None;
        }
        if self.0.is_gathering.load(Ordering::SeqCst) {
            return Beside::SoonSent;
        }
        let at = at + 1;
        let Some(lane) = self.0.lanes.get(at) else { return Beside::None };
        if lane.stands.load(Ordering::SeqCst) == NONE {
            self.open(at);
        }
        if lane.stands_for(turn) { Beside::Lane(at) } else { Beside::None }
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
    /// Sends one on the connection of this lane, and tells everybody how it went; nothing where another one stands.
    async fn send(
        &self,
        at: usize,
        mut connection: MutexGuard<'_, Option<PgConnection>>,
        turn: Turn,
    ) -> Answered {
        let lane = &self.lanes[at];
        let by = lane.stands.load(Ordering::SeqCst);
        let Some(stands) = connection.as_mut().filter(|_| lane.stands_for(turn)) else {
            return Answered::default();
        };
        self.gather(turn.works / 2).await;
        self.came.store(0, Ordering::SeqCst);
        let record = self.sent.fetch_add(1, Ordering::SeqCst) + 1;
        let flushed = within(timeouts::COMMIT, sqlx::raw_sql(FLUSH_ALL).execute(stands)).await;
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
    /// Until so many wait.
    async fn gather(&self, enough: usize) {
        let gathered = async {
            while self.came.load(Ordering::SeqCst) < enough {
                self.comes.notified().await;
            }
        };
        self.is_gathering.store(true, Ordering::SeqCst);
        // No longer: whoever is missing has more to do than that.
        _ = tokio::time::timeout(GATHERING, gathered).await;
        self.is_gathering.store(false, Ordering::SeqCst);
    }
}

impl Lane {
    /// Whether its connection stood when the turn was taken, and stands.
    fn stands_for(&self, turn: Turn) -> bool {
        (NONE + 1..=turn.opened).contains(&self.stands.load(Ordering::SeqCst))
    }
}

fn lost() -> sqlx::Error {
    sqlx::Error::Io(io::Error::other("the connection that waits for the disk is lost"))
}
